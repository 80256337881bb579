//! From an image encoder's tokens to the space of the texts, for an encoder that was trained without texts.

use super::basic::{Norm, apply, linear};
use crate::config::ImageHeadConfig;
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};
use thisbut_kernels as kernels;

/// Epsilon of the norm.
const EPS: f64 = 1e-5;

/// From the mean `[B, C]` of an image encoder's tokens to the embedding `[B, P]`.
#[derive(Module, Debug)]
pub struct ImageHead {
    /// Over C.
    pub norm: Norm,
    /// C → hidden, with GELU, where the configuration has it.
    pub inner: Option<Linear>,
    /// C or hidden → P.
    pub projection: Linear,
}

impl ImageHead {
    /// A randomly initialised head from `width` (C) to `projection` (P).
    pub fn new(head: &ImageHeadConfig, width: usize, projection: usize, device: &Device) -> Self {
        Self {
            norm: Norm::new(width, EPS, device),
            inner: head.hidden.map(|hidden| linear(width, hidden, device)),
            projection: linear(head.hidden.unwrap_or(width), projection, device),
        }
    }

    /// `[B, C]` → `[B, P]`, not normalised, in the parameters' precision.
    pub fn forward(&self, pooled: Tensor<2>) -> Tensor<2> {
        let [b, c] = pooled.dims();
        let pooled = pooled.cast(FloatDType::from(self.projection.weight.val().dtype()));
        let x = self.norm.forward(pooled.reshape([b, 1, c])).reshape([b, c]);
        let x = match &self.inner {
            Some(map) => kernels::gelu(apply(map, x)),
            None => x,
        };
        apply(&self.projection, x)
    }
}

/// The mean `[B, C]` of image tokens `[B, T, C]`.
pub fn mean_token(tokens: Tensor<3>) -> Tensor<2> {
    let [b, t, c] = tokens.dims();
    match t {
        1 => tokens.reshape([b, c]),
        _ => tokens.mean_dim(1).reshape([b, c]),
    }
}
