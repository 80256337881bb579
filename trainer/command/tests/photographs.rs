//! A site owner's two commands: published weights are fetched, and photographs are indexed with them, in every form and number format.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/clip.rs"]
mod clip;
mod common;
#[path = "common/hub.rs"]
#[allow(dead_code, reason = "the hub's faults have tests of their own")]
mod hub;

use clip::{CONFIG, golden};
use common::{run, shapes, thisbut};
use hub::Hub;
use std::path::PathBuf;
use thisbut_trainer::bundle_io::Bundle;

const UNDERSTANDS: &str = "photographs; TinyCLIP ViT-8M/16, trained on YFCC-15M, MIT";

/// A folder with photos, the preset, and the weights as `fetch tinyclip` leaves them.
struct Owner {
    folder: tempfile::TempDir,
}

impl Owner {
    fn new() -> Self {
        let owner = Self { folder: tempfile::tempdir().unwrap() };
        let (data, _) = shapes(owner.folder.path());
        std::fs::rename(data.join("images"), owner.at("photos")).unwrap();
        std::fs::write(owner.at("small.json"), CONFIG).unwrap();
        let names = ["config.json", "preprocessor_config.json", "merges.txt", "vocab.json", "model.safetensors"];
        let files = names.map(|name| (name, std::fs::read(golden("huggingface").join(name)).unwrap()));
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
        let hub = Hub::start();
        hub.repository("wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", &files);
        let mut command = thisbut();
        let output = command.args(["fetch", "tinyclip", "--out", &owner.path("tinyclip")]);
        assert!(output.env("HF_ENDPOINT", &hub.url).output().unwrap().status.success());
        owner
    }
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn path(&self, name: &str) -> String {
        self.at(name).to_string_lossy().into_owned()
    }
    /// Indexes the photos with `model`; gives what was told on the way.
    fn index(&self, model: &str, out: &str, more: &[&str]) -> String {
        let (photos, model, out) = (self.path("photos"), self.path(model), self.path(out));
        let told = run(&[&["index", &photos, "--model", &model, "--out", &out], more].concat());
        String::from_utf8_lossy(&told.stderr).into_owned()
    }
    fn refused(&self, args: &[&str]) -> String {
        let output = thisbut().args(args).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(!self.at("refused").exists() && !told.contains("panicked"), "{told}");
        told.trim_end().lines().last().unwrap_or_default().to_owned()
    }
    fn best(&self, bundle: &str, more: &[&str]) -> serde_json::Value {
        let bundle = self.path(bundle);
        let args = [&["query", "--bundle", &bundle, "--json", "-k", "24"], more].concat();
        serde_json::from_slice(&run(&args).stdout).unwrap()
    }
}

#[test]
fn fetched_weights_become_a_page_in_one_command() {
    let owner = Owner::new();
    let preset = owner.path("small.json");
    let told = owner.index("tinyclip", "site", &["--preset", &preset]);
    let line = told.lines().find(|line| line.starts_with("first visit: about ")).unwrap_or_else(|| panic!("{told}"));
    assert!(["page and engine", "weights", "vocabulary", "gallery"].iter().all(|part| line.contains(part)), "{line}");
    let bundle = Bundle::read(&owner.at("site")).unwrap();
    assert_eq!((bundle.metadata.len(), bundle.manifest.understands.as_str()), (24, UNDERSTANDS));
    assert_eq!(bundle.manifest.vocab.file.path.split('.').next_back(), Some("txt"));
    assert!(bundle.vocab.starts_with("#version: 0.2\n"), "the list of merges is the vocabulary");

    // By way of an import the bundle is the same, byte for byte, from a folder and from a file.
    let weights = owner.path("weights");
    std::fs::remove_file(owner.at("weights/vocab.txt")).unwrap();
    let start = format!("{weights}/start.safetensors");
    run(&["import", &owner.path("tinyclip"), "--preset", &preset, "--weights", &weights, "--out", &start]);
    let manifest = |out: &str| std::fs::read_to_string(owner.at(out).join("bundle.json")).unwrap();
    for model in ["weights", "weights/start.safetensors"] {
        owner.index(model, "again", &[]);
        assert_eq!(manifest("again"), manifest("site"), "{model}");
    }
    // A bundle is a model too, and says the same of it.
    owner.index("site", "other", &["--title", "Other"]);
    assert_eq!(Bundle::read(&owner.at("other")).unwrap().manifest.understands, UNDERSTANDS);
    owner.index("site", "other", &["--understands", ""]);
    assert_eq!(Bundle::read(&owner.at("other")).unwrap().manifest.understands, "");
    let inspected = String::from_utf8_lossy(&run(&["inspect", &owner.path("site")]).stdout).into_owned();
    assert!(inspected.contains(UNDERSTANDS), "{inspected}");
}

#[test]
fn every_form_and_number_format_answers_alike() {
    let owner = Owner::new();
    let preset = owner.path("small.json");
    let photo = owner.path("photos/red-circle.png");
    owner.index("tinyclip", "exact", &["--preset", &preset, "--store", "f32"]);
    let text = ["--text", "red red"];
    let [words, image] = [owner.best("exact", &text), owner.best("exact", &["--image", &photo, "--text", "red"])];
    let near = |found: &serde_json::Value, exact: &serde_json::Value, most: f64| {
        let score = |all: &serde_json::Value, id: &serde_json::Value| {
            let one = all.as_array().unwrap().iter().find(|answer| answer["id"] == *id);
            one.and_then(|answer| answer["score"].as_f64())
        };
        // Which other pictures count as the one that was asked with may hang on a digit.
        let pairs = exact.as_array().unwrap().iter().filter_map(|answer| Some((answer, score(found, &answer["id"])?)));
        let mut count = 0;
        for (answer, found) in pairs {
            assert!((found - answer["score"].as_f64().unwrap()).abs() < most, "{answer}: {found}");
            count += 1;
        }
        assert!(count > 0, "{found}");
    };
    for (store, most) in [("q8", 0.02), ("q4", 0.2)] {
        for form in ["full", "gallery-reference"] {
            let out = format!("{form}-{store}");
            owner.index("tinyclip", &out, &["--preset", &preset, "--store", store, "--form", form]);
            near(&owner.best(&out, &text), &words, most);
            match form {
                "full" => near(&owner.best(&out, &["--image", &photo, "--text", "red"]), &image, most),
                _ => {
                    let like = owner.best(&out, &["--like", "red-circle.png", "--text", "red"]);
                    let ids: Vec<_> = like.as_array().unwrap().iter().map(|answer| answer["id"].as_str()).collect();
                    assert!(
                        !ids.is_empty() && !ids.contains(&Some("red-circle.png")),
                        "without the one that was chosen"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_no_model_is_refused_with_a_sentence() {
    let owner = Owner::new();
    let (photos, out, preset) = (owner.path("photos"), owner.path("refused"), owner.path("small.json"));
    let with = |model: &str, more: &[&str]| {
        let model = owner.path(model);
        owner.refused(&[&["index", &photos, "--model", &model, "--out", &out], more].concat())
    };
    for model in ["photos", "nowhere", "small.json"] {
        let told = with(model, &[]);
        assert!(told.contains(model) && !told.contains('\n'), "{told}");
    }
    assert!(with("photos", &[]).contains("is no bundle, no published dual encoder, and no checkpoint of thisbut"));
    assert!(with("tinyclip", &[]).contains("of no preset"), "these are not the sizes of tinyclip-8m");
    std::fs::remove_file(owner.at("tinyclip/merges.txt")).unwrap();
    assert!(with("tinyclip", &["--preset", &preset]).contains("list of merges is missing"));

    // Weights that are packed already.
    std::fs::copy(golden("huggingface/merges.txt"), owner.at("tinyclip/merges.txt")).unwrap();
    owner.index("tinyclip", "site", &["--preset", &preset]);
    assert!(with("site", &["--store", "q4"]).contains("packed already"));
    assert!(with("tinyclip", &["--encoder", &preset]).contains("is no bundle"));
    // Two checkpoints in one folder.
    let weights = owner.path("weights");
    std::fs::remove_file(owner.at("weights/vocab.txt")).unwrap();
    for name in ["one", "two"] {
        let start = format!("{weights}/{name}.safetensors");
        run(&["import", &owner.path("tinyclip"), "--preset", &preset, "--weights", &weights, "--out", &start]);
    }
    let told = with("weights", &[]);
    assert!(told.contains("2 checkpoints: one.safetensors, two.safetensors"), "{told}");
}
