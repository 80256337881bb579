//! A checkpoint and the frozen encoder as one quantized weights file.

use crate::error::Result;
use crate::{import, train::checkpoint};
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_model::CirConfig;
use thisbut_model::engine::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::quant::{CodeWidth, write_weights};
use thisbut_model::weights::Tensors;

/// How the large tensors are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Width {
    /// Plain f32.
    F32,
    /// 8 bits and a scale a block of 32.
    Q8,
    /// 4 bits and a scale a block of 32; convolutions stay at 8.
    Q4,
}

/// Everything that the engine needs of a checkpoint: names behind their prefixes, and the architecture.
///
/// # Errors
/// When a file cannot be read.
pub fn gather(checkpoint_path: &Path, weights_dir: &Path) -> Result<(CirConfig, Tensors)> {
    let checkpoint = checkpoint::load(checkpoint_path)?;
    let config = checkpoint.header.config;
    let mut tensors = Tensors::new();
    for (name, value) in checkpoint.model {
        tensors.insert(format!("{MODEL_PREFIX}.{name}"), value);
    }
    for (name, value) in import::image_encoder(&config, weights_dir)? {
        tensors.insert(format!("{ENCODER_PREFIX}.{name}"), value);
    }
    Ok((config, tensors))
}

/// The weights file of `tensors` at `width`.
///
/// # Errors
/// When a tensor holds values that are not finite.
pub fn weights_file(config: &CirConfig, tensors: &Tensors, width: Width) -> Result<Vec<u8>> {
    let meta = BTreeMap::from([("architecture".to_owned(), config.name.clone())]);
    let choose = |name: &str, _: &[usize]| match width {
        Width::F32 => None,
        Width::Q8 => Some(CodeWidth::Q8),
        // The encoder was never trained to bear coarse weights, and is a fifth of the file.
        Width::Q4 if name.starts_with(ENCODER_PREFIX) => Some(CodeWidth::Q8),
        Width::Q4 => Some(CodeWidth::Q4),
    };
    Ok(write_weights(tensors, choose, &meta)?)
}
