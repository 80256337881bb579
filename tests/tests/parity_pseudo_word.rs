//! The pseudo-word family against Pic2Word's own code: mapping network, prompt, composed query, and ten steps of L_ZS-CIR alone
//! and of the hybrid with unequal weights, through the production loop. Golden values and where they come from:
//! `tests/golden/pseudo_word.py`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use std::path::PathBuf;
use thisbut_model::config::{Composition, MappingConfig, RetrievalConfig};
use thisbut_model::method::pseudo_word::ImageEmbedding;
use thisbut_model::method::{Method, PseudoWord};
use thisbut_model::nn::Noise;
use thisbut_model::number::NumberFormat;
use thisbut_model::text::{TextReader, Tokens};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::upstream::{Golden, Outcome, Table, golden_json, journal, numbers};
use thisbut_trainer::data::{ImageEntry, Triplet, table};
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::finetune::{Inputs, finetune};
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::pseudo_word::{Losses, PseudoWordSettings};
use thisbut_trainer::train::settings::{Schedule, Settings};

/// Values are of order 1 and computed in float64 there.
const LIMIT: f32 = 1e-5;

/// In bfloat16, with eight bits of a number, a loss of ten steps may move so far.
const ROUGH: f32 = 0.1;

/// What the golden values were made with.
struct Published {
    golden: Golden,
    notes: Value,
}

/// Image embeddings under one name of the golden file: the encoder gives one token, the embedding.
struct Embeddings<'a>(&'a Golden, &'static str);

impl ImageTokens for Embeddings<'_> {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap())
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        let images = self.0.get(self.1).unwrap();
        let p = images.shape[1];
        let chosen: Vec<f32> = rows.iter().flat_map(|row| &images.data[row * p..(row + 1) * p]).copied().collect();
        Ok(Tensor::from_data(TensorData::new(chosen, [rows.len(), 1, p]), device))
    }
}

impl Published {
    fn read() -> Outcome<Self> {
        Ok(Self { golden: Golden::read("pseudo_word.safetensors")?, notes: golden_json("pseudo_word.json")? })
    }

    fn strings(&self, key: &str) -> Vec<String> {
        let words = self.notes[key].as_array().into_iter().flatten();
        words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    /// The golden architecture with `tokens` pseudo-words.
    fn config(&self, tokens: usize) -> Outcome<RetrievalConfig> {
        let of = |key: &str| self.notes["shapes"][key].as_u64().unwrap();
        let text = format!(
            r#"{{
                "name": "golden",
                "preprocess": {{ "size": 8, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [255, 255, 255],
                    "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false }},
                "image_encoder": {{ "kind": "patch", "patch": 8, "width": {p} }},
                "text": {{ "kind": "word-piece", "vocabulary": {vocabulary}, "length": {length} }},
                "projection": {p}, "target_tokens": 1,
                "method": {{ "kind": "pseudo-word",
                    "text_tower": {{ "kind": "clip", "layers": {layers}, "width": {width}, "heads": {heads},
                        "intermediate": {intermediate}, "positions": {length} }} }}
            }}"#,
            p = of("projection"),
            vocabulary = self.strings("words").len(),
            length = of("length"),
            layers = of("layers"),
            width = of("width"),
            heads = of("heads"),
            intermediate = 4 * of("width"),
        );
        let mut config = RetrievalConfig::parse(&text, "the golden configuration")?;
        let own = config.pseudo_word_mut()?;
        own.mapping = Some(MappingConfig { tokens, hidden: of("hidden") as usize, dropout: 0.0 });
        own.composition = Composition::PseudoWords;
        config.check("the golden configuration")?;
        Ok(config)
    }

    /// Weights; the four-word mapping network stands behind "four".
    fn weights(&self, tokens: usize) -> Tensors {
        let named = |(name, v): (&str, &thisbut_tests::upstream::Values)| {
            let name = match (name.strip_prefix("four."), tokens) {
                (Some(rest), 4) => format!("mapping.{rest}"),
                (None, 4) if name.starts_with("mapping.") => return None,
                (Some(_), _) => return None,
                (None, _) => name.to_owned(),
            };
            Some((name, (v.shape.clone(), v.data.clone())))
        };
        self.golden.weights().filter_map(named).collect()
    }

    fn reader(&self, config: &RetrievalConfig) -> Outcome<TextReader> {
        // The golden vocabulary has upstream's end mark as its last word.
        Ok(TextReader::new(config, &self.strings("words").join("\n"))?)
    }

    fn data(&self) -> table::Table {
        let pairs: Vec<u32> = numbers(&self.notes["pairs"]).into_iter().map(|image| image as u32).collect();
        let triplets = pairs.chunks_exact(2).zip(self.strings("texts")).enumerate().map(|(at, (pair, text))| Triplet {
            id: at as u64,
            reference: pair[0],
            targets: vec![pair[1]],
            text,
            ..Triplet::default()
        });
        let count = self.golden.get("input.images").unwrap().shape[0] as u32;
        let images = (0..count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
        table::Table { images, triplets: triplets.collect(), gallery: (0..count).collect(), ..Default::default() }
    }

    /// What the runs have in common: everything is one batch, so its order does not count.
    fn settings(&self, own: PseudoWordSettings, batch: usize) -> Settings {
        let of = |key: &str| self.notes["train"][key].as_f64().unwrap();
        Settings {
            objective: ObjectiveSettings::PseudoWord(own),
            batch,
            steps: of("steps") as usize,
            learning_rate: of("rate"),
            schedule: Schedule::Constant,
            weight_decay: of("weight_decay"),
            decay_vectors: false,
            betas: (of("beta1"), of("beta2")),
            epsilon: of("epsilon"),
            clip: 0.0,
            validate_every: 1000,
            checkpoint_every: 1000,
            ..Settings::sprc()
        }
    }

    /// Trains and compares each step's losses: `names` and the total.
    fn follow(&self, run: &str, names: &[&str], settings: &Settings, train: &table::Table) -> Outcome {
        let (config, folder) = (self.config(1)?, tempfile::tempdir()?);
        let texts = self.reader(&config)?;
        let unlabelled = self.golden.get("input.unlabelled")?.shape[0];
        let more: Vec<ImageEntry> =
            (0..unlabelled).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
        let (labelled, without) =
            (Embeddings(&self.golden, "input.images"), Embeddings(&self.golden, "input.unlabelled"));
        let alone = settings.objective.family().image_batch() == 0;
        let features = if alone { &without } else { &labelled };
        let inputs = Inputs {
            config: &config,
            train,
            validation: train,
            features,
            unlabelled: Some((&more, &without)),
            teacher: None,
            texts: &texts,
            start: self.weights(1),
            understands: None,
            base_encoder: None,
            run: folder.path(),
            until: None,
        };
        finetune(settings, inputs, &mut |_| ())?;
        let (lines, mut table) = (journal(folder.path())?, Table::default());
        let limit = if settings.precision == NumberFormat::F32 { LIMIT } else { ROUGH };
        let expected = self.notes["losses"][run].as_array().unwrap();
        assert_eq!((lines.len(), expected.len()), (settings.steps, settings.steps));
        for (at, name) in names.iter().copied().chain(["loss"]).enumerate() {
            let of = |step: &Value| step[name].as_f64().unwrap() as f32;
            let got: Vec<f32> = lines.iter().map(of).collect();
            let wanted: Vec<f32> = expected.iter().map(|step| step[at].as_f64().unwrap() as f32).collect();
            assert!((wanted[0] - wanted[settings.steps - 1]).abs() > 1e-3, "{name} moves");
            table.absolute(format!("{run}: {name} of {} steps", settings.steps), &got, &wanted, limit);
        }
        table.finish(run)
    }
}

fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_to_vec().unwrap()
}

#[test]
fn mapping_prompt_and_query_are_pic2words() -> Outcome {
    let (published, device, mut table) = (Published::read()?, Device::flex(), Table::default());
    let images = published.golden.get("input.images")?;
    let images =
        Tensor::<2>::from_data(TensorData::new(images.data.clone(), [images.shape[0], images.shape[1]]), &device);
    for tokens in [1, 4] {
        let config = published.config(tokens)?;
        let model = weights::load(PseudoWord::new(&config, &device)?, "", &mut published.weights(tokens))?;
        let reader = published.reader(&config)?;
        let words = model.mapping.as_ref().unwrap().forward(images.clone(), &Noise::off());
        let expected = published.golden.get(&format!("out.mapping.{tokens}"))?;
        table.absolute(format!("{tokens} words of φ"), &values(words), &expected.data, LIMIT);
        let silence = reader.tokens("");
        let prompt = reader.composed_batch(vec![&silence; images.dims()[0]], &device);
        let read = model.read_with(&ImageEmbedding(images.clone()), &prompt, &Noise::off());
        let expected = published.golden.get(if tokens == 1 { "out.prompt" } else { "out.prompt4" })?;
        table.absolute(format!("\"a photo of\" {tokens} words"), &values(read), &expected.data, LIMIT);
        if tokens == 1 {
            let data = published.data();
            let references: Vec<i32> = data.triplets.iter().map(|t| t.reference as i32).collect();
            let references = Tensor::from_data(TensorData::new(references, [data.triplets.len()]), &device);
            let texts: Vec<Tokens> = data.triplets.iter().map(|t| reader.tokens(&t.text)).collect();
            let batch = reader.composed_batch(&texts, &device);
            let query = model.query(Some(&ImageEmbedding(images.clone().select(0, references))), &batch, &Noise::off());
            let expected = published.golden.get("out.query")?;
            table.absolute("composed queries".to_owned(), &values(query), &expected.data, LIMIT);
        }
    }
    table.finish("Pic2Word")
}

#[test]
fn pic2words_training_is_followed_step_by_step() -> Outcome {
    let published = Published::read()?;
    let count = published.golden.get("input.unlabelled")?.shape[0] as u32;
    let images: Vec<ImageEntry> =
        (0..count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
    let table = table::Table { images, gallery: (0..count).collect(), ..Default::default() };
    let train = thisbut_trainer::data::derive::images(&table)?;
    let own = PseudoWordSettings { losses: Losses::Pic2word, ..PseudoWordSettings::hycir() };
    published.follow("pic2word", &["zs"], &published.settings(own, count as usize), &train)
}

#[test]
fn the_hybrid_is_followed_step_by_step_with_unequal_weights() -> Outcome {
    let published = Published::read()?;
    let weight = |key: &str| published.notes["weights"][key].as_f64().unwrap();
    let own = PseudoWordSettings {
        zs_weight: weight("zs"),
        triplet_weight: weight("triplet"),
        image_batch: published.golden.get("input.unlabelled")?.shape[0],
        ..PseudoWordSettings::hycir()
    };
    let train = published.data();
    let settings = published.settings(own, train.triplets.len());
    published.follow("hybrid", &["zs", "triplet"], &settings, &train)?;
    let rough = Settings { precision: NumberFormat::Bf16, ..settings.clone() };
    published.follow("hybrid", &["zs", "triplet"], &rough, &train)?;
    // In pieces of both streams, and on two devices, the same steps.
    for (sub_batch, devices) in [(3, 1), (0, 2)] {
        let settings = Settings { sub_batch, devices, ..settings.clone() };
        published.follow("hybrid", &["zs", "triplet"], &settings, &train)?;
    }
    Ok(())
}
