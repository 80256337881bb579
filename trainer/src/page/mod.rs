//! Per-query results as one HTML page with pictures, for looking at what a model gets right and wrong; two runs side by
//! side. Every page needs nothing but itself: styles and pictures are inside. This one has no script; the pages that people
//! fill in ([`judge`]) have one, inside too.

mod html;
pub mod judge;
mod pictures;
pub mod samples;

use crate::data::Complaint;
use crate::data::json_rows;
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::evaluate::Answer;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// One evaluation's per-query results.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name on the page.
    pub name: String,
    /// One answer a query.
    pub answers: Vec<Answer>,
}

impl Run {
    /// Reads what `thisbut evaluate --per-query` wrote; broken lines become complaints.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable line.
    pub fn read(path: &Path) -> Result<(Self, Vec<Complaint>)> {
        let (mut answers, mut complaints) = (Vec::new(), Vec::new());
        for (at, row) in json_rows::lines::<Answer>(path)? {
            match row {
                Ok(answer) => answers.push(answer),
                Err(problem) => complaints.push(Complaint::left_out(path, at, problem)),
            }
        }
        if answers.is_empty() {
            let first = complaints.first().map_or_else(|| "the file is empty".to_owned(), ToString::to_string);
            let mend = "give a file of thisbut evaluate --per-query";
            return Err(TrainerError::data(path.display().to_string(), format!("has no answers ({first})"), mend));
        }
        let name = path.file_stem().map_or_else(|| path.display().to_string(), |s| s.to_string_lossy().into_owned());
        Ok((Self { name, answers }, complaints))
    }
}

impl Run {
    /// Checks that the queries are those of `table`, which `place` names: their images, and of those with a text their numbers
    /// with their references. A text may have been asked in a prompt.
    ///
    /// # Errors
    /// [`TrainerError::Data`] when an image is none of the table's, or most queries are none: the results are of another data set
    /// or split.
    pub fn check(&self, table: &Table, place: &str) -> Result<()> {
        let refused = |problem: String| {
            Err(TrainerError::data(&self.name, problem, "give the --dataset and the --split that were evaluated"))
        };
        let images: HashSet<&str> = table.images.iter().map(|image| image.name.as_str()).collect();
        let foreign =
            |a: &Answer| a.targets.iter().chain([&a.reference]).find(|name| !images.contains(name.as_str())).cloned();
        let all = self.answers.len();
        let foreign: Vec<String> = self.answers.iter().filter_map(foreign).collect();
        if let Some(first) = foreign.first() {
            return refused(format!(
                "{} of {all} queries are about images that {place} has not ('{first}')",
                foreign.len()
            ));
        }
        let own: HashSet<(u64, &str)> =
            table.triplets.iter().map(|triplet| (triplet.id, table.image_name(triplet.reference))).collect();
        let with_text = self.answers.iter().filter(|answer| !answer.text.is_empty());
        let (known, others): (Vec<_>, Vec<_>) =
            with_text.partition(|answer| own.contains(&(answer.id, answer.reference.as_str())));
        match others.first() {
            Some(first) if others.len() > known.len() => refused(format!(
                "{} of {all} queries are none of {place} (query {}, '{}')",
                others.len(),
                first.id,
                first.text
            )),
            _ => Ok(()),
        }
    }
}

/// What counted in a query: a line about its words, and pictures of its reference with their captions, as PNG.
#[derive(Clone, Debug, Default)]
pub struct Reasons {
    /// For people.
    pub words: String,
    /// The whole query's first, then each phrase's.
    pub pictures: Vec<(String, Vec<u8>)>,
}

/// What the page shows.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// What counted in some queries, by their number.
    pub reasons: Option<&'a HashMap<u64, Reasons>>,
    /// Its heading.
    pub title: &'a str,
    /// Queries in each list.
    pub count: usize,
    /// Images of each ranking.
    pub top: usize,
}

/// A query that the page shows: its answer in each run.
type Shown<'a> = Vec<&'a Answer>;

/// The page: figures of each run, and of one run its worst and best queries, of two runs those that the second finds
/// better and worse than the first. `files` gives image files by name; an image without a usable file is shown by its name.
///
/// # Errors
/// When there is neither one run nor two, and when two runs share no query.
pub fn page(runs: &[Run], files: &HashMap<String, PathBuf>, options: &Options) -> Result<String> {
    let lists = lists(runs, options.count)?;
    let mut names: Vec<&str> = Vec::new();
    for answer in lists.iter().flat_map(|(_, shown)| shown.iter().flatten()) {
        names.push(&answer.reference);
        names.extend(answer.targets.iter().take(html::TARGETS).map(String::as_str));
        names.extend(answer.top.iter().take(options.top).map(|(name, _)| name.as_str()));
    }
    let pictures = pictures::Pictures::new(&names, files);
    Ok(html::page(runs, &lists, &pictures, options))
}

/// The answers that [`page`] shows, each query once.
///
/// # Errors
/// As [`page`].
pub fn shown(runs: &[Run], count: usize) -> Result<Vec<&Answer>> {
    let mut known = HashSet::new();
    let all =
        lists(runs, count)?.into_iter().flat_map(|(_, shown)| shown).filter_map(|answers| answers.first().copied());
    Ok(all.filter(|answer| known.insert(answer.id)).collect())
}

fn lists(runs: &[Run], count: usize) -> Result<Vec<(String, Vec<Shown<'_>>)>> {
    match runs {
        [run] => Ok(of_one(run, count)),
        [first, second] => of_two(first, second, count),
        _ => {
            let problem = format!("{} runs", runs.len());
            Err(TrainerError::settings("the page", problem, "give the per-query file of one run, or of two"))
        }
    }
}

fn of_one(run: &Run, count: usize) -> Vec<(String, Vec<Shown<'_>>)> {
    let mut ranked: Vec<(usize, &Answer)> = run.answers.iter().filter_map(|a| Some((a.rank?, a))).collect();
    // Among equal ranks the clearest lead is the best, and the smallest the worst.
    ranked.sort_by(|(a, left), (b, right)| {
        a.cmp(b).then(lead(right).total_cmp(&lead(left))).then(left.id.cmp(&right.id))
    });
    let best = ranked.iter().take(count).map(|(_, answer)| vec![*answer]).collect();
    let worst = ranked.iter().rev().take(count).map(|(_, answer)| vec![*answer]).collect();
    vec![("Worst queries".to_owned(), worst), ("Best queries".to_owned(), best)]
}

/// By how much the first image is ahead of the second.
fn lead(answer: &Answer) -> f32 {
    match answer.top.as_slice() {
        [(_, first), (_, second), ..] => first - second,
        _ => 0.0,
    }
}

fn of_two<'a>(first: &'a Run, second: &'a Run, count: usize) -> Result<Vec<(String, Vec<Shown<'a>>)>> {
    let known: BTreeMap<u64, &Answer> = first.answers.iter().map(|a| (a.id, a)).collect();
    let mut pairs: Vec<(f64, &Answer, &Answer)> = Vec::new();
    for answer in &second.answers {
        if let Some(before) = known.get(&answer.id)
            && let (Some(a), Some(b)) = (before.rank, answer.rank)
        {
            // In logarithms: from 9th to 1st says more than from 900th to 800th.
            pairs.push((((a + 1) as f64 / (b + 1) as f64).ln(), before, answer));
        }
    }
    if pairs.is_empty() {
        let problem = format!("'{}' and '{}' share no query", first.name, second.name);
        return Err(TrainerError::data("the page", problem, "give two evaluations of the same split"));
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.id.cmp(&b.1.id)));
    let shown = |(_, a, b): &(f64, &'a Answer, &'a Answer)| vec![*a, *b];
    let better = pairs.iter().filter(|(gain, ..)| *gain > 0.0).take(count).map(shown).collect();
    let worse = pairs.iter().rev().filter(|(gain, ..)| *gain < 0.0).take(count).map(shown).collect();
    Ok(vec![
        (format!("Queries that {} answers better than {}", second.name, first.name), better),
        (format!("Queries that {} answers worse than {}", second.name, first.name), worse),
    ])
}

#[cfg(test)]
mod tests;
