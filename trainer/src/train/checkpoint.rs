//! Checkpoints: one safetensors file with weights, optimiser state and settings, written atomically.

use super::learner::IMAGE_ENCODER;
use super::settings::Settings;
use crate::error::{Result, TrainerError};
use crate::import::source::Source;
use crate::tensor_file::{self, Planned};
use crate::{fsx, partial};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::Tensors;

/// Version of this layout. Version 1 knew neither the vocabulary nor the parts of the training data.
const VERSION: u32 = 2;
/// The earliest version that is read.
const EARLIEST: u32 = 1;
/// Longest description that is read.
const MAX_DESCRIPTION: u64 = 100_000_000;
/// Longest [`Header`] that is read; one has a few thousand bytes.
const MAX_HEADER: usize = 1 << 20;
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
    pub config: RetrievalConfig,
    /// Fingerprint of the training data, so that a run is not resumed on other data.
    pub data: String,
    /// Fingerprints of what `data` leaves out, by what they are of. Empty in files of version 1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, String>,
    /// SHA-256 of the vocabulary file's text; `None` in files of version 1 and imported ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// What the model understands, for people, where its publisher's weights are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub understands: Option<String>,
    /// Fingerprint of the image encoder that the adapters in this checkpoint belong in; `None` where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_encoder: Option<String>,
    /// The best validation score so far and its step.
    pub best: Option<(f64, usize)>,
    /// Of a modification-text generator, how it is put together; the generator's own crate knows the fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<serde_json::Value>,
}

impl Header {
    /// A header of this version.
    pub fn new(settings: Settings, config: RetrievalConfig, data: String) -> Self {
        Self {
            version: VERSION,
            step: 0,
            optimizer_steps: 0,
            settings,
            config,
            data,
            parts: BTreeMap::new(),
            vocabulary: None,
            understands: None,
            base_encoder: None,
            best: None,
            generator: None,
        }
    }

    /// The layout's version.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The same, written in this build's version, with what `wanted` knows of the data and the vocabulary.
    pub(super) fn renewed(self, wanted: Self) -> Self {
        Self { version: VERSION, parts: wanted.parts, vocabulary: wanted.vocabulary, ..self }
    }

    /// Checks that a vocabulary, whose text's SHA-256 is `fingerprint`, is the one that the model of `path` was trained with.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when it is another.
    pub fn check_vocabulary(&self, path: &Path, fingerprint: &str) -> Result<()> {
        match self.vocabulary.as_deref().filter(|own| *own != fingerprint) {
            None => Ok(()),
            Some(own) => Err(TrainerError::checkpoint(
                path.display().to_string(),
                format!(
                    "it was trained with another {}, of SHA-256 {own}; the one here has {fingerprint}",
                    self.config.text.vocabulary_file()
                ),
                "give --weights with the folder of that vocabulary",
            )),
        }
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
    let all =
        || [("model", model), ("optimizer", optimizer)].into_iter().flat_map(|(p, t)| t.iter().map(move |t| (p, t)));
    let shapes = all().map(|(prefix, (name, (dims, _)))| (format!("{prefix}.{name}"), dims.clone())).collect();
    let values: Vec<&Vec<f32>> = all().map(|(_, (_, (_, values)))| values).collect();
    write(path, header, shapes, &mut |at| Ok(values[at].clone()))
}

/// As [`save`], of a model whose tensors come one at a time: `read` gives the values of each name of `shapes`.
///
/// # Errors
/// When `read` fails or the file cannot be written.
pub fn save_from(
    path: &Path,
    header: &Header,
    shapes: &BTreeMap<String, Vec<usize>>,
    read: &mut dyn FnMut(&str) -> Result<Vec<f32>>,
) -> Result<()> {
    let names: Vec<&String> = shapes.keys().collect();
    let all = shapes.iter().map(|(name, dims)| (format!("model.{name}"), dims.clone())).collect();
    write(path, header, all, &mut |at| read(names[at]))
}

fn write(
    path: &Path,
    header: &Header,
    shapes: Vec<(String, Vec<usize>)>,
    read: &mut dyn FnMut(usize) -> Result<Vec<f32>>,
) -> Result<()> {
    let json = serde_json::to_string(header)
        .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
    let metadata = BTreeMap::from([(HEADER.to_owned(), json)]);
    let plan = |(name, dims)| Planned { name, dims, precision: NumberFormat::F32 };
    let planned: Vec<Planned> = shapes.into_iter().map(plan).collect();
    tensor_file::write(path, &planned, &metadata, read, &mut |_, _| ())
}

/// A checkpoint whose tensors are read when they are asked for.
pub struct Reader {
    /// What it says of itself.
    pub header: Header,
    source: Source,
}

/// Opens a checkpoint and reads its description only.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when the file is damaged or of another version.
pub fn open(path: &Path) -> Result<Reader> {
    let place = path.display().to_string();
    let broken = |problem: String| {
        TrainerError::checkpoint(place.clone(), problem, "use an earlier checkpoint of the run, or start it again")
    };
    let start = start_of(path)?;
    let description = start.get(8..).ok_or_else(|| broken("it is cut short".into()))?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(description).map_err(|e| broken(format!("it is damaged ({e})")))?;
    let json = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(HEADER))
        .ok_or_else(|| broken("it is not a checkpoint of thisbut".into()))?;
    if json.len() > MAX_HEADER {
        return Err(broken(format!("its header has {} bytes, more than {MAX_HEADER}", json.len())));
    }
    let header: Header = serde_json::from_str(json).map_err(|e| broken(format!("its header cannot be read ({e})")))?;
    if !(EARLIEST..=VERSION).contains(&header.version) {
        let problem = format!("it has version {}, this build reads {EARLIEST} to {VERSION}", header.version);
        return Err(TrainerError::checkpoint(place, problem, "use the version of thisbut that wrote it"));
    }
    Ok(Reader { header, source: Source::open(&[path.to_path_buf()])? })
}

/// The description that a safetensors file starts with; as many bytes of it as there are.
fn start_of(path: &Path) -> Result<Vec<u8>> {
    let length = fsx::start(path, 8)?.as_slice().try_into().map_or(0, u64::from_le_bytes);
    fsx::start(path, 8 + length.min(MAX_DESCRIPTION))
}

impl Reader {
    /// Dimensions and values of one of the model's tensors; `None` when there is no such tensor.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&mut self, name: &str) -> Result<Option<(Vec<usize>, Vec<f32>)>> {
        let name = format!("model.{name}");
        if !self.source.entries().contains_key(&name) {
            return Ok(None);
        }
        self.source.read(&name).map(Some)
    }

    /// Names and dimensions of all tensors: those of the model behind "model.", of the optimiser's state behind "optimizer.".
    pub fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.source.entries().iter().map(|(name, entry)| (name.clone(), entry.dims.clone())).collect()
    }

    /// The image encoder's tensors, names without [`IMAGE_ENCODER`], where a part of it was trained; else none.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn image_encoder(&mut self) -> Result<Tensors> {
        self.all(&format!("model.{IMAGE_ENCODER}"))
    }

    /// Every tensor behind `prefix`, without it.
    fn all(&mut self, prefix: &str) -> Result<Tensors> {
        let names = self.source.entries().keys().filter_map(|name| name.strip_prefix(prefix));
        let names: Vec<String> = names.map(str::to_owned).collect();
        let mut read = |name: String| Ok((name.clone(), self.source.read(&format!("{prefix}{name}"))?));
        names.into_iter().map(&mut read).collect()
    }

    /// The whole model.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn model(&mut self) -> Result<Tensors> {
        self.all("model.")
    }
}

/// Reads a whole checkpoint, the optimiser's state too.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when the file is damaged or of another version.
pub fn load(path: &Path) -> Result<Checkpoint> {
    let mut reader = open(path)?;
    let (model, optimizer) = (reader.all("model.")?, reader.all("optimizer.")?);
    Ok(Checkpoint { header: reader.header, model, optimizer })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::metrics::RightTargets;
    use crate::train::objective::ObjectiveSettings;
    use crate::train::objective::two_pass::{Losses, TwoPassSettings};
    use crate::train::settings::Wordings;

    /// As it was written before there were families of methods.
    const BEFORE: &str = include_str!("checkpoint-header.json");

    #[test]
    fn a_header_from_before_there_were_families_is_read() {
        let header: Header = serde_json::from_str(BEFORE).unwrap();
        let own = TwoPassSettings {
            losses: Losses::Ptha,
            label_smoothing: 0.1,
            t2t: 0.4,
            p2p: 0.5,
            bank: false,
            bank_references: false,
            fuse_by_image: false,
            free_temperature: false,
            keep_false_negatives: false,
            teacher_weight: 0.0,
            teacher_temperature: 0.1,
        };
        assert_eq!(header.settings.objective, ObjectiveSettings::TwoPass(own));
        // What came later reads as the run was.
        let Settings { decay_vectors, wordings, right_targets, .. } = &header.settings;
        assert_eq!(
            (*decay_vectors, *wordings, *right_targets),
            (false, Some(Wordings::Spread), Some(RightTargets::All))
        );
        assert_eq!(header.config.two_pass().unwrap().qformer.attention_dropout, 0.0);
        assert_eq!((header.settings.seed, header.settings.batch, header.settings.freeze_words), (1, 16, true));
        assert_eq!((header.step, header.best), (24, Some((37.5, 24))));
        assert_eq!(header.config.two_pass().unwrap().qformer.width, 32);
        // Written anew it is the same, and names its family.
        let text = serde_json::to_string(&header).unwrap();
        assert!(text.contains("\"objective\":\"two-pass\""), "{text}");
        assert_eq!(serde_json::from_str::<Header>(&text).unwrap().settings, header.settings);
        let other = text.replace("two-pass", "three-pass");
        let problem = serde_json::from_str::<Header>(&other).unwrap_err().to_string();
        assert!(problem.contains("three-pass"), "{problem}");
    }
}
