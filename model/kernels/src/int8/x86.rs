//! Tiles with x86's own instructions.

use super::{BLOCK, LINES, Line, PANEL, Panel, QUAD, Rows, TILE, Tile};
use core::arch::x86_64::*;

/// See [`super::Path::tile`].
///
/// # Safety
/// `rows` has rows `first..first + count`, the panel as many blocks as a row.
#[target_feature(enable = "avx512f,avx512vnni")]
pub(super) unsafe fn vnni(panel: &Panel, rows: &Rows, first: usize, count: usize, out: &mut Tile) {
    // SAFETY: the caller's promise, with `count` rows each.
    unsafe {
        match count {
            0 => {}
            1 => vnni_rows::<1>(panel, rows, first, out),
            2 => vnni_rows::<2>(panel, rows, first, out),
            3 => vnni_rows::<3>(panel, rows, first, out),
            4 => vnni_rows::<4>(panel, rows, first, out),
            5 => vnni_rows::<5>(panel, rows, first, out),
            _ => vnni_rows::<TILE>(panel, rows, first, out),
        }
    }
}

#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn vnni_rows<const R: usize>(panel: &Panel, rows: &Rows, first: usize, out: &mut Tile) {
    let (blocks, from) = (rows.blocks, first * rows.blocks);
    let mut results = [[_mm512_setzero_ps(); 2]; R];
    for block in 0..blocks {
        // SAFETY: rows and panel have `blocks` blocks, of BLOCK codes and LINES lines; a line is a vector, aligned as one.
        unsafe {
            let lines = panel.codes.as_ptr().add(block * LINES).cast::<__m512i>();
            let codes = rows.codes.as_ptr().add((from + block) * BLOCK);
            let mut sums = [[_mm512_setzero_si512(); 2]; R];
            for (row, sums) in sums.iter_mut().enumerate() {
                *sums = [_mm512_set1_epi32(*rows.begins.as_ptr().add(from + row * blocks + block)); 2];
            }
            for quad in 0..BLOCK / QUAD {
                let (w0, w1) = (_mm512_load_si512(lines.add(2 * quad)), _mm512_load_si512(lines.add(2 * quad + 1)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let four = codes.add(row * blocks * BLOCK + quad * QUAD).cast::<i32>().read_unaligned();
                    let a = _mm512_set1_epi32(four);
                    *sums = [_mm512_dpbusd_epi32(sums[0], w0, a), _mm512_dpbusd_epi32(sums[1], w1, a)];
                }
            }
            let scales = panel.scales.as_ptr().add(block).cast::<f32>();
            let (s0, s1) = (_mm512_loadu_ps(scales), _mm512_loadu_ps(scales.add(16)));
            for (row, (sums, results)) in sums.iter().zip(&mut results).enumerate() {
                let scale = _mm512_set1_ps(*rows.scales.as_ptr().add(from + row * blocks + block));
                for (half, s) in [s0, s1].into_iter().enumerate() {
                    let scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[half]), _mm512_mul_ps(s, scale));
                    results[half] = _mm512_add_ps(results[half], scaled);
                }
            }
        }
    }
    for (results, out) in results.iter().zip(out) {
        // SAFETY: `out` has PANEL values, two vectors.
        unsafe {
            _mm512_storeu_ps(out.as_mut_ptr(), results[0]);
            _mm512_storeu_ps(out.as_mut_ptr().add(16), results[1]);
        }
    }
}

/// See [`super::Path::tile`]. In 16-bit products: the 8-bit instruction of AVX2 saturates.
///
/// # Safety
/// `rows` has rows `first..first + count`, the panel as many blocks as a row.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn avx2(panel: &Panel, rows: &Rows, first: usize, count: usize, out: &mut Tile) {
    let (pairs, odd) = out[..count].as_chunks_mut::<2>();
    let last = first + 2 * pairs.len();
    // SAFETY: the caller's promise, for these rows.
    unsafe {
        for (at, pair) in pairs.iter_mut().enumerate() {
            avx2_rows(panel, rows, first + 2 * at, pair);
        }
        if let [one] = odd {
            avx2_rows(panel, rows, last, core::array::from_mut(one));
        }
    }
}

#[target_feature(enable = "avx2")]
unsafe fn avx2_rows<const R: usize>(panel: &Panel, rows: &Rows, first: usize, out: &mut [[f32; PANEL]; R]) {
    let (blocks, from) = (rows.blocks, first * rows.blocks);
    for half in 0..2 {
        let mut results = [[_mm256_setzero_ps(); 2]; R];
        for block in 0..blocks {
            // SAFETY: rows and panel have `blocks` blocks, of BLOCK codes and LINES lines of 64 bytes, PANEL scales.
            unsafe {
                let lines = panel.codes.as_ptr().add(block * LINES + half);
                let codes = rows.codes.as_ptr().add((from + block) * BLOCK);
                // Four outputs a vector, two sums each.
                let mut sums = [[_mm256_setzero_si256(); 4]; R];
                for quad in 0..BLOCK / QUAD {
                    let w = widened(lines.add(2 * quad));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let four = codes.add(row * blocks * BLOCK + quad * QUAD).cast::<i32>().read_unaligned();
                        let a = _mm256_cvtepi8_epi16(_mm_set1_epi32(four));
                        for (sum, w) in sums.iter_mut().zip(w) {
                            *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(w, a));
                        }
                    }
                }
                let scales = panel.scales.as_ptr().add(block).cast::<f32>().add(16 * half);
                for (row, (sums, results)) in sums.iter().zip(&mut results).enumerate() {
                    let at = from + row * blocks + block;
                    let begin = _mm256_set1_epi32(*rows.begins.as_ptr().add(at));
                    let scale = _mm256_set1_ps(*rows.scales.as_ptr().add(at));
                    for (eight, result) in results.iter_mut().enumerate() {
                        // Sums of neighbours, in the order of outputs 0 1 4 5 2 3 6 7.
                        let both = _mm256_hadd_epi32(sums[2 * eight], sums[2 * eight + 1]);
                        let whole = _mm256_add_epi32(_mm256_permute4x64_epi64::<0b11_01_10_00>(both), begin);
                        let s = _mm256_mul_ps(_mm256_loadu_ps(scales.add(8 * eight)), scale);
                        *result = _mm256_add_ps(*result, _mm256_mul_ps(_mm256_cvtepi32_ps(whole), s));
                    }
                }
            }
        }
        for (results, out) in results.iter().zip(&mut *out) {
            for (eight, result) in results.iter().enumerate() {
                // SAFETY: `out` has PANEL values, four vectors.
                unsafe { _mm256_storeu_ps(out.as_mut_ptr().add(16 * half + 8 * eight), *result) };
            }
        }
    }
}

/// A line's codes in 16 bits.
#[target_feature(enable = "avx2")]
unsafe fn widened(line: *const Line) -> [__m256i; 4] {
    // SAFETY: a line is 64 bytes, four times 16.
    let part = |i: usize| unsafe { _mm_loadu_si128(line.cast::<__m128i>().add(i)) };
    [0, 1, 2, 3].map(|i| _mm256_cvtepu8_epi16(part(i)))
}
