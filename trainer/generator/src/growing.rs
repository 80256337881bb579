//! A file of lines that only grows, so that a run that was killed keeps what it knew.
//!
//! Lines are written in one piece. An end that a kill cut off counts as not written.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// Takes a whole line, its end included, or says what is wrong with it.
pub type Take<'a> = dyn FnMut(&[u8]) -> Result<(), String> + 'a;

/// The file, open to be written.
#[derive(Debug)]
pub struct Growing {
    path: PathBuf,
    file: File,
}

impl Growing {
    /// Opens the file at `path`, or begins one. Each whole line goes to `take`; an end that a kill cut off is removed.
    ///
    /// # Errors
    /// When the file cannot be read or written, or `take` refuses a line: it is another file.
    pub fn open(path: &Path, take: &mut Take) -> Result<Self> {
        let failed = |e| TrainerError::io(path, "write", e, "check free space and the folder's permissions");
        if path.exists() {
            fsx::open(path, fsx::TABLE)?;
        } else if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fsx::create_dir(folder)?;
        }
        let mut file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(path).map_err(failed)?;
        let mut whole = 0;
        let mut reader = BufReader::with_capacity(1 << 20, &mut file);
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            let length = reader.read_until(b'\n', &mut bytes).map_err(failed)?;
            if bytes.last() != Some(&b'\n') {
                break;
            }
            take(&bytes).map_err(|problem| {
                let mend = "it is no journal of this command: choose another --out, or move the file away";
                TrainerError::data(format!("{}, line {number}", path.display()), problem, mend)
            })?;
            whole += length as u64;
        }
        file.set_len(whole).and_then(|()| file.seek(SeekFrom::Start(whole))).map_err(failed)?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds whole lines. With `certain` they are on the disk before this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, lines: &[u8], certain: bool) -> Result<()> {
        let written = self.file.write_all(lines).and_then(|()| if certain { self.file.sync_data() } else { Ok(()) });
        written.map_err(|e| self.failed(e))
    }

    /// What the system says of the file, as this crate's error.
    pub fn failed(&self, error: std::io::Error) -> TrainerError {
        TrainerError::io(&self.path, "write", error, "check free space; what is in it stays")
    }
}
