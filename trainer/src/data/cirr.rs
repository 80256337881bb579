//! CIRR's file layout, which the built-in collection shares.
//!
//! `captions/cap.rc2.{train,val,test1}.json` and `image_splits/split.rc2.*.json` lie under the root, under `root/cirr`, or
//! flat in the root. An image's path in the split file is relative to the root or to `img_raw`, whichever has the file.
//! Extra fields that CIRR itself lacks: `group`, `kind`, `people`, and `target_set`, the name of a list of further right
//! targets in `captions/targets.rc2.*.json`, which rows share. CIRR counts the hard target alone, as its server does; a
//! collection whose rows name their `kind` is not CIRR, and each of its right targets counts. Reverse texts come from `modifier_generated` of
//! `captions/cap.rc2.train_rev.jsonl` (MTST's file), joined by `pairid`.

use super::builder::{Builder, Finder, first_file, lacks};
use super::json_rows::{self, Row};
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::{Protocol, RightTargets};
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
    target_set: Option<String>,
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
pub fn file_word(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Val => "val",
        Split::Test => "test1",
    }
}

/// A file of this layout, wherever it lies.
pub fn find(root: &Path, folder: &str, file: String) -> Option<PathBuf> {
    first_file(root, &[folder, &format!("cirr/{folder}"), ""], &[file])
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    find(root, "captions", format!("cap.rc2.{}.json", file_word(split)))
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
    let layout = "a CIRR data set has captions/cap.rc2.*.json and image_splits/split.rc2.*.json";
    let word = file_word(split);
    let missing = |file: String| lacks(root, &file, layout);
    let captions = captions_file(root, split).ok_or_else(|| missing(format!("captions/cap.rc2.{word}.json")))?;
    let split_file = format!("split.rc2.{word}.json");
    let images =
        find(root, "image_splits", split_file.clone()).ok_or_else(|| missing(format!("image_splits/{split_file}")))?;

    let mut loader = Loader { split, out: Builder::new(split, Protocol::Cirr, options), sets: HashMap::new() };
    loader.images(root, &images)?;
    if let Some(path) = find(root, "captions", format!("targets.rc2.{word}.json")) {
        loader.target_sets(&path)?;
    }
    let reverse_files = [format!("cap.rc2.{word}_rev.jsonl"), format!("cirr_{word}_modifier_rev_long.json")];
    let reverse = match reverse_files.into_iter().find_map(|file| find(root, "captions", file)) {
        Some(path) => loader.reverse_texts(&path)?,
        None => HashMap::new(),
    };
    loader.rows(&captions, json_rows::array(&captions)?, reverse);
    loader.out.finish(&captions)
}

struct Loader {
    split: Split,
    out: Builder,
    /// Lists of right targets by name.
    sets: HashMap<String, Vec<u32>>,
}

impl Loader {
    /// Fills the table's images from the split file, sorted by name so that the order is the same on every machine.
    fn images(&mut self, root: &Path, file: &Path) -> Result<()> {
        let names: BTreeMap<String, String> = json_rows::whole(file)?;
        let mut bases = vec![root.to_path_buf(), root.join("img_raw"), root.join("cirr"), root.join("cirr/img_raw")];
        if root.file_name().is_some_and(|name| name == "cirr") {
            bases.push(root.join(".."));
            bases.push(root.join("../img_raw"));
        }
        let (mut files, place) = (Finder::new(bases, &[""]), file.display().to_string());
        for (name, path) in names {
            self.out.add_to_gallery(&place, &name, &mut files, &path);
        }
        Ok(())
    }

    /// Reads the lists of right targets; one without its image file is left out with a complaint.
    fn target_sets(&mut self, path: &Path) -> Result<()> {
        for (name, members) in json_rows::whole::<BTreeMap<String, Vec<String>>>(path)? {
            let mut images = Vec::with_capacity(members.len());
            for member in members {
                match self.out.image("target", &member) {
                    Ok(image) => images.push(image),
                    Err(problem) => {
                        self.out.complain(format!("{}, {name}", path.display()), format!("{problem}; left out"));
                    }
                }
            }
            self.sets.insert(name, images);
        }
        Ok(())
    }

    fn reverse_texts(&mut self, path: &Path) -> Result<HashMap<u64, String>> {
        let mut texts = HashMap::new();
        for (at, row) in json_rows::lines::<ReverseRow>(path)? {
            let place = format!("{}, {at}", path.display());
            match row {
                Ok(row) if row.modifier_generated.trim().is_empty() => {
                    self.out.complain(place, format!("pairid {}: the reverse text is empty; left out", row.pairid));
                }
                Ok(row) => {
                    if texts.insert(row.pairid, row.modifier_generated).is_some() {
                        self.out.complain(place, format!("pairid {} occurs again; this one is used", row.pairid));
                    }
                }
                Err(problem) => self.out.complain(place, format!("{problem}; left out")),
            }
        }
        Ok(texts)
    }

    fn rows(&mut self, file: &Path, rows: Vec<Row<CaptionRow>>, mut reverse: HashMap<u64, String>) {
        let mut known = HashSet::new();
        let of_cirr = !rows.iter().any(|(_, row)| row.as_ref().is_ok_and(|row| row.kind.is_some()));
        self.out.table.right_targets = if of_cirr { RightTargets::Hard } else { RightTargets::All };
        for (at, row) in rows {
            let place = match &row {
                Ok(row) => format!("{}, {at} (pairid {})", file.display(), row.pairid),
                Err(_) => format!("{}, {at}", file.display()),
            };
            let built = row.and_then(|row| {
                self.out.fresh("pairid", row.pairid)?;
                known.insert(row.pairid);
                let back = reverse.remove(&row.pairid);
                self.triplet(&place, at.row, row, back)
            });
            self.out.push(&place, built);
        }
        let mut unused: Vec<u64> = reverse.into_keys().filter(|id| !known.contains(id)).collect();
        unused.sort_unstable();
        if let Some(first) = unused.first() {
            let problem = format!("{} reverse texts belong to no row, the first to pairid {first}", unused.len());
            self.out.complain(file.display().to_string(), problem);
        }
    }

    /// Builds a triplet, or says why the row is of no use.
    fn triplet(
        &mut self,
        place: &str,
        row_number: u32,
        row: CaptionRow,
        reverse: Option<String>,
    ) -> std::result::Result<Triplet, String> {
        let reference = self.out.image("reference", &row.reference)?;
        let mut targets = Vec::new();
        if let Some(name) = &row.target_hard {
            targets.push(self.out.image("target_hard", name)?);
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
            match self.out.image("target_soft", name) {
                Ok(image) if !targets.contains(&image) => targets.push(image),
                Ok(_) => {}
                Err(problem) => self.out.complain(place, format!("{problem}; this target is left out")),
            }
        }
        if let Some(name) = &row.target_set {
            let set = self.sets.get(name).ok_or_else(|| format!("there is no set of targets '{name}'"))?;
            // The named targets come first; a set is long, so that each of its images is looked up in them alone.
            let named = targets.clone();
            targets.extend(set.iter().filter(|image| **image != reference && !named.contains(image)));
        }
        self.out.check_text(place, &row.caption)?;
        let (mut subset, mut lost) = (Vec::new(), None);
        for name in row.img_set.iter().flat_map(|set| &set.members) {
            match self.out.image("subset member", name) {
                Ok(image) => subset.push(image),
                Err(problem) => lost = lost.or(Some(problem)),
            }
        }
        let subset = self.out.subset(place, subset, lost);
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
            ..Triplet::default()
        })
    }
}

#[cfg(test)]
mod tests;
