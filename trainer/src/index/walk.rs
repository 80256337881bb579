//! The images of a folder, in an order that is the same on every machine.

use super::titles;
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use std::path::{Path, PathBuf};

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

/// Lists the images under `root`. Hidden files and folders, and `out` if it lies inside, are passed over.
pub fn walk(root: &Path, out: &Path) -> Result<Found> {
    if !root.is_dir() {
        let place = root.display().to_string();
        return Err(TrainerError::settings(place, "is not a folder", "give a folder of images"));
    }
    let out = out.canonicalize().ok();
    let mut found = Found::default();
    let hidden = |entry: &walkdir::DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let ours = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_type().is_dir() && out.is_some() && entry.path().canonicalize().ok() == out
    };
    let entries = walkdir::WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|e| !hidden(e) && !ours(e)) {
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
                title: titles::from_name(path),
                tags: Vec::new(),
            }),
            None => self.complaints.push(Complaint {
                place: path.display().to_string(),
                problem: "its name is not UTF-8; left out, rename it".to_owned(),
            }),
        }
    }
}
