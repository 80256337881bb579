//! Sizes of a Llama-architecture decoder, from GGUF metadata or a Hugging Face `config.json`.

use super::gguf::Gguf;
use serde::{Deserialize, Serialize};
use thisbut_model::error::{ModelError, Result};

/// A decoder's sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LlamaConfig {
    /// V, rows of the token table.
    pub vocabulary: usize,
    /// W.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divide the query heads (grouped-query attention).
    pub key_heads: usize,
    /// Width of one head; even.
    pub head_width: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// Positions that it was made for.
    pub positions: usize,
    /// Base of the rotary angles.
    pub rope_base: f32,
    /// Epsilon of RMSNorm.
    pub norm_eps: f32,
    /// Whether the token table is the output map too.
    pub tied: bool,
}

/// The part of `config.json` that matters.
#[derive(Deserialize)]
struct HuggingFace {
    #[serde(default)]
    model_type: String,
    hidden_size: Option<usize>,
    intermediate_size: Option<usize>,
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: Option<usize>,
    #[serde(default = "positions")]
    max_position_embeddings: usize,
    #[serde(default = "eps")]
    rms_norm_eps: f32,
    rope_theta: Option<f32>,
    /// What transformers before 5 writes of angles that are not the plain ones.
    rope_scaling: Option<Rotary>,
    /// What transformers 5 writes in the place of `rope_theta` and `rope_scaling`.
    rope_parameters: Option<Rotary>,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: Option<String>,
    text_config: Option<Box<HuggingFace>>,
}

/// How rotary angles are made.
#[derive(Deserialize)]
struct Rotary {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f32>,
    partial_rotary_factor: Option<f32>,
}

impl Rotary {
    fn plain(&self) -> bool {
        self.rope_type.as_deref().is_none_or(|kind| kind == "default")
            && self.partial_rotary_factor.is_none_or(|f| f == 1.0)
    }
}

fn positions() -> usize {
    2048
}

fn eps() -> f32 {
    1e-6
}

fn base() -> f32 {
    10_000.0
}

impl LlamaConfig {
    /// Reads a Hugging Face `config.json` of a Llama model, or of an InstructBLIP model around one.
    ///
    /// # Errors
    /// [`ModelError::Config`] when it is not that, or a size makes no sense.
    pub fn from_hugging_face(json: &str, place: &str) -> Result<Self> {
        let wrong = |problem: String| ModelError::Config {
            place: place.to_owned(),
            problem,
            mend: "give the config.json of a Llama model".into(),
        };
        let mut config: HuggingFace = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        if let Some(text) = config.text_config.take() {
            config = *text;
        }
        if config.model_type != "llama" {
            return Err(wrong(format!("its architecture is '{}', not llama", config.model_type)));
        }
        let rotary = || config.rope_scaling.iter().chain(&config.rope_parameters);
        let activation = config.hidden_act.as_deref().unwrap_or("silu");
        for (asks, what) in [
            (!rotary().all(Rotary::plain), "scaled rotary angles"),
            (config.attention_bias, "biases of the attention's maps"),
            (config.mlp_bias, "biases of the feed-forward maps"),
            (activation != "silu", "another activation than SiLU"),
        ] {
            if asks {
                return Err(wrong(format!("it asks for {what}, which is not supported")));
            }
        }
        let rope_base = rotary().find_map(|r| r.rope_theta).or(config.rope_theta).unwrap_or_else(base);
        let needed = |value: Option<usize>, name: &str| value.ok_or_else(|| wrong(format!("{name} is missing")));
        let width = needed(config.hidden_size, "hidden_size")?;
        let heads = needed(config.num_attention_heads, "num_attention_heads")?;
        let sizes = Self {
            vocabulary: needed(config.vocab_size, "vocab_size")?,
            width,
            layers: needed(config.num_hidden_layers, "num_hidden_layers")?,
            heads,
            key_heads: config.num_key_value_heads.unwrap_or(heads),
            head_width: config.head_dim.unwrap_or(width / heads.max(1)),
            intermediate: needed(config.intermediate_size, "intermediate_size")?,
            positions: config.max_position_embeddings,
            rope_base,
            norm_eps: config.rms_norm_eps,
            tied: config.tie_word_embeddings,
        };
        sizes.check(place)?;
        Ok(sizes)
    }

    /// Reads the metadata of a GGUF file.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file is of another architecture or lacks a size, [`ModelError::Config`] when a size
    /// makes no sense.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let architecture = file.text("general.architecture").unwrap_or("unknown");
        if architecture != "llama" {
            let shown: String = architecture.chars().take(40).collect();
            return Err(file.wrong(format!("its architecture is '{shown}', not llama")));
        }
        let lacks = |key: &str| file.wrong(format!("{key} is missing or no number"));
        let whole = |key: &str| file.whole(key).ok_or_else(|| lacks(key));
        let scaling = file.text("llama.rope.scaling.type").is_some_and(|kind| kind != "none");
        if scaling || file.dims("rope_freqs.weight").is_some() {
            return Err(file.wrong("it asks for scaled rotary angles, which are not supported"));
        }
        let (width, heads) = (whole("llama.embedding_length")?, whole("llama.attention.head_count")?);
        let head_width = file.whole("llama.attention.key_length").unwrap_or(width / heads.max(1));
        if file.whole("llama.rope.dimension_count").is_some_and(|n| n != head_width) {
            return Err(file.wrong("it turns only a part of each head, which is not supported"));
        }
        let eps = "llama.attention.layer_norm_rms_epsilon";
        let tokens = file.dims("token_embd.weight").and_then(|dims| dims.first().copied());
        let sizes = Self {
            vocabulary: tokens.ok_or_else(|| file.wrong("tensor 'token_embd.weight' is missing"))?,
            width,
            layers: whole("llama.block_count")?,
            heads,
            key_heads: file.whole("llama.attention.head_count_kv").unwrap_or(heads),
            head_width,
            intermediate: whole("llama.feed_forward_length")?,
            positions: whole("llama.context_length")?,
            rope_base: file.float("llama.rope.freq_base").map_or_else(base, |x| x as f32),
            norm_eps: file.float(eps).ok_or_else(|| lacks(eps))? as f32,
            tied: file.dims("output.weight").is_none(),
        };
        sizes.check(file.place())?;
        Ok(sizes)
    }

    /// Checks every size; `place` names the configuration in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self, place: &str) -> Result<()> {
        let wrong = |field: &str, problem: String| {
            Err(ModelError::Config {
                place: format!("{place}: {field}"),
                problem,
                mend: "give the file of a Llama model".into(),
            })
        };
        let sizes = [
            ("vocabulary", self.vocabulary, 1 << 24),
            ("width", self.width, 1 << 17),
            ("layers", self.layers, 1 << 10),
            ("heads", self.heads, 1 << 12),
            ("key and value heads", self.key_heads, 1 << 12),
            ("head width", self.head_width, 1 << 12),
            ("feed-forward width", self.intermediate, 1 << 19),
            ("positions", self.positions, 1 << 28),
        ];
        for (field, value, most) in sizes {
            if value == 0 || value > most {
                return wrong(field, format!("{value} is not between 1 and {most}"));
            }
        }
        // Norms have their values before a file gives any: 128 MiB at most.
        if (2 * self.layers + 1).saturating_mul(self.width) > 1 << 25 {
            return wrong("layers", format!("{} layers of width {} are too many together", self.layers, self.width));
        }
        if !self.heads.is_multiple_of(self.key_heads) {
            return wrong("heads", format!("{} do not divide into {} groups", self.heads, self.key_heads));
        }
        if !self.head_width.is_multiple_of(2) {
            return wrong("head width", format!("{} is not even", self.head_width));
        }
        let base = self.rope_base >= 1.0 && self.rope_base.is_finite();
        let eps = self.norm_eps > 0.0 && self.norm_eps < 1.0;
        if !(base && eps) {
            return wrong("rotary base or epsilon", format!("{} and {} make no sense", self.rope_base, self.norm_eps));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn sizes_are_bounded_one_by_one_and_together() {
        let config = |layers: u64, width: u64| {
            let json = format!(
                r#"{{"model_type": "llama", "hidden_size": {width}, "intermediate_size": 160, "num_hidden_layers": {layers},
                "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 64}}"#
            );
            LlamaConfig::from_hugging_face(&json, "config.json").map_err(|e| e.to_string())
        };
        // Llama 3.1's largest.
        assert!(config(126, 1 << 14).is_ok());
        assert!(config(1024, 1 << 14).unwrap_err().contains("too many together"));
        for (layers, width) in [(1 << 20, 64), (u64::MAX, 64), (2, 1 << 33), (2, u64::MAX), (0, 64), (2, 0)] {
            assert!(config(layers, width).unwrap_err().starts_with("config.json: "), "{layers} {width}");
        }
    }
}
