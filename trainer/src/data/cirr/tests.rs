//! The CIRR loader on small made-up data sets, and on the published files where they are at hand.

use super::*;
use serde_json::{Value, json};

const LAX: LoadOptions = LoadOptions { images_required: false, strict: false };

/// A data set of images a…f; `inner` is where captions and splits go, `images` where the image files go.
fn data_set(inner: &str, images: &str, rows: &Value) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let base = root.path().join(inner);
    for folder in [base.join("captions"), base.join("image_splits"), root.path().join(images).join("train/1")] {
        std::fs::create_dir_all(folder).unwrap();
    }
    let mut names = serde_json::Map::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        names.insert(name.into(), json!(format!("./train/1/{name}.png")));
        std::fs::write(root.path().join(images).join(format!("train/1/{name}.png")), b"x").unwrap();
    }
    std::fs::write(base.join("image_splits/split.rc2.train.json"), Value::from(names).to_string()).unwrap();
    std::fs::write(base.join("captions/cap.rc2.train.json"), rows.to_string()).unwrap();
    root
}

fn row(id: u64) -> Value {
    json!({"pairid": id, "reference": "a", "target_hard": "b", "target_soft": {"b": 1.0, "c": 1.0, "d": 0.5, "a": 1.0},
           "caption": "now in red", "img_set": {"id": 1, "members": ["a", "b", "c", "d", "e", "f"]}})
}

#[test]
fn each_layout_loads_with_soft_targets_groups_and_reverse_texts() {
    let mut extra = row(2);
    extra["group"] = json!("unseen");
    extra["people"] = json!(true);
    for (inner, images) in [("", ""), ("", "img_raw"), ("cirr", ""), ("cirr", "img_raw"), ("cirr", "cirr/img_raw")] {
        let root = data_set(inner, images, &json!([row(1), extra]));
        let rev = root.path().join(inner).join("captions/cap.rc2.train_rev.jsonl");
        std::fs::write(&rev, "{\"pairid\": 2, \"modifier_generated\": \"now in blue\"}\n").unwrap();
        let (table, complaints) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
        assert!(complaints.is_empty(), "{complaints:?}");
        assert_eq!((table.images.len(), table.gallery.len(), table.triplets.len()), (6, 6, 2));
        let [first, second] = &table.triplets[..] else { panic!() };
        assert_eq!((first.reference, &first.targets, first.subset.len()), (0, &vec![1, 2], 6), "hard target first");
        assert_eq!(second.reverse.as_deref(), Some("now in blue"));
        assert_eq!((second.group.as_deref(), second.people, second.row), (Some("unseen"), true, 2));
        let query = table.query(&table.gallery_positions(), second);
        assert_eq!((query.exclude, query.subset.len()), (Some(0), 5));
        assert_eq!((query.right, query.relevant), (vec![1], 1), "CIRR counts the hard target alone");
        let all = Table { right_targets: RightTargets::All, ..table.clone() };
        assert_eq!(all.query(&all.gallery_positions(), second).right, [1, 2], "the named switch counts soft ones too");
    }
}

#[test]
fn rows_share_a_set_of_right_targets() {
    let mut shared = row(1);
    shared["target_set"] = json!("s1");
    let mut unknown = row(2);
    unknown["target_set"] = json!("s9");
    let root = data_set("", "", &json!([shared, unknown]));
    let sets = root.path().join("captions/targets.rc2.train.json");
    std::fs::write(&sets, json!({"s1": ["f", "b", "e", "a", "gone"]}).to_string()).unwrap();
    let (table, complaints) = load(root.path(), Split::Train, &LAX).unwrap();
    assert_eq!(table.triplets[0].targets, [1, 2, 5, 4], "named targets first, none twice, and never the reference");
    let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|c| c.contains("targets.rc2.train.json, s1: target 'gone' is not in the image split")));
    assert!(said.iter().any(|c| c.contains("there is no set of targets 's9'")), "{said:?}");
}

#[test]
fn a_collection_that_names_kinds_of_change_counts_every_right_target() {
    let mut own = row(2);
    own["kind"] = json!("colour");
    let root = data_set("", "", &json!([row(1), own]));
    let (table, _) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!(table.right_targets, RightTargets::All);
    assert_eq!(table.query(&table.gallery_positions(), &table.triplets[0]).right, [1, 2]);
}

#[test]
fn bad_rows_are_named_and_left_out() {
    let mut rows: Vec<Value> = (1..=8).map(row).collect();
    rows[1]["pairid"] = json!(1);
    rows[2]["reference"] = json!("nobody");
    rows[3]["caption"] = json!("  ");
    rows[4]["target_hard"] = json!("a");
    rows[5].as_object_mut().unwrap().remove("caption");
    rows[6]["target_soft"]["ghost"] = json!(1.0);
    rows[7] = json!("not a row");
    let root = data_set("", "", &Value::from(rows));
    let (table, complaints) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!(table.triplets.iter().map(|t| t.id).collect::<Vec<_>>(), [1, 7]);
    let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    for (complaint, words) in text.iter().zip([
        ["row 2 (pairid 1)", "occurs twice"],
        ["row 3 (pairid 3)", "'nobody' is not in the image split"],
        ["row 4 (pairid 4)", "caption is empty"],
        ["row 5 (pairid 5)", "reference itself"],
        ["row 6", "missing field `caption`"],
        ["row 7 (pairid 7)", "'ghost'"],
        ["row 8", "invalid type"],
    ]) {
        assert!(words.iter().all(|w| complaint.contains(w)) && complaint.contains("cap.rc2.train.json"), "{complaint}");
    }
    assert_eq!(text.len(), 7, "{text:#?}");
    let strict = LoadOptions { strict: true, ..LoadOptions::default() };
    let error = load(root.path(), Split::Train, &strict).unwrap_err().to_string();
    assert!(error.contains("occurs twice") && error.contains("6 more"), "{error}");
}

#[test]
fn missing_images_cost_their_rows() {
    let mut other = row(2);
    other["reference"] = json!("e");
    other["target_soft"] = json!({"b": 1.0});
    let root = data_set("", "img_raw", &json!([row(1), other]));
    std::fs::remove_file(root.path().join("img_raw/train/1/a.png")).unwrap();
    let (table, complaints) = load(root.path(), Split::Train, &LoadOptions::default()).unwrap();
    assert_eq!((table.triplets.len(), table.gallery.len()), (1, 5));
    assert!(complaints[0].problem.contains("a.png"), "{complaints:?}");
    assert!(complaints.iter().any(|c| c.to_string().contains("the image of reference 'a' is missing")));
    assert_eq!(load(root.path(), Split::Train, &LAX).unwrap().0.triplets.len(), 2);
}

#[test]
fn broken_json_is_named_by_line_and_column() {
    let root = data_set("", "", &json!([row(1)]));
    let file = root.path().join("captions/cap.rc2.train.json");
    std::fs::write(&file, "[{\"pairid\": 1,\n  \"reference\": oops}]").unwrap();
    let text = load(root.path(), Split::Train, &LAX).unwrap_err().to_string();
    assert!(text.contains("cap.rc2.train.json, line 2, column 16"), "{text}");
    std::fs::write(&file, "[{\"pairid\": 1,").unwrap();
    assert!(load(root.path(), Split::Train, &LAX).unwrap_err().to_string().contains("cut off"));
    std::fs::write(&file, "{\"pairid\": 1}").unwrap();
    assert!(load(root.path(), Split::Train, &LAX).unwrap_err().to_string().contains("list of rows"));
    std::fs::write(&file, "[]").unwrap();
    assert!(load(root.path(), Split::Train, &LAX).unwrap_err().to_string().contains("no usable triplet"));
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    assert!(load(root.path(), Split::Train, &LAX).unwrap_err().to_string().contains("not UTF-8"));
    assert!(load(root.path(), Split::Val, &LAX).unwrap_err().to_string().contains("has no captions/cap.rc2.val.json"));
    assert!(load(&root.path().join("no"), Split::Val, &LAX).unwrap_err().to_string().contains("is not a folder"));
}

#[test]
fn the_published_validation_files_have_the_published_counts() {
    let Some(root) = crate::skipped::published("cirr") else { return };
    let (table, complaints) = load(&root, Split::Val, &LAX).unwrap();
    assert!(complaints.is_empty(), "{:?}", complaints.first());
    assert_eq!((table.triplets.len(), table.gallery.len()), (4181, 2297));
    assert!(table.triplets.iter().all(|t| t.subset.len() == 6 && !t.targets.is_empty() && t.targets[0] != t.reference));
    assert_eq!(splits(&root), [Split::Val]);
    // What counting soft targets would add.
    let soft: Vec<&Triplet> = table.triplets.iter().filter(|t| t.targets.len() > 1).collect();
    let in_subset = soft.iter().filter(|t| t.targets[1..].iter().any(|target| t.subset.contains(target)));
    assert_eq!((soft.len(), in_subset.count()), (37, 22));
    let positions = table.gallery_positions();
    assert!(table.triplets.iter().all(|t| table.query(&positions, t).right.len() == 1));
}
