//! Tables and folders that are wrong get one clear sentence, and leave nothing behind.

use super::*;

#[test]
fn tables_that_are_wrong_are_named_with_line_and_mend() {
    let root = tempfile::tempdir().unwrap();
    let good = shop(&root.path().join("photos"), ',', "\n");
    let out = root.path().join("out");
    let said = |table: &str| match made(root.path(), table, &options(&out)) {
        Ok(_) => panic!("it was taken"),
        Err(e) => e.to_string(),
    };
    let line = |n: usize| good.lines().nth(n).unwrap().to_owned();
    let cases = [
        (good.replacen("file,", "picture of,", 1), "line 1: there is no column 'file' (columns: picture of, Category"),
        (good.replacen("color,", "Category,", 1), "line 1: column 'Category' occurs twice"),
        (good.replacen("color,", ",", 1), "line 1: column 3 has no name"),
        (
            format!("{good}{}\n", line(1)),
            "line 122: 'skirt/Red-0.png' already stands in line 2; both lines say the same: remove one of them",
        ),
        (
            format!("{good}{}\n", line(1).replace("Red,", "Blue,")),
            "line 122: 'skirt/Red-0.png' already stands in line 2; keep one line a picture",
        ),
        (good.replacen("color,", "category_,", 1), "line 1: column 'category_' occurs twice"),
        (
            good.replacen(",red,", ",red,pink,", 1).replacen(",Red,", ",Red,pink,", 1),
            "line 2: has 7 fields, the header has 6; put a field that holds a comma in quotes",
        ),
        (good.lines().take(1).collect::<String>(), "it has no lines below its header"),
        (good.replace(".png,", ".tiff,"), "names no picture of"),
        (good.lines().take(9).collect::<Vec<_>>().join("\n"), "8 pictures with attributes are too few"),
    ];
    for (table, words) in cases {
        let said = said(&table);
        assert!(said.contains(words), "{words}: {said}");
    }
    let one = "file,category\n".to_owned()
        + &good.lines().skip(1).map(|l| format!("{},hat\n", l.split(',').next().unwrap())).collect::<String>();
    let alone = said(&one);
    assert!(
        alone.contains("nothing differs between the pictures: column 'category' has one value only, 'hat'"),
        "{alone}"
    );
    std::fs::write(root.path().join("latin.csv"), b"file,category\na.png,caf\xe9\n").unwrap();
    let latin =
        read(&reading(&root.path().join("photos"), Some(&root.path().join("latin.csv"))), &Words::load(None).unwrap());
    assert!(latin.unwrap_err().to_string().contains("not UTF-8"));
    let chosen = Reading {
        attributes: vec!["fit".into()],
        ..reading(&root.path().join("photos"), Some(&root.path().join("table.csv")))
    };
    std::fs::write(root.path().join("table.csv"), &good).unwrap();
    let unknown = read(&chosen, &Words::load(None).unwrap()).unwrap_err().to_string();
    assert!(unknown.contains("--attributes: there is no column 'fit'") && unknown.contains("color"), "{unknown}");
    assert!(unknown.contains("in quotes where a name has a space"), "{unknown}");
    assert!(!out.exists(), "nothing half-written");
}

#[test]
fn lines_and_pictures_that_are_of_no_use_are_left_out_by_name() {
    let root = tempfile::tempdir().unwrap();
    let photos = root.path().join("photos");
    let good = shop(&photos, ',', "\n");
    std::fs::write(photos.join("skirt/Red-0.png"), b"no picture").unwrap();
    picture(&photos.join("elsewhere.png"), 77);
    let table = format!("{good}gone.png,skirt,red,,5,x\n,skirt,red,,5,y\n");
    let report = made(root.path(), &table, &options(&root.path().join("out"))).unwrap();
    for words in [
        "line 122: there is no picture 'gone.png' in the folder",
        "line 123: names no picture",
        "has no line for 1 of the 121 pictures",
        "skirt/Red-0.png: this is not an image",
    ] {
        assert!(report.left_out.iter().any(|said| said.contains(words)), "{words}: {:?}", report.left_out);
    }
    assert_eq!(report.pictures, 119);
    let strict = Options { strict: true, ..options(&root.path().join("strict")) };
    assert!(made(root.path(), &table, &strict).is_err() && !strict.out.exists());
}

#[test]
fn folders_are_attributes_and_splits() {
    let root = tempfile::tempdir().unwrap();
    let words = Words::load(None).unwrap();
    let empty = read(&reading(root.path(), None), &words).unwrap_err().to_string();
    assert!(empty.contains("has no picture"), "{empty}");
    for n in 0..40u64 {
        let split = if n % 5 == 0 { "validation" } else { "train" };
        picture(&root.path().join(format!("{split}/{}/{n}.png", ["short_skirt", "hat"][n as usize % 2])), n);
    }
    let source = read(&reading(root.path(), None), &words).unwrap();
    assert_eq!(source.columns, ["category"]);
    assert_eq!(source.pictures.iter().filter(|p| p.split == Some(Split::Val)).count(), 8);
    assert!(source.pictures.iter().any(|p| p.values == [["short skirt"]]));
    let named = Reading { attributes: vec!["a".into(), "b".into()], ..reading(root.path(), None) };
    assert!(read(&named, &words).unwrap_err().to_string().contains("2 names for 1 levels of folders"));
    let report = prepare(source, &options(&root.path().join("out")), &mut |_| {}).unwrap();
    assert_eq!((report.images["train"], report.images["val"], report.images["test"]), (32, 8, 0));
    assert!(!root.path().join("out/captions/cap.rc2.test1.json").exists());
    let flat = tempfile::tempdir().unwrap();
    picture(&flat.path().join("a.png"), 1);
    let problem = read(&reading(flat.path(), None), &words).unwrap_err().to_string();
    assert!(problem.contains("has no folders inside") && problem.contains("--csv"), "{problem}");
}
