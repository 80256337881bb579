//! The matching family against FashionBLIP-2's equations on plain torch modules: adapters, the Q-Former's outputs, mixed rows, scores,
//! captions in both forms, both losses with their gradients, and ten steps of both stages and of the ablation, through the
//! production loop. Golden values and where they come from: `tests/golden/matching.py`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;
use std::path::PathBuf;
use thisbut_model::config::{AdapterConfig, ImageEncoderConfig, MatchingScore, RetrievalConfig, TextForm, VitConfig};
use thisbut_model::method::{Matching, Method};
use thisbut_model::nn::{ImageEncoder, Noise};
use thisbut_model::retrieval::ENCODER_PREFIX;
use thisbut_model::text::{TextReader, Tokens};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::upstream::{Golden, Outcome, Table, golden_json, journal, numbers};
use thisbut_trainer::data::{ImageEntry, Triplet, table};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::finetune::{Inputs, finetune};
use thisbut_trainer::train::learner::{IMAGE_ENCODER, Learner};
use thisbut_trainer::train::objective::matching::{MatchingObjective, MatchingSettings};
use thisbut_trainer::train::objective::{Objective, ObjectiveSettings};
use thisbut_trainer::train::peers::Alone;
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::settings::{Schedule, Settings};
use thisbut_trainer::train::step::Step;

/// Values are of order 1 and computed in float64 there.
const LIMIT: f32 = 1e-5;

/// What the golden values were made with.
struct Published {
    golden: Golden,
    notes: Value,
}

/// Images of the golden file: their pixels, and their tokens with the adapters as they are there.
struct Images<'a>(&'a Golden);

impl Images<'_> {
    fn rows(&self, name: &str, rows: &[usize]) -> (Vec<f32>, Vec<usize>) {
        let all = self.0.get(name).unwrap();
        let each: usize = all.shape[1..].iter().product();
        let chosen = rows.iter().flat_map(|row| &all.data[row * each..(row + 1) * each]).copied().collect();
        (chosen, [&[rows.len()], &all.shape[1..]].concat())
    }
}

impl ImageTokens for Images<'_> {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap())
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        let (values, shape) = self.rows("out.vision", rows);
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        let (values, shape) = self.rows("input.pixels", rows);
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }
}

impl Published {
    fn read() -> Outcome<Self> {
        Ok(Self { golden: Golden::read("matching.safetensors")?, notes: golden_json("matching.json")? })
    }

    fn strings(&self, key: &str) -> Vec<String> {
        self.notes[key].as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    fn config(&self, score: MatchingScore, form: TextForm) -> Outcome<RetrievalConfig> {
        let of = |key: &str| self.notes["shapes"][key].as_u64().unwrap() as usize;
        let mut config = RetrievalConfig::preset("tiny-fashion")?;
        config.preprocess.size = of("side");
        config.image_encoder = ImageEncoderConfig::Vit(VitConfig {
            patch: of("patch"),
            width: of("vision"),
            layers: of("layers"),
            heads: of("heads"),
            intermediate: 2 * of("vision"),
            adapters: Some(AdapterConfig { factor: of("factor"), ..AdapterConfig::default() }),
            ..VitConfig::EVA_G
        });
        let json = serde_json::json!({ "kind": "word-piece", "vocabulary": self.strings("words").len(), "length": of("length") });
        config.text = serde_json::from_value(json)?;
        let own = config.matching_mut()?;
        let q = &mut own.qformer;
        (q.layers, q.width, q.heads, q.intermediate) = (of("layers"), of("width"), of("heads"), 2 * of("width"));
        (q.query_tokens, q.positions, q.dropout) = (of("queries"), of("positions"), 0.0);
        (own.heads, own.head_width, own.score, own.text_form) = (of("rows"), of("row_width"), score, form);
        own.temperature = self.notes["tau"].as_f64().unwrap();
        config.projection = own.projection();
        config.check("the golden configuration")?;
        Ok(config)
    }

    /// Weights of the model of `config` and of the image encoder.
    fn weights(&self, config: &RetrievalConfig) -> Tensors {
        let mixes = config.matching().unwrap().score == MatchingScore::Heads;
        let own = self.golden.weights().filter(|(name, _)| mixes || !name.contains("_mixing."));
        own.map(|(name, v)| (name.to_owned(), (v.shape.clone(), v.data.clone()))).collect()
    }

    fn reader(&self, config: &RetrievalConfig) -> Outcome<TextReader> {
        Ok(TextReader::new(config, &self.strings("words").join("\n"))?)
    }

    fn data(&self) -> table::Table {
        let pairs: Vec<u32> = numbers(&self.notes["pairs"]).into_iter().map(|image| image as u32).collect();
        let rows = pairs.chunks_exact(2).zip(self.strings("texts")).zip(self.strings("captions")).enumerate();
        let triplet = |(at, ((pair, text), caption)): (usize, ((&[u32], String), String))| Triplet {
            id: at as u64,
            reference: pair[0],
            targets: vec![pair[1]],
            text,
            caption: Some(caption),
            ..Triplet::default()
        };
        let count = self.golden.get("input.pixels").unwrap().shape[0] as u32;
        let images = (0..count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
        table::Table {
            images,
            triplets: rows.map(triplet).collect(),
            gallery: (0..count).collect(),
            ..Default::default()
        }
    }

    /// Everything is one batch, so its order does not count.
    fn settings(&self, own: MatchingSettings) -> Settings {
        let of = |key: &str| self.notes["train"][key].as_f64().unwrap();
        Settings {
            objective: ObjectiveSettings::Matching(own),
            batch: self.data().triplets.len(),
            steps: of("steps") as usize,
            learning_rate: of("rate"),
            schedule: Schedule::Constant,
            weight_decay: of("weight_decay"),
            decay_vectors: true,
            betas: (of("beta1"), of("beta2")),
            epsilon: of("epsilon"),
            clip: 0.0,
            validate_every: 1000,
            checkpoint_every: 1000,
            ..Settings::sprc()
        }
    }

    /// Stage 1, with the weight of L_CTR that is there and a τ that trains.
    fn first(&self) -> MatchingSettings {
        let ctr = self.notes["ctr"].as_f64().unwrap();
        MatchingSettings { ctr, learn_temperature: true, ..MatchingSettings::fashion_blip2() }
    }

    /// Trains and compares each step's losses.
    fn follow(&self, run: &str, config: &RetrievalConfig, settings: &Settings) -> Outcome {
        let (folder, train) = (tempfile::tempdir()?, self.data());
        let (texts, mut start) = (self.reader(config)?, self.weights(config));
        if !settings.trains_image_encoder() {
            start.retain(|name, _| !name.starts_with(IMAGE_ENCODER));
        }
        let inputs = Inputs {
            config,
            train: &train,
            validation: &train,
            features: &Images(&self.golden),
            unlabelled: None,
            teacher: None,
            texts: &texts,
            start,
            understands: None,
            base_encoder: None,
            run: folder.path(),
            until: None,
        };
        finetune(settings, inputs, &mut |_| ())?;
        let (lines, mut table) = (journal(folder.path())?, Table::default());
        let expected = self.notes["losses"][run].as_array().unwrap();
        assert_eq!((lines.len(), expected.len()), (settings.steps, settings.steps));
        let names: &[(usize, &str)] = match settings.objective.matching().unwrap().ctr > 0.0 {
            true => &[(0, "cir"), (1, "ctr"), (2, "loss")],
            false => &[(0, "cir"), (2, "loss")],
        };
        for (at, name) in names {
            let got: Vec<f32> = lines.iter().map(|step| step[*name].as_f64().unwrap() as f32).collect();
            let wanted: Vec<f32> = expected.iter().map(|step| step[*at].as_f64().unwrap() as f32).collect();
            assert!((wanted[0] - wanted[settings.steps - 1]).abs() > 0.05 * wanted[0], "{name} moves");
            table.relative(format!("{run}: {name} of {} steps", settings.steps), &got, &wanted, 3.0 * LIMIT);
        }
        table.finish(run)
    }
}

fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_to_vec().unwrap()
}

#[test]
fn adapters_outputs_rows_and_scores_are_the_papers() -> Outcome {
    let (published, device, mut table) = (Published::read()?, Device::flex(), Table::default());
    let golden = |name: &str| published.golden.get(name).unwrap().data.clone();
    let data = published.data();
    let of = |side: fn(&Triplet) -> u32| {
        let images: Vec<i32> = data.triplets.iter().map(|triplet| side(triplet) as i32).collect();
        let count = images.len();
        Tensor::<1, Int>::from_data(TensorData::new(images, [count]), &Device::flex())
    };
    let (references, targets) = (of(|triplet| triplet.reference), of(|triplet| triplet.targets[0]));
    let count = data.triplets.len();
    for (score, prefix) in [(MatchingScore::Heads, "out."), (MatchingScore::Global, "out.global.")] {
        for (form, name) in [(TextForm::Queries, "queries"), (TextForm::Cls, "cls")] {
            let config = published.config(score, form)?;
            let mut tensors = published.weights(&config);
            let encoder = weights::load(ImageEncoder::new(&config, &device), ENCODER_PREFIX, &mut tensors)?;
            let model = weights::load(Matching::new(&config, &device)?, "", &mut tensors)?;
            assert!(tensors.is_empty(), "{:?}", tensors.keys());
            let all: Vec<usize> = (0..data.images.len()).collect();
            let images = encoder.forward(Images(&published.golden).pixels(&all, &device)?);
            let mut compare = |what: &str, got: Vec<f32>, expected: Vec<f32>| {
                table.absolute(format!("{what}, {prefix}{name}"), &got, &expected, LIMIT);
            };
            compare("image tokens", values(images.clone()), golden("out.vision"));
            let reader = published.reader(&config)?;
            let batch = |texts: &[String]| {
                let texts: Vec<Tokens> = texts.iter().map(|text| reader.tokens(text)).collect();
                reader.batch(&texts, &device)
            };
            let (texts, captions) = (batch(&published.strings("texts")), batch(&published.strings("captions")));
            let off = Noise::off();
            let [reference, target] =
                [&references, &targets].map(|side| model.image_keys(images.clone().select(0, side.clone())));
            compare("x_q", values(model.fuse(&reference, &texts, &off)), golden("out.xq"));
            compare("x_c", values(model.look(&target, count, &off)), golden("out.xc"));
            let query = model.query(Some(&reference), &texts, &off);
            let row = Method::target(&model, &target, count, &texts, &off).reshape([count, config.projection]);
            compare("queries", values(query.clone()), golden(&format!("{prefix}query")));
            compare("targets", values(row.clone()), golden(&format!("{prefix}target")));
            let caption = model.query(None, &captions, &off);
            compare("captions", values(caption), golden(&format!("{prefix}caption.{name}")));
            if score == MatchingScore::Heads {
                let scores = query.matmul(row.transpose()) * config.matching()?.cosines() as f64;
                compare("scores", values(scores), golden("out.scores"));
            }
        }
    }
    table.finish("FashionBLIP-2")
}

/// The published encoder without adapters, and the same with adapters that begin as the identity.
#[test]
fn without_its_adapters_the_encoder_is_the_base() -> Outcome {
    let (published, device, mut table) = (Published::read()?, Device::flex(), Table::default());
    let config = published.config(MatchingScore::Heads, TextForm::Queries)?;
    let base = RetrievalConfig { image_encoder: config.image_encoder.without_adapters(), ..config.clone() };
    let all: Vec<usize> = (0..published.data().images.len()).collect();
    let pixels = Images(&published.golden).pixels(&all, &device)?;
    let plain = weights::load(ImageEncoder::new(&base, &device), ENCODER_PREFIX, &mut published.weights(&config))?;
    let mut identity = published.weights(&config);
    for (name, (_, values)) in identity.iter_mut().filter(|(name, _)| AdapterConfig::owns(name)) {
        if name.contains(".up.") {
            values.fill(0.0);
        }
    }
    let adapted = weights::load(ImageEncoder::new(&config, &device), ENCODER_PREFIX, &mut identity)?;
    let [plain, adapted] = [plain, adapted].map(|encoder| values(encoder.forward(pixels.clone())));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&plain), bits(&adapted));
    table.absolute("the base's tokens", &plain, &published.golden.get("out.base")?.data, LIMIT);
    table.finish("the encoder without adapters")
}

#[test]
fn all_gradients_are_torchs() -> Outcome {
    let (published, mut table) = (Published::read()?, Table::default());
    let config = published.config(MatchingScore::Heads, TextForm::Queries)?;
    let (own, data) = (published.first(), published.data());
    let (settings, texts) = (published.settings(own.clone()), published.reader(&config)?);
    let (features, tokenized) = (Images(&published.golden), Tokenized::new(&texts, &data));
    let rows: Vec<usize> = (0..data.images.len()).collect();
    let (device, groups) = (Device::flex().autodiff(), settings.groups_in_force());
    let objective = MatchingObjective::new(&own, &config)?;
    let learner = Learner::new(objective.model(&device)?, &config, &groups, &device);
    let learner = learner.load(&mut published.weights(&config))?.freeze(&groups);
    let context = Context {
        settings: &settings,
        config: &config,
        train: &data,
        features: &features,
        rows: &rows,
        texts: &tokenized,
        unlabelled: None,
        teacher: None,
    };
    let task = Step { context: &context, objective: &objective, peers: &Alone, device: &device };
    let batch: Vec<u32> = (0..data.triplets.len() as u32).collect();
    let (found, figures) = task.gradients(&learner, &batch[..], 0)?;
    let first = &published.notes["losses"]["stage 1"][0];
    for (at, name) in ["cir", "ctr"].into_iter().enumerate() {
        let wanted = first[at].as_f64().unwrap() as f32;
        table.relative(name, &[figures.get(name).unwrap() as f32], &[wanted], LIMIT);
    }
    let largest = published.golden.gradients().flat_map(|(_, v)| &v.data).fold(0.0_f32, |m, x| m.max(x.abs()));
    let names: Vec<&str> = found.iter().map(|(name, _)| name).collect();
    let wanted: Vec<&str> = published.golden.gradients().map(|(name, _)| name).collect();
    for name in &wanted {
        assert!(names.contains(name), "{name} has a gradient there");
    }
    assert!(wanted.iter().filter(|name| name.contains(".adapters.")).count() == 16, "{wanted:?}");
    for (name, gradient) in found.iter() {
        let Ok(expected) = published.golden.get(&format!("grad.{name}")) else {
            assert!(values(gradient.clone()).iter().all(|value| *value == 0.0), "{name} has none there");
            continue;
        };
        let got = values(gradient.clone());
        let apart = got.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        table.add(format!("gradient of {name}, of the largest"), apart / largest, LIMIT);
    }
    table.finish("FashionBLIP-2's gradients")
}

#[test]
fn both_stages_are_followed_step_by_step() -> Outcome {
    let published = Published::read()?;
    let heads = published.config(MatchingScore::Heads, TextForm::Queries)?;
    let first = published.first();
    let stays = MatchingSettings { learn_temperature: false, ..first.clone() };
    let second = MatchingSettings { ctr: 0.0, train_adapters: false, ..stays.clone() };
    let runs = [
        ("stage 1", first, heads.clone()),
        ("stage 2", second, heads),
        ("global", stays, published.config(MatchingScore::Global, TextForm::Cls)?),
    ];
    for (run, own, config) in runs {
        let settings = published.settings(own);
        published.follow(run, &config, &settings)?;
        // In pieces, and on two devices, the same steps.
        for (sub_batch, devices) in [(2, 1), (0, 2), (1, 2)] {
            published.follow(run, &config, &Settings { sub_batch, devices, ..settings.clone() })?;
        }
    }
    Ok(())
}
