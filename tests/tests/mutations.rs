//! The fuzz targets without a fuzzer: small whole files, changed again and again from a fixed seed. `THISBUT_MUTATIONS` says how
//! often for each target; `tests/fuzz/README.md` has the figures of long runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, missing_docs, reason = "some targets of the fuzzer are not used here")]

#[path = "../fuzz/lib.rs"]
mod fuzz;
#[path = "../mutate.rs"]
mod mutate;

use mutate::{Random, setting};
use std::path::Path;
use thisbut_model::RetrievalConfig;

/// Ends the process when asked for more at once than any of these files is worth.
#[global_allocator]
static MEMORY: fuzz::Bounded = fuzz::Bounded;

/// Mutations of a target in the ordinary run of the tests.
const FEW: u64 = 5_000;

/// Runs `target` on changed `seeds`, each of which it must take first.
fn each(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let (count, begin) = (setting("THISBUT_MUTATIONS", FEW), setting("THISBUT_MUTATIONS_SEED", 1));
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random::new(begin);
    let last = std::env::temp_dir().join(format!("thisbut-mutation-{name}-{}", std::process::id()));
    let keep = std::env::var_os("THISBUT_MUTATIONS_KEEP").is_some();
    for at in 0..count {
        let mut bytes = seeds[random.next(seeds.len())].clone();
        for _ in 0..=random.next(6) {
            random.change(&mut bytes, seeds);
        }
        bytes.truncate(8192);
        if keep {
            std::fs::write(&last, &bytes).unwrap();
        }
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            panic!("{name}, mutation {at} of seed {begin}: {:?}", String::from_utf8_lossy(&bytes));
        }
    }
    println!("{name}: {count} mutations of {} seeds", seeds.len());
}

fn file(path: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).unwrap()
}

/// Caches of both layouts, and of each store.
fn caches() -> Vec<Vec<u8>> {
    let values = [0.5_f32, -1.0, 2.0, 0.25, 3.0, -0.125];
    let f32s: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let f16s: Vec<u8> = values.iter().flat_map(|v| half::f16::from_f32(*v).to_le_bytes()).collect();
    let int8s: Vec<u8> = [&f32s[..8], &[50, 206, 127, 12, 100, 252]].concat();
    let mut out = Vec::new();
    for (store, record) in [("f32", &f32s), ("f16", &f16s), ("int8", &int8s)] {
        let about = format!(r#"{{"encoder":"e","tokens":2,"width":3,"store":"{store}","names":["a","b"]}}"#);
        let mut bytes = b"TBUTFEA2".to_vec();
        bytes.resize(64, 0);
        bytes.extend([record.as_slice(), record, about.as_bytes(), &(about.len() as u64).to_le_bytes()].concat());
        out.push(bytes);
    }
    let about = br#"{"encoder":"e","tokens":2,"width":3,"names":["a","b"]}"#;
    let mut bytes = [&b"TBUTFEA1"[..], &(about.len() as u64).to_le_bytes(), about].concat();
    bytes.resize(bytes.len().div_ceil(64) * 64, 0);
    bytes.extend([&f16s[..], &f16s].concat());
    out.push(bytes);
    out
}

#[test]
fn feature_caches() {
    let caches = caches();
    for cache in &caches {
        let mut count = 0;
        assert_eq!(thisbut_trainer::features::read_cache(cache, |_, _| count += 1), Ok((2, 3)));
        assert_eq!(count, 2);
    }
    each("features", &caches, fuzz::features);
}

#[test]
fn configurations() {
    let mut seeds: Vec<Vec<u8>> = RetrievalConfig::PRESETS.iter().map(|(_, json)| json.as_bytes().to_vec()).collect();
    let before = r#"{"name":"before","preprocess":{"size":32,"resize":"bicubic","pad_ratio":1.25,"pad_fill":[255,255,255],
        "background":[255,255,255],"mean":[127,127,127],"std":[128,128,128],"scale_to_unit":false},"image_encoder":
        {"kind":"patch","patch":8,"width":48},"qformer":{"layers":2,"width":32,"heads":4,"intermediate":64,
        "query_tokens":4,"cross_attention_every":2,"vocabulary":2048,"positions":64,"dropout":0.1},"projection":16,
        "text_length":16,"temperature":0.07}"#;
    seeds.push(before.as_bytes().to_vec());
    for seed in &seeds {
        RetrievalConfig::parse(std::str::from_utf8(seed).unwrap(), "seed").unwrap();
    }
    each("configuration", &seeds, fuzz::configuration);
}

#[test]
fn manifests() {
    let mut manifest: serde_json::Value = serde_json::from_slice(&file("exported/bundle.json")).unwrap();
    manifest["measured"] = serde_json::Value::Null;
    manifest["opening"] = serde_json::Value::Null;
    manifest["suggestions"] = serde_json::json!(["but red"]);
    let text = manifest.to_string();
    assert!(text.len() < 8000, "{} bytes", text.len());
    let parsed = thisbut_model::bundle::Manifest::parse(text.as_bytes()).unwrap();
    parsed.retrieval_config("seed").unwrap();
    each("bundle", &[[&[0], text.as_bytes()].concat()], fuzz::bundle);
}
