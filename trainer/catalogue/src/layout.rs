//! CIRR's file layout, written: caption files, split files, and the sets of right targets that rows share.

use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// CIRR's subset fields.
#[derive(Clone, Debug, Serialize)]
pub struct ImageSet {
    /// Number of the set.
    pub id: u64,
    /// Six names.
    pub members: Vec<String>,
    /// Index of the reference.
    pub reference_rank: usize,
    /// Index of the target.
    pub target_rank: usize,
}

/// One line of a caption file: CIRR's fields, then this tool's own.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Number of the pair.
    pub pairid: u64,
    /// Reference name.
    pub reference: String,
    /// The target.
    pub target_hard: String,
    /// Right targets with 1.0: every one, unless `target_set` names the rest.
    pub target_soft: BTreeMap<String, f32>,
    /// A set of the sets file that holds every right target, where they are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_set: Option<String>,
    /// How many right targets there are.
    #[serde(skip)]
    pub right: usize,
    /// The modifier.
    pub caption: String,
    /// Six similar images.
    pub img_set: ImageSet,
    /// A part of the split that is reported apart, such as "seen".
    pub group: String,
    /// Kind of change.
    pub kind: String,
    /// Whether both images show people, where a collection tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<bool>,
    /// The reverse modifier, in MTST's fine-tune form only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modifier_generated: Option<String>,
}

fn json<T: Serialize>(value: &T, path: &Path) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this as a defect"))
}

/// A caption file: a JSON array, one triplet a line.
pub fn captions(path: &Path, lines: &[(Line, String)]) -> Result<()> {
    rows(path, &lines.iter().map(|(line, _)| line).collect::<Vec<_>>())
}

/// A JSON array, one row a line.
pub fn rows<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let rows = rows.iter().map(|row| json(row, path)).collect::<Result<Vec<_>>>()?;
    fsx::write_atomic_with(path, |file| {
        file.write_all(b"[")?;
        for (n, row) in rows.iter().enumerate() {
            file.write_all(if n == 0 { b"\n" } else { b",\n" })?;
            file.write_all(row.as_bytes())?;
        }
        file.write_all(b"\n]\n")
    })
}

/// MTST's fine-tune form: one JSON object a line, with the reverse modifier.
pub fn reversed(path: &Path, lines: &[(Line, String)]) -> Result<()> {
    let with = |(line, reverse): &(Line, String)| Line { modifier_generated: Some(reverse.clone()), ..line.clone() };
    json_lines(path, &lines.iter().map(with).collect::<Vec<_>>())
}

/// One JSON object a line.
pub fn json_lines<T: Serialize>(path: &Path, rows: &[T]) -> Result<()> {
    let rows = rows.iter().map(|row| json(row, path)).collect::<Result<Vec<_>>>()?;
    fsx::write_atomic_with(path, |file| rows.iter().try_for_each(|row| writeln!(file, "{row}")))
}

/// A split file: name → relative path.
pub fn split<'a>(path: &Path, images: impl Iterator<Item = (&'a str, String)>) -> Result<()> {
    pretty(path, &images.collect::<BTreeMap<_, _>>())
}

/// Indented JSON.
pub fn pretty<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this as a defect"))?;
    fsx::write_atomic(path, text.as_bytes())
}
