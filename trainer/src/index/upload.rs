//! What of a bundle has to be uploaded again.

use crate::bundle_io::{MANIFEST, files_of};
use crate::fsx;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use thisbut_model::bundle::MAX_BYTES;

/// The files of a bundle at one time.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Their sizes by path. Names have the hash of what is in them.
    sizes: BTreeMap<String, u64>,
    manifest: Vec<u8>,
}

impl Files {
    /// Those of the bundle in `root`; none where there is no bundle.
    pub fn of(root: &Path) -> Self {
        let paths = files_of(root).into_iter();
        let sizes = paths.filter_map(|path| Some((root.join(&path).metadata().ok()?.len(), path)));
        let manifest = fsx::read(&root.join(MANIFEST), MAX_BYTES as u64).unwrap_or_default();
        Self { sizes: sizes.map(|(bytes, path)| (path, bytes)).collect(), manifest }
    }
}

/// What is to be done with the published copy of a bundle, in this order: readers see a whole bundle at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Files that were not there.
    pub new: Vec<String>,
    /// Files that are another: `bundle.json`, which is the last to be uploaded.
    pub changed: Vec<String>,
    /// Files that are gone.
    pub deleted: Vec<String>,
    /// Bytes of what is new or changed.
    pub bytes: u64,
}

impl List {
    /// From one time to another.
    pub fn between(before: &Files, after: &Files) -> Self {
        let mut list = Self::default();
        for (path, bytes) in &after.sizes {
            match before.sizes.get(path) {
                None => list.new.push(path.clone()),
                Some(earlier) if earlier != bytes => list.changed.push(path.clone()),
                Some(_) => continue,
            }
            list.bytes += bytes;
        }
        if before.manifest != after.manifest {
            let place = if before.manifest.is_empty() { &mut list.new } else { &mut list.changed };
            place.push(MANIFEST.to_owned());
            list.bytes += after.manifest.len() as u64;
        }
        list.deleted = before.sizes.keys().filter(|path| !after.sizes.contains_key(*path)).cloned().collect();
        list
    }
}

impl fmt::Display for List {
    /// A line for each file: `new`, `changed` or `deleted`, a tab, and its path.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, paths) in [("new", &self.new), ("changed", &self.changed), ("deleted", &self.deleted)] {
            for path in paths {
                writeln!(out, "{word}\t{path}")?;
            }
        }
        Ok(())
    }
}
