//! Results of a few rows for one panel.

use super::{CHUNK, PANEL, Rows, TILE, pairs};

/// A part of a matrix.
pub(super) struct Panel<'a> {
    /// A word for each two inputs and output.
    pub words: &'a [[i32; PANEL]],
    /// Those of each chunk.
    pub scales: &'a [[f32; PANEL]],
}

/// Results of rows `first…`, as many as `out` has: [`TILE`] or one.
#[inline(always)]
pub(super) fn tile(panel: &Panel, rows: &Rows, first: usize, out: &mut [[f32; PANEL]]) {
    let (words, chunks) = (pairs(rows.inputs), rows.inputs.div_ceil(CHUNK));
    let row_words = &rows.words[first * words..(first + out.len()) * words];
    let row_scales = &rows.scales[first * chunks..(first + out.len()) * chunks];
    assert!(panel.words.len() == words && panel.scales.len() == chunks);
    if let Some(out) = out.first_chunk_mut::<TILE>() {
        form::rows(panel, row_words, row_scales, out);
    } else if let [out] = out {
        form::rows(panel, row_words, row_scales, core::array::from_mut(out));
    }
}

/// What every processor can, and what the other must agree with to the bit.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
mod form {
    use super::super::{CHUNK, PANEL};
    use super::Panel;

    /// R rows: words `[R, pairs]`, scales `[R, chunks]`.
    pub fn rows<const R: usize>(panel: &Panel, words: &[i32], scales: &[f32], out: &mut [[f32; PANEL]; R]) {
        let (count, chunks) = (panel.words.len(), panel.scales.len());
        *out = [[0.0; PANEL]; R];
        for (row, out) in out.iter_mut().enumerate() {
            for (chunk, panel_scales) in panel.scales.iter().enumerate() {
                let range = chunk * CHUNK / 2..((chunk + 1) * CHUNK / 2).min(count);
                let mut sums = [0i32; PANEL];
                for (weights, word) in panel.words[range.clone()].iter().zip(&words[row * count..][range]) {
                    for (sum, weight) in sums.iter_mut().zip(weights) {
                        *sum += i32::from(*weight as i16) * i32::from(*word as i16) + (weight >> 16) * (word >> 16);
                    }
                }
                let scale = scales[row * chunks + chunk];
                for ((o, sum), panel_scale) in out.iter_mut().zip(sums).zip(panel_scales) {
                    *o += sum as f32 * (panel_scale * scale);
                }
            }
        }
    }
}

/// With WebAssembly's vectors.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod form {
    use super::super::{CHUNK, PANEL};
    use super::Panel;
    use core::arch::wasm32::{
        f32x4_add, f32x4_convert_i32x4, f32x4_mul, f32x4_splat, i32x4_add, i32x4_dot_i16x8, i32x4_splat, v128,
        v128_load, v128_load32_splat, v128_store,
    };

    /// R rows: words `[R, pairs]`, scales `[R, chunks]`.
    pub fn rows<const R: usize>(panel: &Panel, words: &[i32], scales: &[f32], out: &mut [[f32; PANEL]; R]) {
        let (count, chunks) = (panel.words.len(), panel.scales.len());
        assert!(words.len() == R * count && scales.len() == R * chunks && count <= chunks * CHUNK / 2);
        let (weights, words) = (panel.words.as_ptr().cast::<v128>(), words.as_ptr());
        let mut totals = [[f32x4_splat(0.0); 2]; R];
        for (chunk, panel_scales) in panel.scales.iter().enumerate() {
            let mut sums = [[i32x4_splat(0); 2]; R];
            for at in chunk * CHUNK / 2..((chunk + 1) * CHUNK / 2).min(count) {
                // SAFETY: `at` is below `count`, of which the panel has vectors twice and each of R rows words once.
                // Loads need no alignment.
                unsafe {
                    let (low, high) = (v128_load(weights.add(2 * at)), v128_load(weights.add(2 * at + 1)));
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let word = v128_load32_splat(words.add(row * count + at).cast());
                        sums[0] = i32x4_add(sums[0], i32x4_dot_i16x8(word, low));
                        sums[1] = i32x4_add(sums[1], i32x4_dot_i16x8(word, high));
                    }
                }
            }
            let at = panel_scales.as_ptr().cast::<v128>();
            // SAFETY: PANEL values are two vectors.
            let panel_scales = unsafe { [v128_load(at), v128_load(at.add(1))] };
            for (row, (totals, sums)) in totals.iter_mut().zip(sums).enumerate() {
                let scale = f32x4_splat(scales[row * chunks + chunk]);
                for half in 0..2 {
                    let scaled = f32x4_mul(f32x4_convert_i32x4(sums[half]), f32x4_mul(panel_scales[half], scale));
                    totals[half] = f32x4_add(totals[half], scaled);
                }
            }
        }
        for (out, [low, high]) in out.iter_mut().zip(totals) {
            let at = out.as_mut_ptr().cast::<v128>();
            // SAFETY: PANEL values are two vectors.
            unsafe {
                v128_store(at, low);
                v128_store(at.add(1), high);
            }
        }
    }
}
