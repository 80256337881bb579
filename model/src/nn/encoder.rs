//! The frozen image encoder E_I, whichever it is.

use super::efficientnet::{Conv, EfficientNetLite};
use super::vit::Vit;
use crate::config::{ImageEncoderConfig, RetrievalConfig};
use burn::module::Module;
use burn::tensor::{Device, FloatDType, Tensor};

/// E_I: pixels to image tokens.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    /// EfficientNet-Lite.
    pub efficientnet: Option<EfficientNetLite>,
    /// BLIP-2's vision transformers; checkpoint keys `visual_encoder`, `vision_model`.
    pub vit: Option<Vit>,
    /// The test presets' single convolution.
    pub patch: Option<Conv>,
}

impl ImageEncoder {
    /// The configured encoder with random weights.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Self {
        let mut encoder = Self { efficientnet: None, vit: None, patch: None };
        match &config.image_encoder {
            ImageEncoderConfig::EfficientnetLite { variant, adapters } => {
                encoder.efficientnet = Some(EfficientNetLite::new(*variant, adapters.as_ref(), device));
            }
            ImageEncoderConfig::Vit(vit) => encoder.vit = Some(Vit::new(vit, config.preprocess.size, device)),
            ImageEncoderConfig::Patch { patch, width } => {
                encoder.patch = Some(Conv::new(3, *width, *patch, *patch, false, device));
            }
        }
        encoder
    }

    /// Normalised pixels `[B, 3, S, S]` → image tokens `[B, T, C]`, row by row of the grid (after the class token where there is one).
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        self.behind(self.front(pixels))
    }

    /// Whether [`ImageEncoder::front`] is a part of the work, and small.
    pub fn has_front(&self) -> bool {
        self.efficientnet.as_ref().is_some_and(|network| network.front_blocks() > 0)
    }

    /// What of an image no adapter changes: of a convolutional network the grid that its first adapter's block gets, of another
    /// encoder the pixels.
    pub fn front(&self, pixels: Tensor<4>) -> Tensor<4> {
        match &self.efficientnet {
            Some(network) => network.front(pixels),
            None => pixels,
        }
    }

    /// The image tokens of what [`ImageEncoder::front`] gives.
    pub fn behind(&self, front: Tensor<4>) -> Tensor<3> {
        if let Some(vit) = &self.vit {
            return vit.forward(front, None);
        }
        let grid = match (&self.efficientnet, &self.patch) {
            (Some(network), _) => network.behind(front.cast(FloatDType::from(network.head.weight.val().dtype()))),
            (None, Some(patch)) => patch.forward(front, false),
            (None, None) => front,
        };
        let [b, c, h, w] = grid.dims();
        grid.reshape([b, c, h * w]).swap_dims(1, 2)
    }
}
