//! Titles and tags: from the names of files and folders, or from a CSV with the columns file, title, tags (or [other
//! names](crate::listed)); its other columns are published with the images.

use super::walk::Photo;
use crate::data::Complaint;
use crate::error::Result;
use crate::listed::{self, Pictures};
use crate::sheet::Sheet;
use csv::StringRecord;
use std::collections::HashMap;
use std::path::Path;
use thisbut_model::gallery::{MAX_EXTRA, MAX_EXTRA_NAME};

/// Hexadecimal words of at least so many characters are hashes, not words.
const HASH: usize = 16;

/// A title from an image's path in its folder: "red-dress_02.jpg" → "Red dress 02". Hashes and UUIDs are no words; where
/// nothing else is left, the name of the image's folder is its title, or "Photo".
pub fn from_path(inside: &Path) -> String {
    let stem = inside.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = || folders(inside).pop();
    let title = words(&stem).or_else(|| if hash_only(&stem) { folder() } else { Some(stem.clone()) });
    capital(&title.unwrap_or_else(|| "Photo".to_owned()))
}

/// What cameras and browsers put into names.
const EVERYDAY: [&str; 12] =
    ["img", "dsc", "dscn", "dscf", "pxl", "image", "photo", "picture", "pic", "scan", "screenshot", "download"];

/// Whether an image's own name has a word that says something: three letters or more, and none that a camera puts there.
pub fn speaks(inside: &Path) -> bool {
    let stem = inside.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let says = |word: &str| {
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        letters >= 3 && !EVERYDAY.contains(&word.trim_matches(|c: char| !c.is_alphabetic()).to_lowercase().as_str())
    };
    words(&stem).is_some_and(|words| words.split(' ').any(says))
}

/// The names of the folders that an image lies in, from the outermost, as words: its tags.
pub fn folders(inside: &Path) -> Vec<String> {
    let parents = inside.parent().into_iter().flat_map(Path::iter);
    parents.filter_map(|name| words(&name.to_string_lossy())).collect()
}

/// The words of a name; `None` when it has none.
fn words(name: &str) -> Option<String> {
    let name = without_uuids(name);
    let words: Vec<&str> = name.split(separates).filter(|word| !word.is_empty() && !is_hash(word)).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn separates(c: char) -> bool {
    matches!(c, '-' | '_' | '+' | '.') || c.is_whitespace()
}

/// True where a name has something beside what separates words: then it was a hash.
fn hash_only(name: &str) -> bool {
    name.chars().any(|c| !separates(c))
}

/// Hexadecimal with digits and letters, as no word and no product number is; 32 digits alone are a hash as well.
fn is_hash(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hexadecimal = word.len() >= HASH && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    hexadecimal && digits > 0 && (digits < word.len() || word.len() >= 2 * HASH)
}

/// `name` with a space for each UUID: hexadecimal in groups of 8, 4, 4, 4 and 12.
fn without_uuids(name: &str) -> String {
    let uuid = |bytes: &[u8]| {
        let fits = |(at, byte): (usize, &u8)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        };
        bytes.iter().enumerate().all(fits)
    };
    let mut rest = name.to_owned();
    while let Some(at) = rest.as_bytes().windows(36).position(uuid) {
        rest.replace_range(at..at + 36, " ");
    }
    rest
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// What a table said of the photos.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// Rows that match nothing, columns and values that are left out.
    pub complaints: Vec<Complaint>,
    /// The columns beside file, title and tags, in order: what is published with the images.
    pub extra: Vec<String>,
}

/// Sets titles, tags and further values from `file`. A row names an image as [`listed`] has it; an empty title keeps the file
/// name's, and empty tags keep the folders'. Tags are separated by `;`, `,` or `|`. Every other column is a value of the image
/// under the column's name. What matches nothing or is too large becomes a complaint; a file that is no such table is an error that
/// names line and column.
pub fn apply(file: &Path, photos: &mut [Photo]) -> Result<Applied> {
    let place = file.display().to_string();
    let sheet = Sheet::read(file)?;
    let (columns, mut complaints) = Columns::of(&sheet, &place)?;
    let pictures = Pictures::of(photos.iter().map(|photo| photo.id.as_str()));
    let mut seen: HashMap<usize, (u32, &StringRecord)> = HashMap::new();
    for (line, row) in &sheet.rows {
        let at = format!("{place}, line {line}");
        sheet.check_length(&at, row)?;
        let name = row.get(columns.file).unwrap_or_default();
        let problem = match pictures.find(name) {
            Ok(image) => match (seen.get(&image), photos.get_mut(image)) {
                (Some((first, earlier)), _) => {
                    let same = if *earlier == row { " with the same fields" } else { "" };
                    format!("'{}' already stands in line {first}{same}", listed::named(name))
                }
                (None, Some(photo)) => {
                    seen.insert(image, (*line, row));
                    complaints.extend(columns.describe(photo, row, &at));
                    continue;
                }
                (None, None) => continue,
            },
            Err(problem) => problem,
        };
        complaints.push(Complaint { place: at, problem: format!("{problem}; the line is left out") });
    }
    Ok(Applied { complaints, extra: columns.extra.into_iter().map(|(_, name)| name).collect() })
}

/// What stands in which column of a table.
struct Columns {
    file: usize,
    title: Option<usize>,
    tags: Option<usize>,
    /// The others, with their names.
    extra: Vec<(usize, String)>,
}

impl Columns {
    /// Reads the first line; columns that cannot be values become a complaint.
    fn of(sheet: &Sheet, place: &str) -> Result<(Self, Vec<Complaint>)> {
        let at = format!("{place}, line 1");
        let (title, tags) = (listed::title_column(sheet), sheet.column(&["tags"]));
        let file = listed::file_column(sheet, place)?;
        let (mut extra, mut left): (Vec<(usize, String)>, Vec<String>) = Default::default();
        for (column, name) in sheet.headers.iter().enumerate() {
            if [Some(file), title, tags].contains(&Some(column)) {
                continue;
            }
            let known = ["file", "title", "tags"].iter().any(|own| own.eq_ignore_ascii_case(name));
            match () {
                () if name.is_empty() => left.push(format!("column {} has no name", column + 1)),
                () if name.len() > MAX_EXTRA_NAME => {
                    left.push(format!("the name of column {} has more than {MAX_EXTRA_NAME} bytes", column + 1));
                }
                // Of two columns of one name the first is read.
                () if known || extra.iter().any(|(_, other)| other == name) => left.push(format!("a second '{name}'")),
                () if extra.len() == MAX_EXTRA => left.push(format!("'{name}' (at most {MAX_EXTRA} are kept)")),
                () => extra.push((column, name.clone())),
            }
        }
        let problem = (!left.is_empty()).then(|| format!("columns that are left out: {}", left.join(", ")));
        let complaints = problem.into_iter().map(|problem| Complaint { place: at.clone(), problem }).collect();
        Ok((Self { file, title, tags, extra }, complaints))
    }

    /// Sets what a row says of its photo; gives what it says too much of.
    fn describe(&self, photo: &mut Photo, row: &StringRecord, at: &str) -> Vec<Complaint> {
        let field = |column: usize| row.get(column).unwrap_or_default().trim();
        let title = self.title.map(field).unwrap_or_default();
        if !title.is_empty() {
            photo.title = title.to_owned();
        }
        let tags = self.tags.map(field).unwrap_or_default().split([';', ',', '|']).map(str::trim);
        let tags: Vec<String> = tags.filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        if !tags.is_empty() {
            photo.tags = tags;
        }
        let values = self.extra.iter().filter_map(|(column, name)| {
            let problem = photo.extra.push(name, field(*column)).err()?;
            let place = format!("{at}, column '{name}'");
            Some(Complaint { place, problem: format!("the value is left out: {problem}") })
        });
        values.collect()
    }
}
