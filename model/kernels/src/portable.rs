//! The operators composed of burn's own tensor operations: what every device but the CPU runs, and what the fused
//! forms are tested against.

use super::{Heads, Mask, math};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Distribution, FloatDType, Int, IntDType, Tensor, TensorData, activation};

/// Added to a score that causal attention hides.
const UNSEEN: f32 = -1e9;

pub fn gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    activation::gelu(x)
}

pub fn quick_gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    x.clone() * activation::sigmoid(x * math::QUICK)
}

pub fn arc<const R: usize>(cosine: Tensor<R>, share: f64, parallel: f64) -> Tensor<R> {
    let straight = cosine.clone().abs().greater_elem(parallel);
    (cosine.clamp(-parallel, parallel).acos() * share).sin().mask_fill(straight, share)
}

/// On a CPU this form takes a third less of EfficientNet's time than `clamp`.
pub fn relu6<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    activation::relu(x).clamp_max(6.0)
}

pub fn pointwise(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, within: bool) -> Tensor<4> {
    let y = conv2d(x, weight, Some(bias), ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
    if within { relu6(y) } else { y }
}

pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<2> {
    let precision = FloatDType::from(gamma.dtype());
    let [x, gamma, beta] = [x, gamma.unsqueeze::<2>(), beta.unsqueeze::<2>()].map(|x| x.cast(FloatDType::F32));
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    (centred / (variance + eps).sqrt() * gamma + beta).cast(precision)
}

pub fn attention(
    [query, key, value]: [Tensor<3>; 3],
    bias: Tensor<2>,
    heads: Heads,
    dropout: Option<(f64, Mask)>,
) -> Tensor<3> {
    let Heads { query: heads, key: key_heads, past } = heads;
    let [b, n, d] = query.dims();
    let m = key.dims()[1];
    let (width, group) = (d / heads, heads / key_heads);
    // The queries of a group of heads stand below one another: they look at the same keys.
    let q = query.reshape([b, n, key_heads, group, width]).permute([0, 2, 3, 1, 4]);
    let q = q.reshape([b, key_heads, group * n, width]);
    let split = |x: Tensor<3>| x.reshape([b, m, key_heads, width]).swap_dims(1, 2);
    let (k, v) = (split(key), split(value));
    let precision = FloatDType::from(v.dtype());
    let scores = q.matmul(k.swap_dims(2, 3)).cast(FloatDType::F32) / (width as f64).sqrt();
    let mut scores = scores + bias.cast(FloatDType::F32).reshape([b, 1, 1, m]);
    if let Some(past) = past {
        let hidden = |row: usize, at: usize| if at <= past + row { 0.0 } else { UNSEEN };
        let mask: Vec<f32> = (0..group * n).flat_map(|row| (0..m).map(move |at| hidden(row % n, at))).collect();
        let mask = Tensor::<2>::from_data(TensorData::new(mask, [group * n, m]), &scores.device());
        scores = scores + mask.reshape([1, 1, group * n, m]);
    }
    let mut weights = activation::softmax(scores, 3);
    if let Some((p, mask)) = dropout {
        weights = drop_weights(weights, p, mask);
    }
    let out = weights.cast(precision).matmul(v).reshape([b, key_heads, group, n, width]);
    out.permute([0, 3, 1, 2, 4]).reshape([b, n, d])
}

/// Dropout on weights `[B, H, n, m]`.
fn drop_weights(weights: Tensor<4>, p: f64, mask: Mask) -> Tensor<4> {
    if !mask.by_row {
        return dropout(weights, p);
    }
    let [_, h, n, m] = weights.dims();
    let of_query = |at: u32| math::weight_place(at / n as u32, at % n as u32);
    let places =
        (0..(h * n) as u32).flat_map(|at| (0..m as u32).map(move |key| of_query(at).wrapping_add(key))).collect();
    hashed_dropout(weights, p, (mask.folded(), mask.first_row), places)
}

pub fn rms_norm(x: Tensor<2>, gamma: Tensor<1>, eps: f64) -> Tensor<2> {
    let precision = FloatDType::from(gamma.dtype());
    let [x, gamma] = [x, gamma.unsqueeze::<2>()].map(|x| x.cast(FloatDType::F32));
    let scale = (x.clone().square().mean_dim(1) + eps).sqrt();
    (x / scale * gamma).cast(precision)
}

pub fn swiglu<const R: usize>(gate: Tensor<R>, up: Tensor<R>) -> Tensor<R> {
    activation::silu(gate) * up
}

pub fn negative_log_likelihood(logits: Tensor<2>, right: &[u32]) -> Tensor<1> {
    let count = right.len();
    let right: Vec<i32> = right.iter().map(|class| *class as i32).collect();
    let right = Tensor::<2, Int>::from_data(TensorData::new(right, [count, 1]), &logits.device());
    activation::log_softmax(logits.cast(FloatDType::F32), 1).gather(1, right).reshape([count]).neg()
}

pub fn rotate(x: Tensor<3>, cos: Tensor<3>, sin: Tensor<3>, heads: usize) -> Tensor<3> {
    let precision = FloatDType::from(x.dtype());
    let [b, n, d] = x.dims();
    let half = d / heads / 2;
    let x = x.cast(FloatDType::F32).reshape([b, n, heads, 2 * half]);
    let (first, second) = (x.clone().narrow(3, 0, half), x.narrow(3, half, half));
    let [cos, sin] = [cos, sin].map(|t| t.unsqueeze_dim::<4>(2));
    let turned = [first.clone() * cos.clone() - second.clone() * sin.clone(), second * cos + first * sin];
    Tensor::cat(turned.to_vec(), 3).reshape([b, n, d]).cast(precision)
}

pub fn dropout<const R: usize>(x: Tensor<R>, p: f64) -> Tensor<R> {
    let keep = x.random_like(Distribution::Bernoulli(1.0 - p));
    x * keep / (1.0 - p)
}

/// The CPU's mask (see [`super::dropout`]) in integer operations of any device.
pub fn dropout_by_row<const R: usize>(x: Tensor<R>, p: f64, seed: u32, first: u32) -> Tensor<R> {
    let count = x.shape().num_elements() / x.dims()[0].max(1);
    hashed_dropout(x, p, (seed, first), (0..count as u32).collect())
}

/// Dropout by the hash of seed, row and place; a row's elements have `places`.
fn hashed_dropout<const R: usize>(x: Tensor<R>, p: f64, (seed, first): (u32, u32), places: Vec<u32>) -> Tensor<R> {
    let device = x.device();
    let (rows, count) = (x.dims()[0], places.len());
    let seeds: Vec<u32> = (0..rows as u32).map(|r| math::hash(first.wrapping_add(r), seed)).collect();
    let places: Vec<u32> = places.into_iter().map(|i| i.wrapping_mul(math::SPREAD)).collect();
    let integers = |values: Vec<u32>, shape: [usize; 2]| {
        Tensor::<2, Int>::from_data(TensorData::new(values, shape), (&device, burn::tensor::DType::U32))
    };
    let shift = |h: &Tensor<2, Int>, bits: u32| h.clone().bitwise_right_shift_scalar(bits);
    let h = integers(seeds, [rows, 1]).bitwise_xor(integers(places, [1, count]));
    let h = shift(&h, 16).bitwise_xor(h).mul_scalar(math::MIX[0]);
    let h = shift(&h, 13).bitwise_xor(h).mul_scalar(math::MIX[1]);
    let h = shift(&h, 16).bitwise_xor(h);
    // 24 bits are exact in f32, and in the integers of any device.
    let least = (p as f32 * 16_777_216.0).ceil();
    let kept = shift(&h, 8).cast(IntDType::I32).float().greater_equal_elem(least).float();
    let precision = FloatDType::from(x.dtype());
    x.clone() * kept.cast(precision).reshape(x.dims()) / (1.0 - p)
}
