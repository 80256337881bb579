//! "Why this" outside of the browser: what counted in a query ([`thisbut_model::why`]) as words, as a picture, and as a number.

mod ground;
pub mod heat;
mod said;

pub use ground::{Control, Figure, Grounding, ground, share_on};
pub use said::{said, words};

use crate::bundle_io::Bundle;
use crate::error::{Result, TrainerError};
use crate::images::{RgbaImage, decode_file};
use crate::phrases::{self, Rule};
use crate::unpacked::Unpacked;
use burn::tensor::Device;
use pollster::block_on;
use std::path::Path;
use thisbut_model::Retrieval;
use thisbut_model::image::Rgba;
use thisbut_model::method::AnyMethod;
use thisbut_model::retrieval::EncodedImages;
use thisbut_model::why::Explanation;

/// Which noun phrases of a text are looked at as one: as many as ConText-CIR's objective takes, longer ones first.
pub const PHRASES: Rule = Rule { most: 10, leaves_only: false };

/// A bundle's model, without its gallery.
///
/// # Errors
/// When a file is missing or damaged, and when the model has no image encoder or no attention to tell.
pub fn of_bundle(root: &Path, device: &Device) -> Result<Retrieval> {
    let retrieval = Bundle::read_model(root)?.engine(device)?.retrieval().clone();
    telling(retrieval, root)
}

/// A checkpoint's model; `weights` is the folder of base weights.
///
/// # Errors
/// As [`of_bundle`].
pub fn of_checkpoint(path: &Path, weights: &Path, device: &Device) -> Result<Retrieval> {
    let unpacked = Unpacked::open(path, Some(weights), None)?;
    let vocabulary = unpacked.vocabulary.clone();
    let (config, tensors) = unpacked.read()?;
    telling(Retrieval::load(config, tensors, &vocabulary, device)?, path)
}

fn telling(retrieval: Retrieval, path: &Path) -> Result<Retrieval> {
    retrieval.encoder()?;
    let family = retrieval.config().method.family();
    match family.attends() {
        true => Ok(retrieval),
        false => Err(TrainerError::settings(
            path.display().to_string(),
            format!("is of the {} family, whose image and words do not meet in attention", family.name()),
            "give a model of the two-pass, the concept or the matching family",
        )),
    }
}

/// The same model with random weights beside the same image encoder: what attention is before training.
///
/// # Errors
/// When the model has no image encoder.
pub fn untrained(trained: &Retrieval, seed: u64) -> Result<Retrieval> {
    let (config, device) = (trained.config().clone(), trained.device().clone());
    device.seed(seed);
    let method = AnyMethod::new(&config, &device)?;
    Ok(Retrieval::new(config, Some(trained.encoder()?.clone()), method, trained.texts().clone(), &device))
}

/// A picture of a file, encoded, with its size.
///
/// # Errors
/// When the file is no image that can be used.
pub fn encoded(retrieval: &Retrieval, path: &Path) -> Result<(EncodedImages, RgbaImage)> {
    let picture = decode_file(path)?;
    let image = retrieval.encode_image(&Rgba::new(picture.width, picture.height, &picture.data)?)?;
    Ok((image, picture))
}

/// What counted in the query of a picture of `size` pixels with a text, and in each noun phrase of the text.
///
/// # Errors
/// As [`Retrieval::explain`].
pub fn explain(retrieval: &Retrieval, image: &EncodedImages, size: (u32, u32), text: &str) -> Result<Explanation> {
    Ok(block_on(retrieval.explain(image, size, (text, &phrases::find(text, PHRASES))))?)
}
