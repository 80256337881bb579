//! `query` and `index` on bundles whose `bundle.json` was changed at random: each answers or refuses with one sentence, with no more
//! than a gigabyte of addresses. `THISBUT_MUTATIONS` says how many, or `THISBUT_MUTATIONS_SECONDS` how long; `tests/fuzz/README.md`
//! has the figures of long runs.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code)] // the other tests use more of it
mod common;
#[path = "../../../tests/mutate.rs"]
mod mutate;
#[path = "common/tiny.rs"]
mod tiny;
#[allow(dead_code)] // likewise
#[path = "common/watched.rs"]
mod watched;

use mutate::{NUMBERS, Random, setting};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use thisbut_model::RetrievalConfig;
use watched::{Ended, confined, shop, text};

/// Bundles in the ordinary run of the tests.
const FEW: u64 = 60;
/// Most entries that a list is made of.
const ENTRIES: usize = 6000;

/// The places of a value and of all in it.
fn places(value: &Value, place: &str, out: &mut Vec<String>) {
    out.push(place.to_owned());
    match value {
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| places(v, &format!("{place}/{i}"), out)),
        Value::Object(fields) => fields.iter().for_each(|(k, v)| places(v, &format!("{place}/{k}"), out)),
        _ => {}
    }
}

/// A number near another one: a step, a factor, or none of it.
fn near(random: &mut Random, number: f64) -> Value {
    let to = [number + 1.0, number - 1.0, number * 2.0, number * 1024.0, number / 2.0, -number, number + 0.5];
    let chosen = to[random.next(to.len())];
    if chosen.fract() == 0.0 && chosen.abs() < 1e18 { Value::from(chosen as i64) } else { Value::from(chosen) }
}

/// One change that keeps the JSON whole: a number, a value from elsewhere, one that is gone, or a list that is longer.
fn change(random: &mut Random, manifest: &mut Value, others: &[Value]) {
    let mut all = Vec::new();
    places(manifest, "", &mut all);
    let place = &all[random.next(all.len())];
    let kind = random.next(8);
    let Some(value) = manifest.pointer(place).cloned() else { return };
    let new = match (kind, &value) {
        (0..=2, Value::Number(number)) => near(random, number.as_f64().unwrap_or(0.0)),
        (0..=4, Value::Number(_)) => serde_json::from_str(NUMBERS[random.next(NUMBERS.len())]).unwrap(),
        (0..=3, Value::Array(items)) if !items.is_empty() => {
            let count = [0, 1, 2, 300, ENTRIES][random.next(5)];
            (0..count).map(|i| items[i % items.len()].clone()).collect()
        }
        (0..=1, Value::String(text)) => Value::from(text.repeat([0, 2, 40, 5000][random.next(4)])),
        (5, _) => Value::Null,
        (6, _) => others[random.next(others.len())].pointer(place).cloned().unwrap_or(Value::Bool(true)),
        _ => manifest.pointer(&all[random.next(all.len())]).cloned().unwrap_or(Value::Null),
    };
    if let Some(found) = manifest.pointer_mut(place) {
        *found = new;
    }
}

/// What to take values from: the manifest with the configuration of each preset.
fn with_presets(manifest: &Value) -> Vec<Value> {
    let preset = |(_, json): &(&str, &str)| {
        let mut other = manifest.clone();
        other["config"] = serde_json::from_str(json).unwrap();
        other
    };
    RetrievalConfig::PRESETS.iter().map(preset).collect()
}

/// What a run found.
#[derive(Default)]
struct Found {
    bundles: u64,
    commands: u64,
    answered: u64,
    most: u64,
    slowest: Duration,
}

impl Found {
    fn add(&mut self, ended: &Ended) {
        self.commands += 1;
        self.answered += u64::from(ended.code == Some(0));
        self.most = self.most.max(ended.most);
        self.slowest = self.slowest.max(ended.took);
        if ended.code != Some(0) {
            let last = ended.said.trim_end().lines().last().unwrap_or_default();
            assert!(last.starts_with("thisbut: "), "{}", ended.said);
        }
    }
}

/// The bytes of a changed manifest: by its values, and now and then by its letters.
fn spoilt(random: &mut Random, manifest: &Value, others: &[Value]) -> Vec<u8> {
    let mut value = if random.next(4) == 0 { others[random.next(others.len())].clone() } else { manifest.clone() };
    for _ in 0..=random.next(4) {
        change(random, &mut value, others);
    }
    let mut bytes = value.to_string().into_bytes();
    if random.next(6) == 0 {
        let seed = [manifest.to_string().into_bytes()];
        (0..=random.next(3)).for_each(|_| random.change(&mut bytes, &seed));
    }
    bytes
}

#[test]
fn a_hostile_manifest_takes_less_than_a_gigabyte() {
    let root = tempfile::tempdir().unwrap();
    let (shop, manifest) = shop(root.path());
    let (path, bundle) = (shop.join("bundle.json"), text(&shop));
    let [photos, out] = ["photos", "out"].map(|name| text(&root.path().join(name)));
    let query = ["query", "--bundle", &bundle, "--text", "red"];
    let index = ["index", &photos, "--model", &bundle, "--out", &out];
    assert_eq!((confined(&query).code, confined(&index).code), (Some(0), Some(0)), "the limit is enough");
    let others = with_presets(&manifest);
    let (seed, seconds) = (setting("THISBUT_MUTATIONS_SEED", 1), setting("THISBUT_MUTATIONS_SECONDS", 0));
    let count = if seconds > 0 { u64::MAX } else { setting("THISBUT_MUTATIONS", FEW) };
    let (mut random, mut found, began) = (Random::new(seed), Found::default(), Instant::now());
    while found.bundles < count && (seconds == 0 || began.elapsed() < Duration::from_secs(seconds)) {
        found.bundles += 1;
        let bytes = spoilt(&mut random, &manifest, &others);
        fs::write(&path, &bytes).unwrap();
        let tried = std::panic::catch_unwind(|| [confined(&query), confined(&index)]);
        let Ok(ended) = tried else { panic!("bundle {} of seed {seed}: {}", found.bundles, kept(&bytes)) };
        ended.iter().for_each(|ended| found.add(ended));
    }
    let Found { bundles, commands, answered, most, slowest } = found;
    let most = most as f64 / 1e6;
    println!("{bundles} bundles, {commands} commands, {answered} answered; at most {most:.0} MB and {slowest:.2?}");
}

/// Where a manifest that failed is kept.
fn kept(bytes: &[u8]) -> String {
    let path = std::env::temp_dir().join("thisbut-hostile-bundle.json");
    fs::write(&path, bytes).unwrap();
    text(Path::new(&path))
}
