//! The fused CPU kernels over plain slices: vectorised per processor by `pulp`, spread over cores by rayon.

use super::math;

/// Partial sums that are kept in registers.
pub(super) const LANES: usize = 16;

/// Rows handed to one task: large enough that a task costs more than scheduling it.
pub(super) const GRAIN: usize = 16 * 1024;

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
pub(super) fn sum(x: &[f32]) -> f32 {
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

/// The sum of what `part` makes of groups of `rows` rows, `width` values each.
pub(super) fn sum_of_parts(
    rows: usize,
    width: usize,
    part: impl Fn(core::ops::Range<usize>) -> Vec<f32> + Sync + Send,
) -> Vec<f32> {
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
    let mut total = vec![0.0; width];
    for sums in sums {
        total.iter_mut().zip(sums).for_each(|(t, v)| *t += v);
    }
    total
}

/// Gradients of [`layer_norm`] for gamma and beta, one after the other: `[2, D]`.
pub fn layer_norm_backward_affine(x: &[f32], grad: &[f32], d: usize, eps: f32) -> Vec<f32> {
    sum_of_parts(x.len() / d, 2 * d, |rows| {
        let mut sums = vec![0.0f32; 2 * d];
        let (dg, db) = sums.split_at_mut(d);
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
        sums
    })
}
