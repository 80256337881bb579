//! CIRR's recall metrics, for queries with one or several right targets, with 95 % confidence intervals over queries.
//!
//! As published: the reference is removed from the ranking, the rest is ordered by falling score (a stable sort of
//! distances, so equal scores stand in gallery order), and a query hits at K when a right target is among the first K.
//! R_subset ranks the five other members of the query's subset by themselves. Avg is (R@5 + R_subset@1) / 2.
//! A score that is not a number counts as the lowest.

use crate::error::{Result, TrainerError};
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

/// The cut-offs of R@K.
pub const RECALL_AT: [usize; 4] = [1, 5, 10, 50];
/// The cut-offs of R_subset@K.
pub const SUBSET_AT: [usize; 3] = [1, 2, 3];
const RESAMPLES: usize = 1000;
const SEED: u64 = 0x7415_b007;
const Z95: f64 = 1.959_963_985;

/// A query in gallery positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The reference, which is not ranked.
    pub exclude: Option<u32>,
    /// Right targets; any of them is a hit.
    pub right: Vec<u32>,
    /// Subset members without the reference; may be empty.
    pub subset: Vec<u32>,
    /// The group that it is also reported under.
    pub group: Option<String>,
}

/// Recall in percent. Subset figures are `None` when no query has a subset.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recall {
    /// Queries counted.
    pub n: usize,
    /// R@1.
    pub r1: f64,
    /// R@5.
    pub r5: f64,
    /// R@10.
    pub r10: f64,
    /// R@50.
    pub r50: f64,
    /// R_subset@1.
    pub rs1: Option<f64>,
    /// R_subset@2.
    pub rs2: Option<f64>,
    /// R_subset@3.
    pub rs3: Option<f64>,
    /// (R@5 + R_subset@1) / 2.
    pub avg: Option<f64>,
    /// 95 % intervals `[low, high]` by figure name ("r1" … "avg"): Wilson for the recalls, bootstrap for Avg.
    pub ci: BTreeMap<String, [f64; 2]>,
}

impl Recall {
    /// The mean of the figures at hand (R@1/5/10/50, R_subset@1/2/3), by which CIRR's methods choose their checkpoint.
    pub fn selection(&self) -> f64 {
        let figures: Vec<f64> =
            [Some(self.r1), Some(self.r5), Some(self.r10), Some(self.r50), self.rs1, self.rs2, self.rs3]
                .into_iter()
                .flatten()
                .collect();
        figures.iter().sum::<f64>() / figures.len().max(1) as f64
    }

    /// Each figure by name, in the order of the papers' tables.
    pub fn figures(&self) -> [(&'static str, Option<f64>); 8] {
        [
            ("r1", Some(self.r1)),
            ("r5", Some(self.r5)),
            ("r10", Some(self.r10)),
            ("r50", Some(self.r50)),
            ("rs1", self.rs1),
            ("rs2", self.rs2),
            ("rs3", self.rs3),
            ("avg", self.avg),
        ]
    }
}

/// Zero-based ranks of one query.
#[derive(Clone, Copy, Debug)]
struct Ranks {
    all: usize,
    subset: Option<usize>,
}

/// Collects one query at a time.
#[derive(Clone, Debug, Default)]
pub struct Accumulator {
    ranks: Vec<Ranks>,
    groups: BTreeMap<String, Vec<usize>>,
    without_target: usize,
}

impl Accumulator {
    /// Nothing collected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a query by its scores over the gallery (higher is better) and returns the zero-based rank of its best right
    /// target; `None` when it has no right target, in which case it is counted in [`Accumulator::without_target`] only.
    /// Fails when a position lies outside the gallery.
    pub fn add(&mut self, scores: &[f32], query: &Query) -> Result<Option<usize>> {
        let positions = query.exclude.iter().chain(&query.right).chain(&query.subset);
        if let Some(bad) = positions.into_iter().find(|p| **p as usize >= scores.len()) {
            return Err(TrainerError::data(
                "evaluation",
                format!("gallery position {bad} for {} scores", scores.len()),
                "compute one score for each gallery image",
            ));
        }
        let Some(all) = rank(scores, 0..scores.len() as u32, query) else {
            self.without_target += 1;
            return Ok(None);
        };
        let subset = rank(scores, query.subset.iter().copied(), query);
        if let Some(group) = &query.group {
            self.groups.entry(group.clone()).or_default().push(self.ranks.len());
        }
        self.ranks.push(Ranks { all, subset });
        Ok(Some(all))
    }

    /// Queries that had no right target in the gallery.
    pub fn without_target(&self) -> usize {
        self.without_target
    }

    /// The figures over all queries; `None` when there are none.
    pub fn overall(&self) -> Option<Recall> {
        recall(&self.ranks)
    }

    /// The figures of each group, by name.
    pub fn groups(&self) -> BTreeMap<String, Recall> {
        let of = |members: &Vec<usize>| {
            recall(&members.iter().filter_map(|i| self.ranks.get(*i).copied()).collect::<Vec<_>>())
        };
        self.groups.iter().filter_map(|(name, members)| Some((name.clone(), of(members)?))).collect()
    }
}

/// How many of `among` stand before the best right target in the ranking; `None` when no right target is in it.
fn rank(scores: &[f32], among: impl Iterator<Item = u32> + Clone, query: &Query) -> Option<usize> {
    let score = |at: u32| match scores.get(at as usize) {
        Some(s) if !s.is_nan() => *s,
        _ => f32::NEG_INFINITY,
    };
    // Higher score first, then lower position.
    let before = |a: u32, b: u32| score(a) > score(b) || (score(a) == score(b) && a < b);
    let ranked = among.filter(|at| Some(*at) != query.exclude);
    let best = ranked.clone().filter(|at| query.right.contains(at)).reduce(|a, b| if before(b, a) { b } else { a })?;
    Some(ranked.filter(|at| before(*at, best)).count())
}

fn recall(ranks: &[Ranks]) -> Option<Recall> {
    if ranks.is_empty() {
        return None;
    }
    let n = ranks.len();
    let with_subset: Vec<usize> = ranks.iter().filter_map(|r| r.subset).collect();
    let mut ci = BTreeMap::new();
    let at = RECALL_AT.map(|k| {
        let hits = ranks.iter().filter(|r| r.all < k).count();
        ci.insert(format!("r{k}"), wilson(hits, n));
        percent(hits, n)
    });
    let subset = SUBSET_AT.map(|k| {
        let hits = with_subset.iter().filter(|r| **r < k).count();
        (!with_subset.is_empty()).then(|| {
            ci.insert(format!("rs{k}"), wilson(hits, with_subset.len()));
            percent(hits, with_subset.len())
        })
    });
    let [r1, r5, r10, r50] = at;
    let [rs1, rs2, rs3] = subset;
    let avg = rs1.map(|s| {
        ci.insert("avg".into(), bootstrap_avg(ranks));
        (r5 + s) / 2.0
    });
    Some(Recall { n, r1, r5, r10, r50, rs1, rs2, rs3, avg, ci })
}

fn percent(hits: usize, n: usize) -> f64 {
    100.0 * hits as f64 / n.max(1) as f64
}

/// Wilson's 95 % score interval of a proportion, in percent.
pub fn wilson(hits: usize, n: usize) -> [f64; 2] {
    let (n, p) = (n.max(1) as f64, hits as f64 / n.max(1) as f64);
    let z2 = Z95 * Z95 / n;
    let middle = (p + z2 / 2.0) / (1.0 + z2);
    let half = Z95 * (p * (1.0 - p) / n + z2 / (4.0 * n)).sqrt() / (1.0 + z2);
    [100.0 * (middle - half).max(0.0), 100.0 * (middle + half).min(1.0)]
}

/// Percentile bootstrap of Avg over queries, seeded, so that the same ranks give the same interval.
fn bootstrap_avg(ranks: &[Ranks]) -> [f64; 2] {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(SEED);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let (mut five, mut one, mut subsets) = (0usize, 0usize, 0usize);
            for _ in 0..ranks.len() {
                if let Some(r) = ranks.get(rng.random_range(0..ranks.len())) {
                    five += usize::from(r.all < 5);
                    subsets += usize::from(r.subset.is_some());
                    one += usize::from(r.subset == Some(0));
                }
            }
            (percent(five, ranks.len()) + percent(one, subsets)) / 2.0
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means.get((share * (RESAMPLES - 1) as f64).round() as usize).copied().unwrap_or_default();
    [at(0.025), at(0.975)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Case {
        scores: Vec<f32>,
        reference: u32,
        targets: Vec<u32>,
        members: Vec<u32>,
    }
    #[derive(serde::Deserialize)]
    struct Golden {
        queries: Vec<Case>,
        recall: BTreeMap<String, f64>,
    }

    #[test]
    fn the_published_evaluator_gives_the_same_figures() {
        let golden: Golden = serde_json::from_str(include_str!("../tests/golden/metrics.json")).unwrap();
        let mut sums = Accumulator::new();
        for case in &golden.queries {
            let subset = case.members.iter().copied().filter(|m| *m != case.reference).collect();
            let query = Query { exclude: Some(case.reference), right: case.targets.clone(), subset, group: None };
            sums.add(&case.scores, &query).unwrap();
        }
        let got = sums.overall().unwrap();
        for (name, value) in got.figures() {
            assert!((value.unwrap() - golden.recall[name]).abs() < 1e-9, "{name}: {value:?} {}", golden.recall[name]);
            let [low, high] = got.ci[name];
            assert!(low <= value.unwrap() && value.unwrap() <= high && high - low < 20.0, "{name} {low} {high}");
        }
    }

    fn query(right: &[u32]) -> Query {
        Query { exclude: Some(0), right: right.to_vec(), subset: vec![1, 2, 3], group: Some("g".into()) }
    }

    #[test]
    fn ties_references_and_nan() {
        let mut sums = Accumulator::new();
        assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[2])).unwrap(), Some(1), "a tie stands in gallery order");
        assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[2, 1])).unwrap(), Some(0), "any right target");
        assert_eq!(sums.add(&[9.0, 1.0, f32::NAN, -1.0], &query(&[2])).unwrap(), Some(2), "no number is the lowest");
        assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[0])).unwrap(), None, "the reference is never found");
        assert_eq!(sums.without_target(), 1);
        assert!(sums.add(&[1.0, 2.0], &query(&[1])).is_err(), "positions outside the gallery");
        assert_eq!(sums.overall().unwrap().n, 3);
        assert_eq!(sums.groups()["g"].n, 3);
        assert!((sums.overall().unwrap().r1 - 100.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn without_subsets_there_are_no_subset_figures() {
        let mut sums = Accumulator::new();
        sums.add(&[0.1, 0.2], &Query { right: vec![1], ..Query::default() }).unwrap();
        let got = sums.overall().unwrap();
        assert_eq!((got.r1, got.rs1, got.avg, got.selection()), (100.0, None, None, 100.0));
        assert!(Accumulator::new().overall().is_none());
        let [low, high] = wilson(50, 100);
        assert!((low - 40.383).abs() < 1e-3 && (high - 59.617).abs() < 1e-3, "{low} {high}");
    }
}
