//! The whole path from somebody else's checkpoint: import, features, fine-tuning, evaluation, export, query, and back out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::{Tensors, collect};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::import::encoder_path;
use thisbut_trainer::tensor_file::{self, Planned};
use thisbut_trainer::train::checkpoint::{self, Header};
use thisbut_trainer::train::settings::Settings;

/// BLIP-2's architecture, small: EVA's blocks, the two-pass Q-Former.
const CONFIG: &str = r#"{
    "name": "small-blip2",
    "preprocess": { "size": 32, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [0, 0, 0],
        "background": [255, 255, 255], "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711], "scale_to_unit": true },
    "image_encoder": { "kind": "vit", "family": "eva", "patch": 8, "width": 48, "layers": 2, "heads": 4,
        "intermediate": 96 },
    "qformer": { "layers": 2, "width": 32, "heads": 4, "intermediate": 64, "query_tokens": 4,
        "cross_attention_every": 2, "vocabulary": 64, "positions": 64, "dropout": 0.0 },
    "projection": 16, "text_length": 16
}"#;

/// A published checkpoint of random weights, in LAVIS's form: the image encoder f16, the rest f32.
fn publish_random(folder: &Path, config: &RetrievalConfig, out: &str) {
    let device = choose(DeviceKind::Cpu).unwrap();
    device.seed(11);
    let encoder = collect(&ImageEncoder::new(config, &device), "").unwrap();
    let model = collect(&TwoPass::new(config, &device).unwrap(), "").unwrap();
    let plan = |(name, (dims, _)): (&String, &(Vec<usize>, Vec<f32>))| Planned {
        name: name.clone(),
        dims: dims.clone(),
        precision: NumberFormat::F16,
    };
    let planned: Vec<Planned> = encoder.iter().map(plan).collect();
    let mut read = |at: usize| Ok(encoder[&planned[at].name].1.clone());
    let path = encoder_path(config, folder);
    tensor_file::write(&path, &planned, &Default::default(), &mut read, &mut |_, _| ()).unwrap();
    let start = folder.join("random.safetensors");
    let header = Header::new(Settings::sprc(), config.clone(), String::new());
    checkpoint::save(&start, &header, &model, &Tensors::new()).unwrap();
    let (start, folder) = (start.to_string_lossy(), folder.to_string_lossy());
    run(&["convert", &start, "--weights", &folder, "--to", "lavis", "--out", out]);
}

#[test]
fn an_imported_checkpoint_trains_answers_and_goes_back() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let (preset, published, start) = (path("small.json"), path("published.pth"), path("start.safetensors"));
    std::fs::write(&preset, CONFIG).unwrap();
    let config = RetrievalConfig::parse(CONFIG, "small").unwrap();
    let scratch = tempfile::tempdir().unwrap();
    publish_random(scratch.path(), &config, &published);

    // Nothing works before the import, and it says so.
    let early = thisbut().args(["features", &data, "--preset", &preset, "--weights", &weights]).output().unwrap();
    assert!(String::from_utf8_lossy(&early.stderr).contains("run `thisbut import"));
    run(&["import", &published, "--preset", &preset, "--weights", &weights, "--out", &start]);
    run(&["features", &data, "--preset", &preset, "--weights", &weights]);
    let out = path("run");
    let training = ["--steps", "400", "--batch", "32", "--learning-rate", "4e-3", "--warmup", "20", "--dropout", "0"];
    let often = ["--validate-every", "400", "--checkpoint-every", "400"];
    let base = ["finetune", &data, "--preset", &preset, "--weights", &weights, "--start", &start, "--out", &out];
    run(&[&base[..], &training, &often].concat());

    let trained = format!("{out}/final.safetensors");
    let figures = |more: &[&str]| -> serde_json::Value {
        let json = path("report.json");
        run(&[&["evaluate", &data, "--figures", &json], more].concat());
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
        report["sections"][0]["rows"].clone()
    };
    let r1 = |rows: &serde_json::Value, method: &str| {
        let row = rows.as_array().unwrap().iter().find(|row| row["method"] == method).unwrap();
        row["recall"]["r1"].as_f64().unwrap()
    };
    let whole = figures(&["--checkpoint", &trained, "--weights", &weights]);
    let (composed, image, text) = (r1(&whole, "composed"), r1(&whole, "image-only"), r1(&whole, "text-only"));
    assert!(composed > image + 20.0 && composed > text + 20.0, "{composed} beside {image} and {text}");

    // A bundle with the image encoder, and an answer from it.
    let bundle = path("bundle");
    run(&["export", &trained, "--dataset", &data, "--weights", &weights, "--out", &bundle, "--title", "Shapes"]);
    let shipped = figures(&["--bundle", &bundle]);
    assert!((r1(&shipped, "composed") - composed).abs() < 10.0, "{shipped:#}");
    let photo = format!("{data}/images/red-circle.png");
    let answer = run(&["query", "--bundle", &bundle, "--image", &photo, "--text", "but in blue", "-k", "5"]);
    assert!(!answer.stdout.is_empty());

    // The bundle is a checkpoint to start from: what it was exported at, it answers with again, and its encoder comes along.
    let (again, other) = (path("from-bundle.safetensors"), path("bundle-weights"));
    run(&["import", &bundle, "--weights", &other, "--out", &again]);
    let (described, tokens) = (path("from-bundle.json"), path("from-bundle.features"));
    run(&["features", &data, "--preset", &described, "--weights", &other, "--out", &tokens]);
    let rows = figures(&["--checkpoint", &again, "--weights", &other, "--features", &tokens]);
    let from_bundle = r1(&rows, "composed");
    assert!((from_bundle - r1(&shipped, "composed")).abs() < 2.0, "{from_bundle} beside {shipped:#}");
    let refused = thisbut().args(["import", &bundle, "--store", "f16", "--out", &again]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--store: "), "{refused:?}");

    // Out in every layout, in again, and the figures are the same to the last digit.
    for (form, name) in [("hf", "hf"), ("lavis", "trained.pth"), ("sprc", "trained.pt")] {
        let (out, again, other) = (path(name), path(&format!("{form}.safetensors")), path(&format!("{form}-weights")));
        run(&["convert", &trained, "--weights", &weights, "--to", form, "--out", &out]);
        run(&["import", &out, "--preset", &preset, "--weights", &other, "--out", &again]);
        std::fs::copy(format!("{weights}/vocab.txt"), format!("{other}/vocab.txt")).unwrap();
        assert_eq!(figures(&["--checkpoint", &again, "--weights", &other]), whole, "{form}");
        let file = "small-blip2-encoder.safetensors";
        let bytes = |folder: &str| std::fs::read(format!("{folder}/{file}")).unwrap();
        assert!(bytes(&other) == bytes(&weights), "{form}: the encoder comes back byte for byte");
    }
}
