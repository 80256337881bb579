//! Training killed at random moments ends with the same weights as an unbroken run; other ways to run it that change nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Kills that must hit a running process.
const KILLS: usize = 10;

fn arguments<'a>(data: &'a str, weights: &'a str, out: &'a str) -> Vec<&'a str> {
    vec![
        "finetune",
        data,
        "--preset",
        "tiny",
        "--weights",
        weights,
        "--out",
        out,
        "--steps",
        "240",
        "--batch",
        "16",
        "--checkpoint-every",
        "6",
        "--validate-every",
        "60",
        "--validate-queries",
        "20",
    ]
}

#[test]
fn ten_kills_change_nothing() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let place = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (whole, broken) = (place("whole"), place("broken"));
    let began = Instant::now();
    run(&arguments(&data, &weights, &whole));
    let length = began.elapsed();

    // Moments from a fixed sequence. Each kill waits for the run to have come further, so that a machine whose other work
    // begins or ends in the meantime still has a run to kill.
    let metrics = Path::new(&broken).join("metrics.jsonl");
    let steps = || std::fs::read_to_string(&metrics).map_or(0, |text| text.lines().count());
    let (mut state, mut kills) = (12345u32, 0);
    while kills < KILLS {
        let mut child = thisbut()
            .args(arguments(&data, &weights, &broken))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while steps() < kills * 20 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let share = f64::from(state >> 8) / f64::from(1 << 24);
        std::thread::sleep(Duration::from_millis(30).min(length / 24) + length.mul_f64(share / 24.0));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert_eq!(kills, KILLS, "the run ended before it was killed often enough");
    run(&arguments(&data, &weights, &broken));
    let read = |run: &str| std::fs::read(Path::new(run).join("final.safetensors")).unwrap();
    assert!(read(&whole) == read(&broken), "the weights differ");
    // The clock and the machine are each process's own.
    let own = ["wall_time", "step_seconds", "memory_bytes"];
    let lines = |run: &str| -> Vec<serde_json::Map<String, serde_json::Value>> {
        let text = std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
        let line = |line: &str| {
            let mut line: serde_json::Map<_, _> = serde_json::from_str(line).unwrap();
            line.retain(|key, _| !own.contains(&key.as_str()));
            line
        };
        text.lines().map(line).collect()
    };
    assert_eq!(lines(&whole), lines(&broken));
    let left: Vec<_> = std::fs::read_dir(&broken)
        .unwrap()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.starts_with(".partial-"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The same for a batch in pieces that two devices share, with frozen and slower groups from a recipe file.
#[test]
fn a_run_in_pieces_on_two_devices_resumes_exactly() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let place = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (whole, broken, recipe) = (place("whole"), place("broken"), place("slow.toml"));
    let text = "preset = \"tiny\"\nlosses = \"ptha\"\nbatch = 18\nsub-batch = 4\ndevices = 2\nsteps = 12\nschedule = \"one-cycle\"\n\
        warmup = 3\nvalidate-every = 6\nselection = \"mean\"\n[[groups]]\nmatch = \"qformer.blocks.0\"\nrate = 0.0\n\
        [[groups]]\nmatch = \"qformer.\"\nrate = 0.5\ndecay = 0.0\n";
    std::fs::write(&recipe, text).unwrap();
    let train = |out: &str, more: &[&str]| {
        let base = ["finetune", &data, "--weights", &weights, "--recipe", &recipe, "--out", out];
        run(&[&base[..], more].concat())
    };
    train(&whole, &[]);
    train(&broken, &["--until", "7"]);
    train(&broken, &[]);
    let read = |run: &str, file: &str| std::fs::read(Path::new(run).join(file)).unwrap();
    assert!(read(&whole, "final.safetensors") == read(&broken, "final.safetensors"), "the weights differ");
    let metrics = String::from_utf8(read(&whole, "metrics.jsonl")).unwrap();
    let validation = metrics.lines().find(|line| line.contains("\"val\"")).unwrap();
    assert!(validation.contains("mean of R@1/5/10/50 and R_subset@1/2/3"), "{validation}");
    // Another option beside the recipe is another run.
    let other = thisbut()
        .args(["finetune", &data, "--weights", &weights, "--recipe", &recipe, "--out", &whole, "--sub-batch", "0"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&other.stderr).contains("other settings"));
}

/// An image encoder that trains in part is in the graph, in the checkpoints and in the bundle, and refuses a cache.
#[test]
fn an_image_encoder_trains_in_part() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
    let place = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (whole, broken, recipe, bundle) = (place("whole"), place("broken"), place("part.toml"), place("bundle"));
    let text = "preset = \"tiny\"\nlosses = \"ptha\"\nbatch = 16\nsteps = 6\nsub-batch = 5\nvalidate-every = 3\n\
        [[groups]]\nmatch = \"image_encoder.patch.weight\"\nrate = 0.1\n";
    std::fs::write(&recipe, text).unwrap();
    let arguments = |out: &str| {
        let base = ["finetune", &data, "--weights", &weights, "--recipe", &recipe, "--out", out];
        base.map(str::to_owned).to_vec()
    };
    let refused = thisbut().args(arguments(&whole)).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("on-the-fly"), "{said}");
    let train = |out: &str, more: &[&str]| {
        let arguments = arguments(out);
        let base: Vec<&str> = arguments.iter().map(String::as_str).chain(["--features", "on-the-fly"]).collect();
        run(&[&base[..], more].concat())
    };
    train(&whole, &[]);
    train(&broken, &["--until", "3"]);
    train(&broken, &[]);
    let last = |run: &str| Path::new(run).join("final.safetensors");
    assert!(std::fs::read(last(&whole)).unwrap() == std::fs::read(last(&broken)).unwrap(), "the weights differ");
    let read = |path: &Path, name: &str| {
        let bytes = std::fs::read(path).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        tensors.tensor(name).unwrap().data().to_vec()
    };
    let first = Path::new(&broken).join("step-00000003.safetensors");
    for (name, moves) in [("patch.weight", true), ("patch.bias", false)] {
        let name = format!("model.image_encoder.{name}");
        assert_eq!(read(&first, &name) != read(&last(&whole), &name), moves, "{name}");
    }
    // A cache of the encoder as it was is not this model's, and the bundle has the trained one.
    let last = last(&whole).to_string_lossy().into_owned();
    let evaluated = thisbut().args(["evaluate", &data, "--weights", &weights, "--checkpoint", &last]).output().unwrap();
    let said = String::from_utf8_lossy(&evaluated.stderr).into_owned();
    assert!(!evaluated.status.success() && said.contains("another image encoder"), "{said}");
    run(&["export", &last, "--dataset", &data, "--weights", &weights, "--out", &bundle]);
}

#[test]
fn a_dry_run_takes_nothing_and_tokens_are_the_same_on_the_fly() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let place = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let (cache, out) = (place("exact.features"), place("never"));
    let options = ["--preset", "tiny", "--weights", &weights, "--batch", "16", "--steps", "4", "--out"];
    let base = [&["finetune", &data][..], &options].concat();
    // Neither a cache nor an image encoder is needed to say what a run would take.
    let dry = ["--recipe", "sprc-cirr", "--dry-run", "--sub-batch", "4", "--device", "cpu", "--precision", "f32"];
    let said = run(&[&base[..], &[&out], &dry].concat());
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    for part in
        ["parameters: 0.", "activations", "in all", "feature cache of these images", "a step of 8 triplets took"]
    {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!Path::new(&out).exists());

    run(&["features", &data, "--preset", "tiny", "--weights", &weights, "--store", "f32", "--out", &cache]);
    let losses = |out: &str, features: &str| -> Vec<f64> {
        run(&[&base[..], &[out, "--features", features]].concat());
        let lines = std::fs::read_to_string(Path::new(out).join("metrics.jsonl")).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64();
        lines.lines().filter_map(line).collect()
    };
    let (cached, live) = (losses(&place("cached"), &cache), losses(&place("live"), "on-the-fly"));
    assert_eq!(cached.len(), 4);
    assert!(cached.iter().zip(&live).all(|(a, b)| (a - b).abs() < 1e-5), "{cached:?} {live:?}");
}
