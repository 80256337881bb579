//! A published dual encoder's whole path: fetched by its short name, imported, measured without training, handed back.
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
use std::path::Path;

#[test]
fn a_dual_encoder_is_fetched_imported_measured_and_handed_back() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let (preset, start, fetched) = (path("small.json"), path("start.safetensors"), path("tinyclip"));
    std::fs::write(&preset, CONFIG).unwrap();

    let hub = Hub::start();
    let names = ["config.json", "preprocessor_config.json", "merges.txt", "vocab.json", "model.safetensors"];
    let files: Vec<(&str, Vec<u8>)> =
        names.map(|name| (name, std::fs::read(golden("huggingface").join(name)).unwrap())).to_vec();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    hub.repository("wkcn/TinyCLIP-ViT-8M-16-Text-3M-YFCC15M", &files);
    let mut command = thisbut();
    let output = command.args(["fetch", "tinyclip", "--out", &fetched]).env("HF_ENDPOINT", &hub.url).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && told.contains("licence of the weights, as published: MIT"), "{told}");

    let output = run(&["import", &fetched, "--preset", &preset, "--weights", &weights, "--out", &start]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("Hugging Face's CLIPModel, preset small-clip"), "{told}");
    // Its preprocessor_config.json has another mean than the configuration that was named.
    let described = path("start.json");
    assert!(told.contains(&format!("give other commands --preset {described}")), "{told}");
    assert!(Path::new(&weights).join("merges.txt").is_file());

    run(&["features", &data, "--preset", &described, "--weights", &weights]);
    let figures = path("figures.json");
    run(&["evaluate", &data, "--checkpoint", &start, "--weights", &weights, "--figures", &figures]);
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    let rows = report["sections"][0]["rows"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["method"] == "composed"), "{report:#}");

    let back = path("back");
    run(&["convert", &start, "--weights", &weights, "--to", "hf", "--out", &back]);
    let bytes = |folder: &Path| std::fs::read(folder.join("model.safetensors")).unwrap();
    let tensors = |bytes: &[u8]| {
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut all: Vec<_> = file.tensors().into_iter().map(|(name, t)| (name, t.data().to_vec())).collect();
        all.sort();
        all
    };
    assert_eq!(tensors(&bytes(Path::new(&back))), tensors(&bytes(&golden("huggingface"))));
    let output =
        thisbut().args(["convert", &start, "--weights", &weights, "--to", "lavis", "--out", &path("x.pth")]).output();
    assert!(String::from_utf8_lossy(&output.unwrap().stderr).contains("choose --to hf"));
}

#[test]
fn a_checkpoint_without_its_list_of_merges_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (preset, weights, out) = (path("small.json"), path("weights"), path("start.safetensors"));
    std::fs::write(&preset, CONFIG).unwrap();
    let openai = golden("openai.pt").to_string_lossy().into_owned();
    let base = ["import", &openai, "--preset", &preset, "--weights", &weights, "--out", &out];
    let output = thisbut().args(base).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("list of merges is missing"), "{told}");
    assert!(!Path::new(&out).exists() && !Path::new(&weights).exists(), "nothing is written");
    let merges = golden("bin/tokenizer.json").to_string_lossy().into_owned();
    let output = run(&[&base[..], &["--merges", &merges]].concat());
    // A state dict does not say its activation: which one is taken is said, unless it is given.
    let assumed = |told: &[u8]| String::from_utf8_lossy(told).contains("taken to be QuickGELU");
    assert!(assumed(&output.stderr), "{output:?}");
    // Now the list lies in the folder of weights, and is found there.
    let output = run(&[&base[..], &["--activation", "quick-gelu"]].concat());
    assert!(!assumed(&output.stderr), "{output:?}");

    let scripted = golden("scripted.pt").to_string_lossy().into_owned();
    let output = thisbut().args(["import", &scripted, "--out", &out]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("torch.jit.load"));
    let output = thisbut().args(["import", &openai, "--preset", "clip-vit-b-32", "--out", &out]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("of no preset") && told.contains("not clip-vit-b-32"), "{told}");
}
