//! What is known of the pictures of a folder: attributes from a table or from the names of folders.

use crate::words::{Words, plain};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{Complaint, Split};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::index::walk::{Photo, walk};
use thisbut_trainer::listed::{self, Pictures};
use thisbut_trainer::sheet::Sheet;

/// One picture with its attributes.
#[derive(Clone, Debug, Default)]
pub struct Picture {
    /// Its path inside the folder, with `/`.
    pub id: String,
    /// Its file.
    pub path: PathBuf,
    /// The values of each column; none where nothing is said.
    pub values: Vec<Vec<String>>,
    /// A line for people, where a table has one.
    pub title: Option<String>,
    /// A longer text, where a table has one.
    pub description: Option<String>,
    /// The part of the data that it belongs to, where that is given.
    pub split: Option<Split>,
    /// The thing that it shows, where several pictures show the same.
    pub item: Option<String>,
}

/// Pictures with the names of their attributes.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The attributes.
    pub columns: Vec<String>,
    /// The pictures, in the order of their paths.
    pub pictures: Vec<Picture>,
    /// What could not be used, and why.
    pub complaints: Vec<Complaint>,
    /// What was decided on the way.
    pub notes: Vec<String>,
}

/// Columns that are no attributes, by their names; [`listed`] has those of the pictures' files and titles.
const DESCRIPTION: [&str; 2] = ["description", "text"];
const SPLIT: [&str; 1] = ["split"];
const ITEM: [&str; 3] = ["item", "item_id", "product_id"];
/// What separates several values of a field.
const BAR: char = '|';

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The folder of pictures.
    pub folder: PathBuf,
    /// The table; none reads the names of folders.
    pub table: Option<PathBuf>,
    /// The columns to take as attributes; empty takes every one that can be.
    pub attributes: Vec<String>,
    /// A folder inside, or the same, that is written to and passed over.
    pub out: PathBuf,
}

/// The split that a name of folders or of tables stands for.
pub fn split_named(name: &str) -> Option<Split> {
    match name.to_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "val" | "valid" | "validation" | "dev" => Some(Split::Val),
        "test" | "testing" => Some(Split::Test),
        _ => None,
    }
}

/// Reads a folder with its table or the names of its folders.
///
/// # Errors
/// When the folder or the table cannot be read, a row does not fit its header, a picture has two rows, or no picture is left.
pub fn read(reading: &Reading, words: &Words) -> Result<Source> {
    let found = walk(&reading.folder, &reading.out)?;
    let place = reading.folder.display().to_string();
    if found.photos.is_empty() {
        return Err(TrainerError::data(place, "has no picture", "give a folder of JPEG, PNG, WebP or GIF files"));
    }
    let mut source = match &reading.table {
        Some(table) => from_table(table, &found.photos, reading, words)?,
        None => from_folders(&found.photos, reading, words)?,
    };
    source.complaints.extend(found.complaints);
    Ok(source)
}

/// Attributes from the names of folders. An outer folder that is named as a split gives the split; the folders inside it are
/// one attribute a level.
fn from_folders(photos: &[Photo], reading: &Reading, words: &Words) -> Result<Source> {
    let mut source = Source::default();
    let mut depth = 0;
    for photo in photos {
        let mut parts: Vec<&str> = photo.id.split('/').collect();
        parts.pop();
        let split = parts.first().and_then(|name| split_named(name));
        if split.is_some() {
            parts.remove(0);
        }
        depth = depth.max(parts.len());
        let values = parts.iter().map(|name| vec![name.replace(['_', '+'], " ")]).collect();
        source.pictures.push(Picture { values, split, ..of(photo) });
    }
    if depth == 0 {
        return Err(TrainerError::data(
            reading.folder.display().to_string(),
            "has no folders inside whose names could say what the pictures show",
            "sort the pictures into folders such as skirts/ and hats/, or give --csv FILE with a column 'file' and attributes",
        ));
    }
    let names: Vec<String> = match reading.attributes.as_slice() {
        [] => (0..depth)
            .map(|level| {
                ["category", "subcategory"]
                    .get(level)
                    .map_or_else(|| format!("level {}", level + 1), |n| (*n).to_owned())
            })
            .collect(),
        given if given.len() == depth => given.to_vec(),
        given => {
            let problem = format!("{} names for {depth} levels of folders", given.len());
            return Err(TrainerError::settings("--attributes", problem, "give one name a level, from the outermost"));
        }
    };
    source.pictures.iter_mut().for_each(|p| p.values.resize(depth, Vec::new()));
    source.columns = words.names(&names, "--attributes")?;
    Ok(source)
}

fn of(photo: &Photo) -> Picture {
    Picture { id: photo.id.clone(), path: photo.path.clone(), ..Picture::default() }
}

/// Which column of a table is what.
struct Columns {
    file: usize,
    title: Option<usize>,
    description: Option<usize>,
    split: Option<usize>,
    item: Option<usize>,
    /// Attributes: place in the table and name.
    attributes: Vec<(usize, String)>,
}

impl Columns {
    fn of(sheet: &Sheet, place: &str, wanted: &[String], words: &Words) -> Result<Self> {
        let file = listed::file_column(sheet, place)?;
        check_headers(sheet, place)?;
        let mut out = Self {
            file,
            title: listed::title_column(sheet),
            description: sheet.column(&DESCRIPTION),
            split: sheet.column(&SPLIT),
            item: sheet.column(&ITEM),
            attributes: Vec::new(),
        };
        if wanted.is_empty() {
            let taken = [Some(out.file), out.title, out.description, out.split, out.item];
            let rest = (0..sheet.headers.len()).filter(|at| !taken.contains(&Some(*at)));
            out.attributes = rest.filter_map(|at| Some((at, sheet.headers.get(at)?.clone()))).collect();
        } else {
            for name in wanted {
                let Some(at) = column_of(sheet, name, words) else {
                    let problem = format!("there is no column '{name}' in {place} (columns: {})", sheet.columns());
                    let mend = "give names of its header, separated by commas, in quotes where a name has a space";
                    return Err(TrainerError::settings("--attributes", problem, mend));
                };
                out.attributes.push((at, sheet.headers.get(at).cloned().unwrap_or_default()));
            }
        }
        Ok(out)
    }
}

/// The column that `name` means: by its header, by the header's words, or as the attribute that both are known as.
fn column_of(sheet: &Sheet, name: &str, words: &Words) -> Option<usize> {
    let find = |fits: &dyn Fn(&String) -> bool| sheet.headers.iter().position(fits);
    find(&|header| header == name)
        .or_else(|| find(&|header| plain(header) == plain(name)))
        .or_else(|| find(&|header| words.canonical(header) == words.canonical(name)))
}

/// Refuses headers that are missing or occur twice.
fn check_headers(sheet: &Sheet, place: &str) -> Result<()> {
    let wrong = |problem: String, mend: &str| Err(TrainerError::data(format!("{place}, line 1"), problem, mend));
    let mut seen = BTreeSet::new();
    for (at, name) in sheet.headers.iter().enumerate() {
        if name.is_empty() {
            return wrong(format!("column {} has no name", at + 1), "name it, or take it out");
        }
        if !seen.insert(plain(name)) {
            return wrong(format!("column '{name}' occurs twice"), "rename or remove one of the two");
        }
    }
    Ok(())
}

fn from_table(table: &Path, photos: &[Photo], reading: &Reading, words: &Words) -> Result<Source> {
    let place = table.display().to_string();
    let sheet = Sheet::read(table)?;
    let columns = Columns::of(&sheet, &place, &reading.attributes, words)?;
    let headers: Vec<String> = columns.attributes.iter().map(|(_, name)| name.clone()).collect();
    let names = words.names(&headers, &format!("{place}, line 1"))?;
    let mut source = Source::default();
    let rows = rows(&sheet, &place, (photos, &columns), &mut source.complaints)?;
    if rows.is_empty() {
        let first = source.complaints.first().map_or("it has no lines below its header", |c| c.problem.as_str());
        let problem = format!("names no picture of {} ({first})", reading.folder.display());
        let mend = "write the pictures' paths inside the folder into the column 'file'";
        return Err(TrainerError::data(place, problem, mend));
    }
    let without = photos.len() - rows.len();
    if without > 0 {
        let problem = format!("has no line for {without} of the {} pictures; they are left out", photos.len());
        source.complaints.push(Complaint { place, problem });
    }
    source.columns = names;
    source.pictures = rows.into_values().map(|(_, picture)| picture).collect();
    Ok(source)
}

/// The rows by the place of their picture among `photos`, each with its line; rows of no use become complaints.
fn rows(
    sheet: &Sheet,
    place: &str,
    (photos, columns): (&[Photo], &Columns),
    complaints: &mut Vec<Complaint>,
) -> Result<BTreeMap<usize, (u32, Picture)>> {
    let pictures = Pictures::of(photos.iter().map(|photo| photo.id.as_str()));
    let (mut rows, mut seen) = (BTreeMap::new(), BTreeMap::new());
    for (line, row) in &sheet.rows {
        let at = format!("{place}, line {line}");
        sheet.check_length(&at, row)?;
        let field = |column: usize| row.get(column).unwrap_or_default().trim();
        let one = match pictures.find(field(columns.file)) {
            Ok(one) => one,
            Err(problem) => {
                complaints.push(Complaint { place: at, problem: format!("{problem}; the line is left out") });
                continue;
            }
        };
        if let Some((first, earlier)) = seen.insert(one, (line, row)) {
            let problem = format!("'{}' already stands in line {first}", listed::named(field(columns.file)));
            let mend = match earlier == row {
                true => "both lines say the same: remove one of them (spreadsheets call it 'remove duplicates')",
                false => "keep one line a picture, several values with a bar: red|blue",
            };
            return Err(TrainerError::data(at, problem, mend));
        }
        if let Some(photo) = photos.get(one) {
            rows.insert(one, (*line, picture(photo, columns, &field, &at)?));
        }
    }
    Ok(rows)
}

fn picture<'a>(photo: &Photo, columns: &Columns, field: &impl Fn(usize) -> &'a str, at: &str) -> Result<Picture> {
    let text = |column: Option<usize>| column.map(field).filter(|text| !text.is_empty()).map(str::to_owned);
    let split = match text(columns.split) {
        None => None,
        Some(name) => Some(split_named(&name).ok_or_else(|| {
            TrainerError::data(at, format!("'{name}' is no split"), "write train, val or test in the column 'split'")
        })?),
    };
    let several = |text: &str| -> Vec<String> {
        let mut values: Vec<String> = text.split(BAR).map(tidy).filter(|v| !v.is_empty()).collect();
        values.dedup();
        values
    };
    Ok(Picture {
        values: columns.attributes.iter().map(|(column, _)| several(field(*column))).collect(),
        title: text(columns.title),
        description: text(columns.description),
        split,
        item: text(columns.item),
        ..of(photo)
    })
}

/// Single spaces.
fn tidy(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
