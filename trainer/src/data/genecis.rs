//! GeneCIS, object tasks: each query ranks its own gallery of COCO validation images.
//!
//! `{focus,change}_object.json` in the root or in `genecis`; rows are `{reference, target, gallery[], condition}`, their
//! images `{val_image_id}`; files are `{id:012}.jpg` in `val2017`. There is a test split only. The attribute tasks crop
//! Visual Genome images and are not read. As in the published evaluator, a query's candidates are the target and then
//! its gallery, and queries whose gallery has an unusual length are left out.

use super::builder::{Builder, Finder, first_file, lacks, without_file};
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The tasks that are read.
pub const TASKS: [&str; 2] = ["focus_object", "change_object"];

#[derive(Deserialize)]
struct CaptionRow {
    reference: Image,
    target: Image,
    gallery: Vec<Image>,
    condition: String,
}

#[derive(Deserialize)]
struct Image {
    val_image_id: u64,
}

fn task_file(root: &Path, task: &str) -> Option<PathBuf> {
    first_file(root, &["", "genecis"], &[format!("{task}.json")])
}

/// The test split, where `root` has at least one task.
pub fn splits(root: &Path) -> Vec<Split> {
    if TASKS.iter().any(|task| task_file(root, task).is_some()) { vec![Split::Test] } else { Vec::new() }
}

/// Loads the tasks that are there, as groups of one split.
///
/// # Errors
/// When there is no such file or it is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let layout = "GeneCIS has focus_object.json and change_object.json, which are a test split";
    let tasks: Vec<(u64, &str, PathBuf)> =
        (1..).zip(TASKS).filter_map(|(n, task)| Some((n, task, task_file(root, task)?))).collect();
    let (Some((.., last)), Split::Test) = (tasks.last(), split) else {
        return Err(lacks(root, &format!("{} split of GeneCIS", split.name()), layout));
    };
    let mut out = Builder::new(split, Protocol::GeneCis, options);
    let bases = ["val2017", "coco/val2017", "images", "COCO/val2017", ""].map(|folder| root.join(folder)).to_vec();
    let mut files = Finder::new(bases, &[".jpg"]);
    for (number, task, path) in &tasks {
        let rows = json_rows::array::<CaptionRow>(path)?;
        let usual = usual_length(&rows);
        for (at, row) in rows {
            let place = format!("{}, {at}", path.display());
            let built = row.and_then(|row| triplet(&mut out, &place, row, usual, &mut files));
            let (id, group) = (number * 100_000 + u64::from(at.row), Some((*task).to_owned()));
            out.push(&place, built.map(|t| Triplet { id, row: at.row, group, ..t }));
        }
    }
    out.finish(last)
}

/// The gallery length that most rows have.
fn usual_length(rows: &[json_rows::Row<CaptionRow>]) -> usize {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, row) in rows {
        if let Ok(row) = row {
            *counts.entry(row.gallery.len()).or_default() += 1;
        }
    }
    // Of equally frequent lengths the published evaluator takes the smallest.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map_or(0, |(length, _)| length)
}

fn triplet(
    out: &mut Builder,
    place: &str,
    row: CaptionRow,
    usual: usize,
    files: &mut Finder,
) -> std::result::Result<Triplet, String> {
    if row.gallery.len() != usual {
        return Err(format!("a gallery of {} images where most have {usual}", row.gallery.len()));
    }
    let mut add = |out: &mut Builder, role: &str, image: &Image| {
        let (name, file) = (image.val_image_id.to_string(), format!("{:012}", image.val_image_id));
        out.add_to_gallery(place, &name, files, &file).ok_or_else(|| without_file(role, &name))
    };
    let reference = add(out, "reference", &row.reference)?;
    let target = add(out, "target", &row.target)?;
    let mut pool = vec![target];
    for image in &row.gallery {
        pool.push(add(out, "gallery", image)?);
    }
    out.check_text(place, &row.condition)?;
    out.table.pools.push(pool);
    let pool = Some(out.table.pools.len() as u32 - 1);
    Ok(Triplet { reference, targets: vec![target], text: row.condition, pool, ..Triplet::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_query_has_its_own_gallery() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("val2017")).unwrap();
        std::fs::create_dir_all(root.path().join("genecis")).unwrap();
        for id in 1..=6 {
            std::fs::write(root.path().join(format!("val2017/{id:012}.jpg")), b"x").unwrap();
        }
        let image = |id: u64| json!({"val_image_id": id, "instance_bbox": [0, 0, 1, 1]});
        let row = |from, to, gallery: &[u64]| {
            let gallery: Vec<_> = gallery.iter().map(|id| image(*id)).collect();
            json!({"reference": image(from), "target": image(to), "gallery": gallery, "condition": "bench"})
        };
        let rows = json!([row(1, 2, &[3, 4]), row(2, 1, &[5, 6]), row(1, 2, &[3]), row(1, 9, &[3, 4])]);
        std::fs::write(root.path().join("genecis/change_object.json"), rows.to_string()).unwrap();
        std::fs::write(root.path().join("genecis/focus_object.json"), json!([row(3, 4, &[1])]).to_string()).unwrap();
        assert_eq!(splits(root.path()), [Split::Test]);
        let (table, complaints) = load(root.path(), Split::Test, &LoadOptions::default()).unwrap();
        assert_eq!(table.triplets.iter().map(|t| t.id).collect::<Vec<_>>(), [100_001, 200_001, 200_002]);
        let query = table.query(&table.gallery_positions(), &table.triplets[1]);
        let names: Vec<&str> = query.pool.iter().flatten().map(|p| table.images[*p as usize].name.as_str()).collect();
        assert_eq!((names, query.right.len()), (vec!["2", "3", "4"], 1), "the target first, as published");
        let text = complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(text.contains("row 3: a gallery of 1 images where most have 2"), "{text}");
        assert!(text.contains("row 4: the image of target '9' is missing"), "{text}");
        assert!(load(root.path(), Split::Val, &LoadOptions::default()).is_err());
    }
}
