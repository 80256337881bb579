//! Checkpoints: one safetensors file with weights, optimiser state and settings, written atomically.

use super::settings::Settings;
use crate::error::{Result, TrainerError};
use crate::{fsx, partial};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thisbut_model::CirConfig;
use thisbut_model::weights::Tensors;

/// Version of this layout.
const VERSION: u32 = 1;
/// The metadata key that holds [`Header`] as JSON.
const HEADER: &str = "thisbut-checkpoint";

/// What a checkpoint says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    version: u32,
    /// Steps done.
    pub step: usize,
    /// Steps that the optimiser counted.
    pub optimizer_steps: u64,
    /// The run's settings.
    pub settings: Settings,
    /// The architecture.
    pub config: CirConfig,
    /// Fingerprint of the training data, so that a run is not resumed on other data.
    pub data: String,
    /// The best validation score so far and its step.
    pub best: Option<(f64, usize)>,
}

impl Header {
    /// A header of this version.
    pub fn new(settings: Settings, config: CirConfig, data: String) -> Self {
        Self { version: VERSION, step: 0, optimizer_steps: 0, settings, config, data, best: None }
    }
}

/// A checkpoint in memory.
pub struct Checkpoint {
    /// What it says of itself.
    pub header: Header,
    /// The model's parameters by name.
    pub model: Tensors,
    /// The optimiser's state; empty in a checkpoint that is only to be used.
    pub optimizer: Tensors,
}

/// Writes `checkpoint` to `path` as one atomic file.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, header: &Header, model: &Tensors, optimizer: &Tensors) -> Result<()> {
    use safetensors::tensor::{Dtype, TensorView};
    let place = path.display().to_string();
    let fail = |e: String| TrainerError::checkpoint(place.clone(), e, "check the run folder");
    let mut views = Vec::with_capacity(model.len() + optimizer.len());
    for (prefix, tensors) in [("model", model), ("optimizer", optimizer)] {
        for (name, (dims, values)) in tensors {
            let view = TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values))
                .map_err(|e| fail(e.to_string()))?;
            views.push((format!("{prefix}.{name}"), view));
        }
    }
    let json = serde_json::to_string(header).map_err(|e| fail(e.to_string()))?;
    let metadata = HashMap::from([(HEADER.to_owned(), json)]);
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(|e| fail(e.to_string()))?;
    fsx::write_atomic(path, &bytes)
}

/// Reads a checkpoint.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when the file is damaged or of another version.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let place = path.display().to_string();
    let bytes = fsx::read(path)?;
    let broken = |problem: String| {
        TrainerError::checkpoint(place.clone(), problem, "use an earlier checkpoint of the run, or start it again")
    };
    let (_, metadata) =
        safetensors::SafeTensors::read_metadata(&bytes).map_err(|e| broken(format!("it is damaged ({e})")))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| broken("it is not a checkpoint of thisbut".into()))?;
    let header: Header = serde_json::from_str(json).map_err(|e| broken(format!("its header cannot be read ({e})")))?;
    if header.version != VERSION {
        return Err(broken(format!("it has version {}, this build reads {VERSION}", header.version)));
    }
    let (mut model, mut optimizer) = (Tensors::new(), Tensors::new());
    for (name, value) in thisbut_model::weights::read_safetensors(&bytes, &place)? {
        if let Some(name) = name.strip_prefix("model.") {
            model.insert(name.to_owned(), value);
        } else if let Some(name) = name.strip_prefix("optimizer.") {
            optimizer.insert(name.to_owned(), value);
        }
    }
    Ok(Checkpoint { header, model, optimizer })
}

/// The newest checkpoint of a run folder that can be read, with its path. Damaged ones are passed over and reported.
pub fn newest(run: &Path, report: &mut dyn FnMut(String)) -> Option<(PathBuf, Checkpoint)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(run)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with("step-")))
        .collect();
    files.sort();
    while let Some(path) = files.pop() {
        match load(&path) {
            Ok(checkpoint) => return Some((path, checkpoint)),
            Err(e) => report(format!("passed over: {e}")),
        }
    }
    None
}

/// Removes all but the `keep` newest checkpoints of a run folder, and what a killed writer left.
pub fn prune(run: &Path, keep: usize) {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(run).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("step-") {
            files.push(entry.path());
        } else if name.starts_with(partial::PREFIX) {
            // Nothing depends on these files; one that cannot be removed only takes space.
            let _ = std::fs::remove_file(entry.path());
        }
    }
    files.sort();
    let surplus = files.len().saturating_sub(keep);
    for path in files.into_iter().take(surplus) {
        let _ = std::fs::remove_file(path);
    }
}
