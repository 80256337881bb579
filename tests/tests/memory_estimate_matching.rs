//! The dry run's memory of the matching family against the measured peak of a training step, on a CPU: without adapters, with adapters
//! in a vision transformer, and behind the last blocks of a convolutional encoder.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{AdapterConfig, AdapterPlace, ImageEncoderConfig, MatchingScore, TextConfig, VitConfig};
use thisbut_model::text::TextReader;
use thisbut_tests::memory::{Counting, FACTOR, Same, WORDS, of_steps, table};
use thisbut_trainer::data::table::Table;
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, parameters};
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::matching::{MatchingObjective, MatchingSettings};
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::settings::Settings;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Rows of the table.
const TRIPLETS: u32 = 64;
/// L.
const LENGTH: usize = 24;

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
    let mut objective = MatchingObjective::new(settings.objective.matching().unwrap(), config).unwrap();
    of_steps(&mut objective, &context, &[]).unwrap()
}

/// A Q-Former of `layers` blocks of width 64 around this image encoder.
fn model(image_encoder: ImageEncoderConfig, side: usize, layers: usize, score: MatchingScore) -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("tiny-fashion").unwrap();
    config.text = TextConfig::WordPiece { vocabulary: 100, length: LENGTH };
    config.preprocess.size = side;
    config.image_encoder = image_encoder;
    let own = config.matching_mut().unwrap();
    (own.qformer.layers, own.qformer.width, own.qformer.intermediate) = (layers, 64, 256);
    (own.qformer.query_tokens, own.qformer.dropout, own.score) = (8, 0.0, score);
    config.projection = config.matching().unwrap().projection();
    config.check("test").unwrap();
    config
}

fn vit(layers: usize, width: usize, adapters: Option<AdapterConfig>) -> ImageEncoderConfig {
    ImageEncoderConfig::Vit(VitConfig {
        patch: 16,
        width,
        layers,
        heads: 4,
        intermediate: 4 * width,
        adapters,
        ..VitConfig::EVA_G
    })
}

#[test]
fn the_estimate_is_near_the_measured_peak() {
    let mut table = table(TRIPLETS);
    for (at, triplet) in (0..).zip(&mut table.triplets) {
        // An image is encoded once a step, however many rows have it; here none comes twice.
        (triplet.reference, triplet.targets) = (2 * at, vec![2 * at + 1]);
        // As long as captions may be, which the estimate counts them as.
        triplet.caption = Some(WORDS[4..].iter().cycle().take(LENGTH).copied().collect::<Vec<_>>().join(" "));
    }
    let with = |ctr: f64, train_adapters: bool| {
        let own = MatchingSettings { ctr, train_adapters, ..MatchingSettings::fashion_blip2() };
        Settings { batch: 32, objective: ObjectiveSettings::Matching(own), ..Settings::sprc() }
    };
    let adapters =
        |after: AdapterPlace, from: usize| Some(AdapterConfig { factor: 4, after, from, ..AdapterConfig::default() });
    let lite = |from: usize| ImageEncoderConfig::EfficientnetLite {
        variant: 0,
        colours: false,
        adapters: adapters(AdapterPlace::Block, from),
    };
    let (heads, both) = (MatchingScore::Heads, AdapterPlace::Both);
    let texts = |config: &RetrievalConfig| Tokenized::new(&TextReader::new(config, &WORDS.join("\n")).unwrap(), &table);
    // Once before it counts: threads and tables that stay.
    let first = model(vit(2, 32, adapters(both, 0)), 32, 2, heads);
    measured(&Settings { batch: 4, ..with(1.0, true) }, &first, &table, &texts(&first));
    let mut wrong = Vec::new();
    for (name, settings, config) in [
        ("stage 2", with(0.0, false), model(vit(2, 64, None), 64, 6, heads)),
        ("captions", with(1.0, false), model(vit(2, 64, None), 64, 6, heads)),
        ("global", with(1.0, false), model(vit(2, 64, None), 64, 6, MatchingScore::Global)),
        ("stage 1", with(1.0, true), model(vit(6, 64, adapters(both, 0)), 64, 4, heads)),
        (
            "stage 1, after attention",
            with(1.0, true),
            model(vit(6, 64, adapters(AdapterPlace::Attention, 0)), 64, 4, heads),
        ),
        ("stage 1, the last two blocks", with(1.0, true), model(vit(6, 64, adapters(both, 4)), 64, 4, heads)),
        ("stage 1, wide", with(0.0, true), model(vit(3, 192, adapters(both, 0)), 64, 2, heads)),
        (
            "stage 1, pieces of 8",
            Settings { sub_batch: 8, ..with(1.0, true) },
            model(vit(6, 64, adapters(both, 0)), 64, 4, heads),
        ),
        ("convolutional, block 11", Settings { batch: 16, ..with(1.0, true) }, model(lite(11), 96, 2, heads)),
        ("convolutional, block 5", Settings { batch: 16, ..with(0.0, true) }, model(lite(5), 96, 2, heads)),
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
