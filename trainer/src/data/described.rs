//! `images.json`: what a data set says of its images, by name. Titles become captions to train on, and gallery titles.

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file's name, in the data set's folder.
pub const FILE: &str = "images.json";

/// One image's description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Described {
    /// A short caption.
    pub title: Option<String>,
    /// Words that people look for.
    #[serde(default)]
    pub tags: Vec<String>,
}

/// Descriptions by image name; `None` when the data set has no such file.
///
/// # Errors
/// When the file is not a JSON object of descriptions.
pub fn load(root: &Path) -> Result<Option<BTreeMap<String, Described>>> {
    let path = root.join(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let read = serde_json::from_str(&fsx::read_text(&path, fsx::TABLE)?);
    read.map(Some)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "prepare the data set again"))
}
