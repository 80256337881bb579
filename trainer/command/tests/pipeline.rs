//! The whole path on a small data set: features, fine-tuning, evaluation, export, query.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::Path;

/// The data set of shapes with the features of the preset `tiny`; returns (data set, weights folder).
fn featured(root: &Path) -> (String, String) {
    let (data, weights) = shapes(root);
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    (data, weights)
}

#[test]
fn a_trained_bundle_answers_better_than_either_side_alone() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = featured(root.path());
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
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
    run(&["evaluate", &data, "--bundle", &bundle, "--figures", &json, "--record", "q8"]);
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
fn captions_come_first_and_a_smaller_gallery_answers_too() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = featured(root.path());
    let titles: serde_json::Map<String, serde_json::Value> = std::fs::read_dir(Path::new(&data).join("images"))
        .unwrap()
        .flatten()
        .map(|e| e.path().file_stem().unwrap().to_string_lossy().into_owned())
        .map(|name| (name.clone(), serde_json::json!({"title": name.replace('-', " "), "tags": ["shape"]})))
        .collect();
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (captions, triplets, bundle) = (path("captions"), path("triplets"), path("bundle"));
    let train = |out: &str, more: &[&str]| {
        let base = ["finetune", &data, "--preset", "tiny", "--weights", &weights, "--out", out, "--batch", "24"];
        let settings = ["--learning-rate", "4e-3", "--warmup", "20", "--dropout", "0", "--validate-every", "1000"];
        run(&[&base[..], &settings, more].concat())
    };
    let refused = thisbut()
        .args([
            "finetune",
            &data,
            "--preset",
            "tiny",
            "--weights",
            &weights,
            "--out",
            &captions,
            "--recipe",
            "captions",
        ])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no image of the split has a title"));
    std::fs::write(format!("{data}/images.json"), serde_json::to_vec(&titles).unwrap()).unwrap();
    let said = train(&captions, &["--losses", "captions", "--steps", "300"]);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let r10: f64 = said.split("R@10 ").nth(1).and_then(|s| s.split(' ').next()).unwrap().parse().unwrap();
    assert!(r10 > 80.0, "titles find their images: {said}");
    let start = format!("{captions}/final.safetensors");
    train(
        &triplets,
        &["--start", &start, "--t2t", "0", "--p2p", "0", "--unchanged", "0.1", "--group", "8", "--steps", "300"],
    );

    let checkpoint = format!("{triplets}/final.safetensors");
    let recall = |more: &[&str]| {
        let json = path("report.json");
        run(&[&["evaluate", &data, "--weights", &weights, "--figures", &json], more].concat());
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        report["sections"][0]["rows"][0]["recall"]["r1"].as_f64().unwrap()
    };
    let lines = path("queries.jsonl");
    let whole = recall(&["--checkpoint", &checkpoint, "--per-query", &lines]);
    let lines = std::fs::read_to_string(&lines).unwrap();
    let hits = lines.lines().filter(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["rank"] == 0).count();
    assert!((100.0 * hits as f64 / lines.lines().count() as f64 - whole).abs() < 1e-9 && whole > 60.0, "{whole}");
    let narrow = recall(&["--checkpoint", &checkpoint, "--target-tokens", "1", "--projection", "12"]);
    assert!(narrow > whole - 25.0, "one token of 12 of 16 principal dimensions: {narrow} beside {whole}");
    run(&["export", &checkpoint, "--dataset", &data, "--weights", &weights, "--out", &bundle, "--target-tokens", "1"]);
    let manifest = std::fs::read_to_string(format!("{bundle}/bundle.json")).unwrap();
    assert!(serde_json::from_str::<serde_json::Value>(&manifest).unwrap()["gallery"]["tokens"] == 1);
    assert!(recall(&["--bundle", &bundle]) > whole - 25.0);
}

#[test]
fn a_run_is_not_resumed_with_other_settings_and_a_damaged_checkpoint_is_passed_over() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = featured(root.path());
    let out = root.path().join("run").to_string_lossy().into_owned();
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
