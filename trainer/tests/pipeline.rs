//! The whole path on a small data set: features, fine-tuning, evaluation, export, query.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};

#[test]
fn a_trained_bundle_answers_better_than_either_side_alone() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let out = path("run");
    run(&[
        "finetune",
        &data,
        "--preset",
        "tiny",
        "--weights",
        &weights,
        "--out",
        &out,
        "--steps",
        "500",
        "--batch",
        "32",
        "--learning-rate",
        "4e-3",
        "--warmup",
        "20",
        "--dropout",
        "0",
        "--validate-every",
        "250",
        "--checkpoint-every",
        "250",
    ]);
    run(&["plot", &out]);
    let bundle = path("bundle");
    let checkpoint = format!("{out}/final.safetensors");
    run(&["export", &checkpoint, "--dataset", &data, "--weights", &weights, "--out", &bundle, "--title", "Shapes"]);
    let json = path("report.json");
    run(&["evaluate", &data, "--bundle", &bundle, "--json", &json, "--record", "q8"]);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = report["sections"][0]["rows"].as_array().unwrap();
    let r1 = |method: &str| rows.iter().find(|r| r["method"] == method).unwrap()["recall"]["r1"].as_f64().unwrap();
    let baselines = ["image-only", "text-only", "averaged"].map(r1);
    assert!(
        baselines.iter().all(|b| r1("composed") > b + 30.0),
        "composed {} beside {baselines:?}: {report:#}",
        r1("composed")
    );
    let manifest = std::fs::read_to_string(format!("{bundle}/bundle.json")).unwrap();
    assert!(manifest.contains("\"measured\"") && manifest.contains("\"q8\""));

    // The same engine answers on the command line.
    let image = format!("{data}/images/red-circle.png");
    let answer = run(&["query", "--bundle", &bundle, "--image", &image, "--text", "but in blue", "-k", "3"]);
    let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
    assert!(answer.contains("blue-circle") || answer.to_lowercase().contains("blue circle"), "{answer}");

    // A damaged weights file is named, and nothing is answered.
    let weights_file = std::fs::read_dir(&bundle)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "safetensors"))
        .unwrap();
    let mut bytes = std::fs::read(&weights_file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(&weights_file, bytes).unwrap();
    let failed =
        thisbut().args(["query", "--bundle", &bundle, "--image", &image, "--text", "but in blue"]).output().unwrap();
    assert!(!failed.status.success());
    let message = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(message.contains("weights") && message.contains("checksum"), "{message}");
}

#[test]
fn a_run_is_not_resumed_with_other_settings_and_a_damaged_checkpoint_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let out = root.path().join("run").to_string_lossy().into_owned();
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let base =
        ["finetune", &data, "--preset", "tiny", "--weights", &weights, "--out", &out, "--batch", "16", "--steps", "20"];
    let all = |more: &[&'static str]| base.iter().copied().chain(more.iter().copied()).collect::<Vec<&str>>();
    run(&all(&["--checkpoint-every", "5", "--until", "10"]));
    let other = thisbut().args(all(&["--checkpoint-every", "5", "--seed", "2"])).output().unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("other settings"));
    // The newest checkpoint loses its tail; the one before it serves.
    let newest = root.path().join("run/step-00000010.safetensors");
    let bytes = std::fs::read(&newest).unwrap();
    std::fs::write(&newest, &bytes[..bytes.len() / 2]).unwrap();
    let resumed = run(&all(&["--checkpoint-every", "5"]));
    let said = String::from_utf8_lossy(&resumed.stderr).into_owned();
    assert!(said.contains("passed over") && said.contains("resumed from step 5"), "{said}");
}
