//! Training rows made from what a data set already says: captions, and queries that change nothing.

use super::described::Described;
use super::table::{Table, Triplet};
use crate::error::{Result, TrainerError};
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashMap};

/// Modifiers that change nothing.
const SAME: [&str; 12] = [
    "the same",
    "exactly this one",
    "no change",
    "identical",
    "keep everything",
    "just like this",
    "this one again",
    "nothing different",
    "the very same picture",
    "don't change anything",
    "as it is",
    "unchanged",
];

/// One row an image of the gallery that has a title: the title is the text, the image both reference and target.
///
/// # Errors
/// When no image has a title.
pub fn captions(table: &Table, described: &BTreeMap<String, Described>) -> Result<Table> {
    let subsets = subsets(table);
    let triplets: Vec<Triplet> = table
        .gallery
        .iter()
        .filter_map(|image| {
            let title = described.get(&table.images.get(*image as usize)?.name)?.title.clone()?;
            Some(itself(*image, title, &subsets))
        })
        .enumerate()
        .map(|(row, t)| Triplet { id: row as u64, row: row as u32 + 1, ..t })
        .collect();
    if triplets.is_empty() {
        return Err(TrainerError::data(
            super::described::FILE,
            "no image of the split has a title",
            "give titles, or train on triplets alone",
        ));
    }
    Ok(Table { triplets, ..table.clone() })
}

/// Adds queries that change nothing (reference = target), so that they make up `share` of all rows.
///
/// Most triplets keep what the text does not name; without such rows the fusion learns the named part long before the
/// kept one, and targets that differ only there become alike.
pub fn add_unchanged(table: &mut Table, share: f64, seed: u64) {
    let count = (table.triplets.len() as f64 * share / (1.0 - share)).round() as usize;
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x5a3e);
    let subsets = subsets(table);
    let mut images: Vec<u32> = subsets.keys().copied().collect();
    images.sort_unstable();
    let next = table.triplets.iter().map(|t| t.id).max().unwrap_or(0) + 1;
    let mut order = Vec::new();
    for at in 0..if images.is_empty() { 0 } else { count } {
        if order.is_empty() {
            order.clone_from(&images);
            order.shuffle(&mut rng);
        }
        let (Some(image), Some(text)) = (order.pop(), SAME.choose(&mut rng)) else { return };
        let text = if rng.random_bool(0.3) { capitalised(text) } else { (*text).to_owned() };
        let row = itself(image, text.clone(), &subsets);
        table.triplets.push(Triplet { id: next + at as u64, reverse: Some(text), kind: Some("unchanged".into()), ..row });
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn itself(image: u32, text: String, subsets: &HashMap<u32, Vec<u32>>) -> Triplet {
    Triplet {
        id: 0,
        reference: image,
        targets: vec![image],
        text,
        reverse: None,
        subset: subsets.get(&image).cloned().unwrap_or_default(),
        group: None,
        kind: None,
        people: false,
        row: 0,
    }
}

/// Each target's image set: the first that a triplet gives it.
fn subsets(table: &Table) -> HashMap<u32, Vec<u32>> {
    let mut found = HashMap::new();
    for t in &table.triplets {
        if let Some(target) = t.targets.first() {
            found.entry(*target).or_insert_with(|| t.subset.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::ImageEntry;

    fn table() -> Table {
        let image = |name: &str| ImageEntry { name: name.into(), path: name.into() };
        let t = |id, reference, target| Triplet {
            id,
            reference,
            subset: vec![0, 1, 2],
            ..itself(target, "but blue".into(), &HashMap::new())
        };
        let t = |id, reference, target| Triplet { reference, ..t(id, reference, target) };
        Table { images: ["a", "b", "c"].map(image).to_vec(), triplets: vec![t(7, 0, 1), t(9, 1, 2)], gallery: vec![0, 1, 2] }
    }

    #[test]
    fn captions_are_one_row_a_titled_image() {
        let title = |t: &str| Described { title: Some(t.into()), tags: Vec::new() };
        let described = BTreeMap::from([("a".to_owned(), title("A")), ("c".to_owned(), title("C"))]);
        let made = captions(&table(), &described).unwrap();
        let rows: Vec<_> = made.triplets.iter().map(|t| (t.targets.clone(), t.text.as_str())).collect();
        assert_eq!(rows, [(vec![0], "A"), (vec![2], "C")]);
        assert!(captions(&table(), &BTreeMap::new()).is_err());
    }

    #[test]
    fn unchanged_rows_make_up_the_share_and_follow_the_seed() {
        let make = |seed| {
            let mut table = table();
            add_unchanged(&mut table, 0.5, seed);
            table
        };
        let made = make(1);
        assert_eq!(made.triplets.len(), 4);
        assert!(made.triplets[2..].iter().all(|t| t.targets == [t.reference] && t.id > 9 && t.reverse.is_some()));
        assert_eq!(made, make(1));
        assert_ne!(made, make(2));
    }
}
