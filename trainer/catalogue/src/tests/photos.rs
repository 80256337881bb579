//! The worked instances, on the photographs themselves where `THISBUT_PHOTOS` names their folder.

use super::*;
use crate::shops::{clothing, grocery};
use std::path::PathBuf;

#[test]
fn groceries_are_read_from_lists_and_classes() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path();
    assert!(grocery::read_from(folder).unwrap_err().to_string().contains("has no classes.csv"));
    std::fs::write(folder.join("classes.csv"), "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),Product Description Path (str)\nGranny-Smith,1,Apple,0,/icons/g.png,/icons/g.txt\nNew-Thing,2,Thing,1,/icons/n.png,/icons/n.txt\n").unwrap();
    assert!(grocery::read_from(folder).unwrap_err().to_string().contains("has no train.txt"));
    picture(&folder.join("icons/g.png"), 1);
    picture(&folder.join("train/a.png"), 2);
    picture(&folder.join("val/b.png"), 3);
    std::fs::write(folder.join("icons/g.txt"), "A green apple.\n").unwrap();
    std::fs::write(folder.join("train.txt"), "train/a.png, 1, 0\n\n").unwrap();
    std::fs::write(folder.join("val.txt"), "val/b.png, 2, 1\nval/gone.png, 2, 1\n").unwrap();
    let source = grocery::read_from(folder).unwrap();
    let of = |id: &str| source.pictures.iter().find(|p| p.id == id).unwrap();
    assert_eq!(of("train/a.png").values[0], ["Granny Smith apple"]);
    assert_eq!(
        (of("icons/g.png").split, of("icons/g.png").description.as_deref()),
        (Some(Split::Train), Some("A green apple."))
    );
    assert_eq!(
        (of("val/b.png").values[1].clone(), of("val/b.png").split),
        (vec!["Thing".to_owned()], Some(Split::Val))
    );
    assert_eq!(source.complaints.len(), 2, "a picture of a list and one of a class are missing");
    std::fs::write(folder.join("val.txt"), "val/b.png, 9, 1\n").unwrap();
    assert!(grocery::read_from(folder).unwrap_err().to_string().contains("val.txt, line 1: is no line of"));
    std::fs::write(folder.join("val.txt"), "../b.png, 2, 1\n").unwrap();
    assert!(grocery::read_from(folder).unwrap_err().to_string().contains("outside the folder"));
}

#[test]
fn the_photographs_become_data_sets() {
    let Some(photos) = std::env::var_os("THISBUT_PHOTOS").map(PathBuf::from) else {
        println!("SKIPPED: THISBUT_PHOTOS names no folder with clothing/ and grocery/");
        return;
    };
    let root = tempfile::tempdir().unwrap();
    let few = |name: &str| Options { train: Some(3000), chosen: true, ..options(&root.path().join(name)) };
    let words = Words::load(None).unwrap();
    let clothes = clothing::read_from(&photos.join("clothing"), Path::new(""), &words).unwrap();
    let report = prepare(clothes, &few("clothing"), &mut |_| {}).unwrap();
    assert_eq!((report.pictures, report.attributes["category"].values), (3409, 10));
    let report = prepare(grocery::read_from(&photos.join("grocery")).unwrap(), &few("grocery"), &mut |_| {}).unwrap();
    assert_eq!((report.attributes["product"].values, report.attributes["category"].values), (81, 43));
    assert!(report.attributes["product"].tells.contains(&"brand".to_owned()));
    for (name, split) in [("clothing", Split::Val), ("grocery", Split::Train)] {
        let (table, complaints) = cirr::load(&root.path().join(name), split, &LoadOptions::default()).unwrap();
        assert!(complaints.is_empty() && !table.triplets.is_empty(), "{complaints:?}");
    }
}
