//! The image encoder of a run that may start from adapters.

use anyhow::Result;
use burn::tensor::Device;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::AdapterConfig;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::Tensors;
use thisbut_trainer::import::{self, adapted};
use thisbut_trainer::train::checkpoint::{self, Reader};
use thisbut_trainer::train::learner::IMAGE_ENCODER;
use thisbut_trainer::train::settings::Settings;

/// The encoder in the folder of weights, with the adapters of the checkpoint to start from where that has some.
pub struct Encoder<'a> {
    pub config: &'a RetrievalConfig,
    pub start: Option<&'a Path>,
    pub weights: &'a Path,
}

impl Encoder<'_> {
    /// The checkpoint to start from where it holds adapters that the model has too.
    fn adapters(&self) -> Result<Option<(Reader, &Path)>> {
        let (Some(path), Some(_)) = (self.start, self.config.image_encoder.adapters()) else { return Ok(None) };
        let mut reader = checkpoint::open(path)?;
        let has = adapted::are_adapters(&reader.image_encoder()?);
        Ok(has.then_some((reader, path)))
    }

    /// Its fingerprint, which its caches have.
    pub fn fingerprint(&self) -> Result<String> {
        Ok(match self.adapters()? {
            Some((mut reader, path)) => adapted::fingerprint((&mut reader, path), self.weights)?,
            None => import::encoder_fingerprint(self.config, self.weights)?,
        })
    }

    /// The encoder on `device`, held and computed in `precision`.
    pub fn load(&self, precision: NumberFormat, device: &Device) -> Result<ImageEncoder> {
        Ok(match self.adapters()? {
            Some((mut reader, path)) => adapted::load((&mut reader, path), self.weights, precision, device)?.0,
            None => import::load_image_encoder_in(self.config, self.weights, precision, device)?,
        })
    }

    /// Puts the encoder beside starting weights that lack it, where a part of it trains. Gives the fingerprint of what adapters stand
    /// in, where the run's checkpoints hold some.
    pub fn add(&self, settings: &Settings, start: &mut Tensors) -> Result<Option<String>> {
        let of_encoder = |name: &&String| name.starts_with(IMAGE_ENCODER);
        let adapters = |start: &Tensors| start.keys().filter(of_encoder).any(|name| AdapterConfig::owns(name));
        if start.keys().filter(of_encoder).any(|name| !AdapterConfig::owns(name)) {
            return Ok(None);
        }
        if let (true, Some(path)) = (adapters(start), self.start) {
            adapted::check_base(&checkpoint::open(path)?.header, path, self.weights)?;
        }
        if settings.trains_image_encoder() {
            for (name, value) in import::image_encoder(self.config, self.weights)? {
                start.entry(format!("{IMAGE_ENCODER}{name}")).or_insert(value);
            }
        }
        Ok(match adapters(start) {
            true => Some(adapted::base_fingerprint(self.config, self.weights)?),
            false => None,
        })
    }
}
