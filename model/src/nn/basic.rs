//! Linear maps, layer norm and the two kinds of sub-block that BERT is made of.

use super::Noise;
use crate::kernels;
use burn::module::{Initializer, Module, ModuleMapper, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Tensor};

/// BERT's initial spread of weights.
const SPREAD: f64 = 0.02;

/// A linear map `[d_in, d_out]` with a bias, initialised as in BERT (normal, 0.02; bias 0).
pub fn linear(d_in: usize, d_out: usize, device: &Device) -> Linear {
    let mut map =
        LinearConfig::new(d_in, d_out).with_initializer(Initializer::Normal { mean: 0.0, std: SPREAD }).init(device);
    map.bias = Some(Param::from_tensor(Tensor::zeros([d_out], device)));
    map
}

/// A table `[rows, width]`, initialised as in BERT.
pub fn table(rows: usize, width: usize, device: &Device) -> Param<Tensor<2>> {
    Initializer::Normal { mean: 0.0, std: SPREAD }.init([rows, width], device)
}

/// A learned table `[N, D]` for each of `batch` rows: `[B, N, D]`.
pub fn for_each(table: &Param<Tensor<2>>, batch: usize) -> Tensor<3> {
    let rows = table.val();
    let [n, d] = rows.dims();
    rows.unsqueeze::<3>().expand([batch, n, d])
}

/// Applies `map` to the rows of x `[R, d_in]`: `[R, d_out]`.
pub fn apply(map: &Linear, x: Tensor<2>) -> Tensor<2> {
    kernels::linear(x, map.weight.val(), map.bias.as_ref().map(Param::val))
}

/// Applies `map` to `[B, n, d_in]` as one matrix product: burn would keep B small ones for some n.
pub fn fold(map: &Linear, x: Tensor<3>) -> Tensor<3> {
    let [b, n, d] = x.dims();
    let y = apply(map, x.reshape([b * n, d]));
    let width = y.dims()[1];
    y.reshape([b, n, width])
}

/// The same module computing in `precision`. Under autodiff the gradients arrive at the given module's own parameters:
/// mixed precision with f32 master weights.
pub fn in_precision<M: Module>(module: &M, precision: FloatDType) -> M {
    struct Cast(FloatDType);
    impl ModuleMapper for Cast {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|x| x.cast(self.0))
        }
    }
    module.clone().map(&mut Cast(precision))
}

/// Layer norm over the last dimension.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[D]`; checkpoint key `LayerNorm.weight`.
    pub gamma: Param<Tensor<1>>,
    /// `[D]`; checkpoint key `LayerNorm.bias`.
    pub beta: Param<Tensor<1>>,
    eps: f64,
}

impl Norm {
    /// The identity norm of width `d`.
    pub fn new(d: usize, eps: f64, device: &Device) -> Self {
        Self {
            gamma: Param::from_tensor(Tensor::ones([d], device)),
            beta: Param::from_tensor(Tensor::zeros([d], device)),
            eps,
        }
    }

    /// `[B, n, D]` → `[B, n, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, n, d] = x.dims();
        kernels::layer_norm(x.reshape([b * n, d]), self.gamma.val(), self.beta.val(), self.eps).reshape([b, n, d])
    }
}

/// Multi-head attention, its output map, the residual and the norm (BERT's `attention` and `crossattention`).
#[derive(Module, Debug)]
pub struct Attention {
    /// `[D, D]`; checkpoint key `self.query`.
    pub query: Linear,
    /// `[C, D]`; checkpoint key `self.key`.
    pub key: Linear,
    /// `[C, D]`; checkpoint key `self.value`.
    pub value: Linear,
    /// `[D, D]`; checkpoint key `output.dense`.
    pub output: Linear,
    /// Checkpoint key `output.LayerNorm`.
    pub norm: Norm,
    heads: usize,
}

impl Attention {
    /// Attention of `width` over tokens of width `source` (self-attention: the same).
    pub fn new(width: usize, source: usize, heads: usize, eps: f64, device: &Device) -> Self {
        Self {
            query: linear(width, width, device),
            key: linear(source, width, device),
            value: linear(source, width, device),
            output: linear(width, width, device),
            norm: Norm::new(width, eps, device),
            heads,
        }
    }

    /// Keys and values `[B, m, D]` of the tokens `[B, m, C]`.
    pub fn keys(&self, source: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        (fold(&self.key, source.clone()), fold(&self.value, source))
    }

    /// `norm(x + dropout(output(attention(x → keys))))` for x `[B, n, D]`, keys `[B, m, D]`, bias `[B, m]`.
    pub fn forward(&self, x: Tensor<3>, keys: (Tensor<3>, Tensor<3>), bias: Tensor<2>, noise: &Noise) -> Tensor<3> {
        let query = fold(&self.query, x.clone());
        let attended = kernels::attention(query, keys.0, keys.1, bias, self.heads);
        self.norm.forward(x + noise.apply(fold(&self.output, attended)))
    }
}

/// The feed-forward sub-block with its residual and norm (BERT's `intermediate` and `output`).
#[derive(Module, Debug)]
pub struct FeedForward {
    /// `[D, intermediate]`; checkpoint key `intermediate.dense`.
    pub inner: Linear,
    /// `[intermediate, D]`; checkpoint key `output.dense`.
    pub outer: Linear,
    /// Checkpoint key `output.LayerNorm`.
    pub norm: Norm,
}

impl FeedForward {
    /// A feed-forward sub-block.
    pub fn new(width: usize, intermediate: usize, eps: f64, device: &Device) -> Self {
        Self {
            inner: linear(width, intermediate, device),
            outer: linear(intermediate, width, device),
            norm: Norm::new(width, eps, device),
        }
    }

    /// `norm(x + dropout(outer(gelu(inner(x)))))`, `[B, n, D]` → `[B, n, D]`.
    pub fn forward(&self, x: Tensor<3>, noise: &Noise) -> Tensor<3> {
        let [b, n, d] = x.dims();
        let inner = kernels::gelu(apply(&self.inner, x.clone().reshape([b * n, d])));
        self.norm.forward(x + noise.apply(apply(&self.outer, inner).reshape([b, n, d])))
    }
}
