//! Further training triplets over a data set's images: SPN4CIR's `cap.rc2.train.extend_*.json` (CIRR) and
//! `cap.extend_*.train.json` (FashionIQ), whose texts are two images' captions in a template.

use super::json_rows;
use super::table::{Complaint, LoadOptions, Table, Triplet};
use crate::error::{Result, TrainerError};
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// A row, by CIRR's names or FashionIQ's. Its other fields (`pairid` is 0 in all of them) are left alone.
#[derive(Deserialize)]
struct Row {
    #[serde(alias = "candidate")]
    reference: String,
    #[serde(alias = "target")]
    target_hard: String,
    #[serde(alias = "captions")]
    caption: Captions,
}

/// One text, or several of which training draws one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Captions {
    One(String),
    Several(Vec<String>),
}

/// Adds the triplets of `path` behind those of `table`, whose images they name. Rows that cannot be used are left out and named
/// in the complaints.
///
/// # Errors
/// When the file cannot be read or has no usable row, and in strict mode on any complaint.
pub fn add(path: &Path, table: &mut Table, options: &LoadOptions) -> Result<Vec<Complaint>> {
    let known: HashMap<&str, u32> = (0..).zip(&table.images).map(|(at, image)| (image.name.as_str(), at)).collect();
    let first = table.triplets.iter().map(|triplet| triplet.id + 1).max().unwrap_or(0);
    let (mut rows, mut complaints) = (Vec::new(), Vec::new());
    for (at, row) in json_rows::array::<Row>(path)? {
        match row.and_then(|row| triplet(row, &known)) {
            Ok(triplet) => rows.push(Triplet { id: first + u64::from(at.row), row: at.row, ..triplet }),
            Err(problem) => complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if let (true, Some(complaint)) = (options.strict, complaints.first()) {
        return Err(TrainerError::data(complaint.place.clone(), complaint.problem.clone(), "mend the row"));
    }
    if rows.is_empty() {
        let found = complaints.first().map_or_else(|| "the file is empty".to_owned(), ToString::to_string);
        let mend = "give SPN4CIR's extended captions of this data set";
        return Err(TrainerError::data(path.display().to_string(), format!("has no usable row ({found})"), mend));
    }
    table.triplets.extend(rows);
    Ok(complaints)
}

fn triplet(row: Row, known: &HashMap<&str, u32>) -> std::result::Result<Triplet, String> {
    let image =
        |name: &str| known.get(name).copied().ok_or_else(|| format!("the training split has no image '{name}'"));
    let (reference, target) = (image(&row.reference)?, image(&row.target_hard)?);
    if reference == target {
        return Err("the target is the reference itself".into());
    }
    let mut texts = match row.caption {
        Captions::One(text) => vec![text],
        Captions::Several(texts) => texts,
    };
    texts.retain(|text| !text.trim().is_empty());
    let Some(text) = texts.first().cloned() else { return Err("the caption is empty".into()) };
    let wordings = if texts.len() > 1 { texts } else { Vec::new() };
    Ok(Triplet { reference, targets: vec![target], text, wordings, ..Triplet::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageEntry;
    use std::path::PathBuf;

    fn table() -> Table {
        let images = ["a", "b", "c"].map(|name| ImageEntry { name: name.into(), path: PathBuf::new() });
        let own = Triplet { id: 7, reference: 0, targets: vec![1], text: "own".into(), ..Triplet::default() };
        Table { images: images.to_vec(), triplets: vec![own], ..Table::default() }
    }

    #[test]
    fn rows_of_both_data_sets_join_behind_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cap.extend_blip2.train.json");
        let rows = r#"[
  {"target_hard": "c", "reference": "a", "caption": ["c instead of a", "Unlike a, I want c"], "pairid": 0,
   "img_set": {"members": ["xxx"]}, "caption1": "a", "caption2": "c"},
  {"target": "a", "candidate": "b", "captions": ["a"]},
  {"target": "a", "candidate": "b", "captions": "is a"},
  {"target": "a", "candidate": "gone", "captions": ["a"]},
  {"target": "a", "candidate": "a", "captions": ["a"]},
  {"target": "a", "candidate": "b", "captions": [" "]},
  {"target": "a"}
]"#;
        std::fs::write(&file, rows).unwrap();
        let mut table = table();
        let complaints = add(&file, &mut table, &LoadOptions::default()).unwrap();
        assert_eq!(table.triplets.iter().map(|t| t.id).collect::<Vec<_>>(), [7, 9, 10, 11]);
        let [_, first, second, third] = &table.triplets[..] else { panic!() };
        assert_eq!((first.reference, &first.targets, first.wordings.len()), (0, &vec![2], 2));
        assert_eq!((second.text.as_str(), second.wordings.len(), third.text.as_str()), ("a", 0, "is a"));
        let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        for (complaint, words) in text.iter().zip(["'gone'", "reference itself", "is empty", "missing field"]) {
            assert!(complaint.contains(words) && complaint.contains("row"), "{complaint}");
        }
        assert_eq!(text.len(), 4);
        let strict = LoadOptions { strict: true, ..LoadOptions::default() };
        assert!(add(&file, &mut table.clone(), &strict).unwrap_err().to_string().contains("'gone'"));
        std::fs::write(&file, "[]").unwrap();
        assert!(add(&file, &mut table, &LoadOptions::default()).unwrap_err().to_string().contains("no usable row"));
    }
}
