//! CIRR's file layout, which the built-in collection shares.
//!
//! `captions/cap.rc2.{train,val,test1}.json` and `image_splits/split.rc2.*.json` lie under the root, under `root/cirr`, or
//! flat in the root. An image's path in the split file is relative to the root or to `img_raw`, whichever has the file.
//! Extra fields that CIRR itself lacks: `group`, `kind`, `people`. Reverse texts come from `modifier_generated` of
//! `captions/cap.rc2.train_rev.jsonl` (MTST's file), joined by `pairid`.

use super::json_rows::{self, Row};
use super::table::{Complaint, ImageEntry, LoadOptions, Split, Table, Triplet, refuse_complaints};
use crate::error::{Result, TrainerError};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// A row of a captions file.
#[derive(Deserialize)]
struct CaptionRow {
    pairid: u64,
    reference: String,
    target_hard: Option<String>,
    target_soft: Option<BTreeMap<String, f64>>,
    caption: String,
    img_set: Option<ImgSet>,
    group: Option<String>,
    kind: Option<String>,
    #[serde(default)]
    people: bool,
    /// The reverse text may also stand in the captions file itself.
    modifier_generated: Option<String>,
}

#[derive(Deserialize)]
struct ImgSet {
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct ReverseRow {
    pairid: u64,
    modifier_generated: String,
}

/// CIRR's word for a split in its file names.
fn file_word(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test1",
    }
}

/// The captions file and the image split file of `split`, wherever this layout has them.
fn find(root: &Path, folder: &str, file: &str) -> Option<PathBuf> {
    [root.join(folder).join(file), root.join("cirr").join(folder).join(file), root.join(file)]
        .into_iter()
        .find(|p| p.is_file())
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    find(root, "captions", &format!("cap.rc2.{}.json", file_word(split)))
}

/// The splits that `root` has captions of.
pub fn splits(root: &Path) -> Vec<Split> {
    Split::ALL.into_iter().filter(|s| captions_file(root, *s).is_some()).collect()
}

/// Loads one split.
///
/// Rows that cannot be used are left out and named in the complaints, never silently. Fails when a file is missing or
/// is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let place = root.display().to_string();
    let layout = "a CIRR data set has captions/cap.rc2.*.json and image_splits/split.rc2.*.json";
    if !root.is_dir() {
        return Err(TrainerError::data(place, "is not a folder", "give the data set's folder"));
    }
    let word = file_word(split);
    let missing = |file: String| TrainerError::data(&place, format!("has no {file}"), layout);
    let captions = captions_file(root, split).ok_or_else(|| missing(format!("captions/cap.rc2.{word}.json")))?;
    let split_file = format!("split.rc2.{word}.json");
    let images =
        find(root, "image_splits", &split_file).ok_or_else(|| missing(format!("image_splits/{split_file}")))?;

    let mut loader = Loader { split, ..Loader::default() };
    loader.images(root, &images, options.images_required)?;
    let reverse = match find(root, "captions", &format!("cap.rc2.{word}_rev.jsonl")) {
        Some(path) => loader.reverse_texts(&path)?,
        None => HashMap::new(),
    };
    loader.rows(&captions, json_rows::array(&captions)?, reverse);
    if options.strict {
        refuse_complaints(&loader.complaints)?;
    }
    if loader.table.triplets.is_empty() {
        let first = loader.complaints.first().map_or_else(|| "it has no rows".to_owned(), ToString::to_string);
        let place = captions.display().to_string();
        return Err(TrainerError::data(
            place,
            format!("no usable triplet ({first})"),
            "check the data set's images and files",
        ));
    }
    Ok((loader.table, loader.complaints))
}

struct Loader {
    split: Split,
    table: Table,
    index: HashMap<String, u32>,
    absent: HashSet<String>,
    complaints: Vec<Complaint>,
}

impl Default for Loader {
    fn default() -> Self {
        Self {
            split: Split::Train,
            table: Table::default(),
            index: HashMap::new(),
            absent: HashSet::new(),
            complaints: Vec::new(),
        }
    }
}

impl Loader {
    fn complain(&mut self, place: impl Into<String>, problem: impl Into<String>) {
        self.complaints.push(Complaint { place: place.into(), problem: problem.into() });
    }

    /// Fills the table's images from the split file, sorted by name so that the order is the same on every machine.
    fn images(&mut self, root: &Path, file: &Path, required: bool) -> Result<()> {
        let names: BTreeMap<String, String> = json_rows::whole(file)?;
        let mut bases = vec![root.to_path_buf(), root.join("img_raw"), root.join("cirr"), root.join("cirr/img_raw")];
        if root.file_name().is_some_and(|name| name == "cirr") {
            bases.push(root.join(".."));
            bases.push(root.join("../img_raw"));
        }
        for (name, path) in names {
            let path = path.trim_start_matches("./");
            let found = bases.iter().position(|base| base.join(path).is_file());
            let Some(base) = bases.get(found.unwrap_or(0)) else { continue };
            if found.is_none() && required {
                self.complain(
                    file.display().to_string(),
                    format!("image '{name}': there is no file {}; left out", base.join(path).display()),
                );
                self.absent.insert(name);
                continue;
            }
            let entry = ImageEntry { name: name.clone(), path: base.join(path) };
            // The next image most likely lies in the same place.
            bases.swap(0, found.unwrap_or(0));
            let at = self.table.images.len() as u32;
            self.table.images.push(entry);
            self.table.gallery.push(at);
            self.index.insert(name, at);
        }
        Ok(())
    }

    fn reverse_texts(&mut self, path: &Path) -> Result<HashMap<u64, String>> {
        let mut texts = HashMap::new();
        for (line, row) in json_rows::lines::<ReverseRow>(path)? {
            let place = format!("{}, line {line}", path.display());
            match row {
                Ok(row) if row.modifier_generated.trim().is_empty() => {
                    self.complain(place, format!("pairid {}: the reverse text is empty; left out", row.pairid));
                }
                Ok(row) => {
                    if texts.insert(row.pairid, row.modifier_generated).is_some() {
                        self.complain(place, format!("pairid {} occurs again; this one is used", row.pairid));
                    }
                }
                Err(problem) => self.complain(place, format!("{problem}; left out")),
            }
        }
        Ok(texts)
    }

    fn rows(&mut self, file: &Path, rows: Vec<Row<CaptionRow>>, mut reverse: HashMap<u64, String>) {
        let mut seen = HashSet::new();
        for (number, row) in rows {
            let place = match &row {
                Ok(row) => format!("{}, row {number} (pairid {})", file.display(), row.pairid),
                Err(_) => format!("{}, row {number}", file.display()),
            };
            let built = row.and_then(|row| {
                if !seen.insert(row.pairid) {
                    return Err(format!("pairid {} occurs twice", row.pairid));
                }
                let back = reverse.remove(&row.pairid);
                self.triplet(&place, number, row, back)
            });
            match built {
                Ok(triplet) => self.table.triplets.push(triplet),
                Err(problem) => self.complain(place, format!("{problem}; left out")),
            }
        }
        let mut unused: Vec<u64> = reverse.into_keys().filter(|id| !seen.contains(id)).collect();
        unused.sort_unstable();
        if let Some(first) = unused.first() {
            let problem = format!("{} reverse texts belong to no row, the first to pairid {first}", unused.len());
            self.complain(file.display().to_string(), problem);
        }
    }

    fn image(&self, role: &str, name: &str) -> std::result::Result<u32, String> {
        self.index.get(name).copied().ok_or_else(|| {
            if self.absent.contains(name) {
                format!("the image of {role} '{name}' is missing")
            } else {
                format!("{role} '{name}' is not in the image split")
            }
        })
    }

    /// Builds a triplet, or says why the row is of no use.
    fn triplet(
        &mut self,
        place: &str,
        row_number: u32,
        row: CaptionRow,
        reverse: Option<String>,
    ) -> std::result::Result<Triplet, String> {
        let reference = self.image("reference", &row.reference)?;
        let mut targets = Vec::new();
        if let Some(name) = &row.target_hard {
            targets.push(self.image("target_hard", name)?);
            if name == &row.reference {
                return Err("the target is the reference itself".into());
            }
        } else if self.split != Split::Test {
            return Err("target_hard is missing".into());
        }
        for (name, score) in row.target_soft.iter().flatten() {
            if *score != 1.0 || name == &row.reference {
                // A reference that is marked as right is never ranked, so it cannot be found either.
                continue;
            }
            match self.image("target_soft", name) {
                Ok(image) if !targets.contains(&image) => targets.push(image),
                Ok(_) => {}
                Err(problem) => self.complain(place, format!("{problem}; this target is left out")),
            }
        }
        if row.caption.trim().is_empty() {
            if self.split == Split::Train {
                return Err("the caption is empty".into());
            }
            self.complain(place, "the caption is empty; kept, so that counts stay comparable");
        }
        let mut subset = Vec::new();
        for name in row.img_set.iter().flat_map(|set| &set.members) {
            match self.image("subset member", name) {
                Ok(image) => subset.push(image),
                Err(problem) => self.complain(place, format!("{problem}; the subset goes without it")),
            }
        }
        Ok(Triplet {
            id: row.pairid,
            reference,
            targets,
            text: row.caption,
            reverse: reverse.or(row.modifier_generated),
            subset,
            group: row.group,
            kind: row.kind,
            people: row.people,
            row: row_number,
        })
    }
}

#[cfg(test)]
mod tests;
