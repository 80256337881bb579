//! Several data sets of CIRR's layout as one: `thisbut prepare join`. A model that is to know several kinds of pictures trains on it.

use crate::layout;
use crate::write::check_out;
use crate::{Staged, report};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{Complaint, LoadOptions, Split, cirr, described};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::{fsx, images};

/// One of the data sets.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its folder; its last name goes before the names of its images.
    pub folder: PathBuf,
    /// Most training triplets that are taken, drawn; `None`: all.
    pub most: Option<usize>,
}

/// What [`join`] did: images and rows by split and data set.
#[derive(Debug, Serialize)]
pub struct Joined {
    made_by: &'static str,
    /// Split → data set → images and rows.
    pub splits: BTreeMap<&'static str, BTreeMap<String, (usize, usize)>>,
    /// Images and rows that cannot be used, and why.
    pub left_out: Vec<String>,
}

impl Joined {
    /// One line a split and data set.
    pub fn table(&self) -> String {
        let mut out = format!("{:<8} {:<16} {:>8} {:>9}", "split", "data set", "images", "triplets");
        for (split, parts) in &self.splits {
            for (part, (images, rows)) in parts {
                out.push_str(&format!("\n{split:<8} {part:<16} {images:>8} {rows:>9}"));
            }
        }
        out
    }
}

/// Rows of one split, from all data sets.
#[derive(Default)]
struct Merged {
    rows: Vec<Value>,
    reversed: Vec<Value>,
    sets: Map<String, Value>,
    images: BTreeMap<String, String>,
}

/// Writes the data sets `parts` as one into `out`. An image `shoe` of the data set `shop` is `shop/shoe` there, a row's group `seen` is
/// `shop: seen`. Pictures are copied.
///
/// # Errors
/// When a data set is of another layout, two have one name, or a file cannot be read or written.
pub fn join(parts: &[Part], out: &Path, seed: u64) -> Result<Joined> {
    check_out(out)?;
    let names = names(parts)?;
    let staged = Staged::new(out)?;
    let mut joined = Joined { made_by: report::MADE_BY, splits: BTreeMap::new(), left_out: Vec::new() };
    let (mut described, mut complaints) = (Map::new(), Vec::new());
    for split in Split::ALL {
        let (mut merged, mut counts) = (Merged::default(), BTreeMap::new());
        for (part, name) in parts.iter().zip(&names) {
            let Some(from) = Files::of(&part.folder, split) else { continue };
            let before = (merged.images.len(), merged.rows.len());
            let most = part.most.filter(|_| split == Split::Train);
            add(&mut merged, &from, name, most.map(|most| (most, seed)))?;
            complaints.extend(copy(&mut merged, (&part.folder, name), split, staged.path())?);
            counts.insert(name.clone(), (merged.images.len() - before.0, merged.rows.len() - before.1));
        }
        if !merged.rows.is_empty() {
            write(staged.path(), split, &merged)?;
            joined.splits.insert(split.name(), counts);
        }
    }
    if joined.splits.is_empty() {
        let problem = "none of the folders has captions/cap.rc2.*.json";
        return Err(TrainerError::data("the data sets", problem, "give folders of `thisbut prepare`, or CIRR's"));
    }
    for (part, name) in parts.iter().zip(&names) {
        describe(&mut described, &part.folder, name)?;
    }
    layout::pretty(&staged.path().join(described::FILE), &described)?;
    joined.left_out = complaints.iter().map(ToString::to_string).collect();
    layout::pretty(&staged.path().join("report.json"), &joined)?;
    staged.finish()?;
    Ok(joined)
}

/// What each data set is called in the joined one.
fn names(parts: &[Part]) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for part in parts {
        let place = part.folder.display().to_string();
        let last = part.folder.file_name().and_then(|name| name.to_str()).filter(|name| !name.is_empty());
        let Some(name) = last else {
            return Err(TrainerError::data(place, "the folder has no name", "give the path with the folder's name"));
        };
        if names.iter().any(|known| known == name) {
            let problem = format!("another data set's folder is called {name} too");
            return Err(TrainerError::data(place, problem, "rename one of them"));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// The files of one split of one data set, where its loader finds them too.
struct Files {
    rows: PathBuf,
    reversed: Option<PathBuf>,
    sets: Option<PathBuf>,
}

impl Files {
    /// `None` where the data set lacks the split.
    fn of(root: &Path, split: Split) -> Option<Self> {
        let word = cirr::file_word(split);
        let find = |file: String| cirr::find(root, "captions", file);
        Some(Self {
            rows: find(format!("cap.rc2.{word}.json"))?,
            reversed: find(format!("cap.rc2.{word}_rev.jsonl")),
            sets: find(format!("targets.rc2.{word}.json")),
        })
    }
}

fn object(path: &Path) -> Result<Map<String, Value>> {
    serde_json::from_str(&fsx::read_text(path, fsx::TABLE)?).map_err(|e| misread(path, &e.to_string()))
}

fn misread(path: &Path, problem: &str) -> TrainerError {
    TrainerError::data(path.display().to_string(), problem, "prepare the data set again")
}

/// Adds one data set's rows; at most `most` of them, drawn from a seed, in their order.
fn add(merged: &mut Merged, from: &Files, name: &str, most: Option<(usize, u64)>) -> Result<()> {
    let text = fsx::read_text(&from.rows, fsx::TABLE)?;
    let rows: Vec<Value> = serde_json::from_str(&text).map_err(|e| misread(&from.rows, &e.to_string()))?;
    let mut taken: Vec<usize> = (0..rows.len()).collect();
    if let Some((most, seed)) = most {
        taken = taken.choose_multiple(&mut ChaCha8Rng::seed_from_u64(seed), most).copied().collect();
        taken.sort_unstable();
    }
    let mut reverse = from.reversed.as_deref().map_or_else(|| Ok(BTreeMap::new()), reverse_texts)?;
    for at in taken {
        let mut row = rows[at].clone();
        let number = merged.rows.len() as u64 + 1;
        let reversed = row.get("pairid").and_then(Value::as_u64).and_then(|id| reverse.remove(&id));
        renamed(&mut row, name, number)
            .ok_or_else(|| misread(&from.rows, &format!("row {} lacks a field of CIRR's layout", at + 1)))?;
        if let Some(text) = reversed {
            let mut line = row.clone();
            line["modifier_generated"] = text;
            merged.reversed.push(line);
        }
        merged.rows.push(row);
    }
    if let Some(sets) = &from.sets {
        for (set, members) in object(sets)? {
            let members = members.as_array().map(|list| list.iter().map(|image| prefixed(image, name)).collect());
            let members: Option<Vec<Value>> = members.unwrap_or(None);
            let members = members.ok_or_else(|| misread(sets, &format!("{set} is no list of names")))?;
            merged.sets.insert(format!("{name}/{set}"), Value::Array(members));
        }
    }
    Ok(())
}

fn prefixed(value: &Value, name: &str) -> Option<Value> {
    value.as_str().map(|image| Value::from(format!("{name}/{image}")))
}

/// Reverse texts by the number of their pair.
fn reverse_texts(path: &Path) -> Result<BTreeMap<u64, Value>> {
    let mut out = BTreeMap::new();
    for (n, line) in fsx::read_text(path, fsx::TABLE)?.lines().enumerate() {
        let row: Value = serde_json::from_str(line).map_err(|e| misread(path, &format!("line {}: {e}", n + 1)))?;
        let (id, text) = (row.get("pairid").and_then(Value::as_u64), row.get("modifier_generated"));
        if let (Some(id), Some(text)) = (id, text) {
            out.insert(id, text.clone());
        }
    }
    Ok(out)
}

/// Puts the data set's name before every name in a row, and numbers the row; `None` where a field is missing.
fn renamed(row: &mut Value, name: &str, number: u64) -> Option<()> {
    let row = row.as_object_mut()?;
    row.insert("pairid".into(), number.into());
    for field in ["reference", "target_hard", "target_set"] {
        match row.get_mut(field) {
            Some(value) => *value = prefixed(value, name)?,
            None if field == "target_set" => {}
            None => return None,
        }
    }
    if let Some(soft) = row.get_mut("target_soft") {
        let named = soft.as_object()?.iter().map(|(image, value)| (format!("{name}/{image}"), value.clone()));
        *soft = Value::Object(named.collect());
    }
    if let Some(set) = row.get_mut("img_set") {
        set["id"] = number.into();
        let members = set.get_mut("members")?;
        *members = members.as_array()?.iter().map(|image| prefixed(image, name)).collect::<Option<Vec<_>>>()?.into();
    }
    let group = row.get("group").and_then(Value::as_str).map_or_else(|| name.to_owned(), |g| format!("{name}: {g}"));
    row.insert("group".into(), group.into());
    Some(())
}

/// Copies the images of a split that are there. Names can hold folders, and lack the file's ending.
fn copy(merged: &mut Merged, part: (&Path, &str), split: Split, out: &Path) -> Result<Vec<Complaint>> {
    let (root, name) = part;
    let (table, complaints) = cirr::load(root, split, &LoadOptions::default())?;
    for entry in table.gallery.iter().filter_map(|at| table.images.get(*at as usize)) {
        let ending = entry.path.extension().and_then(|end| end.to_str()).unwrap_or("");
        let file = match entry.name.ends_with(&format!(".{ending}")) || ending.is_empty() {
            true => format!("images/{name}/{}", entry.name),
            false => format!("images/{name}/{}.{ending}", entry.name),
        };
        fsx::write_atomic(&out.join(&file), &images::read_file(&entry.path)?)?;
        merged.images.insert(format!("{name}/{}", entry.name), format!("./{file}"));
    }
    Ok(complaints)
}

/// Adds what a data set says of its pictures.
fn describe(all: &mut Map<String, Value>, root: &Path, name: &str) -> Result<()> {
    let path = root.join(described::FILE);
    if !path.is_file() {
        return Ok(());
    }
    for (image, mut of) in object(&path)? {
        if let Some(list) = of.get_mut("duplicates").and_then(Value::as_array_mut) {
            *list = list.iter().filter_map(|image| prefixed(image, name)).collect();
        }
        all.insert(format!("{name}/{image}"), of);
    }
    Ok(())
}

fn write(out: &Path, split: Split, merged: &Merged) -> Result<()> {
    let (captions, word) = (out.join("captions"), cirr::file_word(split));
    layout::rows(&captions.join(format!("cap.rc2.{word}.json")), &merged.rows)?;
    if !merged.sets.is_empty() {
        layout::pretty(&captions.join(format!("targets.rc2.{word}.json")), &merged.sets)?;
    }
    if !merged.reversed.is_empty() {
        layout::json_lines(&captions.join(format!("cap.rc2.{word}_rev.jsonl")), &merged.reversed)?;
    }
    layout::pretty(&out.join("image_splits").join(format!("split.rc2.{word}.json")), &merged.images)
}
