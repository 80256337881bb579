//! What a file or folder of this project is: a checkpoint, a feature cache, a bundle, a run, a data set.

use crate::bundle_io::MANIFEST;
use crate::data::DataSet;
use crate::error::{Result, TrainerError};
use crate::features::Features;
use crate::fsx;
use crate::train::checkpoint;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Manifest;

/// How a feature cache begins.
const CACHE: &[u8] = b"TBUTFEA";

/// Describes `path`: an object whose key `kind` says what it is.
///
/// # Errors
/// When it cannot be read, is damaged, or is nothing that is known here.
pub fn inspect(path: &Path) -> Result<Value> {
    if path.is_dir() {
        return of_folder(path);
    }
    let failed = |e| TrainerError::io(path, "read", e, "check the path and its permissions");
    let found = std::fs::metadata(path).map_err(failed)?;
    if !found.is_file() {
        return Err(unknown(path, "it is no file and no folder"));
    }
    let begin = start_of(path).map_err(failed)?;
    let mut said = match () {
        () if begin.starts_with(CACHE) => of_cache(path)?,
        () if path.file_name().is_some_and(|name| name == MANIFEST) => of_bundle(path)?,
        // A safetensors file: the length of its description, and an object.
        () if begin.get(8) == Some(&b'{') => of_checkpoint(path)?,
        () => return Err(unknown(path, "it is no checkpoint, feature cache or bundle")),
    };
    said["bytes"] = found.len().into();
    said["sha256"] = fsx::sha256_of(path)?.into();
    Ok(said)
}

fn unknown(path: &Path, problem: &str) -> TrainerError {
    let mend = "give a .safetensors checkpoint, a .features cache, a bundle's or run's folder, or a data set";
    TrainerError::data(path.display().to_string(), problem, mend)
}

fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut begin = Vec::new();
    std::fs::File::open(path)?.take(16).read_to_end(&mut begin)?;
    Ok(begin)
}

fn of_folder(path: &Path) -> Result<Value> {
    if path.join(MANIFEST).is_file() {
        return of_bundle(&path.join(MANIFEST));
    }
    let entries = std::fs::read_dir(path);
    let entries = entries.map_err(|e| TrainerError::io(path, "read", e, "check the path and its permissions"))?;
    let mut checkpoints: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    checkpoints.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
    checkpoints.sort();
    if path.join("metrics.jsonl").is_file() || !checkpoints.is_empty() {
        let one = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            inspect(file).map(|said| (name, said))
        };
        let files: serde_json::Map<String, Value> = checkpoints.iter().map(one).collect::<Result<_>>()?;
        return Ok(json!({ "kind": "the folder of a run", "checkpoints": files }));
    }
    let Ok(data) = DataSet::open(path, None) else {
        return Err(unknown(path, "it is no bundle, no run and no data set"));
    };
    let splits: Vec<&str> = data.splits().into_iter().map(crate::data::Split::name).collect();
    Ok(
        json!({ "kind": "a data set", "format": data.format.name(), "splits": splits, "more": "thisbut check says more" }),
    )
}

fn of_config(config: &RetrievalConfig) -> Value {
    let family = config.method.family();
    json!({
        "preset": config.name, "method": format!("{}: {}", family.name(), family.summary()),
        "image_tokens": format!("{} of {}", config.image_tokens(), config.image_width()),
        "text_tokens": config.text.length(), "target_tokens": config.target_tokens, "projection": config.projection,
    })
}

fn of_checkpoint(path: &Path) -> Result<Value> {
    let reader = checkpoint::open(path)?;
    let shapes = reader.shapes();
    let header = &reader.header;
    let kind =
        if header.generator.is_some() { "a text generator's checkpoint" } else { "a retrieval model's checkpoint" };
    let settings = serde_json::to_value(&header.settings).unwrap_or(Value::Null);
    let part = |prefix: &str| {
        let own = shapes.iter().filter(|(name, _)| name.starts_with(prefix));
        own.map(|(_, dims)| dims.iter().product::<usize>()).sum::<usize>()
    };
    let mut said = json!({
        "kind": kind, "version": header.version(), "step": header.step, "settings": settings,
        "architecture": of_config(&header.config),
        "parameters": part("model."), "optimizer_values": part("optimizer."),
        "training_data": header.data, "vocabulary_sha256": header.vocabulary,
    });
    if let Some((score, step)) = header.best {
        said["best"] = json!({ "score": score, "step": step });
    }
    if let Some(generator) = &header.generator {
        said["generator"] = generator.clone();
    }
    Ok(said)
}

fn of_cache(path: &Path) -> Result<Value> {
    let cache = Features::open(path)?;
    let (tokens, width) = cache.shape();
    Ok(json!({
        "kind": "a feature cache", "images": cache.len(), "tokens": format!("{tokens} of {width}"),
        "store": cache.store(), "encoder": cache.encoder(), "left_out": cache.left_out(),
    }))
}

fn of_bundle(path: &Path) -> Result<Value> {
    let manifest = Manifest::parse(&fsx::read(path, fsx::SMALL)?)?;
    let config = RetrievalConfig::parse(&manifest.config.to_string(), &path.display().to_string())?;
    let weights: u64 = manifest.weights.iter().map(|entry| entry.file.bytes).sum();
    Ok(json!({
        "kind": "a bundle", "version": manifest.version, "written_by": manifest.product_version,
        "form": manifest.form.name(), "understands": Some(&manifest.understands).filter(|text| !text.is_empty()),
        "architecture": of_config(&config), "weights_bytes": weights,
        "weights_files": manifest.weights.len(), "gallery": manifest.gallery.count, "title": manifest.gallery.title,
        "target_tokens": manifest.gallery.tokens, "measured": measured(&manifest.measured),
    }))
}

/// The names under which figures are recorded.
fn measured(value: &Value) -> Vec<String> {
    value.as_object().map(|found| found.keys().cloned().collect()).unwrap_or_default()
}

/// A description as indented lines for people.
pub fn lines(value: &Value) -> String {
    fn add(name: &str, value: &Value, depth: usize, out: &mut String) {
        let shown = match value {
            Value::Null => return,
            Value::Object(inner) if inner.is_empty() => return,
            Value::Object(inner) => {
                out.push_str(&format!("{:depth$}{name}\n", ""));
                inner.iter().for_each(|(name, value)| add(name, value, depth + 2, out));
                return;
            }
            Value::String(text) => text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect(),
            other => other.to_string(),
        };
        out.push_str(&format!("{:depth$}{name:<22}{shown}\n", ""));
    }
    let mut out = String::new();
    if let Some(kind) = value["kind"].as_str() {
        out.push_str(&format!("{kind}\n"));
    }
    let fields = value.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
    fields.for_each(|(name, value)| add(name, value, 2, &mut out));
    out.trim_end().to_owned()
}
