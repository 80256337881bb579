//! What a person saved from a page: JSON or CSV, checked against the page's key.

use super::{Key, VERSION};
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A person's answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Who, or the file's name where they did not say.
    pub reader: String,
    /// The value chosen for each pair, by its number.
    pub answers: BTreeMap<usize, String>,
}

#[derive(Deserialize)]
struct Saved {
    version: u32,
    page: String,
    #[serde(default)]
    reader: String,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    item: usize,
    choice: String,
}

/// A row of the CSV.
#[derive(Deserialize)]
struct Row {
    page: String,
    #[serde(default)]
    reader: String,
    item: usize,
    choice: String,
}

impl Filled {
    /// Reads a file of answers to `key`'s page.
    ///
    /// # Errors
    /// When the file cannot be read, is of another page, has no answer, answers a pair twice, or names a pair or a choice
    /// that the page does not have.
    pub fn read(path: &Path, key: &Key) -> Result<Self> {
        let place = path.display().to_string();
        let refuse = |place: String, problem: String| {
            TrainerError::data(place, problem, "save the results from the page again, and give that page's --key")
        };
        let text = fsx::read_text(path, fsx::MIDDLE)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let (pages, reader, rows) = if text.trim_start().starts_with('{') {
            let saved: Saved = serde_json::from_str(text)
                .map_err(|e| refuse(place.clone(), format!("is not what a page saves ({e})")))?;
            if saved.version != VERSION {
                let problem = format!("has version {}, this build reads {VERSION}", saved.version);
                return Err(refuse(place, problem));
            }
            let rows = saved.answers.into_iter().enumerate();
            let rows = rows.map(|(at, a)| (format!("{place}, answer {}", at + 1), a.item, a.choice)).collect();
            (vec![saved.page], saved.reader, rows)
        } else {
            csv_rows(text, &place).map_err(|(place, problem)| refuse(place, problem))?
        };
        if let Some(other) = pages.iter().find(|page| **page != key.page) {
            return Err(refuse(place, format!("is of page '{other}', the key of '{}'", key.page)));
        }
        let mut answers = BTreeMap::new();
        for (place, item, choice) in rows {
            if !(1..=key.items.len()).contains(&item) {
                return Err(refuse(place, format!("there is no pair {item}; the page has {}", key.items.len())));
            }
            let known: Vec<&str> = key.kind.choices().iter().map(|choice| choice.value).collect();
            if !known.contains(&choice.as_str()) {
                return Err(refuse(place, format!("'{choice}' is none of {}", known.join(", "))));
            }
            if answers.insert(item, choice).is_some() {
                return Err(refuse(place, format!("pair {item} is answered twice")));
            }
        }
        if answers.is_empty() {
            return Err(refuse(place, "has no answer".to_owned()));
        }
        let stem = || path.file_stem().map_or_else(|| place.clone(), |stem| stem.to_string_lossy().into_owned());
        let reader = if reader.trim().is_empty() { stem() } else { reader.trim().to_owned() };
        Ok(Self { reader, answers })
    }
}

/// Pages, reader, and each answer's place, pair and choice.
type Parsed = (Vec<String>, String, Vec<(String, usize, String)>);

fn csv_rows(text: &str, place: &str) -> Result<Parsed, (String, String)> {
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let (mut pages, mut reader, mut rows) = (Vec::new(), String::new(), Vec::new());
    for (number, row) in table.deserialize::<Row>().enumerate() {
        let at = format!("{place}, row {}", number + 1);
        let row = row.map_err(|e| (at.clone(), format!("is not what a page saves ({e})")))?;
        if !pages.contains(&row.page) {
            pages.push(row.page);
        }
        reader = row.reader;
        rows.push((at, row.item, row.choice));
    }
    Ok((pages, reader, rows))
}
