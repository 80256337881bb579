//! The paper's checks of generated texts: Table I, what the texts are made of, and Table IVc, retrieval with generated
//! texts in the place of a person's.
//!
//! Table I does not say what its words and lengths are. FashionIQ's training captions, whose figures it gives (4,253
//! different words, 54.90 on average, over 16,914 of 18,000 triplets), tell: the two captions joined by a space have 55.0
//! characters, and cut at white space, in lower case, with their punctuation, 4,439 different words (about 4,305 in a random
//! 16,914). Without punctuation it would be 4,002, in their own case 4,771. So a word here is what stands between white
//! space, in lower case, and the length is in characters; the length in words stands beside it.

use super::texts::{self, Complaints};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;
use thisbut_trainer::baselines::Method;
use thisbut_trainer::data::table::Table;
use thisbut_trainer::error::Result;
use thisbut_trainer::evaluate::{HALF, Scorer, Subject, evaluate};
use thisbut_trainer::metrics::sign_test;
use thisbut_trainer::report::{self, Report};

/// The words of a text as Table I counts them.
pub(super) fn words(text: &str) -> impl Iterator<Item = String> {
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

/// Table I: the generated texts, those back, and a person's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableOne {
    /// A row a set of texts.
    pub rows: Vec<Statistics>,
}

/// Table I of a file's texts, beside an annotated table's.
///
/// # Errors
/// When the file cannot be read or has no usable line.
pub fn table_one(path: &Path, annotated: Option<(&str, &Table)>) -> Result<(TableOne, Complaints)> {
    let (mut complaints, mut made, mut back) = (Complaints::default(), Counter::default(), Counter::default());
    texts::each(path, &mut |at, _, row| {
        match row {
            Ok(row) => {
                made.add(&row.modifier_generated);
                row.modifier_reversed.iter().for_each(|text| back.add(text));
                for name in [&row.reference, &row.target] {
                    made.image(name);
                    back.image(name);
                }
            }
            Err(problem) => complaints.push(format!("{}, {at}", path.display()), format!("{problem}; left out")),
        }
        Ok(())
    })?;
    complaints.refuse_all(path, made.texts, "give a file of `thisbut generator generate`")?;
    let mut person = Counter::default();
    let mut rows = Vec::new();
    let own = annotated.map_or(usize::MAX, |(_, table)| table.triplets.len());
    // A second pass takes as many texts of each as the smallest set has.
    let part = own.min(made.texts).min(if back.texts > 0 { back.texts } else { usize::MAX });
    let (mut some_made, mut some_back, mut some_person) = (Counter::default(), Counter::default(), Counter::default());
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
    rows.push(made.finish("generated", Some(some_made)));
    if back.texts > 0 {
        rows.push(back.finish("generated, the way back", Some(some_back)));
    }
    if let Some((name, table)) = annotated {
        for (at, triplet) in table.triplets.iter().enumerate() {
            person.add(&triplet.text);
            if among(at, own, part) {
                some_person.add(&triplet.text);
            }
            for image in triplet.targets.iter().take(1).chain([&triplet.reference]) {
                table.images.get(*image as usize).iter().for_each(|entry| person.image(&entry.name));
            }
        }
        rows.push(person.finish(name, Some(some_person)));
    }
    Ok((TableOne { rows }, complaints))
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

/// Table IVc: the same queries with a person's text and with the generated one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TableFour {
    /// Queries that have a generated text.
    pub queries: usize,
    /// Queries without one; they count nowhere.
    pub without_text: usize,
    /// With the person's text.
    pub original: Report,
    /// With the generated text.
    pub generated: Report,
    /// Queries whose target the generated text ranks higher.
    pub better: usize,
    /// Queries whose target it ranks lower.
    pub worse: usize,
    /// The sign test of both.
    pub p: f64,
}

/// The generated texts of a table's own pairs: (reference, first target) by name.
///
/// # Errors
/// When the file cannot be read.
pub fn texts_of(path: &Path, table: &Table) -> Result<HashMap<(u32, u32), String>> {
    let numbers: HashMap<&str, u32> = (0..).zip(&table.images).map(|(at, image)| (image.name.as_str(), at)).collect();
    let asked: HashSet<(u32, u32)> =
        table.triplets.iter().filter_map(|t| Some((t.reference, *t.targets.first()?))).collect();
    let mut found = HashMap::new();
    texts::each(path, &mut |_, _, row| {
        let Ok(row) = row else { return Ok(()) };
        let number = |name: &str| numbers.get(name).copied();
        if let (Some(reference), Some(target)) = (number(&row.reference), number(&row.target))
            && asked.contains(&(reference, target))
        {
            found.entry((reference, target)).or_insert(row.modifier_generated);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Keeps the queries that have a generated text; returns the table with a person's texts and the one with the generated.
pub fn both_texts(mut table: Table, found: &HashMap<(u32, u32), String>) -> (Table, Table) {
    let text = |t: &thisbut_trainer::data::Triplet| found.get(&(t.reference, *t.targets.first()?)).cloned();
    table.triplets.retain(|t| text(t).is_some());
    let mut generated = table.clone();
    for triplet in &mut generated.triplets {
        if let Some(text) = text(triplet) {
            triplet.text = text;
        }
    }
    (table, generated)
}

/// Evaluates both tables of [`both_texts`], which had `all` queries before.
///
/// # Errors
/// When an image or the device fails.
pub fn table_four(
    subject: &Subject,
    tables: (&Table, &Table),
    all: usize,
    scorer: &Scorer,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<TableFour> {
    let (original, generated) = tables;
    let count = original.triplets.len();
    let (first, before) = evaluate(subject, original, scorer, ("original text", HALF), &mut |done, all| {
        progress(done.min(all), 2 * all)
    })?;
    let (second, after) = evaluate(subject, generated, scorer, ("generated text", HALF), &mut |done, all| {
        progress(all + done.min(all), 2 * all)
    })?;
    let ranks = || before.iter().zip(&after).filter_map(|(a, b)| a.rank.zip(b.rank));
    let (better, worse) = (ranks().filter(|(a, b)| b < a).count(), ranks().filter(|(a, b)| b > a).count());
    Ok(TableFour {
        queries: count,
        without_text: all.saturating_sub(count),
        original: first,
        generated: second,
        better,
        worse,
        p: sign_test(better, worse),
    })
}

impl fmt::Display for TableFour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (original, generated) = (&self.original, &self.generated);
        let labels = [
            (original, Method::Composed, "original text"),
            (generated, Method::Composed, "generated text"),
            (original, Method::ImageOnly, "image only"),
            (original, Method::TextOnly, "original text only"),
            (generated, Method::TextOnly, "generated text only"),
            (original, Method::Averaged, "averaged, original text"),
            (generated, Method::Averaged, "averaged, generated text"),
        ];
        let row = |(of, method, label): (&'_ Report, Method, &'static str)| Some((label, of.overall(method)?.clone()));
        let rows: Vec<_> = labels.into_iter().filter_map(row).collect();
        let rows: Vec<_> = rows.iter().map(|(label, recall)| (*label, recall)).collect();
        let total = original.sections.first().map_or("all", |section| section.name.as_str());
        report::table(f, total, &rows)?;
        writeln!(f, "\nPercent; ± is half of the 95 % interval over queries.")?;
        write!(f, "The generated text ranks the target higher in {} queries, lower in {}", self.better, self.worse)?;
        writeln!(f, " (sign test: p {}).", report::p_value(self.p))?;
        if self.without_text > 0 {
            writeln!(f, "{} queries have no generated text and are not counted.", self.without_text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thisbut_trainer::data::table::{ImageEntry, Triplet};

    fn annotated() -> Table {
        let images = ["a", "b", "c"].map(|name| ImageEntry { name: name.into(), path: name.into() }).to_vec();
        let row = |id, reference, target, text: &str| Triplet {
            id,
            reference,
            targets: vec![target],
            text: text.into(),
            ..Triplet::default()
        };
        let triplets = vec![row(1, 0, 1, "Is red, is big"), row(2, 1, 2, "is blue")];
        Table { images, triplets, gallery: vec![0, 1, 2], ..Table::default() }
    }

    fn file(rows: &[(&str, &str, &str)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |(r, t, text): &(&str, &str, &str)| {
            serde_json::json!({"reference": r, "target": t, "modifier_generated": text}).to_string() + "\n"
        };
        std::fs::write(file.path(), rows.iter().map(line).collect::<String>() + "oops\n").unwrap();
        file
    }

    #[test]
    fn table_one_counts_as_the_paper_does() {
        let made = file(&[("a", "b", "Red red, red"), ("a", "c", "blue"), ("b", "c", "green"), ("c", "a", "green")]);
        let (table, complaints) = table_one(made.path(), Some(("annotated", &annotated()))).unwrap();
        assert_eq!((complaints.count, complaints.first[0].place.ends_with("line 5")), (1, true));
        let [generated, person] = &table.rows[..] else { panic!("{table:?}") };
        assert_eq!((generated.texts, generated.images, generated.words), (4, 3, 6));
        assert_eq!(
            (generated.unique_words, person.unique_words),
            (4, 4),
            "punctuation belongs to its word, case does not"
        );
        assert!((generated.unique_share - 400.0 / 6.0).abs() < 1e-9);
        assert_eq!((generated.mean_characters, generated.mean_words), (6.5, 1.5));
        // Two of the four texts, the second and the fourth.
        let alike = Alike { texts: 2, unique_words: 2, unique_share: 100.0 };
        assert_eq!(generated.alike, Some(alike));
        assert_eq!(person.alike.unwrap().texts, 2);
        let text = table.to_string();
        assert!(text.contains("66.67 %") && text.contains("100.00 % of 2"), "{text}");
        std::fs::write(made.path(), "").unwrap();
        assert!(table_one(made.path(), None).unwrap_err().to_string().contains("the file is empty"));
    }

    #[test]
    fn only_pairs_with_a_text_are_compared() {
        let made =
            file(&[("a", "c", "other pair"), ("b", "c", "now green"), ("b", "c", "twice"), ("x", "c", "unknown")]);
        let found = texts_of(made.path(), &annotated()).unwrap();
        let (original, generated) = both_texts(annotated(), &found);
        let texts = |table: &Table| table.triplets.iter().map(|t| (t.id, t.text.clone())).collect::<Vec<_>>();
        assert_eq!(texts(&original), [(2, "is blue".to_owned())]);
        assert_eq!(texts(&generated), [(2, "now green".to_owned())]);
    }
}
