//! The operators composed of burn's own tensor operations: what every device but the CPU runs, and what the fused
//! forms are tested against.

use super::math;
use burn::tensor::{Distribution, FloatDType, Int, IntDType, Tensor, TensorData, activation};

pub fn gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    activation::gelu(x)
}

pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<2> {
    let precision = FloatDType::from(gamma.dtype());
    let [x, gamma, beta] = [x, gamma.unsqueeze::<2>(), beta.unsqueeze::<2>()].map(|x| x.cast(FloatDType::F32));
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    (centred / (variance + eps).sqrt() * gamma + beta).cast(precision)
}

pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, bias: Tensor<2>, heads: usize) -> Tensor<3> {
    let [b, n, d] = query.dims();
    let m = key.dims()[1];
    let split = |x: Tensor<3>, len: usize| x.reshape([b, len, heads, d / heads]).swap_dims(1, 2);
    let (q, k, v) = (split(query, n), split(key, m), split(value, m));
    let precision = FloatDType::from(v.dtype());
    let scores = q.matmul(k.swap_dims(2, 3)).cast(FloatDType::F32) / ((d / heads) as f64).sqrt();
    let weights = activation::softmax(scores + bias.reshape([b, 1, 1, m]), 3).cast(precision);
    weights.matmul(v).swap_dims(1, 2).reshape([b, n, d])
}

pub fn dropout<const R: usize>(x: Tensor<R>, p: f64) -> Tensor<R> {
    let keep = x.random_like(Distribution::Bernoulli(1.0 - p));
    x * keep / (1.0 - p)
}

/// The CPU's mask (see [`super::dropout`]) in integer operations of any device.
pub fn dropout_by_row<const R: usize>(x: Tensor<R>, p: f64, seed: u32, first: u32) -> Tensor<R> {
    let device = x.device();
    let (rows, count) = (x.dims()[0], x.shape().num_elements() / x.dims()[0].max(1));
    let seeds: Vec<u32> = (0..rows as u32).map(|r| math::hash(first.wrapping_add(r), seed)).collect();
    let places: Vec<u32> = (0..count as u32).map(|i| i.wrapping_mul(math::SPREAD)).collect();
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
