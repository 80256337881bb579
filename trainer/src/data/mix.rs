//! Training rows of several data sets in one table, each with images of its own: ConText-CIR's mix.

use super::table::{ImageEntry, Table, Triplet};
use crate::error::{Result, TrainerError};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Most rows that a mix may have: beyond it a share is a slip of the pen.
const MOST_ROWS: usize = 1 << 27;

/// What stands before the names of the images of the data set called `name`.
pub fn prefix(name: &str) -> String {
    format!("{name}/")
}

/// Adds rows of `other`, the training split of the data set called `name`, behind those of `table`: `share` of them, drawn from
/// `seed`; above 1 each as often as its whole part says, and the rest drawn. Image `a` of that data set is `name/a` in the table.
/// Returns how many rows were added.
///
/// # Errors
/// When there are no rows, the share leaves none, or a name is taken.
pub fn add(table: &mut Table, other: Table, name: &str, share: f64, seed: u64) -> Result<usize> {
    let rows = (other.triplets.len() as f64 * share).round();
    if other.triplets.is_empty() {
        let mend = "leave it out, or give another data set";
        return Err(TrainerError::data(format!("--beside {name}"), "its training split has no triplets", mend));
    }
    if !(1.0..=MOST_ROWS as f64).contains(&rows) {
        let problem = format!("{share} of {} triplets are {rows}", other.triplets.len());
        return Err(TrainerError::settings(format!("--beside {name}"), problem, "give another share"));
    }
    let first = table.images.len() as u32;
    let prefix = prefix(name);
    if let Some(taken) = table.images.iter().find(|image| image.name.starts_with(&prefix)) {
        let problem = format!("the image {} has a name that would be of this data set", taken.name);
        return Err(TrainerError::data(format!("--beside {name}"), problem, "rename the data set's folder"));
    }
    let images = other.images.into_iter().map(|image| ImageEntry { name: format!("{prefix}{}", image.name), ..image });
    let id = table.triplets.iter().map(|triplet| triplet.id + 1).max().unwrap_or(0);
    let taken = drawn(other.triplets.len(), rows as usize, seed);
    let moved = |(at, row): (usize, usize)| {
        let triplet = other.triplets.get(row)?.clone();
        let shift = |images: Vec<u32>| images.into_iter().map(|image| image + first).collect();
        Some(Triplet {
            id: id + at as u64,
            reference: triplet.reference + first,
            targets: shift(triplet.targets),
            subset: shift(triplet.subset),
            pool: None,
            ..triplet
        })
    };
    let added = taken.len();
    table.triplets.extend(taken.into_iter().enumerate().filter_map(moved));
    table.images.extend(images);
    Ok(added)
}

/// `wanted` numbers below `count`, in their order, each as often as the others or once more.
fn drawn(count: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x317e);
    let mut rest: Vec<usize> = (0..count).collect();
    rest.shuffle(&mut rng);
    rest.truncate(wanted % count);
    let mut all: Vec<usize> = (0..count).flat_map(|row| std::iter::repeat_n(row, wanted / count)).chain(rest).collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::collections::HashSet;

    fn table(images: &[&str], rows: u32) -> Table {
        let image = |name: &&str| ImageEntry { name: (*name).into(), path: (*name).into() };
        let count = images.len() as u32;
        let triplet = |at: u32| Triplet {
            id: at.into(),
            reference: at % count,
            targets: vec![(at + 1) % count],
            text: at.to_string(),
            pool: Some(0),
            ..Triplet::default()
        };
        Table {
            images: images.iter().map(image).collect(),
            triplets: (0..rows).map(triplet).collect(),
            ..Table::default()
        }
    }

    #[test]
    fn rows_keep_their_images_and_shares_are_kept() {
        for (share, rows) in [(0.5, 3), (1.0, 6), (2.5, 15)] {
            let mut mixed = table(&["a", "b"], 4);
            assert_eq!(add(&mut mixed, table(&["a", "c", "d"], 6), "shop", share, 1).unwrap(), rows);
            assert_eq!((mixed.triplets.len(), mixed.images.len()), (4 + rows, 5));
            let names: Vec<&str> = mixed.images.iter().map(|image| image.name.as_str()).collect();
            assert_eq!(names, ["a", "b", "shop/a", "shop/c", "shop/d"]);
            let ids: HashSet<u64> = mixed.triplets.iter().map(|triplet| triplet.id).collect();
            assert_eq!(ids.len(), 4 + rows);
            for triplet in &mixed.triplets[4..] {
                let row: u32 = triplet.text.parse().unwrap();
                assert_eq!((triplet.reference, &triplet.targets), (2 + row % 3, &vec![2 + (row + 1) % 3]));
                assert_eq!(triplet.pool, None);
            }
            // Each as often as the others, or once more.
            let often = |row: u32| mixed.triplets[4..].iter().filter(|t| t.text == row.to_string()).count();
            let counts: Vec<usize> = (0..6).map(often).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            let mut again = table(&["a", "b"], 4);
            add(&mut again, table(&["a", "c", "d"], 6), "shop", share, 1).unwrap();
            assert_eq!(again, mixed);
        }
    }

    #[test]
    fn an_empty_data_set_a_share_of_nothing_and_a_taken_name_are_refused() {
        let mut mixed = table(&["a", "shop/b"], 4);
        let refused =
            |mixed: &mut Table, other: Table, share: f64| add(mixed, other, "shop", share, 1).unwrap_err().to_string();
        let said = refused(&mut mixed, table(&["a", "c"], 0), 1.0);
        assert!(said.contains("--beside shop") && said.contains("has no triplets"), "{said}");
        for share in [0.01, 0.0, -1.0, 1e30, f64::NAN] {
            assert!(refused(&mut mixed, table(&["a", "c"], 4), share).contains("of 4 triplets"), "{share}");
        }
        assert!(refused(&mut mixed, table(&["c"], 4), 1.0).contains("shop/b has a name"));
        assert_eq!(mixed, table(&["a", "shop/b"], 4));
    }
}
