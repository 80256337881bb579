//! Whole training runs against SPRC's and SPN4CIR's own code: the loss of every step, τ, weight decay of vectors, the one-cycle
//! schedule, the bank; and where dropout sits. All of it goes through the production loop, with the losses' unequal weights.
//! Golden values and where they come from: `tests/golden/training.py`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor};
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::small_qformer::{tensor, values};
use thisbut_tests::small_training::{Published, config};
use thisbut_tests::upstream::{Outcome, Table, journal, numbers};
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::checkpoint;
use thisbut_trainer::train::finetune::{Inputs, finetune};
use thisbut_trainer::train::groups::Group;
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::two_pass::{Losses, TwoPassSettings};
use thisbut_trainer::train::settings::{Schedule, Settings};

/// Losses are of order 3 and computed in float64 there.
const LIMIT: f32 = 1e-5;

/// Trains in `folder` and compares each step's loss, and τ afterwards. Returns the trained weights.
fn follow(
    (published, run): (&Published, &str),
    settings: &Settings,
    config: &RetrievalConfig,
    start: Tensors,
) -> Outcome<Tensors> {
    let folder = tempfile::tempdir()?;
    let inputs = Inputs {
        config,
        train: &published.data,
        validation: &published.data,
        features: published,
        unlabelled: None,
        teacher: None,
        texts: &published.texts,
        start,
        understands: None,
        base_encoder: None,
        run: folder.path(),
        until: None,
    };
    let last = finetune(settings, inputs, &mut |_| ())?;
    let lines = journal(folder.path())?;
    let mut table = Table::default();
    let of = |key: &str| -> Vec<f32> { lines.iter().map(|line| line[key].as_f64().unwrap() as f32).collect() };
    let expected = numbers(&published.notes[run]["losses"]);
    assert_eq!(expected.len(), settings.steps);
    table.absolute(format!("{run}: loss of {} steps", settings.steps), &of("loss"), &expected, LIMIT);
    if let Some(parts) = published.notes[run]["parts"].as_array() {
        for (at, name) in ["q2t", "t2t", "p2p"].into_iter().enumerate() {
            let part: Vec<f32> = parts.iter().map(|step| step[at].as_f64().unwrap() as f32).collect();
            table.absolute(format!("{run}: {name}"), &of(name), &part, LIMIT);
        }
    }
    let trained = checkpoint::load(&last)?.model;
    let temperatures = numbers(&published.notes[run]["temperatures"]);
    let (first, after) = (temperatures[0], temperatures[settings.steps]);
    assert!((first - after).abs() > 3e-4, "τ moved");
    table.absolute(format!("{run}: τ after them"), &trained["temperature"].1, &[after], 1e-6);
    if let Some(norms) = published.notes[run]["image_norm"].as_array() {
        let norm = |name: &str| trained[name].1.iter().map(|x| x * x).sum::<f32>().sqrt();
        let got = [norm("image_norm.gamma"), norm("image_norm.beta")];
        table.relative(
            format!("{run}: vectors that decay"),
            &got,
            &norms.iter().flat_map(numbers).collect::<Vec<_>>(),
            LIMIT,
        );
    }
    table.finish(run)?;
    Ok(trained)
}

#[test]
fn sprcs_training_is_followed_step_by_step() -> Outcome {
    let published = Published::read()?;
    let settings = Settings {
        schedule: Schedule::OneCycle,
        schedule_steps: published.number("sprc", "schedule_steps") as usize,
        warmup: published.number("sprc", "warmup") as usize,
        div_factor: published.number("sprc", "div_factor"),
        ..published.settings("sprc", TwoPassSettings::sprc())
    };
    let config = config(false, 0.0, 0.0)?;
    follow((&published, "sprc"), &settings, &config, published.start()?)?;

    // Each of the switches is what makes it so.
    let limited = TwoPassSettings { free_temperature: false, ..TwoPassSettings::sprc() };
    let matrices = Settings { decay_vectors: false, ..settings.clone() };
    assert!(follow((&published, "sprc"), &matrices, &config, published.start()?).is_err(), "vectors decay");
    let mut cold = published.start()?;
    cold.insert("temperature".into(), (vec![1], vec![0.6]));
    let limited = Settings { objective: ObjectiveSettings::TwoPass(limited), steps: 1, ..settings.clone() };
    let tau = |settings: &Settings| -> Outcome<f32> {
        let folder = tempfile::tempdir()?;
        let inputs = Inputs {
            config: &config,
            train: &published.data,
            validation: &published.data,
            features: &published,
            unlabelled: None,
            teacher: None,
            texts: &published.texts,
            start: cold.clone(),
            understands: None,
            base_encoder: None,
            run: folder.path(),
            until: None,
        };
        Ok(checkpoint::load(&finetune(settings, inputs, &mut |_| ())?)?.model["temperature"].1[0])
    };
    assert!((tau(&limited)? - 0.5).abs() < 1e-6);
    assert!(tau(&Settings { steps: 1, ..settings })? > 0.59, "τ is free");
    Ok(())
}

#[test]
fn spn4cirs_second_stage_is_followed_step_by_step() -> Outcome {
    let published = Published::read()?;
    for (run, fuse_by_image) in [("spn4cir", false), ("spn4cir_plus", true)] {
        let own = TwoPassSettings {
            losses: Losses::Ptha,
            t2t: 0.0,
            p2p: 0.0,
            bank: true,
            bank_references: true,
            fuse_by_image,
            ..TwoPassSettings::sprc()
        };
        let group = |pattern: &str, rate| Group { pattern: pattern.into(), rate, decay: 1.0 };
        let settings = Settings {
            schedule: Schedule::Constant,
            groups: vec![
                group("second.", 1.0),
                group("text_projection.", 1.0),
                group("temperature", 1.0),
                group("", 0.0),
            ],
            ..published.settings(run, own)
        };
        let mut start = published.start()?;
        start.insert("temperature".into(), (vec![1], vec![published.number(run, "tau") as f32]));
        let trained = follow((&published, run), &settings, &config(true, 0.0, 0.0)?, start.clone())?;
        assert_eq!(trained["qformer.word"], start["qformer.word"], "what is frozen stays");
        assert_ne!(trained["second.word"], start["qformer.word"]);
    }
    Ok(())
}

#[test]
fn dropout_sits_where_sprcs_code_has_it() -> Outcome {
    let published = Published::read()?;
    let (golden, device) = (&published.golden, Device::flex());
    let number = |key: &str| published.number("dropout", key);
    let mut weights = published.start()?;
    let model = weights::load(TwoPass::new(&config(false, 0.0, 0.0)?, &device)?, "", &mut weights)?;
    let seeds = numbers(&published.notes["dropout"]["seeds"]);
    let noise = |pass: usize| Noise::new(number("hidden"), seeds[pass] as u64).on_weights(number("weights"));
    let three = &published.data.triplets[..3];
    // Padded to their full length there, which changes no mask here.
    let rows: Vec<_> = three.iter().map(|triplet| published.texts.tokens(&triplet.text)).collect();
    let rows: Vec<_> = rows.into_iter().map(|tokens| (tokens.ids, tokens.mask)).collect();
    let references: Vec<usize> = three.iter().map(|triplet| triplet.reference as usize).collect();
    let keys = model.image_keys(published.tokens(&references, &device)?);
    let expected: Tensor<3> = tensor(golden.get("out.dropout.fused")?, &device);
    let mut table = Table::default();
    for (what, text) in [("padded", TextBatch::padded(&rows, 8, &device)), ("cut", TextBatch::new(&rows, &device))] {
        let fused = model.fuse(&keys, &text, &noise(0));
        table.absolute(format!("first pass, {what}"), &values(fused.clone())?, &values(expected.clone())?, 1e-5);
        let query = model.compose(fused, &text, &noise(1));
        table.absolute(format!("query, {what}"), &values(query)?, &golden.get("out.dropout.query")?.data, 1e-5);
    }
    let plain = model.fuse(&keys, &TextBatch::new(&rows, &device), &Noise::new(number("hidden"), seeds[0] as u64));
    let apart = values((plain - expected).abs().max())?[0];
    assert!(apart > 0.1, "dropout on attention's weights changes the pass: {apart}");
    table.finish("Dropout")
}
