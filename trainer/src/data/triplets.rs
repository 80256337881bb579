//! Triplets of anyone's own: `{train,val,test}.{jsonl,json,csv}` in the root (or in `annotations`).
//!
//! | field | other names | |
//! |---|---|---|
//! | `reference` | `reference_image`, `candidate` | an image: a path under the root or `images`, its ending may be left out |
//! | `target` | `target_image`, `target_hard` | an image, or several: a list in JSON, separated by a vertical bar in CSV; only a test split may lack it |
//! | `caption` | `text`, `modifier` | the modification text |
//! | `target_caption` | | what the target shows, for losses that read captions; optional |
//! | `reverse` | `modifier_reversed` | the text that leads back; optional |
//! | `id` | `pairid` | a number; optional, the row's otherwise |
//! | `subset` | `img_set.members` | images for R_subset; optional, JSON only |
//! | `group`, `kind` | | parts that are reported apart; optional |
//!
//! MTST's own files are read as they are: pretraining rows have `modifier_generated` for the text and `modifier_reversed`
//! for the way back; fine-tuning rows are CIRR's with `modifier_generated` for the way back. The gallery is every image
//! that a row of the split names, and the images that `gallery.txt` in the root lists, one a line.

use super::builder::{Builder, Finder, first_file, lacks, without_file};
use super::json_rows::{self, At, Row};
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::metrics::Protocol;
use crate::sheet::Sheet;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Default, Deserialize)]
struct CaptionRow {
    #[serde(alias = "pairid")]
    id: Option<u64>,
    #[serde(alias = "reference_image", alias = "candidate")]
    reference: String,
    #[serde(alias = "target_image", alias = "target_hard")]
    target: Option<OneOrMore>,
    #[serde(alias = "text", alias = "modifier")]
    caption: Option<String>,
    target_caption: Option<String>,
    #[serde(alias = "modifier_reversed")]
    reverse: Option<String>,
    modifier_generated: Option<String>,
    #[serde(default)]
    subset: Vec<String>,
    img_set: Option<ImgSet>,
    group: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
struct ImgSet {
    #[serde(default)]
    members: Vec<String>,
}

fn captions_file(root: &Path, split: Split) -> Option<PathBuf> {
    let files = ["jsonl", "json", "csv"].map(|ending| format!("{}.{ending}", split.name()));
    let file = first_file(root, &["", "annotations"], &files)?;
    let csv = file.extension().is_some_and(|e| e == "csv");
    // CIRCO's and good4cir's files may have the same names.
    let foreign = super::mentions(&file, "\"shared_concept\"") || super::good4cir::is_of_this_form(&file);
    (csv || !foreign).then_some(file)
}

/// The splits that `root` has a file of.
pub fn splits(root: &Path) -> Vec<Split> {
    Split::ALL.into_iter().filter(|s| captions_file(root, *s).is_some()).collect()
}

/// Loads one split.
///
/// # Errors
/// When there is no such file or it cannot be read, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let word = split.name();
    let layout =
        format!("its {word} split is a file {word}.jsonl, {word}.json or {word}.csv with reference, target, caption");
    let captions = captions_file(root, split).ok_or_else(|| lacks(root, &format!("{word}.jsonl"), &layout))?;
    let rows = match captions.extension().and_then(|e| e.to_str()) {
        Some("csv") => csv_rows(&captions)?,
        _ => json_rows::either(&captions)?,
    };
    let mut out = Builder::new(split, Protocol::Cirr, options);
    let bases = ["", "images", "image_data", "img_raw"].map(|folder| root.join(folder)).to_vec();
    let mut files = Finder::new(bases, &["", ".jpg", ".jpeg", ".png", ".webp"]);
    for (at, row) in rows {
        let place = format!("{}, {at}", captions.display());
        let built = row.and_then(|row| triplet(&mut out, &place, split, at, row, &mut files));
        out.push(&place, built);
    }
    let list = root.join("gallery.txt");
    if list.is_file() {
        for (number, name) in
            (1..).zip(fsx::read_text(&list, fsx::TABLE)?.lines()).filter(|(_, name)| !name.trim().is_empty())
        {
            let place = format!("{}, {}", list.display(), At::line(number));
            out.add_to_gallery(&place, name.trim(), &mut files, name.trim());
        }
    }
    out.finish(&captions)
}

fn triplet(
    out: &mut Builder,
    place: &str,
    split: Split,
    at: At,
    row: CaptionRow,
    files: &mut Finder,
) -> std::result::Result<Triplet, String> {
    let id = row.id.unwrap_or_else(|| u64::from(at.row));
    out.fresh("id", id)?;
    // A text of its own makes MTST's generated one the way back; without, the generated one is the text.
    let (text, reverse) = match (row.caption, row.modifier_generated) {
        (Some(text), generated) => (text, row.reverse.or(generated)),
        (None, Some(generated)) => (generated, row.reverse),
        (None, None) => return Err("caption is missing".into()),
    };
    out.check_text(place, &text)?;
    let mut add = |out: &mut Builder, role: &str, name: &str| {
        out.add_to_gallery(place, name, files, name).ok_or_else(|| without_file(role, name))
    };
    let reference = add(out, "reference", row.reference.trim())?;
    let names = match row.target {
        Some(OneOrMore::One(name)) => vec![name],
        Some(OneOrMore::More(names)) => names,
        None => Vec::new(),
    };
    let mut targets = Vec::new();
    for name in names {
        match add(out, "target", name.trim())? {
            image if image == reference => return Err("the target is the reference itself".into()),
            image if targets.contains(&image) => {}
            image => targets.push(image),
        }
    }
    if targets.is_empty() && split != Split::Test {
        return Err("target is missing".into());
    }
    let (mut subset, mut lost) = (Vec::new(), None);
    for name in row.subset.iter().chain(row.img_set.iter().flat_map(|set| &set.members)) {
        match add(out, "subset member", name) {
            Ok(image) => subset.push(image),
            Err(problem) => lost = lost.or(Some(problem)),
        }
    }
    let subset = out.subset(place, subset, lost);
    let reverse = reverse.filter(|text| !text.trim().is_empty());
    let caption = row.target_caption.filter(|text| !text.trim().is_empty());
    let (group, kind) = (row.group, row.kind);
    Ok(Triplet {
        id,
        reference,
        targets,
        text,
        reverse,
        caption,
        subset,
        group,
        kind,
        row: at.row,
        ..Triplet::default()
    })
}

/// Rows of a CSV with a header; a row of the wrong length costs itself only.
fn csv_rows(path: &Path) -> Result<Vec<Row<CaptionRow>>> {
    let place = path.display().to_string();
    let sheet = Sheet::read(path)?;
    let required = |names: &[&str]| {
        sheet.column(names).ok_or_else(|| {
            let problem = format!("there is no column '{}' (columns: {})", names[0], sheet.columns());
            TrainerError::data(format!("{place}, line 1"), problem, "begin with the line: reference,target,caption")
        })
    };
    let reference = required(&["reference", "reference_image", "candidate"])?;
    let caption = required(&["caption", "text", "modifier"])?;
    let target = sheet.column(&["target", "target_image", "target_hard"]);
    let (reverse, id) = (sheet.column(&["reverse", "modifier_reversed"]), sheet.column(&["id", "pairid"]));
    let target_caption = sheet.column(&["target_caption"]);
    let (group, kind) = (sheet.column(&["group"]), sheet.column(&["kind"]));
    let mut rows = Vec::with_capacity(sheet.rows.len());
    for (line, record) in &sheet.rows {
        let field = |at: usize| record[at].to_owned();
        let optional = |at: Option<usize>| at.map(field).filter(|text| !text.is_empty());
        let row = match sheet.wrong_length(record) {
            Some(problem) => Err(problem),
            None => optional(id)
                .map(|id| id.parse().map_err(|_| format!("id '{id}' is not a number")))
                .transpose()
                .map(|id| CaptionRow {
                    id,
                    reference: field(reference),
                    target: optional(target).map(|list| OneOrMore::More(list.split('|').map(str::to_owned).collect())),
                    caption: Some(field(caption)),
                    target_caption: optional(target_caption),
                    reverse: optional(reverse),
                    group: optional(group),
                    kind: optional(kind),
                    ..CaptionRow::default()
                }),
        };
        rows.push((At::line(*line), row));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_set(file: &str, text: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("images/shoes")).unwrap();
        for name in ["shoes/a.jpg", "shoes/b.png", "c.webp", "d.jpg"] {
            std::fs::write(root.path().join("images").join(name), b"x").unwrap();
        }
        std::fs::write(root.path().join(file), text).unwrap();
        root
    }

    fn loaded(root: &Path, split: Split) -> (Table, String) {
        let (table, complaints) = load(root, split, &LoadOptions::default()).unwrap();
        (table, complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn csv_rows_and_their_faults() {
        let text = "\u{feff}Reference,target,caption,group,id\nshoes/a.jpg,shoes/b,\"red, with laces\",new,7\n\
            c.webp,shoes/a.jpg|d.jpg,flat,,8\nc.webp,c.webp,same,,9\nc.webp,d.jpg,too few\nc.webp,d.jpg,x,,nine\n\
            c.webp,e.jpg,gone,,10\nc.webp,d.jpg,,,11\nc.webp,d.jpg,twice,,7\n";
        let root = data_set("train.csv", text);
        let (table, complaints) = loaded(root.path(), Split::Train);
        assert_eq!(table.triplets.len(), 2, "{complaints}");
        let [first, second] = &table.triplets[..] else { panic!() };
        assert_eq!((first.id, first.text.as_str(), first.group.as_deref()), (7, "red, with laces", Some("new")));
        assert_eq!((second.targets.len(), second.group.as_deref(), second.row), (2, None, 3));
        for words in [
            "train.csv, line 4: the target is the reference itself",
            "line 5: has 3 fields, the header has 5",
            "line 6: id 'nine' is not a number",
            "line 7: the image of target 'e.jpg' is missing",
            "line 8: the caption is empty",
            "line 9: id 7 occurs twice",
        ] {
            assert!(complaints.contains(words), "{words} in {complaints}");
        }
        std::fs::write(root.path().join("train.csv"), "a,b\n1,2\n").unwrap();
        let error = load(root.path(), Split::Train, &LoadOptions::default()).err().unwrap().to_string();
        assert!(error.contains("line 1: there is no column 'reference' (columns: a, b)"), "{error}");
    }

    #[test]
    fn tables_of_other_systems() {
        for (separator, end) in [(",", "\r\n"), (";", "\r\n"), ("\t", "\n"), (";", "\r")] {
            let rows = "reference,target,caption\nshoes/a.jpg,shoes/b,red\nc.webp,d.jpg\nc.webp,d.jpg,blue\n";
            let root = data_set("train.csv", &rows.replace(',', separator).replace('\n', end));
            let (table, complaints) = loaded(root.path(), Split::Train);
            let lines: Vec<u32> = table.triplets.iter().map(|triplet| triplet.row).collect();
            assert_eq!(lines, [2, 4], "{separator:?} {end:?}");
            assert!(complaints.contains("train.csv, line 3: has 2 fields"), "{complaints}");
        }
    }

    #[test]
    fn images_outside_the_folder_are_refused() {
        let root = data_set("train.csv", "");
        let outside = tempfile::tempdir().unwrap();
        let (secret, folder) = (outside.path().join("secret.jpg"), root.path().file_name().unwrap().to_owned());
        std::fs::write(&secret, b"x").unwrap();
        let back = format!("../{}/images/d.jpg", folder.display());
        let rows = [secret.to_str().unwrap(), &back, "../../etc/passwd", "shoes/../../images/d.jpg"];
        let rows: String = rows.iter().map(|name| format!("shoes/a.jpg,{name},red\n")).collect();
        let text = format!("reference,target,caption\n{rows}shoes/a.jpg,./d.jpg,fine\n");
        std::fs::write(root.path().join("train.csv"), text).unwrap();
        std::fs::write(root.path().join("gallery.txt"), &back).unwrap();
        for images_required in [true, false] {
            let options = LoadOptions { images_required, ..LoadOptions::default() };
            let (table, complaints) = load(root.path(), Split::Train, &options).unwrap();
            assert_eq!((table.triplets.len(), table.images.len()), (1, 2), "{complaints:?}");
            let outside =
                complaints.iter().filter(|c| c.problem.contains("its path leads out of the data set's folder"));
            assert_eq!(outside.count(), 4, "{complaints:?}");
        }
    }

    #[test]
    fn json_in_every_form_and_mtsts_files() {
        let pretraining = "{\"reference\": \"shoes/a\", \"target\": \"shoes/b\", \"modifier_generated\": \"go\", \"modifier_reversed\": \"back\"}\n";
        let finetuning = "{\"pairid\": 5, \"reference\": \"shoes/a\", \"target_hard\": \"shoes/b\", \"caption\": \"go\", \
            \"modifier_generated\": \"back\", \"img_set\": {\"id\": 1, \"members\": [\"shoes/a\", \"shoes/b\", \"d\"]}}\n";
        let list = "[{\"reference\": \"shoes/a\", \"target\": [\"shoes/b\"], \"text\": \"go\", \"reverse\": \"back\"}]";
        for text in [pretraining, finetuning, list] {
            let root = data_set("val.json", text);
            std::fs::write(root.path().join("gallery.txt"), "c.webp\n\nshoes/a\nnone.jpg\n").unwrap();
            let (table, complaints) = loaded(root.path(), Split::Val);
            let triplet = &table.triplets[0];
            assert_eq!((triplet.text.as_str(), triplet.reverse.as_deref()), ("go", Some("back")));
            assert_eq!(triplet.subset.len(), if text == finetuning { 3 } else { 0 });
            assert!(table.images.iter().any(|i| i.name == "c.webp") && complaints.contains("gallery.txt, line 4"));
            assert_eq!(splits(root.path()), [Split::Val]);
        }
        let root = data_set("test.jsonl", "{\"reference\": \"shoes/a\", \"caption\": \"go\"}\n{\"target\": 3}\n");
        let (table, complaints) = loaded(root.path(), Split::Test);
        assert!(table.triplets[0].targets.is_empty() && complaints.contains("line 2"), "{complaints}");
    }
}
