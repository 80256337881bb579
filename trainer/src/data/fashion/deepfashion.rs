//! DeepFashion-MultiModal's release: `images/GENDER-CATEGORY-id_ITEM-COLOUR_VIEW_NAME.jpg`, `captions.json` (image name to
//! text), and numbers for shape, fabric and pattern in `labels`. Its parsing, keypoints and DensePose are not read.

use super::Garment;
use crate::data::json_rows;
use crate::data::table::Complaint;
use crate::error::Result;
use crate::fsx;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SHAPE: [&str; 2] = ["labels/shape/shape_anno_all.txt", "labels/shape_anno_all.txt"];
const FABRIC: [&str; 2] = ["labels/texture/fabric_ann.txt", "labels/fabric_ann.txt"];
const PATTERN: [&str; 2] = ["labels/texture/pattern_ann.txt", "labels/pattern_ann.txt"];
const CAPTIONS: &str = "captions.json";
const IMAGES: &str = "images";

/// An attribute's values by their number; the number behind the last is "not visible", and an empty one says nothing.
type Values = (&'static str, &'static [&'static str]);

/// The twelve numbers of a shape row.
const SHAPES: [Values; 12] = [
    ("sleeves", &["sleeveless", "short", "medium", "long", "not long"]),
    ("lower length", &["three-point", "medium short", "three-quarter", "long"]),
    ("socks", &["", "socks", "leggings"]),
    ("hat", &["", "yes"]),
    ("glasses", &["", "eyeglasses", "sunglasses", "in hand or on the clothes"]),
    ("neckwear", &["", "yes"]),
    ("wrist wearing", &["", "yes"]),
    ("ring", &["", "yes"]),
    ("waist", &["", "belt", "clothing", "hidden"]),
    ("neckline", &["V-shape", "square", "round", "standing", "lapel", "suspenders"]),
    ("cardigan", &["yes", ""]),
    ("covers the navel", &["no", "yes"]),
];
const FABRICS: &[&str] = &["denim", "cotton", "leather", "furry", "knitted", "chiffon", "other"];
const PATTERNS: &[&str] = &["floral", "graphic", "striped", "pure colour", "lattice", "other", "colour block"];
/// The three numbers of a fabric row and of a pattern row.
const FABRIC_PARTS: [Values; 3] = [("upper fabric", FABRICS), ("lower fabric", FABRICS), ("outer fabric", FABRICS)];
const PATTERN_PARTS: [Values; 3] =
    [("upper pattern", PATTERNS), ("lower pattern", PATTERNS), ("outer pattern", PATTERNS)];

fn first(folder: &Path, files: &[&str]) -> Option<PathBuf> {
    files.iter().map(|file| folder.join(file)).find(|path| path.is_file())
}

pub(super) fn is_at(folder: &Path) -> bool {
    // Other data sets have a captions.json too.
    [SHAPE, FABRIC, PATTERN].iter().any(|files| first(folder, files).is_some())
        || (folder.join(IMAGES).is_dir() && crate::data::mentions(&folder.join(CAPTIONS), "-id_"))
}

/// The images that a file names or that lie in `images`, each with what the files say of it.
pub(super) fn read(folder: &Path, complaints: &mut Vec<Complaint>) -> Result<Vec<Garment>> {
    let mut found: BTreeMap<String, Garment> = BTreeMap::new();
    for name in listed(folder) {
        let place = folder.join(IMAGES).join(&name).display().to_string();
        found.insert(name.clone(), Garment { name, place, ..Garment::default() });
    }
    for (files, parts) in [(SHAPE, &SHAPES[..]), (FABRIC, &FABRIC_PARTS[..]), (PATTERN, &PATTERN_PARTS[..])] {
        if let Some(path) = first(folder, &files) {
            numbers(&path, parts, &mut found, complaints)?;
        }
    }
    let captions = folder.join(CAPTIONS);
    if captions.is_file() {
        descriptions(&captions, &mut found, complaints)?;
    }
    let without = found.values().filter(|garment| garment.description.is_empty()).count();
    if without > 0 {
        let all = found.len();
        let problem = format!("{without} of {all} images have no description; kept without it");
        complaints.push(Complaint { place: captions.display().to_string(), problem });
    }
    Ok(found.into_values().map(|garment| named(garment, complaints)).collect())
}

/// The pictures in `images`, by name.
fn listed(folder: &Path) -> Vec<String> {
    let entries = folder.join(IMAGES).read_dir().into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let picture = |name: &String| {
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str()).map(str::to_lowercase);
        !name.starts_with('.') && matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png" | "webp"))
    };
    names.filter(picture).collect()
}

fn entry<'a>(found: &'a mut BTreeMap<String, Garment>, name: &str, place: String) -> &'a mut Garment {
    found.entry(name.to_owned()).or_insert_with(|| Garment { name: name.to_owned(), place, ..Garment::default() })
}

/// Reads a file of rows: an image and a number for each of `parts`.
fn numbers(
    path: &Path,
    parts: &[Values],
    found: &mut BTreeMap<String, Garment>,
    complaints: &mut Vec<Complaint>,
) -> Result<()> {
    let text = fsx::read_text(path, fsx::TABLE)?;
    for (line, row) in (1u32..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let mut fields = row.split_whitespace();
        let Some(name) = fields.next() else { continue };
        let place = format!("{}, line {line}", path.display());
        let fields: Vec<&str> = fields.collect();
        if fields.len() != parts.len() {
            let problem = format!("has {} numbers for '{name}', not {}; left out", fields.len(), parts.len());
            complaints.push(Complaint { place, problem });
            continue;
        }
        for ((part, values), field) in parts.iter().zip(fields) {
            let number = field.parse::<usize>().ok().filter(|number| *number <= values.len());
            match number {
                // The last number says that the part is not visible.
                Some(number) => {
                    let value = values.get(number).filter(|value| !value.is_empty());
                    let garment = entry(found, name, place.clone());
                    garment.attributes.extend(value.map(|value| format!("{part}: {value}")));
                }
                None => complaints.push(Complaint {
                    place: place.clone(),
                    problem: format!("'{field}' is no number of {part}, from 0 to {}; left out", values.len()),
                }),
            }
        }
    }
    Ok(())
}

/// Reads `captions.json`: an object, image name to text.
fn descriptions(path: &Path, found: &mut BTreeMap<String, Garment>, complaints: &mut Vec<Complaint>) -> Result<()> {
    let captions: BTreeMap<String, Value> = json_rows::whole(path)?;
    for (name, text) in captions {
        match text.as_str().map(str::trim) {
            Some(text) => {
                let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                entry(found, &name, path.display().to_string()).description = text;
            }
            None => complaints.push(Complaint {
                place: path.display().to_string(),
                problem: format!("the description of '{name}' is no text; left out"),
            }),
        }
    }
    Ok(())
}

/// The garment with what its image's name says, and the name as its path.
fn named(garment: Garment, complaints: &mut Vec<Complaint>) -> Garment {
    let (category, product) = match of_name(&garment.name) {
        Some((category, product)) => (category, product.to_owned()),
        None => {
            let problem = format!("the name '{}' is not GENDER-CATEGORY-id_ITEM-VIEW; kept without them", garment.name);
            complaints.push(Complaint { place: garment.place.clone(), problem });
            (String::new(), String::new())
        }
    };
    Garment { name: format!("{IMAGES}/{}", garment.name), category, product, ..garment }
}

/// Category and item of `WOMEN-Blouses_Shirts-id_00000001-02_1_front.jpg`.
fn of_name(name: &str) -> Option<(String, &str)> {
    let (before, after) = name.split_once("-id_")?;
    let (gender, kind) = before.split_once('-')?;
    let item = after.split('-').next().filter(|item| !item.is_empty() && item.bytes().all(|b| b.is_ascii_digit()))?;
    let whose = match gender.to_lowercase().as_str() {
        "women" => "women's ",
        "men" => "men's ",
        _ => return None,
    };
    let category = format!("{whose}{}", kind.replace('_', ", ").to_lowercase());
    Some((category, name.get(..before.len() + "-id_".len() + item.len())?))
}
