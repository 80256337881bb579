//! The rows that a model makes of a folder's pictures, before a bundle of it is written: what its principal axes are found from.

use super::Encoder;
use crate::error::{Result, TrainerError};
use crate::features::prepare;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use thisbut_model::image::PreprocessConfig;

/// Pictures that go through the encoder together.
const BATCH: usize = 8;

/// Rows `[·, P]` of the pictures in `folder`; one that cannot be read has none, and indexing says so. `told` hears how many pictures
/// are done, of how many.
///
/// # Errors
/// When the folder or no picture can be read, and when the model fails.
pub fn gallery_rows(
    folder: &Path,
    config: &PreprocessConfig,
    encoder: &mut dyn Encoder,
    told: &mut dyn FnMut(usize, usize),
) -> Result<Vec<f32>> {
    let listed = std::fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut files: Vec<PathBuf> = listed.map_err(|e| TrainerError::io(folder, "read", e, "check the folder"))?;
    files.sort();
    let mut rows = Vec::new();
    for (at, some) in files.chunks(BATCH).enumerate() {
        let readable: Vec<Vec<f32>> = some.par_iter().filter_map(|file| prepare(file, config).ok()).collect();
        if !readable.is_empty() {
            rows.extend(encoder.encode(readable)?.targets);
        }
        told((at * BATCH + some.len()).min(files.len()), files.len());
    }
    if rows.is_empty() {
        let place = folder.display().to_string();
        return Err(TrainerError::data(place, "none of its pictures can be read", "check the data set's files"));
    }
    Ok(rows)
}
