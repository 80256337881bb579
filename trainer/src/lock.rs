//! One writer a folder: a lock that the system takes back when its holder ends, however it ends.

use crate::error::{Result, TrainerError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::Path;

/// The file that is locked. It stays behind, without a lock.
pub const NAME: &str = "run.lock";

/// A folder's lock, for as long as this lives.
#[derive(Debug)]
pub struct Lock(#[allow(dead_code, reason = "held, never read")] Option<File>);

impl Lock {
    /// Takes the lock of `folder`. A file system that knows no locks gets a note instead.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when another process has it, with that process's number; and when the file cannot be
    /// written.
    pub fn take(folder: &Path, note: &mut dyn FnMut(String)) -> Result<Self> {
        let path = folder.join(NAME);
        let failed = |e| TrainerError::io(&path, "write", e, "check free space and the folder's permissions");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(folder, &mut file)),
            Err(TryLockError::Error(e)) if e.kind() == ErrorKind::Unsupported => {
                note(format!("{}: the file system knows no locks; start no second run here", folder.display()));
                return Ok(Self(None));
            }
            Err(TryLockError::Error(e)) => return Err(failed(e)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self(Some(file)))
    }
}

fn taken(folder: &Path, file: &mut File) -> TrainerError {
    let mut holder = String::new();
    // Where locks are mandatory the holder's number cannot be read; the message does without.
    let read = file.take(20).read_to_string(&mut holder);
    let named = read.ok().and_then(|_| holder.trim().parse::<u32>().ok());
    let who = named.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"));
    TrainerError::checkpoint(
        folder.display().to_string(),
        format!("{who} is writing to this folder"),
        "wait until it ends, or give another --out",
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn one_holder_at_a_time_and_a_file_that_was_left_is_no_lock() {
        let root = tempfile::tempdir().unwrap();
        // What a killed process left.
        std::fs::write(root.path().join(NAME), "4194304000\n").unwrap();
        let mut notes = Vec::new();
        let first = Lock::take(root.path(), &mut |note| notes.push(note)).unwrap();
        let problem = Lock::take(root.path(), &mut |_| ()).unwrap_err().to_string();
        assert!(problem.contains(&format!("process {}", std::process::id())), "{problem}");
        assert!(problem.contains("another --out"), "{problem}");
        drop(first);
        Lock::take(root.path(), &mut |_| ()).unwrap();
        assert!(notes.is_empty(), "{notes:?}");
    }
}
