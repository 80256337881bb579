//! A feature cache in the making, which a kill leaves to be gone on with: `X.features.unfinished` has the records,
//! `X.features.unfinished.jsonl` a line of what they are for each batch whose records are on the disk.

use super::store::{Header, MAGIC, START};
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// A batch whose records are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Batch {
    /// Which files it was made from.
    pub files: String,
    /// The images that have a record.
    pub names: Vec<String>,
    /// Those that could not be read, with the reason.
    pub left_out: BTreeMap<String, String>,
}

/// The first line.
#[derive(Serialize, Deserialize)]
struct About {
    about: String,
}

/// The files.
pub(super) struct Unfinished {
    out: PathBuf,
    path: PathBuf,
    file: File,
    lines: PathBuf,
    list: File,
    done: Vec<Batch>,
}

impl Unfinished {
    /// Opens what is to become `out`. What an earlier process wrote for the same `about` is kept as far as its `batches` are
    /// those of today; `record` is the size of an image's record.
    ///
    /// # Errors
    /// When a file cannot be written, or another process has it.
    pub fn open(
        out: &Path,
        about: &str,
        batches: &[String],
        record: usize,
        report: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let (path, lines) = (with(out, ".unfinished"), with(out, ".unfinished.jsonl"));
        if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fsx::create_dir(folder)?;
        }
        let failed = |e| TrainerError::io(&path, "write", e, "check free space and the folder's permissions");
        let mut file = fsx::own(&path)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let place = path.display().to_string();
            return Err(TrainerError::checkpoint(place, "another process is writing this cache", "wait until it ends"));
        }
        let length = file.metadata().map_err(failed)?.len();
        let done = match lines.exists() {
            // A kill may cut the last line in the middle of a letter.
            true => {
                let text = fsx::read(&lines, fsx::TABLE)?;
                kept(&String::from_utf8_lossy(&text), about, batches, record, length)
            }
            false => Vec::new(),
        };
        let images: usize = done.iter().map(|batch| batch.names.len() + batch.left_out.len()).sum();
        let place = path.display();
        match (images, length) {
            // Nothing, or the head alone, of a process that ended before its first batch did.
            (0, length) if length <= START as u64 => {}
            (0, _) => report(format!("{place}: left from other images or settings, {length} bytes; begun anew")),
            _ => report(format!("{place}: goes on after {images} images")),
        }
        let records: usize = done.iter().map(|batch| batch.names.len()).sum();
        if done.is_empty() {
            file.set_len(0).map_err(failed)?;
            file.rewind().map_err(failed)?;
            file.write_all(MAGIC).and_then(|()| file.write_all(&[0; START - MAGIC.len()])).map_err(failed)?;
        }
        let end = (START + records * record) as u64;
        file.set_len(end).and_then(|()| file.seek(SeekFrom::Start(end))).map_err(failed)?;
        let mut text = line(&About { about: about.to_owned() })?;
        for batch in &done {
            text.push_str(&line(batch)?);
        }
        fsx::write_atomic(&lines, text.as_bytes())?;
        let list = OpenOptions::new().append(true).open(&lines);
        let list = list.map_err(|e| TrainerError::io(&lines, "write", e, "check the folder's permissions"))?;
        Ok(Self { out: out.to_path_buf(), path, file, lines, list, done })
    }

    /// How many batches are done.
    pub fn batches(&self) -> usize {
        self.done.len()
    }

    /// Adds a batch: its records first, so that the line never names what is not on the disk.
    pub fn add(&mut self, records: &[u8], batch: Batch) -> Result<()> {
        let failed = |e| TrainerError::io(&self.path, "write", e, "check free space; what is done is kept");
        self.file.write_all(records).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.list.write_all(line(&batch)?.as_bytes()).map_err(failed)?;
        self.done.push(batch);
        Ok(())
    }

    /// The names that have records, and the reasons of those that have none.
    pub fn content(&self) -> (Vec<String>, BTreeMap<String, String>) {
        let names = self.done.iter().flat_map(|batch| batch.names.clone()).collect();
        (names, self.done.iter().flat_map(|batch| batch.left_out.clone()).collect())
    }

    /// Ends the cache and gives it its name.
    pub fn finish(mut self, header: &Header) -> Result<()> {
        let failed = |e| TrainerError::io(&self.out, "write", e, "check free space; what is done is kept");
        let json = serde_json::to_vec(header)
            .map_err(|e| TrainerError::checkpoint(self.out.display().to_string(), e.to_string(), "report this"))?;
        let end = (json.len() as u64).to_le_bytes();
        self.file.write_all(&json).and_then(|()| self.file.write_all(&end)).map_err(failed)?;
        self.file.sync_all().and_then(|()| std::fs::rename(&self.path, &self.out)).map_err(failed)?;
        remove(&self.lines);
        Ok(())
    }

    /// Removes the files.
    pub fn discard(self) {
        remove(&self.path);
        remove(&self.lines);
    }
}

/// Nothing depends on the file any more; one that cannot be removed only takes space.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

/// The first batches that `lines` list for `about`, made from today's files, and whose records are within `length` bytes.
fn kept(lines: &str, about: &str, batches: &[String], record: usize, length: u64) -> Vec<Batch> {
    let mut rest = lines.lines();
    let first = rest.next().and_then(|line| serde_json::from_str::<About>(line).ok());
    if first.is_none_or(|first| first.about != about) {
        return Vec::new();
    }
    let (mut kept, mut end) = (Vec::new(), START as u64);
    for (line, files) in rest.zip(batches) {
        let Ok(batch) = serde_json::from_str::<Batch>(line) else { break };
        end = end.saturating_add((batch.names.len() as u64).saturating_mul(record as u64));
        if batch.files != *files || end > length {
            break;
        }
        kept.push(batch);
    }
    kept
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(ending);
    path.with_file_name(name)
}

fn line(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value);
    let text = text.map_err(|e| TrainerError::checkpoint("the feature cache", e.to_string(), "report this"))?;
    Ok(text + "\n")
}
