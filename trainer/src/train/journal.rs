//! The metrics file of a run: one JSON object a line.

use crate::error::{Result, TrainerError};
use crate::fsx;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The metrics file; lines after the step that a run resumes from are dropped.
pub struct Journal {
    file: std::fs::File,
    path: PathBuf,
}

impl Journal {
    /// Opens `path` for a run that stands at `step`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn open(path: &Path, step: usize) -> Result<Self> {
        let mend = "check the run folder";
        let kept: String = match fsx::read_text(path, fsx::TABLE) {
            Ok(text) => text
                .lines()
                .filter(|line| {
                    serde_json::from_str::<serde_json::Value>(line)
                        .is_ok_and(|v| v["step"].as_u64().is_some_and(|s| s as usize <= step))
                })
                .flat_map(|line| [line, "\n"])
                .collect(),
            Err(_) => String::new(),
        };
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
