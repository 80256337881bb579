//! The papers' tables of texts, counted on a few.

use super::*;
use thisbut_trainer::data::table::{ImageEntry, Triplet};

fn annotated() -> Table {
    let images = ["a", "b", "c"].map(|name| ImageEntry { name: name.into(), path: name.into() }).to_vec();
    let row = |id, reference, target, text: &str| Triplet {
        id,
        reference,
        targets: vec![target],
        text: text.into(),
        ..Triplet::default()
    };
    let triplets = vec![row(1, 0, 1, "Is red, is big"), row(2, 1, 2, "is blue")];
    Table { images, triplets, gallery: vec![0, 1, 2], ..Table::default() }
}

fn file(rows: &[(&str, &str, &str)]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let line = |(r, t, text): &(&str, &str, &str)| {
        serde_json::json!({"reference": r, "target": t, "modifier_generated": text}).to_string() + "\n"
    };
    std::fs::write(file.path(), rows.iter().map(line).collect::<String>() + "oops\n").unwrap();
    file
}

#[test]
fn table_one_counts_as_the_paper_does() {
    let made = file(&[("a", "b", "Red red, red"), ("a", "c", "blue"), ("b", "c", "green"), ("c", "a", "green")]);
    let (table, complaints) = table_one(made.path(), Some(("annotated", &annotated())), None).unwrap();
    assert_eq!((complaints.count, complaints.first[0].place.ends_with("line 5")), (1, true));
    let [generated, person] = &table.rows[..] else { panic!("{table:?}") };
    assert_eq!((generated.texts, generated.images, generated.words), (4, 3, 6));
    assert_eq!((generated.unique_words, person.unique_words), (4, 4), "punctuation belongs to its word, case does not");
    assert!((generated.unique_share - 400.0 / 6.0).abs() < 1e-9);
    assert_eq!((generated.mean_characters, generated.mean_words), (6.5, 1.5));
    // Two of the four texts, the second and the fourth.
    let alike = Alike { texts: 2, unique_words: 2, unique_share: 100.0 };
    assert_eq!(generated.alike, Some(alike));
    assert_eq!(person.alike.unwrap().texts, 2);
    let text = table.to_string();
    assert!(text.contains("66.67 %") && text.contains("100.00 % of 2"), "{text}");
    std::fs::write(made.path(), "").unwrap();
    assert!(table_one(made.path(), None, None).unwrap_err().to_string().contains("the file is empty"));
}

#[test]
fn only_pairs_with_a_text_are_compared() {
    let made = file(&[("a", "c", "other pair"), ("b", "c", "now green"), ("b", "c", "twice"), ("x", "c", "unknown")]);
    let found = texts_of(made.path(), &annotated()).unwrap();
    let (original, generated) = both_texts(annotated(), &found);
    let texts = |table: &Table| table.triplets.iter().map(|t| (t.id, t.text.clone())).collect::<Vec<_>>();
    assert_eq!(texts(&original), [(2, "is blue".to_owned())]);
    assert_eq!(texts(&generated), [(2, "now green".to_owned())]);
}

#[test]
fn an_images_caption_counts_once() {
    let made = tempfile::NamedTempFile::new().unwrap();
    let row = |r: &str, t: &str, from: &str, to: &str| {
        serde_json::json!({"reference": r, "target": t, "modifier_generated": "x y", "reference_caption": from, "target_caption": to})
            .to_string()
            + "\n"
    };
    let rows = [
        row("a", "b", "a Red hat.", "a blue hat"),
        row("b", "a", "a blue hat", "another"),
        row("a", "c", "a Red hat.", " "),
    ];
    std::fs::write(made.path(), rows.concat()).unwrap();
    let (table, _) = table_one(made.path(), None, None).unwrap();
    let [texts, captions] = &table.rows[..] else { panic!("{table:?}") };
    assert_eq!((texts.texts, texts.images, texts.unique_words), (3, 3, 2));
    assert_eq!((captions.name.as_str(), captions.texts, captions.images), ("captions", 2, 2));
    assert_eq!((captions.words, captions.unique_words, captions.mean_words), (6, 5, 3.0));
    assert_eq!(captions.alike, None);
    assert!(table.to_string().contains("captions"));
    // A file of captions counts in their place, with what is wrong in it.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "{\"image\": \"q\", \"caption\": \"one two three four\"}\n{\"image\": \"r\"}\n")
        .unwrap();
    let (table, complaints) = table_one(made.path(), None, Some(file.path())).unwrap();
    let captions = table.rows.last().unwrap();
    assert_eq!((captions.texts, captions.mean_words, complaints.count), (1, 4.0, 1));
    assert!(table_one(made.path(), None, Some(Path::new("/no/such.jsonl"))).is_err());
}
