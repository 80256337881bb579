//! Image encoders with adapters: the base encoder lies in the folder of weights, and a checkpoint holds the adapters alone, with the
//! fingerprint of the encoder that they were trained in.

use super::{encoder_fingerprint, fingerprint_of, image_encoder};
use crate::error::{Result, TrainerError};
use crate::train::checkpoint::{Header, Reader};
use burn::tensor::Device;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::AdapterConfig;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::{self, Tensors};

/// What adapters depend on: the image encoder of `config` in `weights_dir`, without any.
///
/// # Errors
/// When the encoder's file cannot be read.
pub fn base_fingerprint(config: &RetrievalConfig, weights_dir: &Path) -> Result<String> {
    let base = RetrievalConfig { image_encoder: config.image_encoder.without_adapters(), ..config.clone() };
    encoder_fingerprint(&base, weights_dir)
}

/// Whether these tensors of an image encoder are adapters alone, and some.
pub fn are_adapters(tensors: &Tensors) -> bool {
    !tensors.is_empty() && tensors.keys().all(|name| AdapterConfig::owns(name))
}

/// Checks that the adapters in a checkpoint, `path` with `header`, were trained in the image encoder of `weights_dir`.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when they were trained in another, or the checkpoint does not say in which.
pub fn check_base(header: &Header, path: &Path, weights_dir: &Path) -> Result<()> {
    let place = path.display().to_string();
    let Some(wanted) = &header.base_encoder else {
        let mend = "train them again with this version of thisbut";
        return Err(TrainerError::checkpoint(
            place,
            "it holds adapters, and not in which image encoder they belong",
            mend,
        ));
    };
    let found = base_fingerprint(&header.config, weights_dir)?;
    if found == *wanted {
        return Ok(());
    }
    Err(TrainerError::checkpoint(
        place,
        format!(
            "its adapters were trained in the image encoder {wanted}; the one for {} in {} is {found}",
            header.config.name,
            weights_dir.display()
        ),
        "give --weights with the folder of that encoder, or run `thisbut import` again on the checkpoint that it came from",
    ))
}

/// The whole image encoder of a checkpoint in which a part of it was trained: its own, or its adapters in the base encoder of
/// `weights_dir`. None where no part was.
///
/// # Errors
/// As [`check_base`], and when a file cannot be read.
pub fn of_checkpoint(reader: &mut Reader, path: &Path, weights_dir: &Path) -> Result<Option<Tensors>> {
    let mut own = reader.image_encoder()?;
    if !are_adapters(&own) {
        return Ok(Some(own).filter(|own| !own.is_empty()));
    }
    check_base(&reader.header, path, weights_dir)?;
    let mut all = image_encoder(&reader.header.config, weights_dir)?;
    all.append(&mut own);
    Ok(Some(all))
}

/// The fingerprint of a checkpoint's image encoder: of what [`of_checkpoint`] gives, else of the one in `weights_dir`.
///
/// # Errors
/// As [`of_checkpoint`].
pub fn fingerprint((reader, path): (&mut Reader, &Path), weights_dir: &Path) -> Result<String> {
    match of_checkpoint(reader, path, weights_dir)? {
        Some(tensors) => fingerprint_of(&reader.header.config, &tensors),
        None => encoder_fingerprint(&reader.header.config, weights_dir),
    }
}

/// The image encoder of a checkpoint on `device`, held and computed in `precision`, and its fingerprint: what
/// [`of_checkpoint`] gives, else the one in `weights_dir`.
///
/// # Errors
/// As [`of_checkpoint`], and for a precision that no device computes in.
pub fn load(
    (reader, path): (&mut Reader, &Path),
    weights_dir: &Path,
    precision: NumberFormat,
    device: &Device,
) -> Result<(ImageEncoder, String)> {
    let config = reader.header.config.clone();
    let mut tensors = match of_checkpoint(reader, path, weights_dir)? {
        Some(tensors) => tensors,
        None => image_encoder(&config, weights_dir)?,
    };
    let fingerprint = fingerprint_of(&config, &tensors)?;
    let mut fetch = |name: &str| Ok::<_, TrainerError>(tensors.remove(name));
    let encoder = weights::load_in(ImageEncoder::new(&config, device), "", precision.float()?, &mut fetch)?;
    Ok((encoder, fingerprint))
}
