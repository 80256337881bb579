//! Training killed at random moments ends with the same weights as an unbroken run.
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

    // Moments from a fixed sequence, spread over a twelfth of the unbroken run's time each.
    let (mut state, mut kills) = (12345u32, 0);
    while kills < KILLS {
        let mut child = thisbut()
            .args(arguments(&data, &weights, &broken))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let share = f64::from(state >> 8) / f64::from(1 << 24);
        std::thread::sleep(Duration::from_millis(30) + length.mul_f64(share / 6.0));
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
    let lines = |run: &str| std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
    assert_eq!(lines(&whole), lines(&broken));
    let left: Vec<_> = std::fs::read_dir(&broken)
        .unwrap()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|n| n.starts_with(".partial-"))
        .collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}
