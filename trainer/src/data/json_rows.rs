//! JSON files row by row: one bad row costs that row, broken JSON costs the file and is named by line and column.

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// A row as it came: its number from 1 and its content, or why it has none.
pub type Row<T> = (u32, std::result::Result<T, String>);

/// Reads a JSON array; `T` is built from each element by itself.
pub fn array<T: DeserializeOwned>(path: &Path) -> Result<Vec<Row<T>>> {
    let text = fsx::read_text(path)?;
    let mut rows = Vec::new();
    let mut parser = serde_json::Deserializer::from_str(strip_bom(&text));
    Rows { sink: &mut |row, value: Value| rows.push((row, build(value))) }
        .deserialize(&mut parser)
        .and_then(|()| parser.end())
        .map_err(|e| broken(path, &e))?;
    Ok(rows)
}

/// Reads JSON lines; empty lines are skipped, a broken line costs itself only.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<Row<T>>> {
    let text = fsx::read_text(path)?;
    Ok((1u32..)
        .zip(strip_bom(&text).lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| (number, serde_json::from_str(line).map_err(|e| e.to_string())))
        .collect())
}

/// Reads a whole JSON file as one value.
pub fn whole<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(strip_bom(&fsx::read_text(path)?)).map_err(|e| broken(path, &e))
}

fn strip_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

fn build<T: DeserializeOwned>(value: Value) -> std::result::Result<T, String> {
    serde_json::from_value(value).map_err(|e| e.to_string())
}

fn broken(path: &Path, e: &serde_json::Error) -> TrainerError {
    let place = format!("{}, line {}, column {}", path.display(), e.line(), e.column());
    let text = e.to_string();
    let said = text.rsplit_once(" at line ").map_or(text.as_str(), |(said, _)| said);
    let mend = if e.is_eof() { "the file is cut off: copy it again" } else { "mend the file, or copy it again" };
    TrainerError::data(place, format!("broken JSON ({said})"), mend)
}

/// Hands each element of an array to `sink`, so that only one at a time is held as a [`Value`].
struct Rows<'a> {
    sink: &'a mut dyn FnMut(u32, Value),
}

impl<'de> DeserializeSeed<'de> for Rows<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, parser: D) -> std::result::Result<(), D::Error> {
        parser.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some(value) = rows.next_element()? {
            number += 1;
            (self.sink)(number, value);
        }
        Ok(())
    }
}
