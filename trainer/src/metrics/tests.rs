//! The metrics against the data sets' published evaluators, and at their edges.

use super::*;
use crate::data::{ImageEntry, Table, Triplet};
use std::path::PathBuf;

#[derive(serde::Deserialize)]
struct Case {
    scores: Vec<f32>,
    reference: u32,
    targets: Vec<u32>,
    #[serde(default)]
    members: Vec<u32>,
    #[serde(default)]
    pool: Option<Vec<u32>>,
    #[serde(default)]
    group: Option<String>,
}

type Figures = BTreeMap<String, f64>;

#[derive(serde::Deserialize)]
struct Golden {
    #[serde(default)]
    pools: BTreeMap<String, Vec<u32>>,
    queries: Vec<Case>,
    #[serde(default)]
    figures: BTreeMap<String, Figures>,
    total: Figures,
    /// CIRR's, where every right target counts.
    #[serde(default)]
    all: Figures,
}

fn golden(name: &str) -> Golden {
    let text = include_str!("../../../tests/golden/evaluators.json");
    serde_json::from_str::<BTreeMap<String, Golden>>(text).unwrap().remove(name).unwrap()
}

fn value(recall: &Recall, key: &str) -> f64 {
    recall.figures().iter().find(|f| f.key == key).and_then(|f| f.value).unwrap()
}

fn agree(got: &Recall, golden: &Figures) {
    for (key, expected) in golden {
        let value = value(got, key);
        assert!((value - expected).abs() < 1e-9, "{key}: {value} instead of {expected}");
        let [low, high] = got.ci[key];
        assert!(low <= value && value <= high && high - low < 40.0, "{key}: {value} in {low} … {high}");
    }
}

/// CIRR's golden queries as a table, of which [`Table::query`] makes what is counted.
fn cirr_table(queries: &[Case], right_targets: RightTargets) -> Table {
    let triplet = |case: &Case| Triplet {
        reference: case.reference,
        targets: case.targets.clone(),
        subset: case.members.clone(),
        ..Triplet::default()
    };
    let gallery: Vec<u32> = (0..queries[0].scores.len() as u32).collect();
    let images = gallery.iter().map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
    Table { images, gallery, triplets: queries.iter().map(triplet).collect(), right_targets, ..Table::default() }
}

#[test]
fn cirrs_published_evaluator_gives_the_same_figures() {
    let golden = golden("cirr");
    assert!(golden.queries.iter().filter(|case| case.targets.len() > 1).count() > 100, "with soft targets");
    for (right_targets, expected) in [(RightTargets::Hard, &golden.total), (RightTargets::All, &golden.all)] {
        let table = cirr_table(&golden.queries, right_targets);
        let positions = table.gallery_positions();
        let mut sums = Accumulator::new();
        for (case, triplet) in golden.queries.iter().zip(&table.triplets) {
            sums.add(&case.scores, &table.query(&positions, triplet)).unwrap();
        }
        let got = sums.overall().unwrap();
        agree(&got, expected);
        // HyCIR's mean beside what CIRR's evaluator prints.
        assert_eq!(got.figures().iter().filter(|f| f.value.is_some()).count(), expected.len() + 1);
        let four = ["r1", "r5", "r10", "r50"].map(|key| expected[key]).iter().sum::<f64>() / 4.0;
        assert!((got.mean.unwrap() - four).abs() < 1e-9 && got.ci["mean"][0] < four && four < got.ci["mean"][1]);
        let seven = ["r1", "r5", "r10", "r50", "rs1", "rs2", "rs3"].map(|key| expected[key]);
        assert!((got.selection(Protocol::Cirr, true).1 - seven.iter().sum::<f64>() / 7.0).abs() < 1e-9);
        let (rule, value) = got.selection(Protocol::Cirr, false);
        assert!((value - (expected["r5"] + expected["rs1"]) / 2.0).abs() < 1e-9 && rule.contains("R_subset@1"));
    }
    assert!(golden.all["rs1"] > golden.total["rs1"] + 5.0, "the switch makes a difference");
}

#[test]
fn the_other_published_evaluators_give_the_same_figures() {
    for (name, protocol, selected) in [
        ("fashioniq", Protocol::FashionIq, "avg"),
        ("circo", Protocol::Circo, "map5"),
        ("genecis", Protocol::GeneCis, "r1"),
    ] {
        let golden = golden(name);
        let mut sums = Accumulator::with(protocol);
        for case in &golden.queries {
            let category = case.group.as_ref().and_then(|group| golden.pools.get(group));
            let query = Query {
                exclude: protocol.excluded(Some(case.reference)),
                right: case.targets.clone(),
                relevant: case.targets.len(),
                pool: case.pool.clone().or(category.cloned()),
                group: case.group.clone(),
                ..Query::default()
            };
            sums.add(&case.scores, &query).unwrap();
        }
        let total = sums.overall().unwrap();
        agree(&total, &golden.total);
        assert_eq!(total.n, golden.queries.len());
        assert_eq!(total.selection(protocol, false).1, value(&total, selected));
        let groups = sums.groups();
        assert_eq!(groups.len(), golden.figures.len());
        golden.figures.iter().for_each(|(group, figures)| agree(&groups[group], figures));
    }
}

#[test]
fn ground_truths_outside_the_gallery_still_divide() {
    let mut sums = Accumulator::with(Protocol::Circo);
    let query = Query { right: vec![0, 0], relevant: 4, ..Query::default() };
    assert_eq!(sums.add(&[0.5, 1.0], &query).unwrap(), Some(1));
    let got = sums.overall().unwrap();
    assert_eq!((got.map5, got.r5, got.r1), (Some(12.5), 100.0, 0.0), "precision 1/2 over 4; a double counts once");
    assert!(average_precision(&[], 3, 5).is_sign_positive() && average_precision(&[], 0, 5) == 0.0);
}

#[test]
fn a_query_counts_in_each_of_its_aspects() {
    let mut sums = Accumulator::with(Protocol::Circo);
    for (right, aspects) in [(0, &["addition", "negation"][..]), (1, &["negation"])] {
        let aspects = aspects.iter().map(|a| (*a).to_owned()).collect();
        sums.add(&[0.5, 1.0], &Query { right: vec![right], relevant: 1, aspects, ..Query::default() }).unwrap();
    }
    let groups = sums.groups();
    assert_eq!((groups["addition"].map10, groups["negation"].map10), (Some(50.0), Some(75.0)));
    assert_eq!((groups["negation"].n, sums.overall().unwrap().n), (2, 2));
}

#[test]
fn the_best_are_in_the_order_that_is_counted() {
    let scores = [0.5, 1.0, 1.0, -1.0, 0.5, -0.0, 0.0];
    let query = Query { exclude: Some(1), subset: vec![6, 5, 1, 3], ..Query::default() };
    assert_eq!(rank::best(&scores, &query, 4), [2, 0, 4, 5], "-0 equals 0");
    assert_eq!(rank::best(&scores, &query, 99), [2, 0, 4, 5, 6, 3]);
    assert_eq!(rank::best_of_subset(&scores, &query, 3), [5, 6, 3]);
    let pooled = Query { pool: Some(vec![4, 0, 1]), ..Query::default() };
    assert_eq!(rank::best(&scores, &pooled, 2), [1, 4], "ties stand in the pool's order");
    assert!(rank::best(&scores, &pooled, 0).is_empty());
}

fn query(right: &[u32]) -> Query {
    Query {
        exclude: Some(0),
        right: right.to_vec(),
        subset: vec![1, 2, 3],
        group: Some("g".into()),
        ..Query::default()
    }
}

#[test]
fn ties_and_references() {
    let mut sums = Accumulator::new();
    assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[2])).unwrap(), Some(1), "a tie stands in gallery order");
    assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[2, 1])).unwrap(), Some(0), "any right target");
    assert_eq!(sums.add(&[9.0, 1.0, 1.0, 0.0], &query(&[0])).unwrap(), None, "the reference is never found");
    assert_eq!(sums.without_target(), 1);
    assert!(sums.add(&[1.0, 2.0], &query(&[1])).is_err(), "positions outside the gallery");
    for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let problem = sums.add(&[9.0, 1.0, score, -1.0], &query(&[1])).unwrap_err().to_string();
        assert!(problem.contains("the score of gallery image 2 is"), "{problem}");
    }
    assert_eq!(sums.overall().unwrap().n, 2);
    assert_eq!(sums.groups()["g"].n, 2);
    assert_eq!(sums.overall().unwrap().r1, 50.0);
}

#[test]
fn without_subsets_there_are_no_subset_figures() {
    let mut sums = Accumulator::new();
    sums.add(&[0.1, 0.2], &Query { right: vec![1], ..Query::default() }).unwrap();
    let got = sums.overall().unwrap();
    assert_eq!((got.r1, got.rs1, got.avg, got.selection(Protocol::Cirr, false).1), (100.0, None, None, 100.0));
    assert!(Accumulator::new().overall().is_none());
    let [low, high] = wilson(50, 100);
    assert!((low - 40.383).abs() < 1e-3 && (high - 59.617).abs() < 1e-3, "{low} {high}");
}

#[test]
fn the_sign_test_is_exact() {
    assert_eq!(sign_test(0, 0), 1.0);
    assert_eq!(sign_test(5, 5), 1.0);
    // 2 (1 + 10) / 1024, and 2 (1 + 15 + 105 + 455) / 2^15.
    assert!((sign_test(9, 1) - 22.0 / 1024.0).abs() < 1e-12);
    assert!((sign_test(3, 12) - 1152.0 / 32768.0).abs() < 1e-12);
    // Beyond what 2^-n can hold: near the normal approximation, 2 Φ(-(55 - 0.5) / √750) for a difference of 110.
    assert!((sign_test(1555, 1445) - 0.0466).abs() < 5e-4, "{}", sign_test(1555, 1445));
}
