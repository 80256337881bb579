//! The dry run's memory of the pseudo-word family against the measured peak of a training step, on a CPU.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{
    BertTowerConfig, ClipTowerConfig, Composition, ImageHeadConfig, MappingConfig, TextConfig, TextReadOut,
    TextTowerConfig,
};
use thisbut_model::text::TextReader;
use thisbut_tests::memory::{Counting, FACTOR, IMAGES, Same, WORDS, of_steps, table};
use thisbut_trainer::data::table::{ImageEntry, Table};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, parameters};
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::pseudo_word::{Losses, PseudoWordObjective, PseudoWordSettings};
use thisbut_trainer::train::piece::{Context, Unlabelled};
use thisbut_trainer::train::settings::Settings;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that two training steps took at their height.
fn measured(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> usize {
    let (features, rows) = (Same(config.image_tokens(), config.image_width()), vec![0; IMAGES as usize]);
    let own = settings.objective.pseudo_word().unwrap();
    let more = if own.losses == Losses::Hybrid { own.image_batch } else { 0 };
    let images = vec![ImageEntry { name: String::new(), path: PathBuf::new() }; more];
    let places = vec![0; more];
    let unlabelled = Unlabelled { images: &images, features: &features, rows: &places };
    let unlabelled = Some(unlabelled).filter(|_| more > 0);
    let context =
        Context { settings, config, train: table, features: &features, rows: &rows, texts, unlabelled, teacher: None };
    let mut objective = PseudoWordObjective::new(own, config).unwrap();
    let images: Vec<u32> = (0..more as u32).collect();
    of_steps(&mut objective, &context, &images).unwrap()
}

/// A dual encoder around a text tower; with `words` a mapping network to so many.
fn model(tower: TextTowerConfig, vocabulary: usize, words: Option<usize>) -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("tiny-dual").unwrap();
    config.text = TextConfig::WordPiece { vocabulary, length: 32 };
    config.projection = 64;
    let own = config.pseudo_word_mut().unwrap();
    own.text_tower = tower;
    own.image_head = Some(ImageHeadConfig { hidden: Some(128) });
    if let Some(tokens) = words {
        own.mapping = Some(MappingConfig { tokens, hidden: 256, dropout: 0.1 });
        own.composition = Composition::PseudoWords;
    }
    config.check("test").unwrap();
    config
}

fn bert(width: usize, layers: usize) -> TextTowerConfig {
    TextTowerConfig::Bert(BertTowerConfig {
        layers,
        width,
        heads: 4,
        intermediate: 4 * width,
        word_width: None,
        positions: 64,
        read_out: TextReadOut::Mean,
        layer_norm_eps: 1e-12,
    })
}

fn clip(width: usize, layers: usize) -> TextTowerConfig {
    let activation = thisbut_model::config::Activation::QuickGelu;
    TextTowerConfig::Clip(ClipTowerConfig {
        layers,
        width,
        heads: 4,
        intermediate: 4 * width,
        activation,
        positions: 64,
    })
}

#[test]
fn the_estimate_is_near_the_measured_peak() {
    let table = table(64);
    let base = Settings { batch: 48, ..Settings::sprc() };
    let with = |own: PseudoWordSettings| Settings { objective: ObjectiveSettings::PseudoWord(own), ..base.clone() };
    let losses = |losses: Losses| {
        with(PseudoWordSettings { losses, image_batch: 64, keep_false_negatives: false, ..PseudoWordSettings::hycir() })
    };
    let [contrast, pic2word, triplet, hybrid] =
        [Losses::Contrast, Losses::Pic2word, Losses::Triplet, Losses::Hybrid].map(losses);
    let many = with(PseudoWordSettings { image_batch: 160, ..hybrid.objective.pseudo_word().unwrap().clone() });
    let (deep_bert, deep_clip) = (bert(64, 6), clip(64, 6));
    let texts = |config: &RetrievalConfig| Tokenized::new(&TextReader::new(config, &WORDS.join("\n")).unwrap(), &table);
    // Once before it counts: threads and tables that stay.
    let first = model(deep_bert.clone(), 100, None);
    measured(&Settings { batch: 4, ..contrast.clone() }, &first, &table, &texts(&first));
    let mut wrong = Vec::new();
    for (name, settings, config) in [
        ("contrast, BERT", contrast.clone(), model(deep_bert.clone(), 100, None)),
        ("contrast, CLIP", contrast.clone(), model(deep_clip.clone(), 100, None)),
        ("contrast, pieces of 8", Settings { sub_batch: 8, ..contrast.clone() }, model(deep_bert.clone(), 100, None)),
        ("contrast, many words, batch 4", Settings { batch: 4, ..contrast }, model(bert(128, 2), 6000, None)),
        ("pic2word, BERT", pic2word.clone(), model(deep_bert.clone(), 100, Some(4))),
        ("pic2word, CLIP", pic2word.clone(), model(deep_clip.clone(), 100, Some(4))),
        ("pic2word, pieces of 8", Settings { sub_batch: 8, ..pic2word }, model(deep_clip.clone(), 100, Some(4))),
        ("triplet, BERT", triplet.clone(), model(deep_bert.clone(), 100, Some(4))),
        ("triplet, CLIP", triplet.clone(), model(deep_clip.clone(), 100, Some(4))),
        ("triplet, wide CLIP, batch 4", Settings { batch: 4, ..triplet }, model(clip(256, 3), 2000, Some(1))),
        ("hybrid, BERT", hybrid.clone(), model(deep_bert.clone(), 100, Some(4))),
        ("hybrid, CLIP", hybrid.clone(), model(deep_clip.clone(), 100, Some(1))),
        ("hybrid, many images", many.clone(), model(deep_clip.clone(), 100, Some(8))),
        ("hybrid, pieces of 16", Settings { sub_batch: 16, ..many }, model(deep_bert, 100, Some(4))),
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
