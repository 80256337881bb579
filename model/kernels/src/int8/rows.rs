//! Values in 8 bits: a block's codes and scale, and rows of activations.

use super::super::cpu::vectorised;
use super::{BLOCK, OFFSET};

/// Codes of a block, their scale and their sum. Values too small to be divided by count as 0.
#[inline(always)]
pub(super) fn quantize(values: &[f32; BLOCK], codes: &mut [i8; BLOCK]) -> (f32, i32) {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer in the low mantissa bits.
    let mut lanes = [0.0f32; 16];
    for half in values.chunks_exact(16) {
        for (m, v) in lanes.iter_mut().zip(half) {
            *m = if v.abs() > *m { v.abs() } else { *m };
        }
    }
    let largest = lanes.iter().fold(0.0f32, |a, &b| if b > a { b } else { a });
    let inverse = if largest > 1e-30 { 127.0 / largest } else { 0.0 };
    let mut sum = 0;
    for (code, v) in codes.iter_mut().zip(values) {
        let whole = ((v * inverse + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
        *code = whole as i8;
        sum += i32::from(*code);
    }
    (largest / 127.0, sum)
}

/// Rows of activations, quantized.
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) blocks: usize,
    /// `[count, blocks · BLOCK]`.
    pub(super) codes: Vec<i8>,
    /// `[count, blocks]`.
    pub(super) scales: Vec<f32>,
    /// What each block's sum begins with, `[count, blocks]`: it undoes the weights' offset.
    pub(super) begins: Vec<i32>,
}

impl Rows {
    /// Quantizes the rows of x `[·, width]`.
    pub(super) fn new(x: &[f32], width: usize) -> Self {
        let (count, blocks) = (x.len() / width.max(1), width.div_ceil(BLOCK));
        let mut codes = vec![0i8; count * blocks * BLOCK];
        let (mut scales, mut begins) = (vec![0.0f32; count * blocks], vec![0i32; count * blocks]);
        let fill = |first: usize, codes: &mut [i8], scales: &mut [f32], begins: &mut [i32]| {
            vectorised(
                #[inline(always)]
                || {
                    let rows = codes.chunks_exact_mut(blocks * BLOCK);
                    let rows = rows.zip(scales.chunks_exact_mut(blocks).zip(begins.chunks_exact_mut(blocks)));
                    for (row, (codes, (scales, begins))) in rows.enumerate() {
                        let row = &x[(first + row) * width..(first + row + 1) * width];
                        let (whole, rest) = row.as_chunks::<BLOCK>();
                        let mut last = [0.0; BLOCK];
                        last[..rest.len()].copy_from_slice(rest);
                        let each = whole.iter().chain((!rest.is_empty()).then_some(&last));
                        let (codes, _) = codes.as_chunks_mut::<BLOCK>();
                        for ((values, codes), (scale, begin)) in each.zip(codes).zip(scales.iter_mut().zip(begins)) {
                            let sum;
                            (*scale, sum) = quantize(values, codes);
                            *begin = -OFFSET * sum;
                        }
                    }
                },
            );
        };
        if blocks > 0 {
            #[cfg(feature = "rayon")]
            {
                use rayon::prelude::*;
                // As many rows as are worth a task.
                let some = (16 * 1024 / width.max(1)).max(1);
                let scaled = scales.par_chunks_mut(some * blocks).zip(begins.par_chunks_mut(some * blocks));
                let parts = codes.par_chunks_mut(some * blocks * BLOCK).zip(scaled);
                if count > some {
                    parts.enumerate().for_each(|(i, (codes, (scales, begins)))| fill(i * some, codes, scales, begins));
                } else {
                    fill(0, &mut codes, &mut scales, &mut begins);
                }
            }
            #[cfg(not(feature = "rayon"))]
            fill(0, &mut codes, &mut scales, &mut begins);
        }
        Self { count, blocks, codes, scales, begins }
    }

    /// What these codes leave over of x, quantized.
    pub(super) fn rest(&self, x: &[f32], width: usize) -> Self {
        let mut left = x.to_vec();
        for (row, left) in left.chunks_exact_mut(width.max(1)).enumerate() {
            for (block, left) in left.chunks_mut(BLOCK).enumerate() {
                let at = row * self.blocks + block;
                let codes = &self.codes[at * BLOCK..(at + 1) * BLOCK];
                left.iter_mut().zip(codes).for_each(|(v, code)| *v -= f32::from(*code) * self.scales[at]);
            }
        }
        Self::new(&left, width)
    }
}
