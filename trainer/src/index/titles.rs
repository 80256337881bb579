//! Titles and tags: from file names, or from a CSV with the columns file, title, tags.

use super::walk::Photo;
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use crate::fsx;
use std::collections::HashMap;
use std::path::Path;

/// A title from a file name: "red-dress_02.jpg" → "Red dress 02".
pub fn from_name(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let words: Vec<&str> = stem
        .split(|c: char| matches!(c, '-' | '_' | '+' | '.') || c.is_whitespace())
        .filter(|w| !w.is_empty())
        .collect();
    let text = words.join(" ");
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => stem,
    }
}

/// Sets titles and tags from `file`. A row names an image by its path inside the folder, or by its bare file name where
/// that is unambiguous; an empty title keeps the file name's. Tags are separated by `;`, `,` or `|`.
/// Rows that match nothing become complaints; a file that is no such table is an error that names line and column.
pub fn apply(file: &Path, photos: &mut [Photo]) -> Result<Vec<Complaint>> {
    let place = file.display().to_string();
    let text = fsx::read_text(file, fsx::TABLE)?;
    let mut table = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.strip_prefix('\u{feff}').unwrap_or(&text).as_bytes());
    let broken = |e: csv::Error| {
        let line = e.position().map_or(1, csv::Position::line);
        let problem = match e.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} fields, the header has {expected_len}")
            }
            _ => e.to_string(),
        };
        TrainerError::data(format!("{place}, line {line}"), problem, "mend the line (quote fields that hold commas)")
    };
    let headers = table.headers().map_err(broken)?.clone();
    let column = |name: &str| headers.iter().position(|h| h.eq_ignore_ascii_case(name));
    let Some(file_column) = column("file") else {
        let seen = headers.iter().collect::<Vec<_>>().join(", ");
        return Err(TrainerError::data(
            format!("{place}, line 1"),
            format!("there is no column 'file' (columns: {seen})"),
            "begin the file with the line: file,title,tags",
        ));
    };
    let (title_column, tags_column) = (column("title"), column("tags"));
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, photo) in photos.iter().enumerate() {
        by_name.entry(photo.id.clone()).or_default().push(at);
        if let Some((_, bare)) = photo.id.rsplit_once('/') {
            by_name.entry(bare.to_owned()).or_default().push(at);
        }
    }
    let (mut complaints, mut seen) = (Vec::new(), HashMap::new());
    for row in table.records() {
        let row = row.map_err(broken)?;
        let line = row.position().map_or(0, csv::Position::line);
        let field = |column: Option<usize>| column.and_then(|c| row.get(c)).unwrap_or_default().trim();
        let name = field(Some(file_column)).replace('\\', "/");
        let name = name.trim_start_matches("./");
        let problem = match by_name.get(name).map(Vec::as_slice) {
            Some([at]) => match (seen.insert(*at, line), photos.get_mut(*at)) {
                (Some(first), _) => format!("'{name}' already stands in line {first}; this line is left out"),
                (None, Some(photo)) => {
                    if !field(title_column).is_empty() {
                        photo.title = field(title_column).to_owned();
                    }
                    let tags = field(tags_column).split([';', ',', '|']).map(str::trim).filter(|t| !t.is_empty());
                    photo.tags = tags.map(str::to_owned).collect();
                    continue;
                }
                (None, None) => continue,
            },
            Some(_) => format!("'{name}' is the name of several images; give its path inside the folder"),
            None => format!("there is no image '{name}' in the folder; the line is left out"),
        };
        complaints.push(Complaint { place: format!("{place}, line {line}"), problem });
    }
    Ok(complaints)
}
