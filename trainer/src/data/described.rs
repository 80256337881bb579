//! `images.json`: what a data set says of its images, by name. Titles become captions to train on, and gallery titles.

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The file's name, in the data set's folder.
pub const FILE: &str = "images.json";

/// Who writes the file, and what to do without it.
pub const MEND: &str = "`thisbut prepare` writes it with titles; for triplets of your own write {\"NAME\": {\"title\": \"a red hat\"}} \
     into it, or train on the triplets alone, without --losses captions";

/// One image's description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Described {
    /// A short caption.
    pub title: Option<String>,
    /// Words that people look for.
    #[serde(default)]
    pub tags: Vec<String>,
    /// What a catalogue says of it: values by attribute. Numbers and truths stand as they are written.
    #[serde(default, deserialize_with = "values")]
    pub attributes: BTreeMap<String, BTreeSet<String>>,
}

/// A value or a list of values by attribute, as texts; what is neither is left out.
fn values<'de, D: Deserializer<'de>>(reader: D) -> std::result::Result<BTreeMap<String, BTreeSet<String>>, D::Error> {
    let read = BTreeMap::<String, Value>::deserialize(reader)?;
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let all = |value: &Value| match value {
        Value::Array(values) => values.iter().filter_map(text).collect(),
        value => text(value).into_iter().collect::<BTreeSet<_>>(),
    };
    Ok(read.iter().map(|(name, value)| (name.clone(), all(value))).filter(|(_, values)| !values.is_empty()).collect())
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

/// As [`load`], where titles are needed.
///
/// # Errors
/// As [`load`], and when the data set has no such file.
pub fn needed(root: &Path) -> Result<BTreeMap<String, Described>> {
    load(root)?.ok_or_else(|| {
        let place = root.join(FILE).display().to_string();
        TrainerError::data(place, "no image of the split has a title, since this file is not there", MEND)
    })
}
