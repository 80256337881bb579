//! The concept family against ConText-CIR's own code: towers, fusion, pooling, attention's weights, queries and targets, concept
//! consistency with its gradients, and ten steps of training both towers in the code's form and in the paper's, through the
//! production loop. Golden values and where they come from: `tests/golden/concept.py`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use thisbut_model::config::RetrievalConfig;
use thisbut_model::method::{Concept, Method};
use thisbut_model::nn::{ImageEncoder, Noise};
use thisbut_model::retrieval::ENCODER_PREFIX;
use thisbut_model::text::{TextReader, Tokens};
use thisbut_model::weights::{self, Tensors};
use thisbut_tests::upstream::{Golden, Outcome, Table, Values, golden_json, journal, numbers};
use thisbut_trainer::data::{ImageEntry, Triplet, table};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::finetune::{Inputs, finetune};
use thisbut_trainer::train::groups::Group;
use thisbut_trainer::train::learner::{IMAGE_ENCODER, Learner};
use thisbut_trainer::train::objective::concept::{ConceptObjective, ConceptSettings, Consistency, References};
use thisbut_trainer::train::objective::{Objective, ObjectiveSettings};
use thisbut_trainer::train::peers::Alone;
use thisbut_trainer::train::piece::Context;
use thisbut_trainer::train::settings::{Schedule, Settings};
use thisbut_trainer::train::step::Step;

/// Values are of order 1 and computed in float64 there.
const LIMIT: f32 = 1e-5;

/// Which of the two forms.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Code,
    Paper,
}

/// What the golden values were made with.
struct Published {
    golden: Golden,
    notes: Value,
}

/// Pixels of the golden file; an image encoder that trains reads them.
struct Pixels<'a>(&'a Golden);

impl ImageTokens for Pixels<'_> {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap())
    }

    fn tokens(&self, _: &[usize], _: &Device) -> Result<Tensor<3>> {
        panic!("the encoder trains: its tokens are in the graph")
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        let all = self.0.get("input.pixels").unwrap();
        let each: usize = all.shape[1..].iter().product();
        let chosen: Vec<f32> = rows.iter().flat_map(|row| &all.data[row * each..(row + 1) * each]).copied().collect();
        let [_, c, h, w] = all.shape[..] else { panic!("pixels of {:?}", all.shape) };
        Ok(Tensor::from_data(TensorData::new(chosen, [rows.len(), c, h, w]), device))
    }
}

impl Published {
    fn read() -> Outcome<Self> {
        Ok(Self { golden: Golden::read("concept.safetensors")?, notes: golden_json("concept.json")? })
    }

    fn strings(value: &Value) -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
    }

    fn config(&self, form: Form) -> Outcome<RetrievalConfig> {
        let of = |key: &str| self.notes["shapes"][key].as_u64().unwrap();
        let (fusion, pooling, target) = match form {
            Form::Code => ("transformer", "attention", "pooled"),
            Form::Paper => ("attention", "set-transformer", "fused"),
        };
        let text = format!(
            r#"{{
                "name": "golden",
                "preprocess": {{ "size": {side}, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [255, 255, 255],
                    "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false }},
                "image_encoder": {{ "kind": "vit", "family": "clip", "patch": {patch}, "width": {vision}, "layers": {layers},
                    "heads": 2, "intermediate": {inner} }},
                "text": {{ "kind": "word-piece", "vocabulary": {vocabulary}, "length": {length} }},
                "projection": {p}, "target_tokens": 1,
                "method": {{ "kind": "concept", "temperature": {tau},
                    "fusion": {{ "blocks": {blocks}, "heads": 2, "form": "{fusion}" }},
                    "pooling": "{pooling}", "target": "{target}",
                    "text_tower": {{ "kind": "clip", "layers": {layers}, "width": {width}, "heads": 2,
                        "intermediate": {wide}, "positions": {length} }} }}
            }}"#,
            side = of("side"),
            patch = of("patch"),
            vision = of("vision"),
            inner = 2 * of("vision"),
            layers = of("layers"),
            vocabulary = Self::strings(&self.notes["words"]).len(),
            length = of("length"),
            p = of("projection"),
            tau = self.notes["tau"],
            blocks = of("blocks"),
            width = of("text"),
            wide = 2 * of("text"),
        );
        Ok(RetrievalConfig::parse(&text, "the golden configuration")?)
    }

    /// Weights of the model and of the image encoder; what the paper's form alone has stands behind "paper".
    fn weights(&self, form: Form) -> Tensors {
        let own = |name: &str| match (name.strip_prefix("paper."), form) {
            (Some(rest), Form::Paper) => Some(rest.to_owned()),
            (Some(_), Form::Code) => None,
            (None, Form::Paper) if name.starts_with("pool.") || name.contains(".feed.") => None,
            (None, _) => Some(name.to_owned()),
        };
        let named = |(name, v): (&str, &Values)| Some((own(name)?, (v.shape.clone(), v.data.clone())));
        let mut tensors: Tensors = self.golden.weights().filter_map(named).collect();
        let tau = self.notes["tau"].as_f64().unwrap();
        tensors.insert("logit_scale".into(), (vec![1], vec![-(tau.ln()) as f32]));
        if form == Form::Code {
            // Only texts alone are read through it, which the published code does not know.
            let [width, p] = ["text", "projection"].map(|key| self.notes["shapes"][key].as_u64().unwrap() as usize);
            tensors.insert("text.projection.weight".into(), (vec![width, p], vec![0.0; width * p]));
        }
        tensors
    }

    fn reader(&self, config: &RetrievalConfig) -> Outcome<TextReader> {
        Ok(TextReader::new(config, &Self::strings(&self.notes["words"]).join("\n"))?)
    }

    fn data(&self) -> table::Table {
        let pairs: Vec<u32> = numbers(&self.notes["pairs"]).into_iter().map(|image| image as u32).collect();
        let (texts, phrases) = (Self::strings(&self.notes["texts"]), self.notes["phrases"].as_array().unwrap());
        let rows = pairs.chunks_exact(2).zip(texts).zip(phrases).enumerate();
        let triplet = |(at, ((pair, text), phrases)): (usize, ((&[u32], String), &Value))| Triplet {
            id: at as u64,
            reference: pair[0],
            targets: vec![pair[1]],
            text,
            phrases: Self::strings(phrases),
            ..Triplet::default()
        };
        let count = self.golden.get("input.pixels").unwrap().shape[0] as u32;
        let images = (0..count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
        let triplets = rows.map(triplet).collect();
        table::Table { images, triplets, gallery: (0..count).collect(), ..Default::default() }
    }

    fn own(&self, form: Form) -> ConceptSettings {
        let of = |key: &str| self.notes[key].as_f64().unwrap();
        let paper = ConceptSettings {
            consistency_weight: of("consistency_weight"),
            slack: of("slack"),
            ..ConceptSettings::context_cir()
        };
        match form {
            Form::Paper => paper,
            Form::Code => ConceptSettings {
                references: References::All,
                both_ways: true,
                consistency: Consistency::Absolute,
                phrase_mean: true,
                ..paper
            },
        }
    }

    /// Everything is one batch, so its order does not count; both towers train.
    fn settings(&self, own: ConceptSettings) -> Settings {
        let of = |key: &str| self.notes["train"][key].as_f64().unwrap();
        Settings {
            objective: ObjectiveSettings::Concept(own),
            batch: self.data().triplets.len(),
            steps: of("steps") as usize,
            learning_rate: of("rate"),
            schedule: Schedule::Constant,
            weight_decay: of("weight_decay"),
            decay_vectors: true,
            betas: (of("beta1"), of("beta2")),
            epsilon: of("epsilon"),
            clip: 0.0,
            groups: vec![Group { pattern: IMAGE_ENCODER.into(), rate: 1.0, decay: 1.0 }],
            validate_every: 1000,
            checkpoint_every: 1000,
            ..Settings::sprc()
        }
    }

    /// Trains and compares each step's losses.
    fn follow(&self, form: Form, run: &str, settings: &Settings) -> Outcome {
        let (config, folder, train) = (self.config(form)?, tempfile::tempdir()?, self.data());
        let texts = self.reader(&config)?;
        let inputs = Inputs {
            config: &config,
            train: &train,
            validation: &train,
            features: &Pixels(&self.golden),
            unlabelled: None,
            texts: &texts,
            start: self.weights(form),
            understands: None,
            base_encoder: None,
            run: folder.path(),
            until: None,
        };
        finetune(settings, inputs, &mut |_| ())?;
        let (lines, mut table) = (journal(folder.path())?, Table::default());
        let expected = self.notes["losses"][run].as_array().unwrap();
        assert_eq!((lines.len(), expected.len()), (settings.steps, settings.steps));
        for (at, name) in ["q2t", "cc", "loss"].into_iter().enumerate() {
            let got: Vec<f32> = lines.iter().map(|step| step[name].as_f64().unwrap() as f32).collect();
            let wanted: Vec<f32> = expected.iter().map(|step| step[at].as_f64().unwrap() as f32).collect();
            assert!((wanted[0] - wanted[settings.steps - 1]).abs() > 0.05 * wanted[0], "{name} moves");
            table.relative(format!("{run}: {name} of {} steps", settings.steps), &got, &wanted, 3.0 * LIMIT);
        }
        table.finish(run)
    }
}

fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_to_vec().unwrap()
}

/// Of rows `[B, L, …]` with `each` values a token, those of each text's own tokens; `across`: L comes last.
fn unpadded(all: &[f32], [rows, length]: [usize; 2], each: usize, texts: &[Tokens], across: bool) -> Vec<f32> {
    let row = all.len() / rows;
    let of = |(at, tokens): (usize, &Tokens)| {
        let of_row = &all[at * row..(at + 1) * row];
        match across {
            true => of_row.chunks(length).flat_map(|chunk| chunk[..tokens.count()].to_vec()).collect::<Vec<f32>>(),
            false => of_row[..tokens.count() * each].to_vec(),
        }
    };
    texts.iter().enumerate().flat_map(of).collect()
}

#[test]
fn towers_fusion_and_pooling_are_context_cirs() -> Outcome {
    let (published, device, mut table) = (Published::read()?, Device::flex(), Table::default());
    for form in [Form::Code, Form::Paper] {
        let (config, mut tensors) = (published.config(form)?, published.weights(form));
        let encoder = weights::load(ImageEncoder::new(&config, &device), ENCODER_PREFIX, &mut tensors)?;
        let model = weights::load(Concept::new(&config, &device)?, "", &mut tensors)?;
        let (reader, data) = (published.reader(&config)?, published.data());
        let all: Vec<usize> = (0..data.images.len()).collect();
        let images = encoder.forward(Pixels(&published.golden).pixels(&all, &device)?);
        let references: Vec<i32> = data.triplets.iter().map(|t| t.reference as i32).collect();
        let count = references.len();
        let references = Tensor::<1, Int>::from_data(TensorData::new(references, [count]), &device);
        let reference = images.clone().select(0, references);
        let texts: Vec<Tokens> = data.triplets.iter().map(|t| reader.tokens(&t.text)).collect();
        let batch = reader.batch(&texts, &device);
        let text = model.read(&batch, &Noise::off());
        let l = batch.ids.dims()[1];
        let d = text.tokens.dims()[2];
        let mut compare = |name: &str, got: Vec<f32>, expected: Vec<f32>| {
            table.absolute(
                format!("{name}, {}", if form == Form::Code { "code" } else { "paper" }),
                &got,
                &expected,
                LIMIT,
            );
        };
        let golden = |name: &str| published.golden.get(name).unwrap();
        let prefix = if form == Form::Code { "out." } else { "out.paper." };
        if form == Form::Code {
            compare("image tokens", values(images), golden("out.vision").data.clone());
            let wanted = golden("out.text");
            let expected = unpadded(&wanted.data, [count, wanted.shape[1]], d, &texts, false);
            compare("text tokens", unpadded(&values(text.tokens.clone()), [count, l], d, &texts, false), expected);
        }
        let mut seen = Vec::new();
        let fused = model.fuse(reference.clone(), &text, Some(&mut seen));
        compare("fused tokens", values(fused.clone()), golden(&format!("{prefix}fused")).data.clone());
        if form == Form::Code {
            compare("pooled", values(model.pool.forward(fused)), golden("out.pooled").data.clone());
        }
        let (query, weights) = model.query_with_weights(reference.clone(), &text);
        let wanted = golden(&format!("{prefix}weights"));
        let expected = unpadded(&wanted.data, [count, wanted.shape[2]], 0, &texts, true);
        compare("attention's weights", unpadded(&values(weights), [count, l], 0, &texts, true), expected.clone());
        // What "why this" is made of: the same weights, and shares.
        let told = model.attention(&reference, &batch).ok_or("the family tells its attention")?;
        compare("attention that is told", unpadded(&values(told.pairs), [count, l], 0, &texts, true), expected);
        for shares in [told.image, told.text] {
            compare("sum of shares", values(shares.sum_dim(1)), vec![1.0; count]);
        }
        let expected = &golden(&format!("{prefix}query")).data;
        compare("queries with weights", values(query), expected.clone());
        compare("queries", values(model.query(Some(&reference), &batch, &Noise::off())), expected.clone());
        let silence = reader.batch([&reader.tokens("")], &device);
        let targets = model.target(&reference, count, &silence, &Noise::off());
        compare("targets", values(targets), golden(&format!("{prefix}target")).data.clone());
    }
    table.finish("ConText-CIR")
}

/// A step's losses and gradients without an update.
fn step(published: &Published, own: ConceptSettings) -> Outcome<(BTreeMap<String, Vec<f32>>, f64, f64)> {
    let (config, settings) = (published.config(Form::Code)?, published.settings(own.clone()));
    let (train, texts) = (published.data(), published.reader(&config)?);
    let (features, tokenized) = (Pixels(&published.golden), Tokenized::new(&texts, &train));
    let rows: Vec<usize> = (0..train.images.len()).collect();
    let device = Device::flex().autodiff();
    let groups = settings.groups_in_force();
    let mut objective = ConceptObjective::new(&own, &config)?;
    let learner = Learner::new(objective.model(&device)?, &config, &groups, &device);
    let learner = learner.load(&mut published.weights(Form::Code))?.freeze(&groups);
    let context = Context {
        settings: &settings,
        config: &config,
        train: &train,
        features: &features,
        rows: &rows,
        texts: &tokenized,
        unlabelled: None,
    };
    objective.prepare(&learner.model, &context, &Device::flex())?;
    let task = Step { context: &context, objective: &objective, peers: &Alone, device: &device };
    let batch: Vec<u32> = (0..train.triplets.len() as u32).collect();
    let (found, figures) = task.gradients(&learner, &batch[..], 0)?;
    let read = found.iter().map(|(name, g)| (name.to_owned(), values(g.clone()))).collect();
    Ok((read, figures.get("cc").unwrap(), figures.get("q2t").unwrap()))
}

#[test]
fn concept_consistency_and_all_gradients_are_the_codes() -> Outcome {
    let (published, mut table) = (Published::read()?, Table::default());
    for slack in ["0.0", "0.01"] {
        let own = ConceptSettings { slack: slack.parse()?, ..published.own(Form::Code) };
        let (found, cc, q2t) = step(&published, own)?;
        let wanted = published.notes["cc"][slack].as_f64().unwrap();
        table.absolute(format!("L_cc, slack {slack}"), &[cc as f32], &[wanted as f32], LIMIT);
        if slack != "0.01" {
            continue;
        }
        let first = &published.notes["losses"]["code"][0];
        table.relative("L_cont", &[q2t as f32], &[first[0].as_f64().unwrap() as f32], LIMIT);
        let largest = published.golden.gradients().flat_map(|(_, v)| &v.data).fold(0.0_f32, |m, x| m.max(x.abs()));
        let mut compared = 0;
        for (name, expected) in published.golden.gradients() {
            let got = &found[name];
            let apart = got.iter().zip(&expected.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            table.add(format!("gradient of {name}, of the largest"), apart / largest, LIMIT);
            compared += 1;
        }
        // Every parameter but those that a softmax does not feel.
        assert!(compared > 70 && found.len() >= compared, "{compared} of {}", found.len());
    }
    table.finish("ConText-CIR's losses")
}

#[test]
fn both_towers_training_is_followed_step_by_step() -> Outcome {
    let published = Published::read()?;
    for (form, run) in [(Form::Code, "code"), (Form::Paper, "paper")] {
        let settings = published.settings(published.own(form));
        published.follow(form, run, &settings)?;
        // In pieces, and on two devices, the same steps.
        for (sub_batch, devices) in [(2, 1), (0, 2), (1, 2)] {
            published.follow(form, run, &Settings { sub_batch, devices, ..settings.clone() })?;
        }
    }
    Ok(())
}
