//! Rows of attention: products, softmax, dropout of the weights.

use crate::cpu::{LANES, sum};
use crate::math;

/// A score this far below a row's highest weighs nothing: e^-30 is a millionth of the least that f32 can add to 1. A trained model
/// looks at few places and has such scores for most others; their weights, times small gradients, would be subnormal numbers in the
/// gradients of keys and values and in every product after them, each of which costs some processors a hundred cycles.
const FAINT: f32 = -30.0;

/// `out[j][i] = x[i][j]` for one head of `rows` positions; `out` has rows of `padded` elements, the surplus untouched.
#[inline(always)]
pub(super) fn transpose_head(x: &[f32], d: usize, rows: usize, width: usize, padded: usize, out: &mut [f32]) {
    for i in 0..rows {
        for (j, &v) in x[i * d..i * d + width].iter().enumerate() {
            out[j * padded + i] = v;
        }
    }
}

/// Σ x · y, for vectors of which there are many: sixteen sums that are added pair by pair.
#[inline(always)]
pub(super) fn short_dot(x: &[f32], y: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let ((xs, x), (ys, y)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
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
pub(crate) fn softmax(scores: &mut [f32], bias: &[f32], scale: f32) {
    let mut max = [f32::NEG_INFINITY; LANES];
    for (scores, bias) in scores.chunks_exact_mut(LANES).zip(bias.chunks_exact(LANES)) {
        for ((s, &b), m) in scores.iter_mut().zip(bias).zip(&mut max) {
            *s = *s * scale + b;
            *m = if *s > *m { *s } else { *m };
        }
    }
    let max = max.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    for s in scores.iter_mut() {
        let below = *s - max;
        let weight = math::exp(below);
        *s = if below < FAINT { 0.0 } else { weight };
    }
    let inverse = 1.0 / sum(scores);
    for s in scores.iter_mut() {
        *s *= inverse;
    }
}

/// Dropout of the weights of one query of one head, in place; `row` is the hash of the sample.
#[inline(always)]
pub(super) fn drop_weights(weights: &mut [f32], place: u32, row: u32, p: f32) {
    let scale = 1.0 / (1.0 - p);
    for (key, weight) in (0u32..).zip(weights) {
        *weight *= if math::uniform(place.wrapping_add(key), row) >= p { scale } else { 0.0 };
    }
}
