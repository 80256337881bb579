//! An image encoder from the place that a user names.

use super::{load_image_encoder, source::Source};
use crate::error::Result;
use burn::tensor::Device;
use std::path::Path;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::weights;
use thisbut_model::{RetrievalConfig, config::ImageEncoderConfig};

/// The encoder in `path`: the file that `thisbut import` wrote of a vision transformer, a published EfficientNet-Lite, or
/// the folder that either lies in.
///
/// # Errors
/// When the file cannot be read or is of another architecture.
pub fn load_encoder_from(config: &RetrievalConfig, path: &Path, device: &Device) -> Result<ImageEncoder> {
    if path.is_dir() {
        return load_image_encoder(config, path, device);
    }
    match &config.image_encoder {
        ImageEncoderConfig::Vit(_) => {
            let mut source = Source::open(&[path.to_path_buf()])?;
            let mut fetch = |name: &str| match source.entries().contains_key(name) {
                true => source.read(name).map(Some),
                false => Ok(None),
            };
            weights::load_from(ImageEncoder::new(config, device), "", &mut fetch)
        }
        ImageEncoderConfig::EfficientnetLite { .. } => {
            let mut tensors = super::efficientnet(path, config)?;
            Ok(weights::load(ImageEncoder::new(config, device), "", &mut tensors)?)
        }
        // A fixed pattern, whatever the file.
        ImageEncoderConfig::Patch { .. } => load_image_encoder(config, path, device),
    }
}
