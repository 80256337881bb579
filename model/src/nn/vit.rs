//! Vision transformers as BLIP-2 uses them: EVA ViT-g/14 and CLIP ViT-L/14, every token kept, the class token first.
//!
//! Neither has a final norm here: BLIP-2's `ln_vision`, which trains, is [`crate::method::TwoPass::image_norm`]. Sources: LAVIS
//! `eva_vit.py` (39 of the 40 blocks of EVA-CLIP's ViT-g, no relative positions, no layer scale) and `clip_vit.py` (23
//! of the 24 blocks of CLIP's ViT-L).

use super::basic::{Norm, fold, linear, table};
use crate::config::{VitConfig, VitFamily};
use burn::module::{Initializer, Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor, activation::sigmoid};
use thisbut_kernels as kernels;

/// Slope of CLIP's QuickGELU, `x · σ(1.702 x)`.
const QUICK_GELU: f32 = 1.702;
/// Spread of the class token's start (LAVIS: 0.02, truncated).
const CLASS_SPREAD: f64 = 0.02;

/// One pre-norm block: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
#[derive(Module, Debug)]
pub struct VitBlock {
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
    heads: usize,
    quick_gelu: bool,
}

impl VitBlock {
    fn new(config: &VitConfig, device: &Device) -> Self {
        let c = config.width;
        let norm = || Norm::new(c, config.family.layer_norm_eps(), device);
        let mut key = linear(c, c, device);
        if config.family == VitFamily::Eva {
            key.bias = None;
        }
        Self {
            attention_norm: norm(),
            query: linear(c, c, device),
            key,
            value: linear(c, c, device),
            output: linear(c, c, device),
            mlp_norm: norm(),
            inner: linear(c, config.intermediate, device),
            outer: linear(config.intermediate, c, device),
            heads: config.heads,
            quick_gelu: config.family == VitFamily::Clip,
        }
    }

    /// `[B, T, C]` → `[B, T, C]`; `seen` `[B, T]` is zeros: every token attends to every token.
    fn forward(&self, x: Tensor<3>, seen: Tensor<2>) -> Tensor<3> {
        let normed = self.attention_norm.forward(x.clone());
        let query = fold(&self.query, normed.clone());
        let key = fold(&self.key, normed.clone());
        let value = fold(&self.value, normed);
        let x = x + fold(&self.output, kernels::attention(query, key, value, seen, self.heads));
        let inner = fold(&self.inner, self.mlp_norm.forward(x.clone()));
        let inner = if self.quick_gelu { inner.clone() * sigmoid(inner * QUICK_GELU) } else { kernels::gelu(inner) };
        x + fold(&self.outer, inner)
    }
}

/// A vision transformer from pixels to tokens.
#[derive(Module, Debug)]
pub struct Vit {
    /// `[3 · patch · patch, C]`: the patch convolution as a linear map, rows ordered channel, y, x. Checkpoint keys
    /// `patch_embed.proj`, `conv1` (CLIP's has no bias).
    pub patch: Linear,
    /// `[C]`; checkpoint keys `cls_token`, `class_embedding`.
    pub class_token: Param<Tensor<1>>,
    /// `[T, C]`, the class token's first; checkpoint keys `pos_embed`, `positional_embedding`.
    pub position: Param<Tensor<2>>,
    /// CLIP's norm before the blocks; checkpoint key `ln_pre`.
    pub input_norm: Option<Norm>,
    /// Checkpoint keys `blocks`, `transformer.resblocks`.
    pub blocks: Vec<VitBlock>,
    patch_size: usize,
}

impl Vit {
    /// A randomly initialised transformer for square images of `size` pixels, a multiple of the patch.
    pub fn new(config: &VitConfig, size: usize, device: &Device) -> Self {
        let (c, clip) = (config.width, config.family == VitFamily::Clip);
        let mut patch = linear(3 * config.patch * config.patch, c, device);
        if clip {
            patch.bias = None;
        }
        let side = size / config.patch;
        Self {
            patch,
            class_token: Initializer::Normal { mean: 0.0, std: CLASS_SPREAD }.init([c], device),
            position: table(side * side + 1, c, device),
            input_norm: clip.then(|| Norm::new(c, config.family.layer_norm_eps(), device)),
            blocks: (0..config.layers).map(|_| VitBlock::new(config, device)).collect(),
            patch_size: config.patch,
        }
    }

    /// Normalised pixels `[B, 3, S, S]` → tokens `[B, T, C]`, the class token first, then the grid row by row. `trace`
    /// receives what enters the first block, then every block's output. Everything is computed in the parameters' precision.
    pub fn forward(&self, pixels: Tensor<4>, mut trace: super::qformer::Trace) -> Tensor<3> {
        let ([b, channels, s, _], p) = (pixels.dims(), self.patch_size);
        let side = s / p;
        let pixels = pixels.cast(FloatDType::from(self.class_token.val().dtype()));
        let patches = pixels.reshape([b, channels, side, p, side, p]).permute([0, 2, 4, 1, 3, 5]);
        let patches = fold(&self.patch, patches.reshape([b, side * side, channels * p * p]));
        let c = patches.dims()[2];
        let class = self.class_token.val().reshape([1, 1, c]).expand([b, 1, c]);
        let mut x = Tensor::cat(vec![class, patches], 1) + self.position.val().unsqueeze::<3>();
        if let Some(norm) = &self.input_norm {
            x = norm.forward(x);
        }
        let seen = Tensor::zeros([b, side * side + 1], &x.device());
        for block in &self.blocks {
            if let Some(trace) = trace.as_deref_mut() {
                trace.push(x.clone());
            }
            x = block.forward(x, seen.clone());
        }
        if let Some(trace) = trace {
            trace.push(x.clone());
        }
        x
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::error::ModelError;
    use crate::weights::{collect, load_in};
    use burn::tensor::{DType, TensorData};

    #[test]
    fn half_precision_is_held_and_computed_and_close() {
        let device = Device::flex();
        device.seed(5);
        let config = VitConfig { family: VitFamily::Eva, patch: 4, width: 32, layers: 3, heads: 4, intermediate: 64 };
        let whole = Vit::new(&config, 12, &device);
        let mut tensors = collect(&whole, "").unwrap();
        let mut fetch = |name: &str| Ok::<_, ModelError>(tensors.remove(name));
        let half = load_in(Vit::new(&config, 12, &device), "", FloatDType::BF16, &mut fetch).unwrap();
        assert_eq!(half.blocks[2].outer.weight.val().dtype(), DType::BF16);
        let pixels: Vec<f32> = (0..2 * 3 * 12 * 12).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
        let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [2, 3, 12, 12]), &device);
        let [exact, rough] = [&whole, &half].map(|vit| vit.forward(pixels.clone(), None));
        assert_eq!((exact.dtype(), rough.dtype()), (DType::F32, DType::BF16));
        let [exact, rough] = [exact, rough].map(|x| x.into_data().convert::<f32>().try_to_vec::<f32>().unwrap());
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let cosine = dot(&exact, &rough) / (dot(&exact, &exact) * dot(&rough, &rough)).sqrt();
        assert!(cosine > 0.999 && exact != rough, "{cosine}");
    }
}
