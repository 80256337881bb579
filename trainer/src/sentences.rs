//! Sentences as vectors: all-MiniLM-L6-v2, the mean of its tokens, L2-normalised.

use crate::embed;
use crate::error::{Result, TrainerError};
use crate::{fsx, import};
use burn::tensor::Device;
use std::collections::HashMap;
use std::path::Path;
use thisbut_model::config::{BertTowerConfig, TextReadOut, TextTowerConfig};
use thisbut_model::nn::{Noise, TextBatch, TextTower};
use thisbut_model::text::WordPiece;
use thisbut_model::weights::{self, Tensors};

/// The weights' file in the weights folder.
pub(crate) const WEIGHTS: &str = "minilm.safetensors";
/// The vocabulary's file there.
pub(crate) const VOCABULARY: &str = "vocab.txt";
/// Width of a sentence's vector.
pub const WIDTH: usize = 384;
/// Tokens that are read of a sentence; the model was trained with as many.
const LENGTH: usize = 256;
/// Sentences that are encoded together.
const BATCH: usize = 64;
/// Vectors that are kept for sentences that come again.
const KEPT: usize = 1 << 17;

/// Sizes of all-MiniLM-L6-v2.
fn sizes() -> BertTowerConfig {
    BertTowerConfig {
        layers: 6,
        width: WIDTH,
        heads: 12,
        intermediate: 4 * WIDTH,
        word_width: None,
        positions: 512,
        read_out: TextReadOut::Mean,
        layer_norm_eps: 1e-12,
    }
}

/// The sentence encoder.
pub struct Sentences {
    tower: TextTower,
    words: WordPiece,
    device: Device,
    kept: HashMap<String, Vec<f32>>,
    /// SHA-256 of its weights.
    pub fingerprint: String,
    /// SHA-256 of its vocabulary.
    pub vocabulary: String,
}

impl Sentences {
    /// The encoder of the weights folder, as `thisbut fetch small` fills it.
    ///
    /// # Errors
    /// When a file is missing or is another model's.
    pub fn load(folder: &Path, device: &Device) -> Result<Self> {
        let path = folder.join(WEIGHTS);
        if !path.is_file() {
            let mend = "run `thisbut fetch small`, or name the folder with --weights";
            return Err(TrainerError::checkpoint(
                path.display().to_string(),
                "the sentence encoder is not there",
                mend,
            ));
        }
        let vocabulary = fsx::read_text(&folder.join(VOCABULARY), fsx::SMALL)?;
        let words = WordPiece::from_vocab(&vocabulary)?;
        let mut tensors = tower(import::read(&path)?);
        let config = TextTowerConfig::Bert(sizes());
        let tower = TextTower::new(&config, words.vocab_size(), None, device);
        let tower = weights::load(tower, "", &mut tensors)?;
        let fingerprint = fsx::sha256_of(&path)?;
        let vocabulary = fsx::sha256_hex(vocabulary.as_bytes());
        Ok(Self { tower, words, device: device.clone(), kept: HashMap::new(), fingerprint, vocabulary })
    }

    /// Vectors of sentences, `WIDTH` numbers each, of length 1.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn encode(&mut self, sentences: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut new: Vec<&str> = sentences.iter().copied().filter(|text| !self.kept.contains_key(*text)).collect();
        new.sort_unstable_by_key(|text| (text.len(), *text));
        new.dedup();
        if self.kept.len() + new.len() > KEPT {
            self.kept.clear();
            new = sentences.to_vec();
            new.sort_unstable_by_key(|text| (text.len(), *text));
            new.dedup();
        }
        for batch in new.chunks(BATCH) {
            let rows = self.rows(batch)?;
            self.kept.extend(batch.iter().map(|text| (*text).to_owned()).zip(rows));
        }
        let vector = |text: &&str| match self.kept.get(*text) {
            Some(vector) => vector.clone(),
            None => unreachable!("every sentence is encoded"),
        };
        Ok(sentences.iter().map(vector).collect())
    }

    fn rows(&self, sentences: &[&str]) -> Result<Vec<Vec<f32>>> {
        let tokens = sentences.iter().map(|text| self.words.encode(text, LENGTH));
        let tokens: Vec<_> = tokens.map(|tokens| (tokens.ids, tokens.mask)).collect();
        let batch = TextBatch::new(&tokens, &self.device);
        let rows = self.tower.forward(self.tower.words(batch.ids), batch.bias, batch.ends, &Noise::off());
        let values = embed::read(rows)?;
        Ok(values.chunks(WIDTH).map(normalised).collect())
    }
}

/// A vector of length 1 in the same direction.
pub fn normalised(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter().map(|x| x / norm).collect()
}

/// The cosine of a + b and c.
pub fn sum_similarity(a: &[f32], b: &[f32], c: &[f32]) -> f32 {
    let sum: Vec<f32> = a.iter().zip(b).map(|(a, b)| a + b).collect();
    normalised(&sum).iter().zip(&normalised(c)).map(|(x, y)| x * y).sum()
}

/// The tensors of a BERT checkpoint by the tower's names. Its vectors are read without a map behind the mean.
fn tower(source: Tensors) -> Tensors {
    let (tensors, _) = weights::published::qformer(source);
    let name = |name: String| {
        let name = name.strip_prefix("qformer.").map(str::to_owned).unwrap_or(name);
        match name.strip_prefix("blocks.") {
            Some(rest) => format!("layers.{}", rest.replace(".text.", ".feed.")),
            None => name,
        }
    };
    tensors.into_iter().map(|(key, value)| (name(key), value)).collect()
}
