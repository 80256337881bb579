//! The dry run's memory against the measured peak of a training step, on a CPU.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use thisbut_model::RetrievalConfig;
use thisbut_model::config::TextConfig;
use thisbut_model::text::TextReader;
use thisbut_tests::memory::{Counting, FACTOR, IMAGES, Same, WORDS, of_steps, table};
use thisbut_trainer::data::table::Table;
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::teacher::WIDTH;
use thisbut_trainer::teacher::vectors::Vectors;
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, parameters};
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::two_pass::{Losses, TwoPassObjective, TwoPassSettings};
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::settings::Settings;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that two training steps took at their height.
fn measured(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> usize {
    let vectors = Vectors::of_first(&vec![0.05; IMAGES as usize * WIDTH], WIDTH);
    let (features, rows) = (Same(config.image_tokens(), config.image_width()), vec![0; IMAGES as usize]);
    let context = Context {
        settings,
        config,
        train: table,
        features: &features,
        rows: &rows,
        texts,
        unlabelled: None,
        teacher: settings.objective.family().teacher().map(|_| &vectors),
    };
    let mut objective = TwoPassObjective::new(settings.objective.two_pass().unwrap(), config).unwrap();
    of_steps(&mut objective, &context, &[]).unwrap()
}

#[test]
fn the_estimate_is_near_the_measured_peak() {
    let model = |width: usize, layers: usize, intermediate: usize, vocabulary: usize| {
        let mut config = RetrievalConfig::preset("tiny").unwrap();
        config.text = TextConfig::WordPiece { vocabulary, length: config.text.length() };
        let q = &mut config.two_pass_mut().unwrap().qformer;
        (q.width, q.layers, q.intermediate) = (width, layers, intermediate);
        config.check("test").unwrap();
        config
    };
    let table = table(64);
    let (deep, heavy) = (model(64, 6, 256, 100), model(192, 2, 768, 6000));
    let base = Settings { batch: 48, ..Settings::sprc() };
    let with = |own: TwoPassSettings| Settings { objective: ObjectiveSettings::TwoPass(own), ..base.clone() };
    let sprc = TwoPassSettings { keep_false_negatives: false, ..TwoPassSettings::sprc() };
    let captions = with(TwoPassSettings { losses: Losses::Captions, ..sprc.clone() });
    let (plain, own) = (with(sprc.clone()), TwoPassSettings { losses: Losses::Ptha, ..sprc });
    let ptha = with(own.clone());
    let taught = with(TwoPassSettings { teacher_weight: 1.0, ..own.clone() });
    let q2t = TwoPassSettings { t2t: 0.0, p2p: 0.0, ..own };
    let bank = with(TwoPassSettings { bank: true, ..q2t.clone() });
    let q2t = with(q2t);
    // Once before it counts: threads and tables that stay.
    let texts = |config: &RetrievalConfig| Tokenized::new(&TextReader::new(config, &WORDS.join("\n")).unwrap(), &table);
    measured(&Settings { batch: 4, ..plain.clone() }, &deep, &table, &texts(&deep));
    for (name, settings, config) in [
        ("sprc, deep", plain.clone(), &deep),
        ("ptha, deep", ptha.clone(), &deep),
        ("ptha, deep, pieces of 8", Settings { sub_batch: 8, ..ptha.clone() }, &deep),
        ("ptha and a teacher, deep", taught, &deep),
        ("q2t, deep", q2t, &deep),
        ("captions, deep", captions, &deep),
        ("bank, deep", bank, &deep),
        ("ptha, heavy, batch 4", Settings { batch: 4, ..ptha.clone() }, &heavy),
        ("ptha, heavy, pieces of 4", Settings { sub_batch: 4, ..ptha }, &heavy),
    ] {
        let texts = texts(config);
        let load = Load::of(&settings, config, &table, &texts);
        let estimate = memory(&settings, config, parameters(&settings, config).unwrap(), load, true, IMAGES as usize)
            .unwrap()
            .total();
        let peak = measured(&settings, config, &table, &texts);
        let ratio = estimate as f64 / peak as f64;
        println!("{name}: estimated {}, measured {}, ratio {ratio:.2}", readable(estimate), readable(peak));
        assert!((1.0 / FACTOR..FACTOR).contains(&ratio), "{name}: {ratio}");
    }
}
