//! Times of FashionBLIP-2's training step on the CPU, adapters in a small ViT in the graph, one JSON line each, in the form that
//! `bench/peers/adapters_peer.py` prints for the same shapes. `bench/adapters` runs both in one sitting.
//!
//! Arguments: threads, seconds, triplets (2, 3, 16). Weights are random: time does not depend on them.

use burn::tensor::{Device, Tensor};
use measure::{Bench, wave};
use std::path::PathBuf;
use thisbut_model::RetrievalConfig;
use thisbut_model::text::TextReader;
use thisbut_trainer::data::table::{ImageEntry, Table, Triplet};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::learner::Learner;
use thisbut_trainer::train::objective::matching::{MatchingObjective, MatchingSettings};
use thisbut_trainer::train::objective::{Objective, ObjectiveSettings};
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::peers::Alone;
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::schedule;
use thisbut_trainer::train::settings::Settings;
use thisbut_trainer::train::step::Step;

#[path = "shared/measure.rs"]
mod measure;

type Outcome<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The shapes, in the words of `adapters_peer.py`.
const MODEL: &str = r#"{
  "name": "bench",
  "preprocess": { "size": 112, "resize": "bicubic", "pad_ratio": null, "pad_fill": [0, 0, 0], "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false },
  "image_encoder": { "kind": "vit", "family": "eva", "patch": 16, "width": 192, "layers": 4, "heads": 4, "intermediate": 384, "adapters": { "factor": 16, "after": "both" } },
  "text": { "kind": "word-piece", "vocabulary": 14, "length": 16 },
  "projection": 384,
  "target_tokens": 1,
  "method": {
    "kind": "matching",
    "qformer": { "layers": 4, "width": 192, "heads": 4, "intermediate": 384, "query_tokens": 16, "cross_attention_every": 2, "positions": 32, "dropout": 0.0 },
    "heads": 6,
    "head_width": 64
  }
}"#;
const WORDS: [&str; 14] = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "the", "and", "red", "blue", "dress", "with", "sleeves", "longer",
    "shorter",
];
/// Words of every text and caption, beside its two marks.
const LENGTH: usize = 14;

/// Pixels that were made before.
struct Pixels(Tensor<4>);

impl ImageTokens for Pixels {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap_or(0))
    }

    fn tokens(&self, _: &[usize], device: &Device) -> Result<Tensor<3>> {
        Ok(Tensor::zeros([1, 1, 1], device))
    }

    fn pixels(&self, _: &[usize], _: &Device) -> Result<Tensor<4>> {
        Ok(self.0.clone())
    }
}

/// So many triplets, each of two images of its own.
fn table(count: u32) -> Table {
    let text = |at: usize| WORDS[4..].iter().cycle().skip(at).take(LENGTH).copied().collect::<Vec<_>>().join(" ");
    let triplet = |at: u32| Triplet {
        id: at.into(),
        reference: 2 * at,
        targets: vec![2 * at + 1],
        text: text(at as usize),
        caption: Some(text(at as usize + 3)),
        ..Triplet::default()
    };
    let images = (0..2 * count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
    Table { images, triplets: (0..count).map(triplet).collect(), gallery: (0..2 * count).collect(), ..Table::default() }
}

fn main() -> Outcome {
    thisbut_trainer::allocator::keep_freed_memory();
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(2), |x| x.parse())?;
    let seconds = arguments.next().map_or(Ok(3.0), |x| x.parse())?;
    let batch = arguments.next().map_or(Ok(16), |x| x.parse::<u32>())?;
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    let bench = Bench { threads, seconds };
    let (config, train) = (RetrievalConfig::parse(MODEL, "the bench")?, table(batch));
    let texts = Tokenized::new(&TextReader::new(&config, &WORDS.join("\n"))?, &train);
    let device = Device::flex().autodiff();
    let side = config.preprocess.size;
    let features = Pixels(wave([2 * batch as usize, 3, side, side], &device));
    let rows: Vec<usize> = (0..train.images.len()).collect();
    let chosen: Vec<u32> = (0..batch).collect();
    for (name, train_adapters, ctr) in [("stage 1", true, 1.0), ("stage 1 without L_CTR", true, 0.0)] {
        let own = MatchingSettings { ctr, train_adapters, ..MatchingSettings::fashion_blip2() };
        let objective = MatchingObjective::new(&own, &config)?;
        let settings =
            Settings { objective: ObjectiveSettings::Matching(own), batch: batch as usize, ..Settings::sprc() };
        let context = Context {
            settings: &settings,
            config: &config,
            train: &train,
            features: &features,
            rows: &rows,
            texts: &texts,
            unlabelled: None,
            teacher: None,
        };
        let groups = settings.groups_in_force();
        let mut learner = Some(Learner::new(objective.model(&device)?, &config, &groups, &device).freeze(&groups));
        let mut optimizer = AdamW::new(&settings);
        bench.measure(name, &format!("B={batch} ViT 4x192, T=50, Q-Former 4x192"), 3, || {
            let taken = learner.take().ok_or("the model is gone")?;
            let task = Step { context: &context, objective: &objective, peers: &Alone, device: &device };
            let (found, _) = task.gradients(&taken, &chosen[..], 0)?;
            learner = Some(taken.update(&mut optimizer, &found, schedule::point(&settings, 0))?.0);
            Ok(())
        })?;
    }
    Ok(())
}
