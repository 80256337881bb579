//! How far readers agree who give each thing a whole number on one scale: Krippendorff's alpha, and how often two of them say the
//! same.
//!
//! α = 1 − D_o / D_e. D_o is the mean of δ² over the pairs of verdicts on one thing, a thing of m verdicts weighing m; D_e is the
//! mean of δ² over all pairs of verdicts, whatever they are about. Things with fewer than two verdicts count nowhere. 1: readers
//! agree wholly; 0: as much as chance; below 0: less.

use serde::Serialize;
use std::collections::BTreeMap;

/// What the difference δ of two verdicts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Verdicts are ranks: δ is the number of verdicts between the two, half of those on either's own rank among them.
    Ordinal,
    /// Steps of the scale are equally wide: δ is the difference of the numbers.
    Interval,
}

/// How far readers agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Things with at least two verdicts.
    pub things: usize,
    /// Krippendorff's alpha at the ordinal level; none where all verdicts are the same number.
    pub alpha: Option<f64>,
    /// At the interval level.
    pub alpha_interval: Option<f64>,
    /// Of all pairs of verdicts on one thing, those that say the same, in percent.
    pub same: f64,
    /// Those that say the same or are one apart, in percent.
    pub within_one: f64,
}

impl Agreement {
    /// Of the verdicts on each thing.
    pub fn of(things: &[Vec<u8>]) -> Self {
        let things: Vec<&Vec<u8>> = things.iter().filter(|verdicts| verdicts.len() > 1).collect();
        let (mut pairs, mut same, mut within_one) = (0usize, 0usize, 0usize);
        for verdicts in &things {
            for (at, a) in verdicts.iter().enumerate() {
                for b in verdicts.iter().skip(at + 1) {
                    pairs += 1;
                    same += usize::from(a == b);
                    within_one += usize::from(a.abs_diff(*b) <= 1);
                }
            }
        }
        let percent = |count: usize| 100.0 * count as f64 / pairs.max(1) as f64;
        Self {
            things: things.len(),
            alpha: alpha(&things, Level::Ordinal),
            alpha_interval: alpha(&things, Level::Interval),
            same: percent(same),
            within_one: percent(within_one),
        }
    }
}

/// Krippendorff's alpha of things that have at least two verdicts each.
fn alpha(things: &[&Vec<u8>], level: Level) -> Option<f64> {
    let mut counts: BTreeMap<u8, f64> = BTreeMap::new();
    for verdict in things.iter().copied().flatten() {
        *counts.entry(*verdict).or_default() += 1.0;
    }
    let square = |a: u8, b: u8| difference(&counts, level, a.min(b), a.max(b)).powi(2);
    let all: f64 = counts.values().sum();
    let mut observed = 0.0;
    for verdicts in things {
        let sum: f64 = verdicts.iter().flat_map(|a| verdicts.iter().map(|b| square(*a, *b))).sum();
        observed += sum / (verdicts.len() - 1) as f64;
    }
    let against = |a: u8| counts.iter().map(|(b, count)| count * square(a, *b)).sum::<f64>();
    let expected: f64 = counts.iter().map(|(a, count)| count * against(*a)).sum();
    (expected > 0.0).then(|| 1.0 - (all - 1.0) * observed / expected)
}

fn difference(counts: &BTreeMap<u8, f64>, level: Level, low: u8, high: u8) -> f64 {
    match level {
        Level::Interval => f64::from(high - low),
        Level::Ordinal => {
            let of = |verdict: u8| counts.get(&verdict).copied().unwrap_or(0.0);
            counts.range(low..=high).map(|(_, count)| count).sum::<f64>() - (of(low) + of(high)) / 2.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_is_that_of_the_published_package() {
        let text = include_str!("../../../tests/golden/agreement.json");
        type Case = (String, Vec<Vec<Option<u8>>>, f64, f64);
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 5);
        for (name, readers, ordinal, interval) in cases {
            let things = (0..readers[0].len()).map(|thing| readers.iter().filter_map(|reader| reader[thing]).collect());
            let found = Agreement::of(&things.collect::<Vec<Vec<u8>>>());
            assert!((found.alpha.unwrap() - ordinal).abs() < 1e-12, "{name}: {found:?} {ordinal}");
            assert!((found.alpha_interval.unwrap() - interval).abs() < 1e-12, "{name}: {found:?} {interval}");
        }
    }

    #[test]
    fn things_of_one_verdict_count_nowhere_and_one_number_says_nothing() {
        let found = Agreement::of(&[vec![4, 4], vec![4, 5, 2], vec![1], vec![]]);
        assert_eq!(found.things, 2);
        assert!((found.same - 25.0).abs() < 1e-9 && (found.within_one - 50.0).abs() < 1e-9, "{found:?}");
        assert_eq!(Agreement::of(&[vec![3, 3], vec![3, 3]]).alpha, None);
        assert_eq!(Agreement::of(&[]), Agreement::default());
    }
}
