//! What an earlier run left: the bundle that lies in place, and the record of the photos that it was made of.

use super::state::{Became, Record, Seen, Stamp, path_of};
use crate::bundle_io::{self, Bundle};
use crate::error::Result;
use std::collections::HashMap;
use std::path::Path;
use thisbut_model::bundle::Manifest;
use thisbut_model::gallery::{Chunk, ImageMeta};

/// A bundle and its record, which fit each other and the model of this run.
#[derive(Debug)]
pub struct Known {
    /// The bundle's manifest.
    pub manifest: Manifest,
    /// What is shown with its images.
    pub metadata: Vec<ImageMeta>,
    /// The record.
    pub record: Record,
    chunks: Vec<(u32, Chunk)>,
    looks: Chunk,
    by_path: HashMap<String, usize>,
    by_hash: HashMap<String, u32>,
}

/// What lies in the output folder.
#[derive(Debug)]
pub enum Earlier {
    /// No bundle.
    Nothing,
    /// A bundle of which nothing can be taken over, and why.
    Useless(String),
    /// What can be taken over.
    Known(Box<Known>),
}

impl Known {
    /// Looks for what can be taken over in `out`, for the model that `model` names.
    ///
    /// # Errors
    /// When `out` has no name. What is damaged is no error: then everything is indexed anew.
    pub fn look(out: &Path, model: &str) -> Result<Earlier> {
        let Some(manifest) = bundle_io::manifest_of(out) else { return Ok(Earlier::Nothing) };
        let path = path_of(out)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let useless = |why: String| Ok(Earlier::Useless(why));
        let record = match Record::read(&path) {
            Ok(Some(record)) => record,
            Ok(None) => return useless(format!("there is no {name} beside the bundle, which says what was indexed")),
            Err(damaged) => return useless(damaged.to_string()),
        };
        if record.model != model {
            return useless("the bundle was made with another model, other settings or another version".into());
        }
        let chunks = manifest.gallery.chunks.iter().map(|chunk| &chunk.file.path);
        if !chunks.eq(&record.chunks) {
            return useless(format!("the gallery is another one than {name} is of"));
        }
        let (chunks, metadata) = match bundle_io::gallery_of(out, &manifest) {
            Ok(gallery) => gallery,
            Err(damaged) => return useless(damaged.to_string()),
        };
        let looks = match record.looks(out) {
            Ok(looks) if looks.count() == metadata.len() => looks,
            Ok(_) => return useless("what the images look like is of another gallery".into()),
            Err(damaged) => return useless(damaged.to_string()),
        };
        let fits = |seen: &Seen| match seen.became {
            Became::Row(row) => metadata.get(row as usize).is_some_and(|image| image.id == seen.path),
            Became::DuplicateOf { .. } => true,
        };
        if let Some(wrong) = record.photos.iter().find(|seen| !fits(seen)) {
            return useless(format!("the gallery's image of '{}' is another one than in {name}", wrong.path));
        }
        let by_path = record.photos.iter().enumerate().map(|(at, seen)| (seen.path.clone(), at)).collect();
        let mut by_hash = HashMap::new();
        for seen in &record.photos {
            if let Became::Row(row) = seen.became {
                by_hash.entry(seen.sha256.clone()).or_insert(row);
            }
        }
        Ok(Earlier::Known(Box::new(Self { manifest, metadata, record, chunks, looks, by_path, by_hash })))
    }

    /// What is known of a path.
    pub fn seen(&self, path: &str) -> Option<&Seen> {
        self.by_path.get(path).and_then(|at| self.record.photos.get(*at))
    }

    /// What is known of a path whose file is surely as it was.
    pub fn settled(&self, path: &str, stamp: Option<Stamp>) -> Option<&Seen> {
        self.seen(path).filter(|seen| Some(seen.stamp) == stamp && seen.stamp.settled(self.record.began))
    }

    /// The row of a path.
    pub fn row_of(&self, path: &str) -> Option<u32> {
        match self.seen(path)?.became {
            Became::Row(row) => Some(row),
            Became::DuplicateOf { .. } => None,
        }
    }

    /// A row whose file had these bytes.
    pub fn with_hash(&self, sha256: &str) -> Option<u32> {
        self.by_hash.get(sha256).copied()
    }

    /// What the gallery keeps of a row, what it looks like, and what is shown with it; none where one of its files is gone from
    /// `out`.
    pub fn take(&self, row: u32, out: &Path) -> Option<(Chunk, Chunk, &ImageMeta)> {
        let image = self.metadata.get(row as usize)?;
        let is = |path: &str, bytes: Option<u64>| {
            let found = std::fs::metadata(out.join(path)).ok().filter(std::fs::Metadata::is_file);
            found.is_some_and(|found| bytes.map_or(found.len() > 0, |bytes| found.len() == bytes))
        };
        let thumb = is(&format!("{}{}", self.manifest.gallery.thumbnails, image.thumb), None);
        let whole = thumb && image.reference.as_ref().is_none_or(|file| is(&file.path, Some(file.bytes)));
        let at = self.chunks.partition_point(|(first, _)| *first <= row).checked_sub(1)?;
        let (first, chunk) = self.chunks.get(at)?;
        let (one, look) = (chunk.only((row - first) as usize)?, self.looks.only(row as usize)?);
        whole.then_some((one, look, image))
    }
}

impl Bundle {
    /// Names all that decides what a gallery keeps of a photo, but for the image encoder of a bundle without one.
    pub fn makes(&self) -> String {
        let manifest = &self.manifest;
        format!("{} {} {}", manifest.row_form(), manifest.form.name(), env!("CARGO_PKG_VERSION"))
    }
}
