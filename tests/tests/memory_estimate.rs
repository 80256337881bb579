//! The dry run's memory against the measured peak of a training step, on a CPU.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor, TensorData};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::TextConfig;
use thisbut_model::text::TextReader;
use thisbut_trainer::data::table::{Table, Triplet};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, parameters};
use thisbut_trainer::train::learner::Learner;
use thisbut_trainer::train::objective::two_pass::{Losses, TwoPassObjective, TwoPassSettings};
use thisbut_trainer::train::objective::{Objective, ObjectiveSettings};
use thisbut_trainer::train::optimizer::AdamW;
use thisbut_trainer::train::peers::Alone;
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::schedule;
use thisbut_trainer::train::settings::Settings;
use thisbut_trainer::train::step::Step;

/// How far the estimate may be off, either way: what the dry run says of itself.
const FACTOR: f64 = 1.3;

/// Counts what is allocated now, and the most that was.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator with the same layout; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(NOW.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WORDS: [&str; 10] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "in", "red", "blue", "now", "square"];
const IMAGES: u32 = 40;

struct Same(usize, usize);

impl ImageTokens for Same {
    fn row(&self, _: &str) -> thisbut_trainer::error::Result<usize> {
        Ok(0)
    }
    fn tokens(&self, rows: &[usize], device: &Device) -> thisbut_trainer::error::Result<Tensor<3>> {
        let values: Vec<f32> = (0..rows.len() * self.0 * self.1).map(|i| (i % 97) as f32 / 48.0 - 1.0).collect();
        Ok(Tensor::from_data(TensorData::new(values, [rows.len(), self.0, self.1]), device))
    }
}

/// Bytes that two training steps took at their height.
fn measured(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> usize {
    let (device, rows) = (Device::flex(), vec![0; IMAGES as usize]);
    let features = Same(config.image_tokens(), config.image_width());
    let context = Context { settings, config, train: table, features: &features, rows: &rows, texts };
    let batch: Vec<u32> = (0..settings.batch as u32).collect();
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let autodiff = device.clone().autodiff();
    let own = settings.objective.two_pass().unwrap();
    let mut objective = TwoPassObjective::new(own, config).unwrap();
    let mut learner = Learner::new(objective.model(&autodiff).unwrap(), config, &settings.groups_in_force(), &autodiff);
    objective.prepare(&learner.model, &context, &device).unwrap();
    let mut optimizer = AdamW::new(settings);
    for step in 0..2 {
        let task = Step { context: &context, objective: &objective, peers: &Alone, device: &autodiff };
        let (found, losses) = task.gradients(&learner, &batch, step).unwrap();
        assert!(losses.total.is_finite());
        (learner, _) = learner.update(&mut optimizer, &found, schedule::point(settings, 0)).unwrap();
    }
    PEAK.load(Relaxed) - before
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
    let table = Table {
        triplets: (0..64)
            .map(|i| Triplet {
                id: i.into(),
                reference: i % IMAGES,
                targets: vec![(i * 5 + 1) % IMAGES],
                text: WORDS[4..]
                    .iter()
                    .cycle()
                    .skip(i as usize)
                    .take(3 + i as usize % 9)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(" "),
                reverse: Some("but in red".into()),
                ..Triplet::default()
            })
            .collect(),
        ..Table::default()
    };

    let (deep, heavy) = (model(64, 6, 256, 100), model(192, 2, 768, 6000));
    let base = Settings { batch: 48, ..Settings::sprc() };
    let with = |own: TwoPassSettings| Settings { objective: ObjectiveSettings::TwoPass(own), ..base.clone() };
    let sprc = TwoPassSettings { keep_false_negatives: false, ..TwoPassSettings::sprc() };
    let captions = with(TwoPassSettings { losses: Losses::Captions, ..sprc.clone() });
    let (plain, own) = (with(sprc.clone()), TwoPassSettings { losses: Losses::Ptha, ..sprc });
    let ptha = with(own.clone());
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
