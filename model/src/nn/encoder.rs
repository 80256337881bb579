//! The frozen image encoder E_I, whichever it is.

use super::efficientnet::{Conv, EfficientNetLite};
use crate::config::{CirConfig, ImageEncoderConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor};

/// E_I: pixels to image tokens.
#[derive(Module, Debug)]
pub struct ImageEncoder {
    /// EfficientNet-Lite.
    pub efficientnet: Option<EfficientNetLite>,
    /// The test presets' single convolution.
    pub patch: Option<Conv>,
}

impl ImageEncoder {
    /// The configured encoder with random weights.
    pub fn new(config: &CirConfig, device: &Device) -> Self {
        match config.image_encoder {
            ImageEncoderConfig::EfficientnetLite { variant } => {
                Self { efficientnet: Some(EfficientNetLite::new(variant, device)), patch: None }
            }
            ImageEncoderConfig::Patch { patch, width } => {
                Self { efficientnet: None, patch: Some(Conv::new(3, width, patch, patch, false, device)) }
            }
        }
    }

    /// Normalised pixels `[B, 3, S, S]` → image tokens `[B, T, C]`, row by row of the grid.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let grid = match (&self.efficientnet, &self.patch) {
            (Some(network), _) => network.forward(pixels, None),
            (None, Some(patch)) => patch.forward(pixels),
            (None, None) => pixels,
        };
        let [b, c, h, w] = grid.dims();
        grid.reshape([b, c, h * w]).swap_dims(1, 2)
    }
}
