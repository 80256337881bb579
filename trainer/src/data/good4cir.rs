//! The good4cir form, which Hotel-CIR and CIRR_R share: `[{reference_image, target_image, difference_captions[]}]`.
//!
//! JSON or JSON lines whose name holds the split's word (`train.json`, `hotel_cir_val.json`), in the root, `annotations` or
//! `captions`; images are named by path or by bare name, see [`FOLDERS`]. Each difference caption is a triplet of its own;
//! its id is 1,000 × the row + the caption's place from 0. The gallery is every image that a row of the split names.

use super::builder::{Builder, Finder, lacks, without_file};
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Where images are looked for, under the root.
pub const FOLDERS: [&str; 7] = ["", "images", "img_raw", "dev", "test1", "img_raw/dev", "img_raw/test1"];

#[derive(Deserialize)]
struct CaptionRow {
    reference_image: String,
    target_image: String,
    difference_captions: Vec<String>,
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    let words: &[&str] = match split {
        Split::Train => &["train"],
        Split::Val => &["val", "valid", "validation"],
        Split::Test => &["test", "test1"],
    };
    let folders = ["", "annotations", "captions"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| {
        walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name().into_iter().flatten()
    });
    files.map(walkdir::DirEntry::into_path).find(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase()).unwrap_or_default();
        let json = path.extension().is_some_and(|e| e == "json" || e == "jsonl");
        let named = stem.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
        json && named && super::mentions(path, "\"difference_captions\"")
    })
}

/// The splits that `root` has annotations of.
pub fn splits(root: &Path) -> Vec<Split> {
    Split::ALL.into_iter().filter(|s| captions_file(root, *s).is_some()).collect()
}

/// Loads one split.
///
/// # Errors
/// When there is no such file or it is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let word = split.name();
    let layout = format!("its {word} split is a file {word}.json of rows with difference_captions");
    let captions = captions_file(root, split).ok_or_else(|| lacks(root, &format!("{word}.json"), &layout))?;
    let mut out = Builder::new(split, Protocol::Cirr, options);
    let mut files = Finder::new(FOLDERS.map(|folder| root.join(folder)).to_vec(), &["", ".jpg", ".png", ".jpeg"]);
    for (at, row) in json_rows::either::<CaptionRow>(&captions)? {
        let place = format!("{}, {at}", captions.display());
        let row = match row {
            Ok(row) if row.difference_captions.is_empty() => Err("it has no difference caption".to_owned()),
            row => row,
        };
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                out.complain(place, format!("{problem}; left out"));
                continue;
            }
        };
        let reference = out.add_to_gallery(&place, &row.reference_image, &mut files, &row.reference_image);
        let target = out.add_to_gallery(&place, &row.target_image, &mut files, &row.target_image);
        for (number, text) in (0..).zip(row.difference_captions) {
            let built = match (reference, target) {
                (Some(from), Some(to)) if from == to => Err("the target is the reference itself".to_owned()),
                (Some(reference), Some(target)) => out.check_text(&place, &text).map(|()| {
                    let id = u64::from(at.row) * 1000 + number;
                    Triplet { id, reference, targets: vec![target], text, row: at.row, ..Triplet::default() }
                }),
                (None, _) => Err(without_file("reference", &row.reference_image)),
                (_, None) => Err(without_file("target", &row.target_image)),
            };
            out.push(&place, built);
        }
    }
    out.finish(&captions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_difference_is_a_triplet() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("images/7")).unwrap();
        for name in ["7/a.jpg", "7/b.jpg"] {
            std::fs::write(root.path().join("images").join(name), b"x").unwrap();
        }
        let row = |to: &str, captions: &str| {
            format!(
                "{{\"reference_image\": \"7/a.jpg\", \"target_image\": \"{to}\", \"difference_captions\": {captions}}}"
            )
        };
        let rows = [row("7/b.jpg", "[\"a bed\", \"no lamp\", \" \"]"), row("7/b.jpg", "[]"), row("7/c.jpg", "[\"x\"]")];
        std::fs::write(root.path().join("hotel-cir_train.json"), format!("[{}]", rows.join(",\n"))).unwrap();
        std::fs::write(root.path().join("val.jsonl"), rows.join("\n")).unwrap();
        std::fs::write(root.path().join("test.json"), "[]").unwrap();
        assert_eq!(splits(root.path()), [Split::Train, Split::Val]);
        let (train, complaints) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
        let rows: Vec<_> = train.triplets.iter().map(|t| (t.id, t.text.as_str())).collect();
        assert_eq!(rows, [(1000, "a bed"), (1001, "no lamp")]);
        assert_eq!(train.gallery.len(), 2);
        let text = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        for words in [
            "line 1, row 1: the caption is empty",
            "row 2: it has no difference",
            "no file",
            "the image of target '7/c.jpg' is missing",
        ] {
            assert!(text.contains(words), "{words} in {text}");
        }
        assert_eq!(load(root.path(), Split::Val, &LoadOptions::default()).unwrap().0.triplets.len(), 3);
    }
}
