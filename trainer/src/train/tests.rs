//! A step's gradients do not depend on how its batch is computed: in pieces, or on several devices.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::gradients::ParameterGradients;
use super::groups::Group;
use super::learner::{IMAGE_ENCODER, Learner};
use super::objective::loss::Figures;
use super::objective::two_pass::{Losses, TwoPassObjective, TwoPassSettings};
use super::objective::{Objective, ObjectiveSettings};
use super::peers::{AllReduce, Alone, group};
use super::piece::Context;
use super::settings::Settings;
use super::step::Step;
use crate::data::table::{Table, Triplet};
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::TextConfig;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::retrieval::ENCODER_PREFIX;
use thisbut_model::text::TextReader;
use thisbut_model::weights::{self, Tensors};

const WORDS: [&str; 10] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "but", "in", "red", "blue", "now", "square"];
const IMAGES: usize = 9;
const TRIPLETS: u32 = 13;

/// Image tokens that are a function of the row: T, C and the side of their pixels.
struct Waves(usize, usize, usize);

impl ImageTokens for Waves {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap())
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        Ok(Tensor::from_data(TensorData::new(waves(rows, self.0 * self.1), [rows.len(), self.0, self.1]), device))
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        let side = self.2;
        Ok(Tensor::from_data(TensorData::new(waves(rows, 3 * side * side), [rows.len(), 3, side, side]), device))
    }
}

fn waves(rows: &[usize], each: usize) -> Vec<f32> {
    let value = |row: usize, i: usize| ((row * 7919 + i * 104_729) % 1013) as f32 / 506.0 - 1.0;
    rows.iter().flat_map(|row| (0..each).map(move |i| value(*row, i))).collect()
}

/// Triplets with texts of different lengths, more of them than a batch's part has to be.
fn table() -> Table {
    let text = |i: u32| WORDS[4..].iter().cycle().skip(i as usize).take(1 + i as usize % 7).copied();
    let triplet = |i: u32| Triplet {
        id: i.into(),
        reference: i % IMAGES as u32,
        targets: vec![(i * 5 + 1) % IMAGES as u32, (i + 2) % IMAGES as u32],
        text: text(i).collect::<Vec<_>>().join(" "),
        reverse: Some(text(i + 3).collect::<Vec<_>>().join(" ")),
        ..Triplet::default()
    };
    Table { triplets: (0..TRIPLETS).map(triplet).collect(), ..Table::default() }
}

type Found = (BTreeMap<String, Vec<f32>>, Figures);

/// Gradients and losses of one batch of all triplets but one, in an order of its own.
fn run(settings: &Settings, config: &RetrievalConfig) -> Found {
    let words = TextReader::new(config, &WORDS.join("\n")).unwrap();
    let table = table();
    let features = Waves(config.image_tokens(), config.image_width(), config.preprocess.size);
    let texts = Tokenized::new(&words, &table);
    let rows: Vec<usize> = (0..IMAGES).collect();
    let context = Context { settings, config, train: &table, features: &features, rows: &rows, texts: &texts };
    let batch: Vec<u32> = (0..TRIPLETS).map(|i| i * 5 % TRIPLETS).skip(1).collect();
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let own = settings.objective.two_pass().unwrap();
    let objective = TwoPassObjective::new(own, config).unwrap();
    let mut tensors = objective.start(Tensors::new(), 3).unwrap();
    plain.seed(3);
    tensors.extend(weights::collect(&ImageEncoder::new(config, &plain), ENCODER_PREFIX).unwrap());
    let groups = settings.groups_in_force();
    let read = |(found, losses): (ParameterGradients, Figures)| {
        let values = |g: &Tensor<1>| g.clone().into_data().try_to_vec::<f32>().unwrap();
        (found.iter().map(|(name, g)| (name.to_owned(), values(g))).collect::<BTreeMap<_, _>>(), losses)
    };
    let step = |peers: &dyn AllReduce| {
        let learner = Learner::new(objective.model(&device).unwrap(), config, &groups, &device);
        let learner = learner.load(&mut tensors.clone()).unwrap().freeze(&groups);
        let mut objective = objective.clone();
        objective.prepare(&learner.model, &context, &plain).unwrap();
        let task = Step { context: &context, objective: &objective, peers, device: &device };
        read(task.gradients(&learner, &batch, 5).unwrap())
    };
    if settings.devices == 1 {
        return step(&Alone);
    }
    let step = &step;
    let all: Vec<Found> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            group(settings.devices).into_iter().map(|member| scope.spawn(move || step(&member))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "every device has the same sums, to the bit");
    all.into_iter().next().unwrap()
}

/// Largest difference, relative to each parameter's largest gradient, and of the losses.
fn difference(a: &Found, b: &Found) -> f32 {
    assert_eq!(a.0.keys().collect::<Vec<_>>(), b.0.keys().collect::<Vec<_>>());
    let largest = |x: &[f32]| x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    let overall = a.0.values().map(|g| largest(g)).fold(0.0, f32::max);
    let parameter = |(name, x): (&String, &Vec<f32>)| {
        let apart: Vec<f32> = x.iter().zip(&b.0[name]).map(|(p, q)| p - q).collect();
        largest(&apart) / largest(x).max(1e-3 * overall)
    };
    let losses = |l: &Figures| l.parts.iter().map(|(_, value)| *value).chain([l.total]).collect::<Vec<_>>();
    let loss = losses(&a.1).into_iter().zip(losses(&b.1)).map(|(p, q)| (p - q).abs() as f32).fold(0.0, f32::max);
    a.0.iter().map(parameter).fold(loss, f32::max)
}

fn config(dropout: f64) -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("tiny").unwrap();
    config.text = TextConfig::WordPiece { vocabulary: WORDS.len(), length: config.text.length() };
    let q = &mut config.two_pass_mut().unwrap().qformer;
    (q.dropout, q.attention_dropout) = (dropout, dropout);
    config
}

/// The recipes with every loss that they know; dropout is on.
fn cases() -> Vec<(&'static str, Settings, RetrievalConfig)> {
    let base = Settings { seed: 11, batch: TRIPLETS as usize - 1, ..Settings::sprc() };
    let sprc = TwoPassSettings { keep_false_negatives: false, ..TwoPassSettings::sprc() };
    let with = |own: TwoPassSettings| Settings { objective: ObjectiveSettings::TwoPass(own), ..base.clone() };
    let of = |losses| with(TwoPassSettings { losses, ..sprc.clone() });
    let q2t = TwoPassSettings { losses: Losses::Ptha, t2t: 0.0, p2p: 0.0, label_smoothing: 0.1, ..sprc.clone() };
    let encoder = Group { pattern: IMAGE_ENCODER.into(), rate: 0.1, decay: 1.0 };
    let in_part = Settings { groups: vec![encoder], ..of(Losses::Ptha) };
    let mut ones = config(0.1);
    let of_ones = ones.two_pass_mut().unwrap();
    of_ones.second_pass_mask = thisbut_model::config::SecondPassMask::AllOnes;
    of_ones.read_out = thisbut_model::config::ReadOut::MeanPromptCls;
    let mut mapped = config(0.1);
    let q = &mut mapped.two_pass_mut().unwrap().qformer;
    (q.word_width, q.image_width) = (Some(24), Some(20));
    let mut second = config(0.1);
    second.two_pass_mut().unwrap().own_second_pass = true;
    let mut prototype = config(0.1);
    prototype.two_pass_mut().unwrap().read_out = thisbut_model::config::ReadOut::Prototype;
    vec![
        ("sprc", of(Losses::Sprc), config(0.1)),
        ("ptha", of(Losses::Ptha), config(0.1)),
        ("ptha, other switches", of(Losses::Ptha), ones),
        ("ptha, other widths", of(Losses::Ptha), mapped),
        ("captions", of(Losses::Captions), config(0.1)),
        ("q2t", with(q2t.clone()), config(0.1)),
        ("bank", with(TwoPassSettings { bank: true, ..q2t.clone() }), second.clone()),
        (
            "bank by image",
            with(TwoPassSettings { bank: true, bank_references: true, fuse_by_image: true, ..q2t.clone() }),
            second,
        ),
        ("prototype", with(q2t), prototype),
        ("ptha, image encoder", in_part, config(0.1)),
    ]
}

#[test]
fn pieces_of_a_batch_give_the_whole_batchs_gradients() {
    for (name, settings, config) in cases() {
        let whole = run(&settings, &config);
        assert!(whole.1.total > 0.1 && whole.0.len() > 20, "{name}: {:?}", whole.1);
        assert!(whole.0.contains_key("temperature"));
        for sub_batch in [1, 5, 12, 40] {
            let pieces = run(&Settings { sub_batch, ..settings.clone() }, &config);
            let apart = difference(&whole, &pieces);
            println!("{name}, pieces of {sub_batch}: {apart:e}");
            assert!(apart < 2e-5, "{name}, pieces of {sub_batch}: {apart}");
        }
        // Masks are really drawn, and differ from step to step: another seed gives other gradients.
        let other = run(&Settings { seed: 12, ..settings.clone() }, &config);
        assert!(difference(&whole, &other) > 1e-2, "{name}");
    }
}

#[test]
fn devices_that_share_a_batch_give_one_devices_gradients() {
    for (name, settings, config) in cases() {
        let one = run(&settings, &config);
        for (devices, sub_batch) in [(2, 0), (2, 4), (3, 0), (5, 1)] {
            let several = run(&Settings { devices, sub_batch, ..settings.clone() }, &config);
            let apart = difference(&one, &several);
            println!("{name}, {devices} devices, pieces of {sub_batch}: {apart:e}");
            assert!(apart < 2e-5, "{name}, {devices} devices, pieces of {sub_batch}: {apart}");
        }
    }
}

#[test]
fn pieces_in_bfloat16_give_f32_gradients_near_the_whole_batchs() {
    let settings = Settings { precision: NumberFormat::Bf16, batch: TRIPLETS as usize - 1, ..Settings::sprc() };
    let whole = run(&settings, &config(0.0));
    let pieces = run(&Settings { sub_batch: 5, ..settings }, &config(0.0));
    assert!(difference(&whole, &pieces) < 0.1, "{}", difference(&whole, &pieces));
}
