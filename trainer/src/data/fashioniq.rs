//! FashionIQ: garments of three categories, each with a gallery of its own.
//!
//! `captions/cap.{dress,shirt,toptee}.{train,val,test}.json` and `image_splits/split.*.json` under the root, or flat in it;
//! images are `{asin}.png` or `.jpg` in `images` (or one of its relatives, see `files`). Every pair has two captions:
//! evaluation reads "C1 and c2", training one of four wordings, as the published code does ([`wordings`]). Reverse texts
//! come from `modifier_generated` of MTST's `captions/cap_{split}_{category}_rev.json`, joined by the pair of images.
//!
//! The data set numbers no pairs: a triplet's id is 100,000 × the category's number (from 1) + its row.

use super::builder::{Builder, Finder, first_file, lacks};
use super::fashion::Known;
use super::json_rows;
use super::table::{Complaint, LoadOptions, Split, Table, Triplet};
use crate::error::Result;
use crate::metrics::Protocol;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The categories, in the order of the papers' tables.
pub const CATEGORIES: [&str; 3] = ["dress", "shirt", "toptee"];

#[derive(Deserialize)]
struct CaptionRow {
    candidate: String,
    target: Option<String>,
    captions: Vec<String>,
}

#[derive(Deserialize)]
struct ReverseRow {
    candidate: String,
    target: String,
    modifier_generated: String,
}

type Reverse = HashMap<(String, String), String>;

fn captions_file(root: &Path, category: &str, split: Split) -> Option<PathBuf> {
    first_file(root, &["captions", ""], &[format!("cap.{category}.{}.json", split.name())])
}

/// The splits that `root` has captions of, for at least one category.
pub fn splits(root: &Path) -> Vec<Split> {
    let has = |split: &Split| CATEGORIES.iter().any(|c| captions_file(root, c, *split).is_some());
    Split::ALL.into_iter().filter(has).collect()
}

/// Loads one split of every category that is there.
///
/// # Errors
/// When a file is missing or is not JSON, when nothing usable is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let layout = "FashionIQ has captions/cap.{dress,shirt,toptee}.*.json and image_splits/split.*.json";
    let word = split.name();
    let mut out = Builder::new(split, Protocol::FashionIq, options);
    let mut last = None;
    for (number, category) in (1..).zip(CATEGORIES) {
        let Some(captions) = captions_file(root, category, split) else { continue };
        let split_file = format!("split.{category}.{word}.json");
        let images = first_file(root, &["image_splits", ""], std::slice::from_ref(&split_file))
            .ok_or_else(|| lacks(root, &format!("image_splits/{split_file}"), layout))?;
        let pool = gallery(&mut out, &images, &mut files(root, category))?;
        let reverse_file = format!("cap_{word}_{category}_rev.json");
        let mut reverse = match first_file(root, &["captions", ""], &[reverse_file]) {
            Some(path) => reverse_texts(&mut out, &path)?,
            None => Reverse::new(),
        };
        for (at, row) in json_rows::array::<CaptionRow>(&captions)? {
            let place = format!("{}, {at}", captions.display());
            let built = row.and_then(|row| triplet(&mut out, &place, split, row, &mut reverse));
            let id = number * 100_000 + u64::from(at.row);
            let group = Some(category.to_owned());
            out.push(&place, built.map(|t| Triplet { id, row: at.row, pool: Some(pool), group, ..t }));
        }
        last = Some(captions);
    }
    match last {
        Some(captions) => out.finish(&captions),
        None => Err(lacks(root, &format!("captions/cap.dress.{word}.json"), layout)),
    }
}

/// The image names of each category's split file, as they stand there.
///
/// # Errors
/// When a split file is not JSON, and when there is none.
pub fn galleries(root: &Path, split: Split) -> Result<Vec<(&'static str, Vec<String>)>> {
    let file = |category: &str| {
        let name = format!("split.{category}.{}.json", split.name());
        first_file(root, &["image_splits", ""], &[name])
    };
    let mut found = Vec::new();
    for category in CATEGORIES {
        let Some(path) = file(category) else { continue };
        let mut names: Vec<String> = Vec::new();
        let mut known = HashSet::new();
        for (_, name) in json_rows::array::<String>(&path)? {
            // `load` complains of what is no name.
            names.extend(name.ok().filter(|name| known.insert(name.clone())));
        }
        found.push((category, names));
    }
    match found.is_empty() {
        true => Err(lacks(root, &format!("image_splits/split.dress.{}.json", split.name()), "FashionIQ has it")),
        false => Ok(found),
    }
}

/// What is known of each image: its category, and its labels where an attribute file (`asin2attr.*.json`) names them. An image of
/// two categories has the first.
///
/// # Errors
/// When a file is not JSON.
pub fn known(root: &Path, split: Option<Split>) -> Result<Known> {
    let mut found = Known::new();
    for split in split.map_or_else(|| splits(root), |split| vec![split]) {
        for (category, names) in galleries(root, split)? {
            let file = format!("asin2attr.{category}.{}.json", split.name());
            let labels = match first_file(root, &["", "tags", "image_attributes", "attributes"], &[file]) {
                Some(path) => json_rows::whole::<BTreeMap<String, Vec<Vec<String>>>>(&path)?,
                None => BTreeMap::new(),
            };
            for name in names {
                let mut words: Vec<&str> =
                    labels.get(&name).into_iter().flatten().flatten().map(String::as_str).collect();
                let mut once = HashSet::new();
                words.retain(|word| once.insert(*word));
                let fields = [("category", category.to_owned()), ("attributes", words.join(", "))];
                let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
                found.entry(name).or_insert_with(|| fields.map(|(field, value)| (field.to_owned(), value)).collect());
            }
        }
    }
    Ok(found)
}

/// Where releases of FashionIQ's images lie.
fn files(root: &Path, category: &str) -> Finder {
    let mut bases = Vec::new();
    for folder in ["images", "image_data", "resized_image", "img", ""] {
        bases.push(root.join(folder));
        bases.push(root.join(folder).join(category));
    }
    Finder::new(bases, &[".png", ".jpg"])
}

/// Adds a category's images and makes them a pool; returns its number.
fn gallery(out: &mut Builder, file: &Path, files: &mut Finder) -> Result<u32> {
    let mut pool = Vec::new();
    for (at, row) in json_rows::array::<String>(file)? {
        let place = format!("{}, {at}", file.display());
        match row {
            Ok(name) => {
                let Some(image) = out.add_to_gallery(&place, &name, files, &name) else { continue };
                if pool.contains(&image) {
                    out.complain(place, format!("image '{name}' occurs twice; the second is left out"));
                } else {
                    pool.push(image);
                }
            }
            Err(problem) => out.complain(place, format!("{problem}; left out")),
        }
    }
    out.table.pools.push(pool);
    Ok(out.table.pools.len() as u32 - 1)
}

/// MTST's file, whose image names have their ending.
fn reverse_texts(out: &mut Builder, path: &Path) -> Result<Reverse> {
    let bare = |name: &str| name.trim_end_matches(".jpg").trim_end_matches(".png").to_owned();
    let mut texts = Reverse::new();
    for (at, row) in json_rows::lines::<ReverseRow>(path)? {
        let place = format!("{}, {at}", path.display());
        match row {
            Ok(row) if row.modifier_generated.trim().is_empty() => {
                out.complain(place, "the reverse text is empty; left out");
            }
            Ok(row) => drop(texts.insert((bare(&row.candidate), bare(&row.target)), row.modifier_generated)),
            Err(problem) => out.complain(place, format!("{problem}; left out")),
        }
    }
    Ok(texts)
}

fn triplet(
    out: &mut Builder,
    place: &str,
    split: Split,
    row: CaptionRow,
    reverse: &mut Reverse,
) -> std::result::Result<Triplet, String> {
    let reference = out.image("candidate", &row.candidate)?;
    let targets = match &row.target {
        Some(name) if *name == row.candidate => return Err("the target is the candidate itself".into()),
        Some(name) => vec![out.image("target", name)?],
        None if split == Split::Test => Vec::new(),
        None => return Err("target is missing".into()),
    };
    let [first, second] = row.captions.as_slice() else {
        return Err(format!("{} captions instead of two", row.captions.len()));
    };
    out.check_text(place, &format!("{}{}", strip(first), strip(second)))?;
    let wordings = wordings(first, second);
    if wordings.len() == 1 {
        out.complain(place, "one of the captions is empty");
    }
    // Evaluation reads what the published code reads, even where a caption is empty.
    let joined = format!("{} and {}", capitalised(strip(first)), strip(second));
    let text =
        if split == Split::Train { wordings.first().cloned().unwrap_or(joined) } else { joined.trim().to_owned() };
    // Several rows may share a pair of images; the reverse text is the same for all of them.
    let back = row.target.and_then(|target| reverse.get(&(row.candidate, target)).cloned());
    let wordings = if split == Split::Train && wordings.len() > 1 { wordings } else { Vec::new() };
    Ok(Triplet { reference, targets, text, reverse: back, wordings, ..Triplet::default() })
}

/// "C1 and c2", "C2 and c1", "C1", "C2", the published code's wordings, each equally likely in training. The captions
/// lose `.?, ` at both ends, and a wording's first is capitalised. With an empty caption only the other is left; without
/// either, nothing.
pub fn wordings(first: &str, second: &str) -> Vec<String> {
    match (strip(first), strip(second)) {
        ("", "") => Vec::new(),
        ("", only) | (only, "") => vec![capitalised(only)],
        (a, b) => {
            let (big_a, big_b) = (capitalised(a), capitalised(b));
            vec![format!("{big_a} and {b}"), format!("{big_b} and {a}"), big_a, big_b]
        }
    }
}

fn strip(caption: &str) -> &str {
    caption.trim_matches(['.', '?', ',', ' '])
}

/// The first letter large, the rest small, as Python's `capitalize`.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LAX: LoadOptions = LoadOptions { images_required: false, strict: false };

    fn data_set(captions: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for folder in ["captions", "image_splits", "images"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        for (name, ending) in [("A1", "png"), ("A2", "jpg"), ("A3", "png"), ("S1", "jpg"), ("S2", "jpg")] {
            std::fs::write(root.path().join(format!("images/{name}.{ending}")), b"x").unwrap();
        }
        for split in ["train", "val"] {
            for (category, names) in [("dress", json!(["A3", "A1", "A2", "A1"])), ("shirt", json!(["S1", "A1", "S2"]))]
            {
                let file = root.path().join(format!("image_splits/split.{category}.{split}.json"));
                std::fs::write(file, names.to_string()).unwrap();
            }
            std::fs::write(root.path().join(format!("captions/cap.dress.{split}.json")), captions).unwrap();
            let shirts = json!([{"candidate": "S1", "target": "A1", "captions": ["is red", "has dots"]}]);
            let file = root.path().join(format!("captions/cap.shirt.{split}.json"));
            std::fs::write(file, shirts.to_string()).unwrap();
        }
        root
    }

    const DRESSES: &str = r#"[
  {"candidate": "A1", "target": "A2", "captions": ["Is SHINY, and silver. ", "fit and flare?"]},
  {"candidate": "A1", "target": "A1", "captions": ["a", "b"]},
  {"candidate": "A1", "target": "A3", "captions": [" ", "is long"]},
  {"candidate": "A1", "target": "A3", "captions": [" ", "."]},
  {"candidate": "A9", "target": "A3", "captions": ["a", "b"]},
  {"candidate": "A1", "target": "A3", "captions": ["a"]}
]"#;

    #[test]
    fn categories_have_their_own_galleries_and_training_four_wordings() {
        let root = data_set(DRESSES);
        let rev = "{\"candidate\": \"A1.jpg\", \"target\": \"A2.jpg\", \"captions\": [], \"modifier_generated\": \"is dull\"}\n";
        std::fs::write(root.path().join("captions/cap_train_dress_rev.json"), rev).unwrap();
        let (train, complaints) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
        let first = &train.triplets[0];
        assert_eq!(first.text, "Is shiny, and silver and fit and flare");
        assert_eq!(
            first.wordings[1..],
            ["Fit and flare and Is SHINY, and silver", "Is shiny, and silver", "Fit and flare"]
        );
        assert_eq!((first.id, first.reverse.as_deref()), (100_001, Some("is dull")));
        assert_eq!(train.triplets.iter().map(|t| t.id).collect::<Vec<_>>(), [100_001, 100_003, 200_001]);
        let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        for words in [
            ["split.dress.train.json, line 1, row 4", "'A1' occurs twice"],
            ["cap.dress.train.json, line 3, row 2", "candidate itself"],
            ["cap.dress.train.json, line 4, row 3", "one of the captions is empty"],
            ["cap.dress.train.json, line 5, row 4", "caption is empty"],
            ["cap.dress.train.json, line 6, row 5", "'A9' is not in the image split"],
            ["cap.dress.train.json, line 7, row 6", "1 captions instead of two"],
        ] {
            assert!(text.iter().any(|c| words.iter().all(|w| c.contains(w))), "{words:?} in {text:#?}");
        }
        assert_eq!(text.len(), 6, "{text:#?}");

        let (val, _) = load(root.path(), Split::Val, &LoadOptions::default()).unwrap();
        assert!(val.triplets[0].wordings.is_empty());
        assert_eq!(val.triplets[1].text, "and is long", "as the published code reads it");
        assert_eq!((val.gallery.len(), val.pools.iter().map(Vec::len).collect::<Vec<_>>()), (5, vec![3, 3]));
        let shirt = val.triplets.last().unwrap();
        let query = val.query(&val.gallery_positions(), shirt);
        assert_eq!(query.exclude, None, "the reference stays in the ranking");
        let names: Vec<&str> =
            query.pool.unwrap().iter().map(|at| val.images[val.gallery[*at as usize] as usize].name.as_str()).collect();
        assert_eq!(names, ["S1", "A1", "S2"], "in the split file's order");
        assert!(val.images.iter().any(|i| i.path.ends_with("images/A2.jpg")));
        assert_eq!(val.statistics().pools["shirt"], 3);
    }

    #[test]
    fn every_image_of_a_categorys_split_is_known_by_its_category_and_labels() {
        let root = data_set(DRESSES);
        let labels = json!({"A1": [["floral"], [], ["long", "floral"]], "A9": [["x"]]});
        std::fs::write(root.path().join("asin2attr.dress.val.json"), labels.to_string()).unwrap();
        let galleries = galleries(root.path(), Split::Val).unwrap();
        assert_eq!(
            galleries,
            [
                ("dress", vec!["A3".to_owned(), "A1".into(), "A2".into()]),
                ("shirt", vec!["S1".into(), "A1".into(), "S2".into()])
            ]
        );
        let known = known(root.path(), Some(Split::Val)).unwrap();
        assert_eq!((known.len(), known["A1"]["attributes"].as_str()), (5, "floral, long"));
        assert_eq!((known["A1"]["category"].as_str(), known["S2"].get("attributes")), ("dress", None));
        assert!(super::galleries(root.path(), Split::Test).unwrap_err().to_string().contains("split.dress.test.json"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let root = data_set("[]");
        std::fs::remove_file(root.path().join("image_splits/split.shirt.val.json")).unwrap();
        let text = load(root.path(), Split::Val, &LAX).unwrap_err().to_string();
        assert!(text.contains("has no image_splits/split.shirt.val.json"), "{text}");
        let text = load(root.path(), Split::Test, &LAX).unwrap_err().to_string();
        assert!(text.contains("has no captions/cap.dress.test.json"), "{text}");
        std::fs::remove_file(root.path().join("images/S1.jpg")).unwrap();
        let text = load(root.path(), Split::Train, &LoadOptions::default()).unwrap_err().to_string();
        assert!(text.contains("cap.shirt.train.json: no usable triplet"), "{text}");
        assert_eq!(splits(root.path()), [Split::Train, Split::Val]);
    }
}
