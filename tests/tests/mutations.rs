//! The fuzz targets without a fuzzer: small whole files, changed again and again from a fixed seed. `THISBUT_MUTATIONS` says how
//! often for each target; `tests/fuzz/README.md` has the figures of long runs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(dead_code, missing_docs, reason = "some targets of the fuzzer are not used here")]

#[path = "../fuzz/lib.rs"]
mod fuzz;

use std::path::Path;
use thisbut_model::RetrievalConfig;

/// Ends the process when asked for more at once than any of these files is worth.
#[global_allocator]
static MEMORY: fuzz::Bounded = fuzz::Bounded;

/// Mutations of a target in the ordinary run of the tests.
const FEW: u64 = 5_000;

/// What numbers are replaced with.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "2",
    "-1",
    "255",
    "1024",
    "65536",
    "1048576",
    "1048577",
    "1000000000",
    "4294967296",
    "8589934592",
    "18446744073709551615",
    "1e308",
];

/// A generator of numbers that is the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    /// One change: a bit, a byte, a piece that is doubled, taken out or brought from another file, a cut, or a number.
    fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        if bytes.is_empty() {
            return bytes.extend(&others[self.next(others.len())]);
        }
        let (at, kind) = (self.next(bytes.len()), self.next(10));
        let end = (at + 1 + self.next(16)).min(bytes.len());
        match kind {
            0 => bytes[at] ^= 1 << self.next(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'0', b'9'][self.next(8)],
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = &others[self.next(others.len())];
                let from = self.next(other.len());
                let piece = other[from..(from + 1 + self.next(64)).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            5 if self.next(8) == 0 => bytes.truncate(at),
            6 if at + 8 <= bytes.len() => {
                let number = [0, 1, 0x7fff_ffff, u64::from(u32::MAX), 1 << 33, u64::MAX][self.next(6)];
                bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            _ => self.change_number(bytes, at),
        }
    }

    /// The next number after `at` that is written out becomes another.
    fn change_number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let digit = |b: &u8| b.is_ascii_digit();
        let Some(start) = bytes[at..].iter().position(digit).map(|i| at + i) else { return };
        let end = bytes[start..].iter().position(|b| !digit(b)).map_or(bytes.len(), |i| start + i);
        let number = NUMBERS[self.next(NUMBERS.len())];
        bytes.splice(start..end, number.bytes());
    }
}

/// Runs `target` on changed `seeds`, each of which it must take first.
fn mutate(name: &str, seeds: &[Vec<u8>], target: fn(&[u8])) {
    let count = std::env::var("THISBUT_MUTATIONS").ok().and_then(|n| n.parse().ok()).unwrap_or(FEW);
    let begin = std::env::var("THISBUT_MUTATIONS_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1_u64);
    seeds.iter().for_each(|seed| target(seed));
    let mut random = Random(begin.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
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
    mutate("features", &caches, fuzz::features);
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
    mutate("configuration", &seeds, fuzz::configuration);
}

#[test]
fn manifests() {
    let mut manifest: serde_json::Value = serde_json::from_slice(&file("exported/bundle.json")).unwrap();
    manifest["measured"] = serde_json::Value::Null;
    manifest["suggestions"] = serde_json::json!(["but red"]);
    let text = manifest.to_string();
    assert!(text.len() < 8000, "{} bytes", text.len());
    let parsed = thisbut_model::bundle::Manifest::parse(text.as_bytes()).unwrap();
    parsed.retrieval_config("seed").unwrap();
    mutate("bundle", &[[&[0], text.as_bytes()].concat()], fuzz::bundle);
}
