//! Tests of the builder on tiny pictures, drawn as blocks of colours.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad;
mod joined;
mod measured;
mod photos;
mod tables;
mod texts;
mod wishes;

use crate::source::{Reading, read};
use crate::splits::Shares;
use crate::words::Words;
use crate::{CatalogueReport, Options, prepare};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use thisbut_trainer::data::{LoadOptions, Split, cirr};

/// A picture of eight by eight blocks, each of a random colour.
fn picture(path: &Path, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let blocks: Vec<[u8; 3]> = (0..64).map(|_| rng.random()).collect();
    let image = image::RgbImage::from_fn(32, 32, |x, y| image::Rgb(blocks[(y / 4 * 8 + x / 4) as usize]));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

const KINDS: [&str; 4] = ["skirt", "dress", "pants", "T-Shirt"];
const COLOURS: [&str; 5] = ["Red", "blue", "green", "black", "white"];

/// A shop: every kind in every colour, six of each, with details, prices and sizes.
fn shop(root: &Path, separator: char, end: &str) -> String {
    let mut table = format!("file;Category;color;details;price;sku{end}");
    let mut n = 0u64;
    for kind in KINDS {
        for colour in COLOURS {
            for copy in 0..6 {
                let name = format!("{kind}/{colour}-{copy}.png");
                picture(&root.join(&name), n);
                let details = ["", "a belt", "a belt|pockets", "pockets"][n as usize % 4];
                table.push_str(&format!("{name};{kind};{colour};{details};{}.50;SKU-{n}{end}", 10 + n * 7 % 60));
                n += 1;
            }
        }
    }
    table.replace(';', &separator.to_string())
}

fn options(out: &Path) -> Options {
    Options { out: out.to_owned(), train: Some(600), val: Some(60), test: Some(60), ..Options::default() }
}

fn reading(folder: &Path, table: Option<&Path>) -> Reading {
    Reading { folder: folder.to_owned(), table: table.map(Path::to_owned), ..Reading::default() }
}

/// Prepares a shop; the table is written beside the pictures.
fn made(root: &Path, table: &str, options: &Options) -> thisbut_trainer::error::Result<CatalogueReport> {
    let csv = root.join("table.csv");
    std::fs::write(&csv, table).unwrap();
    let words = Words::load(None)?;
    prepare(read(&reading(&root.join("photos"), Some(&csv)), &words)?, options, &mut |_| {})
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                out.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    out
}

fn rows(files: &BTreeMap<String, Vec<u8>>, word: &str) -> Vec<Value> {
    serde_json::from_slice(&files[&format!("captions/cap.rc2.{word}.json")]).unwrap()
}

#[test]
fn a_table_becomes_a_data_set_that_the_loader_reads() {
    let root = tempfile::tempdir().unwrap();
    let table = shop(&root.path().join("photos"), ';', "\r\n");
    let report = made(root.path(), &table, &options(&root.path().join("one"))).unwrap();
    let commas = shop(&root.path().join("photos"), ',', "\n");
    made(root.path(), &commas, &options(&root.path().join("two"))).unwrap();
    let (one, two) = (files(&root.path().join("one")), files(&root.path().join("two")));
    assert!(
        one == two && one.len() > 60,
        "the same pictures and seed give the same bytes, whatever separates the columns"
    );
    let other = Options { seed: 2, ..options(&root.path().join("three")) };
    made(root.path(), &table, &other).unwrap();
    assert_ne!(files(&other.out)["captions/cap.rc2.train.json"], one["captions/cap.rc2.train.json"]);

    assert_eq!((report.pictures, report.look_alikes), (120, 0));
    let names: Vec<&str> = report.attributes.keys().map(String::as_str).collect();
    assert_eq!(names, ["category", "colour", "features", "price"], "'sku' names pictures");
    assert!(report.notes.iter().any(|note| note.contains("'sku' has 120 different values")), "{:?}", report.notes);
    assert_eq!((report.attributes["price"].role, report.attributes["features"].several), ("measure", true));

    let images: BTreeMap<String, Value> = serde_json::from_slice(&one["images.json"]).unwrap();
    let attribute = |name: &Value, column: &str| images[name.as_str().unwrap()]["attributes"][column].clone();
    assert_eq!(images["skirt/Red-0.png"]["title"], "a red skirt");
    assert_eq!(images["pants/blue-1.png"]["attributes"]["colour"][0], "blue");
    let mut kinds = BTreeSet::new();
    for word in ["train", "val", "test1"] {
        for row in rows(&one, word) {
            let kind = row["kind"].as_str().unwrap().to_owned();
            let (from, to) = (&row["reference"], &row["target_hard"]);
            let same = |column: &str| attribute(from, column) == attribute(to, column);
            match kind.as_str() {
                "change category" => assert!(!same("category") && same("colour") && same("features"), "{row}"),
                "change colour" | "not colour" => assert!(same("category") && !same("colour"), "{row}"),
                "add features" | "remove features" => assert!(same("category") && same("colour") && !same("features")),
                "compare price" => assert!(same("category") && same("colour") && !same("price"), "{row}"),
                "same" => assert!(same("category") && same("colour") && same("features"), "{row}"),
                _ => {}
            }
            let members = row["img_set"]["members"].as_array().unwrap();
            let soft = row["target_soft"].as_object().unwrap();
            assert!(members.contains(from) && members.contains(to) && !soft.contains_key(from.as_str().unwrap()));
            assert_eq!(members.iter().filter(|m| soft.contains_key(m.as_str().unwrap())).count(), 1, "{row}");
            kinds.insert(kind);
        }
    }
    for kind in ["change category", "change colour", "add features", "remove features", "compare price", "same", "two"]
    {
        assert!(kinds.contains(kind), "{kind} of {kinds:?}");
    }
    for split in Split::ALL {
        let (table, complaints) = cirr::load(&root.path().join("one"), split, &LoadOptions::default()).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        assert!(table.triplets.iter().all(|t| !t.targets.is_empty() && !t.text.is_empty()));
        assert_eq!(table.triplets.iter().filter(|t| t.reverse.is_some()).count() > 0, split == Split::Train);
    }
}

#[test]
fn what_is_held_out_is_reported_apart_and_never_trained_on() {
    let root = tempfile::tempdir().unwrap();
    let mut table = "file,kind of fruit,ripeness\n".to_owned();
    for fruit in 0..24u64 {
        for n in 0..8 {
            let name = format!("{fruit}-{n}.png");
            picture(&root.path().join("photos").join(&name), 1000 + fruit * 8 + n);
            table.push_str(&format!("{name},fruit{fruit},{}\n", ["ripe", "unripe", "dried", "cut"][n as usize % 4]));
        }
    }
    let report = made(root.path(), &table, &options(&root.path().join("out"))).unwrap();
    assert_eq!(report.held_out_values.len(), 2, "{:?}", report.held_out_values);
    assert!(report.held_out_combinations > 0);
    let files = files(&root.path().join("out"));
    let images: BTreeMap<String, Value> = serde_json::from_slice(&files["images.json"]).unwrap();
    let shown =
        |row: &Value, column: &str| images[row["target_hard"].as_str().unwrap()]["attributes"][column][0].to_string();
    let both = |row: &Value| (shown(row, "kind of fruit"), shown(row, "ripeness"));
    let train = rows(&files, "train");
    let trained: BTreeSet<(String, String)> = train.iter().map(both).collect();
    let fruits: BTreeSet<&String> = trained.iter().map(|(fruit, _)| fruit).collect();
    let mut groups = BTreeSet::new();
    for row in rows(&files, "test1").iter().chain(&rows(&files, "val")) {
        let (fruit, ripeness) = both(row);
        match row["group"].as_str().unwrap() {
            "unseen-value" => assert!(!fruits.contains(&fruit), "{row}"),
            "unseen-combination" => assert!(fruits.contains(&fruit) && !trained.contains(&(fruit, ripeness)), "{row}"),
            _ => assert!(fruits.contains(&fruit), "{row}"),
        }
        groups.insert(row["group"].as_str().unwrap().to_owned());
    }
    assert_eq!(groups.len(), 3, "{groups:?}");
    let everything = Shares { values: Some(0.0), combinations: Some(0.0), ..Shares::default() };
    let all = Options { shares: everything, ..options(&root.path().join("all")) };
    let report = made(root.path(), &table, &all).unwrap();
    assert!(report.held_out_values.is_empty() && report.held_out_combinations == 0);
}

#[test]
fn pictures_of_one_thing_and_look_alikes_stay_on_one_side() {
    let root = tempfile::tempdir().unwrap();
    let photos = root.path().join("photos");
    let mut table = "file,category,colour,item\n".to_owned();
    for n in 0..60u64 {
        picture(&photos.join(format!("{n}.png")), n);
        table.push_str(&format!("{n}.png,{},{},thing{}\n", KINDS[n as usize % 4], COLOURS[n as usize / 4 % 5], n % 20));
    }
    std::fs::copy(photos.join("7.png"), photos.join("copy.png")).unwrap();
    table.push_str("copy.png,skirt,red,thing99\n");
    let report = made(root.path(), &table, &options(&root.path().join("out"))).unwrap();
    assert_eq!((report.pictures, report.look_alikes), (61, 1));
    assert!(report.at_odds[0].contains("copy.png looks like 7.png, with other attributes"), "{:?}", report.at_odds);
    let files = files(&root.path().join("out"));
    let mut sides: BTreeMap<u64, BTreeSet<&str>> = BTreeMap::new();
    for word in ["train", "val", "test1"] {
        let split: BTreeMap<String, String> =
            serde_json::from_slice(&files[&format!("image_splits/split.rc2.{word}.json")]).unwrap();
        for name in split.keys() {
            let n: u64 = name.trim_end_matches(".png").parse().unwrap();
            sides.entry(n % 20).or_default().insert(word);
        }
    }
    assert!(sides.len() == 20 && sides.values().all(|words| words.len() == 1), "{sides:?}");
    assert!(!files.contains_key("images/copy.png"));
}

#[test]
fn a_data_set_is_made_again_in_place_and_nothing_else_is_overwritten() {
    let root = tempfile::tempdir().unwrap();
    let table = shop(&root.path().join("photos"), ',', "\n");
    let out = root.path().join("out");
    std::fs::create_dir(&out).unwrap();
    made(root.path(), &table, &options(&out)).unwrap();
    std::fs::write(out.join("web-xs.features"), b"kept").unwrap();
    made(root.path(), &table, &Options { seed: 2, ..options(&out) }).unwrap();
    assert_eq!(std::fs::read(out.join("web-xs.features")).unwrap(), b"kept");
    let other = root.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.txt"), b"x").unwrap();
    let problem = made(root.path(), &table, &options(&other)).unwrap_err().to_string();
    assert!(problem.contains("holds other things"), "{problem}");
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with(".partial")), "{left:?}");
}
