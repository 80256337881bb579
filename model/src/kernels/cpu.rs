//! The fused CPU kernels over plain slices: vectorised per processor by `pulp`, spread over cores by rayon.

use super::math;

/// Rows handed to one task: large enough that a task costs more than scheduling it.
const GRAIN: usize = 16 * 1024;

/// Runs `body` compiled for the widest vectors this processor has.
///
/// The wrapper calls the closure by reference: the `FnOnce` shim that `pulp` would call for a closure is a function of its
/// own, which the compiler may leave outside the wide code.
#[inline(always)]
pub(super) fn vectorised(body: impl FnMut()) {
    struct Body<F>(F);
    impl<F: FnMut()> pulp::NullaryFnOnce for Body<F> {
        type Output = ();
        #[inline(always)]
        fn call(mut self) {
            (self.0)();
        }
    }
    pulp::Arch::new().dispatch(Body(body));
}

/// Runs `f(first_row, rows_of_out)` over `out` cut into groups of whole rows.
pub(super) fn over_rows(out: &mut [f32], row: usize, f: impl Fn(usize, &mut [f32]) + Sync + Send) {
    let rows = (GRAIN / row.max(1)).max(1);
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        if out.len() > 2 * GRAIN {
            out.par_chunks_mut(rows * row).enumerate().for_each(|(i, chunk)| f(i * rows, chunk));
            return;
        }
    }
    for (i, chunk) in out.chunks_mut(rows * row).enumerate() {
        f(i * rows, chunk);
    }
}

/// `out[i] = f(x[i])`.
pub fn map(x: &[f32], f: impl Fn(f32) -> f32 + Sync + Send + Copy) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    over_rows(&mut out, 1, |first, chunk| {
        let len = chunk.len();
        let source = &x[first..first + len];
        vectorised(
            #[inline(always)]
            || {
                for (o, &v) in chunk.iter_mut().zip(source) {
                    *o = f(v);
                }
            },
        );
    });
    out
}

/// `out[i] = f(x[i], y[i])`.
pub fn map2(x: &[f32], y: &[f32], f: impl Fn(f32, f32) -> f32 + Sync + Send + Copy) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    over_rows(&mut out, 1, |first, chunk| {
        let (xs, ys) = (&x[first..first + chunk.len()], &y[first..first + chunk.len()]);
        vectorised(
            #[inline(always)]
            || {
                for ((o, &a), &b) in chunk.iter_mut().zip(xs).zip(ys) {
                    *o = f(a, b);
                }
            },
        );
    });
    out
}

/// `out[r, i] = kept(first + r, i) ? x[r, i] / (1 − p) : 0` for rows of `row` elements. The backward pass is the same map
/// over the gradient.
pub fn dropout(x: &[f32], row: usize, p: f32, seed: u32, first: u32) -> Vec<f32> {
    let (scale, row) = (1.0 / (1.0 - p), row.max(1));
    let mut out = vec![0.0; x.len()];
    over_rows(&mut out, row, |start, chunk| {
        let source = &x[start * row..start * row + chunk.len()];
        for (r, (out, source)) in chunk.chunks_mut(row).zip(source.chunks(row)).enumerate() {
            let own = math::hash(first.wrapping_add((start + r) as u32), seed);
            vectorised(
                #[inline(always)]
                || {
                    for (i, (o, &v)) in out.iter_mut().zip(source).enumerate() {
                        let keep = if math::uniform(i as u32, own) >= p { scale } else { 0.0 };
                        *o = v * keep;
                    }
                },
            );
        }
    });
    out
}

/// Sum of `f` over `x`, in sixteen partial sums: independent, so they vectorise, and more exact than one running sum.
#[inline(always)]
pub(super) fn sum_of(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest: f32 = chunks.remainder().iter().map(|&v| f(v)).sum();
    for chunk in chunks {
        for (l, &v) in lanes.iter_mut().zip(chunk) {
            *l += f(v);
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn sum(x: &[f32]) -> f32 {
    sum_of(
        x,
        #[inline(always)]
        |v| v,
    )
}

#[inline(always)]
pub(super) fn dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let (xs, ys) = (x.chunks_exact(16), y.chunks_exact(16));
    let rest: f32 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in xs.zip(ys) {
        for ((l, &u), &v) in lanes.iter_mut().zip(a).zip(b) {
            *l += u * v;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    let variance = sum_of(
        x,
        #[inline(always)]
        |v| (v - mean) * (v - mean),
    ) / n;
    (mean, 1.0 / (variance + eps).sqrt())
}

/// Layer norm of the rows of `x` `[R, D]`.
pub fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], eps: f32) -> Vec<f32> {
    let d = gamma.len();
    let mut out = vec![0.0; x.len()];
    over_rows(&mut out, d, |first, rows| {
        vectorised(
            #[inline(always)]
            || {
                for (i, o) in rows.chunks_exact_mut(d).enumerate() {
                    let row = &x[(first + i) * d..(first + i + 1) * d];
                    let (mean, scale) = moments(row, eps);
                    for (((o, &v), &g), &b) in o.iter_mut().zip(row).zip(gamma).zip(beta) {
                        *o = (v - mean) * scale * g + b;
                    }
                }
            },
        );
    });
    out
}

/// Gradient of [`layer_norm`] for x `[R, D]`.
pub fn layer_norm_backward_x(x: &[f32], gamma: &[f32], grad: &[f32], eps: f32) -> Vec<f32> {
    let d = gamma.len();
    let mut out = vec![0.0; x.len()];
    over_rows(&mut out, d, |first, rows| {
        vectorised(
            #[inline(always)]
            || {
                for (i, dx) in rows.chunks_exact_mut(d).enumerate() {
                    let range = (first + i) * d..(first + i + 1) * d;
                    let (row, g) = (&x[range.clone()], &grad[range]);
                    let (mean, scale) = moments(row, eps);
                    // dx = scale · (g·γ − mean(g·γ) − x̂ · mean(g·γ·x̂)); dx holds g·γ first.
                    for ((o, &a), &b) in dx.iter_mut().zip(g).zip(gamma) {
                        *o = a * b;
                    }
                    let a = sum(dx) / d as f32;
                    let b = (dot(dx, row) - mean * a * d as f32) * scale / d as f32;
                    for (o, &v) in dx.iter_mut().zip(row) {
                        *o = scale * (*o - a - (v - mean) * scale * b);
                    }
                }
            },
        );
    });
    out
}

/// Gradients of [`layer_norm`] for gamma and beta, `[D]` each.
pub fn layer_norm_backward_affine(x: &[f32], grad: &[f32], d: usize, eps: f32) -> (Vec<f32>, Vec<f32>) {
    let part = |rows: core::ops::Range<usize>| {
        let (mut dg, mut db) = (vec![0.0f32; d], vec![0.0f32; d]);
        vectorised(
            #[inline(always)]
            || {
                for r in rows.clone() {
                    let (row, g) = (&x[r * d..(r + 1) * d], &grad[r * d..(r + 1) * d]);
                    let (mean, scale) = moments(row, eps);
                    for (((dg, db), &v), &g) in dg.iter_mut().zip(db.iter_mut()).zip(row).zip(g) {
                        *dg += g * (v - mean) * scale;
                        *db += g;
                    }
                }
            },
        );
        (dg, db)
    };
    let rows = x.len() / d;
    // A fixed number of parts, whatever the number of threads: the sums, and so a whole run, stay the same.
    let size = rows.div_ceil(8).max(1);
    let parts: Vec<_> = (0..rows).step_by(size).map(|r| r..(r + size).min(rows)).collect();
    #[cfg(feature = "rayon")]
    let sums: Vec<_> = {
        use rayon::prelude::*;
        parts.into_par_iter().map(part).collect()
    };
    #[cfg(not(feature = "rayon"))]
    let sums: Vec<_> = parts.into_iter().map(part).collect();
    let mut total = (vec![0.0; d], vec![0.0; d]);
    for (dg, db) in sums {
        total.0.iter_mut().zip(dg).for_each(|(t, v)| *t += v);
        total.1.iter_mut().zip(db).for_each(|(t, v)| *t += v);
    }
    total
}

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
}

/// Lanes that a block of output holds in registers.
const LANES: usize = 16;

/// A score whose exponential is nothing, even beside hidden positions.
const UNSEEN: f32 = -1e30;

/// `out[j][i] = x[i][j]` for one head of `rows` positions; `out` has rows of `padded` elements, the surplus untouched.
#[inline(always)]
fn transpose_head(x: &[f32], d: usize, rows: usize, width: usize, padded: usize, out: &mut [f32]) {
    for i in 0..rows {
        for (j, &v) in x[i * d..i * d + width].iter().enumerate() {
            out[j * padded + i] = v;
        }
    }
}

/// `out[..] += Σ_k left[k · step] · right[k · stride + ..]` for k in `0..count`, a block of lanes at a time so that the
/// sums stay in registers.
#[inline(always)]
fn accumulate(out: &mut [f32], left: &[f32], step: usize, count: usize, right: &[f32], stride: usize) {
    let mut at = 0;
    let mut blocks = out.chunks_exact_mut(LANES);
    for block in &mut blocks {
        let mut lanes = [0.0f32; LANES];
        lanes.copy_from_slice(block);
        for k in 0..count {
            let l = left[k * step];
            let from = k * stride + at;
            for (o, &r) in lanes.iter_mut().zip(&right[from..from + LANES]) {
                *o += l * r;
            }
        }
        block.copy_from_slice(&lanes);
        at += LANES;
    }
    for (i, o) in blocks.into_remainder().iter_mut().enumerate() {
        for k in 0..count {
            *o += left[k * step] * right[k * stride + at + i];
        }
    }
}

/// Σ x · y, for vectors of which there are many: sixteen sums that are added pair by pair.
#[inline(always)]
fn short_dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 16];
    let ((xs, x), (ys, y)) = (x.as_chunks::<16>(), y.as_chunks::<16>());
    for (x, y) in xs.iter().zip(ys) {
        for ((l, &u), &v) in lanes.iter_mut().zip(x).zip(y) {
            *l += u * v;
        }
    }
    for ((l, &u), &v) in lanes.iter_mut().zip(x).zip(y) {
        *l += u * v;
    }
    for half in [8, 4, 2, 1] {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(l, h)| *l += *h);
    }
    lanes[0]
}

/// Softmax of `scores · scale + bias`, in place. Both have the same length.
#[inline(always)]
fn softmax(scores: &mut [f32], bias: &[f32], scale: f32) {
    let mut max = [f32::NEG_INFINITY; LANES];
    for (scores, bias) in scores.chunks_exact_mut(LANES).zip(bias.chunks_exact(LANES)) {
        for ((s, &b), m) in scores.iter_mut().zip(bias).zip(&mut max) {
            *s = *s * scale + b;
            *m = if *s > *m { *s } else { *m };
        }
    }
    let max = max.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for s in scores.iter_mut() {
        *s = math::exp(*s - max);
    }
    let inverse = 1.0 / sum(scores);
    for s in scores.iter_mut() {
        *s *= inverse;
    }
}

/// What one task of attention works in: rows over keys are padded to whole lanes, the padding's weight being zero.
struct Scratch {
    padded: usize,
    bias: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
}

impl Attention {
    /// Width of all key heads together.
    pub fn key_width(&self) -> usize {
        self.d / self.heads * self.key_heads
    }

    /// How many keys query `row` sees, and the same in whole lanes.
    #[inline(always)]
    fn seen(&self, row: usize) -> (usize, usize) {
        let count = self.past.map_or(self.m, |past| (past + row + 1).min(self.m));
        (count, count.div_ceil(LANES) * LANES)
    }

    fn scratch(&self, backward: bool) -> Scratch {
        let padded = self.m.div_ceil(LANES) * LANES;
        let width = self.d / self.heads;
        let rows = if backward { self.n } else { 1 };
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
        let Self { n, m, d, heads, key_heads, .. } = *self;
        let (width, kd, group) = (d / heads, self.key_width(), heads / key_heads);
        // Keys that no query sees (a cache's empty room) are not looked at.
        let most = self.seen(n.max(1) - 1).0;
        let scale = 1.0 / (width as f32).sqrt();
        let mut out = vec![0.0; q.len()];
        over_rows(&mut out, n * d, |first, chunk| {
            let Scratch { padded, bias: mut padded_bias, mut keys, mut weights, .. } = self.scratch(false);
            vectorised(
                #[inline(always)]
                || {
                    for (i, out) in chunk.chunks_exact_mut(n * d).enumerate() {
                        let b = first + i;
                        padded_bias[..m].copy_from_slice(&bias[b * m..(b + 1) * m]);
                        for h in 0..heads {
                            let offset = h / group * width;
                            let (k, v) = (&k[b * m * kd + offset..], &v[b * m * kd + offset..]);
                            if n > 1 && h % group == 0 {
                                transpose_head(k, kd, most, width, padded, &mut keys);
                            }
                            for row in 0..n {
                                let at = row * d + h * width;
                                let (count, span) = self.seen(row);
                                let (weights, q) = (&mut weights[..span], &q[b * n * d + at..]);
                                weights.fill(0.0);
                                if n > 1 {
                                    accumulate(weights, q, 1, width, &keys, padded);
                                } else {
                                    // Turning the keys is more work than one position's scores.
                                    for (score, key) in weights[..count].iter_mut().zip(k.chunks(kd)) {
                                        *score = short_dot(&q[..width], &key[..width]);
                                    }
                                }
                                weights[count..].fill(UNSEEN);
                                softmax(weights, &padded_bias[..span], scale);
                                accumulate(&mut out[at..at + width], weights, 1, count, v, kd);
                            }
                        }
                    }
                },
            );
        });
        out
    }

    /// Gradients for q, k and v, one buffer `[B, n · D + 2m · key width]` with q, k, v side by side for each sample.
    pub fn backward(&self, q: &[f32], k: &[f32], v: &[f32], bias: &[f32], grad: &[f32]) -> Vec<f32> {
        let Self { batch, n, m, d, heads, key_heads, .. } = *self;
        let (width, kd, group) = (d / heads, self.key_width(), heads / key_heads);
        let scale = 1.0 / (width as f32).sqrt();
        let each = n * d + 2 * m * kd;
        let mut out = vec![0.0; batch * each];
        over_rows(&mut out, each, |first, chunk| {
            let Scratch { padded, bias: mut padded_bias, mut keys, mut values, mut weights, mut slopes } =
                self.scratch(true);
            vectorised(
                #[inline(always)]
                || {
                    for (i, out) in chunk.chunks_exact_mut(each).enumerate() {
                        let b = first + i;
                        padded_bias[..m].copy_from_slice(&bias[b * m..(b + 1) * m]);
                        let (dq, rest) = out.split_at_mut(n * d);
                        let (dk, dv) = rest.split_at_mut(m * kd);
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
                            let rows = weights.chunks_exact_mut(padded).zip(slopes.chunks_exact_mut(padded));
                            for (row, (p, ds)) in rows.enumerate() {
                                let (count, span) = self.seen(row);
                                let (p, ds) = (&mut p[..span], &mut ds[..span]);
                                accumulate(p, &q[row * d..], 1, width, &keys, padded);
                                p[count..].fill(UNSEEN);
                                softmax(p, &padded_bias[..span], scale);
                                p[count..].fill(0.0);
                                accumulate(ds, &grad[row * d..], 1, width, &values, padded);
                                let mean = dot(p, ds);
                                for (s, &p) in ds.iter_mut().zip(p.iter()) {
                                    *s = p * (*s - mean) * scale;
                                }
                                let at = row * d + offset;
                                accumulate(&mut dq[at..at + width], ds, 1, count, k, kd);
                            }
                            for j in 0..m {
                                let at = j * kd + key_offset;
                                accumulate(&mut dk[at..at + width], &slopes[j..], padded, n, q, d);
                                accumulate(&mut dv[at..at + width], &weights[j..], padded, n, grad, d);
                            }
                        }
                    }
                },
            );
        });
        out
    }
}
