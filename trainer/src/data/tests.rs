//! Layouts told apart, and the published annotation files where they are at hand.

use super::*;
use crate::skipped::published;

#[test]
fn layouts_are_told_apart() {
    let files: [(&[(&str, &str)], Format); 8] = [
        (&[("cirr/captions/cap.rc2.val.json", "[]")], Format::Cirr),
        (&[("cap.toptee.test.json", "[]")], Format::Fashioniq),
        (&[("annotations/val.json", "[{\"shared_concept\": 1}]")], Format::Circo),
        (&[("downloads/lasco_val.json", "[]")], Format::Lasco),
        (&[("val.json", "[{\"difference_captions\": 1}]")], Format::Good4cir),
        (&[("genecis/focus_object.json", "[]")], Format::Genecis),
        (&[("annotations/train.csv", "")], Format::Triplets),
        (&[("test.jsonl", "{\"reference\": \"a\"}")], Format::Triplets),
    ];
    let write = |root: &Path, files: &[(&str, &str)]| {
        for (file, text) in files {
            std::fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            std::fs::write(root.join(file), text).unwrap();
        }
    };
    for (files, format) in files {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), files);
        let found = DataSet::open(root.path(), None).unwrap();
        assert_eq!(found.format, format);
        assert_eq!(found.splits().len(), 1);
        assert!(found.load(found.splits()[0], &LoadOptions::default()).is_err(), "nothing usable is an error");
    }
    let root = tempfile::tempdir().unwrap();
    assert!(DataSet::open(&root.path().join("no"), None).unwrap_err().to_string().contains("is not a folder"));
    assert!(detect(root.path()).unwrap_err().to_string().contains("no layout that is known"));
    write(root.path(), &[("cap.rc2.val.json", "[]"), ("train.csv", "")]);
    let several = detect(root.path()).unwrap_err().to_string();
    assert!(several.contains("cirr, triplets") && several.contains("--format"), "{several}");
    assert_eq!(DataSet::open(root.path(), Some(Format::Triplets)).unwrap().splits(), [Split::Train]);
}

#[test]
fn published_annotation_files_load_with_the_published_counts() {
    let options = LoadOptions { images_required: false, strict: false };
    for (name, format, splits) in
        [("cirr", Format::Cirr, &[Split::Val][..]), ("fashioniq", Format::Fashioniq, &[Split::Train, Split::Val][..])]
    {
        let Some(root) = published(name) else { continue };
        let set = DataSet::open(&root, None).unwrap();
        assert_eq!((set.format, set.splits().as_slice()), (format, splits));
        for split in splits {
            let (table, complaints) = set.load(*split, &options).unwrap();
            let counts = published::counts(format, *split, &table);
            println!("{name} {}: {counts:?}, {} complaints", split.name(), complaints.len());
            assert!(!counts.is_empty() && counts.iter().all(|c| c.published == c.loaded), "{counts:?}");
            assert!(complaints.iter().all(|c| c.problem.contains("empty")), "{complaints:?}");
        }
    }
}

#[test]
fn only_cirr_itself_is_held_against_cirrs_counts() {
    let image = |name: &str| ImageEntry { name: name.into(), path: PathBuf::new() };
    let mut table = Table { images: vec![image("red-apple")], ..Table::default() };
    assert!(published::counts(Format::Cirr, Split::Val, &table).is_empty());
    assert_eq!(published::queries(Format::Cirr, Split::Val, &table), None);
    table.images.push(image("dev-1-0-img0"));
    let counts = published::counts(Format::Cirr, Split::Val, &table);
    assert_eq!((counts[0].what.as_str(), counts[0].published, counts[0].loaded), ("queries", 4181, 0));
    assert_eq!(published::queries(Format::Fashioniq, Split::Val, &table), Some(6016));
}

#[test]
fn a_strict_run_says_what_is_wrong_and_not_that_it_was_left_out() {
    let said = |problems: &[&str]| {
        let complaint =
            |problem: &&str| Complaint { place: "t.csv, line 4".to_owned(), problem: (*problem).to_owned() };
        table::refuse_complaints(&problems.iter().map(complaint).collect::<Vec<_>>()).map_err(|e| e.to_string())
    };
    assert_eq!(said(&[]), Ok(()));
    assert_eq!(
        said(&["there is no picture 'a.jpg' in the folder; the line is left out"]).unwrap_err(),
        "t.csv, line 4: there is no picture 'a.jpg' in the folder; mend it, or run without --strict, which leaves it out"
    );
    assert_eq!(
        said(&["the target is missing; left out", "x", "y"]).unwrap_err(),
        "t.csv, line 4: the target is missing (and 2 more); mend them, or run without --strict, which leaves them out"
    );
    assert!(said(&["its columns differ; the first counts"]).unwrap_err().contains("differ; the first counts; mend it"));
}

#[test]
fn a_data_set_without_titles_is_told_who_writes_them() {
    let root = tempfile::tempdir().unwrap();
    let said = described::needed(root.path()).unwrap_err().to_string();
    assert!(said.contains("images.json: no image of the split has a title, since this file is not there"), "{said}");
    assert!(said.contains("`thisbut prepare` writes it") && said.contains("{\"NAME\": {\"title\": "), "{said}");
    std::fs::write(root.path().join("images.json"), "{}").unwrap();
    let untitled =
        derive::captions(&Table::default(), &described::needed(root.path()).unwrap()).unwrap_err().to_string();
    assert!(untitled.starts_with("images.json: no image of the split has a title; `thisbut prepare`"), "{untitled}");
}
