//! `evaluate --parts`: texts in a row and what is not wanted, on pictures of shapes and a model with random weights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;
#[path = "common/tiny.rs"]
mod tiny;

use common::{run, shapes, thisbut};
use serde_json::{Value, json};
use std::path::Path;
use tiny::tiny_bundle;

/// Colour and shape of every picture, and ten queries more that change both.
fn describe(data: &Path) {
    let captions = data.join("captions/cap.rc2.test1.json");
    let mut rows: Vec<Value> = serde_json::from_slice(&std::fs::read(&captions).unwrap()).unwrap();
    let split: Value =
        serde_json::from_slice(&std::fs::read(data.join("image_splits/split.rc2.test1.json")).unwrap()).unwrap();
    let names: Vec<&String> = split.as_object().unwrap().keys().collect();
    let parts = |name: &str| name.split_once('-').map(|(colour, shape)| (colour.to_owned(), shape.to_owned())).unwrap();
    let mut images = serde_json::Map::new();
    for name in &names {
        let (colour, shape) = parts(name);
        images.insert((*name).clone(), json!({"title": name, "attributes": {"colour": [colour], "shape": shape}}));
    }
    std::fs::write(data.join("images.json"), serde_json::to_vec(&images).unwrap()).unwrap();
    let (reference, first) = (names[0].as_str(), parts(names[0]));
    let both = names.iter().filter(|name| parts(name).0 != first.0 && parts(name).1 != first.1).take(10);
    for (n, target) in both.enumerate() {
        let (colour, shape) = parts(target);
        let mut row = rows[0].clone();
        row["pairid"] = (9000 + n).into();
        row["reference"] = reference.into();
        row["target_hard"] = (*target).clone().into();
        row["target_soft"] = json!({ (target.as_str()): 1.0 });
        row["caption"] = format!("a {colour} {shape}").into();
        row["img_set"]["members"] = json!([reference, target]);
        rows.push(row);
    }
    std::fs::write(captions, serde_json::to_vec(&rows).unwrap()).unwrap();
}

/// The numbers of a row of the table, by its name.
fn row<'a>(told: &'a str, name: &str) -> Vec<&'a str> {
    let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no row {name}: {told}"));
    line[name.len()..].split_whitespace().collect()
}

#[test]
fn texts_in_parts_stand_beside_the_plain_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (data, _) = shapes(folder.path());
    tiny_bundle(&folder.path().join("model"));
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (data_set, model, bundle) = (data.to_str().unwrap(), at("model"), at("bundle"));
    run(&["index", &format!("{data_set}/images"), "--model", &model, "--out", &bundle]);
    let asked = ["evaluate", data_set, "--bundle", &bundle, "--parts", "5"];
    let refused = thisbut().args(asked).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(told.contains("images.json") && told.contains("--parts"), "{told}");

    describe(&data);
    let told = String::from_utf8_lossy(&run(&asked).stdout).into_owned();
    for name in ["one text", "texts in a row", "the first of them alone", "the last of them alone"] {
        assert_eq!(row(&told, name)[0], "5", "{told}");
    }
    // Of the first ten answers of a random model several have a colour or a shape that the targets lack.
    let share = |name: &str| row(&told, name).last().unwrap().parse::<f64>().unwrap();
    let (plain, apart) = (share("the text alone"), share("what is not wanted apart (--not)"));
    assert!(plain >= 10.0 && apart <= plain, "{told}");
}
