//! Cross-attention between image and text tokens, and the pooling after it, as ConText-CIR has them: the paper's form and its
//! code's (`src/Models.py`, `MultiheadCrossAttention`, `AttentionPooler`).

use super::basic::{Norm, apply, fold, linear, normal};
use crate::config::{FusionConfig, FusionForm, Pooling};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor, activation};
use thisbut_kernels as kernels;

/// Epsilon of the norms (PyTorch's default).
const EPS: f64 = 1e-5;

/// Multi-head attention with a bias on every map, whose weights can be seen.
#[derive(Module, Debug)]
pub struct CrossAttention {
    /// `[C, C]`; checkpoint key `q_proj`.
    pub query: Linear,
    /// `[D, C]`; checkpoint key `k_proj`.
    pub key: Linear,
    /// `[D, C]`; checkpoint key `v_proj`.
    pub value: Linear,
    /// `[C, C]`; checkpoint key `out_proj`.
    pub output: Linear,
    heads: usize,
}

impl CrossAttention {
    /// Attention of tokens of `width` (C) over tokens of `source` (D).
    pub fn new(width: usize, source: usize, heads: usize, device: &Device) -> Self {
        Self {
            query: linear(width, width, device),
            key: linear(source, width, device),
            value: linear(source, width, device),
            output: linear(width, width, device),
            heads,
        }
    }

    /// What x `[B, n, C]` reads of the tokens `source` `[B, m, D]`, whose `bias` `[B, m]` hides padding: `[B, n, C]`.
    pub fn forward(&self, x: Tensor<3>, source: Tensor<3>, bias: Tensor<2>) -> Tensor<3> {
        let (key, value) = (fold(&self.key, source.clone()), fold(&self.value, source));
        fold(&self.output, kernels::attention(fold(&self.query, x), key, value, bias, self.heads))
    }

    /// As [`CrossAttention::forward`], and the weights `[B, n, m]` that each of x gave to each of the tokens, the mean over the
    /// heads, in f32. The fused kernel never builds them.
    pub fn weighed(&self, x: Tensor<3>, source: Tensor<3>, bias: Tensor<2>) -> (Tensor<3>, Tensor<3>) {
        let ([b, n, c], m, heads) = (x.dims(), source.dims()[1], self.heads);
        let precision = FloatDType::from(x.dtype());
        let by_head = |x: Tensor<3>| {
            let [_, n, _] = x.dims();
            x.cast(FloatDType::F32).reshape([b, n, heads, c / heads]).swap_dims(1, 2)
        };
        let (query, key) = (by_head(fold(&self.query, x)), by_head(fold(&self.key, source.clone())));
        let scores = query.matmul(key.transpose()) / ((c / heads) as f64).sqrt();
        let weights = activation::softmax(scores + bias.cast(FloatDType::F32).reshape([b, 1, 1, m]), 3);
        let read = weights.clone().matmul(by_head(fold(&self.value, source))).swap_dims(1, 2).reshape([b, n, c]);
        (fold(&self.output, read.cast(precision)), weights.mean_dim(1).reshape([b, n, m]))
    }
}

/// The second half of a block in the published code's form.
#[derive(Module, Debug)]
pub struct FusionFeed {
    /// Before attention; checkpoint key `fusion_attn_norms`.
    pub attention_norm: Norm,
    /// Before the feed-forward network; checkpoint key `fusion_ffn_norms`.
    pub norm: Norm,
    /// C → 4·C; checkpoint key `fusion_ffns.i.0`.
    pub inner: Linear,
    /// 4·C → C; checkpoint key `fusion_ffns.i.3`.
    pub outer: Linear,
}

/// One block: image tokens look at text tokens.
#[derive(Module, Debug)]
pub struct FusionBlock {
    /// Checkpoint key `cross_attn_layers`.
    pub attention: CrossAttention,
    /// Norms and feed-forward network, where the form has them.
    pub feed: Option<FusionFeed>,
}

impl FusionBlock {
    /// A block for image tokens of `width` (C) and text tokens of `source` (D), randomly initialised.
    pub fn new(config: &FusionConfig, width: usize, source: usize, device: &Device) -> Self {
        let inner = FusionConfig::intermediate(width);
        let feed = || FusionFeed {
            attention_norm: Norm::new(width, EPS, device),
            norm: Norm::new(width, EPS, device),
            inner: linear(width, inner, device),
            outer: linear(inner, width, device),
        };
        Self {
            attention: CrossAttention::new(width, source, config.heads, device),
            feed: (config.form == FusionForm::Transformer).then(feed),
        }
    }

    /// Image tokens x `[B, T, C]` after a look at text tokens `[B, L, D]`; where `seen` is there, it receives attention's weights
    /// `[B, T, L]`, the mean over the heads.
    pub fn forward(&self, x: Tensor<3>, text: Tensor<3>, bias: Tensor<2>, seen: Seen) -> Tensor<3> {
        let asking = match &self.feed {
            Some(feed) => feed.attention_norm.forward(x.clone()),
            None => x.clone(),
        };
        let read = match seen {
            None => self.attention.forward(asking, text, bias),
            Some(seen) => {
                let (read, weights) = self.attention.weighed(asking, text, bias);
                seen.push(weights);
                read
            }
        };
        let x = x + read;
        let Some(feed) = &self.feed else { return x };
        let inner = kernels::gelu(fold(&feed.inner, feed.norm.forward(x.clone())));
        x + fold(&feed.outer, inner)
    }
}

/// Receives the attention weights of each block, where somebody asks for them.
pub type Seen<'a> = Option<&'a mut Vec<Tensor<3>>>;

/// Whether published training starts the parameter `name` of a model with a fusion at zero, so that each block passes image
/// tokens on as they are: the last maps of attention and feed-forward network.
pub fn starts_at_zero(name: &str) -> bool {
    name.starts_with("fusion.") && (name.contains(".attention.output.") || name.contains(".feed.outer."))
}

/// What Set Transformer has around its attention.
#[derive(Module, Debug)]
pub struct SetFeed {
    /// rFF of the tokens: a linear map with ReLU.
    pub before: Linear,
    /// rFF of what was pooled.
    pub after: Linear,
    /// After it.
    pub norm: Norm,
}

/// Pools tokens to one vector by a learned seed that looks at them.
#[derive(Module, Debug)]
pub struct AttentionPool {
    /// S `[1, C]`; checkpoint key `attn_pooler.queries`.
    pub seed: Param<Tensor<2>>,
    /// Checkpoint key `attn_pooler.attention`.
    pub attention: CrossAttention,
    /// Checkpoint key `attn_pooler.norm`.
    pub norm: Norm,
    /// Set Transformer's own.
    pub set: Option<SetFeed>,
}

impl AttentionPool {
    /// A randomly initialised pooling of tokens of `width` (C).
    pub fn new(form: Pooling, width: usize, heads: usize, device: &Device) -> Self {
        let set = || SetFeed {
            before: linear(width, width, device),
            after: linear(width, width, device),
            norm: Norm::new(width, EPS, device),
        };
        Self {
            seed: normal([1, width], 1.0 / (width as f64).sqrt(), device),
            attention: CrossAttention::new(width, width, heads, device),
            norm: Norm::new(width, EPS, device),
            set: (form == Pooling::SetTransformer).then(set),
        }
    }

    /// The weights `[B, T]` that the seed gives to tokens `[B, T, C]`, the mean over the heads, in f32.
    pub fn weights(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [b, t, c] = tokens.dims();
        let tokens = match &self.set {
            Some(set) => activation::relu(fold(&set.before, tokens)),
            None => tokens,
        };
        let seeds = self.seed.val().unsqueeze::<3>().expand([b, 1, c]);
        let all = Tensor::zeros([b, t], &tokens.device());
        self.attention.weighed(seeds, tokens, all).1.reshape([b, t])
    }

    /// `[B, T, C]` → `[B, C]`.
    pub fn forward(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [b, t, c] = tokens.dims();
        let seeds = self.seed.val().unsqueeze::<3>().expand([b, 1, c]);
        let all = Tensor::zeros([b, t], &tokens.device());
        let Some(set) = &self.set else {
            return self.norm.forward(self.attention.forward(seeds, tokens, all)).reshape([b, c]);
        };
        let tokens = activation::relu(fold(&set.before, tokens));
        let x = self.norm.forward(seeds.clone() + self.attention.forward(seeds, tokens, all)).reshape([b, c]);
        let x = x.clone() + activation::relu(apply(&set.after, x));
        set.norm.forward(x.reshape([b, 1, c])).reshape([b, c])
    }
}
