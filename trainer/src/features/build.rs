//! Writes a feature cache, batch by batch, so that a kill costs one batch.

use super::store::{Features, Header, Store};
use super::unfinished::{Batch, Unfinished};
use super::{BATCH, prepare};
use crate::error::{Result, TrainerError};
use crate::{fsx, partial};
use std::collections::{BTreeMap, HashMap};
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use thisbut_model::image::PreprocessConfig;

/// What a cache is to hold.
pub struct Job<'a> {
    /// Name and file of each image.
    pub images: &'a [(String, PathBuf)],
    /// How a picture becomes pixels.
    pub preprocess: &'a PreprocessConfig,
    /// T and C: tokens of an image and their width.
    pub shape: (usize, usize),
    /// The number format.
    pub store: Store,
    /// Of what encodes, and the preprocessing.
    pub fingerprint: String,
    /// What else the values depend on in their last digits: the device, the encoder's precision.
    pub computing: String,
    /// Whether the size of each image's file is kept, by which a reader tells whether the image is still the same.
    pub sizes: bool,
}

/// Tokens `[count · T · C]` of `count` preprocessed images.
pub type Encode<'a> = dyn Fn(Vec<f32>, usize) -> Result<Vec<f32>> + 'a;

/// What became of a [`Job`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Built {
    /// Images in the cache.
    pub images: usize,
    /// Images that could not be read.
    pub left_out: usize,
    /// Whether it was there already.
    pub found: bool,
}

/// Computes the tokens of a job's images and writes them to `path`. A cache of the same files that is there already stays, and
/// one that was not finished is gone on with, to the same bytes. Images that cannot be read are left out, reported, and named
/// in the cache with the reason.
///
/// # Errors
/// When nothing can be read, another process writes the same cache, or the file cannot be written.
pub fn build(
    path: &Path,
    job: &Job,
    encode: &Encode,
    progress: &mut dyn FnMut(usize, usize),
    report: &mut dyn FnMut(String),
) -> Result<Built> {
    let Job { images, shape: (tokens, width), store, .. } = *job;
    let batches: Vec<String> = images.chunks(BATCH).map(sources).collect();
    let (kind, about) = (job.about(&[])?, job.about(&batches)?);
    if let Ok(found) = Features::open(path)
        && (found.shape(), found.encoder(), found.sources()) == (job.shape, &*job.fingerprint, Some(&about))
    {
        return Ok(Built { images: found.len(), left_out: found.left_out().len(), found: true });
    }
    partial::sweep(path.parent().unwrap_or(Path::new(".")), report);
    // Looked at before they are read: an image that changes in between is told as changed.
    let sizes = job.sizes.then(|| sizes(images));
    let mut unfinished = Unfinished::open(path, &kind, &batches, store.record(tokens, width), report)?;
    let left = unfinished.batches();
    for (at, batch) in images.chunks(BATCH).enumerate().skip(left) {
        let mut pixels = Vec::new();
        let (mut names, mut left_out) = (Vec::new(), BTreeMap::new());
        for (name, file) in batch {
            match prepare(file, job.preprocess) {
                Ok(values) => {
                    pixels.extend(values);
                    names.push(name.clone());
                }
                Err(e) => {
                    report(e.to_string());
                    left_out.insert(name.clone(), e.to_string());
                }
            }
        }
        let records = match names.len() {
            0 => Vec::new(),
            count => store.pack(&encode(pixels, count)?, tokens, width),
        };
        unfinished.add(&records, Batch { files: batches[at].clone(), names, left_out })?;
        progress((at * BATCH + batch.len()).min(images.len()), images.len());
    }
    let (names, left_out) = unfinished.content();
    if names.is_empty() {
        unfinished.discard();
        let place = path.display().to_string();
        return Err(TrainerError::data(place, "no image could be read", "check the data set's folder"));
    }
    let built = Built { images: names.len(), left_out: left_out.len(), found: false };
    let encoder = job.fingerprint.clone();
    let sizes = sizes.map(|sizes| names.iter().map(|name| sizes.get(name.as_str()).copied().unwrap_or(0)).collect());
    let sizes = sizes.unwrap_or_default();
    unfinished.finish(&Header { encoder, tokens, width, store, names, left_out, sources: Some(about), sizes })?;
    Ok(built)
}

impl Job<'_> {
    /// A short text that changes with everything that the cache's bytes depend on.
    fn about(&self, batches: &[String]) -> Result<String> {
        let Self { shape: (tokens, width), store, fingerprint, computing, .. } = self;
        let parts = (fingerprint, computing, store, BATCH, tokens, width, batches);
        let text = serde_json::to_vec(&parts)
            .map_err(|e| TrainerError::checkpoint("the feature cache", e.to_string(), "report this"))?;
        Ok(fsx::sha256_hex(&text))
    }
}

/// The size of each image's file; 0 where there is none.
fn sizes(images: &[(String, PathBuf)]) -> HashMap<&str, u64> {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |found| found.len());
    images.iter().map(|(name, path)| (name.as_str(), size(path))).collect()
}

/// A short text that changes with the names and files of a batch: their paths, sizes and times of change.
fn sources(batch: &[(String, PathBuf)]) -> String {
    let changed = |found: &Metadata| found.modified().ok()?.duration_since(UNIX_EPOCH).ok();
    let file = |(name, path): &(String, PathBuf)| {
        let found = std::fs::metadata(path).ok();
        format!("{name:?} {path:?} {:?} {:?}\n", found.as_ref().map(Metadata::len), found.as_ref().and_then(changed))
    };
    fsx::sha256_hex(batch.iter().map(file).collect::<String>().as_bytes())
}
