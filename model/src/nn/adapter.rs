//! Adapters: small maps between the frozen weights of a transformer's blocks, which train in their place.
//!
//! FashionBLIP-2: section 4.2, eq. 1, `Adapter(x) = x + W_u GELU(W_d x)`. It follows VL-Adapter (Sung et al., 2022), whose
//! adapters take a sub-block's output before it joins the residual.

use super::basic::{fold, linear};
use crate::config::AdapterConfig;
use burn::module::{Module, Param, ParamId};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use thisbut_kernels as kernels;

/// One adapter.
#[derive(Module, Debug)]
pub struct Adapter {
    /// W_d, `[C, C / factor]`.
    pub down: Linear,
    /// W_u, `[C / factor, C]`; zero at the start, so that the adapter passes on what it gets.
    pub up: Linear,
}

impl Adapter {
    /// The identity for tokens of `width` (C).
    pub fn new(config: &AdapterConfig, width: usize, device: &Device) -> Self {
        let inner = config.bottleneck(width);
        let map = |weight: Linear| Linear { bias: weight.bias.filter(|_| config.bias), ..weight };
        let up = Linear { weight: zeros([inner, width], device), ..linear(inner, width, device) };
        Self { down: map(linear(width, inner, device)), up: map(up) }
    }

    /// `[B, T, C]` → `[B, T, C]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + fold(&self.up, kernels::gelu(fold(&self.down, x)))
    }
}

/// The adapters of one block.
#[derive(Module, Debug)]
pub struct Adapters {
    /// After attention.
    pub attention: Option<Adapter>,
    /// After the feed-forward network.
    pub feed_forward: Option<Adapter>,
}

impl Adapters {
    /// Those of a block over tokens of `width` (C); each is the identity.
    pub fn new(config: &AdapterConfig, width: usize, device: &Device) -> Self {
        let one = |there: bool| there.then(|| Adapter::new(config, width, device));
        Self {
            attention: one(config.after.is_after_attention()),
            feed_forward: one(config.after.is_after_feed_forward()),
        }
    }
}

/// Whether the parameter `name` starts at zero, so that its adapter begins as the identity: W_u and every bias.
pub fn starts_at_zero(name: &str) -> bool {
    AdapterConfig::owns(name) && (name.ends_with(".up.weight") || name.ends_with(".bias"))
}

/// A parameter of zeros, which takes memory when it is first asked for.
fn zeros(shape: [usize; 2], device: &Device) -> Param<Tensor<2>> {
    let fill = move |device: &Device, gradient: bool| {
        device.memory_persistent_allocations((), move |()| {
            let values = Tensor::<2>::zeros(shape, device);
            if gradient { values.require_grad() } else { values }
        })
    };
    Param::uninitialized(ParamId::new(), fill, device.clone(), true, shape.into())
}
