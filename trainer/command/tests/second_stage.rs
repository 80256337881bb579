//! SPN4CIR's second stage from the command line: after a first stage, with its own positives.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes};
use std::path::Path;
use thisbut_trainer::train::checkpoint;

#[test]
fn a_second_stage_starts_at_its_own_temperature_and_reads_its_positives() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let first = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1/final.safetensors");
    let (extended, out) = (root.path().join("cap.rc2.train.extend_blip2.json"), root.path().join("run"));
    let row = |from: &str, to: &str| {
        serde_json::json!({"target_hard": to, "reference": from, "caption": [format!("{to} instead of {from}"), to],
            "pairid": 0, "img_set": {"members": ["xxx"]}, "caption1": from, "caption2": to})
    };
    let rows = [row("red-square", "blue-circle"), row("green-cross", "black-cross"), row("red-cross", "red-circle")];
    std::fs::write(&extended, serde_json::json!(rows).to_string()).unwrap();
    let place = [text(&data), text(&weights), text(&first), text(&extended), text(&out)];
    let [data, weights, start, positives, run_folder] = place.each_ref().map(String::as_str);
    run(&["features", data, "--preset", "tiny", "--weights", weights]);
    // 192 triplets and three positives are three batches of 65.
    let recipe = ["--recipe", "spn4cir-stage2", "--preset", "tiny", "--precision", "f32", "--read-out", "cls"];
    let few = ["--batch", "65", "--epochs", "1", "--fuse-by-image", "--validate-queries", "8"];
    let files = ["--weights", weights, "--start", start, "--extended", positives, "--out", run_folder];
    run(&[&["finetune", data][..], &recipe, &few, &files].concat());

    let trained = checkpoint::load(&out.join("final.safetensors")).unwrap();
    let before = checkpoint::load(&first).unwrap();
    assert_eq!((trained.header.settings.steps, trained.header.step), (3, 3));
    let tau = |model: &thisbut_model::weights::Tensors| model["temperature"].1[0];
    assert!((tau(&before.model) - 0.05).abs() > 0.01, "{}", tau(&before.model));
    assert!(tau(&trained.model) != 0.05 && (tau(&trained.model) - 0.05).abs() < 1e-3, "{}", tau(&trained.model));
    for (name, value) in &before.model {
        let trains = ["temperature", "text_projection."].iter().any(|part| name.starts_with(part));
        assert_eq!(trained.model[name] != *value, trains, "{name}");
        if let Some(copied) = name.strip_prefix("qformer.blocks.0.text.") {
            assert_ne!(trained.model[&format!("second.blocks.0.text.{copied}")], *value, "{name}");
        }
    }
}
