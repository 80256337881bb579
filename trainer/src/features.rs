//! The frozen encoder's image tokens, computed once and kept as f16 in a memory-mapped file.
//!
//! Layout: magic, header length (u64, little-endian), JSON header, zeros to a multiple of 64, then `[images, T, C]` f16
//! little-endian in the header's order of names.

use crate::error::{Result, TrainerError};
use crate::{fsx, images};
use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thisbut_model::CirConfig;
use thisbut_model::image::{self, PreprocessConfig, Rgba};
use thisbut_model::nn::ImageEncoder;

const MAGIC: &[u8; 8] = b"TBUTFEA1";
/// Images that go through the encoder together.
const BATCH: usize = 8;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    /// What the tokens depend on: preprocessing, encoder kind and weights.
    encoder: String,
    tokens: usize,
    width: usize,
    names: Vec<String>,
}

/// An open cache.
pub struct Features {
    map: memmap2::Mmap,
    start: usize,
    header: Header,
    index: HashMap<String, usize>,
}

/// What the tokens of a configuration depend on, as one short text.
///
/// # Errors
/// When the configuration cannot be written as JSON.
pub fn fingerprint(config: &CirConfig, encoder: &thisbut_model::weights::Tensors) -> Result<String> {
    use sha2::{Digest, Sha256};
    let parts = serde_json::to_vec(&(&config.preprocess, &config.image_encoder))
        .map_err(|e| TrainerError::checkpoint("the configuration", e.to_string(), "report this"))?;
    let mut hash = Sha256::new();
    hash.update(parts);
    for (name, (_, values)) in encoder {
        hash.update(name.as_bytes());
        hash.update(bytemuck::cast_slice::<f32, u8>(values));
    }
    Ok(hash.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect())
}

/// Computes the tokens of `images` (name and path) and writes them to `path`. Images that cannot be read are left out
/// and reported.
///
/// # Errors
/// When nothing can be read or the file cannot be written.
#[allow(clippy::too_many_arguments)] // a file, its content's source, and two listeners
pub fn build(
    path: &Path,
    images: &[(String, PathBuf)],
    config: &CirConfig,
    fingerprint: String,
    encoder: &ImageEncoder,
    device: &Device,
    progress: &mut dyn FnMut(usize, usize),
    report: &mut dyn FnMut(String),
) -> Result<()> {
    let (tokens, width) = (config.image_tokens(), config.image_width());
    let mut names = Vec::with_capacity(images.len());
    let mut data: Vec<f16> = Vec::with_capacity(images.len() * tokens * width);
    let mut done = 0;
    for batch in images.chunks(BATCH) {
        let mut pixels = Vec::with_capacity(batch.len() * 3 * config.preprocess.size * config.preprocess.size);
        let mut count = 0;
        for (name, file) in batch {
            match prepare(file, &config.preprocess) {
                Ok(values) => {
                    pixels.extend(values);
                    names.push(name.clone());
                    count += 1;
                }
                Err(e) => report(e.to_string()),
            }
        }
        if count > 0 {
            data.extend(encode(encoder, pixels, count, config, device)?.into_iter().map(f16::from_f32));
        }
        done += batch.len();
        progress(done, images.len());
    }
    if names.is_empty() {
        return Err(TrainerError::data(
            path.display().to_string(),
            "no image could be read",
            "check the data set's folder",
        ));
    }
    let header = Header { encoder: fingerprint, tokens, width, names };
    let json = serde_json::to_vec(&header)
        .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
    let start = start_of_data(json.len());
    fsx::write_atomic_with(path, |out| {
        use std::io::Write;
        out.write_all(MAGIC)?;
        out.write_all(&(json.len() as u64).to_le_bytes())?;
        out.write_all(&json)?;
        out.write_all(&vec![0; start - 16 - json.len()])?;
        out.write_all(bytemuck::cast_slice(&data))
    })
}

fn start_of_data(json: usize) -> usize {
    (16 + json).div_ceil(64) * 64
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
    config: &CirConfig,
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

impl Features {
    /// Opens a cache.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when the file is damaged, or was made by another encoder than `expected`.
    pub fn open(path: &Path, expected: Option<&str>) -> Result<Self> {
        let place = path.display().to_string();
        let broken = |problem: &str| TrainerError::checkpoint(place.clone(), problem, "run `thisbut features` again");
        let file =
            std::fs::File::open(path).map_err(|e| TrainerError::io(path, "read", e, "run `thisbut features` first"))?;
        // SAFETY: the file is private to this tool, which replaces it by renaming and never writes to it in place; a
        // program that truncates it under us would be at fault.
        let map =
            unsafe { memmap2::Mmap::map(&file) }.map_err(|e| TrainerError::io(path, "read", e, "check the file"))?;
        let length = map
            .get(8..16)
            .and_then(|b| b.try_into().ok())
            .map(u64::from_le_bytes)
            .filter(|_| map.starts_with(MAGIC))
            .ok_or_else(|| broken("it is not a feature cache"))?;
        let length =
            usize::try_from(length).ok().filter(|l| *l < map.len()).ok_or_else(|| broken("it is cut short"))?;
        let json = map.get(16..16 + length).ok_or_else(|| broken("it is cut short"))?;
        let header: Header = serde_json::from_slice(json).map_err(|_| broken("its header is damaged"))?;
        if expected.is_some_and(|e| e != header.encoder) {
            return Err(broken("it was made by another image encoder or preprocessing"));
        }
        let start = start_of_data(length);
        if map.len() != start + header.names.len() * header.tokens * header.width * 2 {
            return Err(broken("it is cut short"));
        }
        let index = header.names.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
        Ok(Self { map, start, header, index })
    }

    /// T and C.
    pub fn shape(&self) -> (usize, usize) {
        (self.header.tokens, self.header.width)
    }

    /// The row of an image's tokens.
    ///
    /// # Errors
    /// When the cache lacks the image.
    pub fn row(&self, name: &str) -> Result<usize> {
        self.index.get(name).copied().ok_or_else(|| {
            TrainerError::data(name, "the feature cache lacks this image", "run `thisbut features` on this data set")
        })
    }

    /// The mean of a row's tokens, `[C]`.
    pub fn mean(&self, row: usize) -> Vec<f32> {
        let (t, c) = self.shape();
        let from = self.start + row * t * c * 2;
        let halves: &[f16] = bytemuck::cast_slice(self.map.get(from..from + t * c * 2).unwrap_or_default());
        let mut mean = vec![0.0f32; c];
        for token in halves.chunks_exact(c.max(1)) {
            mean.iter_mut().zip(token).for_each(|(sum, x)| *sum += x.to_f32() / t as f32);
        }
        mean
    }

    /// Tokens of several rows, `[rows, T, C]`, on `device`.
    pub fn tokens(&self, rows: &[usize], device: &Device) -> Tensor<3> {
        let (t, c) = self.shape();
        let each = t * c;
        let all: &[u8] = self.map.get(self.start..).unwrap_or_default();
        let mut values = vec![0.0f32; rows.len() * each];
        let fill = |(out, row): (&mut [f32], &usize)| {
            let bytes = all.get(row * each * 2..(row + 1) * each * 2).unwrap_or_default();
            let halves: &[f16] = bytemuck::cast_slice(bytes);
            half::slice::HalfFloatSliceExt::convert_to_f32_slice(halves, &mut out[..halves.len()]);
        };
        use rayon::prelude::*;
        values.par_chunks_mut(each).zip(rows.par_iter()).for_each(fill);
        Tensor::from_data(TensorData::new(values, [rows.len(), t, c]), device)
    }
}
