//! A large image encoder passes through little memory: the peak of each command on an encoder of 302 MB in f32.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code)] // calls the command in a way of its own
mod common;

use common::{shapes, thisbut};
use std::process::Stdio;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::weights::{self, Tensors};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::import::encoder_path;
use thisbut_trainer::tensor_file::{self, Planned};
use thisbut_trainer::train::checkpoint::{self, Header};
use thisbut_trainer::train::settings::Settings;

/// A narrow model behind a deep image encoder of `layers` blocks.
fn config(layers: usize) -> String {
    format!(
        r#"{{
        "name": "deep-{layers}",
        "preprocess": {{ "size": 32, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [0, 0, 0],
            "background": [255, 255, 255], "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "scale_to_unit": true }},
        "image_encoder": {{ "kind": "vit", "family": "eva", "patch": 8, "width": 512, "layers": {layers}, "heads": 8,
            "intermediate": 2048 }},
        "qformer": {{ "layers": 2, "width": 32, "heads": 4, "intermediate": 64, "query_tokens": 4,
            "cross_attention_every": 2, "vocabulary": 64, "positions": 64, "dropout": 0.0 }},
        "projection": 16, "text_length": 16
    }}"#
    )
}

/// Runs the command and gives its peak of resident memory in bytes.
fn peak(arguments: &[&str]) -> u64 {
    let mut child = thisbut().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (status, mut most) = (format!("/proc/{}/status", child.id()), 0);
    let code = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        most = most.max(kib.unwrap_or(0) * 1024);
        match child.try_wait().unwrap() {
            Some(code) => break code,
            None => std::thread::sleep(std::time::Duration::from_millis(1)),
        }
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(code.success() && most > 0, "{arguments:?}: {said}");
    most
}

#[test]
fn a_large_image_encoder_never_lies_in_memory_twice() {
    let root = tempfile::tempdir().unwrap();
    let (data, weights) = shapes(root.path());
    let (data, folder) = (data.to_string_lossy().into_owned(), weights.to_string_lossy().into_owned());
    let path = |name: &str| root.path().join(name).to_string_lossy().into_owned();
    let device = choose(DeviceKind::Cpu).unwrap();
    // What each command takes by itself, from an encoder of one block, and with 23 more.
    let mut peaks = Vec::new();
    let mut model_bytes = Vec::new();
    for layers in [1, 24] {
        let preset = path(&format!("deep-{layers}.json"));
        std::fs::write(&preset, config(layers)).unwrap();
        let config = RetrievalConfig::parse(&config(layers), "deep").unwrap();
        let table = weights::shapes(&ImageEncoder::new(&config, &device), "");
        let plan = |(name, dims): (&String, &Vec<usize>)| Planned {
            name: name.clone(),
            dims: dims.clone(),
            precision: NumberFormat::F16,
        };
        let planned: Vec<Planned> = table.iter().map(plan).collect();
        let mut read = |at: usize| {
            let count: usize = planned[at].dims.iter().product();
            Ok((0..count).map(|i| ((i * 7919 + at) % 2039) as f32 / 40_000.0 - 0.025).collect())
        };
        let encoder = encoder_path(&config, &weights);
        tensor_file::write(&encoder, &planned, &Default::default(), &mut read, &mut |_, _| ()).unwrap();
        let (start, published) = (path(&format!("start-{layers}.safetensors")), path(&format!("{layers}.pth")));
        let model = weights::collect(&TwoPass::new(&config, &device).unwrap(), "").unwrap();
        let header = Header::new(Settings::sprc(), config.clone(), String::new());
        checkpoint::save(start.as_ref(), &header, &model, &Tensors::new()).unwrap();
        model_bytes.push(4 * table.values().map(|dims| dims.iter().product::<usize>() as u64).sum::<u64>());

        let base = ["--preset", &preset, "--weights", &folder];
        let (hf, run) = (path(&format!("hf-{layers}")), path(&format!("run-{layers}")));
        let train = ["finetune", &data, "--start", &start, "--out", &run, "--steps", "2", "--batch", "4"];
        peaks.push([
            ("features", peak(&[&["features", &data], &base[..]].concat())),
            ("finetune", peak(&[&train[..], &base].concat())),
            (
                "convert --to lavis",
                peak(&["convert", &start, "--weights", &folder, "--to", "lavis", "--out", &published]),
            ),
            ("convert --to hf", peak(&["convert", &start, "--weights", &folder, "--to", "hf", "--out", &hf])),
            ("import", peak(&[&["import", &published, "--out", &start], &base[..]].concat())),
        ]);
    }
    let more = model_bytes[1] - model_bytes[0];
    assert!(more > 280_000_000);
    println!("an encoder larger by {:.0} MB takes", more as f64 / 1e6);
    for ((what, small), (_, large)) in peaks[0].iter().zip(&peaks[1]) {
        let grown = large.saturating_sub(*small);
        println!("  {what:<18} {:.0} MB more, {:.0} MB in all", grown as f64 / 1e6, *large as f64 / 1e6);
        // The one that computes holds the model once, in f32; the others hold a tensor or two.
        let share = if *what == "features" { 1.2 } else { 0.1 };
        assert!(grown as f64 <= share * more as f64, "{what}: {grown} bytes more for a model larger by {more}");
    }
}
