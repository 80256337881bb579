//! Files of a bundle: names that can't lead elsewhere, sizes and SHA-256.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{ModelError, Result, excerpt};

/// Largest file that a bundle may name.
const MAX_FILE_BYTES: u64 = 2 << 30;

/// One file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Where it lies, relative to `bundle.json`, with `/` between folders.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 of its content, 64 lower-case hex digits.
    pub sha256: String,
}

impl FileEntry {
    /// The entry of `content` at `path`.
    pub fn new(path: impl Into<String>, content: &[u8]) -> Self {
        Self { path: path.into(), bytes: content.len() as u64, sha256: sha256_hex(content) }
    }

    /// Checks that `content` is what the bundle promises.
    ///
    /// # Errors
    /// [`ModelError::Checksum`] for other content, [`ModelError::Format`] for another length.
    pub fn verify(&self, content: &[u8]) -> Result<()> {
        self.verify_size(content.len() as u64)?;
        self.verify_hash(&sha256_hex(content))
    }

    /// The part of [`FileEntry::verify`] that needs no content.
    ///
    /// # Errors
    /// [`ModelError::Format`] for another length.
    pub fn verify_size(&self, bytes: u64) -> Result<()> {
        if bytes == self.bytes {
            return Ok(());
        }
        let cut = if bytes < self.bytes { "it is cut short" } else { "it is too long" };
        let problem = format!("{cut}: {bytes} bytes, the bundle promises {}", self.bytes);
        Err(ModelError::Format { place: self.path.clone(), problem, mend: MEND.into() })
    }

    /// The part of [`FileEntry::verify`] after the hash, lower-case hex: of a file that is hashed piece by piece.
    ///
    /// # Errors
    /// [`ModelError::Checksum`] when it is another.
    pub fn verify_hash(&self, sha256: &str) -> Result<()> {
        if sha256 == self.sha256 {
            return Ok(());
        }
        let (expected, found) = (self.sha256.clone(), sha256.to_owned());
        Err(ModelError::Checksum { place: self.path.clone(), expected, found, mend: MEND.into() })
    }

    /// Checks the entry itself; `field` is where it stands in the manifest.
    pub(crate) fn check(&self, field: &str) -> Result<()> {
        check_path(field, &self.path)?;
        if self.bytes == 0 || self.bytes > MAX_FILE_BYTES {
            return Err(manifest_error(field, &format!("{} is no size of a bundle's file", self.bytes)));
        }
        if self.sha256.len() != 64 || !self.sha256.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
            return Err(manifest_error(field, "sha256 isn't 64 lower-case hex digits"));
        }
        Ok(())
    }
}

const MEND: &str = "load the page again; if it stays, the bundle has to be published again";

/// Lower-case hex SHA-256.
pub fn sha256_hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A file name that changes with the content, so that caches may keep it for ever: `stem.0123456789abcdef.ext`.
pub fn hashed_name(stem: &str, ext: &str, content: &[u8]) -> String {
    let hash = sha256_hex(content);
    format!("{stem}.{}.{ext}", hash.get(..16).unwrap_or(&hash))
}

/// Only plain relative paths: the manifest may come from anywhere, and must not name files outside its folder.
pub(super) fn check_path(field: &str, path: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let part_is_plain = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(plain);
    if path.len() > 255 || !path.split('/').all(part_is_plain) {
        let shown: String = path.chars().take(80).collect();
        return Err(manifest_error(field, &format!("{shown:?} is no plain relative path")));
    }
    Ok(())
}

/// A manifest that makes no sense at `field`.
pub(super) fn manifest_error(field: &str, problem: &str) -> ModelError {
    ModelError::Format {
        place: format!("bundle.json: {field}"),
        problem: excerpt(problem),
        mend: "export the bundle again, or fetch bundle.json again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifies_size_and_content() {
        let entry = FileEntry::new("weights/a.bin", b"abc");
        assert_eq!(entry.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(entry.verify(b"abc").is_ok());
        assert!(matches!(entry.verify(b"abd"), Err(ModelError::Checksum { .. })));
        let message = entry.verify(b"ab").unwrap_err().to_string();
        assert!(message.contains("weights/a.bin: it is cut short"), "{message}");
        assert_eq!(hashed_name("weights", "safetensors", b"abc"), "weights.ba7816bf8f01cfea.safetensors");
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["a", "a.b", "gallery/tokens-0.ab.bin", "a/b/c_d"] {
            assert!(check_path("x", path).is_ok(), "{path}");
        }
        for path in [
            "", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", "./a", ".git", "a\\b", "C:a", "http://a", "a?b",
            "a#b", "%2e%2e/a", "a b", "ä", "a\0",
        ] {
            assert!(check_path("x", path).is_err(), "{path}");
        }
        assert!(check_path("x", &"a".repeat(256)).is_err());
    }
}
