//! The good4cir form: pairs of images with one or several difference captions.
//!
//! | data set | file, its split's word in its name | reference, target | captions | more |
//! |---|---|---|---|---|
//! | what the pipeline writes | `train.json`, `hotel_cir_val.json` | `reference_image`, `target_image` | `difference_captions` | |
//! | CIRR_R | `rewritten_{split}.json` | `query_image_url`, `retrieved_image_url` | `difference_captions` | images by CIRR's `image_splits` |
//! | Hotel-CIR | `hotel_{split}_data.json` | `query_image`, `result_image` | `difference` | `distractors`, which join the gallery |
//!
//! JSON or JSON lines in the root, `annotations`, `captions` or `rewritten_captions`; images are named by path or by bare name,
//! see [`FOLDERS`]. Each difference caption is a triplet of its own; its id is 1,000 × the row + the caption's place from 0.
//! The gallery is every image that a row of the split names.

use super::builder::{Builder, Finder, first_file, lacks, without_file};
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where images are looked for, under the root.
pub const FOLDERS: [&str; 9] =
    ["", "images", "img_raw", "dev", "test1", "img_raw/dev", "img_raw/test1", "images/train", "images/val_test"];
/// Folders of a Hotel-CIR image's path that tell it from the others.
const HOTEL_PATH: usize = 3;

/// A row, in whose spelling it may be.
#[derive(Deserialize)]
#[serde(untagged)]
enum AnyRow {
    Written(WrittenRow),
    Rewritten(RewrittenRow),
    Hotel(HotelRow),
}

#[derive(Deserialize)]
struct WrittenRow {
    reference_image: String,
    target_image: String,
    difference_captions: Captions,
}

#[derive(Deserialize)]
struct RewrittenRow {
    query_image_url: String,
    retrieved_image_url: String,
    difference_captions: Captions,
}

#[derive(Deserialize)]
struct HotelRow {
    query_image: String,
    result_image: String,
    difference: Captions,
    #[serde(default)]
    distractors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Captions {
    One(String),
    More(Vec<String>),
}

/// A row in one spelling: images by name.
struct CaptionRow {
    reference: String,
    target: String,
    captions: Vec<String>,
    distractors: Vec<String>,
}

/// The fields that tell a file of this form.
const FIELDS: [&str; 3] = ["\"difference_captions\"", "\"query_image\"", "\"query_image_url\""];

/// Whether the file's rows are of this form.
pub(super) fn is_of_this_form(path: &Path) -> bool {
    FIELDS.iter().any(|field| super::mentions(path, field))
}

/// The last `count` parts of a path or an address.
fn tail(path: &str, count: usize) -> std::result::Result<String, String> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let kept = &parts[parts.len().saturating_sub(count)..];
    if kept.is_empty() || kept.contains(&"..") {
        return Err(format!("'{path}' names no image"));
    }
    Ok(kept.join("/"))
}

impl TryFrom<AnyRow> for CaptionRow {
    type Error = String;

    fn try_from(row: AnyRow) -> std::result::Result<Self, String> {
        let list = |captions| match captions {
            Captions::One(caption) => vec![caption],
            Captions::More(captions) => captions,
        };
        // CIRR's own name for an image: the file's, without its ending.
        let cirr = |address: &str| tail(address, 1).map(|name| name.trim_end_matches(".png").to_owned());
        Ok(match row {
            AnyRow::Written(row) => Self {
                reference: row.reference_image,
                target: row.target_image,
                captions: list(row.difference_captions),
                distractors: Vec::new(),
            },
            AnyRow::Rewritten(row) => Self {
                reference: cirr(&row.query_image_url)?,
                target: cirr(&row.retrieved_image_url)?,
                captions: list(row.difference_captions),
                distractors: Vec::new(),
            },
            AnyRow::Hotel(row) => Self {
                reference: tail(&row.query_image, HOTEL_PATH)?,
                target: tail(&row.result_image, HOTEL_PATH)?,
                captions: list(row.difference),
                distractors: row.distractors.iter().map(|name| tail(name, HOTEL_PATH)).collect::<Result<_, _>>()?,
            },
        })
    }
}

/// What is wrong with a row that is in none of the spellings.
fn spelled(problem: String) -> String {
    match problem.contains("did not match any variant") {
        true => "it has neither reference_image, target_image, difference_captions, nor CIRR_R's query_image_url, \
                 retrieved_image_url, difference_captions, nor Hotel-CIR's query_image, result_image, difference"
            .to_owned(),
        false => problem,
    }
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    let words: &[&str] = match split {
        Split::Train => &["train"],
        Split::Val => &["val", "valid", "validation"],
        Split::Test => &["test", "test1"],
    };
    let folders = ["", "annotations", "captions", "rewritten_captions"].map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| {
        walkdir::WalkDir::new(folder).min_depth(1).max_depth(1).sort_by_file_name().into_iter().flatten()
    });
    files.map(walkdir::DirEntry::into_path).find(|path| {
        let stem = path.file_stem().map(|s| s.to_string_lossy().to_lowercase()).unwrap_or_default();
        let json = path.extension().is_some_and(|e| e == "json" || e == "jsonl");
        let named = stem.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word));
        json && named && is_of_this_form(path)
    })
}

/// CIRR's split file, where it is at hand: CIRR_R's images lie where it says.
fn cirr_paths(root: &Path, split: Split) -> Result<BTreeMap<String, String>> {
    let word = if split == Split::Test { "test1" } else { split.name() };
    let file = first_file(root, &["image_splits", "cirr/image_splits", ""], &[format!("split.rc2.{word}.json")]);
    file.map_or_else(|| Ok(BTreeMap::new()), |path| json_rows::whole(&path))
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
    let cirr = cirr_paths(root, split)?;
    for (at, row) in json_rows::either::<AnyRow>(&captions)? {
        let place = format!("{}, {at}", captions.display());
        let row = match row.map_err(spelled).and_then(CaptionRow::try_from) {
            Ok(row) if row.captions.is_empty() => Err("it has no difference caption".to_owned()),
            row => row,
        };
        let row = match row {
            Ok(row) => row,
            Err(problem) => {
                out.complain(place, format!("{problem}; left out"));
                continue;
            }
        };
        let mut add = |out: &mut Builder, name: &String| {
            out.add_to_gallery(&place, name, &mut files, cirr.get(name).unwrap_or(name))
        };
        let (reference, target) = (add(&mut out, &row.reference), add(&mut out, &row.target));
        for name in &row.distractors {
            // One that is missing is a complaint of its own, and changes the figures.
            add(&mut out, name);
        }
        for (number, text) in (0..).zip(row.captions) {
            let built = match (reference, target) {
                (Some(from), Some(to)) if from == to => Err("the target is the reference itself".to_owned()),
                (Some(reference), Some(target)) => out.check_text(&place, &text).map(|()| {
                    let id = u64::from(at.row) * 1000 + number;
                    Triplet { id, reference, targets: vec![target], text, row: at.row, ..Triplet::default() }
                }),
                (None, _) => Err(without_file("reference", &row.reference)),
                (_, None) => Err(without_file("target", &row.target)),
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

    #[test]
    fn the_released_files_of_cirr_r_and_hotel_cir_are_read() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let url = |name: &str| format!("https://example.org/cirr/dev/{name}.png");
        let row = serde_json::json!({"query_image_url": url("dev-1-0-img0"), "retrieved_image_url": url("dev-1-0-img1"),
            "difference_captions": ["more dogs", "on grass"]});
        write("rewritten_captions/rewritten_val.json", &serde_json::json!([row]).to_string());
        let split = serde_json::json!({"dev-1-0-img0": "./a/x.png", "dev-1-0-img1": "./dev/dev-1-0-img1.png"});
        write("image_splits/split.rc2.val.json", &split.to_string());
        write("img_raw/a/x.png", "x");
        write("img_raw/dev/dev-1-0-img1.png", "x");
        let set = super::super::DataSet::open(root.path(), None).unwrap();
        assert_eq!((set.format, set.splits()), (super::super::Format::Good4cir, vec![Split::Val]));
        let (val, complaints) = set.load(Split::Val, &LoadOptions::default()).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!((val.image_name(0), val.image_name(1), val.triplets.len()), ("dev-1-0-img0", "dev-1-0-img1", 2));
        assert!(val.images[0].path.ends_with("img_raw/a/x.png"));

        let hotel = |query: &str, distractors: &[&str]| {
            serde_json::json!({"query_image": query, "result_image": "/x/hotels/7/web/2.jpg", "difference": "a red bed",
                "distractors": distractors})
        };
        let names = ["/x/hotels/8/web/3.jpg", "hotels/8/web/4.jpg", "8/web/gone.jpg"];
        let rows =
            [hotel("/x/hotels/7/web/1.jpg", &names), hotel("a/../1.jpg", &[]), serde_json::json!({"query_image": "q"})];
        write("captions/hotel_test_data.json", &serde_json::json!(rows).to_string());
        for name in ["7/web/1", "7/web/2", "8/web/3", "8/web/4"] {
            write(&format!("images/val_test/{name}.jpg"), "x");
        }
        assert_eq!(set.splits(), [Split::Val, Split::Test]);
        let (test, complaints) = set.load(Split::Test, &LoadOptions::default()).unwrap();
        assert_eq!((test.triplets.len(), test.triplets[0].text.as_str()), (1, "a red bed"));
        let gallery: Vec<&str> = test.gallery.iter().map(|image| test.image_name(*image)).collect();
        assert_eq!(gallery, ["7/web/1.jpg", "7/web/2.jpg", "8/web/3.jpg", "8/web/4.jpg"], "distractors are ranked too");
        let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert!(text[0].contains("'8/web/gone.jpg'") && text[1].contains("names no image"), "{text:#?}");
        assert!(text[2].contains("row 3") && text.len() == 3, "{text:#?}");
    }
}
