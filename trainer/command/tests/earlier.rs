//! Files of version 0.1 still open, and mean what they meant.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Manifest;
use thisbut_trainer::evaluate::Answer;
use thisbut_trainer::train::checkpoint;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_shipped_manifest_names_todays_preset() {
    let manifest = Manifest::parse(&std::fs::read(golden("bundle.json")).unwrap()).unwrap();
    let config = RetrievalConfig::parse(&manifest.config.to_string(), "bundle.json").unwrap();
    let mut expected = RetrievalConfig::preset("web-xs").unwrap();
    // Export stores the word embeddings at the model's width.
    expected.two_pass_mut().unwrap().qformer.word_width = None;
    assert_eq!(config, expected);
    let settings = |manifest: &Manifest| serde_json::to_value(manifest).unwrap();
    let again = Manifest::parse(manifest.to_json().unwrap().as_bytes()).unwrap();
    assert_eq!(settings(&again), settings(&manifest));
}

#[test]
fn a_checkpoint_answers_as_it_did() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(&data), text(&weights));
    run(&["features", data, "--preset", "tiny", "--weights", weights]);
    let answers = root.path().join("answers.jsonl");
    let checkpoint = golden("final.safetensors");
    run(&["evaluate", data, "--checkpoint", text(&checkpoint), "--weights", weights, "--per-query", text(&answers)]);
    let read = |path: &Path| -> Vec<Answer> {
        std::fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let (expected, found) = (read(&golden("answers.jsonl")), read(&answers));
    assert_eq!(expected.len(), 24);
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!((expected.id, expected.rank), (found.id, found.rank));
        for ((name, score), (other, other_score)) in expected.top.iter().zip(&found.top) {
            assert_eq!(name, other);
            assert!((score - other_score).abs() < 1e-4, "{name}: {score} {other_score}");
        }
    }
}

#[test]
fn a_run_that_was_stopped_goes_on_to_the_same_weights() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(&data), text(&weights));
    run(&["features", data, "--preset", "tiny", "--weights", weights]);
    let out = root.path().join("run");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::copy(golden("step-00000003.safetensors"), out.join("step-00000003.safetensors")).unwrap();
    let settings = ["--steps", "6", "--batch", "8", "--learning-rate", "1e-3", "--checkpoint-every", "3"];
    let asked = ["finetune", data, "--preset", "tiny", "--weights", weights, "--out", text(&out)];
    run(&[&asked[..], &settings].concat());
    let expected = checkpoint::load(&golden("final.safetensors")).unwrap();
    let found = checkpoint::load(&out.join("final.safetensors")).unwrap();
    assert_eq!(expected.header.step, found.header.step);
    assert_eq!(expected.header.config, found.header.config);
    assert_eq!(expected.header.settings, found.header.settings);
    assert!(expected.model.keys().eq(found.model.keys()));
    for (name, (dims, values)) in &expected.model {
        let (other_dims, other) = &found.model[name];
        assert_eq!(dims, other_dims, "{name}");
        let off = values.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-5, "{name} is {off} off");
    }
}
