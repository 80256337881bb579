//! Inputs and states that fail: each is told in one sentence, with a status that is not 0, and nothing is believed that is not so.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use serde_json::Value;
use std::path::{Path, PathBuf};
use thisbut_trainer::lock::{self, Lock};
use thisbut_trainer::train::checkpoint;

/// The data set of shapes with its features, and a checkpoint of version 0.1 that answers its queries.
struct World {
    root: tempfile::TempDir,
    data: PathBuf,
    weights: PathBuf,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let world = Self { root, data, weights };
        world.features();
        world
    }

    fn features(&self) -> String {
        let out = run(&["features", text(&self.data), "--preset", "tiny", "--weights", text(&self.weights)]);
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn place(&self, name: &str) -> String {
        text(&self.root.path().join(name)).to_owned()
    }

    fn evaluate(&self, more: &[&str]) -> Vec<String> {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1/final.safetensors");
        let base = ["evaluate", text(&self.data), "--checkpoint", text(&golden), "--weights", text(&self.weights)];
        base.iter().chain(more).map(|s| (*s).to_owned()).collect()
    }

    fn finetune(&self, out: &str, more: &[&str]) -> Vec<String> {
        let base =
            ["finetune", text(&self.data), "--preset", "tiny", "--weights", text(&self.weights), "--batch", "16"];
        let rest = [
            "--steps",
            "4",
            "--checkpoint-every",
            "2",
            "--validate-every",
            "4",
            "--validate-queries",
            "9",
            "--out",
            out,
        ];
        base.iter().chain(&rest).chain(more).map(|s| (*s).to_owned()).collect()
    }

    /// Changes a captions file row by row.
    fn rows(&self, split: &str, change: impl Fn(&mut Value)) {
        let path = self.data.join(format!("captions/cap.rc2.{split}.json"));
        let mut rows: Vec<Value> = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        rows.iter_mut().for_each(change);
        std::fs::write(path, serde_json::to_vec(&rows).unwrap()).unwrap();
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn done(args: &[String]) -> (String, String) {
    let out = thisbut().args(args).output().unwrap();
    let [said, noted] = [&out.stdout, &out.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(out.status.success(), "{args:?}: {noted}");
    (said, noted)
}

/// The sentence that a command ends with when it fails.
fn refused(args: &[String]) -> String {
    let out = thisbut().args(args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{args:?}: {said}");
    assert!(!said.contains("panicked"), "{said}");
    said.trim_end().lines().last().unwrap_or_default().to_owned()
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn figures_over_a_part_of_a_split_say_so() {
    let world = World::new();
    let figures = world.place("figures.json");
    let asked = world.evaluate(&["--split", "val", "--figures", &figures]);
    done(&asked);
    let whole = json(&figures);
    assert_eq!((&whole["incomplete"], &whole["sections"][0]["name"]), (&Value::Null, &"all".into()));
    let about = &whole["about"];
    assert_eq!((&about["model"]["step"], &about["model"]["preset"]), (&6.into(), &"tiny".into()));
    assert_eq!(about["model"]["sha256"].as_str().unwrap().len(), 64);
    assert!(about["model"]["seed"].is_u64() && about["versions"]["thisbut"].is_string(), "{about}");
    let data = &about["data"];
    assert_eq!((&data["queries"], &data["images"], &data["gallery"]), (&192.into(), &24.into(), &24.into()));
    assert_eq!((&data["format"], &data["split"]), (&"cirr".into(), &"val".into()));

    // Every set of six around a red square loses a member.
    std::fs::remove_file(world.data.join("images/red-square.png")).unwrap();
    let said = refused(&asked);
    assert!(said.contains("INCOMPLETE: 1 of 24 images") && said.contains("--allow-missing"), "{said}");
    assert_eq!(json(&figures), whole, "no figures without being asked for");
    let asked = world.evaluate(&["--split", "val", "--figures", &figures, "--allow-missing"]);
    let (said, noted) = done(&asked);
    let part = json(&figures);
    let title = part["title"].as_str().unwrap();
    for said in [title, &said, &noted] {
        assert!(said.contains("INCOMPLETE: 1 of 24 images are missing"), "{said}");
    }
    let incomplete = &part["incomplete"];
    let count = |name: &str| incomplete[name].as_u64().unwrap();
    // It is the reference of 8 queries and the target of 8.
    assert_eq!((count("missing_images"), count("images"), count("queries_left_out")), (1, 24, 16));
    assert!(count("subsets_left_out") > 0);
    assert_eq!(part["sections"][0]["name"], "what is left");
    assert!(said.contains("do not compare"), "{said}");
    // R_subset is of the queries whose subset is whole: as before, over fewer of them.
    let answered = world.place("answers.jsonl");
    done(&world.evaluate(&["--split", "val", "--per-query", &answered, "--allow-missing"]));
    let asked: usize = std::fs::read_to_string(&answered).unwrap().lines().count();
    assert_eq!(asked, 176);
    let submission = world.evaluate(&["--split", "val", "--submission", &world.place("server")]);
    assert!(refused(&submission).contains("1 images of"), "a server asks for every query");
    // A run's validations are marked as well.
    let out = world.place("run");
    done(&world.finetune(&out, &[]));
    let metrics = std::fs::read_to_string(format!("{out}/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let validations: Vec<&Value> = lines.iter().filter(|line| line["val"].is_object()).collect();
    assert!(!validations.is_empty());
    assert!(validations.iter().all(|line| line["incomplete"] == part["incomplete"]), "{metrics}");
}

#[test]
fn a_model_that_has_diverged_is_given_no_figures() {
    let world = World::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1/final.safetensors");
    let whole = checkpoint::load(&golden).unwrap();
    let diverged = world.place("diverged.safetensors");
    // A weight that targets go through, and one that queries alone do.
    let projections = [
        ("vision_projection", 0.0, "diverged.safetensors, step 6: the target of image '"),
        ("text_projection", 0.0, "diverged.safetensors, step 6: the query of triplet "),
        // Refused where it is read.
        ("text_projection", f32::NAN, "text_projection.bias: it holds a value that is not a finite number"),
    ];
    for (part, value, named) in projections {
        let mut model = whole.model.clone();
        for (_, (_, values)) in model.iter_mut().filter(|(name, _)| name.contains(part)) {
            // Finite themselves, and their sums are not.
            values.fill(if value.is_nan() { value } else { f32::MAX });
        }
        checkpoint::save(Path::new(&diverged), &whole.header, &model, &Default::default()).unwrap();
        let figures = world.place("none.json");
        let args = ["evaluate", text(&world.data), "--checkpoint", &diverged, "--weights", text(&world.weights)];
        let args: Vec<String> = args.iter().map(|s| (*s).to_owned()).collect();
        let said = refused(&[args, vec!["--figures".into(), figures.clone()]].concat());
        assert!(said.contains(named), "{part}: {said}");
        assert!(!Path::new(&figures).exists(), "{part}");
    }
}

#[test]
fn an_evaluation_without_anything_to_measure_fails() {
    let world = World::new();
    world.rows("test1", |row| {
        row.as_object_mut().unwrap().retain(|key, _| !key.starts_with("target_"));
    });
    let said = refused(&world.evaluate(&[]));
    assert!(said.contains("the split 'test' has no right target") && said.contains("--split val"), "{said}");
    for (more, expected) in [
        (&["--without", "colour,TYPO"][..], "--without TYPO: no query is of this kind; give one of colour, shape"),
        (&["--without", "colour,shape"], "no query of the split 'val' is left"),
        (&["--people"], "no query of the split 'val' is left"),
        (&["--target-tokens", "5"], "--target-tokens 5 for a model of 4; give 1 to 4"),
        (&["--projection", "99"], "--projection 99: the model has 16 dimensions"),
    ] {
        let said = refused(&world.evaluate(&[&["--split", "val"], more].concat()));
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn an_image_that_cannot_be_read_is_named_where_it_is_missed() {
    let world = World::new();
    assert!(world.features().contains("24 images, there already"));
    let broken = world.data.join("images/red-square.png");
    std::fs::write(&broken, b"no picture").unwrap();
    let said = world.features();
    assert!(said.contains("23 images; 1 could not be read"), "{said}");
    let said = refused(&world.finetune(&world.place("run"), &[]));
    assert!(said.contains("image 'red-square': could not be read") && said.contains("red-square.png"), "{said}");
    assert!(said.contains("mend the file"), "{said}");
    let said = refused(&world.finetune(&world.place("never"), &["--dry-run"]));
    assert!(said.contains("image 'red-square'"), "a dry run says so too: {said}");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1/final.safetensors");
    let out = world.place("bundle");
    let args =
        ["export", text(&golden), "--dataset", text(&world.data), "--weights", text(&world.weights), "--out", &out];
    let (_, noted) = done(&args.map(str::to_owned));
    assert!(noted.contains("images/red-square.png: this is not an image") && !noted.contains(".partial-"), "{noted}");
}

#[test]
fn a_dry_run_refuses_what_the_run_refuses() {
    let world = World::new();
    let out = world.place("run");
    done(&world.finetune(&out, &["--until", "2"]));
    let other = world.place("other.json");
    let mut config: Value = serde_json::from_slice(&run(&["config", "show", "tiny"]).stdout).unwrap();
    config["method"]["qformer"]["layers"] = 4.into();
    std::fs::write(&other, config.to_string()).unwrap();
    let start = format!("{out}/step-00000002.safetensors");
    let wide = world.place("wide.json");
    config["image_encoder"]["width"] = 32.into();
    std::fs::write(&wide, config.to_string()).unwrap();
    let cache = text(&world.data).to_owned() + "/tiny.features";
    let fresh = world.place("fresh");
    for (out, more, expected) in [
        (&fresh, &["--batch", "5000"][..], "--batch: 5000 is more than"),
        (&fresh, &["--bank"], "--bank"),
        (
            &fresh,
            &["--preset", &other, "--start", &start, "--features", &cache],
            "method.qformer.layers is 2 there and 4 here",
        ),
        (
            &fresh,
            &["--preset", &wide, "--features", &cache],
            "it has (16, 48) (tokens an image, width), the model reads (16, 32)",
        ),
        (&fresh, &["--unlabelled", "none"], "--unlabelled none: these losses read no images"),
        (
            &fresh,
            &["--warmup", "5"],
            "--warmup: a warm-up of 5 steps is longer than the 4 steps of --steps; give --warmup 0 to 4",
        ),
        (&out, &["--sub-batch", "4"], "--sub-batch is 0 there and 4 here"),
    ] {
        let real = refused(&world.finetune(out, more));
        let dry = refused(&world.finetune(out, &[more, &["--dry-run"]].concat()));
        assert!(real.contains(expected) && dry.contains(expected), "{real}\n{dry}");
    }
    let (_, noted) = done(&world.finetune(&out, &["--dry-run"]));
    assert!(!noted.contains("not there yet"), "{noted}");
    // What stands in the way of the folder.
    let file = world.place("file");
    std::fs::write(&file, "x").unwrap();
    let held = Lock::take(&Path::new(&out).join(lock::RUN), Path::new(&out)).unwrap();
    for (out, expected) in [
        (&file, "/file is not a folder; give another folder"),
        (&format!("{file}/run"), "/file is not a folder"),
        (&out, "another run is writing here"),
        (&text(&world.data).to_owned(), "it holds a data set; give a folder of the run's own"),
    ] {
        let (real, dry) = (refused(&world.finetune(out, &[])), refused(&world.finetune(out, &["--dry-run"])));
        assert!(real.contains(expected) && dry.contains(expected), "{real}\n{dry}");
    }
    drop(held);
    let metrics = Path::new(&out).join("metrics.jsonl");
    std::fs::write(&metrics, "my notes").unwrap();
    assert!(refused(&world.finetune(&out, &["--dry-run"])).contains("is no line of a run's metrics"));
    assert_eq!(std::fs::read_to_string(&metrics).unwrap(), "my notes");
    // What may come before the run is named.
    std::fs::remove_file(&cache).unwrap();
    std::fs::remove_file(world.data.join("images/red-square.png")).unwrap();
    let (_, noted) = done(&world.finetune(&fresh, &["--dry-run"]));
    assert!(noted.contains("the run needs it: ") && noted.contains("tiny.features"), "{noted}");
    assert!(noted.contains("1 of 24 images to train on, 1 of 24 to validate on"), "{noted}");
}

#[test]
fn a_run_goes_on_only_with_what_it_began_with() {
    let world = World::new();
    let out = world.place("run");
    done(&world.finetune(&out, &["--until", "2"]));
    // Another process holds the folder.
    let held = Lock::take(&Path::new(&out).join(lock::RUN), Path::new(&out)).unwrap();
    let said = refused(&world.finetune(&out, &[]));
    assert!(said.contains("another run is writing here") && said.contains("another folder"), "{said}");
    drop(held);

    let reverse = world.data.join("captions/cap.rc2.train_rev.jsonl");
    let kept = std::fs::read_to_string(&reverse).unwrap();
    std::fs::write(&reverse, kept.replace("but in", "now in")).unwrap();
    assert!(refused(&world.finetune(&out, &[])).contains("the reverse texts are others"));
    std::fs::write(&reverse, kept).unwrap();

    let vocabulary = world.weights.join("vocab.txt");
    let words = std::fs::read_to_string(&vocabulary).unwrap();
    std::fs::write(&vocabulary, words.replace("circle\ncross", "cross\ncircle")).unwrap();
    assert!(refused(&world.finetune(&out, &[])).contains("vocabulary"));
    let step = format!("{out}/step-00000002.safetensors");
    let (data, weights) = (text(&world.data).to_owned(), text(&world.weights).to_owned());
    let bundle = world.place("bundle");
    for command in [
        vec!["evaluate", &data, "--checkpoint", &step],
        vec!["export", &step, "--dataset", &data, "--out", &bundle],
        vec!["finetune", &data, "--preset", "tiny", "--start", &step, "--out", &bundle, "--batch", "16"],
    ] {
        let command: Vec<String> = command.into_iter().chain(["--weights", &weights]).map(str::to_owned).collect();
        let said = refused(&command);
        assert!(said.contains("trained with another vocab.txt") && said.contains("--weights"), "{said}");
    }
    std::fs::write(&vocabulary, words).unwrap();

    let metrics = Path::new(&out).join("metrics.jsonl");
    let kept = std::fs::read(&metrics).unwrap();
    std::fs::write(&metrics, "my notes\nof the run\n").unwrap();
    assert!(refused(&world.finetune(&out, &[])).contains("line 1: is no line of a run's metrics"));
    assert_eq!(std::fs::read_to_string(&metrics).unwrap(), "my notes\nof the run\n");
    std::fs::write(&metrics, kept).unwrap();
    done(&world.finetune(&out, &[]));
    assert!(Path::new(&out).join("final.safetensors").exists());
}

#[test]
fn a_run_says_what_it_takes_and_what_it_is() {
    let world = World::new();
    let out = world.place("run");
    let (_, noted) = done(&world.finetune(&out, &[]));
    // There is no terminal: lines take the place of the bar.
    assert!(noted.contains("step 1 of 4: ") && noted.contains("step 4 of 4: ") && noted.contains(" left"), "{noted}");
    let metrics = std::fs::read_to_string(format!("{out}/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert!(lines.iter().all(|line| line["wall_time"].as_f64().unwrap() > 1.7e9));
    assert!(lines[..4].iter().all(|line| line["step_seconds"].as_f64().unwrap() > 0.0));
    #[cfg(target_os = "linux")]
    assert!(lines[..4].iter().all(|line| line["memory_bytes"].as_u64().unwrap() > 1 << 20));
    assert!(std::fs::metadata(format!("{out}/events.out.tfevents.thisbut")).unwrap().len() > 400);

    let (bundle, data) = (world.place("bundle"), text(&world.data));
    let last = format!("{out}/final.safetensors");
    run(&[
        "export",
        &last,
        "--dataset",
        data,
        "--weights",
        text(&world.weights),
        "--out",
        &bundle,
        "--title",
        "Shapes",
    ]);
    let card = std::fs::read_to_string(format!("{bundle}/model-card.md")).unwrap();
    for part in ["# Shapes", "4 of 4, 16 rows each", "24 images of", "two-pass"] {
        assert!(card.contains(part), "{part} in\n{card}");
    }
    let cache = format!("{data}/tiny.features");
    for (path, expected) in [
        (
            &last,
            &["a retrieval model's checkpoint", "step                  4", "batch                 16", "sha256"][..],
        ),
        (&cache, &["a feature cache", "images                24", "store                 f16"]),
        (&bundle, &["a bundle", "gallery               24", "title                 Shapes"]),
        (&out, &["the folder of a run", "best.safetensors"]),
        (&data.to_owned(), &["a data set", "cirr"]),
    ] {
        let said = String::from_utf8(run(&["inspect", path]).stdout).unwrap();
        for part in expected {
            assert!(said.contains(part), "{part} in\n{said}");
        }
        serde_json::from_slice::<Value>(&run(&["inspect", path, "--json"]).stdout).unwrap();
    }
    let vocabulary = format!("{}/vocab.txt", text(&world.weights));
    assert!(refused(&["inspect".into(), vocabulary]).contains("no checkpoint, feature cache or bundle"));
}

#[test]
fn runs_are_compared_on_the_same_queries() {
    let world = World::new();
    let (one, two, part) = (world.place("1.jsonl"), world.place("2.jsonl"), world.place("3.jsonl"));
    done(&world.evaluate(&["--split", "val", "--per-query", &one]));
    let (said, _) = done(&world.evaluate(&["--split", "val", "--per-query", &two, "--target-tokens", "1"]));
    assert!(said.contains(", target tokens 1\n"), "{said}");
    let (said, _) = done(&world.evaluate(&["--split", "val", "--per-query", &part, "--every", "2"]));
    assert!(said.contains(", one query in 2\n"), "{said}");
    let figures = world.place("figures.json");
    let said = run(&["compare", &format!("full={one}"), &format!("one={two}"), "--figures", &figures]).stdout;
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("192 queries") && said.contains("against full") && said.contains("sign test"), "{said}");
    assert_eq!(json(&figures)["paired"].as_array().unwrap().len(), 4);
    let other = ["compare".to_owned(), one.clone(), part];
    assert!(refused(&other).contains("shares 96 of its 96 queries with the 192"));
    let twice = ["compare".to_owned(), format!("a={one}"), format!("a={one}")];
    assert!(refused(&twice).contains("is given twice"));
}
