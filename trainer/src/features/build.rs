//! Writes a feature cache.

use super::store::{Header, MAGIC, START, Store};
use super::{BATCH, encode, prepare};
use crate::error::{Result, TrainerError};
use crate::fsx;
use burn::tensor::Device;
use std::io::Write;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::nn::ImageEncoder;

/// Computes the tokens of `images` (name and path) and writes them to `path`, a few images at a time. Images that cannot be
/// read are left out and reported.
///
/// # Errors
/// When nothing can be read or the file cannot be written.
#[allow(clippy::too_many_arguments)] // a file, its content's source, and two listeners
pub fn build(
    path: &Path,
    images: &[(String, PathBuf)],
    config: &RetrievalConfig,
    store: Store,
    fingerprint: String,
    encoder: &ImageEncoder,
    device: &Device,
    progress: &mut dyn FnMut(usize, usize),
    report: &mut dyn FnMut(String),
) -> Result<()> {
    let (tokens, width) = (config.image_tokens(), config.image_width());
    let mut header = Header { encoder: fingerprint, tokens, width, store, names: Vec::with_capacity(images.len()) };
    // What went wrong other than in writing.
    let mut problem = None;
    let written = fsx::write_atomic_with(path, |out| {
        let mut write = || -> Result<(), Failure> {
            out.write_all(MAGIC)?;
            out.write_all(&[0; START - MAGIC.len()])?;
            let mut done = 0;
            for batch in images.chunks(BATCH) {
                let mut pixels = Vec::new();
                let before = header.names.len();
                for (name, file) in batch {
                    match prepare(file, &config.preprocess) {
                        Ok(values) => {
                            pixels.extend(values);
                            header.names.push(name.clone());
                        }
                        Err(e) => report(e.to_string()),
                    }
                }
                let count = header.names.len() - before;
                if count > 0 {
                    out.write_all(&store.pack(&encode(encoder, pixels, count, config, device)?, tokens, width))?;
                }
                done += batch.len();
                progress(done, images.len());
            }
            if header.names.is_empty() {
                let place = path.display().to_string();
                return Err(TrainerError::data(place, "no image could be read", "check the data set's folder").into());
            }
            let json = serde_json::to_vec(&header).map_err(std::io::Error::other)?;
            out.write_all(&json)?;
            Ok(out.write_all(&(json.len() as u64).to_le_bytes())?)
        };
        write().map_err(|failure| match failure {
            Failure::Writing(e) => e,
            Failure::Other(e) => {
                problem = Some(e);
                std::io::Error::other("stopped")
            }
        })
    });
    match problem {
        Some(problem) => Err(problem),
        None => written,
    }
}

/// What may end the writing.
enum Failure {
    Writing(std::io::Error),
    Other(TrainerError),
}

impl From<std::io::Error> for Failure {
    fn from(e: std::io::Error) -> Self {
        Self::Writing(e)
    }
}

impl From<TrainerError> for Failure {
    fn from(e: TrainerError) -> Self {
        Self::Other(e)
    }
}
