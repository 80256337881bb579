//! Which pictures are right.

use super::*;
use crate::wish::{Edit, Pool};
use crate::world::World;

/// Products that tell their category and colour.
const PRODUCTS: [(&str, &str, &str); 5] = [
    ("granny smith", "apple", "green"),
    ("royal gala", "apple", "red"),
    ("red pepper", "pepper", "red"),
    ("green pepper", "pepper", "green"),
    ("milk", "milk", ""),
];

fn groceries(root: &Path) -> World {
    let mut table = "file,product,category,colour\n".to_owned();
    for n in 0..40usize {
        let (product, category, colour) = PRODUCTS[n % 5];
        picture(&root.join(format!("photos/{n:02}.png")), n as u64);
        table.push_str(&format!("{n:02}.png,{product},{category},{colour}\n"));
    }
    let csv = root.join("table.csv");
    std::fs::write(&csv, table).unwrap();
    let words = Words::load(None).unwrap();
    let source = read(&reading(&root.join("photos"), Some(&csv)), &words).unwrap();
    World::new(&source, &(0..40).collect::<Vec<_>>(), &words, true).unwrap()
}

#[test]
fn what_follows_from_a_change_changes_with_it_and_the_rest_stays() {
    let root = tempfile::tempdir().unwrap();
    let world = groceries(root.path());
    assert!(world.determines[0][1] && world.determines[0][2] && !world.determines[1][2], "{:?}", world.determines);
    let pool = Pool::new(&world, |_| true);
    let products = |edits: &[Edit]| -> BTreeSet<usize> { pool.right(0, edits).iter().map(|item| item % 5).collect() };
    let value = |column: usize, name: &str| world.columns[column].values.iter().position(|v| v == name).unwrap() as u32;
    // Item 0 is a Granny Smith.
    assert_eq!(products(&[Edit::To(0, value(0, "red pepper"))]), [2].into(), "its category and colour follow");
    assert_eq!(products(&[Edit::To(2, value(2, "red"))]), [1].into(), "still an apple");
    assert_eq!(products(&[Edit::To(1, value(1, "pepper"))]), [3].into(), "still green, as a pepper can be");
    assert_eq!(products(&[Edit::To(1, value(1, "milk"))]), [4].into(), "milk has no colour to keep");
    assert_eq!(products(&[Edit::Not(2, value(2, "green"))]), [1].into());
    assert_eq!(products(&[Edit::To(1, value(1, "pepper")), Edit::To(2, value(2, "red"))]), [2].into());
    let same = pool.right(0, &[]);
    assert!(!same.has(0) && same.count() == 7 && same.iter().all(|item| item % 5 == 0));
    let half = Pool::new(&world, |item| item < 20);
    assert!(half.right(0, &[]).iter().all(|item| item < 20));
}

#[test]
fn several_values_are_added_removed_and_exchanged_exactly() {
    let root = tempfile::tempdir().unwrap();
    let csv = root.path().join("table.csv");
    let mut table = "file,category,details\n".to_owned();
    for (n, details) in ["", "belt", "belt|pockets", "pockets", "pockets|hood", "belt|hood"].iter().enumerate() {
        picture(&root.path().join(format!("photos/{n}.png")), n as u64);
        table.push_str(&format!("{n}.png,coat,{details}\n"));
    }
    std::fs::write(&csv, table).unwrap();
    let words = Words::load(None).unwrap();
    let source = read(&reading(&root.path().join("photos"), Some(&csv)), &words).unwrap();
    let world = World::new(&source, &(0..6).collect::<Vec<_>>(), &words, false).unwrap();
    let pool = Pool::new(&world, |_| true);
    let value = |name: &str| world.columns[0].values.iter().position(|v| v == name).unwrap() as u32;
    let (belt, pockets, hood) = (value("belt"), value("pockets"), value("hood"));
    let right = |from: usize, edit: Edit| pool.right(from, &[edit]).iter().collect::<Vec<_>>();
    assert_eq!(right(0, Edit::Add(0, belt)), [1]);
    assert_eq!(right(1, Edit::Add(0, pockets)), [2]);
    assert_eq!(right(2, Edit::Remove(0, belt)), [3]);
    assert_eq!(right(1, Edit::Remove(0, belt)), [0]);
    assert_eq!(right(4, Edit::Swap(0, pockets, belt)), [5]);
    assert_eq!(right(0, Edit::Add(0, hood)), [0usize; 0]);
}
