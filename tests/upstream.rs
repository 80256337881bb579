//! Golden values of upstream implementations (`tests/golden/`), the real weights, and a table of differences.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use crate::skipped::skipped;
use safetensors::{Dtype, SafeTensors};
use thisbut_generator::runtime::{Decoding, Strategy};

/// What the tests return: any error ends one with its message.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One tensor: row-major values and their shape. Ids and masks are whole numbers here.
#[derive(Debug, Clone)]
pub struct Values {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// As many values as the sizes multiply to.
    pub data: Vec<f32>,
}

/// The tensors of a golden safetensors file, by name.
pub struct Golden(BTreeMap<String, Values>);

impl Golden {
    /// Reads `tests/golden/{file}`.
    pub fn read(file: &str) -> Outcome<Self> {
        let bytes = std::fs::read(golden_path(file))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(&bytes)?.iter() {
            let data = match view.dtype() {
                Dtype::F32 => {
                    view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
                }
                Dtype::I32 => {
                    view.data().chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect()
                }
                Dtype::F16 => {
                    view.data().chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
                }
                other => return Err(format!("{file}: {name} is {other:?}").into()),
            };
            tensors.insert(name.to_string(), Values { shape: view.shape().to_vec(), data });
        }
        Ok(Self(tensors))
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Outcome<&Values> {
        self.0.get(name).ok_or_else(|| format!("no golden tensor {name}").into())
    }

    /// The tensors that are weights: all but inputs, outputs and gradients.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &Values)> {
        let other = ["input.", "out.", "grad."];
        self.0.iter().filter(move |(k, _)| !other.iter().any(|p| k.starts_with(p))).map(|(k, v)| (k.as_str(), v))
    }

    /// The gradients, by parameter name.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &Values)> {
        self.0.iter().filter_map(|(k, v)| k.strip_prefix("grad.").map(|k| (k, v)))
    }
}

/// Reads the JSON file `tests/golden/{file}`.
pub fn golden_json(file: &str) -> Outcome<serde_json::Value> {
    Ok(serde_json::from_slice(&std::fs::read(golden_path(file))?)?)
}

/// Reads the file `tests/golden/{file}`.
pub fn golden_bytes(file: &str) -> Outcome<Vec<u8>> {
    Ok(std::fs::read(golden_path(file))?)
}

fn golden_path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(file)
}

/// The numbers of a JSON array, nested arrays laid out one after another.
pub fn numbers(value: &serde_json::Value) -> Vec<f32> {
    match value {
        serde_json::Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => other.as_f64().map(|x| x as f32).into_iter().collect(),
    }
}

/// Where tests look for published weights: `THISBUT_WEIGHTS`, or `data/weights/` of the repository.
fn weights_folder() -> PathBuf {
    match std::env::var_os("THISBUT_WEIGHTS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/weights"),
    }
}

/// A published file, found by the first of its names that exists in the folder of weights or below it. A test that cannot find
/// its file fails, so that a green run has tested what it names; `THISBUT_SKIP_WEIGHTS=1` makes the answer `None`, and a line
/// that says so. `bring` is what brings the file.
pub fn real_weights(names: &[&str], bring: &str) -> Outcome<Option<PathBuf>> {
    let folder = weights_folder();
    let found = names.iter().find_map(|name| find(&folder, Path::new(name), 6));
    if found.is_some() {
        return Ok(found);
    }
    let lacking = format!("{} is not under {}: run {bring}", names.join(" or "), folder.display());
    if std::env::var_os("THISBUT_SKIP_WEIGHTS").is_some_and(|value| value == "1") {
        skipped(&lacking);
        return Ok(None);
    }
    Err(format!("{lacking}; or set THISBUT_SKIP_WEIGHTS=1 to leave such tests out").into())
}

/// What brings the weights that training starts from.
pub const SMALL: &str = "`thisbut fetch small`";
/// What brings the language model.
pub const SMOLLM2: &str = "`thisbut fetch smollm2`";
/// What brings the published SentencePiece model.
pub const PIECES: &str = "`scripts/test native`, which takes it from the Python package mistral-common";

fn find(folder: &Path, file: &Path, depth: usize) -> Option<PathBuf> {
    let direct = folder.join(file);
    if direct.is_file() {
        return Some(direct);
    }
    let mut folders: Vec<_> =
        std::fs::read_dir(folder).ok()?.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders.iter().filter(|_| depth > 0).find_map(|f| find(f, file, depth - 1))
}

/// Token numbers of a JSON list.
pub fn ids(value: &serde_json::Value) -> Vec<u32> {
    numbers(value).into_iter().map(|x| x as u32).collect()
}

/// How an answer is searched for, from the settings that transformers' `generate` was called with.
pub fn decoding(value: &serde_json::Value) -> Decoding {
    let number = |key: &str| value[key].as_f64();
    let beams = number("num_beams").unwrap_or(1.0) as usize;
    let length_penalty = number("length_penalty").unwrap_or(1.0) as f32;
    Decoding {
        strategy: if beams > 1 { Strategy::Beam { beams, length_penalty } } else { Strategy::Greedy },
        repetition_penalty: number("repetition_penalty").unwrap_or(1.0) as f32,
        least: number("min_new_tokens").unwrap_or(0.0) as usize,
        most: number("max_new_tokens").unwrap_or(0.0) as usize,
        target: None,
    }
}

/// Collects the largest difference of each compared value, prints all of them, and fails if one is over its limit.
#[derive(Default)]
pub struct Table(Vec<(String, f32, f32)>);

impl Table {
    /// Largest absolute difference of two equally long lists.
    pub fn absolute(&mut self, name: impl Into<String>, got: &[f32], expected: &[f32], limit: f32) {
        self.scaled(name, got, expected, 1.0, limit);
    }

    /// Largest difference in units of the largest expected value.
    pub fn relative(&mut self, name: impl Into<String>, got: &[f32], expected: &[f32], limit: f32) {
        let scale = expected.iter().fold(f32::MIN_POSITIVE, |m, x| m.max(x.abs()));
        self.scaled(name, got, expected, scale, limit);
    }

    /// A number that is a difference already.
    pub fn add(&mut self, name: impl Into<String>, difference: f32, limit: f32) {
        self.0.push((name.into(), difference, limit));
    }

    fn scaled(&mut self, name: impl Into<String>, got: &[f32], expected: &[f32], scale: f32, limit: f32) {
        let worst = if got.len() == expected.len() && !got.is_empty() {
            // `max` would swallow a NaN, which must count as the worst.
            let differences = got.iter().zip(expected).map(|(a, b)| (a - b).abs() / scale);
            differences.fold(0.0, |m: f32, x| if x.is_nan() { f32::INFINITY } else { m.max(x) })
        } else {
            f32::INFINITY
        };
        self.add(name, worst, limit);
    }

    /// Prints the table under a title; an error names every row over its limit.
    pub fn finish(self, title: &str) -> Outcome {
        println!("\n{title}: largest difference (limit)");
        let mut over = Vec::new();
        for (name, difference, limit) in self.0 {
            let mark = if difference <= limit { "" } else { "  <-- over" };
            println!("  {name:<68} {difference:>9.2e} ({limit:.0e}){mark}");
            if !mark.is_empty() {
                over.push(format!("{name} {difference:.2e} > {limit:.0e}"));
            }
        }
        if over.is_empty() { Ok(()) } else { Err(format!("{title}: {}", over.join("; ")).into()) }
    }
}

/// The lines of a run's metrics file that are steps.
///
/// # Errors
/// When the file cannot be read, and when a line is no JSON.
pub fn journal(folder: &Path) -> Outcome<Vec<serde_json::Value>> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl"))?;
    let lines = text.lines().map(serde_json::from_str).collect::<Result<Vec<serde_json::Value>, _>>()?;
    Ok(lines.into_iter().filter(|line| line.get("loss").is_some()).collect())
}
