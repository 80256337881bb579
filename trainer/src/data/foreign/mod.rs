//! Triplets and captions in anyone's field names, written in the layout [`super::triplets`]: FACap's release among them, whose
//! format nobody has described.
//!
//! Rows are a JSON list, JSON lines, or a CSV. Captions may also be one JSON object of image names and texts. A field's name may
//! lead into objects: `target.path`.

use super::captions::{self, Caption};
use super::json_rows::{self, At, Row};
use super::table::{Complaint, Split};
use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::sheet::Sheet;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A field of ours, and the names that it has in other files, the likeliest first.
type Field = (&'static str, &'static [&'static str]);

/// The fields of a triplet. The last three need not be there.
pub const TRIPLET: [Field; 6] = [
    ("reference", &["reference", "reference_image", "ref_image", "ref_img", "ref", "candidate", "source_image"]),
    ("target", &["target", "target_image", "tgt_image", "target_img", "tgt_img", "tgt", "target_hard"]),
    (
        "text",
        &[
            "modification_text",
            "modification",
            "modifier",
            "mod_txt",
            "mod_text",
            "modifier_generated",
            "text",
            "caption",
        ],
    ),
    ("target_caption", &["target_caption", "tgt_caption", "caption_target"]),
    ("reference_caption", &["reference_caption", "ref_caption", "caption_reference"]),
    ("group", &["group", "category"]),
];
/// Those of [`TRIPLET`] that a row must have.
const NEEDED: usize = 3;

/// The fields of a caption.
pub const CAPTION: [Field; 2] = [
    ("image", &["image", "image_path", "image_name", "img", "path", "file", "filename", "name", "id"]),
    ("caption", &["caption", "text", "description", "long_caption"]),
];

/// What is read, and how its fields are named.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The triplets.
    pub triplets: PathBuf,
    /// Captions of images, where they are in a file of their own.
    pub captions: Option<PathBuf>,
    /// Our names of fields, and theirs, where these are not the usual ones.
    pub names: BTreeMap<String, String>,
    /// Which split the triplets are.
    pub split: Split,
    /// The folder to write, which has the images, or will.
    pub out: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// Triplets that were written.
    pub triplets: usize,
    /// Captions that were written.
    pub captions: usize,
    /// The files.
    pub files: Vec<PathBuf>,
    /// What was read as which field: ours and theirs.
    pub fields: Vec<(&'static str, String)>,
    /// Rows that were left out, and why.
    pub complaints: Vec<Complaint>,
}

/// A row in our fields.
type Fields = BTreeMap<&'static str, String>;

/// Reads triplets and captions, and writes `train.jsonl` (or that of another split) and `captions.jsonl` into the folder.
///
/// # Errors
/// When a file cannot be read or written, lacks a field that is needed, would be replaced by what is written, or has no usable row.
pub fn take(reading: &Reading) -> Result<Taken> {
    let known: BTreeSet<&str> = TRIPLET.iter().chain(&CAPTION).map(|field| field.0).collect();
    if let Some(name) = reading.names.keys().find(|name| !known.contains(name.as_str())) {
        let words: Vec<&str> = known.into_iter().collect();
        return Err(TrainerError::settings(
            format!("--field {name}"),
            "there is no field of that name",
            format!("name one of {}", words.join(", ")),
        ));
    }
    let rows_to = reading.out.join(format!("{}.jsonl", reading.split.name()));
    let captions_to = reading.out.join(captions::FILE);
    for (to, from) in [&rows_to, &captions_to].into_iter().flat_map(|to| {
        [Some(&reading.triplets), reading.captions.as_ref()].into_iter().flatten().map(move |from| (to, from))
    }) {
        if to == from || to.canonicalize().is_ok_and(|whole| from.canonicalize().is_ok_and(|other| whole == other)) {
            let mend = "give another folder, or move the file away";
            return Err(TrainerError::settings("--out", format!("{} would be replaced", from.display()), mend));
        }
    }
    let mut taken = Taken::default();
    let (rows, mut captions) = triplets(reading, &mut taken)?;
    if let Some(path) = &reading.captions {
        captions.extend(of_file(path, &reading.names, &mut taken)?);
    }
    fsx::create_dir(&reading.out)?;
    write(&rows_to, rows.iter().map(|row| json!(row)))?;
    taken.triplets = rows.len();
    taken.files.push(rows_to);
    if !captions.is_empty() {
        let line = |(image, caption): (&String, &String)| {
            json!(Caption { image: image.clone(), caption: caption.clone(), about: BTreeMap::new() })
        };
        write(&captions_to, captions.iter().map(line))?;
        taken.captions = captions.len();
        taken.files.push(captions_to);
    }
    Ok(taken)
}

fn write(path: &Path, lines: impl Iterator<Item = Value>) -> Result<()> {
    fsx::write_atomic_with(path, |out| {
        for line in lines {
            writeln!(out, "{line}")?;
        }
        Ok(())
    })
}

/// The triplets in our fields, and the captions that stand in their rows.
fn triplets(reading: &Reading, taken: &mut Taken) -> Result<(Vec<Fields>, BTreeMap<String, String>)> {
    let path = &reading.triplets;
    let read = rows(path)?;
    let names = chosen(path, &read, (&TRIPLET, NEEDED), &reading.names)?;
    taken.fields.extend(names.iter().cloned());
    let (mut kept, mut captions) = (Vec::new(), BTreeMap::new());
    for (at, row) in read {
        match row.and_then(|row| fields(&row, &names)).and_then(|row| checked(row, NEEDED, &TRIPLET)) {
            Ok(row) if row["reference"] == row["target"] => {
                taken.complaints.push(Complaint::left_out(path, at, "the target is the reference itself"));
            }
            Ok(mut row) => {
                if let Some(caption) = row.remove("reference_caption") {
                    captions.entry(row["reference"].clone()).or_insert(caption);
                }
                if let Some(caption) = row.get("target_caption") {
                    captions.entry(row["target"].clone()).or_insert_with(|| caption.clone());
                }
                kept.push(row);
            }
            Err(problem) => taken.complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if kept.is_empty() {
        return Err(none(path, "triplet", &taken.complaints));
    }
    Ok((kept, captions))
}

/// The captions of a file.
fn of_file(path: &Path, names: &BTreeMap<String, String>, taken: &mut Taken) -> Result<BTreeMap<String, String>> {
    let before = taken.complaints.len();
    let read = match object(path, names)? {
        Some(rows) => rows,
        None => rows(path)?,
    };
    let chosen = chosen(path, &read, (&CAPTION, CAPTION.len()), names)?;
    taken.fields.extend(chosen.iter().cloned());
    let mut captions = BTreeMap::new();
    for (at, row) in read {
        match row.and_then(|row| fields(&row, &chosen)).and_then(|row| checked(row, CAPTION.len(), &CAPTION)) {
            Ok(row) if captions.contains_key(&row["image"]) => {
                let problem = format!("'{}' has a caption already", row["image"]);
                taken.complaints.push(Complaint::left_out(path, at, problem));
            }
            Ok(mut row) => drop(captions.insert(row["image"].clone(), row.remove("caption").unwrap_or_default())),
            Err(problem) => taken.complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if captions.is_empty() {
        return Err(none(path, "caption", taken.complaints.get(before..).unwrap_or_default()));
    }
    Ok(captions)
}

fn none(path: &Path, what: &str, complaints: &[Complaint]) -> TrainerError {
    let first = complaints.first().map_or_else(|| "it has no rows".to_owned(), ToString::to_string);
    let mend = "check the file, and that --field names its fields";
    TrainerError::data(path.display().to_string(), format!("has no usable {what} ({first})"), mend)
}

/// The rows of a file, each an object of its fields.
fn rows(path: &Path) -> Result<Vec<Row<Map<String, Value>>>> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
    if !matches!(ending.as_str(), "csv" | "tsv" | "txt") {
        return json_rows::either(path);
    }
    let sheet = Sheet::read(path)?;
    let row = |row: &csv::StringRecord| match sheet.wrong_length(row) {
        Some(problem) => Err(problem),
        None => Ok(sheet.headers.iter().cloned().zip(row.iter().map(|value| json!(value))).collect()),
    };
    Ok(sheet.rows.iter().map(|(line, record)| (At::line(*line), row(record))).collect())
}

/// The rows of a JSON object of image names and texts; none where the file is something else.
fn object(path: &Path, names: &BTreeMap<String, String>) -> Result<Option<Vec<Row<Map<String, Value>>>>> {
    let text = fsx::read_text(path, fsx::TABLE)?;
    let Ok(all) = serde_json::from_str::<Map<String, Value>>(text.trim_start_matches('\u{feff}')) else {
        return Ok(None);
    };
    // A file of one line is an object too: that of its row's fields.
    let row = CAPTION.iter().all(|field| candidates(field, names).iter().any(|name| at(&all, name).is_some()));
    if row {
        return Ok(None);
    }
    let entry = |(number, (image, caption)): (u32, (String, Value))| {
        let fields = [(candidates(&CAPTION[0], names), json!(image)), (candidates(&CAPTION[1], names), caption)];
        let fields = fields.into_iter().filter_map(|(names, value)| Some((names.first()?.clone(), value)));
        (At::line(number), Ok(fields.collect()))
    };
    Ok(Some((1..).zip(all).map(entry).collect()))
}

/// What a field may be called: as the user says, or any of its usual names.
fn candidates(field: &Field, names: &BTreeMap<String, String>) -> Vec<String> {
    match names.get(field.0) {
        Some(name) => vec![name.clone()],
        None => field.1.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Their name of each field: the first of its candidates that any of the first rows has.
fn chosen(
    path: &Path,
    rows: &[Row<Map<String, Value>>],
    (fields, needed): (&[Field], usize),
    names: &BTreeMap<String, String>,
) -> Result<Vec<(&'static str, String)>> {
    const LOOKED_AT: usize = 100;
    let seen: Vec<&Map<String, Value>> = rows.iter().filter_map(|(_, row)| row.as_ref().ok()).take(LOOKED_AT).collect();
    if seen.is_empty() {
        let first = rows.iter().find_map(|(at, row)| row.as_ref().err().map(|problem| format!("{at}: {problem}")));
        let problem = format!("has no row that can be read ({})", first.unwrap_or_else(|| "it is empty".to_owned()));
        let mend = "give a JSON list, JSON lines or a CSV with a header";
        return Err(TrainerError::data(path.display().to_string(), problem, mend));
    }
    let mut found = Vec::new();
    for (number, field) in fields.iter().enumerate() {
        let wanted = candidates(field, names);
        let name = wanted.iter().find(|name| seen.iter().any(|row| at(row, name).is_some()));
        match name {
            Some(name) => found.push((field.0, name.clone())),
            None if number < needed || names.contains_key(field.0) => {
                let there: BTreeSet<&str> = seen.iter().flat_map(|row| row.keys().map(String::as_str)).collect();
                let there: Vec<&str> = there.into_iter().collect();
                let problem = format!("has no field {} (fields: {})", wanted.join(", "), there.join(", "));
                let mend = format!("say which it is: --field {}=NAME", field.0);
                return Err(TrainerError::data(path.display().to_string(), problem, mend));
            }
            None => {}
        }
    }
    Ok(found)
}

/// A field of a row; dots in its name lead into objects.
fn at<'a>(row: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = row.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    at(row.get(first)?.as_object()?, rest)
}

/// A row's texts in our fields; a number is a text too. Fields without a value are left out.
fn fields(row: &Map<String, Value>, names: &[(&'static str, String)]) -> std::result::Result<Fields, String> {
    let mut found = Fields::new();
    for (ours, theirs) in names {
        let text = match at(row, theirs) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(format!("{theirs} is no text")),
        };
        if !text.is_empty() {
            found.insert(ours, text);
        }
    }
    Ok(found)
}

/// The row, unless a field that it must have has nothing.
fn checked(row: Fields, needed: usize, fields: &[Field]) -> std::result::Result<Fields, String> {
    match fields.iter().take(needed).find(|field| !row.contains_key(field.0)) {
        Some(field) => Err(format!("{} is missing or empty", field.0)),
        None => Ok(row),
    }
}

#[cfg(test)]
mod tests;
