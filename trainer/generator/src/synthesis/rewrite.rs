//! A modification text for each pair: from a language model that reads two captions, from a table, or from the words in
//! which the captions differ.

use super::differences;
use super::output::{Made, row};
use super::prompts::{Prompts, REFERENCE, Role, TARGET};
use super::work::{Item, Outcome, Tell, Work};
use crate::asked::Asked;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use thisbut_trainer::data::captions::Caption;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::sheet::Sheet;

/// Captions by image.
pub type Captions = BTreeMap<String, Caption>;
/// Why a pair has no text: one of its images has no caption.
pub const NO_CAPTION: &str = "no-caption";
/// Why a pair has no text: its captions differ in no word.
pub const NO_DIFFERENCE: &str = "no-difference";
/// Why a pair has no text: the table has none.
pub const NO_TEXT: &str = "no-text";
/// Why a pair has no text: a question is about an image whose file is not known.
pub const NO_IMAGE: &str = "no-image";

fn named(pair: &Asked) -> Map<String, Value> {
    row(json!({"reference": pair.reference, "target": pair.target}))
}

/// A triplet's row: MTST's field names, and the captions.
fn triplet(pair: &Asked, text: &str, captions: (&str, &str)) -> Map<String, Value> {
    row(json!({
        "reference": pair.reference,
        "target": pair.target,
        "modifier_generated": text,
        "reference_caption": captions.0,
        "target_caption": captions.1,
    }))
}

/// Each pair with both captions, or rejected.
fn each(
    pairs: &[Asked],
    captions: &Captions,
    text: &dyn Fn(&Asked, &str, &str) -> Result<String, &'static str>,
) -> Vec<Made> {
    let made = |pair: &Asked| {
        let both = captions.get(&pair.reference).zip(captions.get(&pair.target));
        let Some((from, to)) = both else { return Made::without(named(pair), NO_CAPTION) };
        match text(pair, &from.caption, &to.caption) {
            Ok(text) => Made::Rows(vec![triplet(pair, &text, (&from.caption, &to.caption))]),
            Err(reason) => Made::without(named(pair), reason),
        }
    };
    pairs.iter().map(made).collect()
}

/// Texts of the words in which the captions differ.
pub fn of_differences(pairs: &[Asked], captions: &Captions) -> Vec<Made> {
    each(pairs, captions, &|_, from, to| differences::text(from, to).ok_or(NO_DIFFERENCE))
}

/// Texts of a table: by reference and target.
pub type Texts = HashMap<(String, String), String>;

/// Reads a CSV with the columns reference, target and `column`.
///
/// # Errors
/// When the file cannot be read or lacks a column, with the line where a row has another length than the header.
pub fn table(path: &Path, column: &str) -> Result<Texts> {
    let sheet = Sheet::read(path)?;
    let place = |line: u32| format!("{}, line {line}", path.display());
    let find = |name: &str| {
        sheet.column(&[name]).ok_or_else(|| {
            let problem = format!("there is no column '{name}' (columns: {})", sheet.columns());
            TrainerError::data(place(1), problem, "begin with the line: reference,target,text")
        })
    };
    let columns = [find("reference")?, find("target")?, find(column)?];
    let mut texts = Texts::new();
    for (line, row) in &sheet.rows {
        sheet.check_length(&place(*line), row)?;
        let [reference, target, text] = columns.map(|at| row.get(at).unwrap_or_default().to_owned());
        texts.insert((reference, target), text);
    }
    Ok(texts)
}

/// Texts of a table.
pub fn of_table(pairs: &[Asked], captions: &Captions, texts: &Texts) -> Vec<Made> {
    each(pairs, captions, &|pair, _, _| {
        let text = texts.get(&(pair.reference.clone(), pair.target.clone())).filter(|text| !text.is_empty());
        text.cloned().ok_or(NO_TEXT)
    })
}

/// What is asked about pairs.
pub struct Questions<'a> {
    /// The pairs.
    pub pairs: &'a [Asked],
    /// Their images' captions.
    pub captions: &'a Captions,
    /// Their images' files, where a question is about the images.
    pub files: &'a HashMap<String, PathBuf>,
    /// The questions.
    pub prompts: &'a Prompts,
}

impl Questions<'_> {
    /// The item of a pair, or why there is none.
    fn item(&self, pair: &Asked) -> Result<Item, &'static str> {
        let caption = |name: &str| self.captions.get(name).map(|caption| caption.caption.clone());
        let mut values = BTreeMap::from([(REFERENCE.to_owned(), caption(&pair.reference).ok_or(NO_CAPTION)?)]);
        match caption(&pair.target) {
            Some(caption) => drop(values.insert(TARGET.to_owned(), caption)),
            None if self.prompts.reads_target() => return Err(NO_CAPTION),
            None => {}
        }
        let file = |role: &Role| {
            let name = match role {
                Role::Reference => &pair.reference,
                Role::Target => &pair.target,
            };
            self.files.get(name).cloned().ok_or(NO_IMAGE)
        };
        let images = self
            .prompts
            .rewrite
            .iter()
            .map(|prompt| prompt.images.iter().map(&file).collect::<Result<Vec<PathBuf>, _>>());
        Ok(Item { values, images: images.collect::<Result<_, _>>()?, sources: &[REFERENCE, TARGET] })
    }

    /// Texts from a language model.
    ///
    /// # Errors
    /// As [`Work::run`].
    pub fn asked(&self, work: &Work, tell: Tell) -> Result<Vec<Made>> {
        let found: Vec<Result<Item, &str>> = self.pairs.iter().map(|pair| self.item(pair)).collect();
        let items: Vec<Item> = found.iter().filter_map(|item| item.as_ref().ok().cloned()).collect();
        let mut outcomes = work.run(&items, tell)?.into_iter();
        let made = |(pair, item): (&Asked, Result<Item, &str>)| match item {
            Err(reason) => Made::without(named(pair), reason),
            Ok(item) => match outcomes.next() {
                Some(outcome) => self.made(pair, &item, outcome),
                None => unreachable!("every item has an outcome"),
            },
        };
        Ok(self.pairs.iter().zip(found).map(made).collect())
    }

    fn made(&self, pair: &Asked, item: &Item, outcome: Outcome) -> Made {
        let name = |step: usize| self.prompts.rewrite.get(step).map_or_else(String::new, |prompt| prompt.name.clone());
        let mut texts = match outcome {
            Outcome::Rejected(step, rejected) => return Made::Rejected(named(pair), name(step), rejected),
            Outcome::Texts(texts) => texts,
        };
        let changes = texts.pop().unwrap_or_default();
        // A list that a question made in the place of a caption is the image's caption from then on.
        let caption = |slot: &str| {
            let made = texts.iter().enumerate().rfind(|(step, _)| name(*step) == slot);
            made.map(|(_, texts)| texts.join("\n")).or_else(|| item.values.get(slot).cloned()).unwrap_or_default()
        };
        let (from, to) = (caption(REFERENCE), caption(TARGET));
        Made::Rows(changes.iter().map(|text| triplet(pair, text, (&from, &to))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captions() -> Captions {
        let caption = |(image, caption): (&str, &str)| {
            (image.to_owned(), Caption { image: image.into(), caption: caption.into(), about: BTreeMap::new() })
        };
        [("a", "a red hat"), ("b", "a blue hat"), ("c", "a Red hat.")].into_iter().map(caption).collect()
    }

    fn pair(reference: &str, target: &str) -> Asked {
        Asked { reference: reference.into(), target: target.into() }
    }

    #[test]
    fn pairs_without_captions_or_differences_are_named() {
        let pairs = [pair("a", "b"), pair("a", "c"), pair("a", "d")];
        let made = of_differences(&pairs, &captions());
        let expected = row(json!({"reference": "a", "target": "b", "modifier_generated": "change red to blue",
            "reference_caption": "a red hat", "target_caption": "a blue hat"}));
        assert_eq!(made[0], Made::Rows(vec![expected]));
        assert_eq!(made[1], Made::without(named(&pairs[1]), NO_DIFFERENCE));
        assert_eq!(made[2], Made::without(named(&pairs[2]), NO_CAPTION));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "reference;target;Text\na;b;paint it blue\na;c;\n").unwrap();
        let texts = table(file.path(), "text").unwrap();
        let made = of_table(&pairs[..2], &captions(), &texts);
        assert!(matches!(&made[0], Made::Rows(rows) if rows[0]["modifier_generated"] == "paint it blue"));
        assert_eq!(made[1], Made::without(named(&pairs[1]), NO_TEXT));
        assert!(table(file.path(), "words").unwrap_err().to_string().contains("there is no column 'words'"));
        std::fs::write(file.path(), "reference,target,text\na,b\n").unwrap();
        assert!(table(file.path(), "text").unwrap_err().to_string().contains("line 2: has 2 fields"));
    }
}
