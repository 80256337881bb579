//! Captions of images, as `thisbut describe` writes them: one `{"image", "caption"}` a line, with whatever else is known.

use super::described;
use super::json_rows;
use super::table::{Complaint, Table};
use crate::error::{Result, TrainerError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One image's caption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caption {
    /// The image's name.
    pub image: String,
    /// What it shows.
    pub caption: String,
    /// What else a table says of it, such as its category.
    #[serde(flatten, deserialize_with = "texts")]
    pub about: BTreeMap<String, String>,
}

/// Fields that are texts; others are passed over.
fn texts<'de, D: serde::Deserializer<'de>>(from: D) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let all = BTreeMap::<String, serde_json::Value>::deserialize(from)?;
    Ok(all.into_iter().filter_map(|(name, value)| Some((name, value.as_str()?.to_owned()))).collect())
}

/// Captions by image, and what is wrong with the file's lines: a broken one, an empty caption, an image that stood before.
///
/// # Errors
/// When the file cannot be read, or has no usable line.
pub fn load(path: &Path) -> Result<(BTreeMap<String, Caption>, Vec<Complaint>)> {
    let (mut found, mut complaints) = (BTreeMap::new(), Vec::new());
    for (at, row) in json_rows::lines::<Caption>(path)? {
        let problem = match row {
            Err(problem) => problem,
            Ok(row) if row.caption.trim().is_empty() => format!("the caption of '{}' is empty", row.image),
            Ok(row) if found.contains_key(&row.image) => format!("'{}' has a caption already", row.image),
            Ok(row) => {
                found.insert(row.image.clone(), row);
                continue;
            }
        };
        complaints.push(Complaint::left_out(path, at, problem));
    }
    if found.is_empty() {
        let first = complaints.first().map_or_else(|| "the file is empty".to_owned(), ToString::to_string);
        let problem = format!("has no caption ({first})");
        return Err(TrainerError::data(path.display().to_string(), problem, "give a file of `thisbut describe`"));
    }
    Ok((found, complaints))
}

/// The captions' file in a data set's folder.
pub const FILE: &str = "captions.jsonl";

/// Where the captions of a table's targets came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rows of the table.
    pub rows: usize,
    /// Those whose own row had one.
    pub column: usize,
    /// Those that the file named.
    pub file: usize,
    /// Those whose target has a title in `images.json`.
    pub titles: usize,
    /// Those that have none.
    pub without: usize,
    /// The file, where there was one.
    pub source: Option<PathBuf>,
    /// What is wrong with its lines.
    pub complaints: Vec<Complaint>,
}

/// Gives each row of `table` the caption of its hard target: the row's own, else that of another row with the target, else that of
/// `file`, or of `captions.jsonl` in the data set's folder `root`; else the title in `images.json`.
///
/// # Errors
/// When a file cannot be read, or `file` names none of the targets that it is asked for.
pub fn fill(table: &mut Table, root: &Path, file: Option<&Path>) -> Result<Filled> {
    let beside = Some(root.join(FILE)).filter(|path| path.is_file());
    let mut filled =
        Filled { rows: table.triplets.len(), source: file.map(Path::to_path_buf).or(beside), ..Filled::default() };
    let mut own: BTreeMap<u32, String> = BTreeMap::new();
    for triplet in &table.triplets {
        if let (Some(target), Some(caption)) = (triplet.targets.first(), &triplet.caption) {
            own.entry(*target).or_insert_with(|| caption.clone());
        }
    }
    let named = match &filled.source {
        Some(path) => {
            let (named, complaints) = load(path)?;
            filled.complaints = complaints;
            named
        }
        None => BTreeMap::new(),
    };
    let titles = described::load(root)?.unwrap_or_default();
    for triplet in table.triplets.iter_mut() {
        let name =
            triplet.targets.first().and_then(|target| table.images.get(*target as usize)).map(|image| &image.name);
        let (Some(target), Some(name)) = (triplet.targets.first(), name) else { continue };
        let titled = || titles.get(name).and_then(|image| image.title.clone()).filter(|title| !title.trim().is_empty());
        if triplet.caption.is_some() || own.contains_key(target) {
            triplet.caption = triplet.caption.take().or_else(|| own.get(target).cloned());
            filled.column += 1;
        } else if let Some(found) = named.get(name) {
            triplet.caption = Some(found.caption.clone());
            filled.file += 1;
        } else if let Some(title) = titled() {
            triplet.caption = Some(title);
            filled.titles += 1;
        }
    }
    filled.without = filled.rows - filled.column - filled.file - filled.titles;
    match file {
        Some(path) if filled.file == 0 && filled.column < filled.rows => {
            let mend = "write the names as the data set has them, in a file of lines {\"image\": …, \"caption\": …}";
            Err(TrainerError::data(path.display().to_string(), "names none of the training targets", mend))
        }
        _ => Ok(filled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_keep_what_else_is_known_and_bad_lines_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let lines = [
            r#"{"image": "a", "caption": "a red hat", "category": "hats", "price": 3}"#,
            r#"{"image": "a", "caption": "again"}"#,
            r#"{"image": "b", "caption": " "}"#,
            r#"{"image": "c"}"#,
        ];
        std::fs::write(file.path(), lines.join("\n")).unwrap();
        let (found, complaints) = load(file.path()).unwrap();
        assert_eq!(
            (found.len(), found["a"].caption.as_str(), found["a"].about["category"].as_str()),
            (1, "a red hat", "hats")
        );
        assert!(!found["a"].about.contains_key("price"));
        let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        for (said, words) in
            said.iter().zip(["line 2: 'a' has a caption already", "line 3: the caption of 'b'", "line 4"])
        {
            assert!(said.contains(words), "{said}");
        }
        let written = serde_json::to_string(&found["a"]).unwrap();
        assert_eq!(written, r#"{"image":"a","caption":"a red hat","category":"hats"}"#);
        std::fs::write(file.path(), "").unwrap();
        assert!(load(file.path()).unwrap_err().to_string().contains("has no caption (the file is empty)"));
    }
}
