//! JSON files row by row: one bad row costs that row, broken JSON costs the file and is named by line and column.

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::de::{DeserializeOwned, DeserializeSeed, SeqAccess, Visitor};
use serde_json::Value;
use std::fmt;
use std::path::Path;

/// Where a row stands in its file; prints as "line 7" or, inside a JSON array, "line 7, row 2".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// Line of its first character, from 1.
    pub line: u32,
    /// Its number, from 1; in files of one row a line, the line's.
    pub row: u32,
    in_array: bool,
}

impl At {
    /// A line of a file that has one row a line.
    pub fn line(line: u32) -> Self {
        Self { line, row: line, in_array: false }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if self.in_array { write!(f, ", row {}", self.row) } else { Ok(()) }
    }
}

/// A row as it came: its place and its content, or why it has none.
pub type Row<T> = (At, std::result::Result<T, String>);

/// Reads a JSON array; `T` is built from each element by itself.
pub fn array<T: DeserializeOwned>(path: &Path) -> Result<Vec<Row<T>>> {
    let text = fsx::read_text(path, fsx::TABLE)?;
    let mut lines = element_lines(&text).into_iter();
    let mut rows = Vec::new();
    let mut parser = serde_json::Deserializer::from_str(strip_bom(&text));
    let mut sink = |row, value: Value| {
        let at = At { line: lines.next().unwrap_or(1), row, in_array: true };
        rows.push((at, build(value)));
    };
    Rows { sink: &mut sink }.deserialize(&mut parser).and_then(|()| parser.end()).map_err(|e| broken(path, &e))?;
    Ok(rows)
}

/// Reads JSON lines; empty lines are skipped, a broken line costs itself only.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<Row<T>>> {
    let text = fsx::read_text(path, fsx::TABLE)?;
    Ok((1u32..)
        .zip(strip_bom(&text).lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| (At::line(number), serde_json::from_str(line).map_err(|e| e.to_string())))
        .collect())
}

/// Reads a JSON array or JSON lines, whichever the file holds, whatever its ending says.
pub fn either<T: DeserializeOwned>(path: &Path) -> Result<Vec<Row<T>>> {
    if strip_bom(&fsx::read_text(path, fsx::TABLE)?).trim_start().starts_with('[') { array(path) } else { lines(path) }
}

/// Reads a whole JSON file as one value.
pub fn whole<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_str(strip_bom(&fsx::read_text(path, fsx::TABLE)?)).map_err(|e| broken(path, &e))
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

/// The line on which each element of the outermost array begins. The parser knows only where it stopped, not where an
/// element started, so the brackets are followed once more.
fn element_lines(text: &str) -> Vec<u32> {
    let (mut starts, mut line, mut depth) = (Vec::new(), 1, 0usize);
    let (mut quoted, mut escaped, mut awaited) = (false, false, false);
    for byte in text.bytes() {
        line += u32::from(byte == b'\n');
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        if awaited && byte != b']' {
            starts.push(line);
            awaited = false;
        }
        match byte {
            b'"' => quoted = true,
            b'[' | b'{' => {
                depth += 1;
                awaited = depth == 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => awaited = depth == 1,
            _ => {}
        }
    }
    starts
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_know_their_lines() {
        let text = "\u{feff}[\n  {\"a\": \"x, [y\\\"] \\\\\"},\n\n  [1,\n 2], 3,\n  {\"a\": \"\"}\n]\n";
        assert_eq!(element_lines(text), [2, 4, 5, 6]);
        assert_eq!(element_lines("[]"), [0u32; 0]);
        assert_eq!(element_lines("]]]}{"), [0u32; 0], "nonsense is left to the parser");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        let rows: Vec<Row<serde_json::Map<String, Value>>> = array(file.path()).unwrap();
        let places: Vec<String> = rows.iter().map(|(at, _)| at.to_string()).collect();
        assert_eq!(places, ["line 2, row 1", "line 4, row 2", "line 5, row 3", "line 6, row 4"]);
        assert_eq!(rows.iter().filter(|(_, row)| row.is_ok()).count(), 2);
        std::fs::write(&file, "\n{\"a\": 1}\noops\n").unwrap();
        let rows: Vec<Row<Value>> = either(file.path()).unwrap();
        assert_eq!(
            rows.iter().map(|(at, row)| (at.to_string(), row.is_ok())).collect::<Vec<_>>(),
            [("line 2".to_owned(), true), ("line 3".to_owned(), false)]
        );
    }
}
