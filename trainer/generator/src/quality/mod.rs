//! The papers' checks of generated texts: Table I of MTST and Table 1 of FACap, what the texts are made of, and Table IVc,
//! retrieval with generated texts in the place of a person's.

mod made_of;

use super::texts;
pub(super) use made_of::words;
pub use made_of::{Alike, Statistics, TableOne, table_one};
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
mod tests;
