//! Linear maps, layer norm and the two kinds of sub-block that BERT is made of.

use super::Noise;
use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Distribution, FloatDType, Tensor, activation};
use thisbut_kernels as kernels;

/// BERT's initial spread of weights.
const SPREAD: f64 = 0.02;
/// Keeps the norm of a zero vector from dividing by zero (PyTorch's `F.normalize`).
const NORMALISE_EPS: f64 = 1e-12;

/// A linear map `[d_in, d_out]` with a bias, initialised as in BERT (normal, 0.02; bias 0).
pub fn linear(d_in: usize, d_out: usize, device: &Device) -> Linear {
    Linear {
        weight: normal([d_in, d_out], SPREAD, device),
        bias: Some(Param::from_tensor(Tensor::zeros([d_out], device))),
    }
}

/// A parameter of normally distributed values around 0, drawn when they are first asked for: a loaded one draws none. burn's
/// `Initializer` is the same with every other distribution, and the linear algebra of one would fill a tenth of a browser's
/// module.
pub fn normal<const D: usize>(shape: [usize; D], spread: f64, device: &Device) -> Param<Tensor<D>> {
    let draw = move |device: &Device, gradient: bool| {
        device.memory_persistent_allocations((), move |()| {
            let values = Tensor::<D>::random(shape, Distribution::Normal(0.0, spread), device);
            if gradient { values.require_grad() } else { values }
        })
    };
    Param::uninitialized(ParamId::new(), draw, device.clone(), true, shape.into())
}

/// A table `[rows, width]`, initialised as in BERT.
pub fn table(rows: usize, width: usize, device: &Device) -> Param<Tensor<2>> {
    normal([rows, width], SPREAD, device)
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

/// L2-normalises the rows of `[R, P]`, in f32.
pub fn normalise(x: Tensor<2>) -> Tensor<2> {
    let x = x.cast(FloatDType::F32);
    let norm = (x.clone() * x.clone()).sum_dim(1).sqrt().clamp_min(NORMALISE_EPS);
    x / norm
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

    /// As [`Norm::forward`], of the first channels, as many as the norm has; further ones pass as they are.
    pub fn forward_first(&self, x: Tensor<3>) -> Tensor<3> {
        let ([b, n, d], [own]) = (x.dims(), self.gamma.dims());
        if d == own {
            return self.forward(x);
        }
        let further = x.clone().slice([0..b, 0..n, own..d]);
        let normed = self.forward(x.slice([0..b, 0..n, 0..own]));
        let dtype = FloatDType::from(normed.dtype());
        Tensor::cat(vec![normed, further.cast(dtype)], 2)
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

    /// `norm(x + dropout(output(attention(x → keys))))`, with dropout on attention's weights where `noise` has it, for x `[B, n, D]`, keys `[B, m, D]`, bias `[B, m]`.
    pub fn forward(&self, x: Tensor<3>, keys: (Tensor<3>, Tensor<3>), bias: Tensor<2>, noise: &Noise) -> Tensor<3> {
        let query = fold(&self.query, x.clone());
        let attended = kernels::attention_with_dropout([query, keys.0, keys.1], bias, self.heads, noise.for_weights());
        self.norm.forward(x + noise.apply(fold(&self.output, attended)))
    }

    /// The weights that [`Attention::forward`] gives to each key: softmax(q·k / √(D/H) + bias), `[B, H, n, m]`, in f32,
    /// for x `[B, n, D]`, keys `[B, m, D]`, bias `[B, m]`. The fused kernel never builds them; a method that needs them, for
    /// a loss or a picture, asks here.
    pub fn weights(&self, x: Tensor<3>, keys: Tensor<3>, bias: Tensor<2>) -> Tensor<4> {
        let heads = |x: Tensor<3>| {
            let [b, n, d] = x.dims();
            x.cast(FloatDType::F32).reshape([b, n, self.heads, d / self.heads]).swap_dims(1, 2)
        };
        let (query, keys) = (heads(fold(&self.query, x)), heads(keys));
        let [b, _, _, width] = query.dims();
        let m = keys.dims()[2];
        let scores = query.matmul(keys.transpose()) / (width as f64).sqrt();
        activation::softmax(scores + bias.cast(FloatDType::F32).reshape([b, 1, 1, m]), 3)
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

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::Tolerance;

    #[test]
    fn attention_gives_the_weights_that_it_used() {
        let device = Device::flex();
        device.seed(5);
        let (b, n, m, d, heads) = (2, 3, 5, 8, 4);
        let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Normal(0.0, 2.0), &device);
        let attention = Attention::new(d, d, heads, 1e-12, &device);
        let (x, source) = (random([b, n, d]), random([b, m, d]));
        let bias = Tensor::<2>::from_data([[0.0, 0.0, -1e4, 0.0, 0.0], [0.0, 0.0, 0.0, -1e4, -1e4]], &device);
        let (keys, values) = attention.keys(source);
        let weights = attention.weights(x.clone(), keys.clone(), bias.clone());
        assert_eq!(weights.dims(), [b, heads, n, m]);
        let values_by_head = values.clone().reshape([b, m, heads, d / heads]).swap_dims(1, 2);
        let attended = weights.clone().matmul(values_by_head).swap_dims(1, 2).reshape([b, n, d]);
        let by_weights = attention.norm.forward(x.clone() + fold(&attention.output, attended));
        let fused = attention.forward(x, (keys, values), bias, &Noise::off());
        fused.into_data().assert_approx_eq::<f32>(&by_weights.into_data(), Tolerance::absolute(1e-5));
        let hidden: f32 = weights.slice([1..2, 0..heads, 0..n, 3..5]).sum().into_scalar();
        assert_eq!(hidden, 0.0);
    }
}
