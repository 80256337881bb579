//! Files: whole reads with a good message, atomic writes (temporary file, sync, rename), content hashes.

use crate::error::{Result, TrainerError};
use crate::partial;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
pub use thisbut_model::bundle::sha256_hex;

/// Most bytes of a file that a person or a tool wrote for this program alone: configurations, recipes, manifests,
/// vocabularies, templates.
pub const SMALL: u64 = 16 << 20;
/// Most bytes of a tokenizer's file or of a page of figures.
pub const MIDDLE: u64 = 256 << 20;
/// Most bytes of a table: the rows of a data set, generated texts, a run's metrics.
pub const TABLE: u64 = 2 << 30;
/// Files whose size the machine's memory decides: weights.
pub const ANY: u64 = u64::MAX;

/// Opens a file to be read, and gives its size. What is no regular file (a folder, a device that never ends, a pipe that
/// nobody writes to) is refused before it is opened, and so is a file of more than `most` bytes. A link is what it leads to.
///
/// # Errors
/// [`TrainerError::Io`] when it is not there or may not be read, [`TrainerError::Data`] when it is refused.
pub fn open(path: &Path, most: u64) -> Result<(File, u64)> {
    let failed = |e| TrainerError::io(path, "read", e, "check the path and its permissions");
    check(path, &std::fs::metadata(path).map_err(failed)?, most)?;
    let file = File::open(path).map_err(failed)?;
    // Another one may lie there by now.
    let length = check(path, &file.metadata().map_err(failed)?, most)?;
    Ok((file, length))
}

/// The size of what may be read.
fn check(path: &Path, about: &std::fs::Metadata, most: u64) -> Result<u64> {
    let refused = |problem: String, mend: &str| Err(TrainerError::data(path.display().to_string(), problem, mend));
    if about.is_dir() {
        return refused("is not a file but a folder".into(), "give the path of a file");
    }
    if !about.is_file() {
        return refused("is not a file but a pipe, a socket or a device".into(), "give the path of a regular file");
    }
    match about.len() {
        length if length > most => refused(
            format!("has {length} bytes, more than the {most} that are read"),
            "check that it is the right file",
        ),
        length => Ok(length),
    }
}

/// Reads a whole file of at most `most` bytes; see [`open`].
///
/// # Errors
/// As [`open`], and when the file grows or shrinks meanwhile.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let (file, length) = open(path, most)?;
    let failed = |e| TrainerError::io(path, "read", e, "check the path and its permissions");
    let mut bytes = Vec::new();
    let room = usize::try_from(length).ok().filter(|room| bytes.try_reserve_exact(*room).is_ok());
    if room.is_none() {
        let problem = format!("has {length} bytes, more than the memory holds");
        return Err(TrainerError::data(path.display().to_string(), problem, "use a machine with more memory"));
    }
    // One byte more than it has shows that it grew.
    file.take(length.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 != length {
        let mend = "wait until nothing writes to it";
        return Err(TrainerError::data(path.display().to_string(), "changed while it was read", mend));
    }
    Ok(bytes)
}

/// Reads a whole UTF-8 file; see [`read`].
///
/// # Errors
/// As [`read`], and [`TrainerError::Data`] for other bytes.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?).map_err(|e| {
        TrainerError::data(path.display().to_string(), format!("not UTF-8 text ({e})"), "save the file as UTF-8")
    })
}

/// The first bytes of a file, at most `most`; see [`open`].
///
/// # Errors
/// As [`open`].
pub fn start(path: &Path, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = open(path, ANY)?.0.take(most).read_to_end(&mut bytes);
    read.map_err(|e| TrainerError::io(path, "read", e, "check the path and its permissions"))?;
    Ok(bytes)
}

/// Opens a file that is this program's own, such as a lock or the part of a download, to be read and written; it is made where
/// there is none. A link there, which may lead to somebody's file, is refused, and so is a pipe.
///
/// # Errors
/// [`TrainerError::Data`] when it is refused, [`TrainerError::Io`] when it cannot be made or opened.
pub fn own(path: &Path) -> Result<File> {
    let found = std::fs::symlink_metadata(path).ok();
    if found.is_some_and(|found| !found.is_file()) {
        let problem = "is a link, a folder, a pipe or a device where this program keeps a file of its own";
        return Err(TrainerError::data(path.display().to_string(), problem, "move it away"));
    }
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    file.map_err(|e| TrainerError::io(path, "write", e, "check free space and the folder's permissions"))
}

/// Hex SHA-256 of a file of any size, a piece at a time.
///
/// # Errors
/// As [`open`].
pub fn sha256_of(path: &Path) -> Result<String> {
    let (mut file, length) = open(path, ANY)?;
    let failed = |e| TrainerError::io(path, "read", e, "check the path and its permissions");
    let (mut hash, mut piece, mut left) = (Sha256::new(), vec![0; PIECE], length);
    while left > 0 {
        let part = &mut piece[..PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
        file.read_exact(part).map_err(failed)?;
        hash.update(&*part);
        left -= part.len() as u64;
    }
    Ok(hex(&hash.finalize()))
}

/// Bytes that are hashed together.
const PIECE: usize = 1 << 20;

/// A file that belongs to `path`: `made.jsonl` has `made.report.json`, and `v1.0` has `v1.0.report.json`.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let named =
        path.extension().is_some_and(|e| ["jsonl", "json", "html"].iter().any(|known| e.eq_ignore_ascii_case(known)));
    let stem = if named { path.file_stem() } else { path.file_name() };
    let mut name = stem.unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

/// Bytes as text, two characters each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Creates a folder and its parents.
pub fn create_dir(path: &Path) -> Result<()> {
    partial::create_dir(path).map_err(|e| TrainerError::io(path, "create", e, "check the parent folder's permissions"))
}

/// Writes through a temporary file beside `path`, syncs, and renames: a reader sees the old file or the whole new one.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    write_atomic_with(path, |file| file.write_all(bytes))
}

/// As [`write_atomic`], for content that is produced in pieces.
pub fn write_atomic_with(
    path: &Path,
    fill: impl FnOnce(&mut std::io::BufWriter<&mut File>) -> std::io::Result<()>,
) -> Result<()> {
    write_atomic_from(path, |out, io| fill(out).map_err(io))
}

/// As [`write_atomic_with`], for content whose making can fail for reasons of its own; the second argument of `fill` turns what
/// the system says of the file into this crate's error.
pub fn write_atomic_from(
    path: &Path,
    fill: impl FnOnce(&mut std::io::BufWriter<&mut File>, &dyn Fn(std::io::Error) -> TrainerError) -> Result<()>,
) -> Result<()> {
    let failed = |e| TrainerError::io(path, "write", e, "check free space and the folder's permissions");
    let parent =
        path.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    create_dir(&parent)?;
    let mut temporary = partial::File::new_in(&parent).map_err(failed)?;
    {
        let mut buffered = std::io::BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
        fill(&mut buffered, &failed)?;
        buffered.flush().map_err(failed)?;
    }
    temporary.persist(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused_before_it_is_read() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        std::fs::write(at("a"), b"abc").unwrap();
        assert_eq!(read(&at("a"), 3).unwrap(), b"abc");
        assert_eq!(sha256_of(&at("a")).unwrap(), sha256_hex(b"abc"));
        assert!(read(&at("a"), 2).unwrap_err().to_string().contains("has 3 bytes, more than the 2"));
        std::fs::write(at("empty"), b"").unwrap();
        assert_eq!(read_text(&at("empty"), 0).unwrap(), "");
        assert!(matches!(read(&at("none"), ANY), Err(TrainerError::Io { .. })));
        assert!(read(root.path(), ANY).unwrap_err().to_string().contains("but a folder"));
        File::create(at("sparse")).unwrap().set_len(10 << 30).unwrap();
        for most in [SMALL, TABLE] {
            assert!(read(&at("sparse"), most).unwrap_err().to_string().contains("10737418240 bytes"));
        }
        File::create(at("absurd")).unwrap().set_len(1 << 43).unwrap();
        assert!(read(&at("absurd"), TABLE).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_neither_hangs_nor_fills_the_memory() {
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let link = root.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [pipe.as_path(), &link, Path::new("/dev/zero")] {
            for problem in [read(path, ANY).unwrap_err(), sha256_of(path).unwrap_err()] {
                assert!(problem.to_string().contains("is not a file but a pipe"), "{problem}");
            }
        }
        std::fs::write(root.path().join("mine"), b"precious").unwrap();
        std::os::unix::fs::symlink(root.path().join("mine"), root.path().join("to-mine")).unwrap();
        std::os::unix::fs::symlink(root.path().join("gone"), root.path().join("to-gone")).unwrap();
        for name in ["pipe", "to-mine", "to-gone", "."] {
            assert!(own(&root.path().join(name)).unwrap_err().to_string().contains("move it away"), "{name}");
        }
        assert!(!root.path().join("gone").exists());
        let own = own(&root.path().join("mine")).unwrap();
        assert_eq!(own.metadata().unwrap().len(), 8, "what is there stays");
        let good = root.path().join("good");
        std::fs::write(root.path().join("a"), b"abc").unwrap();
        std::os::unix::fs::symlink(root.path().join("a"), &good).unwrap();
        assert_eq!(read(&good, SMALL).unwrap(), b"abc");
    }

    #[test]
    fn files_beside_one_another_keep_their_names() {
        for (name, expected) in [
            ("made.jsonl", "made.report.json"),
            ("a/v1.0", "a/v1.0.report.json"),
            ("a/v1.1", "a/v1.1.report.json"),
            ("page.HTML", "page.report.json"),
        ] {
            assert_eq!(beside(Path::new(name), "report.json"), Path::new(expected));
        }
    }
}
