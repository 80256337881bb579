//! One run at a time: a file that the system locks for as long as a run writes somewhere, and lets go when it ends, however
//! it ends.

use crate::error::{Result, TrainerError};
use crate::{fsx, partial};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

/// The name of a training run's lock, in its folder.
pub const RUN: &str = "run.lock";

/// A held lock; dropped, it lets go and removes its file.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    _entry: partial::Entry,
    path: PathBuf,
}

impl Lock {
    /// Takes the lock of the file at `path`, which is made if need be, for a run that writes `what`.
    ///
    /// # Errors
    /// When another run holds it, and when the file cannot be made, or is none ([`fsx::own`]).
    pub fn take(path: &Path, what: &Path) -> Result<Self> {
        let failed = |e| TrainerError::io(path, "lock", e, "check free space and the folder's permissions");
        loop {
            let file = fsx::own(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mend = "wait until it has ended, or give another folder";
                    return Err(TrainerError::settings(
                        what.display().to_string(),
                        "another run is writing here",
                        mend,
                    ));
                }
                Err(TryLockError::Error(e)) => return Err(failed(e)),
            }
            // A run that ended in between took its file away: then this is a lock on a file that nobody else will find.
            if same(&file, path) {
                return Ok(Self { _file: file, _entry: partial::Entry::new(path), path: path.to_path_buf() });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Before the system lets go of it; a file that stays is locked again by the next run.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether `path` still names the open file.
fn same(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let names = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
        matches!((file.metadata(), std::fs::metadata(path)), (Ok(held), Ok(named)) if names(&held) == names(&named))
    }
    #[cfg(not(unix))]
    {
        file.metadata().is_ok() && path.exists()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::take(&path, Path::new("out")).unwrap();
        let refused = Lock::take(&path, Path::new("out")).unwrap_err().to_string();
        assert_eq!(refused, "out: another run is writing here; wait until it has ended, or give another folder");
        drop(held);
        assert!(!path.exists());
        // What a killed run leaves is no lock.
        std::fs::write(&path, "").unwrap();
        drop(Lock::take(&path, Path::new("out")).unwrap());
        assert!(!path.exists());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, link, mine) = (folder.path().join("pipe"), folder.path().join("link"), folder.path().join("mine"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        std::os::unix::fs::symlink(&mine, &link).unwrap();
        for path in [&pipe, &link] {
            assert!(Lock::take(path, Path::new("out")).unwrap_err().to_string().contains("move it away"));
        }
        assert!(!mine.exists());
    }

    #[test]
    fn many_at_once_never_hold_it_together() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let (inside, times) = (std::sync::atomic::AtomicUsize::new(0), std::sync::atomic::AtomicUsize::new(0));
        use std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        if let Ok(_held) = Lock::take(&path, Path::new("out")) {
                            assert_eq!(inside.fetch_add(1, SeqCst), 0);
                            times.fetch_add(1, SeqCst);
                            std::thread::yield_now();
                            inside.fetch_sub(1, SeqCst);
                        }
                    }
                });
            }
        });
        assert!(times.load(SeqCst) > 0);
    }
}
