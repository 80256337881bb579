//! What every loader does alike: find image files, number images, refuse double ids, and collect complaints.

use super::table::{Complaint, ImageEntry, LoadOptions, Split, Table, Triplet, refuse_complaints};
use crate::error::{Result, TrainerError};
use crate::metrics::Protocol;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

/// A table in the making.
pub(super) struct Builder {
    pub table: Table,
    pub complaints: Vec<Complaint>,
    split: Split,
    options: LoadOptions,
    index: HashMap<String, u32>,
    absent: HashSet<String>,
    ids: HashSet<u64>,
}

impl Builder {
    pub fn new(split: Split, protocol: Protocol, options: &LoadOptions) -> Self {
        Self {
            table: Table { protocol, ..Table::default() },
            complaints: Vec::new(),
            split,
            options: *options,
            index: HashMap::new(),
            absent: HashSet::new(),
            ids: HashSet::new(),
        }
    }

    pub fn complain(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.complaints.push(Complaint { place: place.into(), problem: problem.into() });
    }

    /// The image's number, given when it is first met. `None` when its file is missing and files are required; the
    /// first time that is a complaint.
    pub fn add(&mut self, place: &str, name: &str, files: &mut Finder, file: &str) -> Option<u32> {
        if let Some(at) = self.index.get(name) {
            return Some(*at);
        }
        if self.absent.contains(name) {
            return None;
        }
        if !inside(file) {
            self.complain(place, format!("image '{name}': its path leads out of the data set's folder; left out"));
            self.absent.insert(name.to_owned());
            return None;
        }
        let (path, found) = files.find(file);
        if !found && self.options.images_required {
            self.complain(place, format!("image '{name}': there is no file {}; left out", path.display()));
            self.absent.insert(name.to_owned());
            return None;
        }
        let at = self.table.images.len() as u32;
        self.table.images.push(ImageEntry { name: name.to_owned(), path });
        self.index.insert(name.to_owned(), at);
        Some(at)
    }

    /// As [`Builder::add`], and the image belongs to the gallery.
    pub fn add_to_gallery(&mut self, place: &str, name: &str, files: &mut Finder, file: &str) -> Option<u32> {
        let known = self.index.contains_key(name);
        let at = self.add(place, name, files, file)?;
        if !known {
            self.table.gallery.push(at);
        }
        Some(at)
    }

    /// The number of an image that was added before, or what is wrong with it.
    pub fn image(&self, role: &str, name: &str) -> std::result::Result<u32, String> {
        self.index.get(name).copied().ok_or_else(|| {
            if self.absent.contains(name) {
                without_file(role, name)
            } else {
                format!("{role} '{name}' is not in the image split")
            }
        })
    }

    /// Refuses an id that a row before had.
    pub fn fresh(&mut self, what: &str, id: u64) -> std::result::Result<(), String> {
        if self.ids.insert(id) { Ok(()) } else { Err(format!("{what} {id} occurs twice")) }
    }

    /// An empty text is of no use in training; elsewhere it is kept, so that counts stay comparable.
    pub fn check_text(&mut self, place: &str, text: &str) -> std::result::Result<(), String> {
        if text.trim().is_empty() {
            if self.split == Split::Train {
                return Err("the caption is empty".into());
            }
            self.complain(place, "the caption is empty; kept, so that counts stay comparable");
        }
        Ok(())
    }

    pub fn push(&mut self, place: &str, built: std::result::Result<Triplet, String>) {
        match built {
            Ok(triplet) => self.table.triplets.push(triplet),
            Err(problem) => {
                self.table.missing.queries += usize::from(is_without_file(&problem));
                self.complain(place, format!("{problem}; left out"));
            }
        }
    }

    /// A query's subset as evaluation reads it: none where a member was lost, as the rest would be easier than the whole.
    /// Training, for which a subset says what looks alike, keeps the rest.
    pub fn subset(&mut self, place: &str, members: Vec<u32>, lost: Option<String>) -> Vec<u32> {
        match lost {
            None => members,
            Some(problem) if self.split == Split::Train => {
                self.complain(place, format!("{problem}; the subset goes without it"));
                members
            }
            Some(problem) => {
                self.complain(place, format!("{problem}; the query goes without its subset"));
                self.table.missing.subsets += 1;
                Vec::new()
            }
        }
    }

    /// The table of images alone, as [`Builder::finish`]; `place` is where they were looked for.
    pub fn finish_images(mut self, place: &Path) -> Result<(Table, Vec<Complaint>)> {
        self.table.missing.images = self.absent.len();
        if self.options.strict {
            refuse_complaints(&self.complaints)?;
        }
        if self.table.images.is_empty() {
            let first = self.complaints.first().map_or_else(|| "it names none".to_owned(), ToString::to_string);
            return Err(TrainerError::data(
                place.display().to_string(),
                format!("no usable image ({first})"),
                "check that the images lie where the layout has them",
            ));
        }
        Ok((self.table, self.complaints))
    }

    /// The table, unless it is empty, or strictness forbids its complaints.
    pub fn finish(mut self, captions: &Path) -> Result<(Table, Vec<Complaint>)> {
        self.table.missing.images = self.absent.len();
        if self.options.strict {
            refuse_complaints(&self.complaints)?;
        }
        if self.table.triplets.is_empty() {
            let first = self.complaints.first().map_or_else(|| "it has no rows".to_owned(), ToString::to_string);
            return Err(TrainerError::data(
                captions.display().to_string(),
                format!("no usable triplet ({first})"),
                "check the data set's files, and that its images lie where its layout has them",
            ));
        }
        Ok((self.table, self.complaints))
    }
}

/// What is said of a row that needs an image without a file; [`Builder::push`] counts these.
pub(super) fn without_file(role: &str, name: &str) -> String {
    format!("the image of {role} '{name}' is missing")
}

fn is_without_file(problem: &str) -> bool {
    problem.starts_with("the image of ") && problem.ends_with(" is missing")
}

/// Looks image files up in the places where a data set's releases keep them.
pub(super) struct Finder {
    bases: Vec<PathBuf>,
    endings: Vec<&'static str>,
}

impl Finder {
    /// `endings` are tried after each name; "" stands for names that have their own.
    pub fn new(bases: Vec<PathBuf>, endings: &[&'static str]) -> Self {
        assert!(!bases.is_empty() && !endings.is_empty(), "a finder of images needs a folder and an ending");
        Self { bases, endings: endings.to_vec() }
    }

    /// The file and whether it exists; if it does not, the path is the most likely one.
    pub fn find(&mut self, name: &str) -> (PathBuf, bool) {
        let name = name.trim_start_matches("./");
        for (b, base) in self.bases.iter().enumerate() {
            for (e, ending) in self.endings.iter().enumerate() {
                let path = base.join(format!("{name}{ending}"));
                if path.is_file() {
                    // The next image most likely lies in the same place.
                    self.bases.swap(0, b);
                    self.endings.swap(0, e);
                    return (path, true);
                }
            }
        }
        (self.bases[0].join(format!("{name}{}", self.endings[0])), false)
    }
}

/// True for a path that stays in the folder that it is joined to: nobody's rows may name other files of a machine.
pub(super) fn inside(file: &str) -> bool {
    Path::new(file).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// The first of `files` that exists under `root` or one of its `folders`.
pub(super) fn first_file(root: &Path, folders: &[&str], files: &[String]) -> Option<PathBuf> {
    files.iter().flat_map(|file| folders.iter().map(move |folder| root.join(folder).join(file))).find(|p| p.is_file())
}

/// The error of a layout that lacks a file.
pub(super) fn lacks(root: &Path, file: &str, layout: &str) -> TrainerError {
    let place = root.display().to_string();
    if root.is_dir() {
        TrainerError::data(place, format!("has no {file}"), layout)
    } else {
        TrainerError::data(place, "is not a folder", "give the data set's folder")
    }
}
