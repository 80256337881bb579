//! Tables as spreadsheets of many countries write them, headers of several words, and the table of titles.

use super::*;
use crate::Told;
use crate::measure::Measure;
use crate::source::Source;

/// Reads a table of forty pictures whose rows are `row`, with the attributes that are asked for; sixteen of them validate.
fn source(root: &Path, header: &str, row: impl Fn(usize) -> String, attributes: &[&str]) -> Result<Source, String> {
    let mut table = format!("{header};split\n");
    for n in 0..40 {
        picture(&root.join(format!("photos/{n:02}.png")), n as u64);
        let split = if (16..32).contains(&n) { "val" } else { "train" };
        table.push_str(&format!("{n:02}.png;{};{split}\n", row(n)));
    }
    let csv = root.join("table.csv");
    std::fs::write(&csv, table).unwrap();
    let attributes = attributes.iter().map(|name| (*name).to_owned()).collect();
    let reading = Reading { attributes, ..reading(&root.join("photos"), Some(&csv)) };
    read(&reading, &Words::load(None).unwrap()).map_err(|e| e.to_string())
}

fn report(root: &Path, source: Source) -> CatalogueReport {
    prepare(source, &options(&root.join("out")), &mut |_| {}).unwrap()
}

#[test]
fn decimal_commas_are_numbers() {
    let root = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("{};{},50 €;0,{}", KINDS[n % 4], 10 + n, 1 + n % 3);
    let refused = source(root.path(), "sep=;\nDatei;category;price;weight", row, &[]).unwrap_err();
    assert!(
        refused.contains("line 1: there is no column 'file' (columns: Datei, category, price, weight, split)"),
        "{refused}"
    );
    let known = source(root.path(), "sep=;\nPhoto;category;price;weight", row, &[]).unwrap();
    let made = report(root.path(), known);
    assert_eq!((made.attributes["price"].role, made.attributes["weight"].role), ("measure", "steps"));
}

#[test]
fn headers_of_several_words_name_attributes_everywhere() {
    let root = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("{};{};{}", KINDS[n % 4], ["round", "deep"][n / 4 % 2], ["flat", "high"][n / 8 % 2]);
    let header = "file;category;Neck line;Heel  height";
    let all = source(root.path(), header, row, &[]).unwrap();
    assert_eq!(all.columns, ["category", "neckline", "heel height"]);
    for (asked, columns) in [
        (["category", " heel height"], ["category", "heel height"]),
        (["Category", "HEEL_HEIGHT"], ["category", "heel height"]),
        (["category", "neckline"], ["category", "neckline"]),
        (["kind", "Neck line"], ["category", "neckline"]),
    ] {
        assert_eq!(source(root.path(), header, row, &asked).unwrap().columns, columns, "{asked:?}");
    }
    let made = report(root.path(), all);
    assert!(made.attributes.contains_key("heel height") && made.attributes.contains_key("neckline"));
    let files = files(&root.path().join("out"));
    let texts: Vec<String> = rows(&files, "train")
        .iter()
        .filter(|row| row["kind"] == "change heel height")
        .map(|row| row["caption"].as_str().unwrap().to_lowercase())
        .collect();
    assert!(texts.iter().any(|text| text.contains("heel height")), "{texts:?}");
    assert!(texts.iter().all(|text| !text.contains('_') && !text.contains('{')), "{texts:?}");

    // Values that name the pictures: the note says how to take the column all the same, in a way that a shell reads.
    let many = |n: usize| format!("{};{n} a;{n}", KINDS[n % 4]);
    let noted = report(root.path(), source(root.path(), "file;category;Article number;x", many, &[]).unwrap());
    assert!(
        noted.notes.iter().any(|note| note.contains("(--attributes 'article number' takes it)")),
        "{:?}",
        noted.notes
    );
}

#[test]
fn two_headers_of_one_attribute_are_two_attributes() {
    let root = tempfile::tempdir().unwrap();
    let row = |n: usize| format!("{};{};{}", KINDS[n % 4], ["wide", "tight"][n / 4 % 2], ["red", "blue"][n / 8 % 2]);
    let two = source(root.path(), "file;Category;type;Main colour", row, &[]).unwrap();
    assert_eq!(two.columns, ["category", "type", "colour"]);
    let said = source(root.path(), "file;neck_line;Neck line;colour", row, &[]).unwrap_err();
    assert!(said.contains("line 1: column 'Neck line' occurs twice; rename or remove one"), "{said}");
}

#[test]
fn every_picture_is_in_the_table_of_titles_and_what_was_measured_goes() {
    let root = tempfile::tempdir().unwrap();
    let photos = root.path().join("photos");
    let table = shop(&photos, ',', "\n").replace("skirt/Red-0.png", "\"skirt/Red, 0.png\"");
    std::fs::rename(photos.join("skirt/Red-0.png"), photos.join("skirt/Red, 0.png")).unwrap();
    std::fs::copy(photos.join("skirt/Red-1.png"), photos.join("skirt/copy.png")).unwrap();
    let table = format!("{table}skirt/copy.png,skirt,Red,a belt,17.50,SKU-x\n");
    let out = root.path().join("out");
    let measured = Options { measures: vec![Measure::Pattern], ..options(&out) };
    made(root.path(), &table, &measured).unwrap();
    assert!(out.join("check.html").is_file() && out.join("measured.csv").is_file());
    made(root.path(), &table, &options(&out)).unwrap();
    assert!(!out.join("check.html").exists() && !out.join("measured.csv").exists(), "of an earlier run");

    let titles = std::fs::read_to_string(out.join("titles.csv")).unwrap();
    assert_eq!(titles.lines().count(), 1 + 121, "every picture of the table, the look-alike too");
    assert!(
        titles.starts_with("file,title,tags\n") && titles.contains("\n\"skirt/Red, 0.png\",a red skirt,"),
        "{titles}"
    );
    let line = |name: &str| titles.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
    assert_eq!(line("skirt/copy.png,"), line("skirt/Red-1.png,"), "it looks like that one");
    assert!(line("skirt/Red-1.png,").starts_with("a red skirt with a belt,skirt|red|a belt"), "{titles}");
}

#[test]
fn the_pictures_that_were_looked_at_are_told() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("table.csv"), shop(&root.path().join("photos"), ',', "\n")).unwrap();
    let reading = reading(&root.path().join("photos"), Some(&root.path().join("table.csv")));
    let source = read(&reading, &Words::load(None).unwrap()).unwrap();
    let mut looked = Vec::new();
    let mut hear = |told| match told {
        Told::Looked(done, all) => looked.push((done, all)),
        Told::Line(line) => assert!(!line.is_empty()),
    };
    prepare(source, &options(&root.path().join("out")), &mut hear).unwrap();
    assert_eq!(looked, [(64, 120), (120, 120)]);
}
