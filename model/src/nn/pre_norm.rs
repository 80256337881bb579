//! The pre-norm block of vision transformers and of CLIP's text tower: `x + attention(norm(x))`, then `x + mlp(norm(x))`.

use super::adapter::{Adapter, Adapters};
use super::basic::{Norm, fold, linear};
use crate::config::{Activation, AdapterConfig};
use burn::module::Module;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use thisbut_kernels::{self as kernels, Heads};

/// The measures of a block.
#[derive(Clone, Copy, Debug)]
pub struct BlockShape {
    /// C, or D in a text tower.
    pub width: usize,
    /// Attention heads; divide the width.
    pub heads: usize,
    /// Width of the feed-forward network.
    pub intermediate: usize,
    /// Epsilon of both norms.
    pub eps: f64,
    /// Of the feed-forward network.
    pub activation: Activation,
    /// Whether keys have a bias.
    pub key_bias: bool,
    /// Whether a position sees itself and those before it alone.
    pub causal: bool,
    /// Adapters after its sub-blocks.
    pub adapters: Option<AdapterConfig>,
}

/// One pre-norm block.
#[derive(Module, Debug)]
pub struct PreNormBlock {
    /// Checkpoint keys `norm1`, `ln_1`.
    pub attention_norm: Norm,
    /// `[C, C]`; first third of checkpoint keys `attn.qkv`, `attn.in_proj`; bias `attn.q_bias`.
    pub query: Linear,
    /// `[C, C]`; second third. EVA's has no bias: one would add the same to all scores of a query.
    pub key: Linear,
    /// `[C, C]`; last third; bias `attn.v_bias`.
    pub value: Linear,
    /// `[C, C]`; checkpoint keys `attn.proj`, `attn.out_proj`.
    pub output: Linear,
    /// Checkpoint keys `norm2`, `ln_2`.
    pub mlp_norm: Norm,
    /// `[C, intermediate]`; checkpoint keys `mlp.fc1`, `mlp.c_fc`.
    pub inner: Linear,
    /// `[intermediate, C]`; checkpoint keys `mlp.fc2`, `mlp.c_proj`.
    pub outer: Linear,
    /// What trains in the block while the rest of it is frozen, where the configuration has it.
    pub adapters: Option<Adapters>,
    heads: usize,
    #[module(skip)]
    activation: Activation,
    causal: bool,
}

impl PreNormBlock {
    /// A randomly initialised block.
    pub fn new(shape: &BlockShape, device: &Device) -> Self {
        let c = shape.width;
        let norm = || Norm::new(c, shape.eps, device);
        let mut key = linear(c, c, device);
        if !shape.key_bias {
            key.bias = None;
        }
        Self {
            attention_norm: norm(),
            query: linear(c, c, device),
            key,
            value: linear(c, c, device),
            output: linear(c, c, device),
            mlp_norm: norm(),
            inner: linear(c, shape.intermediate, device),
            outer: linear(shape.intermediate, c, device),
            adapters: shape.adapters.map(|adapters| Adapters::new(&adapters, c, device)),
            heads: shape.heads,
            activation: shape.activation,
            causal: shape.causal,
        }
    }

    /// `[B, T, C]` → `[B, T, C]`; `bias` `[B, T]` is added to the scores of each key.
    pub fn forward(&self, x: Tensor<3>, bias: Tensor<2>) -> Tensor<3> {
        let normed = self.attention_norm.forward(x.clone());
        let query = fold(&self.query, normed.clone());
        let (key, value) = (fold(&self.key, normed.clone()), fold(&self.value, normed));
        let attended = match self.causal {
            true => {
                let heads = Heads { query: self.heads, key: self.heads, past: Some(0) };
                kernels::causal_attention(query, key, value, bias, heads)
            }
            false => kernels::attention(query, key, value, bias, self.heads),
        };
        self.feed(x + self.attended(attended))
    }

    /// What [`PreNormBlock::forward`] gives for one position of each row, `at` `[B, 1, C]` of x `[B, T, C]`, without the others'.
    /// `bias` hides the positions that it does not see, in a causal block too.
    pub fn forward_at(&self, x: Tensor<3>, at: Tensor<3>, bias: Tensor<2>) -> Tensor<3> {
        let query = fold(&self.query, self.attention_norm.forward(at.clone()));
        let normed = self.attention_norm.forward(x);
        let (key, value) = (fold(&self.key, normed.clone()), fold(&self.value, normed));
        self.feed(at + self.attended(kernels::attention(query, key, value, bias, self.heads)))
    }

    /// What attention adds to the residual.
    fn attended(&self, attended: Tensor<3>) -> Tensor<3> {
        let output = fold(&self.output, attended);
        adapted(self.adapters.as_ref().and_then(|adapters| adapters.attention.as_ref()), output)
    }

    fn feed(&self, x: Tensor<3>) -> Tensor<3> {
        let inner = fold(&self.inner, self.mlp_norm.forward(x.clone()));
        let inner = match self.activation {
            Activation::QuickGelu => kernels::quick_gelu(inner),
            Activation::Gelu => kernels::gelu(inner),
        };
        let outer = fold(&self.outer, inner);
        x + adapted(self.adapters.as_ref().and_then(|adapters| adapters.feed_forward.as_ref()), outer)
    }
}

/// A sub-block's output after its adapter, where it has one.
fn adapted(adapter: Option<&Adapter>, output: Tensor<3>) -> Tensor<3> {
    match adapter {
        Some(adapter) => adapter.forward(output),
        None => output,
    }
}
