//! The figures of many queries, with 95 % confidence intervals over queries.

use super::{AVERAGE_PRECISION_AT, Protocol, Ranks};
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;

const RESAMPLES: usize = 1000;
const SEED: u64 = 0x7415_b007;
const Z95: f64 = 1.959_963_985;

/// Recall and precision in percent. Figures that a data set's protocol does not have are `None`.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Recall {
    /// Queries counted.
    pub n: usize,
    /// R@1.
    pub r1: f64,
    /// R@2 (GeneCIS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// R@3 (GeneCIS).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r3: Option<f64>,
    /// R@5.
    pub r5: f64,
    /// R@10.
    pub r10: f64,
    /// R@25 (CIRCO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r25: Option<f64>,
    /// R@50.
    pub r50: f64,
    /// R_subset@1.
    pub rs1: Option<f64>,
    /// R_subset@2.
    pub rs2: Option<f64>,
    /// R_subset@3.
    pub rs3: Option<f64>,
    /// CIRR: (R@5 + R_subset@1) / 2. FashionIQ: (R@10 + R@50) / 2.
    pub avg: Option<f64>,
    /// CIRR: the mean of R@1, R@5, R@10 and R@50 (HyCIR's Avg).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// mAP@5 (CIRCO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map5: Option<f64>,
    /// mAP@10 (CIRCO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map10: Option<f64>,
    /// mAP@25 (CIRCO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map25: Option<f64>,
    /// mAP@50 (CIRCO).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map50: Option<f64>,
    /// 95 % intervals `[low, high]` by figure name ("r1" … "map50"): Wilson for the recalls, bootstrap for CIRR's Avg,
    /// normal for other means over queries; a mean over groups combines the groups' half widths.
    pub ci: BTreeMap<String, [f64; 2]>,
}

/// One figure of a [`Recall`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its name in tables.
    pub head: &'static str,
    /// Percent.
    pub value: Option<f64>,
}

impl Recall {
    /// The figure by which a data set's methods choose their checkpoint, and what it is: CIRR, Avg = (R@5 + R_subset@1) / 2
    /// (`all_of_cirr`: the mean of R@1/5/10/50 and R_subset@1/2/3, as SPRC's code does it); FashionIQ, Avg over the
    /// categories; CIRCO, mAP@5 and GeneCIS, R@1, their leading figures. What a CIRR-like data set has no subsets for is left
    /// out of its mean.
    ///
    /// # Panics
    /// When these are the figures of another protocol's queries.
    pub fn selection(&self, protocol: Protocol, all_of_cirr: bool) -> (&'static str, f64) {
        let recalls = [self.r1, self.r5, self.r10, self.r50];
        let mean = |figures: &[f64]| figures.iter().sum::<f64>() / figures.len().max(1) as f64;
        match (protocol, self.avg, [self.rs1, self.rs2, self.rs3]) {
            (Protocol::Cirr, _, [Some(rs1), Some(rs2), Some(rs3)]) if all_of_cirr => {
                ("mean of R@1/5/10/50 and R_subset@1/2/3", mean(&[&recalls[..], &[rs1, rs2, rs3]].concat()))
            }
            (Protocol::Cirr, Some(avg), _) if !all_of_cirr => ("(R@5 + R_subset@1) / 2", avg),
            (Protocol::Cirr, ..) => ("mean of R@1/5/10/50", mean(&recalls)),
            (Protocol::FashionIq, ..) => ("mean of (R@10 + R@50) / 2", self.held(self.avg, "Avg")),
            (Protocol::Circo, ..) => ("mAP@5", self.held(self.map5, "mAP@5")),
            (Protocol::GeneCis, ..) => ("R@1", self.r1),
        }
    }

    /// A figure that every query of the protocol has; 0 without any query.
    fn held(&self, figure: Option<f64>, name: &str) -> f64 {
        assert!(self.n == 0 || figure.is_some(), "figures of {} queries without {name}: of another protocol", self.n);
        figure.unwrap_or(0.0)
    }

    /// Each figure, in the order of the papers' tables.
    pub fn figures(&self) -> [Figure; 16] {
        let figure = |key, head, value| Figure { key, head, value };
        [
            figure("map5", "mAP@5", self.map5),
            figure("map10", "mAP@10", self.map10),
            figure("map25", "mAP@25", self.map25),
            figure("map50", "mAP@50", self.map50),
            figure("r1", "R@1", Some(self.r1)),
            figure("r2", "R@2", self.r2),
            figure("r3", "R@3", self.r3),
            figure("r5", "R@5", Some(self.r5)),
            figure("r10", "R@10", Some(self.r10)),
            figure("r25", "R@25", self.r25),
            figure("r50", "R@50", Some(self.r50)),
            figure("rs1", "Rs@1", self.rs1),
            figure("rs2", "Rs@2", self.rs2),
            figure("rs3", "Rs@3", self.rs3),
            figure("avg", "Avg", self.avg),
            figure("mean", "mean R", self.mean),
        ]
    }
}

/// The figures of some queries; `None` without any.
pub(super) fn recall(protocol: Protocol, ranks: &[Ranks]) -> Option<Recall> {
    if ranks.is_empty() {
        return None;
    }
    let mut sums = Sums { ranks, ci: BTreeMap::new() };
    let [r1, r5, r10, r50] = super::RECALL_AT.map(|k| sums.at(k));
    let [rs1, rs2, rs3] = super::SUBSET_AT.map(|k| sums.subset_at(k));
    let mut out = Recall { n: ranks.len(), r1, r5, r10, r50, rs1, rs2, rs3, ..Recall::default() };
    match protocol {
        Protocol::Cirr => {
            let hits = |r: &Ranks| super::RECALL_AT.iter().map(|k| f64::from(u8::from(r.all < *k)) / 4.0).sum();
            out.mean = Some(sums.normal("mean", &ranks.iter().map(hits).collect::<Vec<_>>()));
            out.avg = rs1.map(|s| {
                sums.ci.insert("avg".into(), bootstrap_avg(ranks));
                (r5 + s) / 2.0
            });
        }
        Protocol::FashionIq => {
            let halves = |r: &Ranks| 0.5 * (f64::from(u8::from(r.all < 10)) + f64::from(u8::from(r.all < 50)));
            sums.normal("avg", &ranks.iter().map(halves).collect::<Vec<_>>());
            out.avg = Some((r10 + r50) / 2.0);
        }
        Protocol::Circo => {
            out.r25 = Some(sums.at(25));
            let [map5, map10, map25, map50] = [0, 1, 2, 3].map(|at| {
                let name = format!("map{}", AVERAGE_PRECISION_AT[at]);
                sums.normal(&name, &ranks.iter().filter_map(|r| r.precision.get(at).copied()).collect::<Vec<_>>())
            });
            (out.map5, out.map10, out.map25, out.map50) = (Some(map5), Some(map10), Some(map25), Some(map50));
        }
        Protocol::GeneCis => (out.r2, out.r3) = (Some(sums.at(2)), Some(sums.at(3))),
    }
    out.ci = sums.ci;
    Some(out)
}

struct Sums<'a> {
    ranks: &'a [Ranks],
    ci: BTreeMap<String, [f64; 2]>,
}

impl Sums<'_> {
    fn at(&mut self, k: usize) -> f64 {
        let hits = self.ranks.iter().filter(|r| r.all < k).count();
        self.ci.insert(format!("r{k}"), wilson(hits, self.ranks.len()));
        percent(hits, self.ranks.len())
    }

    fn subset_at(&mut self, k: usize) -> Option<f64> {
        let ranks: Vec<usize> = self.ranks.iter().filter_map(|r| r.subset).collect();
        let hits = ranks.iter().filter(|r| **r < k).count();
        (!ranks.is_empty()).then(|| {
            self.ci.insert(format!("rs{k}"), wilson(hits, ranks.len()));
            percent(hits, ranks.len())
        })
    }

    /// The mean of one value a query, in percent.
    fn normal(&mut self, name: &str, values: &[f64]) -> f64 {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        let half = Z95 * (variance / n).sqrt();
        self.ci.insert(name.to_owned(), [100.0 * (mean - half).max(0.0), 100.0 * (mean + half).min(1.0)]);
        100.0 * mean
    }
}

/// The mean of each figure over groups that count alike, whatever their size: FashionIQ's categories, GeneCIS's tasks.
pub(super) fn mean(groups: &[&Recall]) -> Option<Recall> {
    let first = groups.first()?;
    let count = groups.len() as f64;
    let mean = |of: &dyn Fn(&Recall) -> Option<f64>| {
        let values: Option<Vec<f64>> = groups.iter().map(|g| of(g)).collect();
        values.map(|values| values.iter().sum::<f64>() / count)
    };
    let whole = |of: &dyn Fn(&Recall) -> f64| groups.iter().map(|g| of(g)).sum::<f64>() / count;
    let mut out = Recall {
        n: groups.iter().map(|g| g.n).sum(),
        r1: whole(&|r| r.r1),
        r2: mean(&|r| r.r2),
        r3: mean(&|r| r.r3),
        r5: whole(&|r| r.r5),
        r10: whole(&|r| r.r10),
        r25: mean(&|r| r.r25),
        r50: whole(&|r| r.r50),
        rs1: mean(&|r| r.rs1),
        rs2: mean(&|r| r.rs2),
        rs3: mean(&|r| r.rs3),
        avg: mean(&|r| r.avg),
        mean: mean(&|r| r.mean),
        map5: mean(&|r| r.map5),
        map10: mean(&|r| r.map10),
        map25: mean(&|r| r.map25),
        map50: mean(&|r| r.map50),
        ci: BTreeMap::new(),
    };
    for figure in out.figures() {
        let halves: Vec<f64> =
            groups.iter().filter_map(|g| g.ci.get(figure.key)).map(|[low, high]| (high - low) / 2.0).collect();
        if let Some(value) = figure.value.filter(|_| first.ci.contains_key(figure.key)) {
            let half = halves.iter().map(|h| h * h).sum::<f64>().sqrt() / count;
            out.ci.insert(figure.key.to_owned(), [(value - half).max(0.0), (value + half).min(100.0)]);
        }
    }
    Some(out)
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

/// The exact two-sided sign test: how likely so uneven an outcome, or a more uneven one, would be if each of the decided
/// comparisons were a fair coin. 1 without any.
pub fn sign_test(wins: usize, losses: usize) -> f64 {
    let n = wins + losses;
    // In logarithms: 2^-n leaves f64's range at a thousand comparisons.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for k in 1..=wins.min(losses) {
        term += ((n - k + 1) as f64 / k as f64).ln();
        tail += term.exp();
    }
    (2.0 * tail).min(1.0)
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
    let at = |share: f64| means[(share * (RESAMPLES - 1) as f64).round() as usize];
    [at(0.025), at(0.975)]
}
