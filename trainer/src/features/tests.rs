#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use thisbut_model::number::NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};

/// Pictures of different colours, the tiny preset's encoder with random weights, and its configuration.
fn setting(root: &Path) -> (Vec<(String, PathBuf)>, RetrievalConfig, ImageEncoder, Device) {
    let picture = |i: u8| {
        let path = root.join(format!("{i}.png"));
        ::image::RgbImage::from_fn(40, 32, |x, y| ::image::Rgb([i * 20, (x * 6) as u8, (y * 7) as u8]))
            .save(&path)
            .unwrap();
        (format!("image {i}"), path)
    };
    let config = RetrievalConfig::preset("tiny").unwrap();
    let device = Device::flex();
    device.seed(5);
    ((0..11).map(picture).collect(), config.clone(), ImageEncoder::new(&config, &device), device)
}

fn job<'a>(images: &'a [(String, PathBuf)], config: &'a RetrievalConfig, store: Store) -> Job<'a> {
    let shape = (config.image_tokens(), config.image_width());
    let (fingerprint, computing) = ("x".into(), "cpu".into());
    Job { images, preprocess: &config.preprocess, shape, store, fingerprint, computing, sizes: false }
}

/// A cache that was stopped after some batches goes on to the same bytes; one of other files begins where they differ.
#[test]
fn an_unfinished_cache_is_gone_on_with_to_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let (mut images, config, encoder, device) = setting(root.path());
    let missing = root.path().join("nothing.png");
    images.insert(4, ("broken".into(), missing.clone()));
    let place = |name: &str| root.path().join(name);
    let whole = place("whole.features");
    let run = |path: &Path, images: &[(String, PathBuf)], stop: usize| {
        let mut said = Vec::new();
        let stopped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let mut progress = |done: usize, _| assert!(done < stop, "stopped as a kill would");
            let encode = |pixels, count| encode(&encoder, pixels, count, &config, &device);
            build(path, &job(images, &config, Store::default()), &encode, &mut progress, &mut |s| said.push(s))
        }));
        (stopped.map(Result::unwrap), said.join("\n"))
    };
    let never = usize::MAX;
    let built = Built { images: 11, left_out: 1, found: false };
    assert_eq!(run(&whole, &images, never).0.unwrap(), built);
    let broken = place("broken.features");
    let unfinished = place("broken.features.unfinished");
    assert!(run(&broken, &images, 1).0.is_err() && unfinished.exists() && !broken.exists());
    // What a power cut may leave behind the last line.
    let mut torn = std::fs::read(&unfinished).unwrap();
    torn.extend([7; 1000]);
    std::fs::write(&unfinished, torn).unwrap();
    let (done, said) = run(&broken, &images, never);
    assert_eq!(done.unwrap(), built);
    assert!(said.contains("goes on after 8 images") && !said.contains("nothing.png"), "{said}");
    assert!(std::fs::read(&whole).unwrap() == std::fs::read(&broken).unwrap(), "other bytes");
    let left: Vec<_> = std::fs::read_dir(root.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("unfinished")), "{left:?}");
    // It is there already; and after a change of an image it is not.
    assert_eq!(run(&broken, &images, 0).0.unwrap(), Built { found: true, ..built });
    std::fs::copy(&images[0].1, &missing).unwrap();
    assert!(run(&broken, &images, 1).0.is_err());
    let (done, said) = run(&broken, &images[..10], never);
    assert_eq!(done.unwrap(), Built { images: 10, left_out: 0, found: false });
    assert!(said.contains("goes on after 8 images"), "{said}");
    assert!(run(&broken, &images, 1).0.is_err());
    images[0].1 = images[1].1.clone();
    let (done, said) = run(&broken, &images, never);
    assert_eq!(done.unwrap(), Built { images: 12, left_out: 0, found: false });
    assert!(said.contains("begun anew"), "{said}");
    // The reason of an image without tokens is told where it is asked for.
    let problem = Features::open(&whole).unwrap().row("broken").unwrap_err().to_string();
    assert!(problem.contains("nothing.png") && problem.contains("mend the file"), "{problem}");
}

/// A data set comes from anywhere, and its folder is where the cache is made.
#[cfg(unix)]
#[test]
fn an_unfinished_cache_is_a_file_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let (images, config, encoder, device) = setting(root.path());
    let path = root.path().join("x.features");
    let mut said = Vec::new();
    let mut run = || {
        let job = job(&images, &config, Store::default());
        let encode = |pixels, count| encode(&encoder, pixels, count, &config, &device);
        build(&path, &job, &encode, &mut |_, _| (), &mut |line| said.push(line))
    };
    let (records, lines) = (root.path().join("x.features.unfinished"), root.path().join("x.features.unfinished.jsonl"));
    let mine = root.path().join("mine");
    std::fs::write(&mine, "precious").unwrap();
    std::os::unix::fs::symlink(&mine, &records).unwrap();
    assert!(run().unwrap_err().to_string().contains("x.features.unfinished: is a link"));
    assert_eq!(std::fs::read_to_string(&mine).unwrap(), "precious");
    std::fs::remove_file(&records).unwrap();
    for place in [&records, &lines] {
        assert!(std::process::Command::new("mkfifo").arg(place).status().unwrap().success());
        let problem = run().unwrap_err().to_string();
        assert!(problem.contains("pipe"), "{problem}");
        std::fs::remove_file(place).unwrap();
    }
    // What a process leaves that ended before its first batch did is nothing to speak of.
    std::fs::write(&records, [0; 64]).unwrap();
    run().unwrap();
    assert!(said.is_empty(), "{said:?}");
}

fn values(x: Tensor<3>) -> Vec<f32> {
    x.into_data().try_to_vec().unwrap()
}

#[test]
fn each_store_gives_the_tokens_back_within_its_precision() {
    let root = tempfile::tempdir().unwrap();
    let (mut images, config, encoder, device) = setting(root.path());
    images.insert(4, ("broken".into(), root.path().join("nothing.png")));
    let files: BTreeMap<String, PathBuf> = images.iter().cloned().collect();
    let live = Live::new(encoder.clone(), &config, &device, files);
    let names = ["image 10", "image 0", "image 10", "image 7"];
    let rows = |of: &dyn ImageTokens| names.map(|name| of.row(name).unwrap());
    let exact = values(live.tokens(&rows(&live), &device).unwrap());
    let largest = exact.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(live.tokens(&[live.row("broken").unwrap()], &device).is_err() && live.row("other").is_err());
    let (t, c) = (config.image_tokens(), config.image_width());
    let path = root.path().join("x.features");
    for (store, bytes, within) in [(F32, 4 * t * c, 0.0), (F16, 2 * t * c, 5e-4), (Int8, t * (c + 4), 4e-3)] {
        let kept = Store::try_from(store).unwrap();
        let mut complaints = Vec::new();
        let mut report = |complaint: String| complaints.push(complaint);
        let job = job(&images, &config, kept);
        let encode = |pixels, count| encode(&encoder, pixels, count, &config, &device);
        let built = build(&path, &job, &encode, &mut |_, _| {}, &mut report).unwrap();
        assert_eq!(built, Built { images: 11, left_out: 1, found: false });
        assert!(matches!(&complaints[..], [one] if one.contains("nothing.png")), "{complaints:?}");
        let features = Features::of_encoder(&path, &config, "x").unwrap();
        assert_eq!((features.store(), features.shape()), (store, (t, c)));
        assert!(features.bytes() > 11 * bytes && features.bytes() < 11 * bytes + 900);
        let found = values(features.tokens(&rows(&features), &device));
        let apart = exact.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
        println!("{store:?}: {apart:e} of {largest}");
        assert!(apart <= within * largest, "{store:?}: {apart} of {largest}");
        let mean = features.mean(features.row("image 7").unwrap());
        let expected: f32 = exact[3 * t * c..].iter().step_by(c).sum::<f32>() / t as f32;
        assert!((mean[0] - expected).abs() <= 4e-3 * largest, "the mean of the tokens");
        let refused = |config: &RetrievalConfig, fingerprint: &str| {
            Features::of_encoder(&path, config, fingerprint).err().unwrap().to_string()
        };
        assert!(refused(&config, "y").contains("another image encoder"), "of the same shape");
        let web = RetrievalConfig::preset("web-s").unwrap();
        assert!(refused(&web, "x").contains("(16, 48) (tokens an image, width), the model reads (49, 1280)"));
        // The same values where the bytes lie at an odd place, as nowhere in a file that is mapped.
        let bytes = std::fs::read(&path).unwrap();
        for shift in [0, 1] {
            let moved = [vec![0; shift], bytes.clone()].concat();
            let mut seen = Vec::new();
            let shape = read_cache(&moved[shift..], |name, values| seen.push((name.to_owned(), values.to_vec())));
            assert_eq!((shape, seen.len()), (Ok((t, c)), 11));
            assert_eq!(seen[10], ("image 10".to_owned(), found[..t * c].to_vec()));
        }
    }
    let whole = std::fs::read(&path).unwrap();
    for cut in [0, 7, 40, 64, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let problem = Features::open(&path).err().unwrap().to_string();
        assert!(problem.contains("features` again") || problem.contains("check the file"), "{cut}: {problem}");
    }
}

#[test]
fn the_layout_before_is_still_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("old.features");
    let header = br#"{"encoder":"x","tokens":2,"width":3,"names":["a","b"]}"#;
    let mut bytes = b"TBUTFEA1".to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(header);
    bytes.resize(bytes.len().div_ceil(64) * 64, 0);
    bytes.extend((0..12).flat_map(|i| half::f16::from_f32(i as f32 / 4.0).to_le_bytes()));
    std::fs::write(&path, &bytes).unwrap();
    let features = Features::open(&path).unwrap();
    assert_eq!((features.store(), features.row("b").unwrap()), (F16, 1));
    assert_eq!(values(features.tokens(&[1], &Device::flex())), [1.5, 1.75, 2.0, 2.25, 2.5, 2.75]);
}

#[test]
fn sizes_that_no_file_has_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.features");
    for header in [
        r#"{"encoder":"x","tokens":9223372036854775808,"width":2,"store":"int8","names":["a"]}"#,
        r#"{"encoder":"x","tokens":4611686018427387904,"width":0,"store":"int8","names":["a"]}"#,
        r#"{"encoder":"x","tokens":18446744073709551615,"width":18446744073709551615,"store":"f32","names":["a"]}"#,
        r#"{"encoder":"x","tokens":4294967296,"width":4294967296,"store":"f16","names":["a","b"]}"#,
        r#"{"encoder":"x","tokens":0,"width":0,"store":"f32","names":["a"]}"#,
        r#"{"encoder":"x","tokens":1000000000,"width":1,"store":"f32","names":[]}"#,
        r#"{"encoder":"x","tokens":-1,"width":1,"store":"f32","names":[]}"#,
    ] {
        let mut bytes = b"TBUTFEA2".to_vec();
        bytes.resize(64, 0);
        bytes.extend(header.as_bytes());
        bytes.extend((header.len() as u64).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        assert!(Features::open(&path).is_err(), "{header}");
    }
    // A second record under one name would never be read.
    let twice = r#"{"encoder":"x","tokens":1,"width":1,"store":"f32","names":["a","a"]}"#;
    let mut bytes = b"TBUTFEA2".to_vec();
    bytes.resize(64 + 8, 0);
    bytes.extend(twice.as_bytes());
    bytes.extend((twice.len() as u64).to_le_bytes());
    std::fs::write(&path, &bytes).unwrap();
    assert!(Features::open(&path).err().unwrap().to_string().contains("it names an image twice"));
    assert_eq!(Store::try_from(Int8).unwrap().record(usize::MAX, usize::MAX), usize::MAX);
}

#[test]
fn a_cache_keeps_three_formats_alone() {
    for format in [F64, Bf16, Q8, Q4] {
        let message = Store::try_from(format).unwrap_err().to_string();
        assert!(message.contains(format.name()) && message.ends_with("choose f32, f16 or int8"), "{message}");
    }
    // A header of an earlier version, and one that names a format that no cache has.
    let header = |store: &str| format!("{{\"encoder\":\"x\",\"tokens\":1,\"width\":2,{store}\"names\":[\"a\"]}}");
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("x.features");
    for (store, found) in [("", Some(F16)), ("\"store\":\"f16\",", Some(F16)), ("\"store\":\"q8\",", None)] {
        let json = header(store);
        let mut bytes = b"TBUTFEA2".to_vec();
        bytes.resize(64 + 4, 0);
        bytes.extend(json.as_bytes());
        bytes.extend((json.len() as u64).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let opened = Features::open(&path).map(|features| features.store());
        assert_eq!(opened.as_ref().ok().copied(), found, "{store}");
    }
}
