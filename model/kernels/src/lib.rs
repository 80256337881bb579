//! Operators that burn modules call, and the scan of int8 rows. They know tensors and slices, and no model. Each operator has a portable form, composed of burn's own tensor operations, that runs on
//! every device; on the CPU (Flex) a fused kernel computes the same values, with its own backward pass.
//!
//! burn's element-wise CPU operations run on one thread and build a tensor each; under autodiff a softmax is five of
//! them and GELU is a scalar `erf`. The fused forms are what makes training and answering on a CPU practical.

// The backward passes are for training; a build that only answers (the browser's) has no use for them.
#![cfg_attr(not(feature = "autodiff"), allow(dead_code))]

#[cfg(feature = "flex")]
mod accumulate;
#[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128"))]
mod answering;
#[cfg(feature = "flex")]
mod attention;
#[cfg(feature = "flex")]
mod cpu;
#[cfg(feature = "flex")]
mod decoder;
#[cfg(feature = "flex")]
mod extension;
#[cfg(target_arch = "x86_64")]
#[cfg_attr(not(feature = "flex"), allow(dead_code, reason = "the maps in 8 bits are a part of flex"))]
mod features;
#[cfg(all(feature = "flex", any(test, all(target_arch = "wasm32", target_feature = "simd128"))))]
mod fixed;
#[cfg(feature = "flex")]
pub mod int8;
#[cfg(feature = "flex")]
mod likelihood;
#[cfg(feature = "flex")]
mod linear;
mod math;
mod portable;
pub mod scan;

use burn::tensor::{Device, Int, Tensor};

/// Whether the fused CPU kernels, which know f32 only, can take `x`.
#[cfg(feature = "flex")]
fn fused<const R: usize>(x: &Tensor<R>) -> bool {
    // A browser's module without WebGPU has no other device, and its models are in f32: the portable forms stay out of it.
    if cfg!(all(target_arch = "wasm32", target_feature = "simd128", not(feature = "cube"))) {
        return true;
    }
    let device = x.device();
    #[cfg(feature = "autodiff")]
    let device = device.inner();
    x.dtype() == burn::tensor::DType::F32 && matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_))
}

/// Exact GELU, `x · Φ(x)`, element by element (BERT's `gelu`; not the tanh form).
pub fn gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    #[cfg(feature = "flex")]
    if fused(&x) {
        return extension::gelu(x);
    }
    portable::gelu(x)
}

/// CLIP's QuickGELU, `x · σ(1.702 x)`, element by element.
pub fn quick_gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    #[cfg(feature = "flex")]
    if fused(&x) {
        return extension::quick_gelu(x);
    }
    portable::quick_gelu(x)
}

/// A linear map, `x · weight + bias`.
///
/// # Shapes
/// - x `[R, inputs]`; weight `[inputs, outputs]`; bias `[outputs]`; result `[R, outputs]`
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if fused(&x) && fused(&weight) {
        return linear::linear(x, weight, bias);
    }
    burn::tensor::module::linear(x, weight, bias)
}

/// A tensor of f32 values on `device`, as `Tensor::from_data` makes it; without the conversions from every other type, which would
/// stay in a browser's module.
pub fn from_values<const R: usize>(values: Vec<f32>, shape: [usize; R], device: &Device) -> Tensor<R> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128", not(feature = "cube")))]
    return answering::from_values(values, shape, device);
    #[cfg(not(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128", not(feature = "cube"))))]
    Tensor::from_data(burn::tensor::TensorData::new(values, shape), device)
}

/// As [`from_values`], of whole numbers.
pub fn from_ids<const R: usize>(ids: Vec<i32>, shape: [usize; R], device: &Device) -> Tensor<R, Int> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128", not(feature = "cube")))]
    return answering::from_ids(ids, shape, device);
    #[cfg(not(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128", not(feature = "cube"))))]
    Tensor::from_data(burn::tensor::TensorData::new(ids, shape), device)
}

/// A weight `[inputs, outputs]` in the form that [`linear`] reads on its device: in WebAssembly its fixed point alone, half as
/// large, behind a tensor that gives NaN to whatever else reads it; everywhere else the weight itself. For a model that only
/// answers.
pub fn resident<const R: usize>(weight: Tensor<R>) -> Tensor<R> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128"))]
    if R == 2 && fused(&weight) {
        return answering::resident(weight);
    }
    weight
}

/// A convolution of single pixels, which is one linear map of the channels of each; `relu6` holds what it gives between 0 and 6.
///
/// # Shapes
/// - x `[B, inputs, h, w]`; weight `[outputs, inputs, 1, 1]`; bias `[outputs]`; result `[B, outputs, h, w]`
pub fn pointwise(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, relu6: bool) -> Tensor<4> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128"))]
    if fused(&x) && fused(&weight) {
        return answering::pointwise(x, weight, bias, relu6);
    }
    portable::pointwise(x, weight, bias, relu6)
}

/// `sin(share · angle)` of the angles whose cosines are given; `share` itself where a cosine's size is above `parallel`, and the
/// angle 0 or a half circle.
pub fn arc<const R: usize>(cosine: Tensor<R>, share: f64, parallel: f64) -> Tensor<R> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128"))]
    if fused(&cosine) {
        return answering::arc(cosine, share as f32, parallel as f32);
    }
    portable::arc(cosine, share, parallel)
}

/// `min(max(x, 0), 6)`, element by element.
pub fn relu6<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    #[cfg(all(feature = "flex", target_arch = "wasm32", target_feature = "simd128"))]
    if fused(&x) {
        return answering::relu6(x);
    }
    portable::relu6(x)
}

/// Layer normalisation over the last dimension, `(x − mean) / sqrt(var + eps) · gamma + beta`.
///
/// # Shapes
/// - x `[R, D]`; gamma, beta `[D]`; result `[R, D]` in gamma's precision, computed in f32
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, eps: f64) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if fused(&x) && fused(&gamma) {
        return extension::layer_norm(x, gamma, beta, eps as f32);
    }
    portable::layer_norm(x, gamma, beta, eps)
}

/// Multi-head scaled dot-product attention without dropout on the weights; the softmax is computed in f32.
///
/// # Shapes
/// - query `[B, n, D]`; key, value `[B, m, D]` with the heads side by side in D
/// - bias `[B, m]`, added to the scores of every head and query (0 keeps a position, −10000 hides it, as in BERT)
/// - result `[B, n, D]`
pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, bias: Tensor<2>, heads: usize) -> Tensor<3> {
    attention_with_dropout([query, key, value], bias, heads, None)
}

/// As [`attention`] of query, key and value, with dropout on the weights, where a share and a mask are given: BERT's
/// `attention_probs_dropout_prob`. As with [`dropout`], the mask depends on the seed, the row of the batch, the head and the
/// places of query and key alone: at most 1,024 heads and queries and 4,096 keys have numbers of their own.
pub fn attention_with_dropout(
    [query, key, value]: [Tensor<3>; 3],
    bias: Tensor<2>,
    heads: usize,
    dropout: Option<(f64, Mask)>,
) -> Tensor<3> {
    let heads = Heads { query: heads, key: heads, past: None };
    let dropout = dropout.filter(|(p, _)| *p > 0.0);
    #[cfg(feature = "flex")]
    if fused(&query) {
        let dropout = dropout.map(|(p, mask)| Dropped { p: p as f32, seed: mask.folded(), first: mask.first_row });
        return extension::attention(query, key, value, bias, extension::Form { heads, dropout });
    }
    portable::attention([query, key, value], bias, heads, dropout)
}

/// Dropout on attention's weights, as the fused kernel draws it.
#[cfg(feature = "flex")]
#[derive(Clone, Copy, Debug)]
struct Dropped {
    p: f32,
    seed: u32,
    first: u32,
}

/// How attention is cut into heads, and what a query sees.
#[derive(Clone, Copy, Debug)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key and value heads; each serves `query / key` neighbouring query heads.
    pub key: usize,
    /// Causal attention: query i sees the keys up to `past + i`. `None`: all keys.
    pub past: Option<usize>,
}

/// Grouped-query attention, causal where `heads` says so; the softmax is computed in f32.
///
/// # Shapes
/// - query `[B, n, D]`; key, value `[B, m, D · key heads / query heads]`, heads side by side
/// - bias `[B, m]`, added to the scores of every head and query
/// - result `[B, n, D]`
pub fn causal_attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    bias: Tensor<2>,
    heads: Heads,
) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if fused(&query) {
        return extension::attention(query, key, value, bias, extension::Form { heads, dropout: None });
    }
    portable::attention([query, key, value], bias, heads, None)
}

/// Root-mean-square normalisation over the last dimension, `x / sqrt(mean(x²) + eps) · gamma`.
///
/// # Shapes
/// - x `[R, D]`; gamma `[D]`; result `[R, D]` in gamma's precision, computed in f32
pub fn rms_norm(x: Tensor<2>, gamma: Tensor<1>, eps: f64) -> Tensor<2> {
    #[cfg(feature = "flex")]
    if fused(&x) && fused(&gamma) {
        return decoder::rms_norm(x, gamma, eps as f32);
    }
    portable::rms_norm(x, gamma, eps)
}

/// `silu(gate) · up`, element by element.
pub fn swiglu<const R: usize>(gate: Tensor<R>, up: Tensor<R>) -> Tensor<R> {
    #[cfg(feature = "flex")]
    if fused(&gate) && fused(&up) {
        return decoder::swiglu(gate, up);
    }
    portable::swiglu(gate, up)
}

/// Rotary positions: each head's first half a and second half b become `a·cos − b·sin` and `b·cos + a·sin`.
///
/// # Shapes
/// - x `[B, n, D]`, heads side by side; cos, sin `[B, n, D / heads / 2]` or `[1, n, ·]`; result `[B, n, D]`
pub fn rotate(x: Tensor<3>, cos: Tensor<3>, sin: Tensor<3>, heads: usize) -> Tensor<3> {
    #[cfg(feature = "flex")]
    if fused(&x) && fused(&cos) {
        return decoder::rotate(x, cos, sin, heads);
    }
    portable::rotate(x, cos, sin, heads)
}

/// The negative log-likelihood of each row's class under its softmax.
///
/// # Shapes
/// - logits `[R, V]`; right, R classes below V; result `[R]`, in f32
///
/// # Panics
/// When a class is not below V.
pub fn negative_log_likelihood(logits: Tensor<2>, right: &[u32]) -> Tensor<1> {
    let classes = logits.dims()[1];
    assert!(right.iter().all(|class| (*class as usize) < classes), "a class is not below {classes}");
    #[cfg(feature = "flex")]
    if fused(&logits) && right.len() == logits.dims()[0] {
        return likelihood::negative_log_likelihood(logits, &right.into());
    }
    portable::negative_log_likelihood(logits, right)
}

/// Which mask dropout draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mask {
    /// Its seed.
    pub seed: u64,
    /// The place of `x`'s first row in the batch that it is part of.
    pub first_row: u32,
    /// Whether a device other than the CPU draws the CPU's mask too, rather than a faster one from its own generator.
    pub by_row: bool,
}

impl Mask {
    fn folded(self) -> u32 {
        (self.seed ^ (self.seed >> 32)) as u32
    }
}

/// Dropout with a seed of its own, so that a resumed run draws the same masks as an unbroken one.
///
/// Every element is kept with probability `1 − p` and scaled by `1 / (1 − p)`. The mask is a hash of the seed, the row (the
/// first dimension, counted from `first_row`) and the element's place in the row: it depends neither on how a batch is cut
/// into pieces nor on how far its rows are padded at their end. Without `by_row`, a device other than the CPU draws its mask
/// from its own generator, which the trainer seeds each step.
pub fn dropout<const R: usize>(x: Tensor<R>, p: f64, mask: Mask) -> Tensor<R> {
    if p <= 0.0 {
        return x;
    }
    if cfg!(target_arch = "wasm32") {
        unreachable!("a browser's module only answers, and dropout is for training");
    }
    let folded = mask.folded();
    #[cfg(feature = "flex")]
    if fused(&x) {
        return extension::dropout(x, p as f32, folded, mask.first_row);
    }
    match mask.by_row {
        true => portable::dropout_by_row(x, p, folded, mask.first_row),
        false => portable::dropout(x, p),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests;
