//! The bundles that the browser tests load, answered as when they were made: a change of the answers must make them anew
//! (`tests/browser/form_bundles.rs`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::Device;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use thisbut_trainer::query::{Asker, Reference};

/// Kernels of other processors add in another order.
const NEAR: f64 = 1e-4;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/fixtures")
}

fn check(bundle: &str) {
    let folder = fixtures().join(bundle);
    let asker = Asker::open(&folder, &Device::flex()).unwrap();
    let expected: Vec<Value> = serde_json::from_slice(&fs::read(folder.join("expected.json")).unwrap()).unwrap();
    assert!(expected.len() >= 4);
    for query in expected {
        let upload = query["upload"].as_str().map(|name| fixtures().join("tiny/thumbs").join(name));
        let reference = match (query["item"].as_str(), &upload) {
            (Some(item), _) => Some(Reference::Gallery(item)),
            (None, Some(path)) => Some(Reference::File(path)),
            (None, None) => None,
        };
        let text = query["text"].as_str().filter(|text| !text.is_empty());
        let found = asker.ask(reference, text, 12).unwrap();
        let hits = query["hits"].as_array().unwrap();
        assert_eq!(found.len(), hits.len(), "{bundle}: {query}");
        for (answer, hit) in found.iter().zip(hits) {
            let expected = hit[1].as_f64().unwrap();
            assert!((f64::from(answer.score) - expected).abs() < NEAR, "{bundle}: {answer:?}, expected {hit}");
        }
    }
}

/// A bundle holds what a visitor needs: no image encoder where none is read, no mapping network where none composes.
#[test]
fn bundles_hold_no_part_that_is_not_read() {
    for (bundle, encoder, mapping) in [
        ("words-full", true, true),
        ("words-gallery", false, true),
        ("sum-full", true, false),
        ("slerp-gallery", false, false),
    ] {
        let mut names = Vec::new();
        for entry in fs::read_dir(fixtures().join(bundle)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "safetensors") {
                names.extend(thisbut_model::quant::read_weights(&fs::read(path).unwrap()).unwrap().into_keys());
            }
        }
        let has = |part: &str| names.iter().any(|name| name.starts_with(part));
        assert!(has("model.text.word"), "{bundle}");
        assert_eq!((has("image_encoder."), has("model.mapping.")), (encoder, mapping), "{bundle}");
    }
}

#[test]
fn small_bundles_answer_as_the_browser_tests_expect() {
    ["eva-gallery", "clip-gallery", "eva-full", "clip-full"].into_iter().for_each(check);
    ["words-full", "words-gallery", "sum-full", "slerp-gallery"].into_iter().for_each(check);
    ["context-full", "context-gallery", "fashion-full", "fashion-gallery"].into_iter().for_each(check);
}
