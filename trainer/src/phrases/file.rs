//! Noun phrases in a file: of `thisbut phrases --out`, or made elsewhere (Stanza, spaCy).

use super::{Rule, find};
use crate::data::json_rows;
use crate::data::table::{Complaint, Table};
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// A text and its phrases; a line of the file, or a row of its array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phrased {
    /// The text.
    #[serde(alias = "caption")]
    pub text: String,
    /// Its phrases, those that are kept first before others.
    #[serde(alias = "nps", alias = "noun_phrases")]
    pub phrases: Vec<String>,
}

/// What the phrases of a table came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Texts of the table.
    pub texts: usize,
    /// Those without any phrase.
    pub without: usize,
    /// Those that the file does not name.
    pub unnamed: usize,
    /// Rows and phrases of the file that could not be used.
    pub complaints: Vec<Complaint>,
}

/// Gives each triplet of `table` its phrases: those of `file` where one is given, else those that are found by rules.
///
/// # Errors
/// When the file cannot be read, names none of the texts, or most of its phrases are not in their texts: then it was made with
/// another tokenizer's words.
pub fn fill(table: &mut Table, rule: Rule, file: Option<&Path>) -> Result<Filled> {
    let mut filled = Filled { texts: table.triplets.len(), ..Filled::default() };
    match file {
        None => table.triplets.iter_mut().for_each(|triplet| triplet.phrases = find(&triplet.text, rule)),
        Some(path) => from_file(table, rule, path, &mut filled)?,
    }
    filled.without = table.triplets.iter().filter(|triplet| triplet.phrases.is_empty()).count();
    Ok(filled)
}

fn from_file(table: &mut Table, rule: Rule, path: &Path, filled: &mut Filled) -> Result<()> {
    let place = || path.display().to_string();
    let (mut known, mut found, mut foreign) = (HashMap::new(), 0usize, 0usize);
    for (at, row) in json_rows::either::<Phrased>(path)? {
        match row {
            Ok(row) => {
                let (text, mut phrases) = (row.text.trim().to_owned(), row.phrases);
                let lower = text.to_lowercase();
                let before = phrases.len();
                let missing = phrases.iter().find(|phrase| !holds(&lower, phrase)).cloned();
                phrases.retain(|phrase| holds(&lower, phrase));
                found += phrases.len();
                foreign += before - phrases.len();
                if let Some(phrase) = missing {
                    let problem = format!("its text does not hold the phrase {phrase:?}");
                    filled.complaints.push(Complaint::left_out(path, at, problem));
                }
                known.insert(text, phrases);
            }
            Err(problem) => filled.complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if foreign > found {
        let problem = format!("{foreign} of {} phrases are not in their texts", found + foreign);
        let mend = "write phrases as the texts do, word for word, not in a tokenizer's pieces";
        return Err(TrainerError::data(place(), problem, mend));
    }
    for triplet in &mut table.triplets {
        match known.get(triplet.text.trim()) {
            Some(phrases) => triplet.phrases = phrases.iter().take(rule.most).cloned().collect(),
            None => filled.unnamed += 1,
        }
    }
    if filled.unnamed == filled.texts && filled.texts > 0 {
        let mend = "make it of this data set's texts, with `thisbut phrases --out`";
        return Err(TrainerError::data(place(), "names none of the training texts", mend));
    }
    Ok(())
}

/// Whether a text in lower case holds a phrase that has letters.
fn holds(text: &str, phrase: &str) -> bool {
    let phrase = phrase.trim().to_lowercase();
    !phrase.is_empty() && text.contains(&phrase)
}

/// Writes texts with their phrases, one a line.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, rows: &[Phrased]) -> Result<()> {
    let mut text = String::new();
    for row in rows {
        let line = serde_json::to_string(row)
            .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this"))?;
        text.push_str(&line);
        text.push('\n');
    }
    fsx::write_atomic(path, text.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::data::table::Triplet;

    const RULE: Rule = Rule { most: 2, leaves_only: false };

    fn table(texts: &[&str]) -> Table {
        let triplet = |text: &&str| Triplet { text: (*text).to_owned(), ..Triplet::default() };
        Table { triplets: texts.iter().map(triplet).collect(), ..Table::default() }
    }

    fn with(lines: &str, texts: &[&str]) -> Result<(Table, Filled)> {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut table) = (folder.path().join("phrases.jsonl"), table(texts));
        std::fs::write(&path, lines).unwrap();
        let filled = fill(&mut table, RULE, Some(&path))?;
        Ok((table, filled))
    }

    #[test]
    fn a_file_is_read_back_as_it_was_written_and_counts_what_it_lacks() {
        let (folder, texts) = (tempfile::tempdir().unwrap(), ["A red dog on the grass", "longer", "two cats"]);
        let mut found = table(&texts);
        let by_rules = fill(&mut found, RULE, None).unwrap();
        assert_eq!((by_rules.texts, by_rules.without, by_rules.unnamed), (3, 1, 0));
        assert_eq!(found.triplets[0].phrases, ["A red dog on the grass", "A red dog"]);
        let rows: Vec<Phrased> =
            found.triplets[..2].iter().map(|t| Phrased { text: t.text.clone(), phrases: t.phrases.clone() }).collect();
        let path = folder.path().join("phrases.jsonl");
        write(&path, &rows).unwrap();
        let mut again = table(&texts);
        let filled = fill(&mut again, RULE, Some(&path)).unwrap();
        assert_eq!(again.triplets[..2], found.triplets[..2]);
        assert_eq!((filled.without, filled.unnamed, filled.complaints.len()), (2, 1, 0));
        // A cache that ConText-CIR's code wrote has other names.
        let (table, _) = with(r#"[{"caption": "two cats ", "nps": ["two cats"]}]"#, &texts).unwrap();
        assert_eq!(table.triplets[2].phrases, ["two cats"]);
    }

    #[test]
    fn a_file_of_another_tokenizer_or_of_other_texts_is_refused() {
        let pieces = r#"{"text": "a red dog", "phrases": ["a</w> red</w>", "dog</w>"]}"#;
        let said = with(pieces, &["a red dog"]).unwrap_err().to_string();
        assert!(said.contains("2 of 2 phrases are not in their texts") && said.contains("tokenizer"), "{said}");
        let said = with(r#"{"text": "a cat", "phrases": ["a cat"]}"#, &["a red dog"]).unwrap_err().to_string();
        assert!(said.contains("names none of the training texts"), "{said}");
        // One that is wrong beside others is named by its line.
        let (table, filled) =
            with("{\"text\": \"a red dog\", \"phrases\": [\"a red dog\", \"a cat\"]}\n{}", &["a red dog"]).unwrap();
        assert_eq!(table.triplets[0].phrases, ["a red dog"]);
        let said: Vec<String> = filled.complaints.iter().map(ToString::to_string).collect();
        assert!(said.len() == 2 && said[0].contains("line 1") && said[1].contains("line 2"), "{said:?}");
    }
}
