//! Files that somebody made to do harm: each is refused with one sentence, in little time and memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code)] // the other tests use more of it
mod common;
#[path = "common/tiny.rs"]
mod tiny;
#[allow(dead_code)] // likewise
#[path = "common/watched.rs"]
mod watched;

use common::{run, shapes};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{FileEntry, sha256_hex};
use thisbut_trainer::train::checkpoint::{self, Header};
use thisbut_trainer::train::settings::Settings;
use watched::{query, shop, text, watched};

/// Runs what has to fail; gives its one sentence.
fn refused(arguments: &[&str]) -> String {
    let ended = watched(arguments);
    let line = ended.said.trim_end().lines().last().unwrap_or_default().to_owned();
    assert!(ended.code == Some(1) && line.starts_with("thisbut: "), "{arguments:?}: {:?} {}", ended.code, ended.said);
    line
}

/// The places of every number in a value.
fn numbers(value: &Value, place: &str, out: &mut Vec<String>) {
    match value {
        Value::Number(_) | Value::Null => out.push(place.to_owned()),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, v)| numbers(v, &format!("{place}/{i}"), out)),
        Value::Object(fields) => fields.iter().for_each(|(k, v)| numbers(v, &format!("{place}/{k}"), out)),
        _ => {}
    }
}

#[test]
fn any_number_of_a_bundle_may_be_anything() {
    let root = tempfile::tempdir().unwrap();
    let (shop, manifest) = shop(root.path());
    let (photos, out) = (text(&root.path().join("photos")), text(&root.path().join("out")));
    let path = shop.join("bundle.json");
    assert_eq!(query(&shop).code, Some(0));
    let mut places = Vec::new();
    numbers(&manifest, "", &mut places);
    assert!(places.len() > 40 && places.iter().any(|p| p.ends_with("/qformer/image_width")), "{places:?}");
    let most = [json!(1_u64 << 20), json!(1_000_000_000), json!(1_u64 << 33), json!(u64::MAX), json!(2048), json!(-1)];
    for place in &places {
        for number in &most {
            let mut hostile = manifest.clone();
            *hostile.pointer_mut(place).unwrap() = number.clone();
            fs::write(&path, hostile.to_string()).unwrap();
            query(&shop);
            if number == &json!(u64::MAX) {
                watched(&["index", &photos, "--model", &text(&shop), "--out", &out]);
            }
        }
    }
}

#[test]
fn a_manifest_asks_for_no_more_than_it_brings() {
    let root = tempfile::tempdir().unwrap();
    let (shop, manifest) = shop(root.path());
    let path = shop.join("bundle.json");
    let told = |change: &dyn Fn(&mut Value), named: &str| {
        let mut hostile = manifest.clone();
        change(&mut hostile);
        fs::write(&path, hostile.to_string()).unwrap();
        let ended = query(&shop);
        assert!(ended.code == Some(1) && ended.said.contains(named), "{named}: {:?} {}", ended.code, ended.said);
    };
    let times = |list: &Value, count: usize| Value::from(vec![list[0].clone(); count]);
    told(&|m| m["config"]["method"]["qformer"]["layers"] = (1 << 20).into(), "qformer.layers");
    told(&|m| m["config"]["method"]["qformer"]["image_width"] = 1_000_000_000.into(), "qformer.image_width");
    told(&|m| m["config"]["image_encoder"]["width"] = (1_u64 << 33).into(), "image_encoder.width");
    told(&|m| m["config"]["image_encoder"]["width"] = u64::MAX.into(), "image_encoder.width");
    told(&|m| m["config"]["name"] = "../../evil".into(), "name");
    told(&|m| m["weights"] = times(&m["weights"], 2), "named twice");
    told(&|m| m["weights"] = times(&m["weights"], 15_000), "weights files");
    told(&|m| m["vocab"]["bytes"] = (1_u64 << 30).into(), "vocab");
    told(&|m| m["gallery"]["chunks"] = times(&m["gallery"]["chunks"], 2), "gallery.chunks[1]");
    told(&|m| m["gallery"]["tokens"] = 8192.into(), "gallery.chunks[0]");
    told(&|m| m["self_test"]["expected"] = times(&m["self_test"]["expected"], 5000), "self_test");
    // Deep, wide and long JSON, in the places that nothing reads.
    told(&|m| m["measured"] = Value::from("x".repeat(5 << 20)), "bundle.json");
    told(&|m| m["config"] = json!({ "name": "x".repeat(1 << 20) }), "too long");
    let wide = format!("[{}]", vec![r#"{"":0}"#; 520_000].join(","));
    told(&|m| m["config"] = serde_json::from_str(&wide).unwrap(), "config");
    fs::write(&path, manifest.to_string().replacen('{', &format!("{{\"later\":{wide},"), 1)).unwrap();
    assert_eq!(query(&shop).code, Some(0), "later additions are passed over");
    fs::write(&path, "[".repeat(1 << 20)).unwrap();
    assert_eq!(query(&shop).code, Some(1));
    // A hundred thousand links to one file, each under a name of its own.
    told(
        &|m| {
            let one = m["weights"][0].clone();
            let name = |i: usize| format!("w{i}.safetensors");
            let entry = |i: usize| {
                let link = shop.join(name(i));
                drop(symlink(shop.join(one["path"].as_str().unwrap()), link));
                let mut entry = one.clone();
                entry["path"] = name(i).into();
                entry
            };
            m["weights"] = (0..4096).map(entry).collect();
        },
        "too many for a model",
    );
}

#[test]
fn the_files_of_a_bundle_are_files_of_their_size() {
    let root = tempfile::tempdir().unwrap();
    let (shop, manifest) = shop(root.path());
    let path = shop.join("bundle.json");
    let mut files = vec![path.clone()];
    let place = |entry: &Value| shop.join(entry["path"].as_str().unwrap());
    files.extend([&manifest["weights"][0], &manifest["vocab"], &manifest["gallery"]["chunks"][0]].map(place));
    files.push(place(&manifest["gallery"]["metadata"][0]));
    for file in files {
        let whole = fs::read(&file).unwrap();
        for kind in ["pipe", "device", "sparse", "folder"] {
            fs::remove_file(&file).unwrap();
            stand_in(&file, kind);
            let line = refused(&["query", "--bundle", &text(&shop), "--text", "red"]);
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(line.contains(&name), "{kind}: {line}");
            match kind {
                "folder" => fs::remove_dir(&file).unwrap(),
                _ => fs::remove_file(&file).unwrap(),
            }
            fs::write(&file, &whole).unwrap();
        }
    }
    // A large file that has the promised size and another content is never held.
    let mut large = manifest.clone();
    large["config"] = serde_json::to_value(RetrievalConfig::preset("blip2-vit-g").unwrap()).unwrap();
    (large["gallery"]["tokens"], large["gallery"]["width"]) = (4.into(), 256.into());
    large["gallery"]["chunks"][0]["bytes"] = (32 + 3 * 4 * 260).into();
    large["weights"][0]["bytes"] = (1_u64 << 31).into();
    fs::write(&path, large.to_string()).unwrap();
    fs::File::options().write(true).open(place(&manifest["weights"][0])).unwrap().set_len(1 << 31).unwrap();
    assert!(query(&shop).said.contains("checksum"));
}

/// Puts something that is no file of the expected size at `path`.
fn stand_in(path: &Path, kind: &str) {
    match kind {
        "pipe" => assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
        "device" => symlink("/dev/zero", path).unwrap(),
        "folder" => fs::create_dir(path).unwrap(),
        _ => fs::File::create(path).unwrap().set_len(10 << 30).unwrap(),
    }
}

#[test]
fn an_image_s_tokens_have_their_size_before_they_are_read() {
    let root = tempfile::tempdir().unwrap();
    let (shop, mut manifest) = shop(root.path());
    // As a bundle without an image encoder names them.
    let file = shop.join(manifest["gallery"]["metadata"][0]["path"].as_str().unwrap());
    let mut images: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    fs::File::create(shop.join("r.bin")).unwrap().set_len(1 << 31).unwrap();
    let entry = FileEntry { bytes: 1 << 31, ..FileEntry::new("r.bin", b"") };
    for image in images.as_array_mut().unwrap() {
        image["reference"] = serde_json::to_value(&entry).unwrap();
    }
    let bytes = serde_json::to_vec(&images).unwrap();
    fs::write(&file, &bytes).unwrap();
    manifest["gallery"]["metadata"][0]["bytes"] = bytes.len().into();
    manifest["gallery"]["metadata"][0]["sha256"] = sha256_hex(&bytes).into();
    fs::write(shop.join("bundle.json"), manifest.to_string()).unwrap();
    let bundle = thisbut_trainer::bundle_io::Bundle::read(&shop).unwrap();
    let problem = bundle.reference(bundle.metadata[0].reference.as_ref().unwrap()).unwrap_err().to_string();
    assert!(problem.contains("r.bin: has 2147483648 bytes, an image's tokens have at most"), "{problem}");
}

/// The preset `tiny` with other values.
fn changed(changes: &[(&str, Value)]) -> Value {
    let mut config = serde_json::to_value(RetrievalConfig::preset("tiny").unwrap()).unwrap();
    for (place, value) in changes {
        let (folder, field) = place.rsplit_once('/').unwrap();
        config.pointer_mut(folder).unwrap()[field] = value.clone();
    }
    config
}

/// Configurations that ask for too much, and what names the field.
fn absurd() -> Vec<(Value, &'static str)> {
    vec![
        (changed(&[("/method/qformer/layers", (1 << 20).into())]), "qformer.layers"),
        (changed(&[("/method/qformer/image_width", 1_000_000_000.into())]), "qformer.image_width"),
        (changed(&[("/image_encoder/width", (1_u64 << 33).into())]), "image_encoder.width"),
        (changed(&[("/image_encoder/width", u64::MAX.into())]), "image_encoder.width"),
        (changed(&[("/image_encoder/patch", 0.into())]), "image_encoder.patch"),
        (changed(&[("/text/vocabulary", u64::MAX.into())]), "text.vocabulary"),
        (
            changed(&[("/method/qformer/width", (1 << 16).into()), ("/method/qformer/layers", 1000.into())]),
            "parameters",
        ),
        (changed(&[("/name", "../../evil".into())]), "name"),
        (changed(&[("/name", "/tmp/evil".into())]), "name"),
    ]
}

#[test]
fn presets_and_checkpoints_are_bounded_as_bundles_are() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(&data), text(&weights));
    let (preset, checkpoint) = (root.path().join("own.json"), root.path().join("hostile.safetensors"));
    let good = Header::new(Settings::sprc(), RetrievalConfig::preset("tiny").unwrap(), String::new());
    for (config, named) in absurd() {
        fs::write(&preset, config.to_string()).unwrap();
        for arguments in [
            vec!["features", &data, "--preset", &text(&preset), "--weights", &weights],
            vec!["finetune", &data, "--preset", &text(&preset), "--weights", &weights, "--out", "nowhere"],
            vec!["finetune", &data, "--preset", &text(&preset), "--weights", &weights, "--dry-run"],
        ] {
            let line = refused(&arguments);
            assert!(line.contains("own.json") && line.contains(named), "{named}: {line}");
        }
        // The header of a checkpoint, as a file that somebody edited has it.
        checkpoint::save(&checkpoint, &good, &Default::default(), &Default::default()).unwrap();
        let bytes = fs::read(&checkpoint).unwrap();
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
        let mut description: Value = serde_json::from_slice(&rest[..length]).unwrap();
        let place = "thisbut-checkpoint";
        let header = description["__metadata__"][place].as_str().unwrap();
        let mut header: Value = serde_json::from_str(header).unwrap();
        header["config"] = config;
        description["__metadata__"][place] = header.to_string().into();
        let description = description.to_string();
        fs::write(&checkpoint, [&(description.len() as u64).to_le_bytes(), description.as_bytes()].concat()).unwrap();
        for arguments in [
            vec!["evaluate", &data, "--checkpoint", &text(&checkpoint), "--weights", &weights],
            vec!["export", &text(&checkpoint), "--dataset", &data, "--weights", &weights, "--out", "nowhere"],
            vec![
                "finetune",
                &data,
                "--preset",
                "tiny",
                "--start",
                &text(&checkpoint),
                "--weights",
                &weights,
                "--out",
                "x",
            ],
        ] {
            if arguments[0] == "finetune" && !Path::new(&data).join("tiny.features").exists() {
                run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
            }
            let line = refused(&arguments);
            assert!(line.contains("hostile.safetensors") && line.contains(named), "{named}: {line}");
        }
    }
    assert!(!Path::new("nowhere").exists());
    assert_eq!(
        fs::read_dir(root.path().join("..")).unwrap().flatten().filter(|e| e.file_name() == "evil.features").count(),
        0
    );
}

#[test]
fn what_is_no_file_is_refused_wherever_a_file_is_read() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data_text, weights_text) = (text(&data), text(&weights));
    run(&["features", &data_text, "--preset", "tiny", "--weights", &weights_text]);
    let tiny = ["--preset", "tiny", "--weights", &weights_text];
    for kind in ["pipe", "device", "sparse"] {
        let odd = root.path().join(kind);
        stand_in(&odd, kind);
        let (odd_text, out) = (text(&odd), text(&root.path().join("out")));
        let json = root.path().join(format!("{kind}.json"));
        stand_in(&json, kind);
        let json = text(&json);
        let finetune = ["finetune", &data_text, "--out", &out];
        let cases: Vec<Vec<&str>> = vec![
            vec!["evaluate", &data_text, "--checkpoint", &odd_text, "--weights", &weights_text],
            vec!["import", &odd_text, "--preset", "blip2-vit-l", "--out", &out],
            vec!["import", &json, "--preset", "blip2-vit-l", "--out", &out],
            [&finetune[..], &tiny, &["--features", &odd_text]].concat(),
            [&finetune[..], &tiny, &["--start", &odd_text]].concat(),
            [&finetune[..], &tiny, &["--triplets", &odd_text]].concat(),
            [&finetune[..], &tiny, &["--reverse", &odd_text]].concat(),
            [&finetune[..], &["--recipe", &odd_text]].concat(),
            [&finetune[..], &["--preset", &json]].concat(),
            vec!["generator", "filter", &odd_text, "--checkpoint", &odd_text, "--features", &odd_text, "--out", &out],
            vec!["plot", &odd_text],
        ];
        for case in cases {
            refused(&case);
        }
        // In the place of files that a folder should have.
        for file in [weights.join("vocab.txt"), data.join("captions/cap.rc2.train.json"), data.join("tiny.features")] {
            let whole = fs::read(&file).unwrap();
            fs::remove_file(&file).unwrap();
            stand_in(&file, kind);
            let line = refused(&[&finetune[..], &tiny].concat());
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            assert!(line.contains(&name), "{kind}: {line}");
            fs::remove_file(&file).unwrap();
            fs::write(&file, whole).unwrap();
        }
    }
}

#[test]
fn tokens_of_another_encoder_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (text(&data), text(&weights));
    let own = |name: &str, changes: &[(&str, Value)]| {
        let path = root.path().join(format!("{name}.json"));
        let config = changed(&[&[("/name", name.into())], changes].concat());
        fs::write(&path, config.to_string()).unwrap();
        let cache = root.path().join(format!("{name}.features"));
        run(&["features", &data, "--preset", &text(&path), "--weights", &weights, "--out", &text(&cache)]);
        text(&cache)
    };
    let right = own("right", &[]);
    // Of another width, of another number of tokens, and of the same shape from other pixels.
    let width = own("width", &[("/image_encoder/width", 32.into())]);
    let size = own("size", &[("/preprocess/size", 64.into())]);
    let pixels = own("pixels", &[("/preprocess/pad_fill", json!([0, 0, 0]))]);
    let run_folder = text(&root.path().join("run"));
    let train = ["finetune", &data, "--preset", "tiny", "--weights", &weights, "--out", &run_folder, "--steps", "2"];
    run(&[&train[..], &["--batch", "4", "--features", &right]].concat());
    let checkpoint = format!("{run_folder}/final.safetensors");
    let evaluate =
        ["evaluate", &data, "--checkpoint", &checkpoint, "--weights", &weights, "--every", "50", "--features"];
    assert_eq!(watched(&[&evaluate[..], &[&right]].concat()).code, Some(0));
    for (cache, named) in [(&width, "(16, 32)"), (&size, "(64, 48)"), (&pixels, "another image encoder")] {
        for command in [&evaluate[..], &[&train[..], &["--features"]].concat()] {
            let line = refused(&[command, &[cache]].concat());
            assert!(line.contains(named) && line.contains(cache.as_str()), "{line}");
        }
    }
}

#[test]
fn a_vocabulary_larger_than_the_model_s_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights_text) = (text(&data), text(&weights));
    let base = ["--preset", "tiny", "--weights", &weights_text];
    run(&[&["features", &data], &base[..]].concat());
    let vocabulary = weights.join("vocab.txt");
    let words: String = (0..3000).map(|i| format!("\nword{i}")).collect();
    fs::write(&vocabulary, fs::read_to_string(&vocabulary).unwrap() + &words).unwrap();
    let out = root.path().join("run");
    let finetune = ["finetune", &data, "--out", &text(&out), "--steps", "2"].map(str::to_owned);
    let finetune: Vec<&str> = finetune.iter().map(String::as_str).collect();
    for more in [&[][..], &["--dry-run"], &["--recipe", "sprc-cirr"]] {
        let line = refused(&[&finetune[..], &base, more].concat());
        assert!(line.contains("words, the model knows 2048") && line.contains("weights/vocab.txt: "), "{line}");
    }
    assert!(!out.exists(), "nothing was begun");
}
