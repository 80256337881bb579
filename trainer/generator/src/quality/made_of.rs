//! What texts are made of: words, different words, lengths.
//!
//! MTST's Table I does not say what its words and lengths are. FashionIQ's training captions, whose figures it gives (4,253
//! different words, 54.90 on average, over 16,914 of 18,000 triplets), tell: the two captions joined by a space have 55.0
//! characters, and cut at white space, in lower case, with their punctuation, 4,439 different words (about 4,305 in a random
//! 16,914). Without punctuation it would be 4,002, in their own case 4,771. So a word here is what stands between white
//! space, in lower case, and the length is in characters; the length in words stands beside it.
//!
//! FACap's Table 1 gives 25,136 images, 18,000 pairs, 4,401 different words and 6.36 words a caption for FashionIQ. The images and
//! pairs are those of its training triplets; a caption of these has 5.32 words by the rule above, with 4,439 different ones.

use crate::texts::{self, Complaints};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use thisbut_trainer::data::captions;
use thisbut_trainer::data::table::Table;
use thisbut_trainer::error::Result;

/// The words of a text as Table I counts them.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split_whitespace().map(str::to_lowercase)
}

/// What some texts are made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Which texts.
    pub name: String,
    /// How many.
    pub texts: usize,
    /// Different images at their ends.
    pub images: usize,
    /// Characters a text.
    pub mean_characters: f64,
    /// Words a text.
    pub mean_words: f64,
    /// Words in all.
    pub words: usize,
    /// Different words.
    pub unique_words: usize,
    /// Different words in percent of all words. It falls as texts are added, so compare `alike` where their number differs.
    pub unique_share: f64,
    /// The same over as many texts as the smallest of the compared sets has, evenly spaced.
    pub alike: Option<Alike>,
}

/// The share of different words over a part of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alike {
    /// Texts.
    pub texts: usize,
    /// Different words.
    pub unique_words: usize,
    /// Different words in percent of all words.
    pub unique_share: f64,
}

/// Counts texts.
#[derive(Clone, Debug, Default)]
struct Counter {
    texts: usize,
    characters: usize,
    words: usize,
    unique: HashSet<String>,
    images: HashSet<String>,
}

impl Counter {
    fn add(&mut self, text: &str) {
        self.texts += 1;
        self.characters += text.chars().count();
        for word in words(text) {
            self.words += 1;
            if !self.unique.contains(&word) {
                self.unique.insert(word);
            }
        }
    }

    fn image(&mut self, name: &str) {
        if !self.images.contains(name) {
            self.images.insert(name.to_owned());
        }
    }

    /// An image's caption; the first that is no empty text counts.
    fn caption(&mut self, name: &str, caption: &str) {
        if !caption.trim().is_empty() && !self.images.contains(name) {
            self.image(name);
            self.add(caption);
        }
    }

    fn share(&self) -> f64 {
        100.0 * self.unique.len() as f64 / self.words.max(1) as f64
    }

    fn finish(self, name: &str, alike: Option<Self>) -> Statistics {
        let mean = |sum: usize| sum as f64 / self.texts.max(1) as f64;
        let alike =
            alike.map(|part| Alike { texts: part.texts, unique_words: part.unique.len(), unique_share: part.share() });
        Statistics {
            name: name.to_owned(),
            texts: self.texts,
            images: self.images.len(),
            mean_characters: mean(self.characters),
            mean_words: mean(self.words),
            words: self.words,
            unique_words: self.unique.len(),
            unique_share: self.share(),
            alike,
        }
    }
}

/// Whether text number `at` of `all` is among `part` evenly spaced ones.
fn among(at: usize, all: usize, part: usize) -> bool {
    (at + 1) * part / all.max(1) > at * part / all.max(1)
}

/// Table I: the generated texts, those back, a person's, and the captions behind them (FACap's Table 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableOne {
    /// A row a set of texts.
    pub rows: Vec<Statistics>,
}

/// What is counted in the first pass over a file.
#[derive(Default)]
struct Counted {
    made: Counter,
    back: Counter,
    captions: Counter,
}

impl Counted {
    fn of_file(path: &Path) -> Result<(Self, Complaints)> {
        let (mut complaints, mut counted) = (Complaints::default(), Self::default());
        texts::each(path, &mut |at, _, row| {
            match row {
                Ok(row) => counted.row(&row),
                Err(problem) => complaints.push(format!("{}, {at}", path.display()), format!("{problem}; left out")),
            }
            Ok(())
        })?;
        complaints.refuse_all(path, counted.made.texts, "give a file of `thisbut generator generate`")?;
        Ok((counted, complaints))
    }

    fn row(&mut self, row: &texts::Text) {
        self.made.add(&row.modifier_generated);
        row.modifier_reversed.iter().for_each(|text| self.back.add(text));
        for (name, caption) in [(&row.reference, &row.reference_caption), (&row.target, &row.target_caption)] {
            self.made.image(name);
            self.back.image(name);
            self.captions.caption(name, caption.as_deref().unwrap_or_default());
        }
    }
}

/// Table I of a file's texts, beside an annotated table's. Captions are those of a file of `thisbut describe`, or those that the
/// texts' own rows have, each image's once.
///
/// # Errors
/// When a file cannot be read or has no usable line.
pub fn table_one(
    path: &Path,
    annotated: Option<(&str, &Table)>,
    described: Option<&Path>,
) -> Result<(TableOne, Complaints)> {
    let (Counted { made, back, captions }, mut complaints) = Counted::of_file(path)?;
    let own = annotated.map_or(usize::MAX, |(_, table)| table.triplets.len());
    // A second pass takes as many texts of each as the smallest set has.
    let part = own.min(made.texts).min(if back.texts > 0 { back.texts } else { usize::MAX });
    let (some_made, some_back) = parts(path, (&made, &back), part)?;
    let mut rows = vec![made.finish("generated", Some(some_made))];
    if back.texts > 0 {
        rows.push(back.finish("generated, the way back", Some(some_back)));
    }
    rows.extend(annotated.map(|(name, table)| person(name, table, part)));
    let captions = match described {
        Some(file) => of_captions(file, &mut complaints)?,
        None => captions,
    };
    if captions.texts > 0 {
        rows.push(captions.finish("captions", None));
    }
    Ok((TableOne { rows }, complaints))
}

/// The second pass: `part` of the texts and of those back, evenly spaced.
fn parts(path: &Path, (made, back): (&Counter, &Counter), part: usize) -> Result<(Counter, Counter)> {
    let (mut some_made, mut some_back) = (Counter::default(), Counter::default());
    let (mut at, mut at_back) = (0, 0);
    texts::each(path, &mut |_, _, row| {
        let Ok(row) = row else { return Ok(()) };
        if among(at, made.texts, part) {
            some_made.add(&row.modifier_generated);
        }
        at += 1;
        if let Some(text) = &row.modifier_reversed {
            if among(at_back, back.texts, part) {
                some_back.add(text);
            }
            at_back += 1;
        }
        Ok(())
    })?;
    Ok((some_made, some_back))
}

/// A person's texts.
fn person(name: &str, table: &Table, part: usize) -> Statistics {
    let (mut person, mut some_person) = (Counter::default(), Counter::default());
    for (at, triplet) in table.triplets.iter().enumerate() {
        person.add(&triplet.text);
        if among(at, table.triplets.len(), part) {
            some_person.add(&triplet.text);
        }
        for image in triplet.targets.iter().take(1).chain([&triplet.reference]) {
            table.images.get(*image as usize).iter().for_each(|entry| person.image(&entry.name));
        }
    }
    person.finish(name, Some(some_person))
}

/// The captions of a file.
fn of_captions(path: &Path, complaints: &mut Complaints) -> Result<Counter> {
    let (found, wrong) = captions::load(path)?;
    wrong.into_iter().for_each(|complaint| complaints.push(complaint.place, complaint.problem));
    let mut counter = Counter::default();
    found.values().for_each(|caption| counter.caption(&caption.image, &caption.caption));
    Ok(counter)
}

impl fmt::Display for TableOne {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<26}{:>9}{:>9}{:>12}{:>8}", "", "texts", "images", "characters", "words")?;
        writeln!(f, "{:>15}{:>9}   {:>22}", "unique words", "share", "share, equal texts")?;
        for row in &self.rows {
            write!(f, "{:<26}{:>9}{:>9}", row.name, row.texts, row.images)?;
            write!(f, "{:>12.2}{:>8.2}{:>15}", row.mean_characters, row.mean_words, row.unique_words)?;
            let alike = row.alike.map_or_else(String::new, |a| format!("{:.2} % of {}", a.unique_share, a.texts));
            writeln!(f, "{:>7.2} %   {alike:>22}", row.unique_share)?;
        }
        writeln!(
            f,
            "A word is what stands between white space, in lower case; the share is of all words. More texts give a \
             smaller share, so the last column takes equally many."
        )
    }
}
