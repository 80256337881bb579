//! The dry run's memory of the concept family against the measured peak of a training step, on a CPU, with an image encoder that
//! stays and one that trains.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{
    ClipTowerConfig, FusionForm, ImageEncoderConfig, Pooling, TargetForm, TextConfig, TextTowerConfig, VitConfig,
    VitFamily,
};
use thisbut_model::text::TextReader;
use thisbut_tests::memory::{Counting, FACTOR, Same, WORDS, of_steps, table};
use thisbut_trainer::data::table::Table;
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, parameters};
use thisbut_trainer::train::groups::Group;
use thisbut_trainer::train::learner::IMAGE_ENCODER;
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::concept::{ConceptObjective, ConceptSettings, References};
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::settings::Settings;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rows of the table.
const TRIPLETS: u32 = 64;

/// Pixels of side S beside ready tokens; each image is another one.
struct Pictures(Same, usize);

impl ImageTokens for Pictures {
    fn row(&self, name: &str) -> Result<usize> {
        self.0.row(name)
    }
    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        self.0.tokens(rows, device)
    }
    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        Ok(Tensor::ones([rows.len(), 3, self.1, self.1], device) * 0.3)
    }
}

/// Bytes that two training steps took at their height.
fn measured(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> usize {
    let features = Pictures(Same(config.image_tokens(), config.image_width()), config.preprocess.size);
    let rows: Vec<usize> = (0..2 * TRIPLETS as usize).collect();
    let context = Context {
        settings,
        config,
        train: table,
        features: &features,
        rows: &rows,
        texts,
        unlabelled: None,
        teacher: None,
    };
    let mut objective = ConceptObjective::new(settings.objective.concept().unwrap(), config).unwrap();
    of_steps(&mut objective, &context, &[]).unwrap()
}

/// CLIP towers of a small width.
fn model(code: bool, layers: usize, width: usize, vocabulary: usize) -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("context-vit-b-32").unwrap();
    config.text = TextConfig::WordPiece { vocabulary, length: 32 };
    config.projection = 64;
    config.preprocess.size = 64;
    config.image_encoder = ImageEncoderConfig::Vit(VitConfig {
        family: VitFamily::Clip,
        patch: 16,
        width,
        layers,
        heads: 4,
        intermediate: 4 * width,
        ..VitConfig::EVA_G
    });
    let own = config.concept_mut().unwrap();
    let activation = thisbut_model::config::Activation::QuickGelu;
    let (heads, intermediate, positions) = (4, 4 * width, 32);
    own.text_tower =
        TextTowerConfig::Clip(ClipTowerConfig { layers, width, heads, intermediate, activation, positions });
    own.fusion.heads = 4;
    if code {
        (own.fusion.form, own.pooling, own.target) = (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled);
    }
    config.check("test").unwrap();
    config
}

#[test]
fn the_estimate_is_near_the_measured_peak() {
    let mut table = table(TRIPLETS);
    for (at, triplet) in (0..).zip(&mut table.triplets) {
        // An image is encoded once a step, however many rows have it; here none comes twice.
        (triplet.reference, triplet.targets) = (2 * at, vec![2 * at + 1]);
        let words: Vec<&str> = triplet.text.split(' ').collect();
        triplet.phrases = words.chunks(2).take(3).map(|phrase| phrase.join(" ")).collect();
    }
    let base = Settings { batch: 32, ..Settings::sprc() };
    let with = |own: ConceptSettings| Settings { objective: ObjectiveSettings::Concept(own), ..base.clone() };
    let own = ConceptSettings::context_cir();
    let encoder = || vec![Group { pattern: IMAGE_ENCODER.into(), rate: 1.0, decay: 1.0 }];
    let paper = with(own.clone());
    let code = with(ConceptSettings { references: References::All, both_ways: true, ..own.clone() });
    let plain = with(ConceptSettings { consistency_weight: 0.0, references: References::None, ..own });
    let texts = |config: &RetrievalConfig| Tokenized::new(&TextReader::new(config, &WORDS.join("\n")).unwrap(), &table);
    // Once before it counts: threads and tables that stay.
    let first = model(false, 2, 32, 100);
    measured(&Settings { batch: 4, ..paper.clone() }, &first, &table, &texts(&first));
    let mut wrong = Vec::new();
    for (name, settings, config) in [
        ("paper", paper.clone(), model(false, 6, 64, 100)),
        ("code", code.clone(), model(true, 6, 64, 100)),
        ("without consistency and references", plain.clone(), model(false, 6, 64, 100)),
        ("paper, both towers", Settings { groups: encoder(), ..paper.clone() }, model(false, 6, 64, 100)),
        ("code, both towers", Settings { groups: encoder(), ..code.clone() }, model(true, 6, 64, 100)),
        (
            "code, both towers, pieces of 8",
            Settings { groups: encoder(), sub_batch: 8, ..code },
            model(true, 6, 64, 100),
        ),
        ("plain, wide, batch 4", Settings { batch: 4, groups: encoder(), ..plain }, model(true, 2, 192, 2000)),
        ("paper, pieces of 4", Settings { sub_batch: 4, ..paper }, model(false, 6, 64, 100)),
    ] {
        let texts = texts(&config);
        let load = Load::of(&settings, &config, &table, &texts);
        let estimate = memory(&settings, &config, parameters(&settings, &config).unwrap(), load, true, 0).unwrap();
        let peak = measured(&settings, &config, &table, &texts);
        let ratio = estimate.total() as f64 / peak as f64;
        println!("{name}: estimated {}, measured {}, ratio {ratio:.2}", readable(estimate.total()), readable(peak));
        println!("{estimate}");
        if !(1.0 / FACTOR..FACTOR).contains(&ratio) {
            wrong.push(format!("{name}: {ratio:.2}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}
