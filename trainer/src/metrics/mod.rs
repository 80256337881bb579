//! The data sets' own retrieval metrics, over one query's scores at a time.
//!
//! | protocol | reference in the ranking | candidates | figures |
//! |---|---|---|---|
//! | CIRR (and the generic formats) | removed | the gallery | R@1/5/10/50, R_subset@1/2/3, Avg = (R@5 + R_subset@1) / 2, the mean of R@1/5/10/50 |
//! | FashionIQ | stays | the category's gallery | R@10/50 and Avg = (R@10 + R@50) / 2 a category, then the categories' mean |
//! | CIRCO | stays | the gallery | mAP@5/10/25/50 over all ground truths, R@K of the first one |
//! | GeneCIS | is not among them | each query's own | R@1/2/3 a task, then the tasks' mean |
//!
//! Candidates are ordered by falling score; see [`rank`] for equal scores. A query hits at K when a right target is among
//! the first K. Which targets are right, [`RightTargets`] says.

pub mod agreement;
pub mod rank;
mod recall;

use crate::error::{Result, TrainerError};
pub use recall::{Figure, Recall, sign_test, wilson};
use std::collections::BTreeMap;

/// The cut-offs of R@K.
pub const RECALL_AT: [usize; 4] = [1, 5, 10, 50];
/// The cut-offs of R_subset@K.
pub const SUBSET_AT: [usize; 3] = [1, 2, 3];
/// The cut-offs of mAP@K.
pub const AVERAGE_PRECISION_AT: [usize; 4] = [5, 10, 25, 50];

/// How a data set's published evaluator ranks and counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// CIRR's; also that of data sets without an evaluator of their own.
    #[default]
    Cirr,
    /// FashionIQ's.
    FashionIq,
    /// CIRCO's.
    Circo,
    /// GeneCIS's.
    GeneCis,
}

/// Which of a query's targets are right answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum RightTargets {
    /// Every target that the data set calls right, CIRR's soft targets too.
    #[default]
    All,
    /// The hard target alone, as CIRR's server and the published code (SPRC, MTST_PTHA) count on CIRR.
    Hard,
}

impl RightTargets {
    /// What a report's title says of it.
    pub fn words(self) -> &'static str {
        match self {
            Self::All => "every right target counts",
            Self::Hard => "hard targets only",
        }
    }
}

impl Protocol {
    /// What is not ranked of a query that starts from `reference`, a gallery position: the reference itself where the data
    /// set leaves it out. The engine's rule for visitors is `thisbut_model::engine::Engine::excluded`.
    pub fn excluded(self, reference: Option<u32>) -> Option<u32> {
        reference.filter(|_| self == Self::Cirr)
    }

    /// Whether the published total is the mean over groups rather than over queries.
    pub fn averages_groups(self) -> bool {
        matches!(self, Self::FashionIq | Self::GeneCis)
    }
}

/// A query in gallery positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// The reference, where it is not ranked.
    pub exclude: Option<u32>,
    /// Right targets; any of them is a hit. The hard target comes first.
    pub right: Vec<u32>,
    /// How many right targets there are, those outside the gallery counted too: mAP divides by it.
    pub relevant: usize,
    /// The candidates, in the data set's order; `None` when all of the gallery is ranked.
    pub pool: Option<Vec<u32>>,
    /// Subset members without the reference; may be empty.
    pub subset: Vec<u32>,
    /// The group that it is also reported under.
    pub group: Option<String>,
    /// Further groups, which may overlap (CIRCO's semantic aspects).
    pub aspects: Vec<String>,
}

/// What one query adds to the figures.
#[derive(Clone, Copy, Debug)]
struct Ranks {
    /// Zero-based rank that R@K counts.
    all: usize,
    /// Zero-based rank in the subset.
    subset: Option<usize>,
    /// Average precision at [`AVERAGE_PRECISION_AT`].
    precision: [f64; 4],
}

/// Collects one query at a time.
#[derive(Clone, Debug, Default)]
pub struct Accumulator {
    protocol: Protocol,
    ranks: Vec<Ranks>,
    groups: BTreeMap<String, Vec<usize>>,
    without_target: usize,
}

impl Accumulator {
    /// Nothing collected yet, by CIRR's protocol.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing collected yet.
    pub fn with(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }

    /// Adds a query by its scores over the gallery (higher is better) and returns the zero-based rank of its best right
    /// target; `None` when it has no right target, in which case it is counted in [`Accumulator::without_target`] only.
    /// Fails when a position lies outside the gallery, and when a score is not finite: such a model ranks nothing.
    pub fn add(&mut self, scores: &[f32], query: &Query) -> Result<Option<usize>> {
        let pool = query.pool.iter().flatten();
        let positions = query.exclude.iter().chain(&query.right).chain(&query.subset).chain(pool);
        if let Some(bad) = positions.into_iter().find(|p| **p as usize >= scores.len()) {
            return Err(TrainerError::data(
                "evaluation",
                format!("gallery position {bad} for {} scores", scores.len()),
                "compute one score for each gallery image",
            ));
        }
        if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
            let problem = format!("the score of gallery image {at} is {}", scores[at]);
            return Err(TrainerError::data("evaluation", problem, "use a checkpoint whose training stayed finite"));
        }
        let found = rank::over_all(scores, query);
        let Some(best) = found.first().copied() else {
            self.without_target += 1;
            return Ok(None);
        };
        let counted = match (self.protocol, query.right.first()) {
            // CIRCO's recall knows one target: the image that the text was written for.
            (Protocol::Circo, Some(target)) => rank::of_target(scores, query, *target).unwrap_or(usize::MAX),
            _ => best,
        };
        for group in query.group.iter().chain(&query.aspects) {
            self.groups.entry(group.clone()).or_default().push(self.ranks.len());
        }
        self.ranks.push(Ranks {
            all: counted,
            subset: rank::over_subset(scores, query),
            precision: AVERAGE_PRECISION_AT.map(|k| average_precision(&found, query.relevant, k)),
        });
        Ok(Some(best))
    }

    /// Queries that had no right target in the gallery.
    pub fn without_target(&self) -> usize {
        self.without_target
    }

    /// The published total: over all queries, or the mean over groups where the protocol says so. `None` without queries.
    pub fn overall(&self) -> Option<Recall> {
        if self.protocol.averages_groups() && !self.groups.is_empty() {
            let groups = self.groups();
            return recall::mean(&groups.values().collect::<Vec<_>>());
        }
        recall::recall(self.protocol, &self.ranks)
    }

    /// The figures of each group, by name.
    pub fn groups(&self) -> BTreeMap<String, Recall> {
        let of = |members: &Vec<usize>| {
            let ranks: Vec<Ranks> = members.iter().filter_map(|i| self.ranks.get(*i).copied()).collect();
            recall::recall(self.protocol, &ranks)
        };
        self.groups.iter().filter_map(|(name, members)| Some((name.clone(), of(members)?))).collect()
    }
}

/// AP@K: the sum of the precision at each right target among the first `k`, divided by min(right targets, `k`).
/// `found` holds their zero-based ranks, ascending.
fn average_precision(found: &[usize], relevant: usize, k: usize) -> f64 {
    let hits = found.iter().take_while(|rank| **rank < k);
    // `sum` would give -0 where nothing hits.
    let sum = hits.enumerate().fold(0.0, |sum, (before, rank)| sum + (before + 1) as f64 / (rank + 1) as f64);
    sum / relevant.max(found.len()).min(k).max(1) as f64
}

#[cfg(test)]
mod tests;
