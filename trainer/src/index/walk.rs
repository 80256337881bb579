//! The images of a folder, in an order that is the same on every machine.

use super::titles;
use crate::bundle_io;
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use thisbut_model::gallery::Extra;

/// Endings that say "image". Some of them are not read; those files get a complaint instead of silence.
const ENDINGS: [&str; 15] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "heic", "heif", "avif", "tif", "tiff", "bmp", "svg", "jxl"];

/// An image file to index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Photo {
    /// Its file.
    pub path: PathBuf,
    /// Its path inside the folder, with `/`: unique, and stable when the folder moves.
    pub id: String,
    /// A line for people.
    pub title: String,
    /// Search words.
    pub tags: Vec<String>,
    /// What a table says of it beside these.
    pub extra: Extra,
}

/// What a folder holds.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Image files, sorted by path.
    pub photos: Vec<Photo>,
    /// What could not be listed, and why.
    pub complaints: Vec<Complaint>,
    /// Files that are no images by their name.
    pub others: usize,
}

/// Lists the images under `root`. Hidden files and folders are passed over, and `out` if it lies inside. Other bundles, whose
/// thumbnails are no photos, and links that lead out of `root` are passed over with a complaint.
///
/// # Errors
/// When `root` is no folder, is a bundle itself, or lies in `out`.
pub fn walk(root: &Path, out: &Path) -> Result<Found> {
    let refuse = |problem: &str, mend: &str| Err(TrainerError::settings(root.display().to_string(), problem, mend));
    let Ok(whole) = root.canonicalize().and_then(|whole| whole.read_dir().map(|_| whole)) else {
        return refuse("is not a folder", "give a folder of images");
    };
    if bundle_io::is_bundle(root) {
        return refuse("is a bundle: its pictures are thumbnails", "give the folder of images that it was made from");
    }
    let out = out.canonicalize().ok();
    if out.as_ref().is_some_and(|out| whole.starts_with(out)) {
        return refuse("is the output folder, or lies in it", "give another output folder");
    }
    let mut found = Found::default();
    let passed = RefCell::new(Vec::new());
    let entries = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    let wanted = |entry: &walkdir::DirEntry| {
        if entry.depth() == 0 {
            return true;
        }
        if entry.file_name().to_string_lossy().starts_with('.') {
            return false;
        }
        // Only a link has another place than the one where it stands; what lies behind it is looked at as the walk goes.
        let target = entry.path_is_symlink().then(|| entry.path().canonicalize().unwrap_or_default());
        if target.is_some_and(|target| !target.starts_with(&whole)) {
            passed.borrow_mut().push(Complaint {
                place: entry.path().display().to_string(),
                problem: "a link that leads out of the folder; left out".to_owned(),
            });
            return false;
        }
        if !entry.file_type().is_dir() {
            return true;
        }
        if out.is_some() && entry.path().canonicalize().ok() == out {
            return false;
        }
        let bundle = bundle_io::is_bundle(entry.path());
        if bundle {
            passed.borrow_mut().push(Complaint {
                place: entry.path().display().to_string(),
                problem: "a bundle, whose pictures are thumbnails; left out".to_owned(),
            });
        }
        !bundle
    };
    for entry in entries.filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {}
            Ok(entry) => found.file(root, entry.path()),
            Err(e) => {
                let place = e.path().unwrap_or(root).display().to_string();
                let problem =
                    e.io_error().map_or_else(|| "a link that leads in a circle".to_owned(), ToString::to_string);
                found.complaints.push(Complaint { place, problem: format!("{problem}; left out") });
            }
        }
    }
    found.complaints.extend(passed.into_inner());
    Ok(found)
}

impl Found {
    fn file(&mut self, root: &Path, path: &Path) {
        let ending = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase).unwrap_or_default();
        if !ENDINGS.contains(&ending.as_str()) {
            self.others += 1;
            return;
        }
        let inside = path.strip_prefix(root).unwrap_or(path);
        let parts: Option<Vec<&str>> = inside.iter().map(|part| part.to_str()).collect();
        match parts {
            Some(parts) => self.photos.push(Photo {
                path: path.to_path_buf(),
                id: parts.join("/"),
                title: titles::from_path(Path::new(inside)),
                tags: titles::folders(Path::new(inside)),
                extra: Extra::default(),
            }),
            None => self.complaints.push(Complaint {
                place: path.display().to_string(),
                problem: "its name is not UTF-8; left out, rename it".to_owned(),
            }),
        }
    }
}
