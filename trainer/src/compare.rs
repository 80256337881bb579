//! Several runs on the same queries: recall as mean and deviation over seeds, and paired tests over the queries.
//!
//! A query counts at K with the share of the run's seeds that find a right target among the first K. Two runs are compared query
//! by query: by the exact two-sided sign test over the queries that one of them finds more often than the other, and by the
//! interval of the difference over 10,000 bootstrap samples of the queries, drawn with a fixed seed.

use crate::error::{Result, TrainerError};
use crate::evaluate::Answer;
use crate::metrics::sign_test;
use crate::page;
use crate::report::p_value;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The cut-offs.
const AT: [usize; 4] = [1, 5, 10, 50];
const SAMPLES: usize = 10_000;
const SEED: u64 = 0x7415_c03b;

/// A run with the results of its seeds.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name in the table.
    pub name: String,
    /// A file of `thisbut evaluate --per-query` for each seed.
    pub files: Vec<PathBuf>,
}

/// A figure over seeds, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// K of R@K.
    pub k: usize,
    /// The mean.
    pub mean: f64,
    /// The sample standard deviation; none of one seed.
    pub deviation: Option<f64>,
}

/// A run's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The run.
    pub name: String,
    /// Its seeds.
    pub seeds: usize,
    /// R@K.
    pub figures: Vec<Figure>,
}

/// A run against the first, at one K.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Paired {
    /// The run.
    pub name: String,
    /// K.
    pub k: usize,
    /// Its R@K minus the first run's, in points.
    pub difference: f64,
    /// The bootstrap's 95 % interval of that.
    pub interval: [f64; 2],
    /// Queries that it finds more often.
    pub better: usize,
    /// Queries that it finds less often.
    pub worse: usize,
    /// The sign test's p.
    pub p: f64,
}

/// The whole comparison; `Display` prints the tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// Queries that have a right target in the gallery.
    pub queries: usize,
    /// One row a run, in the order given.
    pub rows: Vec<Row>,
    /// Every run but the first, at every K.
    pub paired: Vec<Paired>,
}

/// What tells a query from the others.
type Key = (u64, String, String);

/// Compares `groups`.
///
/// # Errors
/// When a file has no answers, or the files are not about the same queries.
pub fn compare(groups: &[Group]) -> Result<Compared> {
    let mut read = Vec::new();
    for group in groups {
        let seeds = group.files.iter().map(|file| ranks(file)).collect::<Result<Vec<_>>>()?;
        read.push((group, seeds));
    }
    let first = read.first().and_then(|(group, seeds)| Some((group.files.first()?, seeds.first()?)));
    let Some((place, keys)) = first else {
        return Err(TrainerError::settings("compare", "there is nothing to compare", "give files of --per-query"));
    };
    for (group, seeds) in &read {
        for (file, seed) in group.files.iter().zip(seeds) {
            same_queries((place, keys), (file, seed))?;
        }
    }
    let shares: Vec<Vec<Vec<f64>>> = read.iter().map(|(_, seeds)| AT.map(|k| share(seeds, k)).to_vec()).collect();
    let rows = read.iter().map(|(group, seeds)| Row {
        name: group.name.clone(),
        seeds: seeds.len(),
        figures: AT.map(|k| figure(seeds, k)).to_vec(),
    });
    let mut paired = Vec::new();
    for ((group, _), own) in read.iter().zip(&shares).skip(1) {
        for (at, k) in AT.into_iter().enumerate() {
            paired.push(against(&group.name, k, &shares[0][at], &own[at]));
        }
    }
    Ok(Compared { queries: keys.len(), rows: rows.collect(), paired })
}

/// The rank of each query that has one.
fn ranks(file: &Path) -> Result<BTreeMap<Key, usize>> {
    let (run, complaints) = page::Run::read(file)?;
    if let Some(first) = complaints.first() {
        return Err(TrainerError::data(&first.place, &first.problem, "evaluate again: a part would not compare"));
    }
    let key = |a: &Answer| (a.id, a.reference.clone(), a.text.clone());
    Ok(run.answers.iter().filter_map(|a| Some((key(a), a.rank?))).collect())
}

fn same_queries(first: (&PathBuf, &BTreeMap<Key, usize>), other: (&PathBuf, &BTreeMap<Key, usize>)) -> Result<()> {
    let shared = other.1.keys().filter(|key| first.1.contains_key(*key)).count();
    match shared == first.1.len() && shared == other.1.len() && shared > 0 {
        true => Ok(()),
        false => Err(TrainerError::data(
            other.0.display().to_string(),
            format!(
                "shares {shared} of its {} queries with the {} of {}",
                other.1.len(),
                first.1.len(),
                first.0.display()
            ),
            "evaluate all runs on the same queries",
        )),
    }
}

/// Of each query the share of the seeds that find it at `k`.
fn share(seeds: &[BTreeMap<Key, usize>], k: usize) -> Vec<f64> {
    let Some(first) = seeds.first() else { return Vec::new() };
    let found = |key: &Key| seeds.iter().filter(|seed| seed.get(key).is_some_and(|rank| *rank < k)).count();
    first.keys().map(|key| found(key) as f64 / seeds.len() as f64).collect()
}

fn figure(seeds: &[BTreeMap<Key, usize>], k: usize) -> Figure {
    let recall = |seed: &BTreeMap<Key, usize>| {
        100.0 * seed.values().filter(|rank| **rank < k).count() as f64 / seed.len().max(1) as f64
    };
    let values: Vec<f64> = seeds.iter().map(recall).collect();
    let (n, mean) = (values.len() as f64, mean(&values));
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    Figure { k, mean, deviation: (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt()) }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn against(name: &str, k: usize, first: &[f64], other: &[f64]) -> Paired {
    let gains: Vec<f64> = other.iter().zip(first).map(|(b, a)| b - a).collect();
    let (better, worse) = (gains.iter().filter(|g| **g > 0.0).count(), gains.iter().filter(|g| **g < 0.0).count());
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut sample = || (0..gains.len()).map(|_| gains[random.random_range(0..gains.len())]).sum::<f64>();
    let mut means: Vec<f64> = (0..SAMPLES).map(|_| 100.0 * sample() / gains.len() as f64).collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[(share * (SAMPLES - 1) as f64).round() as usize];
    Paired {
        name: name.to_owned(),
        k,
        difference: 100.0 * mean(&gains),
        interval: [at(0.025), at(0.975)],
        better,
        worse,
        p: sign_test(better, worse),
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads: String = AT.iter().map(|k| format!("{:>15}", format!("R@{k}"))).collect();
        writeln!(f, "{:<24}{:>6}{heads}", format!("{} queries", self.queries), "seeds")?;
        for row in &self.rows {
            write!(f, "{:<24}{:>6}", row.name, row.seeds)?;
            for figure in &row.figures {
                let cell = match figure.deviation {
                    Some(deviation) => format!("{:.2} ±{deviation:.2}", figure.mean),
                    None => format!("{:.2}", figure.mean),
                };
                write!(f, "{cell:>15}")?;
            }
            writeln!(f)?;
        }
        let Some(first) = self.rows.first().filter(|_| !self.paired.is_empty()) else { return Ok(()) };
        writeln!(f, "\nagainst {}, query by query", first.name)?;
        for Paired { name, k, difference, interval: [low, high], better, worse, p } in &self.paired {
            writeln!(
                f,
                "{name:<24}R@{k:<4}{difference:>+7.2} [{low:+.2}, {high:+.2}]  {better} better, {worse} worse, p {}",
                p_value(*p)
            )?;
        }
        write!(
            f,
            "\nPercent over all queries, the rank being that of the best right target; ± is the standard deviation over seeds. \
             p: exact two-sided sign test over the queries that one side finds more often. [ ]: 95 % of {SAMPLES} bootstrap \
             samples of the queries, seed {SEED:#x}."
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn file(folder: &Path, name: &str, ranks: &[usize]) -> PathBuf {
        let path = folder.join(name);
        let line = |(id, rank): (u64, &usize)| {
            let (reference, text) = (format!("image {id}"), "in red".to_owned());
            serde_json::to_string(&Answer { id, reference, text, rank: Some(*rank), ..Answer::default() }).unwrap()
        };
        let lines: Vec<String> = (1..).zip(ranks).map(line).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        path
    }

    #[test]
    fn means_deviations_and_the_paired_test_are_as_by_hand() {
        let root = tempfile::tempdir().unwrap();
        let one = file(root.path(), "1", &[0, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
        let two = file(root.path(), "2", &[0, 0, 0, 9, 9, 9, 9, 9, 9, 9]);
        let three = file(root.path(), "3", &[9, 0, 0, 0, 0, 0, 0, 9, 9, 9]);
        let group = |name: &str, files: &[&PathBuf]| Group {
            name: name.into(),
            files: files.iter().map(|file| (*file).clone()).collect(),
        };
        let groups = [group("base", &[&one, &two]), group("ours", &[&three])];
        let found = compare(&groups).unwrap();
        assert_eq!(found, compare(&groups).unwrap(), "the draws are fixed");
        assert_eq!((found.queries, found.rows[0].seeds), (10, 2));
        let r1 = found.rows[0].figures[0];
        // 10 and 30 percent.
        assert!((r1.mean - 20.0).abs() < 1e-9 && (r1.deviation.unwrap() - 200.0f64.sqrt()).abs() < 1e-9, "{r1:?}");
        assert_eq!(found.rows[1].figures[0], Figure { k: 1, mean: 60.0, deviation: None });
        let paired = &found.paired[0];
        // Query 1 is lost, 2 and 3 are found by all seeds rather than by half, 4 to 7 are new.
        assert_eq!((paired.better, paired.worse), (6, 1));
        assert!((paired.difference - 40.0).abs() < 1e-9 && (paired.p - 2.0 * 8.0 / 128.0).abs() < 1e-12, "{paired:?}");
        let [low, high] = paired.interval;
        assert!(low < 20.0 && low > -10.0 && high > 60.0 && high < 90.0, "{paired:?}");
        assert_eq!(found.paired.len(), 4);
        let text = found.to_string();
        for part in ["20.00 ±14.14", "6 better, 1 worse, p = 0.125", "sign test", "bootstrap"] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn other_queries_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let (one, two) = (file(root.path(), "1", &[0, 1]), file(root.path(), "2", &[0, 1, 2]));
        let groups = [one, two].map(|file| Group { name: "x".into(), files: vec![file] });
        let problem = compare(&groups).unwrap_err().to_string();
        assert!(problem.contains("shares 2 of its 3 queries"), "{problem}");
        assert!(compare(&[]).is_err());
    }
}
