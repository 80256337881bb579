//! The frozen image encoder E_I.

use super::wrong;
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
            Self::Patch { patch, width } if *patch == 0 || *width == 0 || !size.is_multiple_of(*patch) => {
                wrong(place, "image_encoder.patch", format!("{patch} does not divide {size}"))
            }
            Self::Vit(vit) => vit.check(place, size),
            _ => Ok(()),
        }
    }
}

impl VitConfig {
    fn check(&self, place: &str, size: usize) -> Result<()> {
        let counts = [self.patch, self.width, self.layers, self.heads, self.intermediate];
        if let Some(count) = counts.iter().find(|count| !(1..=1 << 16).contains(*count)) {
            return wrong(place, "image_encoder", format!("{count} is not between 1 and {}", 1 << 16));
        }
        if !size.is_multiple_of(self.patch) {
            return wrong(place, "image_encoder.patch", format!("{} does not divide {size}", self.patch));
        }
        if !self.width.is_multiple_of(self.heads) {
            return wrong(place, "image_encoder.heads", format!("{} do not divide {}", self.heads, self.width));
        }
        Ok(())
    }
}
