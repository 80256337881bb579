//! LaSCo: triplets over COCO 2014, made from VQA 2.0.
//!
//! `lasco_{train,val}.json` in the root (or `downloads`), image paths as they stand there (`val2014/COCO_val2014_….jpg`)
//! under the root, `coco` or `images`. The gallery is `lasco_{train,val}_corpus.json` where it is at hand, otherwise every
//! image that a triplet names. An image's name is its COCO id; `qid` is the VQA question's. The data set has no evaluator
//! of its own: recall is counted as CIRR does.

use super::builder::{Builder, Finder, first_file, lacks};
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::path::{Path, PathBuf};

type Image = (u64, String);

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct CaptionRow {
    qid: u64,
    query_image: Image,
    query_text: String,
    target_image: Image,
}

#[derive(Deserialize)]
struct CorpusRow {
    #[serde(alias = "image-id")]
    id: u64,
    #[serde(alias = "image-path")]
    path: String,
}

fn file(root: &Path, split: Split, what: &str) -> Option<PathBuf> {
    first_file(root, &["", "downloads", "metadata"], &[format!("lasco_{}{what}.json", split.name())])
}

/// The splits that `root` has annotations of.
pub fn splits(root: &Path) -> Vec<Split> {
    Split::ALL.into_iter().filter(|s| file(root, *s, "").is_some()).collect()
}

/// Loads one split.
///
/// # Errors
/// When a file is missing or is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let layout = "LaSCo has lasco_train.json and lasco_val.json";
    let captions = file(root, split, "").ok_or_else(|| lacks(root, &format!("lasco_{}.json", split.name()), layout))?;
    let mut out = Builder::new(split, Protocol::Cirr, options);
    let bases = ["", "coco", "images", "COCO"].map(|folder| root.join(folder)).to_vec();
    let mut files = Finder::new(bases, &[""]);
    let corpus = file(root, split, "_corpus");
    if let Some(path) = &corpus {
        for (at, row) in json_rows::array::<CorpusRow>(path)? {
            let place = format!("{}, {at}", path.display());
            match row {
                Ok(row) => drop(out.add_to_gallery(&place, &row.id.to_string(), &mut files, &row.path)),
                Err(problem) => out.complain(place, format!("{problem}; left out")),
            }
        }
    }
    for (at, row) in json_rows::array::<CaptionRow>(&captions)? {
        let place = match &row {
            Ok(row) => format!("{}, {at} (qid {})", captions.display(), row.qid),
            Err(_) => format!("{}, {at}", captions.display()),
        };
        if let (Ok(row), None) = (&row, &corpus) {
            for (id, path) in [&row.query_image, &row.target_image] {
                out.add_to_gallery(&place, &id.to_string(), &mut files, path);
            }
        }
        let built = row.and_then(|row| {
            out.fresh("qid", row.qid)?;
            let reference = out.image("query-image", &row.query_image.0.to_string())?;
            let target = out.image("target-image", &row.target_image.0.to_string())?;
            if reference == target {
                return Err("the target is the query image itself".into());
            }
            out.check_text(&place, &row.query_text)?;
            let (id, text) = (row.qid, row.query_text);
            Ok(Triplet { id, reference, targets: vec![target], text, row: at.row, ..Triplet::default() })
        });
        out.push(&place, built);
    }
    out.finish(&captions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn triplets_and_corpus_load() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("coco/val2014")).unwrap();
        let path = |id: u64| format!("val2014/COCO_val2014_{id:012}.jpg");
        for id in [1, 2, 3] {
            std::fs::write(root.path().join("coco").join(path(id)), b"x").unwrap();
        }
        let row = |qid: u64, from: u64, to: u64, text: &str| json!({"qid": qid, "query-image": [from, path(from)], "query-text": text, "target-image": [to, path(to)]});
        let rows =
            json!([row(10, 1, 2, "a bike"), row(10, 1, 2, "again"), row(11, 1, 1, "self"), row(12, 1, 4, "gone"), {}]);
        std::fs::write(root.path().join("lasco_val.json"), rows.to_string()).unwrap();
        for with_corpus in [false, true] {
            if with_corpus {
                let corpus =
                    json!([{"id": 3, "path": path(3)}, {"id": 2, "path": path(2)}, {"id": 1, "path": path(1)}]);
                std::fs::write(root.path().join("lasco_val_corpus.json"), corpus.to_string()).unwrap();
            }
            let (table, complaints) = load(root.path(), Split::Val, &LoadOptions::default()).unwrap();
            assert_eq!((table.triplets.len(), table.gallery.len()), (1, if with_corpus { 3 } else { 2 }));
            assert!(table.images.iter().all(|i| i.path.is_file()));
            let text = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
            for words in ["(qid 10): qid 10 occurs twice", "query image itself", "'4'", "missing field `qid`"] {
                assert!(text.contains(words), "{words} in {text}");
            }
        }
        assert_eq!(splits(root.path()), [Split::Val], "the corpus is no split");
    }
}
