//! A step's gradients do not depend on how its batch is computed: in pieces, or on several devices.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::gradients::ParameterGradients;
use super::groups::Group;
use super::learner::{IMAGE_ENCODER, Learner};
use super::objective::concept::{ConceptSettings, Consistency, References};
use super::objective::loss::Figures;
use super::objective::matching::MatchingSettings;
use super::objective::pseudo_word::{self, PseudoWordSettings};
use super::objective::two_pass::{Losses, TwoPassSettings};
use super::objective::{Objective, ObjectiveSettings, Use};
use super::peers::{AllReduce, Alone, group};
use super::piece::{Context, Unlabelled};
use super::settings::Settings;
use super::start;
use super::step::{Batch, Step};
use crate::data::table::{ImageEntry, Table, Triplet};
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use crate::teacher::vectors::Vectors;
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{
    Composition, FusionForm, MappingConfig, MatchingScore, Pooling, TargetForm, TextConfig, TextForm,
};
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
        caption: Some(text(i + 5).collect::<Vec<_>>().join(" ")),
        // As many as there are words over two, some of which are in the text; a few texts have none.
        phrases: text(i).zip(text(i + 1)).take(i as usize % 4).map(|(a, b)| format!("{a} {b}")).collect(),
        ..Triplet::default()
    };
    Table { triplets: (0..TRIPLETS).map(triplet).collect(), ..Table::default() }
}

type Found = (BTreeMap<String, Vec<f32>>, Figures);

/// Gradients and losses of one batch of all triplets but one, in an order of its own, and of some unlabelled images.
fn run(settings: &Settings, config: &RetrievalConfig) -> Found {
    settings.objective.apply(config, Run { settings, config }).unwrap()
}

struct Run<'a> {
    settings: &'a Settings,
    config: &'a RetrievalConfig,
}

impl Use for Run<'_> {
    type Out = Found;

    fn with<O: Objective>(self, objective: O) -> Result<Found> {
        Ok(gradients(self.settings, self.config, &objective))
    }
}

fn gradients<O: Objective>(settings: &Settings, config: &RetrievalConfig, objective: &O) -> Found {
    let words = TextReader::new(config, &WORDS.join("\n")).unwrap();
    let table = table();
    let features = Waves(config.image_tokens(), config.image_width(), config.preprocess.size);
    let texts = Tokenized::new(&words, &table);
    let rows: Vec<usize> = (0..IMAGES).collect();
    let image = |at: usize| ImageEntry { name: at.to_string(), path: at.to_string().into() };
    let (images, places): (Vec<ImageEntry>, Vec<usize>) = (20..31).map(|at| (image(at), at)).unzip();
    let unlabelled = Unlabelled { images: &images, features: &features, rows: &places };
    let images: Vec<u32> = (0..11).map(|at| at * 4 % 11).take(settings.objective.family().image_batch()).collect();
    let unlabelled = Some(unlabelled).filter(|_| !images.is_empty());
    let vectors = Vectors::of_first(&waves(&rows, 12), 12);
    let teacher = settings.objective.family().teacher().map(|_| &vectors);
    let context = Context {
        settings,
        config,
        train: &table,
        features: &features,
        rows: &rows,
        texts: &texts,
        unlabelled,
        teacher,
    };
    let batch: Vec<u32> = (0..TRIPLETS).map(|i| i * 5 % TRIPLETS).skip(1).collect();
    let plain = Device::flex();
    let device = plain.clone().autodiff();
    let given = start::random(&objective.model(&plain).unwrap(), 4).unwrap();
    let given = if settings.objective.two_pass().is_some() { Tensors::new() } else { given };
    let mut tensors = objective.start(given, 3).unwrap();
    tensors.extend(encoder(config, &plain));
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
        read(task.gradients(&learner, Batch { triplets: &batch, images: &images }, 5).unwrap())
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

/// An image encoder's weights. None is left as burn draws it: its generator is shared by every test that runs at the time.
fn encoder(config: &RetrievalConfig, device: &Device) -> Tensors {
    let tensors = weights::collect(&ImageEncoder::new(config, device), ENCODER_PREFIX).unwrap();
    let drawn = |name: &str| !name.ends_with(".gamma") && !name.ends_with(".beta");
    let fixed = |(name, (dims, values)): (String, (Vec<usize>, Vec<f32>))| match drawn(&name) {
        true => (name, (dims, waves(&[1], values.len()).into_iter().map(|v| 0.1 * v).collect())),
        false => (name, (dims, values)),
    };
    tensors.into_iter().map(fixed).collect()
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
    let taught = TwoPassSettings { teacher_weight: 0.7, teacher_temperature: 3.0, ..sprc.clone() };
    vec![
        ("ptha, teacher", with(TwoPassSettings { losses: Losses::Ptha, ..taught.clone() }), config(0.1)),
        ("captions, teacher", with(TwoPassSettings { losses: Losses::Captions, ..taught }), config(0.1)),
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

/// A dual encoder that composes with three pseudo-words.
fn dual() -> RetrievalConfig {
    let mut config = RetrievalConfig::preset("tiny-dual").unwrap();
    config.text = TextConfig::WordPiece { vocabulary: WORDS.len(), length: config.text.length() };
    let own = config.pseudo_word_mut().unwrap();
    own.mapping = Some(MappingConfig { tokens: 3, hidden: 24, dropout: 0.1 });
    own.composition = Composition::PseudoWords;
    config
}

/// The same for the family with two streams. The tower of contrast is dropped from too, and the mapping network elsewhere.
fn dual_cases() -> Vec<(&'static str, Settings, RetrievalConfig)> {
    use pseudo_word::Losses::{Contrast, Hybrid, Pic2word, Triplet};
    let hycir = PseudoWordSettings { image_batch: 11, keep_false_negatives: false, ..PseudoWordSettings::hycir() };
    let base = Settings { seed: 11, batch: TRIPLETS as usize - 1, ..Settings::sprc() };
    let with = |own: PseudoWordSettings| Settings { objective: ObjectiveSettings::PseudoWord(own), ..base.clone() };
    let of = |losses| with(PseudoWordSettings { losses, ..hycir.clone() });
    let mut contrast = RetrievalConfig::preset("tiny-dual").unwrap();
    contrast.text = dual().text;
    contrast.pseudo_word_mut().unwrap().dropout = 0.1;
    let encoder = Group { pattern: IMAGE_ENCODER.into(), rate: 0.1, decay: 1.0 };
    let tower = Group { pattern: "text.layers.1.".into(), rate: 0.1, decay: 1.0 };
    vec![
        ("contrast", of(Contrast), contrast.clone()),
        ("contrast, image encoder", Settings { groups: vec![encoder], ..of(Contrast) }, contrast),
        ("pic2word", of(Pic2word), dual()),
        ("triplet", of(Triplet), dual()),
        ("triplet, one way", with(PseudoWordSettings { losses: Triplet, one_way: true, ..hycir.clone() }), dual()),
        ("hybrid", of(Hybrid), dual()),
        (
            "hybrid, weighted, a layer of the tower",
            Settings {
                groups: vec![tower],
                ..with(PseudoWordSettings { zs_weight: 0.3, triplet_weight: 2.0, ..hycir })
            },
            dual(),
        ),
    ]
}

#[test]
fn pieces_and_devices_give_the_gradients_of_two_streams() {
    for (name, settings, config) in dual_cases() {
        let whole = run(&settings, &config);
        assert!(whole.1.total > 0.1 && whole.0.len() >= 6, "{name}: {:?} {:?}", whole.1, whole.0.keys());
        let trains = settings.objective.family().groups().len() == 1;
        assert_eq!(whole.0.contains_key("logit_scale"), trains, "{name}: CLIP's scale stays with its towers");
        assert_eq!(whole.0.contains_key("mapping.first.weight"), !trains, "{name}");
        for (devices, sub_batch) in [(1, 1), (1, 5), (1, 12), (2, 0), (3, 4), (5, 1)] {
            let several = run(&Settings { devices, sub_batch, ..settings.clone() }, &config);
            let apart = difference(&whole, &several);
            println!("{name}, {devices} devices, pieces of {sub_batch}: {apart:e}");
            assert!(apart < 2e-5, "{name}, {devices} devices, pieces of {sub_batch}: {apart}");
        }
        let other = run(&Settings { seed: 12, ..settings.clone() }, &config);
        assert!(difference(&whole, &other) > 1e-3, "{name}: masks are drawn from the seed");
    }
}

/// A model of cross-attention in both forms, with each choice that its losses have.
fn concept_cases() -> Vec<(&'static str, Settings, RetrievalConfig)> {
    let mut paper = RetrievalConfig::preset("tiny-context").unwrap();
    paper.text = dual().text;
    paper.concept_mut().unwrap().dropout = 0.1;
    let mut code = paper.clone();
    let own = code.concept_mut().unwrap();
    (own.fusion.form, own.pooling, own.target) = (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled);
    code.give_image_head();
    let encoder = Group { pattern: IMAGE_ENCODER.into(), rate: 0.1, decay: 1.0 };
    let text = Group::frozen("text.");
    let base = Settings { seed: 11, batch: TRIPLETS as usize - 1, ..Settings::sprc() };
    let with = |own: ConceptSettings| Settings { objective: ObjectiveSettings::Concept(own), ..base.clone() };
    let context =
        ConceptSettings { consistency_weight: 2.0, keep_false_negatives: false, ..ConceptSettings::context_cir() };
    let published = ConceptSettings {
        references: References::All,
        both_ways: true,
        consistency: Consistency::Absolute,
        phrase_mean: true,
        ..context.clone()
    };
    vec![
        ("paper", with(context.clone()), paper.clone()),
        ("paper, image encoder", Settings { groups: vec![encoder.clone()], ..with(context.clone()) }, paper.clone()),
        ("code", with(published.clone()), code.clone()),
        ("code, text tower frozen", Settings { groups: vec![encoder, text], ..with(published) }, code.clone()),
        ("no reference", with(ConceptSettings { references: References::None, ..context.clone() }), paper),
        ("no consistency", with(ConceptSettings { consistency_weight: 0.0, ..context }), code),
    ]
}

#[test]
fn pieces_and_devices_give_the_gradients_of_concepts() {
    for (name, settings, config) in concept_cases() {
        let whole = run(&settings, &config);
        let named = |part: &str| whole.0.keys().any(|key| key.starts_with(part));
        assert!(whole.1.total > 0.1 && named("fusion.") && named("pool.") && named("head."), "{name}: {:?}", whole.1);
        assert_eq!(named("text."), !name.contains("text tower"), "{name}");
        assert_eq!(named(IMAGE_ENCODER), settings.trains_image_encoder(), "{name}");
        assert!(!named("logit_scale"), "{name}: τ stays");
        let consistency = whole.1.get("cc");
        assert_eq!(consistency.is_some(), settings.objective.family().reads_phrases().is_some(), "{name}");
        assert!(consistency.is_none_or(|value| value > 1e-6), "{name}: {consistency:?}");
        for (devices, sub_batch) in [(1, 1), (1, 5), (1, 12), (2, 0), (3, 4), (5, 1)] {
            let several = run(&Settings { devices, sub_batch, ..settings.clone() }, &config);
            let apart = difference(&whole, &several);
            println!("{name}, {devices} devices, pieces of {sub_batch}: {apart:e}");
            assert!(apart < 4e-5, "{name}, {devices} devices, pieces of {sub_batch}: {apart}");
        }
    }
}

/// A small model of rows and adapters, with each choice that it has.
fn matching_cases() -> Vec<(&'static str, Settings, RetrievalConfig)> {
    let mut paper = RetrievalConfig::preset("tiny-fashion").unwrap();
    paper.text = dual().text;
    paper.matching_mut().unwrap().qformer.attention_dropout = 0.1;
    let mut global = paper.clone();
    let own = global.matching_mut().unwrap();
    (own.score, own.text_form) = (MatchingScore::Global, TextForm::Cls);
    global.projection = own.projection();
    let base = Settings { seed: 11, batch: TRIPLETS as usize - 1, ..Settings::sprc() };
    let with = |own: MatchingSettings| Settings { objective: ObjectiveSettings::Matching(own), ..base.clone() };
    let first = MatchingSettings { ctr: 0.7, keep_false_negatives: false, ..MatchingSettings::fashion_blip2() };
    let second = MatchingSettings { ctr: 0.0, train_adapters: false, ..first.clone() };
    vec![
        ("stage 1", with(first.clone()), paper.clone()),
        ("stage 1, τ", with(MatchingSettings { learn_temperature: true, ..first.clone() }), paper.clone()),
        ("stage 2", with(second.clone()), paper),
        ("stage 1, global", with(first), global.clone()),
        ("stage 2, global", with(second), global),
    ]
}

#[test]
fn pieces_and_devices_give_the_gradients_of_matching() {
    for (name, settings, config) in matching_cases() {
        let whole = run(&settings, &config);
        let named = |part: &str| whole.0.keys().any(|key| key.contains(part));
        let (first, heads) = (name.starts_with("stage 1"), !name.ends_with("global"));
        assert!(whole.1.total > 0.1 && named("qformer.") && named("image_norm."), "{name}: {:?}", whole.1);
        assert_eq!((named("token_mixing"), named("channel_mixing")), (heads, heads), "{name}");
        assert_eq!(named(".adapters."), first, "{name}");
        // Of the image encoder, adapters alone train: four of two maps and two biases.
        let encoder = whole.0.keys().filter(|key| key.starts_with(IMAGE_ENCODER)).count();
        assert_eq!(encoder, if first { 16 } else { 0 }, "{name}");
        assert_eq!(named("tau"), name.contains('τ'), "{name}");
        assert_eq!(whole.1.get("ctr").is_some(), first, "{name}");
        for (devices, sub_batch) in [(1, 1), (1, 5), (1, 12), (2, 0), (3, 4), (5, 1)] {
            let several = run(&Settings { devices, sub_batch, ..settings.clone() }, &config);
            let apart = difference(&whole, &several);
            println!("{name}, {devices} devices, pieces of {sub_batch}: {apart:e}");
            assert!(apart < 2e-5, "{name}, {devices} devices, pieces of {sub_batch}: {apart}");
        }
    }
}

#[test]
fn consistency_has_no_gradient_without_phrases_and_none_through_phrases_alone() {
    let (_, settings, config) = concept_cases().swap_remove(2);
    let own = settings.objective.concept().unwrap().clone();
    let of = |own: ConceptSettings| {
        run(&Settings { objective: ObjectiveSettings::Concept(own), ..settings.clone() }, &config)
    };
    // All that is left of the sum where nothing else is counted: L_cc's gradient is linear in its weight.
    let [none, one, two] =
        [0.0, 1.0, 2.0].map(|weight| of(ConceptSettings { consistency_weight: weight, ..own.clone() }));
    let mut moved = 0.0_f32;
    for (name, gradient) in &none.0 {
        for ((none, one), two) in gradient.iter().zip(&one.0[name]).zip(&two.0[name]) {
            assert!(((two - none) - 2.0 * (one - none)).abs() < 1e-4, "{name}: {none} {one} {two}");
            moved = moved.max((one - none).abs());
        }
    }
    assert!(moved > 1e-4, "{moved}");
    // The pooling's and the head's maps are not on its way, nor is what a block reads in the last of them.
    for (before, after) in none.0["head.weight"].iter().zip(&two.0["head.weight"]) {
        assert!((before - after).abs() < 1e-5, "{before} {after}");
    }
    // Everything passes within a slack of 1.
    let slack = of(ConceptSettings { slack: 1.0, ..own.clone() });
    assert_eq!(slack.1.get("cc"), Some(0.0));
}

#[test]
fn the_hybrids_gradient_is_the_sum_of_its_losses() {
    let cases = dual_cases();
    let of =
        |name: &str| cases.iter().find(|(known, ..)| *known == name).map(|(_, s, c)| (s.clone(), c.clone())).unwrap();
    let (settings, mut config) = of("hybrid");
    config.pseudo_word_mut().unwrap().mapping.as_mut().unwrap().dropout = 0.0;
    let own = settings.objective.pseudo_word().unwrap().clone();
    let with = |zs_weight: f64, triplet_weight: f64| {
        let own = PseudoWordSettings { zs_weight, triplet_weight, ..own.clone() };
        run(&Settings { objective: ObjectiveSettings::PseudoWord(own), ..settings.clone() }, &config)
    };
    let (both, zs, triplet) = (with(0.3, 2.0), with(1.0, 1e-6), with(1e-6, 1.0));
    let total = 0.3 * both.1.get("zs").unwrap() + 2.0 * both.1.get("triplet").unwrap();
    assert!((both.1.total - total).abs() < 1e-6);
    for (name, gradient) in &both.0 {
        for ((whole, zs), triplet) in gradient.iter().zip(&zs.0[name]).zip(&triplet.0[name]) {
            let sum = 0.3 * zs + 2.0 * triplet;
            assert!((whole - sum).abs() < 1e-4 * sum.abs().max(0.05), "{name}: {whole} {sum}");
        }
    }
}

#[test]
fn losses_ask_for_what_they_train() {
    let hybrid = ObjectiveSettings::PseudoWord(PseudoWordSettings::hycir());
    let settings = Settings { objective: hybrid, ..Settings::sprc() };
    let refused = |config: &RetrievalConfig| {
        settings.objective.apply(config, Run { settings: &settings, config }).err().map(|e| e.to_string())
    };
    let plain = RetrievalConfig::preset("tiny-dual").unwrap();
    assert!(refused(&plain).unwrap().contains("--pseudo-words 4"));
    assert!(refused(&config(0.0)).unwrap().contains("pseudo-word"));
    struct Started;
    impl Use for Started {
        type Out = Tensors;
        fn with<O: Objective>(self, objective: O) -> Result<Tensors> {
            objective.start(Tensors::new(), 1)
        }
    }
    let said = settings.objective.apply(&dual(), Started).unwrap_err().to_string();
    assert!(said.contains("--start") && said.contains("text tower"), "{said}");
}

#[test]
fn pieces_of_a_batch_give_the_whole_batchs_gradients() {
    for (name, settings, config) in cases() {
        let whole = run(&settings, &config);
        assert!(whole.1.total > 0.1 && whole.0.len() > 20, "{name}: {:?}", whole.1);
        assert!(whole.0.contains_key("temperature"));
        assert_eq!(whole.1.get("teacher").is_some_and(|value| value > 1e-3), name.ends_with("teacher"), "{name}");
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
