//! Files: whole reads with a good message, atomic writes (temporary file, sync, rename), content hashes.

use crate::error::{Result, TrainerError};
use crate::partial;
use std::io::Write;
use std::path::{Path, PathBuf};
pub use thisbut_model::bundle::sha256_hex;

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| TrainerError::io(path, "read", e, "check the path and its permissions"))
}

/// Reads a whole UTF-8 file.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|e| {
        TrainerError::data(path.display().to_string(), format!("not UTF-8 text ({e})"), "save the file as UTF-8")
    })
}

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
    fill: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>) -> std::io::Result<()>,
) -> Result<()> {
    write_atomic_from(path, |out, io| fill(out).map_err(io))
}

/// As [`write_atomic_with`], for content whose making can fail for reasons of its own; the second argument of `fill` turns what
/// the system says of the file into this crate's error.
pub fn write_atomic_from(
    path: &Path,
    fill: impl FnOnce(&mut std::io::BufWriter<&mut std::fs::File>, &dyn Fn(std::io::Error) -> TrainerError) -> Result<()>,
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
    use super::*;

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
