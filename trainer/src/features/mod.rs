//! Image tokens of the frozen encoder: kept in a memory-mapped file ([`Features`]), or computed when they are asked for
//! ([`Live`]).

mod build;
mod fronts;
mod live;
mod mixed;
mod store;
mod unfinished;

pub use build::{Built, Encode, Job, build};
pub use fronts::FRONTS;
pub use live::Live;
pub use mixed::Mixed;
pub use store::{Features, STORES, Store, read_cache};

use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::images;
use burn::tensor::{Device, Tensor, TensorData};
use sha2::{Digest, Sha256};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::image::{self, PreprocessConfig, Rgba};
use thisbut_model::nn::ImageEncoder;

/// Images that go through the encoder together.
const BATCH: usize = 8;

/// Where image tokens come from, a row an image.
pub trait ImageTokens: Sync {
    /// The row of an image.
    ///
    /// # Errors
    /// When there is none.
    fn row(&self, name: &str) -> Result<usize>;

    /// Tokens of several rows, `[rows, T, C]`, on `device`.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>>;

    /// Whether an image is known to have no tokens because its file could not be read.
    fn left_out(&self, _name: &str) -> bool {
        false
    }

    /// What no adapter changes of several rows' images ([`ImageEncoder::front`]), on `device`; none where that is not kept.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn fronts(&self, _rows: &[usize], _device: &Device) -> Result<Option<Tensor<4>>> {
        Ok(None)
    }

    /// Normalised pixels of several rows, `[rows, 3, S, S]`, on `device`: for an image encoder that trains.
    ///
    /// # Errors
    /// When an image cannot be read, and where only the tokens of a frozen encoder are kept.
    fn pixels(&self, _rows: &[usize], _device: &Device) -> Result<Tensor<4>> {
        Err(TrainerError::settings(
            "--features",
            "a part of the image encoder trains, and a cache holds the tokens of the encoder as it was before",
            "use --features on-the-fly, or take the groups that begin with \"image_encoder.\" out",
        ))
    }
}

/// What the tokens of a configuration depend on, as one short text: a hash that the encoder's tensors join one by one, in the
/// order of their names.
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Of the preprocessing and the encoder's kind, so far.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    pub fn new(config: &RetrievalConfig) -> Result<Self> {
        let parts = serde_json::to_vec(&(&config.preprocess, &config.image_encoder))
            .map_err(|e| TrainerError::checkpoint("the configuration", e.to_string(), "report this"))?;
        Ok(Self(Sha256::new_with_prefix(parts)))
    }

    /// Adds a tensor.
    pub fn add(&mut self, name: &str, values: &[f32]) {
        self.0.update(name.as_bytes());
        self.0.update(bytemuck::cast_slice::<f32, u8>(values));
    }

    /// The text.
    pub fn finish(self) -> String {
        fsx::hex(&self.0.finalize()[..16])
    }
}

/// Reads and preprocesses one image file: `[3, S, S]`.
///
/// # Errors
/// When the file is not a usable image.
pub fn prepare(file: &Path, config: &PreprocessConfig) -> Result<Vec<f32>> {
    let decoded = images::decode_file(file)?;
    let rgba = Rgba::new(decoded.width, decoded.height, &decoded.data)?;
    Ok(image::preprocess(&rgba, config)?)
}

/// Image tokens `[count · T · C]` of `count` preprocessed images.
///
/// # Errors
/// When the device does not give them back.
pub fn encode(
    encoder: &ImageEncoder,
    pixels: Vec<f32>,
    count: usize,
    config: &RetrievalConfig,
    device: &Device,
) -> Result<Vec<f32>> {
    let side = config.preprocess.size;
    let tokens = encoder.forward(Tensor::from_data(TensorData::new(pixels, [count, 3, side, side]), device));
    tokens.into_data().convert::<f32>().try_to_vec().map_err(|e| {
        TrainerError::checkpoint(
            "the image encoder",
            format!("its output cannot be read back ({e:?})"),
            "try another --device",
        )
    })
}

#[cfg(test)]
mod tests;
