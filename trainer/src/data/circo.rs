//! CIRCO: queries with several ground truths over COCO's unlabelled images.
//!
//! `annotations/{val,test}.json` under the root. The gallery is COCO's `image_info_unlabeled2017.json` where it is at hand
//! (`COCO2017_unlabeled/annotations`), otherwise the files of the image folder (`COCO2017_unlabeled/unlabeled2017`). An
//! image's name is its COCO id as a number. The test split has no targets: its answers go to the data set's server.

use super::builder::{Builder, Finder, first_file, lacks};
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The prompt that most published CIRCO figures use, as a template for [`Table::prompt`].
pub const PROMPT: &str = "Find a picture that also {shared_concept}, but {relative_caption}.";

#[derive(Deserialize)]
struct CaptionRow {
    id: u64,
    reference_img_id: u64,
    target_img_id: Option<u64>,
    relative_caption: String,
    shared_concept: String,
    #[serde(default)]
    gt_img_ids: Vec<u64>,
    #[serde(default)]
    semantic_aspects: Vec<String>,
}

#[derive(Deserialize)]
struct CocoInfo {
    images: Vec<CocoImage>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: u64,
    file_name: String,
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    let file = format!("{}.json", split.name());
    let path = root.join("annotations").join(file);
    // Other data sets have an `annotations` folder too.
    (split != Split::Train && super::mentions(&path, "\"shared_concept\"")).then_some(path)
}

/// The splits that `root` has annotations of.
pub fn splits(root: &Path) -> Vec<Split> {
    Split::ALL.into_iter().filter(|s| captions_file(root, *s).is_some()).collect()
}

/// Loads one split.
///
/// # Errors
/// When a file is missing or is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let layout = "CIRCO has annotations/val.json and annotations/test.json, and no training split";
    let captions = captions_file(root, split)
        .ok_or_else(|| lacks(root, &format!("annotations/{}.json of CIRCO", split.name()), layout))?;
    let mut out = Builder::new(split, Protocol::Circo, options);
    let rows = json_rows::array::<CaptionRow>(&captions)?;
    let mut files = Finder::new(folders(root), &[""]);
    let named = gallery(&mut out, root, &mut files)?;
    for (at, row) in rows {
        let place = match &row {
            Ok(row) => format!("{}, {at} (id {})", captions.display(), row.id),
            Err(_) => format!("{}, {at}", captions.display()),
        };
        if let (Ok(row), false) = (&row, named) {
            // Without COCO's list the annotations themselves are all that is known of the gallery.
            for id in [row.reference_img_id].iter().chain(&row.target_img_id).chain(&row.gt_img_ids) {
                out.add_to_gallery(&place, &id.to_string(), &mut files, &file_name(*id));
            }
        }
        let built = row.and_then(|row| triplet(&mut out, &place, split, row));
        out.push(&place, built.map(|t| Triplet { row: at.row, ..t }));
    }
    out.finish(&captions)
}

fn folders(root: &Path) -> Vec<PathBuf> {
    ["COCO2017_unlabeled/unlabeled2017", "unlabeled2017", "images"].map(|folder| root.join(folder)).to_vec()
}

fn file_name(id: u64) -> String {
    format!("{id:012}.jpg")
}

/// Adds every image of COCO's list, or of the image folder; false when there is neither.
fn gallery(out: &mut Builder, root: &Path, files: &mut Finder) -> Result<bool> {
    let info = "image_info_unlabeled2017.json".to_owned();
    if let Some(path) = first_file(root, &["COCO2017_unlabeled/annotations", "annotations", ""], &[info]) {
        let place = path.display().to_string();
        for image in json_rows::whole::<CocoInfo>(&path)?.images {
            out.add_to_gallery(&place, &image.id.to_string(), files, &image.file_name);
        }
        return Ok(true);
    }
    let Some(folder) = folders(root).into_iter().find(|folder| folder.is_dir()) else { return Ok(false) };
    let place = folder.display().to_string();
    let entries = walkdir::WalkDir::new(&folder).min_depth(1).max_depth(1).sort_by_file_name().into_iter();
    for name in entries.flatten().filter_map(|entry| entry.file_name().to_str().map(str::to_owned)) {
        if let Some(id) = name.strip_suffix(".jpg").and_then(|stem| stem.parse::<u64>().ok()) {
            out.add_to_gallery(&place, &id.to_string(), files, &name);
        }
    }
    Ok(!out.table.gallery.is_empty())
}

fn triplet(out: &mut Builder, place: &str, split: Split, row: CaptionRow) -> std::result::Result<Triplet, String> {
    out.fresh("id", row.id)?;
    let reference = out.image("reference_img_id", &row.reference_img_id.to_string())?;
    let mut targets = Vec::new();
    match row.target_img_id {
        Some(id) => targets.push(out.image("target_img_id", &id.to_string())?),
        None if split == Split::Val => return Err("target_img_id is missing".into()),
        None => {}
    }
    for id in &row.gt_img_ids {
        match out.image("gt_img_ids", &id.to_string()) {
            Ok(image) if !targets.contains(&image) => targets.push(image),
            Ok(_) => {}
            Err(problem) => out.complain(place, format!("{problem}; this target is left out, which changes mAP")),
        }
    }
    out.check_text(place, &row.relative_caption)?;
    let (text, concept) = (row.relative_caption, Some(row.shared_concept));
    let mut aspects = row.semantic_aspects;
    aspects.sort_unstable();
    aspects.dedup();
    Ok(Triplet { id: row.id, reference, targets, text, concept, aspects, ..Triplet::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn data_set(list: bool) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let (annotations, coco) = (root.path().join("annotations"), root.path().join("COCO2017_unlabeled"));
        std::fs::create_dir_all(&annotations).unwrap();
        std::fs::create_dir_all(coco.join("unlabeled2017")).unwrap();
        std::fs::create_dir_all(coco.join("annotations")).unwrap();
        for id in [7, 8, 9, 123] {
            std::fs::write(coco.join("unlabeled2017").join(file_name(id)), b"x").unwrap();
        }
        if list {
            let images = [123, 9, 8, 7].map(|id| json!({"id": id, "file_name": file_name(id), "width": 1}));
            let info = json!({"info": {}, "images": images});
            std::fs::write(coco.join("annotations/image_info_unlabeled2017.json"), info.to_string()).unwrap();
        }
        let row = |id: u64, truths: &[u64]| {
            let mut row = json!({"id": id, "reference_img_id": 7, "relative_caption": "has {shared_concept} two",
                "shared_concept": "shows a dog", "semantic_aspects": ["cardinality"]});
            if let Some(first) = truths.first() {
                row["target_img_id"] = json!(first);
                row["gt_img_ids"] = json!(truths);
            }
            row
        };
        let val = json!([row(0, &[9, 123, 8]), row(0, &[9]), row(1, &[5]), row(2, &[9, 5]), row(3, &[])]);
        std::fs::write(annotations.join("val.json"), val.to_string()).unwrap();
        std::fs::write(annotations.join("test.json"), json!([row(0, &[]), row(1, &[])]).to_string()).unwrap();
        root
    }

    #[test]
    fn several_ground_truths_concepts_and_a_test_split_without_targets() {
        for list in [true, false] {
            let root = data_set(list);
            assert_eq!(splits(root.path()), [Split::Val, Split::Test]);
            let (mut val, complaints) = load(root.path(), Split::Val, &LoadOptions::default()).unwrap();
            let names: Vec<&str> = val.gallery.iter().map(|i| val.images[*i as usize].name.as_str()).collect();
            assert_eq!(names, if list { ["123", "9", "8", "7"] } else { ["7", "8", "9", "123"] });
            let query = val.query(&val.gallery_positions(), &val.triplets[0]);
            assert_eq!((query.exclude, query.right.len(), query.relevant), (None, 3, 3));
            let without = Table { ranks_reference: Some(false), ..val.clone() };
            let query = without.query(&without.gallery_positions(), &without.triplets[0]);
            let reference = query.exclude.map(|at| val.image_name(val.gallery[at as usize]));
            assert_eq!((reference, query.relevant), (Some("7"), 3), "the switch takes the reference out");
            assert_eq!(query.aspects, ["cardinality"]);
            assert_eq!(val.triplets.len(), 2);
            let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            let expected =
                ["id 0 occurs twice", "'5' is not in", "this target is left out", "target_img_id is missing"];
            for (complaint, words) in text.iter().zip(expected) {
                assert!(
                    complaint.contains(words) && complaint.contains("annotations/val.json, line 1, row"),
                    "{complaint}"
                );
            }
            assert_eq!(text.len(), 4, "{text:#?}");
            val.prompt(PROMPT).unwrap();
            let prompted = "Find a picture that also shows a dog, but has {shared_concept} two.";
            assert_eq!(val.triplets[0].text, prompted, "a caption is no template");
            assert!(val.prompt("{shared_concept}").is_err());

            let (test, complaints) = load(root.path(), Split::Test, &LoadOptions::default()).unwrap();
            assert!(complaints.is_empty() && test.triplets.iter().all(|t| t.targets.is_empty()));
        }
        let root = data_set(true);
        let train = load(root.path(), Split::Train, &LoadOptions::default()).unwrap_err().to_string();
        assert!(train.contains("no training split"), "{train}");
    }

    #[test]
    fn annotations_alone_can_be_checked() {
        let root = data_set(true);
        std::fs::remove_dir_all(root.path().join("COCO2017_unlabeled")).unwrap();
        let lax = LoadOptions { images_required: false, strict: false };
        let (val, _) = load(root.path(), Split::Val, &lax).unwrap();
        assert_eq!((val.triplets.len(), val.gallery.len()), (3, 5));
    }
}
