//! The small SPRC of `tests/golden/training.safetensors`: weights, images, texts and triplets of its runs.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use crate::upstream::{Golden, Outcome, golden_json, numbers};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;
use std::path::PathBuf;
use thisbut_model::RetrievalConfig;
use thisbut_model::text::TextReader;
use thisbut_model::weights::{self, Tensors};
use thisbut_trainer::data::{ImageEntry, Triplet, table};
use thisbut_trainer::error::Result;
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::train::objective::ObjectiveSettings;
use thisbut_trainer::train::objective::two_pass::TwoPassSettings;
use thisbut_trainer::train::settings::Settings;

/// What the golden runs were made with.
pub struct Published {
    /// Weights and images.
    pub golden: Golden,
    /// What is not a tensor.
    pub notes: Value,
    /// The tokenizer of its few words.
    pub texts: TextReader,
    /// The triplets.
    pub data: table::Table,
}

impl Published {
    /// Reads the files.
    ///
    /// # Errors
    /// When one is missing.
    pub fn read() -> Outcome<Self> {
        let (golden, notes) = (Golden::read("training.safetensors")?, golden_json("training.json")?);
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|word| word.as_str().map(str::to_owned)).collect()
        };
        let pairs: Vec<u32> = numbers(&notes["pairs"]).into_iter().map(|image| image as u32).collect();
        let triplets = pairs.chunks_exact(2).zip(strings(&notes["texts"])).enumerate().map(|(at, (pair, text))| {
            Triplet { id: at as u64, reference: pair[0], targets: vec![pair[1]], text, ..Triplet::default() }
        });
        let count = golden.get("input.images")?.shape[0] as u32;
        let images = (0..count).map(|at| ImageEntry { name: at.to_string(), path: PathBuf::new() }).collect();
        let data =
            table::Table { images, triplets: triplets.collect(), gallery: (0..count).collect(), ..Default::default() };
        let texts = TextReader::new(&config(false, 0.0, 0.0)?, &strings(&notes["words"]).join("\n"))?;
        Ok(Self { golden, notes, texts, data })
    }

    /// The starting weights by our names.
    ///
    /// # Errors
    /// When a key has no place.
    pub fn start(&self) -> Outcome<Tensors> {
        let named =
            self.golden.weights().map(|(name, v)| (name.to_owned(), (v.shape.clone(), v.data.clone()))).collect();
        let (tensors, unused) = weights::published::qformer(named);
        if unused.is_empty() { Ok(tensors) } else { Err(format!("keys without a place: {unused:?}").into()) }
    }

    /// A number of a golden run.
    ///
    /// # Panics
    /// When there is none.
    pub fn number(&self, run: &str, key: &str) -> f64 {
        self.notes[run][key].as_f64().unwrap()
    }

    /// What every run has in common: all triplets are one batch, so their order does not count.
    pub fn settings(&self, run: &str, own: TwoPassSettings) -> Settings {
        Settings {
            objective: ObjectiveSettings::TwoPass(own),
            batch: self.data.triplets.len(),
            steps: self.number(run, "steps") as usize,
            learning_rate: self.number(run, "rate"),
            weight_decay: self.number(run, "weight_decay"),
            clip: 0.0,
            validate_every: 1000,
            checkpoint_every: 1000,
            ..Settings::sprc()
        }
    }
}

impl ImageTokens for Published {
    fn row(&self, name: &str) -> Result<usize> {
        Ok(name.parse().unwrap())
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        let images = self.golden.get("input.images").unwrap();
        let [_, t, c] = images.shape[..] else { panic!("{:?}", images.shape) };
        let chosen: Vec<f32> =
            rows.iter().flat_map(|row| &images.data[row * t * c..(row + 1) * t * c]).copied().collect();
        Ok(Tensor::from_data(TensorData::new(chosen, [rows.len(), t, c]), device))
    }
}

/// The golden architecture.
///
/// # Errors
/// When it is refused.
pub fn config(own_second_pass: bool, dropout: f64, attention_dropout: f64) -> Outcome<RetrievalConfig> {
    let text = r#"{
            "name": "golden",
            "preprocess": { "size": 32, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [255, 255, 255],
                "background": [255, 255, 255], "mean": [127, 127, 127], "std": [128, 128, 128], "scale_to_unit": false },
            "image_encoder": { "kind": "patch", "patch": 8, "width": 24 },
            "qformer": { "layers": 4, "width": 32, "heads": 4, "intermediate": 48, "query_tokens": 32,
                "cross_attention_every": 2, "vocabulary": 60, "positions": 64 },
            "projection": 16, "text_length": 8
        }"#;
    let mut config = RetrievalConfig::parse(text, "the golden configuration")?;
    let own = config.two_pass_mut()?;
    own.own_second_pass = own_second_pass;
    (own.qformer.dropout, own.qformer.attention_dropout) = (dropout, attention_dropout);
    Ok(config)
}
