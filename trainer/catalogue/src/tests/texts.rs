//! The grammar: what it says, and that it says it in many ways.

use super::*;
use crate::grammar::{Change, modifier};
use crate::wish::{Edit, Pool};
use crate::world::World;

fn world(root: &Path) -> World {
    let csv = root.join("table.csv");
    std::fs::write(&csv, shop(&root.join("photos"), ',', "\n")).unwrap();
    let words = Words::load(None).unwrap();
    let source = read(&reading(&root.join("photos"), Some(&csv)), &words).unwrap();
    let class: Vec<usize> = (0..source.pictures.len()).collect();
    World::new(&source, &class, &words, false).unwrap()
}

#[test]
fn texts_name_what_changes_in_many_ways() {
    let root = tempfile::tempdir().unwrap();
    let world = world(root.path());
    let pool = Pool::new(&world, |_| true);
    let item = |name: &str| world.items.iter().position(|item| item.name == name).unwrap();
    let value = |column: usize, name: &str| world.columns[column].values.iter().position(|v| v == name).unwrap() as u32;
    let (from, to) = (item("dress/Red-0.png"), item("skirt/blue-0.png"));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut said = |edits: &[Edit], to: usize| -> BTreeSet<String> {
        (0..600).map(|_| modifier(&mut rng, &Change { pool: &pool, from, to, edits }).to_lowercase()).collect()
    };
    let (skirt, blue) = (Edit::To(0, value(0, "skirt")), Edit::To(1, value(1, "blue")));
    let share = |texts: &BTreeSet<String>, words: &[&str]| {
        texts.iter().filter(|text| words.iter().any(|word| text.contains(word))).count() as f64 / texts.len() as f64
    };
    let kind = said(std::slice::from_ref(&skirt), item("skirt/Red-0.png"));
    assert!(kind.len() > 150 && share(&kind, &["skirt"]) > 0.95, "{kind:?}");
    assert!(kind.iter().any(|text| text.contains("instead of a dress") || text.contains("not a dress")));
    assert!(kind.iter().any(|text| text.contains("same colour") || text.contains("same color")));
    let colour = said(std::slice::from_ref(&blue), item("dress/blue-0.png"));
    assert!(colour.len() > 150 && share(&colour, &["blue"]) > 0.95, "{colour:?}");
    let both = said(&[skirt, blue], to);
    assert!(share(&both, &["skirt"]) > 0.95 && share(&both, &["blue"]) > 0.95, "{both:?}");
    assert!(both.iter().any(|text| text.contains("blue skirt")));
    let belt = value(2, "a belt");
    assert!(share(&said(&[Edit::Add(2, belt)], to), &["belt"]) > 0.95);
    assert!(said(&[Edit::Remove(2, belt)], to).iter().all(|text| !text.contains("the a ")));
    let not = said(&[Edit::Not(1, value(1, "red"))], to);
    assert!(not.iter().any(|text| text.contains("different colo")) && not.iter().any(|text| text.contains("not ")));
    let cheaper = said(&[Edit::Less(3)], to);
    assert!(share(&cheaper, &["cheap", "less expensive", "lower price"]) > 0.9, "{cheaper:?}");
    assert!(share(&said(&[], to), &["same", "like", "no change", "similar", "another", "nothing", "keep"]) > 0.9);
    for texts in [&kind, &colour, &both, &cheaper] {
        assert!(texts.iter().all(|text| !text.contains('{') && !text.contains("  ") && !text.is_empty()), "{texts:?}");
    }
}
