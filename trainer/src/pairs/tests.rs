use super::near::{Item, NEIGHBOURS, neighbours, nine, subgroups};
use super::rules::{all_ordered, capped, generator, sets_of};
use super::{Pairs, sources};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("i{i}")).collect()
}

#[test]
fn a_set_of_six_gives_thirty_ordered_pairs() {
    let pairs = all_ordered(&names(6));
    assert_eq!(pairs.len(), 30);
    assert!(pairs.iter().all(|(a, b)| a != b) && pairs.iter().collect::<BTreeSet<_>>().len() == 30);
}

#[test]
fn a_cap_draws_without_repeats_and_follows_the_seed() {
    for (n, cap, wanted) in [(1, 3, 0), (2, 3, 2), (4, 3, 12), (5, 3, 15), (100, 3, 300)] {
        let draw = |seed| capped(&names(n), cap, &mut generator(seed, "long sleeve"));
        let pairs = draw(1);
        assert_eq!(pairs.len(), wanted, "{n} images");
        assert!(pairs.iter().all(|(a, b)| a != b) && pairs.iter().collect::<BTreeSet<_>>().len() == wanted);
        assert_eq!(pairs, draw(1));
        assert!(n < 100 || pairs != draw(2));
    }
}

#[test]
fn a_sample_keeps_twins_together_and_follows_the_seed() {
    let mut pairs = Pairs::new();
    pairs.exclude([("i1".to_owned(), "i0".to_owned())]);
    pairs.add("all", all_ordered(&names(12)));
    let sample = |most, seed| {
        let mut pairs = pairs.clone();
        pairs.sample(most, &mut generator(seed, "most"));
        pairs.pairs().to_vec()
    };
    let kept = sample(41, 1);
    assert!((40..=41).contains(&kept.len()) && kept == sample(41, 1) && kept != sample(41, 2));
    let alone = |p: &&super::Pair| !kept.iter().any(|q| (&q.reference, &q.target) == (&p.target, &p.reference));
    assert!(kept.iter().filter(alone).all(|p| (p.reference.as_str(), p.target.as_str()) == ("i0", "i1")));
    let place = |p: &super::Pair| pairs.pairs().iter().position(|q| q == p);
    assert!(kept.windows(2).all(|w| place(&w[0]) < place(&w[1])));
    assert_eq!(sample(1000, 1).len(), 12 * 11 - 1);
}

#[test]
fn categories_are_cut_into_sets() {
    let sets = sets_of(&names(13), &mut generator(1, "dogs"));
    assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [6, 6], "a rest of one has no pair");
    let all: BTreeSet<&String> = sets.iter().flatten().collect();
    assert_eq!(all.len(), 12);
}

#[test]
fn repeats_across_rules_and_known_pairs_are_left_out() {
    let mut pairs = Pairs::new();
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    pairs.exclude([pair("a", "b")]);
    pairs.add("sets", [pair("a", "b"), pair("b", "a"), pair("c", "c")]);
    pairs.add("labels", [pair("b", "a"), pair("b", "c")]);
    let found: Vec<_> =
        pairs.pairs().iter().map(|p| (p.reference.as_str(), p.target.as_str(), p.rule.as_str())).collect();
    assert_eq!(found, [("b", "a", "sets"), ("b", "c", "labels")]);
    let counts = pairs.counts();
    assert_eq!((counts["sets"].named, counts["sets"].new, counts["labels"].new), (3, 1, 1));
}

fn items(count: usize, step: f32) -> Vec<Item> {
    (0..count)
        .map(|i| {
            let angle = i as f32 * step;
            Item {
                name: format!("i{i}"),
                category: if i % 2 == 0 { "even" } else { "odd" }.into(),
                product: format!("p{}", i / 4),
                feature: vec![angle.cos(), angle.sin()],
                ..Item::default()
            }
        })
        .collect()
}

#[test]
fn neighbours_are_near_of_the_category_and_other_products() {
    let items = items(120, 0.01);
    let pairs = neighbours(&items, &mut generator(5, ""));
    assert_eq!(pairs.len(), 120);
    for (a, b) in &pairs {
        assert!(a != b && items[*a].category == items[*b].category && items[*a].product != items[*b].product);
        // The even (or odd) ones stand two apart, one of each four is the same product.
        assert!(a.abs_diff(*b) <= 2 * (2 * NEIGHBOURS + 2), "{a} {b}");
    }
    assert!(pairs.iter().any(|(a, b)| a.abs_diff(*b) > 4), "not always the nearest");
}

#[test]
fn subgroups_keep_their_distances_and_give_nine_pairs() {
    let mut items = items(30, 0.07);
    // A copy of an image: too near to its twin.
    items[1].feature = items[0].feature.clone();
    let groups = subgroups(&items);
    assert!(!groups.is_empty());
    let distance =
        |a: usize, b: usize| 1.0 - items[a].feature.iter().zip(&items[b].feature).map(|(x, y)| x * y).sum::<f32>();
    for group in &groups {
        assert_eq!(group.len(), 6);
        assert!(group.iter().skip(1).all(|i| distance(group[0], *i) < 0.94));
        assert!(group.windows(2).all(|w| distance(w[0], w[1]) > 0.002), "{group:?}");
        let pairs = nine(group);
        assert_eq!(pairs.len(), 9);
        assert_eq!(pairs.iter().collect::<BTreeSet<_>>().len(), 9);
    }
    let members: Vec<usize> = groups.concat();
    assert_eq!(members.iter().collect::<BTreeSet<_>>().len(), members.len(), "no image in two groups");
}

/// With FashionIQ's published attribute files at hand: THISBUT_DATA names the folder that holds `fashioniq/`.
#[test]
fn fashioniq_labels_give_the_published_count() {
    let Some(root) = std::env::var_os("THISBUT_DATA").map(PathBuf::from).filter(|r| r.join("fashioniq").is_dir())
    else {
        eprintln!("skipped: THISBUT_DATA does not name a folder with fashioniq/");
        return;
    };
    let mut total = 0;
    for category in ["dress", "shirt", "toptee"] {
        let labels = sources::labels(&root.join(format!("fashioniq/asin2attr.{category}.train.json"))).unwrap();
        if category == "toptee" {
            assert_eq!(labels["long sleeve"].len(), 1006);
        }
        total += labels.iter().map(|(label, images)| capped(images, 3, &mut generator(1, label)).len()).sum::<usize>();
    }
    assert_eq!(total, 599_147);
}
