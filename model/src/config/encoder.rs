//! The frozen image encoder E_I.

use super::adapter::{AdapterConfig, AdapterPlace};
use super::budget::{Demand, MAX_LAYERS, Size, product};
use super::{check_count, check_counts, wrong};
use crate::error::Result;
use crate::gallery::MAX_DIMENSION;
use crate::nn::{colours, efficientnet};
use serde::{Deserialize, Serialize};

/// A frozen image encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageEncoderConfig {
    /// EfficientNet-Lite's feature grid as tokens (variant 0, 1 or 2): Lite0 gives T = 49 tokens of C = 1280.
    EfficientnetLite {
        /// 0, 1 or 2.
        variant: usize,
        /// Whether 32 channels more tell how much of each colour a cell has ([`crate::nn::colours`]): C = 1312 (default: no).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        colours: bool,
        /// Adapters behind its blocks (default: none).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        adapters: Option<AdapterConfig>,
    },
    /// A vision transformer: BLIP-2's give T = 257 tokens of C = 1408 (EVA ViT-g/14) or 1024 (CLIP ViT-L/14), a pooled one
    /// T = 1 token of C = P.
    Vit(VitConfig),
    /// One convolution of `patch` × `patch` pixels; for tests, which need an encoder that runs in microseconds.
    Patch {
        /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
        patch: usize,
        /// C.
        width: usize,
    },
}

/// A vision transformer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Which kind.
    pub family: VitFamily,
    /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
    pub patch: usize,
    /// Its tokens' width: C, where they are kept.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; divide the width.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// Of the feed-forward networks (default: the family's). OpenCLIP's towers are CLIP's with exact GELU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Epsilon of the norms (default: the family's).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_norm_eps: Option<f64>,
    /// P, where the image is one row (T = 1, C = P): the class token after the last norm, projected, not normalised. Default:
    /// every token is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooled: Option<usize>,
    /// Adapters between the frozen weights of each block (default: none).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapters: Option<AdapterConfig>,
}

/// What stands between the two maps of a feed-forward network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x · σ(1.702 x)`: OpenAI's CLIP.
    QuickGelu,
    /// `x · Φ(x)`.
    Gelu,
}

/// Where pre-norm vision transformers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VitFamily {
    /// EVA: biased patches, keys without a bias, exact GELU, epsilon 1e-6.
    Eva,
    /// CLIP: patches without a bias, a norm before the first block, QuickGELU, epsilon 1e-5.
    Clip,
    /// BLIP: biases everywhere, a norm after the last block, exact GELU, epsilon 1e-6 (Hugging Face's port: 1e-5).
    Blip,
}

impl VitFamily {
    /// Epsilon of the norms.
    pub fn layer_norm_eps(self) -> f64 {
        match self {
            Self::Eva | Self::Blip => 1e-6,
            Self::Clip => 1e-5,
        }
    }

    /// Of the feed-forward networks.
    pub fn activation(self) -> Activation {
        match self {
            Self::Clip => Activation::QuickGelu,
            Self::Eva | Self::Blip => Activation::Gelu,
        }
    }
}

impl VitConfig {
    /// BLIP-2's EVA ViT-g/14.
    pub const EVA_G: Self = Self {
        family: VitFamily::Eva,
        patch: 14,
        width: 1408,
        layers: 39,
        heads: 16,
        intermediate: 6144,
        activation: None,
        layer_norm_eps: None,
        pooled: None,
        adapters: None,
    };

    /// Epsilon of the norms.
    pub fn layer_norm_eps(&self) -> f64 {
        self.layer_norm_eps.unwrap_or(self.family.layer_norm_eps())
    }

    /// The feed-forward networks' activation.
    pub fn activation(&self) -> Activation {
        self.activation.unwrap_or(self.family.activation())
    }

    /// Whether a norm follows the last block: BLIP's always does, CLIP's is a part of pooling.
    pub fn has_output_norm(&self) -> bool {
        self.family == VitFamily::Blip || self.pooled.is_some()
    }

    /// Tokens of an image of `size` × `size` pixels inside the transformer.
    fn grid_tokens(&self, size: usize) -> usize {
        (size / self.patch).pow(2) + 1
    }
}

impl ImageEncoderConfig {
    /// The adapters in its blocks, where it has some.
    pub fn adapters(&self) -> Option<&AdapterConfig> {
        match self {
            Self::Vit(vit) => vit.adapters.as_ref(),
            Self::EfficientnetLite { adapters, .. } => adapters.as_ref(),
            Self::Patch { .. } => None,
        }
    }

    /// The place of its adapters, and where adapters may stand; none where it has no blocks.
    pub fn adapters_mut(&mut self) -> Option<(&mut Option<AdapterConfig>, &'static [AdapterPlace])> {
        match self {
            Self::Vit(vit) => Some((&mut vit.adapters, &AdapterPlace::TRANSFORMER)),
            Self::EfficientnetLite { adapters, .. } => Some((adapters, &AdapterPlace::CONVOLUTIONAL)),
            Self::Patch { .. } => None,
        }
    }

    /// The same encoder without adapters: the one that was published.
    pub fn without_adapters(&self) -> Self {
        let mut base = self.clone();
        if let Some((adapters, _)) = base.adapters_mut() {
            *adapters = None;
        }
        base
    }

    /// T, the tokens of an image of `size` × `size` pixels.
    pub fn tokens(&self, size: usize) -> usize {
        let side = match self {
            Self::EfficientnetLite { .. } => size.div_ceil(32),
            Self::Vit(vit) if vit.pooled.is_some() => return 1,
            Self::Vit(vit) => return vit.grid_tokens(size),
            Self::Patch { patch, .. } => size / patch,
        };
        side * side
    }

    /// Tokens before those of the grid, which have no place in the picture: a vision transformer's class token.
    pub fn class_tokens(&self) -> usize {
        usize::from(matches!(self, Self::Vit(_)))
    }

    /// C, the width of a token.
    pub fn width(&self) -> usize {
        match self {
            Self::EfficientnetLite { colours: true, .. } => self.own_width() + colours::COUNT,
            _ => self.own_width(),
        }
    }

    /// The channels of a token that the network itself makes: C, without the colours of its cell.
    pub fn own_width(&self) -> usize {
        match self {
            Self::EfficientnetLite { .. } => crate::nn::efficientnet::HEAD_WIDTH,
            Self::Vit(vit) => vit.pooled.unwrap_or(vit.width),
            Self::Patch { width, .. } => *width,
        }
    }

    pub(super) fn check(&self, place: &str, size: usize) -> Result<()> {
        match self {
            Self::EfficientnetLite { variant, .. } if *variant > 2 => {
                let problem = format!("there is no EfficientNet-Lite{variant} here, only 0, 1 and 2");
                wrong(place, "image_encoder.variant", problem)
            }
            Self::EfficientnetLite { colours: true, .. } if !size.is_multiple_of(colours::CELL) => {
                let problem = format!("{} does not divide the side of {size} pixels", colours::CELL);
                wrong(place, "image_encoder.colours", problem)
            }
            Self::EfficientnetLite { variant, adapters, .. } => adapters.map_or(Ok(()), |adapters| {
                let widths: Vec<usize> = efficientnet::blocks(*variant).iter().map(|block| block.output).collect();
                adapters.check(place, &AdapterPlace::CONVOLUTIONAL, &widths)
            }),
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
            Self::EfficientnetLite { variant, adapters, .. } => Demand {
                size: Size { parameters: 5_000_000, standing: 50_000 } + adapted(*variant, *adapters),
                activation: product(&[28, size, size]),
                work: product(&[40_000, size, size]),
            },
            Self::Vit(vit) => vit.demand(vit.grid_tokens(size), pixels),
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
        let counts = [
            ("image_encoder.patch", self.patch),
            ("image_encoder.width", self.width),
            ("image_encoder.heads", self.heads),
            ("image_encoder.intermediate", self.intermediate),
        ];
        counts.iter().try_for_each(|(field, count)| check_count(place, field, *count, 1 << 16))?;
        check_count(place, "image_encoder.layers", self.layers, MAX_LAYERS)?;
        if !size.is_multiple_of(self.patch) {
            return wrong(place, "image_encoder.patch", format!("{} does not divide {size}", self.patch));
        }
        if !self.width.is_multiple_of(self.heads) {
            return wrong(place, "image_encoder.heads", format!("{} do not divide {}", self.heads, self.width));
        }
        if let Some(adapters) = self.adapters {
            adapters.check(place, &AdapterPlace::TRANSFORMER, &vec![self.width; self.layers])?;
        }
        match self.layer_norm_eps {
            Some(eps) if !(0.0..=1.0).contains(&eps) => {
                wrong(place, "image_encoder.layer_norm_eps", format!("{eps:e} is not in [0, 1]"))
            }
            _ => self.pooled.map_or(Ok(()), |width| check_count(place, "image_encoder.pooled", width, MAX_DIMENSION)),
        }
    }

    /// For an image of `tokens` tokens inside and as many values of `pixels`.
    fn demand(&self, tokens: usize, pixels: u64) -> Demand {
        let (c, patch, tensors) = (self.width, product(&[3, self.patch, self.patch]) as usize, Size::linear);
        let (clip, norm) = (self.family == VitFamily::Clip, Size::norm(c));
        let key = if self.family == VitFamily::Eva { Size::table(c, c) } else { tensors(c, c) };
        let maps = tensors(c, c).times(3) + key + tensors(c, self.intermediate) + tensors(self.intermediate, c);
        let adapted = |adapters: AdapterConfig| adapters.size(c).times(self.layers.saturating_sub(adapters.from));
        let adapters = self.adapters.map_or(Size::default(), adapted);
        let blocks = (maps + norm.times(2)).times(self.layers) + adapters;
        let input = if clip { Size::table(patch, c) + norm } else { tensors(patch, c) };
        // The class token and the positions, which have no values at first.
        let output = match self.pooled {
            Some(width) if clip => Size::table(c, width),
            Some(width) => tensors(c, width),
            None => Size::default(),
        } + norm.times(usize::from(self.has_output_norm()));
        let size = blocks + input + output + Size::table(1, c) + Size::table(tokens, c);
        let widest = c.max(self.intermediate).max(patch).max(self.pooled.unwrap_or(0));
        let attention = product(&[2, tokens, tokens, c, self.layers]);
        let work = (blocks + input).parameters.saturating_mul(tokens as u64).saturating_add(attention);
        Demand { size, activation: pixels.max(product(&[tokens, widest])), work }
    }
}

/// The adapters of an EfficientNet-Lite.
fn adapted(variant: usize, adapters: Option<AdapterConfig>) -> Size {
    let Some(adapters) = adapters else { return Size::default() };
    let blocks = efficientnet::blocks(variant).into_iter().skip(adapters.from);
    blocks.fold(Size::default(), |sum, block| sum + adapters.size(block.output))
}
