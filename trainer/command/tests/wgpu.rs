//! Training on wgpu follows training on the CPU. For builds with the feature and machines with an adapter; a software one,
//! such as Mesa's lavapipe, will do.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes};

/// Training losses by step.
fn losses(run: &str) -> Vec<f64> {
    let lines = std::fs::read_to_string(format!("{run}/metrics.jsonl")).unwrap();
    let rows = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.filter_map(|row| row["loss"].as_f64()).collect()
}

#[test]
fn training_on_wgpu_follows_the_cpu() {
    if let Err(absent) = thisbut_trainer::device::choose(thisbut_trainer::device::DeviceKind::Wgpu) {
        assert!(std::env::var_os("THISBUT_REQUIRE_WGPU").is_none(), "{absent}");
        eprintln!("not tested: {absent}");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, weights) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let mut curves = Vec::new();
    for device in ["cpu", "wgpu"] {
        let path = |name: &str| root.path().join(format!("{name}-{device}")).to_string_lossy().into_owned();
        let (features, out) = (path("features"), path("run"));
        let common = ["--preset", "tiny", "--weights", &weights, "--device", device];
        run(&[&["features", &data, "--out", &features], &common[..]].concat());
        let settings = ["--steps", "12", "--batch", "16", "--warmup", "2", "--learning-rate", "4e-3", "--dropout", "0"];
        let base = ["finetune", &data, "--features", &features, "--out", &out, "--validate-queries", "20"];
        run(&[&base[..], &common, &settings].concat());
        curves.push(losses(&out));
        let checkpoint = format!("{out}/final.safetensors");
        let evaluate = ["evaluate", &data, "--checkpoint", &checkpoint, "--features", &features, "--every", "8"];
        run(&[&evaluate[..], &["--weights", &weights, "--device", device]].concat());
    }
    let [cpu, wgpu] = [&curves[0], &curves[1]];
    assert_eq!((cpu.len(), wgpu.len()), (12, 12));
    for (step, (a, b)) in cpu.iter().zip(wgpu).enumerate() {
        // Float sums in another order part by a little more each step.
        assert!((a - b).abs() < 1e-3 * (1.0 + step as f64), "step {step}: {a} on the CPU, {b} on wgpu");
    }
    assert!(cpu[11] < cpu[0], "{cpu:?}");
}
