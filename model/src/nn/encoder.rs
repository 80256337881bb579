//! The frozen image encoder E_I, whichever it is.

use super::colours::Colours;
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
    /// Further channels of EfficientNet's tokens, without parameters.
    pub colours: Option<Colours>,
}

impl ImageEncoder {
    /// The configured encoder with random weights.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Self {
        let mut encoder = Self { efficientnet: None, vit: None, patch: None, colours: None };
        match &config.image_encoder {
            ImageEncoderConfig::EfficientnetLite { variant, adapters, colours } => {
                encoder.efficientnet = Some(EfficientNetLite::new(*variant, adapters.as_ref(), device));
                encoder.colours = colours.then(|| Colours::new(&config.preprocess));
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
        let colours = self.colours.as_ref().map(|colours| colours.forward(pixels.clone()));
        let tokens = self.behind(self.front(pixels));
        match colours {
            Some(colours) => Tensor::cat(vec![tokens, colours], 2),
            None => tokens,
        }
    }

    /// Whether [`ImageEncoder::front`] is a part of the work, and all that the tokens are made of: colours are read off the pixels.
    pub fn has_front(&self) -> bool {
        self.colours.is_none() && self.efficientnet.as_ref().is_some_and(|network| network.front_blocks() > 0)
    }

    /// What of an image no adapter changes: of a convolutional network the grid that its first adapter's block gets, of another
    /// encoder the pixels.
    pub fn front(&self, pixels: Tensor<4>) -> Tensor<4> {
        match &self.efficientnet {
            Some(network) => network.front(pixels),
            None => pixels,
        }
    }

    /// The image tokens of what [`ImageEncoder::front`] gives, without colours.
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

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Distribution, Shape};

    #[test]
    fn colours_stand_behind_the_classifiers_channels() {
        let (with, without) =
            (RetrievalConfig::preset("web-xs-colours").unwrap(), RetrievalConfig::preset("web-xs").unwrap());
        let device = Device::flex();
        let mut encoder = ImageEncoder::new(&with, &device);
        let pixels = Tensor::random([2, 3, 224, 224], Distribution::Uniform(-1.0, 1.0), &device);
        let tokens = encoder.forward(pixels.clone());
        assert_eq!(tokens.shape(), Shape::from([2, with.image_tokens(), with.image_width()]));
        encoder.colours = None;
        let plain = encoder.forward(pixels);
        assert_eq!(plain.dims(), [2, without.image_tokens(), without.image_width()]);
        let apart = (tokens.slice([0..2, 0..49, 0..1280]) - plain).abs().max().into_scalar::<f32>();
        assert_eq!(apart, 0.0);
    }
}
