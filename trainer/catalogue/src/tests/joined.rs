//! Two shops as one data set.

use super::{files, made, options, rows, shop};
use crate::join::{Part, join};
use std::path::Path;
use thisbut_trainer::data::{LoadOptions, Split, cirr};

fn part(root: &Path, name: &str, most: Option<usize>) -> Part {
    Part { folder: root.join(name), most }
}

#[test]
fn two_data_sets_become_one_that_the_loader_reads() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let table = shop(&root.join("photos"), ',', "\n");
    for (name, seed) in [("one", 1), ("two", 2)] {
        made(root, &table, &crate::Options { seed, ..options(&root.join(name)) }).unwrap();
    }
    let parts = [part(root, "one", None), part(root, "two", Some(100))];
    let joined = join(&parts, &root.join("both"), 1).unwrap();
    assert!(joined.left_out.is_empty(), "{:?}", joined.left_out);
    assert_eq!((joined.splits["train"]["one"].1, joined.splits["train"]["two"].1), (600, 100));
    assert_eq!((joined.splits["val"]["one"].1, joined.splits["val"]["two"].1), (60, 60));

    for split in Split::ALL {
        let load = |name: &str| cirr::load(&root.join(name), split, &LoadOptions::default()).unwrap();
        let (both, complaints) = load("both");
        assert!(complaints.is_empty(), "{complaints:?}");
        let (one, two) = (load("one").0, load("two").0);
        assert_eq!(both.images.len(), one.images.len() + two.images.len());
        // The first row is the first one of the first data set, with the same pictures and texts.
        let (a, b) = (&both.triplets[0], &one.triplets[0]);
        let names = |table: &thisbut_trainer::data::Table, at: &[u32]| -> Vec<String> {
            at.iter().map(|at| table.images[*at as usize].name.clone()).collect()
        };
        let prefixed: Vec<String> = names(&one, &b.targets).into_iter().map(|name| format!("one/{name}")).collect();
        assert_eq!((names(&both, &a.targets), &a.text, &a.reverse), (prefixed, &b.text, &b.reverse));
        assert_eq!(names(&both, &[a.reference])[0], format!("one/{}", names(&one, &[b.reference])[0]));
    }
    let both = files(&root.join("both"));
    let groups: Vec<String> =
        rows(&both, "train").iter().map(|row| row["group"].as_str().unwrap().to_owned()).collect();
    assert!(groups[0].starts_with("one: ") && groups[699].starts_with("two: "), "{groups:?}");
    assert_eq!(both["images/one/skirt/Red-0.png"], files(&root.join("one"))["images/skirt/Red-0.png"]);

    // The draw is the seed's, and data sets of one name cannot be told apart.
    join(&parts, &root.join("again"), 1).unwrap();
    assert!(files(&root.join("again")) == both);
    let twice = join(&[parts[0].clone(), parts[0].clone()], &root.join("twice"), 1).unwrap_err().to_string();
    assert!(twice.contains("is called one too") && !root.join("twice").exists(), "{twice}");
    let empty = join(&[part(root, "photos", None)], &root.join("none"), 1).unwrap_err().to_string();
    assert!(empty.contains("captions/cap.rc2") && !root.join("none").exists(), "{empty}");
}
