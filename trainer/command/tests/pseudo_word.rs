//! The pseudo-word family from a data set to figures: contrast on titles, then a mapping network on its frozen towers from two
//! streams; a folder of pictures without any label; and compositions that are chosen when a checkpoint is asked.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::{Path, PathBuf};
use thisbut_trainer::train::checkpoint;

/// The data set of shapes with titles, its features, and a dual encoder that has seen them.
struct World {
    root: tempfile::TempDir,
    data: String,
    weights: String,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let title = |entry: std::fs::DirEntry| {
            let name = entry.path().file_stem()?.to_str()?.to_owned();
            Some((name.clone(), serde_json::json!({ "title": format!("a {}", name.replace('-', " ")) })))
        };
        let pictures = std::fs::read_dir(data.join("images")).unwrap().flatten();
        let titles: serde_json::Map<_, _> = pictures.filter_map(title).collect();
        std::fs::write(data.join("images.json"), serde_json::to_vec(&titles).unwrap()).unwrap();
        let [data, weights] = [data, weights].map(|path| path.to_string_lossy().into_owned());
        run(&["features", &data, "--preset", "tiny-dual", "--weights", &weights]);
        let world = Self { root, data, weights };
        world.train("towers", &["--losses", "contrast", "--steps", "30", "--batch", "16"]);
        world
    }

    fn place(&self, name: &str) -> String {
        self.root.path().join(name).to_string_lossy().into_owned()
    }

    fn last(&self, run: &str) -> String {
        Path::new(&self.place(run)).join("final.safetensors").to_string_lossy().into_owned()
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let base =
            ["finetune", &self.data, "--preset", "tiny-dual", "--weights", &self.weights, "--out", &self.place(out)];
        base.into_iter().chain(more.iter().copied()).map(str::to_owned).collect()
    }

    /// Trains; what is said on the way.
    fn train(&self, out: &str, more: &[&str]) -> String {
        let arguments = self.arguments(out, more);
        let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        String::from_utf8(output.stderr).unwrap()
    }

    /// Trains a mapping network on the towers.
    fn map(&self, out: &str, more: &[&str]) -> String {
        let (towers, steps) = (self.last("towers"), ["--steps", "8", "--batch", "16", "--pseudo-words", "2"]);
        self.train(out, &[&["--start", &towers], &steps[..], more].concat())
    }

    fn refused(&self, out: &str, more: &[&str]) -> String {
        let output = thisbut().args(self.arguments(out, more)).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    fn evaluate(&self, checkpoint: &str, more: &[&str]) -> String {
        let asked = ["evaluate", &self.data, "--checkpoint", checkpoint, "--weights", &self.weights];
        String::from_utf8(run(&[&asked[..], more].concat()).stdout).unwrap()
    }
}

fn bytes(path: &str) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// The figures of a report's first row of that name.
fn row(report: &str, name: &str) -> Vec<f64> {
    let line = report.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{report}"));
    let figures = line.trim_start().trim_start_matches(name);
    figures.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_hybrid_run_trains_the_mapping_network_alone_and_resumes_exactly() {
    let world = World::new();
    let more = ["--losses", "hybrid", "--image-batch", "10", "--sub-batch", "7", "--devices", "2"];
    world.map("whole", &more);
    world.map("broken", &[&more[..], &["--until", "3"]].concat());
    world.map("broken", &more);
    assert!(bytes(&world.last("whole")) == bytes(&world.last("broken")), "the weights differ");
    let [towers, trained] = ["towers", "whole"].map(|run| checkpoint::load(Path::new(&world.last(run))).unwrap().model);
    for (name, value) in &trained {
        match name.starts_with("mapping.") {
            true => assert!(!towers.contains_key(name), "{name}"),
            false => assert!(towers[name].1 == value.1, "{name} moved"),
        }
    }
    assert!(trained.contains_key("mapping.output.weight"));
    // Other images without labels are another run.
    let pictures = world.place("pictures");
    std::fs::create_dir(&pictures).unwrap();
    for at in 0..12 {
        let from = format!("{}/images/{}", world.data, if at % 2 == 0 { "red-square.png" } else { "blue-circle.png" });
        std::fs::copy(from, format!("{pictures}/p{at}.png")).unwrap();
    }
    run(&["features", &pictures, "--preset", "tiny-dual", "--weights", &world.weights]);
    let towers = world.last("towers");
    let other = ["--start", &towers, "--steps", "8", "--batch", "16", "--pseudo-words", "2", "--unlabelled", &pictures];
    let said = world.refused("whole", &[&other[..], &more].concat());
    assert!(said.contains("the unlabelled images are others"), "{said}");
}

#[test]
fn pictures_without_labels_train_a_mapping_network_and_broken_ones_are_counted() {
    let world = World::new();
    let pictures = PathBuf::from(world.place("pictures"));
    std::fs::create_dir(&pictures).unwrap();
    let mut copied = 0;
    for entry in std::fs::read_dir(format!("{}/images", world.data)).unwrap().flatten() {
        std::fs::copy(entry.path(), pictures.join(entry.file_name())).unwrap();
        copied += 1;
    }
    for name in ["broken.jpg", "empty.png"] {
        std::fs::write(pictures.join(name), if name == "empty.png" { &b""[..] } else { b"\xff\xd8 no picture" })
            .unwrap();
    }
    let folder = pictures.to_string_lossy().into_owned();
    let made = run(&["features", &folder, "--preset", "tiny-dual", "--weights", &world.weights]);
    let said = String::from_utf8(made.stdout).unwrap();
    assert!(said.contains(&format!("{copied} images")) && said.contains("2 could not be read"), "{said}");
    // Alone: there are no triplets at all.
    let (out, towers) = (world.place("alone"), world.last("towers"));
    let alone = ["finetune", &folder, "--preset", "tiny-dual", "--weights", &world.weights, "--out", &out];
    let more = ["--start", &towers, "--losses", "pic2word", "--pseudo-words", "1", "--steps", "6", "--batch", "8"];
    let said = String::from_utf8(run(&[&alone[..], &more].concat()).stderr).unwrap();
    let counted: usize = said.lines().filter(|line| line.contains("could not be read when the cache was made")).count();
    assert!(counted >= 1 && said.contains("left out"), "{said}");
    // Beside triplets.
    let said = world.map("beside", &["--losses", "hybrid", "--image-batch", "8", "--unlabelled", &folder]);
    assert!(said.contains("2 images could not be read when the cache was made; left out"), "{said}");
    // Without triplets there is nothing that the hybrid could learn; a sentence says so.
    let hybrid = ["--start", &towers, "--losses", "contrast", "--steps", "2", "--batch", "8"];
    let output = thisbut().args([&alone[..], &hybrid].concat()).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("title"), "{output:?}");
}

#[test]
fn what_the_losses_need_is_asked_for() {
    let world = World::new();
    let towers = world.last("towers");
    let said = world.refused("x", &["--losses", "hybrid", "--start", &towers]);
    assert!(said.contains("--pseudo-words 4"), "{said}");
    let said =
        world.refused("x", &["--losses", "hybrid", "--pseudo-words", "2", "--batch", "16", "--image-batch", "8"]);
    assert!(said.contains("--start") && said.contains("text tower"), "{said}");
    let said = world.refused("x", &["--losses", "sprc"]);
    assert!(said.contains("--losses sprc") && said.contains("contrast, pic2word, triplet, hybrid"), "{said}");
    let all =
        ["--losses", "hybrid", "--pseudo-words", "2", "--start", &towers, "--batch", "16", "--image-batch", "400"];
    let said = world.refused("x", &all);
    assert!(said.contains("--image-batch") && said.contains("unlabelled images"), "{said}");
    let said = world.refused("x", &["--losses", "triplet", "--pseudo-words", "40", "--start", &towers]);
    assert!(said.contains("pseudo-words") && said.contains("text.length"), "{said}");
    let dry = [
        "--losses",
        "hybrid",
        "--pseudo-words",
        "2",
        "--start",
        &towers,
        "--batch",
        "16",
        "--image-batch",
        "8",
        "--dry-run",
    ];
    let arguments = world.arguments("x", &dry);
    let said = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("0.30 M trained") && said.contains("a step of 8 triplets took"), "{said}");
    // Its tower of images learns too: what the dry run invents must have a direction.
    let said = world.arguments("x", &["--losses", "contrast", "--batch", "16", "--dry-run"]);
    let said = run(&said.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&said.stdout).contains("a step of 8 triplets took"), "{said:?}");
    let said = world.refused("x", &["--t2t", "0.5", "--losses", "contrast"]);
    assert!(said.contains("--t2t"), "{said}");
}

#[test]
fn a_checkpoint_is_asked_with_any_composition_and_stands_beside_the_baselines() {
    let world = World::new();
    world.map("mapped", &["--losses", "triplet"]);
    let (towers, mapped) = (world.last("towers"), world.last("mapped"));
    let report = world.evaluate(&mapped, &[]);
    for name in ["composed", "image only", "text only", "weighted sum", "slerp"] {
        assert!(row(&report, name).len() > 4, "{report}");
    }
    assert!(!report.contains("averaged") && report.contains("mean R"), "{report}");
    // Half of each is the same point of the circle.
    assert_eq!(row(&report, "weighted sum"), row(&report, "slerp"));
    // A chosen composition is the composed row, and the baseline of its name too.
    for (how, weight) in [("slerp", "0.8"), ("weighted-sum", "0.2")] {
        let report = world.evaluate(&mapped, &["--composition", how, "--composition-weight", weight]);
        assert_eq!(row(&report, "composed"), row(&report, how.replace('-', " ").as_str()), "{report}");
        assert!(report.contains(&format!("composition {how}")) && report.contains(weight), "{report}");
    }
    // What a model without a mapping network cannot do, and what another family has no word for.
    let asked = ["evaluate", &world.data, "--weights", &world.weights, "--checkpoint"];
    let refused = |checkpoint: &str, more: &[&str]| {
        let output = thisbut().args([&asked[..], &[checkpoint], more].concat()).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(refused(&towers, &["--composition", "pseudo-words"]).contains("method.mapping is missing"));
    let said = refused(&towers, &["--read-out", "cls"]);
    assert!(said.contains("read_out") && said.contains("pseudo-word"), "{said}");
    let bundle = world.place("bundle");
    run(&["export", &mapped, "--dataset", &world.data, "--weights", &world.weights, "--out", &bundle]);
    let shipped = run(&["evaluate", &world.data, "--bundle", &bundle]);
    let shipped = String::from_utf8(shipped.stdout).unwrap();
    let apart = row(&shipped, "composed")[0] - row(&report, "composed")[0];
    assert!(apart.abs() < 6.0, "{shipped}{report}");
}
