//! What an image encoder that trains adds to a step: its graph, which no objective knows of.

use super::{NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{ImageEncoderConfig, VitConfig};

/// Of one image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Encoding {
    /// Floating-point operations of a forward pass.
    pub operations: f64,
    /// Values that the graph keeps, in the precision of the passes.
    pub activations: usize,
    /// Values of attention weights that it keeps, in f32.
    pub softmax: usize,
}

impl Encoding {
    /// By the encoder of `config`. Of a convolutional network the pixels alone are counted: its sizes are fixed and small.
    pub fn of(config: &RetrievalConfig, fused: bool) -> Self {
        let side = config.preprocess.size;
        let pixels = 3 * side * side;
        match &config.image_encoder {
            ImageEncoderConfig::Vit(vit) => Self::vit(vit, side, fused),
            ImageEncoderConfig::Patch { width, .. } => Self {
                operations: 2.0 * (pixels * width) as f64,
                activations: pixels + config.image_tokens() * width,
                softmax: 0,
            },
            ImageEncoderConfig::EfficientnetLite { .. } => Self { activations: pixels, ..Self::default() },
        }
    }

    fn vit(vit: &VitConfig, side: usize, fused: bool) -> Self {
        let (tokens, c, f) = ((side / vit.patch).pow(2) + 1, vit.width, vit.intermediate);
        let patch = 3 * vit.patch * vit.patch;
        let block = tokens * (4 * c * c + 2 * c * f) + 2 * tokens * tokens * c;
        let norm = if fused { 0 } else { NORM };
        // Queries, keys, values, attended, the norm's input and output; the feed-forward network's two layers.
        let kept = (6 + norm) * c + 2 * f + (2 + norm) * c;
        // An adapter: its sum, and what stands between its two maps, before and after GELU.
        let (adapted, mapped) = vit.adapters.map_or((0, 0), |adapters| {
            let (inner, count) = (adapters.bottleneck(c), adapters.after.count());
            (count * (c + 2 * inner), count * tokens * 2 * c * inner)
        });
        Self {
            operations: 2.0 * (tokens * patch * c + vit.layers * (block + mapped)) as f64,
            activations: tokens * (2 * patch + (3 + norm) * c + vit.layers * (kept + adapted)),
            softmax: if fused { 0 } else { SOFTMAX * vit.heads * tokens * tokens * vit.layers },
        }
    }
}
