//! Files and folders that are being written: under a `.partial-` name until they are whole, and gone if they never are, also
//! when the process is told to stop.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the name of everything unfinished begins.
pub const PREFIX: &str = ".partial-";

/// What a shell expects of a program that an interrupt ended.
const INTERRUPTED: i32 = 130;

static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// The set stays right whatever a panicking holder did: it only ever adds or removes one path.
fn open() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn builder() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    builder
}

/// From here on an interrupt (Ctrl-C) or a termination signal removes everything unfinished and ends the process.
///
/// # Errors
/// When the system refuses the handler, or one is installed already.
pub fn remove_on_stop() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        // Held until the process is gone, so that no other thread begins or finishes a file behind this one's back.
        let open = open();
        for path in open.iter() {
            // Another thread may still be filling a folder; it cannot begin a new one, so this comes to an end. There is
            // nobody left to tell about a file that will not go.
            for _ in 0..100 {
                let gone = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
                if gone.is_ok() || !path.exists() {
                    break;
                }
            }
        }
        std::process::exit(INTERRUPTED);
    })
}

/// Creates a folder and its parents; once an interrupt removes what is unfinished, nothing is created behind its back.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let _open = open();
    std::fs::create_dir_all(path)
}

/// A file younger than this may be about to be locked.
const YOUNG: Duration = Duration::from_secs(60);

/// Holds a folder that is being filled, so that nobody sweeps it; a system that locks no folders sweeps none.
fn hold(folder: &Path) -> Option<std::fs::File> {
    let held = std::fs::File::open(folder).ok()?;
    held.try_lock().ok().map(|()| held)
}

/// Removes the files and folders in `folder` that killed processes left unfinished, and says so of each.
pub fn sweep(folder: &Path, report: &mut dyn FnMut(String)) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let (Ok(kind), Ok(found)) = (entry.file_type(), entry.metadata()) else { continue };
        let old = found.modified().ok().and_then(|time| time.elapsed().ok()).is_some_and(|age| age > YOUNG);
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) || !old {
            continue;
        }
        if kind.is_dir() {
            if hold(&path).is_some() && std::fs::remove_dir_all(&path).is_ok() {
                report(format!("{}: left by a process that was killed; removed", path.display()));
            }
        } else if kind.is_file() {
            let Ok(file) = std::fs::OpenOptions::new().write(true).open(&path) else { continue };
            if file.try_lock().is_ok() && std::fs::remove_file(&path).is_ok() {
                report(format!(
                    "{}: left by a process that was killed, {} bytes; removed",
                    path.display(),
                    found.len()
                ));
            }
        }
    }
}

/// A path in the set of what is open, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Entry(PathBuf);

impl Entry {
    /// Notes `path`, which an interrupt then removes.
    pub(crate) fn new(path: &Path) -> Self {
        open().insert(path.to_owned());
        Self(path.to_owned())
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        open().remove(&self.0);
    }
}

/// A file under a temporary name; removed when dropped before [`File::persist`].
#[derive(Debug)]
pub struct File {
    file: tempfile::NamedTempFile,
    entry: Entry,
}

impl File {
    /// Creates one in `folder`.
    pub fn new_in(folder: &Path) -> io::Result<Self> {
        let mut builder = builder();
        // Temporary files are private by default; what we write is for others to read, so the user's umask decides.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut open = open();
        let file = builder.tempfile_in(folder)?;
        // For as long as this process lives, so that nobody sweeps the file; a file system without locks sweeps none.
        let _ = file.as_file().try_lock();
        let entry = Entry(file.path().to_owned());
        open.insert(entry.0.clone());
        Ok(Self { file, entry })
    }

    /// The open file.
    pub fn as_file_mut(&mut self) -> &mut std::fs::File {
        self.file.as_file_mut()
    }

    /// Gives the file its name, replacing what had it: in one step, after its bytes are on the disk.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        let Self { file, entry } = self;
        file.as_file().sync_all()?;
        let open = open();
        let done = file.persist(path);
        drop(open);
        drop(entry);
        done.map(drop).map_err(|e| e.error)
    }
}

/// A folder under a temporary name; removed with all it holds when dropped.
#[derive(Debug)]
pub struct Folder {
    folder: tempfile::TempDir,
    _held: Option<std::fs::File>,
    /// Dropped after `folder`: an interrupt while the folder is being removed finishes the removal.
    _entry: Entry,
}

impl Folder {
    /// Creates one in `parent`.
    pub fn new_in(parent: &Path) -> io::Result<Self> {
        let mut open = open();
        let folder = builder().tempdir_in(parent)?;
        let held = hold(folder.path());
        let entry = Entry(folder.path().to_owned());
        open.insert(entry.0.clone());
        Ok(Self { folder, _held: held, _entry: entry })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// A folder under a name of its caller's, which becomes the finished one; removed with all it holds when dropped before.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
    entry: Entry,
    _held: Option<std::fs::File>,
}

impl Staging {
    /// Creates the folder `path`. What an earlier run left there is removed first; the second value says whether there was
    /// anything. Only one run at a time may do this: the caller holds a lock.
    pub fn new(path: &Path) -> io::Result<(Self, bool)> {
        let mut open = open();
        let left = match std::fs::remove_dir_all(path) {
            Ok(()) => true,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(e),
        };
        std::fs::create_dir(path)?;
        open.insert(path.to_owned());
        Ok((Self { path: path.to_owned(), entry: Entry(path.to_owned()), _held: hold(path) }, left))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the whole folder its name in one step, where nothing has it yet or an empty folder.
    pub fn persist(&self, path: &Path) -> io::Result<()> {
        let mut open = open();
        match std::fs::remove_dir(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => std::fs::rename(&self.path, path)?,
        }
        open.remove(&self.entry.0);
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Gone already when it was persisted; nobody is left to tell about one that will not go, and the next run sweeps it.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_was_left_is_swept_and_what_is_being_written_is_not() {
        let root = tempfile::tempdir().unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        let left = root.path().join(".partial-left");
        let young = root.path().join(".partial-young");
        let other = root.path().join("partial");
        for path in [&left, &young, &other] {
            std::fs::write(path, b"123").unwrap();
        }
        for path in [&left, &other] {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
        // Folders too, once nobody fills them.
        let old_folder = |path: &Path| {
            std::fs::write(path.join("part"), b"1").unwrap();
            std::fs::File::open(path).unwrap().set_modified(old).unwrap();
        };
        let killed = root.path().join(".partial-killed");
        std::fs::create_dir(&killed).unwrap();
        old_folder(&killed);
        let filled = Folder::new_in(root.path()).unwrap();
        old_folder(filled.path());
        let staging = Staging::new(&root.path().join(".partial-staging")).unwrap().0;
        old_folder(staging.path());
        let mut open = File::new_in(root.path()).unwrap();
        open.as_file_mut().set_modified(old).unwrap();
        let mut said = Vec::new();
        sweep(root.path(), &mut |line| said.push(line));
        said.sort();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains(".partial-killed"), "{said:?}");
        assert!(said[1].contains(".partial-left") && said[1].contains("3 bytes"), "{said:?}");
        assert!(filled.path().exists() && staging.path().exists());
        assert!(!killed.exists() && !left.exists() && young.exists() && other.exists());
        open.persist(&root.path().join("whole")).unwrap();
        assert!(root.path().join("whole").exists());
    }
}
