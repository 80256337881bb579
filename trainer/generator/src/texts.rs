//! Files of generated triplets, read line by line: hundreds of thousands never stand in memory together.

use std::collections::BTreeSet;
use std::io::{BufRead, Read};
use std::path::Path;
use thisbut_trainer::data::Complaint;
use thisbut_trainer::data::json_rows::At;
pub use thisbut_trainer::data::synthetic::Text;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// Complaints that are kept word for word; the rest is counted.
const KEPT: usize = 100;

/// What is wrong with a file's lines.
#[derive(Clone, Debug, Default)]
pub struct Complaints {
    /// The first of them.
    pub first: Vec<Complaint>,
    /// How many there are.
    pub count: usize,
}

impl Complaints {
    /// Adds one.
    pub fn push(&mut self, place: String, problem: String) {
        if self.first.len() < KEPT {
            self.first.push(Complaint { place, problem });
        }
        self.count += 1;
    }

    /// An error when nothing of the file was usable.
    ///
    /// # Errors
    /// Always when `usable` is 0, with the first complaint.
    pub fn refuse_all(&self, path: &Path, usable: usize, mend: &str) -> Result<()> {
        if usable > 0 {
            return Ok(());
        }
        let first = self.first.first().map_or_else(|| "the file is empty".to_owned(), |c| c.problem.clone());
        Err(TrainerError::data(path.display().to_string(), format!("no usable triplet ({first})"), mend))
    }
}

/// Takes where a line stands, the line as it is, and its triplet or what is wrong with it.
pub type Take<'a> = dyn FnMut(At, &str, Result<Text, String>) -> Result<()> + 'a;

/// Longest line of a file of rows, in bytes.
const MAX_LINE: u64 = 1 << 20;

/// Hands each line of the file that is not empty to `take`.
///
/// # Errors
/// When the file cannot be read, and whatever `take` returns.
pub fn each(path: &Path, take: &mut Take) -> Result<()> {
    let failed = |e| TrainerError::io(path, "read", e, "check the path and its permissions");
    let mut file = std::io::BufReader::with_capacity(1 << 20, fsx::open(path, fsx::TABLE)?.0);
    let (mut bytes, mut number) = (Vec::new(), 0);
    loop {
        bytes.clear();
        if file.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut bytes).map_err(failed)? == 0 {
            return Ok(());
        }
        number += 1;
        if bytes.len() as u64 > MAX_LINE {
            let place = format!("{}, line {number}", path.display());
            return Err(TrainerError::data(
                place,
                format!("has more than {MAX_LINE} bytes"),
                "give a file of one row a line",
            ));
        }
        let at = At::line(number);
        let line = String::from_utf8_lossy(&bytes);
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line).trim();
        match std::str::from_utf8(&bytes) {
            _ if line.is_empty() => {}
            Err(e) => take(at, line, Err(format!("not UTF-8 text ({e})")))?,
            Ok(_) => take(at, line, parse(line))?,
        }
    }
}

fn parse(line: &str) -> Result<Text, String> {
    let text: Text = serde_json::from_str(line).map_err(|e| e.to_string())?;
    if text.reference == text.target {
        return Err(format!("'{}' is both reference and target", text.reference));
    }
    Ok(text)
}

/// The images that a file's usable lines name.
///
/// # Errors
/// When the file cannot be read.
pub fn images(path: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    each(path, &mut |_, _, row| {
        if let Ok(text) = row {
            for name in [text.reference, text.target] {
                names.insert(name);
            }
        }
        Ok(())
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_one_by_one_with_their_faults() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let row = |more: &str| format!("{{\"reference\": \"a\", \"target\": \"b\"{more}}}");
        let good = row(", \"modifier_generated\": \"x\", \"score\": 3");
        let same = "{\"reference\": \"a\", \"target\": \"a\", \"modifier_generated\": \"x\"}";
        let mut bytes = format!("\u{feff}{good}\n\n{}\n{same}\n", row("")).into_bytes();
        bytes.extend(b"\xff\n{");
        std::fs::write(file.path(), bytes).unwrap();
        let mut seen = Vec::new();
        each(file.path(), &mut |at, line, row| {
            seen.push((at.to_string(), line.to_owned(), row));
            Ok(())
        })
        .unwrap();
        let places: Vec<&str> = seen.iter().map(|(at, ..)| at.as_str()).collect();
        assert_eq!(places, ["line 1", "line 3", "line 4", "line 5", "line 6"]);
        assert_eq!(seen[0].1, good, "the line as it is, without the mark at the file's start");
        assert_eq!(seen[0].2.as_ref().unwrap().modifier_reversed, None);
        let faults = ["modifier_generated", "both reference and target", "not UTF-8", "EOF"];
        for ((_, _, row), words) in seen[1..].iter().zip(faults) {
            assert!(row.as_ref().unwrap_err().contains(words), "{row:?}");
        }
        assert_eq!(images(file.path()).unwrap().into_iter().collect::<Vec<_>>(), ["a", "b"]);
        // A line without an end is not read to the end.
        let long = tempfile::NamedTempFile::new().unwrap();
        long.as_file().set_len(1 << 30).unwrap();
        let problem = images(long.path()).unwrap_err().to_string();
        assert!(problem.contains("line 1: has more than 1048576 bytes"), "{problem}");
        assert!(images(Path::new("/no/such.jsonl")).unwrap_err().to_string().contains("such.jsonl: cannot read"));
    }
}
