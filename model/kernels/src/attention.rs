//! Attention over plain slices, fused: scores, softmax and the sum of values never leave a core's cache.

mod rows;

use super::accumulate::{Extent, ROWS, accumulate};
use super::cpu::{GRAIN, LANES, dot, over_rows, vectorised};
use super::{Dropped, math};
pub(super) use rows::softmax;
use rows::{drop_weights, short_dot, transpose_head};

/// The sizes of one attention call.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Batch.
    pub batch: usize,
    /// Queries.
    pub n: usize,
    /// Keys.
    pub m: usize,
    /// Width of all query heads together.
    pub d: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / key_heads` neighbouring query heads.
    pub key_heads: usize,
    /// Query i sees the keys up to `past + i` only; `None`: all of them.
    pub past: Option<usize>,
    /// Dropout on the softmax's weights.
    pub dropout: Option<Dropped>,
}

/// A score whose exponential is nothing, even beside hidden positions.
pub(super) const UNSEEN: f32 = -1e30;

/// What one task of attention works in: rows over keys are padded to whole lanes, the padding's weight being zero.
struct Scratch {
    padded: usize,
    bias: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
}

/// Queries of one sample that a task answers at most, so that a single large image keeps every core busy. Each task lays out the keys
/// anew, which costs as much as a query or two.
const QUERIES: usize = 64;

/// Queries from which on products in fixed point are worth laying out keys and values for them.
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
const FIXED: usize = 16;

impl Attention {
    /// Width of all key heads together.
    pub fn key_width(&self) -> usize {
        self.d / self.heads * self.key_heads
    }

    /// Dropout's share and the hash of sample `b`.
    #[inline(always)]
    fn dropped(&self, b: usize) -> Option<(f32, u32)> {
        self.dropout.map(|Dropped { p, seed, first }| (p, math::hash(first.wrapping_add(b as u32), seed)))
    }

    /// How many keys query `row` sees.
    #[inline(always)]
    pub(super) fn seen(&self, row: usize) -> usize {
        self.past.map_or(self.m, |past| (past + row + 1).min(self.m))
    }

    fn scratch(&self, backward: bool) -> Scratch {
        let padded = self.m.div_ceil(LANES) * LANES;
        let width = self.d / self.heads;
        let rows = if backward { self.n } else { ROWS };
        Scratch {
            padded,
            bias: vec![UNSEEN; padded],
            keys: vec![0.0; width * padded],
            values: vec![0.0; if backward { width * padded } else { 0 }],
            weights: vec![0.0; rows * padded],
            slopes: vec![0.0; if backward { rows * padded } else { 0 }],
        }
    }

    /// The attended values `[B, n, D]` for q `[B, n, D]`, k and v `[B, m, key width]`, bias `[B, m]`.
    pub fn forward(&self, q: &[f32], k: &[f32], v: &[f32], bias: &[f32]) -> Vec<f32> {
        let Self { n, d, .. } = *self;
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        if n >= FIXED && self.dropout.is_none() {
            return self.forward_fixed([q, k, v, bias]);
        }
        let mut out = vec![0.0; q.len()];
        if n <= QUERIES {
            over_rows(&mut out, n * d, |first, samples| {
                let mut scratch = self.scratch(false);
                for (i, sample) in samples.chunks_exact_mut(n * d).enumerate() {
                    self.answer(sample, first + i, 0, [q, k, v, bias], &mut scratch);
                }
            });
            return out;
        }
        let rows = n.div_ceil(n.div_ceil(QUERIES)).next_multiple_of(ROWS);
        let answer = |b: usize, part: usize, out: &mut [f32]| {
            self.answer(out, b, part * rows, [q, k, v, bias], &mut self.scratch(false));
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            out.par_chunks_mut(n * d).enumerate().for_each(|(b, sample)| {
                sample.par_chunks_mut(rows * d).enumerate().for_each(|(part, out)| answer(b, part, out));
            });
        }
        #[cfg(not(feature = "rayon"))]
        for (b, sample) in out.chunks_mut(n * d).enumerate() {
            for (part, out) in sample.chunks_mut(rows * d).enumerate() {
                answer(b, part, out);
            }
        }
        out
    }

    /// The queries of sample `b` from `first` on, as many as `out` `[·, D]` has rows.
    fn answer(&self, out: &mut [f32], b: usize, first: usize, [q, k, v, bias]: [&[f32]; 4], scratch: &mut Scratch) {
        let Self { n, m, d, heads, key_heads, .. } = *self;
        let (width, kd, group) = (d / heads, self.key_width(), heads / key_heads);
        let scale = 1.0 / (width as f32).sqrt();
        let rows = out.len() / d;
        let dropped = self.dropped(b);
        // Keys that no query sees (a cache's empty room) are not looked at.
        let most = self.seen(first + rows.max(1) - 1);
        let Scratch { padded, bias: padded_bias, keys, weights, .. } = scratch;
        let padded = *padded;
        padded_bias[..m].copy_from_slice(&bias[b * m..(b + 1) * m]);
        vectorised(
            #[inline(always)]
            || {
                for h in 0..heads {
                    let offset = h / group * width;
                    let (k, v) = (&k[b * m * kd + offset..], &v[b * m * kd + offset..]);
                    if n > 1 && h % group == 0 {
                        transpose_head(k, kd, most, width, padded, keys);
                    }
                    let mut row = 0;
                    while row < rows {
                        let together = (rows - row).min(ROWS);
                        let count = self.seen(first + row + together - 1);
                        let span = count.next_multiple_of(LANES);
                        weights.fill(0.0);
                        let query = &q[(b * n + first + row) * d + h * width..];
                        let (out_row, right_row) = (padded, padded);
                        let scores = Extent {
                            rows: together,
                            out_row,
                            width: span,
                            left_row: d,
                            left_step: 1,
                            count: width,
                            right_row,
                        };
                        if n > 1 {
                            accumulate(weights, query, keys, scores);
                        } else {
                            // Turning the keys is more work than one position's scores.
                            for (score, key) in weights[..count].iter_mut().zip(k.chunks(kd)) {
                                *score = short_dot(&query[..width], &key[..width]);
                            }
                        }
                        for (r, weights) in weights.chunks_exact_mut(padded).take(together).enumerate() {
                            weights[self.seen(first + row + r)..span].fill(UNSEEN);
                            softmax(&mut weights[..span], &padded_bias[..span], scale);
                            if let Some((p, sample)) = dropped {
                                let place = math::weight_place(h as u32, (first + row + r) as u32);
                                drop_weights(&mut weights[..span], place, sample, p);
                            }
                        }
                        let (left_row, right_row) = (padded, kd);
                        let sums =
                            Extent { rows: together, out_row: d, width, left_row, left_step: 1, count, right_row };
                        accumulate(&mut out[row * d + h * width..], weights, v, sums);
                        row += together;
                    }
                }
            },
        );
    }

    /// Gradients for q, k and v.
    pub fn backward(&self, q: &[f32], k: &[f32], v: &[f32], bias: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let Self { batch, n, m, d, .. } = *self;
        let (queries, keys) = (n * d, m * self.key_width());
        let (mut dq, mut dk, mut dv) = (vec![0.0; batch * queries], vec![0.0; batch * keys], vec![0.0; batch * keys]);
        let samples = (GRAIN / (queries + 2 * keys).max(1)).max(1);
        let sizes = [queries, keys, keys].map(|size| (samples * size).max(1));
        let task = |at: usize, out: [&mut [f32]; 3]| self.differentiate(at * samples, out, [q, k, v, bias, grad]);
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let both = dk.par_chunks_mut(sizes[1]).zip(dv.par_chunks_mut(sizes[2]));
            let all = dq.par_chunks_mut(sizes[0]).zip(both).enumerate();
            all.for_each(|(at, (dq, (dk, dv)))| task(at, [dq, dk, dv]));
        }
        #[cfg(not(feature = "rayon"))]
        {
            let both = dk.chunks_mut(sizes[1]).zip(dv.chunks_mut(sizes[2]));
            let all = dq.chunks_mut(sizes[0]).zip(both).enumerate();
            all.for_each(|(at, (dq, (dk, dv)))| task(at, [dq, dk, dv]));
        }
        [dq, dk, dv]
    }

    /// Gradients of the samples from `first` on, as many as `out` has room for.
    fn differentiate(&self, first: usize, [dq, dk, dv]: [&mut [f32]; 3], [q, k, v, bias, grad]: [&[f32]; 5]) {
        let Self { n, m, d, heads, key_heads, .. } = *self;
        let (width, kd, group) = (d / heads, self.key_width(), heads / key_heads);
        let scale = 1.0 / (width as f32).sqrt();
        let Scratch { padded, bias: mut padded_bias, mut keys, mut values, mut weights, mut slopes } =
            self.scratch(true);
        let (left_row, right_row) = (d, padded);
        let scores =
            Extent { rows: n, out_row: padded, width: padded, left_row, left_step: 1, count: width, right_row };
        let to_queries = Extent { rows: n, out_row: d, width, left_row: padded, left_step: 1, count: m, right_row: kd };
        let to_keys = Extent { rows: m, out_row: kd, width, left_row: 1, left_step: padded, count: n, right_row: d };
        vectorised(
            #[inline(always)]
            || {
                let samples = dk.chunks_exact_mut(m * kd).zip(dv.chunks_exact_mut(m * kd));
                for (i, (dq, (dk, dv))) in dq.chunks_exact_mut(n * d).zip(samples).enumerate() {
                    let b = first + i;
                    let dropped = self.dropped(b);
                    padded_bias[..m].copy_from_slice(&bias[b * m..(b + 1) * m]);
                    for h in 0..heads {
                        let (offset, key_offset) = (h * width, h / group * width);
                        let (q, grad) = (&q[b * n * d + offset..], &grad[b * n * d + offset..]);
                        let (k, v) = (&k[b * m * kd + key_offset..], &v[b * m * kd + key_offset..]);
                        if h % group == 0 {
                            transpose_head(k, kd, m, width, padded, &mut keys);
                            transpose_head(v, kd, m, width, padded, &mut values);
                        }
                        weights.fill(0.0);
                        slopes.fill(0.0);
                        accumulate(&mut weights, q, &keys, scores);
                        accumulate(&mut slopes, grad, &values, scores);
                        let rows = weights.chunks_exact_mut(padded).zip(slopes.chunks_exact_mut(padded));
                        for (row, (p, ds)) in rows.enumerate() {
                            let count = self.seen(row);
                            p[count..].fill(UNSEEN);
                            softmax(p, &padded_bias, scale);
                            p[count..].fill(0.0);
                            let place = math::weight_place(h as u32, row as u32);
                            if let Some((share, sample)) = dropped {
                                drop_weights(ds, place, sample, share);
                            }
                            let mean = dot(p, ds);
                            for (s, &p) in ds.iter_mut().zip(p.iter()) {
                                *s = p * (*s - mean) * scale;
                            }
                            if let Some((share, sample)) = dropped {
                                drop_weights(p, place, sample, share);
                            }
                        }
                        accumulate(&mut dq[offset..], &slopes, k, to_queries);
                        accumulate(&mut dk[key_offset..], &slopes, q, to_keys);
                        accumulate(&mut dv[key_offset..], &weights, grad, to_keys);
                    }
                }
            },
        );
    }
}
