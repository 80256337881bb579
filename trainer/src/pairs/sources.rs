//! Where groups come from: CIRR captions, FashionIQ attribute labels, a table of one's own, a file of captions, a data set whose
//! files name categories.

use super::near::Item;
use crate::data::{Complaint, DataSet, Format, Split, fashion, fashioniq, json_rows};
use crate::error::{Result, TrainerError};
use crate::features::Features;
use crate::fsx;
use crate::sheet::Sheet;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Deserialize)]
struct CirrRow {
    reference: String,
    target_hard: Option<String>,
    img_set: Option<ImageSet>,
}

#[derive(Deserialize)]
struct ImageSet {
    id: u64,
    members: Vec<String>,
}

/// A CIRR captions file's image sets by id, and its annotated (reference, target) pairs.
pub type CirrSets = (BTreeMap<u64, Vec<String>>, Vec<(String, String)>);

/// Reads a CIRR captions file (`cap.rc2.*.json`).
///
/// # Errors
/// When the file cannot be read, or two rows give a set different members.
pub fn cirr_sets(path: &Path) -> Result<CirrSets> {
    let rows: Vec<CirrRow> = json(path)?;
    let (mut sets, mut known) = (BTreeMap::<u64, Vec<String>>::new(), Vec::new());
    for row in rows {
        if let Some(set) = row.img_set {
            let members = sets.entry(set.id).or_insert_with(|| set.members.clone());
            if members.iter().collect::<BTreeSet<_>>() != set.members.iter().collect() {
                let problem = format!("image set {} has other members in another row", set.id);
                return Err(TrainerError::data(path.display().to_string(), problem, "mend the captions file"));
            }
        }
        if let Some(target) = row.target_hard {
            known.push((row.reference, target));
        }
    }
    Ok((sets, known))
}

/// Images by label from a FashionIQ attribute file (`asin2attr.*.json`: image → six lists of labels). A label that an
/// image has in several lists counts once.
///
/// # Errors
/// When the file cannot be read.
pub fn labels(path: &Path) -> Result<BTreeMap<String, Vec<String>>> {
    let images: BTreeMap<String, Vec<Vec<String>>> = json(path)?;
    let mut by_label: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (image, lists) in images {
        for label in lists.into_iter().flatten().collect::<BTreeSet<_>>() {
            by_label.entry(label).or_default().push(image.clone());
        }
    }
    Ok(by_label)
}

/// A row of a table of one's own: `image,category` and, for the rules that use them, `source` and `product`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Row {
    /// The image's name.
    pub image: String,
    /// Its category or group; a file of captions need not have one.
    #[serde(default)]
    pub category: String,
    /// Where it came from.
    #[serde(default)]
    pub source: String,
    /// The product that it shows.
    #[serde(default)]
    pub product: String,
}

/// Reads the table: a CSV, or a `.jsonl` file of captions (`thisbut describe`), whose rows may have the same fields.
///
/// # Errors
/// With file and line, when a row does not fit.
pub fn table(path: &Path) -> Result<Vec<Row>> {
    const MEND: &str = "give the columns image and category, and if need be source and product";
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("jsonl")) {
        let wrong = |at, problem| TrainerError::data(format!("{}, {at}", path.display()), problem, "mend the line");
        return json_rows::lines(path)?
            .into_iter()
            .map(|(at, row)| row.map_err(|problem| wrong(at, problem)))
            .collect();
    }
    let sheet = Sheet::read(path)?;
    if sheet.column(&["category"]).is_none() {
        let problem = format!("there is no column 'category' (columns: {})", sheet.columns());
        return Err(TrainerError::data(format!("{}, line 1", path.display()), problem, MEND));
    }
    let headers = csv::StringRecord::from(sheet.headers.clone());
    let read = |(line, row): &(u32, csv::StringRecord)| {
        let read = match sheet.wrong_length(row) {
            Some(problem) => Err(problem),
            None => row.deserialize(Some(&headers)).map_err(|e| e.to_string()),
        };
        read.map_err(|problem| TrainerError::data(format!("{}, line {line}", path.display()), problem, MEND))
    };
    sheet.rows.iter().map(read).collect()
}

/// The rows of a data set whose files name its images' categories: Fashion200k and DeepFashion-MultiModal, FashionIQ. Of every
/// split, or of one. An image of two categories has a row in each.
///
/// # Errors
/// When the files cannot be read, or name no category.
pub fn of_data_set(root: &Path, split: Option<Split>) -> Result<Vec<Row>> {
    let format = if fashion::splits(root).is_empty() { None } else { Some(Format::Fashion) };
    let data = DataSet::open(root, format)?;
    let rows: Vec<Row> = match data.format {
        Format::Fashion => fashion::known(root, split)?.into_iter().map(row_of).collect(),
        Format::Fashioniq => {
            let mut rows = Vec::new();
            for split in split.map_or_else(|| data.splits(), |split| vec![split]) {
                for (category, names) in fashioniq::galleries(root, split)? {
                    let source = format!("fashioniq {}", split.name());
                    let row = |image| Row {
                        image,
                        category: category.to_owned(),
                        source: source.clone(),
                        product: String::new(),
                    };
                    rows.extend(names.into_iter().map(row));
                }
            }
            rows
        }
        other => {
            let problem = format!("is in the layout '{}', which names no categories", other.name());
            let mend = "give a CSV with image and category, or a file of captions that has them";
            return Err(TrainerError::data(root.display().to_string(), problem, mend));
        }
    };
    Ok(rows)
}

fn row_of((image, mut fields): (String, BTreeMap<String, String>)) -> Row {
    let mut field = |name: &str| fields.remove(name).unwrap_or_default();
    Row { image, category: field("category"), source: field("source"), product: field("product") }
}

/// Leaves out the rows that no neighbour can be found for, and says why: those without a category, and those that the cache lacks.
pub fn usable(rows: Vec<Row>, features: &Features, place: &Path) -> (Vec<Row>, Vec<Complaint>) {
    let place = place.display().to_string();
    let mut complaints = Vec::new();
    let fits = |row: &Row| {
        let problem = if row.category.trim().is_empty() {
            "nothing says its category"
        } else if features.row(&row.image).is_err() {
            "the feature cache lacks it"
        } else {
            return true;
        };
        complaints
            .push(Complaint { place: place.clone(), problem: format!("image '{}': {problem}; left out", row.image) });
        false
    };
    let kept = rows.into_iter().filter(fits).collect();
    (kept, complaints)
}

/// Rows with their features: the normalised mean of an image's tokens.
///
/// # Errors
/// When the cache lacks an image.
pub fn items(rows: &[Row], features: &Features) -> Result<Vec<Item>> {
    rows.iter()
        .map(|row| {
            let mut feature = features.mean(features.row(&row.image)?);
            let norm = feature.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            feature.iter_mut().for_each(|x| *x /= norm);
            Ok(Item {
                name: row.image.clone(),
                category: row.category.clone(),
                source: row.source.clone(),
                product: row.product.clone(),
                feature,
            })
        })
        .collect()
}

fn json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T> {
    serde_json::from_str(&fsx::read_text(path, fsx::TABLE)?)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "check that it is the right file"))
}
