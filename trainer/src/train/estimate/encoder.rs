//! What an image encoder that trains adds to a step: its graph, which no objective knows of.

use super::{NORM, SOFTMAX};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{AdapterConfig, ImageEncoderConfig, VitConfig};
use thisbut_model::nn::efficientnet;

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
    /// By the encoder of `config`.
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
            ImageEncoderConfig::EfficientnetLite { variant, adapters, .. } => {
                Self::convolutional(*variant, *adapters, side)
            }
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
        let (adapted, mapped, from) = vit.adapters.map_or((0, 0, 0), |adapters| {
            let (inner, count) = (adapters.bottleneck(c), adapters.after.count());
            (count * (c + 2 * inner), count * tokens * 2 * c * inner, adapters.from)
        });
        let with = vit.layers.saturating_sub(from);
        Self {
            operations: 2.0 * (tokens * patch * c + vit.layers * block + with * mapped) as f64,
            activations: tokens * (2 * patch + (3 + norm) * c + with * (kept + adapted)),
            softmax: if fused { 0 } else { SOFTMAX * vit.heads * tokens * tokens * vit.layers },
        }
    }

    /// Blocks before the first adapter are computed and not kept.
    fn convolutional(variant: usize, adapters: Option<AdapterConfig>, side: usize) -> Self {
        let (mut of, mut side) = (Self { activations: 3 * side * side, ..Self::default() }, side.div_ceil(2));
        let mut add = |operations: usize, kept: usize, counted: bool| {
            of.operations += 2.0 * operations as f64;
            of.activations += if counted { kept } else { 0 };
        };
        add(side * side * 27 * 32, 0, false);
        let blocks = efficientnet::blocks(variant);
        for (at, block) in blocks.iter().enumerate() {
            let (before, after) = (side * side, side.div_ceil(block.stride).pow(2));
            side = side.div_ceil(block.stride);
            let convolutions =
                before * block.input * block.inner + after * block.inner * (block.kernel.pow(2) + block.output);
            // The expansion's output, held between 0 and 6 by its own kernel; the depthwise one's, as it is and held in two steps; the
            // projection's, with the residual.
            let kept = block.inner * (before + 3 * after) + 2 * block.output * after;
            add(convolutions, kept, adapters.is_none_or(|adapters| adapters.stand_in(at)));
            if let Some(adapters) = adapters.filter(|adapters| adapters.stand_in(at)) {
                let inner = adapters.bottleneck(block.output);
                // The cells in both orders, the sum, and what stands between the two maps, before and after GELU.
                add(2 * after * block.output * inner, after * (3 * block.output + 2 * inner), true);
            }
        }
        let (cells, last) = (side * side, blocks.last().map_or(0, |block| block.output));
        add(cells * last * efficientnet::HEAD_WIDTH, 3 * cells * efficientnet::HEAD_WIDTH, true);
        of
    }
}
