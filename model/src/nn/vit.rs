//! Vision transformers: as BLIP-2 uses them (EVA ViT-g/14 and CLIP ViT-L/14, every token kept, the class token first), and the
//! image towers of CLIP, OpenCLIP and BLIP, which give one pooled, projected, unnormalised row.
//!
//! BLIP-2's have no final norm here: its `ln_vision`, which trains, is [`crate::method::TwoPass::image_norm`]. Sources: LAVIS
//! `eva_vit.py` (39 of the 40 blocks of EVA-CLIP's ViT-g, no relative positions, no layer scale) and `clip_vit.py` (23
//! of the 24 blocks of CLIP's ViT-L); CLIP's `model.py`; BLIP's `vit.py` and `blip_retrieval.py`.

use super::basic::{Norm, fold, linear, normal, table};
use super::pre_norm::{BlockShape, PreNormBlock};
use crate::config::{VitConfig, VitFamily};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};

/// Spread of the class token's start (LAVIS: 0.02, truncated).
const CLASS_SPREAD: f64 = 0.02;

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
    pub blocks: Vec<PreNormBlock>,
    /// The norm after the blocks: CLIP's before its projection, BLIP's of every token. Checkpoint keys `ln_post`,
    /// `post_layernorm`, BLIP's `norm`.
    pub output_norm: Option<Norm>,
    /// `[C, P]`; checkpoint keys `proj`, `visual_projection`, BLIP's `vision_proj`, which has a bias.
    pub projection: Option<Linear>,
    patch_size: usize,
}

impl Vit {
    /// A randomly initialised transformer for square images of `size` pixels, a multiple of the patch.
    pub fn new(config: &VitConfig, size: usize, device: &Device) -> Self {
        let (c, clip) = (config.width, config.family == VitFamily::Clip);
        let map = |from: usize, to: usize| {
            let mut map = linear(from, to, device);
            if clip {
                map.bias = None;
            }
            map
        };
        let norm = || Norm::new(c, config.layer_norm_eps(), device);
        let side = size / config.patch;
        let shape = BlockShape {
            width: c,
            heads: config.heads,
            intermediate: config.intermediate,
            eps: config.layer_norm_eps(),
            activation: config.activation(),
            key_bias: config.family != VitFamily::Eva,
            causal: false,
            adapters: config.adapters,
        };
        let block = |at: usize| {
            let adapters = shape.adapters.filter(|adapters| adapters.stand_in(at));
            PreNormBlock::new(&BlockShape { adapters, ..shape }, device)
        };
        Self {
            patch: map(3 * config.patch * config.patch, c),
            class_token: normal([c], CLASS_SPREAD, device),
            position: table(side * side + 1, c, device),
            input_norm: clip.then(norm),
            blocks: (0..config.layers).map(block).collect(),
            output_norm: config.has_output_norm().then(norm),
            projection: config.pooled.map(|width| map(c, width)),
            patch_size: config.patch,
        }
    }

    /// Normalised pixels `[B, 3, S, S]` → tokens `[B, T, C]`, the class token first, then the grid row by row; a pooled
    /// transformer gives `[B, 1, P]`. `trace` receives what enters the first block, then every block's output. Everything is
    /// computed in the parameters' precision.
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
        for (at, block) in self.blocks.iter().enumerate() {
            let last = at + 1 == self.blocks.len() && self.projection.is_some();
            x = match trace.as_deref_mut() {
                // Of the last block's tokens, pooling reads the first alone.
                None if last => block.forward_at(x.clone(), x.slice([0..b, 0..1, 0..c]), seen.clone()),
                None => block.forward(x, seen.clone()),
                Some(trace) => {
                    trace.push(x.clone());
                    block.forward(x, seen.clone())
                }
            };
        }
        if let Some(trace) = trace {
            trace.push(x.clone());
        }
        self.read_out(x)
    }

    /// What leaves the transformer, of the tokens after the last block.
    fn read_out(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, _, c] = x.dims();
        let x = if self.projection.is_some() { x.slice([0..b, 0..1, 0..c]) } else { x };
        let x = match &self.output_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        match &self.projection {
            Some(map) => fold(map, x),
            None => x,
        }
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::error::ModelError;
    use crate::weights::{collect, load_in};
    use burn::tensor::{DType, TensorData};

    /// W_u = 0: not one bit of the encoder's output is another; and with values in W_u, every place has its own effect.
    #[test]
    fn adapters_begin_as_the_identity() {
        use crate::config::{AdapterConfig, AdapterPlace};
        let device = Device::flex();
        device.seed(6);
        for (family, pooled) in [(VitFamily::Eva, None), (VitFamily::Clip, None), (VitFamily::Clip, Some(6))] {
            let base = VitConfig {
                family,
                patch: 4,
                width: 16,
                layers: 2,
                heads: 4,
                intermediate: 32,
                pooled,
                ..VitConfig::EVA_G
            };
            let plain = Vit::new(&base, 12, &device);
            let tensors = collect(&plain, "").unwrap();
            let pixels: Vec<f32> = (0..2 * 3 * 12 * 12).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
            let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [2, 3, 12, 12]), &device);
            let bits = |vit: &Vit| {
                let values = vit.forward(pixels.clone(), None).into_data().try_to_vec::<f32>().unwrap();
                values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
            };
            let mut outputs = Vec::new();
            for after in [AdapterPlace::Both, AdapterPlace::Attention, AdapterPlace::FeedForward] {
                let adapters = Some(AdapterConfig { factor: 4, after, ..AdapterConfig::default() });
                let with = Vit::new(&VitConfig { adapters, ..base.clone() }, 12, &device);
                let mut all = collect(&with, "").unwrap();
                let own = all.keys().filter(|name| AdapterConfig::owns(name)).count();
                assert_eq!(own, if after == AdapterPlace::Both { 16 } else { 8 });
                all.extend(tensors.clone());
                let load = |all: &crate::weights::Tensors| {
                    let vit = Vit::new(&VitConfig { adapters, ..base.clone() }, 12, &device);
                    crate::weights::load(vit, "", &mut all.clone()).unwrap()
                };
                assert_eq!(bits(&load(&all)), bits(&plain), "{family:?} {pooled:?} {after:?}");
                let ups = all.iter_mut().filter(|(name, _)| name.ends_with(".up.weight"));
                ups.for_each(|(_, (_, values))| values.fill(0.5));
                outputs.push(bits(&load(&all)));
            }
            outputs.push(bits(&plain));
            outputs.sort();
            outputs.dedup();
            assert_eq!(outputs.len(), 4, "{family:?} {pooled:?}");
        }
    }

    #[test]
    fn half_precision_is_held_and_computed_and_close() {
        let device = Device::flex();
        device.seed(5);
        let config = VitConfig {
            family: VitFamily::Eva,
            patch: 4,
            width: 32,
            layers: 3,
            heads: 4,
            intermediate: 64,
            ..VitConfig::EVA_G
        };
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
