//! The operators composed of burn's own tensor operations: what every device but the CPU runs, and what the fused
//! forms are tested against.

use burn::tensor::{Distribution, FloatDType, Tensor, activation};

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
