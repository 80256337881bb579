//! The metrics file of a run: one JSON object a line.

use crate::error::{Result, TrainerError};
use crate::fsx;
use std::io::Write;
use std::path::{Path, PathBuf};

const MEND: &str = "move it away, or give another --out";

/// The lines of an earlier run's metrics up to `step`. The last line may break off where the run was killed; any other that
/// is not a run's is an error, as the file would be replaced.
fn kept(path: &Path, text: &str, step: usize) -> Result<String> {
    let place = |line: usize| format!("{}, line {line}", path.display());
    let (mut kept, count) = (String::new(), text.lines().count());
    for (number, line) in (1..).zip(text.lines()) {
        let found = serde_json::from_str::<serde_json::Value>(line);
        match found.as_ref().map(|value| value["step"].as_u64()) {
            Ok(Some(at)) if at as usize <= step => kept.extend([line, "\n"]),
            Ok(Some(_)) => {}
            Err(_) if number == count && !text.ends_with('\n') && line.starts_with('{') => {}
            _ => return Err(TrainerError::data(place(number), "is no line of a run's metrics", MEND)),
        }
    }
    Ok(kept)
}

/// The metrics file; lines after the step that a run resumes from are dropped.
pub struct Journal {
    file: std::fs::File,
    path: PathBuf,
}

impl Journal {
    /// The lines of the file at `path` that a run keeps which stands at `step`; nothing is written.
    ///
    /// # Errors
    /// When the file is no run's metrics, or cannot be read.
    pub fn check(path: &Path, step: usize) -> Result<String> {
        match path.exists() {
            true => kept(path, &fsx::read_text(path, fsx::TABLE)?, step),
            false => Ok(String::new()),
        }
    }

    /// Opens `path` for a run that stands at `step`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, step: usize) -> Result<Self> {
        let mend = "check the run folder";
        let kept = Self::check(path, step)?;
        fsx::write_atomic(path, kept.as_bytes())?;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(|e| TrainerError::io(path, "write", e, mend))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    /// Adds a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| TrainerError::io(&self.path, "write", e, "check free space"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn lines_after_the_step_go_and_what_is_no_metrics_file_stays_untouched() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("metrics.jsonl");
        let open = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            Journal::open(&path, 1).map(drop).map_err(|e| e.to_string())
        };
        open(b"{\"step\":1}\n{\"step\":2}\n{\"st").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":1}\n");
        for (text, said) in
            [(&b"my notes\n"[..], "line 1"), (b"{\"step\":1}\nx\n{\"step\":2}\n", "line 2"), (&[0xff, 0xfe], "UTF-8")]
        {
            let problem = open(text).unwrap_err();
            assert!(problem.contains(said), "{problem}");
            assert_eq!(std::fs::read(&path).unwrap(), text, "replaced");
        }
        // Without a line end too, only what a run can have begun is a line that broke off.
        for text in ["my notes", "{\"title\": \"my notes\"}", "[1, 2]", "{\"step\":1}\nand a remark"] {
            open(text.as_bytes()).unwrap_err();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "replaced");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(Journal::open(&path, 1).is_err(), "a folder of that name");
        std::fs::remove_dir(&path).unwrap();
        Journal::open(&path, 1).unwrap().write(&serde_json::json!({"step": 2})).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"step\":2}\n");
    }
}
