//! What the last run knew of each photo: two hidden files beside the bundle, which are never uploaded with it. `.NAME.index.json` is
//! the record, `.NAME.index.looks` a chunk, as the gallery has them, of what each image looks like.

use crate::bundle_io;
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;
use thisbut_model::gallery::Chunk;

/// How a record begins.
const FORMAT: &str = "thisbut-index";
/// The version that is read and written.
const VERSION: u32 = 1;
/// A photo that was changed so shortly before a run may have been changed once more within the clock's step.
const YOUNG: u64 = 2_000_000_000;

/// The record of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    format: String,
    version: u32,
    /// Names the model and all that decides what the gallery keeps of a photo.
    pub model: String,
    /// When the run began, in nanoseconds since 1970.
    pub began: u64,
    /// The gallery's chunks: they say whether a bundle is the one that this record is of.
    pub chunks: Vec<String>,
    /// SHA-256 of the file of looks.
    pub looks: String,
    /// How the bundle was completed after the run; none where that was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed: Option<String>,
    /// The photos, sorted by path.
    pub photos: Vec<Seen>,
}

/// A photo as a run saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its path inside the folder of photos, with `/`.
    pub path: String,
    /// Size and time of its file.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// SHA-256 of its file.
    pub sha256: String,
    /// What became of it.
    #[serde(flatten)]
    pub became: Became,
}

/// What became of a photo.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Became {
    /// The gallery's image of this number.
    Row(u32),
    /// It was left out as the duplicate of another one.
    DuplicateOf {
        /// The other one's path.
        path: String,
        /// How similar they are; 1 for the same file.
        similarity: f32,
    },
}

/// What tells that a file is as it was, without a look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub bytes: u64,
    /// When it was changed, in nanoseconds since 1970; 0 where the system does not say.
    pub modified: u64,
}

impl Stamp {
    /// Of a file.
    pub fn of(about: &Metadata) -> Self {
        let modified = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        Self { bytes: about.len(), modified }
    }

    /// Whether a file with this stamp is surely the one that a run saw, which began at `began`.
    pub fn settled(&self, began: u64) -> bool {
        self.modified > 0 && self.modified.saturating_add(YOUNG) < began
    }
}

/// The place of the record of the bundle in `out`.
///
/// # Errors
/// When `out` has no name.
pub fn path_of(out: &Path) -> Result<PathBuf> {
    bundle_io::hidden(out, ".", ".index.json")
}

/// The place of what its images look like.
fn looks_of(out: &Path) -> Result<PathBuf> {
    bundle_io::hidden(out, ".", ".index.looks")
}

impl Record {
    /// A record of this version.
    pub fn new(model: String, began: u64, chunks: Vec<String>, photos: Vec<Seen>) -> Self {
        let (format, looks) = (FORMAT.to_owned(), String::new());
        Self { format, version: VERSION, model, began, chunks, looks, completed: None, photos }
    }

    /// The same of a bundle that was completed before.
    pub fn completed_as(self, completed: Option<String>) -> Self {
        Self { completed, ..self }
    }

    /// Reads the record at `path`; none where there is no file.
    ///
    /// # Errors
    /// When it is no record of this version, or contradicts itself.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let wrong = |problem: String| {
            TrainerError::data(path.display().to_string(), format!("is no record of an index ({problem})"), "remove it")
        };
        let bytes = fsx::read(path, fsx::TABLE)?;
        let record: Self = serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))?;
        if (record.format.as_str(), record.version) != (FORMAT, VERSION) {
            return Err(wrong("it has another format or version".into()));
        }
        let (mut rows, mut paths) = (HashSet::new(), HashSet::new());
        for seen in &record.photos {
            let twice = matches!(seen.became, Became::Row(row) if !rows.insert(row));
            if twice || !paths.insert(seen.path.as_str()) {
                return Err(wrong(format!("'{}' or its row stands in it twice", seen.path)));
            }
        }
        Ok(Some(record))
    }

    /// What the images of the bundle in `out` look like, in the order of their rows.
    ///
    /// # Errors
    /// When the file is missing, or another one than this record is of.
    pub fn looks(&self, out: &Path) -> Result<Chunk> {
        let path = looks_of(out)?;
        let bytes = fsx::read(&path, fsx::ANY)?;
        let looks = Chunk::parse(&bytes).ok().filter(|_| fsx::sha256_hex(&bytes) == self.looks);
        looks.ok_or_else(|| {
            let problem = "is damaged, or belongs to another run than the record beside it";
            TrainerError::data(path.display().to_string(), problem, "remove it")
        })
    }

    /// Writes it for the bundle in `out`, with what its images look like.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(mut self, out: &Path, looks: &Chunk) -> Result<()> {
        let bytes = looks.to_bytes();
        self.looks = fsx::sha256_hex(&bytes);
        fsx::write_atomic(&looks_of(out)?, &bytes)?;
        self.write_alone(&path_of(out)?)
    }

    fn write_alone(&self, path: &Path) -> Result<()> {
        let json = serde_json::to_vec(self)
            .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "index with --fresh"))?;
        fsx::write_atomic(path, &json)
    }
}

/// Notes in the record of the bundle in `out` how it was completed.
///
/// # Errors
/// When the record cannot be read or written.
pub fn complete(out: &Path, how: &str) -> Result<()> {
    let path = path_of(out)?;
    let Some(mut record) = Record::read(&path)? else { return Ok(()) };
    record.completed = Some(how.to_owned());
    record.write_alone(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use thisbut_model::gallery::encode_chunk;

    fn seen(path: &str, became: Became) -> Seen {
        Seen { path: path.into(), stamp: Stamp { bytes: 3, modified: 9 }, sha256: "ab".into(), became }
    }

    #[test]
    fn a_record_reads_back_and_contradictions_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(&folder.path().join("shop")).unwrap();
        assert_eq!(path.file_name().unwrap(), ".shop.index.json");
        assert_eq!(Record::read(&path).unwrap(), None);
        let other = Became::DuplicateOf { path: "a".into(), similarity: 0.97 };
        let record = Record::new("m".into(), 5, vec!["c".into()], vec![seen("a", Became::Row(0)), seen("b", other)]);
        let out = folder.path().join("shop");
        let looks = Chunk::parse(&encode_chunk(&[0.5, 0.1], 1, 2).unwrap()).unwrap();
        record.clone().write(&out, &looks).unwrap();
        let read = Record::read(&path).unwrap().unwrap();
        assert_eq!(read.looks(&out).unwrap(), looks);
        assert_eq!(Record { looks: String::new(), ..read.clone() }, record);
        std::fs::write(folder.path().join(".shop.index.looks"), "x").unwrap();
        assert!(read.looks(&out).unwrap_err().to_string().contains(".shop.index.looks: is damaged"));
        complete(&out, "6 6").unwrap();
        assert_eq!(Record::read(&path).unwrap().unwrap().completed.as_deref(), Some("6 6"));
        for (photos, words) in [
            (vec![seen("a", Became::Row(0)), seen("b", Became::Row(0))], "'b' or its row stands in it twice"),
            (vec![seen("a", Became::Row(0)), seen("a", Became::Row(1))], "'a' or its row"),
        ] {
            Record { photos, ..record.clone() }.write_alone(&path).unwrap();
            assert!(Record::read(&path).unwrap_err().to_string().contains(words));
        }
        Record { version: 2, ..record }.write_alone(&path).unwrap();
        assert!(Record::read(&path).unwrap_err().to_string().contains("another format or version"));
        for broken in ["", "{", "[]", "{\"format\":\"thisbut-index\"}"] {
            std::fs::write(&path, broken).unwrap();
            assert!(Record::read(&path).unwrap_err().to_string().contains("is no record of an index"), "{broken}");
        }
    }

    #[test]
    fn what_was_changed_just_before_a_run_is_looked_into() {
        let at = |modified| Stamp { bytes: 1, modified };
        assert!(at(1).settled(10 * YOUNG) && !at(9 * YOUNG).settled(10 * YOUNG) && !at(0).settled(u64::MAX));
    }
}
