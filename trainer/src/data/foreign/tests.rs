//! Field names of others, told and found, and rows that cannot be used.

use super::*;
use crate::data::{DataSet, LoadOptions};

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        for name in ["a", "b", "c"] {
            std::fs::create_dir_all(world.place("data/images")).unwrap();
            std::fs::write(world.place(&format!("data/images/{name}.jpg")), "x").unwrap();
        }
        world
    }

    fn place(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn take(&self, triplets: (&str, &str), captions: Option<(&str, &str)>, names: &[(&str, &str)]) -> Result<Taken> {
        for (name, text) in [Some(triplets), captions].into_iter().flatten() {
            std::fs::write(self.place(name), text).unwrap();
        }
        take(&Reading {
            triplets: self.place(triplets.0),
            captions: captions.map(|(name, _)| self.place(name)),
            names: names.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect(),
            split: Split::Train,
            out: self.place("data"),
        })
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.place(name)).unwrap()
    }
}

#[test]
fn usual_names_are_found_and_others_are_told() {
    let world = World::new();
    let usual = r#"[{"ref_image": "a.jpg", "target_image": "b.jpg", "modification_text": "in red", "caption": "a red hat", "n": 1}]"#;
    let told = r#"{"pair": {"from": {"path": "a.jpg"}, "to": "b.jpg"}, "words": "in red", "b": "a red hat"}"#;
    let names = [("reference", "pair.from.path"), ("target", "pair.to"), ("text", "words"), ("target_caption", "b")];
    let csv = "ref;tgt;text;target_caption\na.jpg;b.jpg;in red;a red hat\n";
    let row = "{\"reference\":\"a.jpg\",\"target\":\"b.jpg\",\"target_caption\":\"a red hat\",\"text\":\"in red\"}\n";
    for (file, text, names) in [
        ("t.json", usual, &[("target_caption", "caption")][..]),
        ("t.jsonl", told, &names[..]),
        ("t.csv", csv, &[][..]),
    ] {
        let taken = world.take((file, text), None, names).unwrap();
        assert_eq!((taken.triplets, taken.captions, taken.complaints.len()), (1, 1, 0), "{file}");
        assert_eq!(world.read("data/train.jsonl"), row, "{file}");
        assert_eq!(world.read("data/captions.jsonl"), "{\"caption\":\"a red hat\",\"image\":\"b.jpg\"}\n");
    }
    let data = DataSet::open(&world.place("data"), None).unwrap();
    let (table, complaints) = data.load(Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!((table.triplets[0].caption.as_deref(), complaints.len()), (Some("a red hat"), 0));
}

#[test]
fn captions_of_a_file_come_as_rows_or_as_one_object() {
    let rows = r#"{"reference": "a.jpg", "target": "b.jpg", "text": "in red", "reference_caption": "a hat"}"#;
    for (file, text) in [
        ("c.json", r#"{"a.jpg": "a blue hat", "b.jpg": "a red hat", "c.jpg": ""}"#),
        (
            "c.jsonl",
            "{\"image\": \"a.jpg\", \"caption\": \"a blue hat\"}\n{\"image\": \"b.jpg\", \"caption\": \"a red hat\"}\n{\"image\": \"b.jpg\", \"caption\": \"x\"}\n",
        ),
        ("c.csv", "path,description\na.jpg,a blue hat\nb.jpg,a red hat\nc.jpg,\n"),
    ] {
        let world = World::new();
        let taken = world.take(("t.jsonl", rows), Some((file, text)), &[]).unwrap();
        assert_eq!((taken.captions, taken.complaints.len()), (2, 1), "{file}: {:?}", taken.complaints);
        let expected =
            "{\"caption\":\"a blue hat\",\"image\":\"a.jpg\"}\n{\"caption\":\"a red hat\",\"image\":\"b.jpg\"}\n";
        assert_eq!(world.read("data/captions.jsonl"), expected, "{file}: the file's own captions count");
    }
}

#[test]
fn rows_that_cannot_be_used_are_named_and_missing_fields_listed() {
    let world = World::new();
    let rows = "{\"reference\": \"a.jpg\", \"target\": \"b.jpg\", \"text\": \"x\"}\n{\"reference\": \"a.jpg\", \"target\": \"a.jpg\", \"text\": \"x\"}\n\
        {\"reference\": \"a.jpg\", \"target\": \"b.jpg\", \"text\": \" \"}\n{\"reference\": [1], \"target\": \"b.jpg\", \"text\": \"x\"}\n\
        {\"reference\": \"a.jpg\"\n{\"reference\": 7, \"target\": null, \"text\": \"x\"}\n";
    let taken = world.take(("t.jsonl", rows), None, &[]).unwrap();
    let said: Vec<String> = taken.complaints.iter().map(ToString::to_string).collect();
    for (said, words) in said.iter().zip([
        "line 2: the target is the reference itself; left out",
        "line 3: text is missing or empty; left out",
        "line 4: reference is no text; left out",
        "line 5: EOF",
        "line 6: target is missing or empty; left out",
    ]) {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!((taken.triplets, said.len()), (1, 5));
    let refused =
        |text: &str, names: &[(&str, &str)]| world.take(("x.json", text), None, names).unwrap_err().to_string();
    let said = refused(r#"[{"from": "a", "target": "b", "text": "x"}]"#, &[]);
    assert!(said.contains("(fields: from, target, text)") && said.contains("--field reference=NAME"), "{said}");
    let said = refused(r#"[{"reference": "a", "target": "b", "text": "x"}]"#, &[("target_caption", "long")]);
    assert!(said.contains("has no field long"), "{said}");
    let said = refused("[]", &[("pictures", "x")]);
    assert!(said.contains("--field pictures: there is no field of that name; name one of caption, group"), "{said}");
    assert!(refused("[]", &[]).contains("has no row that can be read (it is empty)"));
    assert!(refused("[{\"reference\": ", &[]).contains("x.json, line 1"));
    let said = refused(r#"[{"reference": "a", "target": "a", "text": "x"}]"#, &[]);
    assert!(said.contains("no usable triplet") && said.contains("reference itself"), "{said}");
    let before = world.read("data/train.jsonl");
    let own = Reading {
        triplets: world.place("data/../data/train.jsonl"),
        captions: None,
        names: BTreeMap::new(),
        split: Split::Train,
        out: world.place("data"),
    };
    assert!(take(&own).unwrap_err().to_string().contains("would be replaced"));
    assert_eq!(world.read("data/train.jsonl"), before, "nothing is lost");
}
