//! The two forms of a bundle from outside, with small random models of both architectures of BLIP-2: export, query, index.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::Device;
use common::{run, shapes, thisbut};
use safetensors::tensor::{Dtype, TensorView};
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::Form;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::quant::CodeWidth;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::{Tensors, collect};
use thisbut_trainer::bundle_io::Bundle;
use thisbut_trainer::export::{Packing, bundle};
use thisbut_trainer::train::checkpoint::{Header, save};
use thisbut_trainer::train::settings::Settings;

fn small(family: &str) -> RetrievalConfig {
    let json = match family {
        "eva" => include_str!("../../../tests/browser/configs/small-eva.json"),
        _ => include_str!("../../../tests/browser/configs/small-clip.json"),
    };
    RetrievalConfig::parse(json, family).unwrap()
}

/// Fixed weights, wide enough that the pictures' targets differ.
fn fill(mut tensors: Tensors) -> Tensors {
    for (name, (dims, values)) in tensors.iter_mut().filter(|(name, _)| !name.contains("norm")) {
        let mut state = dims.iter().sum::<usize>() as u32 + name.len() as u32;
        let scale = if dims.len() > 1 { 3.0 / (dims[0] as f32).sqrt() } else { 0.2 };
        for value in values {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *value = ((state >> 8) as f32 / (1 << 24) as f32 - 0.5) * scale;
        }
    }
    if let Some((_, temperature)) = tensors.get_mut("temperature") {
        temperature.fill(0.07);
    }
    tensors
}

/// A checkpoint, the encoder's file as `import` writes it, and a data set.
struct Place {
    folder: tempfile::TempDir,
    data: String,
    weights: PathBuf,
    config: RetrievalConfig,
}

impl Place {
    fn new(family: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(folder.path());
        let (config, device) = (small(family), Device::flex());
        let model = fill(collect(&TwoPass::new(&config, &device).unwrap(), "").unwrap());
        write_checkpoint(&folder.path().join("model.safetensors"), &config, &model);
        let encoder = fill(collect(&ImageEncoder::new(&config, &device), "").unwrap());
        write_encoder(&thisbut_trainer::import::encoder_path(&config, &weights), &encoder);
        Self { folder, data: data.to_str().unwrap().to_owned(), weights, config }
    }
    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
    fn export(&self, out: &str, more: &[&str]) -> String {
        let (model, out, weights) = (self.path("model.safetensors"), self.path(out), self.weights.to_str().unwrap());
        let args = ["export", &model, "--dataset", &self.data, "--weights", weights, "--out", &out];
        String::from_utf8(run(&[&args, more].concat()).stdout).unwrap()
    }
}

fn write_checkpoint(path: &Path, config: &RetrievalConfig, model: &Tensors) {
    save(path, &Header::new(Settings::sprc(), config.clone(), String::new()), model, &Tensors::new()).unwrap();
}

fn write_encoder(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dims, values))| {
        (name, TensorView::new(Dtype::F32, dims.clone(), bytemuck::cast_slice(values)).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn refused(args: &[&str]) -> String {
    let out = thisbut().args(args).output().unwrap();
    let error = String::from_utf8(out.stderr).unwrap();
    assert!(out.status.code() == Some(1) && !error.contains("panicked"), "{args:?}: {error}");
    error.trim_end().lines().last().unwrap_or_default().to_owned()
}

fn ask(bundle: &str, more: &[&str]) -> Vec<(String, f64)> {
    let out = run(&[&["query", "--bundle", bundle, "--json", "-k", "50"], more].concat());
    let answers: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap();
    answers.iter().map(|a| (a["id"].as_str().unwrap().to_owned(), a["score"].as_f64().unwrap())).collect()
}

#[test]
fn both_forms_answer_alike_and_one_reads_no_new_image() {
    for family in ["eva", "clip"] {
        let place = Place::new(family);
        let said = place.export("whole", &["--form", "full", "--store", "f32"]);
        assert!(!said.contains("each image") && said.contains("memory in the page: about "), "{said}");
        let said = place.export("lean", &["--form", "gallery-reference", "--store", "f32"]);
        assert!(said.contains("each image that a search starts from: ") && said.contains("first visit: "), "{said}");
        let (whole, lean) = (place.path("whole"), place.path("lean"));
        let bundle = Bundle::read(Path::new(&lean)).unwrap();
        assert_eq!(bundle.manifest.form, Form::GalleryReference);
        let weights = |root: &str| Bundle::read_model(Path::new(root)).unwrap().manifest.weights[0].file.bytes;
        assert!(weights(&lean) < weights(&whole) / 2, "the encoder is not in it");

        let questions = [
            ("red-circle.png", Some("but in blue")),
            ("green-cross.png", Some("now black")),
            ("blue-stripe.png", None),
        ];
        for (item, text) in questions {
            let args: Vec<&str> =
                ["--like", item].into_iter().chain(text.into_iter().flat_map(|t| ["--text", t])).collect();
            let (one, other) = (ask(&whole, &args), ask(&lean, &args));
            assert_eq!((one.len(), other.len()), (23, 23), "the image itself is no answer");
            for (id, score) in &one {
                let near = other.iter().find(|(other, _)| other == id).unwrap().1;
                assert!((score - near).abs() < 0.02, "{family}, {item}, {text:?}: {id} {score} and {near}");
            }
            assert!(one[0].1 - one[22].1 > 0.05, "scores that lie apart: {one:?}");
        }
        assert_eq!(ask(&whole, &["--text", "in blue"]).len(), 24);
        assert_eq!(ask(&lean, &["--text", "in blue"]).len(), 24);

        let photo = format!("{}/images/red-circle.png", place.data);
        assert_eq!(ask(&whole, &["--image", &photo, "--text", "in blue"]).len(), 23);
        let line = refused(&["query", "--bundle", &lean, "--image", &photo, "--text", "in blue"]);
        assert!(line.contains("no image encoder") && line.contains("--like"), "{line}");
        let recall = |root: &str| {
            let file = place.path("figures.json");
            run(&["evaluate", &place.data, "--bundle", root, "--figures", &file]);
            let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            report["sections"][0]["rows"][0]["recall"]["r10"].as_f64().unwrap()
        };
        let (one, other) = (recall(&whole), recall(&lean));
        assert!((one - other).abs() < 4.0 && one > 0.0, "8-bit tokens of a random model's images: {one}, {other}");
        for width in ["q8", "q4"] {
            place.export("coarse", &["--form", "gallery-reference", "--store", width]);
            assert_eq!(ask(&place.path("coarse"), &["--like", "red-circle.png", "--text", "in blue"]).len(), 23);
        }

        // A file of tokens that is damaged, and one that is not there.
        let meta = bundle.metadata.iter().find(|image| image.id == "red-circle.png").unwrap();
        let file = Path::new(&lean).join(&meta.reference.as_ref().unwrap().path);
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let about = |item: &str| ["query", "--bundle", &lean, "--like", item, "--text", "in blue"].map(str::to_owned);
        let line = refused(&about("red-circle.png").each_ref().map(String::as_str));
        assert!(line.contains("references/r.") && line.contains("checksum"), "{line}");
        std::fs::remove_file(&file).unwrap();
        assert!(refused(&about("red-circle.png").each_ref().map(String::as_str)).contains("cannot read"));
        run(&about("green-cross.png").each_ref().map(String::as_str));
    }
}

#[test]
fn photos_are_added_only_with_the_encoder() {
    let place = Place::new("eva");
    place.export("lean", &["--form", "gallery-reference", "--limit", "4"]);
    let (lean, out, photos) = (place.path("lean"), place.path("mine"), format!("{}/images", place.data));
    let line = refused(&["evaluate", &place.data, "--bundle", &lean]);
    assert!(line.contains("no tokens of 20 of the 24 images") && line.contains("--limit"), "{line}");
    let line = refused(&["index", &photos, "--model", &lean, "--out", &out]);
    assert!(line.contains("no image encoder") && line.contains("--encoder"), "{line}");
    assert!(!Path::new(&out).exists());
    let encoder = thisbut_trainer::import::encoder_path(&place.config, &place.weights);
    for given in [encoder.to_str().unwrap(), place.weights.to_str().unwrap()] {
        run(&["index", &photos, "--model", &lean, "--out", &out, "--encoder", given]);
        let bundle = Bundle::read(Path::new(&out)).unwrap();
        assert_eq!((bundle.metadata.len(), bundle.manifest.form), (24, Form::GalleryReference));
        assert_eq!(ask(&out, &["--like", "red-cross.png", "--text", "in blue"]).len(), 23);
    }
    write_encoder(&encoder, &Tensors::from([("x".into(), (vec![1], vec![1.0]))]));
    let line = refused(&["index", &photos, "--model", &lean, "--out", &out, "--encoder", encoder.to_str().unwrap()]);
    assert!(line.contains("missing"), "{line}");
}

#[test]
fn weights_in_several_files_are_the_same_model() {
    let (config, device) = (small("clip"), Device::flex());
    let mut tensors = collect(&ImageEncoder::new(&config, &device), ENCODER_PREFIX).unwrap();
    tensors.extend(collect(&TwoPass::new(&config, &device).unwrap(), MODEL_PREFIX).unwrap());
    let make = |split: u64| {
        let packing = Packing { form: Form::Full, width: Some(CodeWidth::Q8), split, tokens: 4 };
        bundle(&config, fill(tensors.clone()), packing, "[PAD]\n[UNK]\n[CLS]\n[SEP]\nblue\n".into()).unwrap()
    };
    let (one, several) = (make(u64::MAX), make(20_000));
    assert_eq!(one.weights.len(), 1);
    assert!(several.weights.len() > 5, "{}", several.weights.len());
    let ask = |bundle: &Bundle| pollster::block_on(bundle.engine(&device).unwrap().self_test_query("blue")).unwrap();
    assert_eq!(ask(&one), ask(&several));
    let mut lacking = make(20_000);
    lacking.weights.pop();
    assert!(lacking.engine(&device).err().unwrap().to_string().contains("missing"));
    let mut misnamed = make(u64::MAX);
    misnamed.manifest.form = Form::GalleryReference;
    assert!(misnamed.engine(&device).err().unwrap().to_string().contains("an image encoder in them"));
}

#[test]
fn sizes_are_told_before_anything_is_made() {
    let said = String::from_utf8(run(&["footprint", "blip2-vit-g"]).stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].starts_with("form ") && lines[1].starts_with("gallery-reference  q4"), "{said}");
    assert_eq!(lines.iter().filter(|line| line.starts_with("blip2-vit-g in the form full")).count(), 2, "{said}");
    assert_eq!(thisbut().args(["footprint", "nano"]).output().unwrap().status.code(), Some(1));
    assert_eq!(thisbut().args(["export"]).output().unwrap().status.code(), Some(2));

    // Of a checkpoint that no page can hold nothing is written, unless told to.
    let place = Place::new("eva");
    let config = RetrievalConfig::preset("blip2-vit-g").unwrap();
    let (model, weights, out) = (place.path("large.safetensors"), place.weights.to_str().unwrap(), place.path("out"));
    write_checkpoint(Path::new(&model), &config, &Tensors::from([("temperature".into(), (vec![1], vec![0.07]))]));
    write_encoder(
        &thisbut_trainer::import::encoder_path(&config, &place.weights),
        &Tensors::from([("vit.class_token".into(), (vec![1408], vec![0.0; 1408]))]),
    );
    let args = ["export", &model, "--dataset", &place.data, "--weights", weights, "--out", &out];
    let line = refused(&args);
    assert!(line.contains("WebAssembly ends at 4.29 GB") && line.contains("--force"), "{line}");
    let forced = thisbut().args(args).arg("--force").output().unwrap();
    let said = String::from_utf8(forced.stderr).unwrap();
    assert!(said.contains("as --force says: ") && said.contains("missing"), "{said}");
    assert!(!Path::new(&out).exists());
}
