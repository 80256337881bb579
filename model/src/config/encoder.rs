//! The frozen image encoder E_I.

use super::budget::{Demand, MAX_LAYERS, Size, product};
use super::{check_count, check_counts, wrong};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A frozen image encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageEncoderConfig {
    /// EfficientNet-Lite's feature grid as tokens (variant 0, 1 or 2): Lite0 gives T = 49 tokens of C = 1280.
    EfficientnetLite {
        /// 0, 1 or 2.
        variant: usize,
    },
    /// A vision transformer of BLIP-2: T = 257 tokens of C = 1408 (EVA ViT-g/14) or 1024 (CLIP ViT-L/14).
    Vit(VitConfig),
    /// One convolution of `patch` × `patch` pixels; for tests, which need an encoder that runs in microseconds.
    Patch {
        /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
        patch: usize,
        /// C.
        width: usize,
    },
}

/// A vision transformer whose every token is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Which of the two.
    pub family: VitFamily,
    /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
    pub patch: usize,
    /// C.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; divide C.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
}

/// Where two pre-norm vision transformers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VitFamily {
    /// EVA: biased patches, keys without a bias, exact GELU, epsilon 1e-6.
    Eva,
    /// CLIP: patches without a bias, a norm before the first block, QuickGELU, epsilon 1e-5.
    Clip,
}

impl VitFamily {
    /// Epsilon of the blocks' norms.
    pub fn layer_norm_eps(self) -> f64 {
        match self {
            Self::Eva => 1e-6,
            Self::Clip => 1e-5,
        }
    }
}

impl ImageEncoderConfig {
    /// T, the tokens of an image of `size` × `size` pixels.
    pub fn tokens(&self, size: usize) -> usize {
        let (side, class) = match self {
            Self::EfficientnetLite { .. } => (size.div_ceil(32), 0),
            Self::Vit(vit) => (size / vit.patch, 1),
            Self::Patch { patch, .. } => (size / patch, 0),
        };
        side * side + class
    }

    /// C, the width of a token.
    pub fn width(&self) -> usize {
        match self {
            Self::EfficientnetLite { .. } => crate::nn::efficientnet::HEAD_WIDTH,
            Self::Vit(vit) => vit.width,
            Self::Patch { width, .. } => *width,
        }
    }

    pub(super) fn check(&self, place: &str, size: usize) -> Result<()> {
        match self {
            Self::EfficientnetLite { variant } if *variant > 2 => {
                let problem = format!("there is no EfficientNet-Lite{variant} here, only 0, 1 and 2");
                wrong(place, "image_encoder.variant", problem)
            }
            Self::EfficientnetLite { .. } => Ok(()),
            Self::Vit(vit) => vit.check(place, size),
            Self::Patch { patch, width } => {
                check_counts(place, &[("image_encoder.patch", *patch), ("image_encoder.width", *width)])?;
                match size.is_multiple_of(*patch) {
                    true => Ok(()),
                    false => wrong(place, "image_encoder.patch", format!("{patch} does not divide {size}")),
                }
            }
        }
    }

    /// What it takes for images of `size` × `size` pixels; [`ImageEncoderConfig::check`] has looked at the fields.
    pub(super) fn demand(&self, size: usize) -> Demand {
        let (pixels, tokens) = (product(&[3, size, size]), self.tokens(size));
        match self {
            // Lite2, the largest. Its largest array has 96 · 1.1 channels of half the side; a convolution is made with
            // every pixel, at most 4 · 10⁴ multiplications each.
            Self::EfficientnetLite { .. } => Demand {
                size: Size { parameters: 5_000_000, standing: 50_000 },
                activation: product(&[28, size, size]),
                work: product(&[40_000, size, size]),
            },
            Self::Vit(vit) => vit.demand(tokens, pixels),
            Self::Patch { patch, width } => {
                let size = Size::table(product(&[3, *patch, *patch]) as usize, *width) + Size::values(*width);
                let work = size.parameters.saturating_mul(tokens as u64);
                Demand { size, activation: pixels.max(product(&[tokens, *width])), work }
            }
        }
    }
}

impl VitConfig {
    fn check(&self, place: &str, size: usize) -> Result<()> {
        let counts = [self.patch, self.width, self.layers, self.heads, self.intermediate];
        counts.iter().try_for_each(|count| check_count(place, "image_encoder", *count, 1 << 16))?;
        check_count(place, "image_encoder.layers", self.layers, MAX_LAYERS)?;
        if !size.is_multiple_of(self.patch) {
            return wrong(place, "image_encoder.patch", format!("{} does not divide {size}", self.patch));
        }
        if !self.width.is_multiple_of(self.heads) {
            return wrong(place, "image_encoder.heads", format!("{} do not divide {}", self.heads, self.width));
        }
        Ok(())
    }

    /// For an image of `tokens` tokens (T) and as many values of `pixels`.
    fn demand(&self, tokens: usize, pixels: u64) -> Demand {
        let (c, patch, tensors) = (self.width, product(&[3, self.patch, self.patch]) as usize, Size::linear);
        let (clip, norm) = (self.family == VitFamily::Clip, Size::norm(c));
        let key = if clip { tensors(c, c) } else { Size::table(c, c) };
        let maps = tensors(c, c).times(3) + key + tensors(c, self.intermediate) + tensors(self.intermediate, c);
        let blocks = (maps + norm.times(2)).times(self.layers);
        let input = if clip { Size::table(patch, c) + norm } else { tensors(patch, c) };
        // The class token and the positions, which have no values at first.
        let size = blocks + input + Size::table(1, c) + Size::table(tokens, c);
        let widest = c.max(self.intermediate).max(patch);
        let attention = product(&[2, tokens, tokens, c, self.layers]);
        let work = (blocks + input).parameters.saturating_mul(tokens as u64).saturating_add(attention);
        Demand { size, activation: pixels.max(product(&[tokens, widest])), work }
    }
}
