//! What a person saved from a page: JSON or CSV, checked against the page's key.

use super::scales::{self, Ratings, SCALES};
use super::{Key, Kind, VERSION};
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A person's answers: choices, or numbers on scales, as the page asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Who, or the file's name where they did not say.
    pub reader: String,
    /// The value chosen for each pair, by its number.
    pub answers: BTreeMap<usize, String>,
    /// The numbers for each pair, by its number.
    pub ratings: BTreeMap<usize, Ratings>,
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
    choice: Option<String>,
    scores: Option<BTreeMap<String, u8>>,
}

/// A row of the CSV; a page of scales has a column for each.
#[derive(Deserialize)]
struct Row {
    page: String,
    #[serde(default)]
    reader: String,
    item: usize,
    choice: Option<String>,
    faithfulness: Option<u8>,
    details: Option<u8>,
    saliency: Option<u8>,
}

/// What was said of a pair.
#[derive(Default)]
struct Said {
    choice: Option<String>,
    scores: Option<BTreeMap<String, u8>>,
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
            let said = |a: Answer| (a.item, Said { choice: a.choice, scores: a.scores });
            let rows = rows.map(|(at, a)| (format!("{place}, answer {}", at + 1), said(a))).collect();
            (vec![saved.page], saved.reader, rows)
        } else {
            csv_rows(text, &place).map_err(|(place, problem)| refuse(place, problem))?
        };
        if let Some(other) = pages.iter().find(|page| **page != key.page) {
            return Err(refuse(place, format!("is of page '{other}', the key of '{}'", key.page)));
        }
        let mut filled = Self::default();
        for (place, (item, said)) in rows {
            if !(1..=key.items.len()).contains(&item) {
                return Err(refuse(place, format!("there is no pair {item}; the page has {}", key.items.len())));
            }
            match filled.add(key.kind, item, said) {
                Ok(true) => {}
                Ok(false) => return Err(refuse(place, format!("pair {item} is answered twice"))),
                Err(problem) => return Err(refuse(place, problem)),
            }
        }
        if filled.answers.is_empty() && filled.ratings.values().flatten().flatten().next().is_none() {
            return Err(refuse(place, "has no answer".to_owned()));
        }
        let stem = || path.file_stem().map_or_else(|| place.clone(), |stem| stem.to_string_lossy().into_owned());
        let reader = if reader.trim().is_empty() { stem() } else { reader.trim().to_owned() };
        Ok(Self { reader, ..filled })
    }

    /// Takes what was said of a pair; false when it has an answer already.
    fn add(&mut self, kind: Kind, item: usize, said: Said) -> Result<bool, String> {
        match (kind, said.choice, said.scores) {
            (Kind::Rate, _, Some(scores)) => Ok(self.ratings.insert(item, scales::ratings(scores)?).is_none()),
            (Kind::Rate, ..) => Err(format!("has no number of {}", SCALES.map(|scale| scale.name).join(", "))),
            (_, None, _) => Err("is not what a page saves (there is no choice)".to_owned()),
            (_, Some(choice), _) => {
                let known: Vec<&str> = kind.choices().iter().map(|choice| choice.value).collect();
                if !known.contains(&choice.as_str()) {
                    return Err(format!("'{choice}' is none of {}", known.join(", ")));
                }
                Ok(self.answers.insert(item, choice).is_none())
            }
        }
    }
}

/// Pages, reader, and each answer's place, pair and what was said of it.
type Parsed = (Vec<String>, String, Vec<(String, (usize, Said))>);

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
        let scores = [row.faithfulness, row.details, row.saliency];
        let scores = SCALES.iter().zip(scores).filter_map(|(scale, score)| Some((scale.name.to_owned(), score?)));
        let scores: BTreeMap<String, u8> = scores.collect();
        rows.push((at, (row.item, Said { choice: row.choice, scores: (!scores.is_empty()).then_some(scores) })));
    }
    Ok((pages, reader, rows))
}
