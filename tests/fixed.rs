//! Models with fixed pseudo-random weights: they answer nonsense, and always the same nonsense.

use burn::tensor::Device;
use std::collections::BTreeSet;
use thisbut_model::config::TextConfig;
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::weights::{self, Tensors};
use thisbut_model::{ModelError, RetrievalConfig};

/// Normal-ish values from a counter (splitmix64, sum of four uniforms), the same on every machine.
fn noise(seed: &mut u64) -> f32 {
    let mut uniform = || {
        *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = *seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 40) as f32 / (1 << 24) as f32
    };
    (uniform() + uniform() + uniform() + uniform() - 2.0) * 1.73
}

/// Every tensor of `config`'s model and image encoder.
///
/// # Errors
/// When the device does not give its values back.
pub fn tensors(config: &RetrievalConfig, device: &Device) -> Result<Tensors, ModelError> {
    let mut all = weights::collect(&ImageEncoder::new(config, device), ENCODER_PREFIX)?;
    all.extend(AnyMethod::new(config, device)?.collect(MODEL_PREFIX)?);
    let mut seed = 7;
    for (name, (dims, values)) in &mut all {
        let columns: usize = dims.iter().skip(1).product();
        if dims.len() > 1 || name.ends_with("class_token") {
            // Larger than a training would start with: scores have to lie apart.
            let scale = 1.5 / (columns as f32).sqrt();
            values.iter_mut().for_each(|value| *value = scale * noise(&mut seed));
        }
    }
    Ok(all)
}

/// The words of the tests' shapes.
const PLAIN: &str = "but with a an the in of and same this red green blue yellow black white round circle square triangle \
    ring cross corners smaller larger";

/// The vocabulary of a model's tokenizer that has the words of the tests' shapes.
pub fn vocabulary_of(config: &RetrievalConfig) -> String {
    match config.text {
        TextConfig::WordPiece { .. } => vocabulary(),
        TextConfig::Bpe { .. } => merges(),
    }
}

/// A list of merges that joins each of the words of the tests' shapes, and "photo", to one token.
pub fn merges() -> String {
    let (mut lines, mut made) = (vec!["#version: 0.2".to_owned()], BTreeSet::new());
    for word in PLAIN.split_whitespace().chain(["photo"]) {
        let last = word.len() - 1;
        let symbols = word.char_indices().map(|(at, c)| if at == last { format!("{c}</w>") } else { c.to_string() });
        symbols.reduce(|left, right| {
            let joined = format!("{left}{right}");
            if made.insert(joined.clone()) {
                lines.push(format!("{left} {right}"));
            }
            joined
        });
    }
    lines.join("\n") + "\n"
}

/// A vocabulary of letters, digits and the words of the tests' shapes.
pub fn vocabulary() -> String {
    let mut words: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map(String::from).to_vec();
    for letter in ('a'..='z').chain('0'..='9') {
        words.push(letter.into());
        words.push(format!("##{letter}"));
    }
    words.extend(PLAIN.split_whitespace().filter(|word| word.len() > 1).map(String::from));
    words.join("\n") + "\n"
}
