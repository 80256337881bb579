//! What a downloaded model understands, in a file beside its weights: `fetch` writes it of the models that it knows by name, `import`
//! and `index` read it.

use super::KNOWN;
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use thisbut_model::bundle::MAX_UNDERSTANDS;

/// The file's name.
pub const NAME: &str = "thisbut-origin.json";
/// Most bytes of the file.
const MAX_BYTES: u64 = 1 << 14;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    /// The short name that was fetched.
    model: String,
    /// What the page says of the model: kind of images; model, training data; licence.
    understands: String,
}

/// What the model with the short name `model` understands: what it was trained on, and the licence of its weights. None for a
/// model that is unknown, or no dual encoder.
pub fn understands(model: &str) -> Option<String> {
    let known = KNOWN.iter().find(|known| known.name == model)?;
    Some(format!("{}, {}", known.understands?, known.licence))
}

/// Writes down in `dir` what `model` understands; false where nothing is known of it.
///
/// # Errors
/// When the file cannot be written.
pub fn write(model: &str, dir: &Path) -> Result<bool> {
    let Some(understands) = understands(model) else { return Ok(false) };
    let path = dir.join(NAME);
    let json = serde_json::to_string_pretty(&Origin { model: model.to_owned(), understands })
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this"))?;
    fsx::write_atomic(&path, format!("{json}\n").as_bytes())?;
    Ok(true)
}

/// What the file beside `files` says: in a folder among them, or in the one that a file lies in. None where there is no such
/// file.
///
/// # Errors
/// When the file cannot be read, or says more than a line or two.
pub fn beside(files: &[PathBuf]) -> Result<Option<String>> {
    let folders = files.iter().filter_map(|path| if path.is_dir() { Some(path.as_path()) } else { path.parent() });
    let Some(path) = folders.map(|folder| folder.join(NAME)).find(|path| path.is_file()) else { return Ok(None) };
    let wrong = |problem: String| {
        TrainerError::data(path.display().to_string(), problem, "fetch the model again, or move this file away")
    };
    let origin: Origin =
        serde_json::from_slice(&fsx::read(&path, MAX_BYTES)?).map_err(|e| wrong(format!("cannot be read ({e})")))?;
    match origin.understands.len() {
        0..=MAX_UNDERSTANDS => Ok(Some(origin.understands)),
        bytes => Err(wrong(format!("'understands' has {bytes} bytes, more than {MAX_UNDERSTANDS}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_was_written_down_is_found_beside_the_weights() {
        let folder = tempfile::tempdir().unwrap();
        let weights = [folder.path().join("model.safetensors")];
        assert_eq!(beside(&weights).unwrap(), None);
        assert!(!write("blip2", folder.path()).unwrap() && !write("nothing", folder.path()).unwrap());
        assert!(write("tinyclip", folder.path()).unwrap());
        let said = "photographs; TinyCLIP ViT-8M/16, trained on YFCC-15M, MIT";
        assert_eq!(beside(&weights).unwrap().as_deref(), Some(said));
        assert_eq!(beside(&[folder.path().to_path_buf()]).unwrap().as_deref(), Some(said));
        for (text, problem) in [("{", "cannot be read"), (r#"{"model": "x", "understands": "LONG"}"#, "more than 1000")]
        {
            std::fs::write(folder.path().join(NAME), text.replace("LONG", &"x".repeat(1001))).unwrap();
            let message = beside(&weights).unwrap_err().to_string();
            assert!(message.contains(NAME) && message.contains(problem), "{message}");
        }
    }

    #[test]
    fn every_dual_encoder_says_what_it_understands() {
        for known in &KNOWN {
            let dual = ["clip", "blip-"].iter().any(|part| known.name.contains(part));
            assert_eq!(understands(known.name).is_some(), dual, "{}", known.name);
            assert!(understands(known.name).is_none_or(|text| text.starts_with("photographs; ")), "{}", known.name);
        }
    }
}
