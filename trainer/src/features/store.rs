//! The file that image tokens are kept in.
//!
//! Layout: magic, zeros to byte 64, a record an image in the header's order of names, JSON header, its length (u64,
//! little-endian). A record is `[T, C]` f32 or f16, or for int8 T scales (f32) and then `[T, C]` codes; all little-endian.
//! Files of the layout before (`TBUTFEA1`: header first, f16 only) are read too.

use super::ImageTokens;
use crate::error::{Result, TrainerError};
use crate::formats::Formats;
use crate::fsx;
use burn::tensor::{Device, Tensor, TensorData};
use half::f16;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;

pub(super) const MAGIC: &[u8; 8] = b"TBUTFEA2";
const MAGIC_BEFORE: &[u8; 8] = b"TBUTFEA1";
/// Where the records begin.
pub(super) const START: usize = 64;
/// Largest int8 code.
const CODES: f32 = 127.0;

/// What a value may be kept as.
pub const STORES: Formats = Formats(&[
    (NumberFormat::F32, "4 bytes: exact"),
    (NumberFormat::F16, "2 bytes"),
    (NumberFormat::Int8, "1 byte, with a scale a token"),
]);

/// What a value is kept as: one of [`STORES`]. Nothing makes it of another, so no record is of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NumberFormat", into = "NumberFormat")]
pub struct Store(NumberFormat);

impl TryFrom<NumberFormat> for Store {
    type Error = TrainerError;

    fn try_from(format: NumberFormat) -> Result<Self> {
        STORES.check("the feature cache", format).map(|()| Self(format))
    }
}

impl From<Store> for NumberFormat {
    fn from(store: Store) -> Self {
        store.0
    }
}

impl Default for Store {
    /// What caches hold that were written before there was a choice.
    fn default() -> Self {
        Self(NumberFormat::F16)
    }
}

impl Store {
    /// Bytes of an image's record, or the largest number where they are more.
    pub fn record(self, tokens: usize, width: usize) -> usize {
        let scale = if self.0 == NumberFormat::Int8 { size_of::<f32>() } else { 0 };
        tokens.saturating_mul(self.0.row_bytes(width).saturating_add(scale))
    }

    /// The records of images' tokens `[images · T · C]`.
    pub fn pack(self, values: &[f32], tokens: usize, width: usize) -> Vec<u8> {
        let image = (tokens * width).max(1);
        match self.0 {
            NumberFormat::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            NumberFormat::Int8 => values.chunks_exact(image).flat_map(|image| int8(image, width)).collect(),
            _ => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
        }
    }

    /// A record's tokens into `out`, `[T · C]`. The record has the size of [`Store::record`].
    fn unpack(self, record: &[u8], tokens: usize, width: usize, out: &mut [f32]) {
        match self.0 {
            NumberFormat::F32 => {
                for (out, bytes) in out.iter_mut().zip(record.as_chunks::<4>().0) {
                    *out = f32::from_le_bytes(*bytes);
                }
            }
            NumberFormat::Int8 => {
                let (scales, codes) = record.split_at(record.len().min(tokens * 4));
                let tokens = out.chunks_exact_mut(width.max(1)).zip(codes.chunks_exact(width.max(1)));
                for ((out, codes), scale) in tokens.zip(scales.as_chunks::<4>().0) {
                    let scale = f32::from_le_bytes(*scale);
                    for (out, code) in out.iter_mut().zip(codes) {
                        *out = scale * f32::from(*code as i8);
                    }
                }
            }
            _ => {
                // Records begin at a multiple of 64 bytes of a page and have an even number of them, so that the whole record
                // is converted at once; bytes that lie elsewhere are converted one by one.
                match bytemuck::try_cast_slice::<u8, f16>(record) {
                    Ok(halves) => half::slice::HalfFloatSliceExt::convert_to_f32_slice(halves, out),
                    Err(_) => {
                        for (out, bytes) in out.iter_mut().zip(record.as_chunks::<2>().0) {
                            *out = f16::from_le_bytes(*bytes).to_f32();
                        }
                    }
                }
            }
        }
    }
}

fn int8(image: &[f32], width: usize) -> Vec<u8> {
    let (mut scales, mut codes) = (Vec::new(), Vec::with_capacity(image.len()));
    for token in image.chunks_exact(width.max(1)) {
        let scale = token.iter().fold(0.0f32, |m, v| m.max(v.abs())) / CODES;
        scales.extend(scale.to_le_bytes());
        let code = |v: &f32| if scale > 0.0 { (v / scale).round().clamp(-CODES, CODES) as i8 as u8 } else { 0 };
        codes.extend(token.iter().map(code));
    }
    scales.extend(codes);
    scales
}

/// What the file says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    /// What the tokens depend on: preprocessing, encoder kind and weights.
    pub encoder: String,
    pub tokens: usize,
    pub width: usize,
    #[serde(default)]
    pub store: Store,
    pub names: Vec<String>,
    /// Images that could not be read, with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, String>,
    /// What the file was made from, as one short text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<String>,
    /// The size of each image's file when it was read, in the order of the names, where that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<u64>,
}

impl Header {
    /// Reads the description of a whole cache, and where its records begin; every size is compared with the file's.
    fn parse(bytes: &[u8]) -> Result<(Self, usize), &'static str> {
        const CUT: &str = "it is cut short";
        let number = |bytes: Option<&[u8]>| {
            bytes.and_then(|b| b.try_into().ok()).map(u64::from_le_bytes).and_then(|n| usize::try_from(n).ok())
        };
        let (json, start, end) = match bytes.get(..8).map(|magic| (magic == MAGIC, magic == MAGIC_BEFORE)) {
            Some((true, _)) => {
                let tail = bytes.len().checked_sub(8).ok_or(CUT)?;
                let length = number(bytes.get(tail..)).filter(|l| *l < tail).ok_or(CUT)?;
                (tail - length..tail, START, tail - length)
            }
            Some((_, true)) => {
                let length = number(bytes.get(8..16)).filter(|l| *l < bytes.len()).ok_or(CUT)?;
                (16..16 + length, (16 + length).div_ceil(64) * 64, bytes.len())
            }
            _ => return Err("it is not a feature cache"),
        };
        let header: Self = serde_json::from_slice(bytes.get(json).ok_or(CUT)?).map_err(|_| "its header is damaged")?;
        let record = header.store.record(header.tokens, header.width);
        let values = header.tokens.saturating_mul(header.width);
        if values == 0 || values > MAX_VALUES {
            return Err("an image of it has no tokens, or more than any encoder makes");
        }
        if record.checked_mul(header.names.len()).and_then(|size| size.checked_add(start)) != Some(end) {
            return Err(CUT);
        }
        let mut known = HashSet::with_capacity(header.names.len());
        if !header.names.iter().all(|name| known.insert(name)) {
            return Err("it names an image twice");
        }
        if !header.sizes.is_empty() && header.sizes.len() != header.names.len() {
            return Err("it has sizes of other images than it names");
        }
        Ok((header, start))
    }
}

/// Most values of an image's tokens.
const MAX_VALUES: usize = 1 << 26;

/// Reads every image of a cache that lies in memory, as [`Features`] does; gives T, C and what `each` is called with for each
/// name: the values, `[T · C]`.
///
/// # Errors
/// Half a sentence: what is wrong with it.
pub fn read_cache(bytes: &[u8], mut each: impl FnMut(&str, &[f32])) -> Result<(usize, usize), &'static str> {
    let (header, start) = Header::parse(bytes)?;
    let record = header.store.record(header.tokens, header.width);
    let mut values = vec![0.0; if header.names.is_empty() { 0 } else { header.tokens * header.width }];
    for (name, record) in header.names.iter().zip(bytes.get(start..).unwrap_or_default().chunks_exact(record)) {
        header.store.unpack(record, header.tokens, header.width, &mut values);
        each(name, &values);
    }
    Ok((header.tokens, header.width))
}

/// An open cache.
pub struct Features {
    map: memmap2::Mmap,
    start: usize,
    header: Header,
    index: HashMap<String, usize>,
}

impl Features {
    /// Opens a cache whoever made it: for its description, or for images alone.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when the file is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.display().to_string();
        let broken = |problem: &str| TrainerError::checkpoint(place.clone(), problem, "run `thisbut features` again");
        let (file, _) = fsx::open(path, fsx::ANY).map_err(|e| match e {
            TrainerError::Io { source, .. } => TrainerError::io(path, "read", source, "run `thisbut features` first"),
            other => other,
        })?;
        // SAFETY: the file is private to this tool, which replaces it by renaming and never writes to it in place; a
        // program that truncates it under us would be at fault.
        let map =
            unsafe { memmap2::Mmap::map(&file) }.map_err(|e| TrainerError::io(path, "read", e, "check the file"))?;
        let (header, start) = Header::parse(&map).map_err(broken)?;
        let index = header.names.iter().enumerate().map(|(i, n)| (n.clone(), i)).collect();
        Ok(Self { map, start, header, index })
    }

    /// Opens a cache for the model of `config`, whose image encoder has this fingerprint.
    ///
    /// # Errors
    /// As [`Features::open`], and [`TrainerError::Checkpoint`] when another encoder made it, or its tokens are of another
    /// shape than the model reads.
    pub fn of_encoder(path: &Path, config: &RetrievalConfig, fingerprint: &str) -> Result<Self> {
        let features = Self::open(path)?;
        let refused = |problem: String| {
            let mend = "give the cache of this model, or run `thisbut features` again";
            Err(TrainerError::checkpoint(path.display().to_string(), problem, mend))
        };
        let (found, wanted) = (features.shape(), (config.image_tokens(), config.image_width()));
        if found != wanted {
            let problem = format!("it has {found:?} (tokens an image, width), the model reads {wanted:?}");
            return refused(problem);
        }
        match features.header.encoder == fingerprint {
            true => Ok(features),
            false => refused("it was made by another image encoder or preprocessing".into()),
        }
    }

    /// T and C.
    pub fn shape(&self) -> (usize, usize) {
        (self.header.tokens, self.header.width)
    }

    /// What the tokens are kept as.
    pub fn store(&self) -> NumberFormat {
        self.header.store.into()
    }

    /// Images that have tokens.
    pub fn len(&self) -> usize {
        self.header.names.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.header.names.is_empty()
    }

    /// Images that could not be read when the cache was made, with the reason.
    pub fn left_out(&self) -> &BTreeMap<String, String> {
        &self.header.left_out
    }

    /// The fingerprint of the image encoder and the preprocessing.
    pub fn encoder(&self) -> &str {
        &self.header.encoder
    }

    /// What the cache was made from; caches of earlier versions do not say.
    pub(super) fn sources(&self) -> Option<&String> {
        self.header.sources.as_ref()
    }

    /// The size that the file of a row's image had when it was read, where the cache keeps it.
    pub fn size(&self, row: usize) -> Option<u64> {
        self.header.sizes.get(row).copied()
    }

    /// Size of the file.
    pub fn bytes(&self) -> usize {
        self.map.len()
    }

    /// The row of an image's tokens.
    ///
    /// # Errors
    /// When the cache lacks the image.
    pub fn row(&self, name: &str) -> Result<usize> {
        self.index.get(name).copied().ok_or_else(|| match self.header.left_out.get(name) {
            Some(reason) => TrainerError::data(
                format!("image '{name}'"),
                format!("could not be read when the feature cache was made ({reason})"),
                "mend the file and run `thisbut features` again, or take its rows out of the data set",
            ),
            None => TrainerError::data(
                format!("image '{name}'"),
                "the feature cache lacks it",
                "run `thisbut features` on this data set",
            ),
        })
    }

    /// A row's tokens into `out`, `[T · C]`.
    pub(crate) fn read(&self, row: usize, out: &mut [f32]) {
        let (t, c) = self.shape();
        let each = self.header.store.record(t, c);
        let record = &self.map[self.start + row * each..self.start + (row + 1) * each];
        self.header.store.unpack(record, t, c, out);
    }

    /// A hash of what the cache has of these images, however it keeps it.
    ///
    /// # Errors
    /// When it lacks one.
    pub fn digest<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<String> {
        let (t, c) = self.shape();
        let each = self.header.store.record(t, c);
        let mut hash = Sha256::new_with_prefix(self.header.encoder.as_bytes());
        for name in names {
            let start = self.start + self.row(name)? * each;
            hash.update(name.as_bytes());
            hash.update(&self.map[start..start + each]);
        }
        Ok(fsx::hex(&hash.finalize()))
    }

    /// The mean of a row's tokens, `[C]`.
    pub fn mean(&self, row: usize) -> Vec<f32> {
        let (t, c) = self.shape();
        let (mut all, mut mean) = (vec![0.0f32; t * c], vec![0.0f32; c]);
        self.read(row, &mut all);
        for token in all.chunks_exact(c.max(1)) {
            mean.iter_mut().zip(token).for_each(|(sum, x)| *sum += x / t as f32);
        }
        mean
    }

    /// Tokens of several rows, `[rows, T, C]`, on `device`.
    pub fn tokens(&self, rows: &[usize], device: &Device) -> Tensor<3> {
        use rayon::prelude::*;
        let (t, c) = self.shape();
        let mut values = vec![0.0f32; rows.len() * t * c];
        values.par_chunks_mut((t * c).max(1)).zip(rows.par_iter()).for_each(|(out, row)| self.read(*row, out));
        Tensor::from_data(TensorData::new(values, [rows.len(), t, c]), device)
    }
}

impl ImageTokens for Features {
    fn row(&self, name: &str) -> Result<usize> {
        Self::row(self, name)
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        Ok(Self::tokens(self, rows, device))
    }

    fn left_out(&self, name: &str) -> bool {
        Self::left_out(self).contains_key(name)
    }
}
