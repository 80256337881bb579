//! `thisbut evaluate` asks a checkpoint in another way than it was trained, and counts in another way than the data set.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::path::{Path, PathBuf};
use thisbut_model::config::{ReadOut, SecondPassMask};
use thisbut_model::weights::Tensors;
use thisbut_trainer::evaluate::Answer;
use thisbut_trainer::train::checkpoint;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A data set of shapes with its features, its folder of weights, and a trained checkpoint.
fn place(root: &Path) -> [PathBuf; 3] {
    let (data, weights) = shapes(root);
    run(&["features", text(&data), "--preset", "tiny", "--weights", text(&weights)]);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/version-0.1/final.safetensors");
    [data, weights, golden]
}

/// What comes out of `thisbut evaluate` with `more`: its tables, and each query's answer.
fn answered([data, weights, checkpoint]: [&Path; 3], more: &[&str]) -> (String, Vec<Answer>) {
    let answers = data.join("answers.jsonl");
    let asked = ["evaluate", text(data), "--checkpoint", text(checkpoint), "--weights", text(weights)];
    let out = run(&[&asked[..], &["--per-query", text(&answers)], more].concat());
    let lines = std::fs::read_to_string(answers).unwrap();
    let answer = |line: &str| serde_json::from_str::<Answer>(line).unwrap();
    (String::from_utf8(out.stdout).unwrap(), lines.lines().map(answer).collect())
}

/// The tables, and the scores of each query's best images.
fn evaluated(place: [&Path; 3], more: &[&str]) -> (String, Vec<Vec<(String, f32)>>) {
    let (tables, answers) = answered(place, more);
    (tables, answers.into_iter().map(|answer| answer.top).collect())
}

#[test]
fn a_checkpoint_is_evaluated_as_the_published_code_mixes_it() {
    let root = tempfile::tempdir().unwrap();
    let [data, weights, golden] = place(root.path());
    // Trained by the mean with padding in sight, as it says of itself.
    let mixed = root.path().join("mixed.safetensors");
    let checkpoint::Checkpoint { mut header, model, .. } = checkpoint::load(&golden).unwrap();
    let own = header.config.two_pass_mut().unwrap();
    (own.read_out, own.second_pass_mask) = (ReadOut::MeanPromptCls, SecondPassMask::AllOnes);
    checkpoint::save(&mixed, &header, &model, &Tensors::new()).unwrap();
    let (_, plain) = evaluated([&data, &weights, &golden], &[]);
    let (_, as_trained) = evaluated([&data, &weights, &mixed], &[]);
    assert_ne!(plain, as_trained);
    let (title, asked) = evaluated([&data, &weights, &mixed], &["--read-out", "cls", "--second-pass-mask", "padding"]);
    assert_eq!(asked, plain, "as the published code evaluates it");
    assert!(title.contains("read-out cls, second-pass mask padding"), "{title}");
    let (_, back) =
        evaluated([&data, &weights, &golden], &["--read-out", "mean-prompt-cls", "--second-pass-mask", "all-ones"]);
    assert_eq!(back, as_trained);
    let (title, prototype) = evaluated([&data, &weights, &golden], &["--read-out", "prototype"]);
    assert!(prototype != plain && prototype != as_trained && title.contains("read-out prototype"), "{title}");
    let wrong = thisbut().args(["evaluate", text(&data), "--checkpoint", "x", "--read-out", "mean"]).output().unwrap();
    let complaint = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && complaint.contains("mean-prompt-cls"), "{complaint}");
}

#[test]
fn references_are_ranked_where_another_evaluator_keeps_them() {
    let root = tempfile::tempdir().unwrap();
    let [data, weights, golden] = place(root.path());
    let asked = |more: &[&str]| {
        let (title, answers) = answered([&data, &weights, &golden], more);
        let found = |answer: &&Answer| answer.top.iter().any(|(name, _)| *name == answer.reference);
        (title, answers.iter().filter(found).count(), answers)
    };
    let (title, found, plain) = asked(&[]);
    assert!(found == 0 && !title.contains("references"), "{title}");
    let (title, found, kept) = asked(&["--with-reference"]);
    assert!(found > 0 && title.contains(", references ranked"), "{found} {title}");
    // The others' scores and order are the same; a target stands behind its reference or where it stood.
    for (plain, kept) in plain.iter().zip(&kept) {
        let others: Vec<_> = kept.top.iter().filter(|(name, _)| *name != kept.reference).collect();
        assert!(others.iter().zip(&plain.top).all(|(kept, plain)| *kept == plain));
        let (before, after) = (plain.rank.unwrap(), kept.rank.unwrap());
        assert!(after == before || after == before + 1, "{before} {after}");
    }
    let (title, found, _) = asked(&["--without-reference"]);
    assert!(found == 0 && title.contains(", references left out"), "{title}");
}

#[test]
fn soft_targets_count_where_they_are_asked_for() {
    let root = tempfile::tempdir().unwrap();
    let [data, weights, golden] = place(root.path());
    // CIRR itself names no kinds of change; every image that shares the target's shape or colour is a soft target.
    let file = data.join("captions/cap.rc2.test1.json");
    let mut rows: Vec<serde_json::Value> = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    for row in &mut rows {
        let members = row["img_set"]["members"].clone();
        for name in members.as_array().unwrap() {
            row["target_soft"][name.as_str().unwrap()] = 1.0.into();
        }
        row.as_object_mut().unwrap().remove("kind");
    }
    std::fs::write(&file, serde_json::to_vec(&rows).unwrap()).unwrap();
    let place = [data.as_path(), weights.as_path(), golden.as_path()];
    let figures = |more: &[&str]| -> (String, f64, usize) {
        let json = data.join("figures.json");
        let (title, answers) = answered(place, &[&["--figures", text(&json)], more].concat());
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
        let targets = answers.iter().map(|answer| answer.targets.len()).min().unwrap();
        (title, report["sections"][0]["rows"][0]["recall"]["rs1"].as_f64().unwrap(), targets)
    };
    let (title, hard, targets) = figures(&[]);
    assert!(title.contains("hard targets only") && targets == 1, "{title} {targets}");
    let (title, all, targets) = figures(&["--right-targets", "all"]);
    assert!(title.contains("every right target counts") && targets == 5, "{title} {targets}");
    assert!(all == 100.0 && hard < 90.0, "every member of the subset is a soft target: {all} {hard}");
}
