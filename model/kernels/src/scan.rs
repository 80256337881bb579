//! The inner loop of the scan: one query against int8 tokens.
//!
//! The query is quantized to 16 bits, not 8: the processors' multiply-add works on 16-bit lanes either way, so the
//! finer query costs nothing and only the gallery's own 8 bits limit precision.

#[cfg(target_arch = "x86_64")]
use super::features;

/// A query, quantized: `value ≈ code · scale`.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    codes: Vec<i16>,
    scale: f32,
}

impl Query {
    /// Quantizes `[P]` values; ones that aren't finite count as 0. The largest code keeps every sum inside i32.
    pub fn new(query: &[f32]) -> Self {
        let finite = |v: &f32| if v.is_finite() { *v } else { 0.0 };
        let largest = query.iter().map(finite).fold(0.0_f32, |m, v| m.max(v.abs()));
        let top = (i32::MAX as usize / 128 / query.len().max(1)).min(i16::MAX as usize) as f32;
        let scale = largest / top;
        let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
        let codes = query.iter().map(|v| (finite(v) * inverse).round().clamp(-top, top) as i16).collect();
        Self { codes, scale }
    }

    /// P.
    pub fn width(&self) -> usize {
        self.codes.len()
    }

    /// The score of each image: for `scales` `[count, N]` and `codes` `[count, N, P]`, the largest cosine over its N
    /// tokens, handed to `each(index, score)` in order.
    pub fn scan(&self, scales: &[f32], codes: &[i8], tokens: usize, each: impl FnMut(usize, f32)) {
        #[cfg(target_arch = "x86_64")]
        {
            if features::avx512() {
                // SAFETY: the processor has every feature that the function asks for.
                return unsafe { self.scan_avx512(scales, codes, tokens, each) };
            }
            if features::avx2() {
                // SAFETY: the processor has every feature that the function asks for.
                return unsafe { self.scan_avx2(scales, codes, tokens, each) };
            }
        }
        self.scan_with(scales, codes, tokens, each, dot);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512bw,avx512vl,avx512f")]
    fn scan_avx512(&self, scales: &[f32], codes: &[i8], tokens: usize, each: impl FnMut(usize, f32)) {
        self.scan_with(scales, codes, tokens, each, dot);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn scan_avx2(&self, scales: &[f32], codes: &[i8], tokens: usize, each: impl FnMut(usize, f32)) {
        self.scan_with(scales, codes, tokens, each, dot);
    }

    /// Inlined into each of the above, so that `dot` is compiled for the wider vectors.
    #[inline(always)]
    fn scan_with(
        &self,
        scales: &[f32],
        codes: &[i8],
        tokens: usize,
        mut each: impl FnMut(usize, f32),
        dot: impl Fn(&[i8], &[i16]) -> i32,
    ) {
        let width = self.codes.len();
        if tokens == 0 || width == 0 {
            return;
        }
        let images = scales.chunks_exact(tokens).zip(codes.chunks_exact(tokens * width));
        for (index, (scales, codes)) in images.enumerate() {
            let mut best = f32::NEG_INFINITY;
            for (token, scale) in codes.chunks_exact(width).zip(scales) {
                best = best.max(dot(token, &self.codes) as f32 * scale);
            }
            each(index, best * self.scale);
        }
    }
}

/// Σ code · query. The plain loop compiles to the processor's 16-bit multiply-add.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline(always)]
fn dot(codes: &[i8], query: &[i16]) -> i32 {
    codes.iter().zip(query).map(|(&c, &q)| i32::from(c) * i32::from(q)).sum()
}

/// Σ code · query with WebAssembly's 128-bit vectors.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
#[inline(always)]
fn dot(codes: &[i8], query: &[i16]) -> i32 {
    use core::arch::wasm32::{
        i16x8_extend_high_i8x16, i16x8_extend_low_i8x16, i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane, i32x4_splat,
        v128, v128_load,
    };
    let (mut low, mut high) = (i32x4_splat(0), i32x4_splat(0));
    let (code_blocks, query_blocks) = (codes.chunks_exact(16), query.chunks_exact(16));
    let (code_rest, query_rest) = (code_blocks.remainder(), query_blocks.remainder());
    for (code, query) in code_blocks.zip(query_blocks) {
        let at = query.as_ptr().cast::<v128>();
        // SAFETY: `code` is 16 bytes and `query` 16 values of 2 bytes, that is two vectors of 16 bytes; `v128_load`
        // needs no alignment.
        let (code, first, second) = unsafe { (v128_load(code.as_ptr().cast()), v128_load(at), v128_load(at.add(1))) };
        low = i32x4_add(low, i32x4_dot_i16x8(i16x8_extend_low_i8x16(code), first));
        high = i32x4_add(high, i32x4_dot_i16x8(i16x8_extend_high_i8x16(code), second));
    }
    let sum = i32x4_add(low, high);
    let lanes = i32x4_extract_lane::<0>(sum)
        .wrapping_add(i32x4_extract_lane::<1>(sum))
        .wrapping_add(i32x4_extract_lane::<2>(sum))
        .wrapping_add(i32x4_extract_lane::<3>(sum));
    code_rest.iter().zip(query_rest).fold(lanes, |sum, (&c, &q)| sum.wrapping_add(i32::from(c) * i32::from(q)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_gives_the_same_sums() {
        for width in [1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 255, 256, 600, 8192] {
            let query: Vec<f32> = (0..width).map(|i| ((i * 73 % 41) as f32 - 20.0) / 7.0).collect();
            let query = Query::new(&query);
            let codes: Vec<i8> = (0..2 * 3 * width).map(|i| (i * 57 % 255) as u8 as i8).collect();
            let scales = [0.5, 1.0, 2.0, 0.25, 0.125, 1.5];
            let mut got = Vec::new();
            query.scan(&scales, &codes, 3, |i, score| got.push((i, score)));
            let token = |t: usize| -> f32 {
                let sum: i64 = (0..width).map(|i| i64::from(codes[t * width + i]) * i64::from(query.codes[i])).sum();
                sum as f32 * scales[t]
            };
            let best = |image: usize| (0..3).map(|n| token(image * 3 + n)).fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(got, [(0, best(0) * query.scale), (1, best(1) * query.scale)], "{width}");
        }
    }

    #[test]
    fn the_largest_sums_fit() {
        for width in [1, 516, 517, 8192] {
            let query = Query::new(&vec![-1.0; width]);
            let mut got = 0.0;
            query.scan(&[1.0], &vec![-128; width], 1, |_, score| got = score);
            assert!((got / (128.0 * width as f32) - 1.0).abs() < 1e-3, "{width} {got}");
        }
    }

    #[test]
    fn strange_queries_have_finite_codes() {
        for query in [vec![f32::NAN; 4], vec![f32::INFINITY, 1.0], vec![0.0; 4], vec![f32::MIN_POSITIVE / 8.0], vec![]]
        {
            let mut scores = Vec::new();
            Query::new(&query).scan(&[1.0], &vec![1; query.len()], 1, |_, score| scores.push(score));
            assert!(scores.iter().all(|s| s.is_finite()), "{query:?} {scores:?}");
        }
    }
}
