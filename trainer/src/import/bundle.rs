//! A bundle as a checkpoint to start from: training goes on where a published model ended.

use super::{encoder_path, plan, widen};
use crate::bundle_io::{Bundle, at};
use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::tensor_file::{self, Planned};
use crate::train::checkpoint::{self, Header};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Form;
use thisbut_model::config::ImageEncoderConfig;
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::quant::StoredWeights;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::{Tensors, shapes};

/// The files that [`write()`] made.
pub struct Written {
    /// The architecture: the preset's, without what an export leaves out.
    pub config: RetrievalConfig,
    /// The vocabulary or the list of merges, in the folder of base weights.
    pub vocabulary: PathBuf,
    /// A vision transformer, in the folder of base weights. Other image encoders are read from their published files there.
    pub encoder: Option<PathBuf>,
}

/// Writes the bundle's weights, unpacked to f32, as the checkpoint `out`, and what it needs beside it to `weights_dir`. The values
/// are those that visitors' browsers compute with: an export rounded them, and left out what no query reads. With `colours`, image
/// tokens tell the colours of their cells too.
///
/// # Errors
/// When a file is damaged or cannot be written, when a tensor is missing, when `weights_dir` holds another vocabulary, and as
/// [`widen::with_colours`].
pub fn write(bundle: &Bundle, weights_dir: &Path, colours: bool, out: &Path) -> Result<Written> {
    let config = bundle.config.clone();
    let mut stored = StoredWeights::default();
    for (entry, bytes) in bundle.manifest.weights.iter().zip(&bundle.weights) {
        stored.add(bytes).map_err(|e| at(&bundle.root, &entry.file, e))?;
    }
    let device = Device::flex();
    let model = wanted(bundle, &mut stored, MODEL_PREFIX, &AnyMethod::new(&config, &device)?.shapes(""))?;
    let (config, model) = if colours { widen::with_colours(&config, model)? } else { (config, model) };
    let vocabulary = keep_vocabulary(bundle, weights_dir)?;
    let encoder = match (&config.image_encoder, bundle.manifest.form) {
        (ImageEncoderConfig::Vit(_), Form::Full) => {
            let tensors =
                wanted(bundle, &mut stored, ENCODER_PREFIX, &shapes(&ImageEncoder::new(&config, &device), ""))?;
            let path = encoder_path(&config, weights_dir);
            write_encoder(&tensors, &path)?;
            Some(path)
        }
        _ => None,
    };
    let mut header = Header::new(plan::settings(&config), config.clone(), String::new());
    header.understands = Some(bundle.manifest.understands.clone()).filter(|text| !text.is_empty());
    header.vocabulary = Some(fsx::sha256_hex(bundle.vocab.as_bytes()));
    checkpoint::save(out, &header, &model, &Tensors::new())?;
    Ok(Written { config, vocabulary, encoder })
}

/// The tensors of `shapes`, which lie behind `prefix` in the bundle.
fn wanted(
    bundle: &Bundle,
    stored: &mut StoredWeights,
    prefix: &str,
    shapes: &BTreeMap<String, Vec<usize>>,
) -> Result<Tensors> {
    let take = |(name, dims): (&String, &Vec<usize>)| {
        let full = format!("{prefix}.{name}");
        match stored.take(&full) {
            Some((found, values)) if found == *dims => Ok((name.clone(), (found, values))),
            Some((found, _)) => Err(misfit(bundle, &full, &format!("has the shape {found:?}, not {dims:?}"))),
            None => Err(misfit(bundle, &full, "is missing")),
        }
    };
    shapes.iter().map(take).collect()
}

fn misfit(bundle: &Bundle, name: &str, problem: &str) -> TrainerError {
    let place = format!("{}: {name}", bundle.root.display());
    TrainerError::data(place, problem, "copy the bundle again, or export or index it again")
}

/// Puts the bundle's vocabulary into `weights_dir`, where a command looks for it.
fn keep_vocabulary(bundle: &Bundle, weights_dir: &Path) -> Result<PathBuf> {
    let path = weights_dir.join(bundle.config.text.vocabulary_file());
    if !path.is_file() {
        fsx::write_atomic(&path, bundle.vocab.as_bytes())?;
    } else if fsx::read_text(&path, fsx::SMALL)? != bundle.vocab {
        let problem = format!("is another one than that of {}", bundle.root.display());
        return Err(TrainerError::data(path.display().to_string(), problem, "give --weights with a folder of its own"));
    }
    Ok(path)
}

fn write_encoder(tensors: &Tensors, path: &Path) -> Result<()> {
    let planned: Vec<Planned> = tensors
        .iter()
        .map(|(name, (dims, _))| Planned { name: name.clone(), dims: dims.clone(), precision: NumberFormat::F32 })
        .collect();
    let mut read = |at: usize| Ok(tensors[&planned[at].name].1.clone());
    tensor_file::write(path, &planned, &BTreeMap::new(), &mut read, &mut |_, _| ())
}
