//! Checkpoints of others as one list of named tensors, read one at a time: safetensors, sharded or not, and PyTorch files.
//!
//! Opening a file reads its description only. Every length in it is checked against the file's own before anything is
//! allocated, so that a tensor never takes more memory than the file has bytes (twice that when it is stored in half
//! precision).

use super::pickle::{Kind, shown};
use super::torch;
use crate::error::{Result, TrainerError};
use crate::fsx;
use half::{bf16, f16};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use thisbut_model::number::NumberFormat;

/// Longest description of a safetensors file (the format's own limit).
const MAX_HEADER: u64 = 100_000_000;
/// Longest index of a sharded checkpoint.
const MAX_INDEX: u64 = 32 << 20;
/// Bytes that are read and converted together; a multiple of every number's size.
const PIECE: usize = 1 << 20;

/// A tensor and where it lies.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Sizes, outermost first; their product fits the file.
    pub dims: Vec<usize>,
    /// How its numbers are stored.
    pub kind: Kind,
    /// First byte in the file.
    pub start: u64,
    /// Steps between neighbours along each dimension, where the numbers do not lie in row-major order.
    pub strides: Option<Vec<usize>>,
    /// Which file, by its number.
    pub file: usize,
}

/// Open checkpoints.
pub struct Source {
    files: Vec<(PathBuf, File)>,
    entries: BTreeMap<String, Entry>,
}

impl Source {
    /// Opens checkpoint files: `.safetensors`, `.safetensors.index.json`, `.bin.index.json`, `.pth`, `.pt`, `.bin`, or a
    /// folder that holds a Hugging Face model. What a file is, its first bytes say, not its name.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] that names the file when it is damaged or not a checkpoint, or when two files hold
    /// a tensor of the same name.
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut source = Self { files: Vec::new(), entries: BTreeMap::new() };
        let mut all = Vec::with_capacity(paths.len());
        for path in paths {
            if path.is_dir() { all.extend(model_of(path)?) } else { all.push(path.clone()) }
        }
        for path in all {
            if path.extension().is_some_and(|e| e == "json") {
                for shard in shards(&path)? {
                    source.add(&shard)?;
                }
            } else {
                source.add(&path)?;
            }
        }
        Ok(source)
    }

    fn add(&mut self, path: &Path) -> Result<()> {
        let (mut file, _) = fsx::open(path, fsx::ANY).map_err(|e| match e {
            TrainerError::Io { source, .. } => {
                TrainerError::io(path, "read", source, "run `thisbut fetch small`, or check the path")
            }
            other => other,
        })?;
        let wrong = |problem: String| damaged(path, problem);
        for (name, entry) in describe(&mut file).map_err(wrong)? {
            if let Some(other) = self.entries.get(&name) {
                let other = self.files.get(other.file).map_or(path, |(path, _)| path).display().to_string();
                return Err(wrong(format!("{} is also in {other}", shown(&name))));
            }
            self.entries.insert(name, Entry { file: self.files.len(), ..entry });
        }
        self.files.push((path.to_path_buf(), file));
        Ok(())
    }

    /// Every tensor by name.
    pub fn entries(&self) -> &BTreeMap<String, Entry> {
        &self.entries
    }

    /// The file that holds an entry.
    pub fn path(&self, entry: &Entry) -> &Path {
        &self.files[entry.file].0
    }

    /// A hash of both ends of every tensor, `most` bytes each, as they lie in the files.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn sample(&mut self, most: usize) -> Result<String> {
        let (mut hash, mut bytes) = (Sha256::new(), Vec::new());
        for entry in self.entries.values() {
            let (path, file) = &mut self.files[entry.file];
            let size = entry.dims.iter().product::<usize>() * entry.kind.bytes();
            bytes.resize(size.min(most), 0);
            for place in [entry.start, entry.start + (size - bytes.len()) as u64] {
                let read = file.seek(SeekFrom::Start(place)).and_then(|_| file.read_exact(&mut bytes));
                read.map_err(|e| TrainerError::io(path, "read", e, "check the file"))?;
                hash.update(&bytes);
            }
        }
        Ok(fsx::hex(&hash.finalize()))
    }

    /// Refuses tensors among `names` that share a part of their numbers: views of one another cannot both be
    /// parameters. The same tensor under two names is allowed.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] that names both.
    pub fn check_overlaps<'a>(&self, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let mut ranges: Vec<(usize, u64, u64, &str)> = names
            .filter_map(|name| {
                let entry = self.entries.get(name)?;
                let bytes = entry.dims.iter().product::<usize>() * entry.kind.bytes();
                (bytes > 0).then(|| (entry.file, entry.start, entry.start + bytes as u64, name))
            })
            .collect();
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            let [(file, start, end, one), (file_2, start_2, end_2, other)] = pair else { continue };
            if file == file_2 && start_2 < end && (start, end) != (start_2, end_2) {
                let path = self.files.get(*file).map_or(Path::new(""), |(path, _)| path);
                return Err(damaged(path, format!("{} and {} overlap", shown(one), shown(other))));
            }
        }
        Ok(())
    }

    /// Dimensions and values of a tensor.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when it is not there, is not made of floating-point numbers, or holds one that is
    /// not finite.
    pub fn read(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        let entry = self.entries.get(name).cloned();
        let entry =
            entry.ok_or_else(|| TrainerError::checkpoint(shown(name), "there is no such tensor", "report this"))?;
        let Some((path, file)) = self.files.get_mut(entry.file) else { return Ok((Vec::new(), Vec::new())) };
        let wrong = |problem: String| damaged(path, format!("{}: {problem}", shown(name)));
        let size = entry.kind.bytes();
        let count: usize = entry.dims.iter().product();
        let reach = entry
            .strides
            .iter()
            .flatten()
            .zip(&entry.dims)
            .try_fold(0usize, |sum, (stride, dim)| sum.checked_add(stride.checked_mul(dim.saturating_sub(1))?));
        if reach.is_none_or(|last| last > 0 && last >= count) {
            return Err(wrong("it is a part of a larger tensor".into()));
        }
        file.seek(SeekFrom::Start(entry.start)).map_err(|e| wrong(e.to_string()))?;
        let mut values: Vec<f32> = Vec::with_capacity(count);
        let mut buffer = vec![0; PIECE.min(count * size)];
        while values.len() < count {
            let part = ((count - values.len()) * size).min(PIECE);
            let bytes = &mut buffer[..part];
            file.read_exact(bytes).map_err(|e| wrong(format!("it cannot be read ({e})")))?;
            let Kind::Float(format) = entry.kind else {
                return Err(wrong("it holds whole numbers, not parameters".into()));
            };
            match format {
                NumberFormat::F32 => values.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
                NumberFormat::F16 => values.extend(bytes.as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32())),
                NumberFormat::Bf16 => {
                    values.extend(bytes.as_chunks().0.iter().map(|b| bf16::from_le_bytes(*b).to_f32()))
                }
                NumberFormat::F64 => values.extend(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b) as f32)),
                NumberFormat::Int8 | NumberFormat::Q8 | NumberFormat::Q4 => {
                    return Err(wrong(format!("it holds {format} codes, not parameters")));
                }
            }
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(wrong("it holds a value that is not a finite number".into()));
        }
        if let Some(strides) = &entry.strides {
            values = row_major(&values, &entry.dims, strides);
        }
        Ok((entry.dims, values))
    }
}

/// The tensors of a checkpoint file and where they lie, whichever kind it is.
///
/// # Errors
/// Half a sentence: what is wrong with the file.
pub fn describe(file: &mut (impl Read + Seek)) -> Result<Vec<(String, Entry)>, String> {
    let mut start = Vec::new();
    file.by_ref().take(16).read_to_end(&mut start).map_err(|e| format!("it cannot be read ({e})"))?;
    if start.starts_with(b"PK") {
        torch::read_zip(file)
    } else if start.starts_with(torch::LEGACY_START) {
        torch::read_legacy(file)
    } else {
        safetensors(file)
    }
}

/// A permuted tensor's values in row-major order; every place lies inside `values`.
fn row_major(values: &[f32], dims: &[usize], strides: &[usize]) -> Vec<f32> {
    let mut places = vec![0usize];
    for (dim, stride) in dims.iter().zip(strides) {
        places = places.iter().flat_map(|at| (0..*dim).map(move |i| at + i * stride)).collect();
    }
    places.into_iter().map(|at| values[at]).collect()
}

fn damaged(path: &Path, problem: String) -> TrainerError {
    if problem == torch::SCRIPTED {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let load = format!("torch.jit.load({file:?}, map_location=\"cpu\")");
        let mend = format!(
            "write its state dict with `python -c 'import torch; torch.save({load}.state_dict(), \"state.pt\")'`, and import state.pt"
        );
        return TrainerError::checkpoint(path.display().to_string(), problem, mend);
    }
    TrainerError::checkpoint(
        path.display().to_string(),
        format!("not a usable checkpoint: {problem}"),
        "download it again, or check that it is the right file",
    )
}

/// What `thisbut convert --to hf` writes beside the model: tensors that Hugging Face's class does not have.
pub const BESIDE: &str = "thisbut.safetensors";

/// The files of a Hugging Face model's folder that lead to all its weights.
fn model_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let names = [
        "model.safetensors.index.json",
        "model.safetensors",
        "pytorch_model.bin.index.json",
        "pytorch_model.bin",
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.bin",
    ];
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.is_file()).ok_or_else(|| {
        TrainerError::checkpoint(
            folder.display().to_string(),
            format!("the folder has none of {}", names.join(", ")),
            "give the checkpoint files themselves",
        )
    })?;
    let beside = Some(folder.join(BESIDE)).filter(|path| path.is_file());
    Ok([found].into_iter().chain(beside).collect())
}

/// The shards that an index names, each a file beside it.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let wrong = |problem: String| damaged(index, problem);
    let Index { weight_map } = serde_json::from_slice(&fsx::read(index, MAX_INDEX)?)
        .map_err(|e| wrong(format!("it is no index of shards ({e})")))?;
    let folder = index.parent().unwrap_or(Path::new(""));
    let names: BTreeSet<String> = weight_map.into_values().collect();
    names
        .into_iter()
        .map(|name| {
            // A shard is a plain name: an index cannot lead anywhere else on the disk.
            if Path::new(&name).file_name().is_none_or(|file| file != name.as_str()) {
                return Err(wrong(format!("{} is not the name of a file beside it", shown(&name))));
            }
            Ok(folder.join(name))
        })
        .collect()
}

/// The tensors of a safetensors file: the header's length (u64), a JSON header, the numbers.
fn safetensors(file: &mut (impl Read + Seek)) -> Result<Vec<(String, Entry)>, String> {
    use safetensors::tensor::{Dtype, Metadata};
    let read = |e: std::io::Error| format!("it cannot be read ({e})");
    let length = file.seek(SeekFrom::End(0)).map_err(read)?;
    let mut start = [0; 8];
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut start))
        .map_err(|_| "it is empty or cut short".to_owned())?;
    let header = u64::from_le_bytes(start);
    if header > MAX_HEADER || header + 8 > length {
        return Err("it is neither a safetensors nor a PyTorch file".into());
    }
    let mut json = vec![0; header as usize];
    file.read_exact(&mut json).map_err(read)?;
    let metadata: Metadata =
        serde_json::from_slice(&json).map_err(|e| format!("its header is damaged ({})", shown(&e.to_string())))?;
    let mut end = 0;
    let mut out = Vec::new();
    for (name, info) in metadata.tensors() {
        let kind = match info.dtype {
            Dtype::F32 => Kind::Float(NumberFormat::F32),
            Dtype::F16 => Kind::Float(NumberFormat::F16),
            Dtype::BF16 => Kind::Float(NumberFormat::Bf16),
            Dtype::F64 => Kind::Float(NumberFormat::F64),
            other => Kind::Whole((other.bitsize() / 8).max(1)),
        };
        end = end.max(info.data_offsets.1);
        let start = (header + 8).checked_add(info.data_offsets.0 as u64).ok_or("a tensor lies beyond any file")?;
        out.push((name, Entry { dims: info.shape.clone(), kind, start, strides: None, file: 0 }));
    }
    if (header + 8).checked_add(end as u64) != Some(length) {
        return Err(format!("its tensors end at byte {end} of {}: it is cut short or damaged", length - header - 8));
    }
    Ok(out)
}
