//! A teacher's loss beside SPRC's three, with unequal weights, through the production loop: every loss and the gradient's norm of ten
//! steps against torch. Golden values and where they come from: `tests/golden/teacher.py`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::Value;
use thisbut_tests::small_training::{Published, config};
use thisbut_tests::upstream::{Outcome, Table, golden_json, journal, numbers};
use thisbut_trainer::teacher::vectors::Vectors;
use thisbut_trainer::train::finetune::{Inputs, finetune};
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::two_pass::TwoPassSettings;
use thisbut_trainer::train::settings::{Schedule, Settings};

/// Losses are of order 7 and computed in float64 there.
const LIMIT: f32 = 2e-5;

/// The golden run's settings, and the teacher's vectors.
fn golden(published: &Published, notes: &Value) -> (Settings, Vectors) {
    let number = |key: &str| notes[key].as_f64().unwrap();
    let own = TwoPassSettings {
        teacher_weight: number("weight"),
        teacher_temperature: number("temperature"),
        ..TwoPassSettings::sprc()
    };
    let settings = Settings { schedule: Schedule::Constant, ..published.settings("sprc", own) };
    (settings, Vectors::of_first(&numbers(&notes["vectors"]), number("width") as usize))
}

/// The lines of a run's journal, a step each.
fn trained(published: &Published, settings: &Settings, teacher: Option<&Vectors>) -> Outcome<Vec<Value>> {
    let (config, folder) = (config(false, 0.0, 0.0)?, tempfile::tempdir()?);
    let inputs = Inputs {
        config: &config,
        train: &published.data,
        validation: &published.data,
        features: published,
        unlabelled: None,
        teacher,
        texts: &published.texts,
        start: published.start()?,
        understands: None,
        base_encoder: None,
        run: folder.path(),
        until: None,
    };
    finetune(settings, inputs, &mut |_| ())?;
    journal(folder.path())
}

fn column(lines: &[Value], key: &str) -> Vec<f32> {
    lines.iter().map(|line| line[key].as_f64().unwrap() as f32).collect()
}

#[test]
fn a_teachers_loss_and_its_gradient_are_torchs() -> Outcome {
    let (published, notes) = (Published::read()?, golden_json("teacher.json")?);
    let (settings, vectors) = golden(&published, &notes);
    // Whole, and in pieces that are encoded twice.
    for sub_batch in [0, 3] {
        let settings = Settings { sub_batch, ..settings.clone() };
        let lines = trained(&published, &settings, Some(&vectors))?;
        let mut table = Table::default();
        assert_eq!(lines.len(), numbers(&notes["losses"]).len());
        table.absolute("loss".to_owned(), &column(&lines, "loss"), &numbers(&notes["losses"]), LIMIT);
        for (at, name) in ["q2t", "t2t", "p2p", "teacher"].into_iter().enumerate() {
            let steps = notes["parts"].as_array().unwrap();
            let expected: Vec<f32> = steps.iter().map(|step| step[at].as_f64().unwrap() as f32).collect();
            table.absolute(name.to_owned(), &column(&lines, name), &expected, LIMIT);
        }
        table.relative("norm of the gradient", &column(&lines, "gradient_norm"), &numbers(&notes["norms"]), 1e-4);
        table.finish(&format!("a teacher beside SPRC's losses, pieces of {sub_batch}"))?;
    }
    Ok(())
}

#[test]
fn without_a_weight_nothing_of_a_teacher_is_there() -> Outcome {
    let (published, notes) = (Published::read()?, golden_json("teacher.json")?);
    let (settings, vectors) = golden(&published, &notes);
    let settings = Settings { steps: 2, ..settings };
    let plain = Settings { objective: ObjectiveSettings::TwoPass(TwoPassSettings::sprc()), ..settings.clone() };
    let written = serde_json::to_string(&plain)?;
    assert!(!written.contains("teacher"), "{written}");
    assert_eq!(serde_json::from_str::<Settings>(&written)?, plain);
    let lines = trained(&published, &plain, None)?;
    assert!(lines.iter().all(|line| line.get("teacher").is_none()));
    let with_vectors = trained(&published, &plain, Some(&vectors))?;
    let losses = |lines: &[Value]| lines.iter().map(|line| line["loss"].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&lines), losses(&with_vectors), "vectors that no loss reads change nothing");
    let refused = trained(&published, &settings, None).unwrap_err().to_string();
    assert!(refused.starts_with("--teacher-weight: there are no vectors of a teacher; make them"), "{refused}");
    Ok(())
}
