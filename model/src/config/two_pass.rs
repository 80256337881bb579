//! The two-pass Q-Former of SPRC, PTHA and SPN4CIR.

use super::{FamilyConfig, MethodConfig, RetrievalConfig, check_counts, wrong};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// E_M and E_T: one Q-Former, two passes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwoPassConfig {
    /// The Q-Former.
    pub qformer: QFormerConfig,
    /// Start of the learnable temperature τ, a divisor of the cosine (SPRC: 0.07).
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// How f_q is read from the second pass.
    #[serde(default)]
    pub read_out: ReadOut,
    /// What the second pass attends to.
    #[serde(default)]
    pub second_pass_mask: SecondPassMask,
    /// Whether the second pass has a Q-Former of its own (SPN4CIR's second stage trains a copy while the first pass stays as
    /// it is); the papers share one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_second_pass: bool,
}

fn default_temperature() -> f64 {
    0.07
}

impl FamilyConfig for TwoPassConfig {
    fn name(&self) -> &'static str {
        "two-pass"
    }

    fn summary(&self) -> String {
        format!("{} layers of {}", self.qformer.layers, self.qformer.width)
    }

    fn dropout(&self) -> f64 {
        self.qformer.dropout
    }

    fn set_dropout(&mut self, share: f64) {
        self.qformer.dropout = share;
    }

    fn set_temperature(&mut self, temperature: f64) {
        self.temperature = temperature;
    }

    fn reads_padding(&self) -> bool {
        self.second_pass_mask == SecondPassMask::AllOnes
    }

    fn projections(&self) -> &'static [&'static str] {
        &["text_projection", "vision_projection"]
    }

    fn image_values(&self, tokens: usize) -> usize {
        // Keys and values in every block that looks at the image.
        let q = &self.qformer;
        2 * tokens * q.width * q.layers.div_ceil(q.cross_attention_every)
    }

    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        let q = &self.qformer;
        q.check(place, whole.text.length())?;
        match q.query_tokens == whole.target_tokens {
            true => Ok(()),
            false => {
                let problem = format!("{} target tokens of {} query tokens", whole.target_tokens, q.query_tokens);
                wrong(place, "target_tokens", problem)
            }
        }
    }
}

impl RetrievalConfig {
    /// The two-pass family's architecture.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the method is of another family.
    pub fn two_pass(&self) -> Result<&TwoPassConfig> {
        match &self.method {
            MethodConfig::TwoPass(config) => Ok(config),
            #[allow(unreachable_patterns, reason = "reachable with two families")]
            _ => Err(self.another_family("two-pass")),
        }
    }

    /// As [`RetrievalConfig::two_pass`], to be changed.
    ///
    /// # Errors
    /// As [`RetrievalConfig::two_pass`].
    pub fn two_pass_mut(&mut self) -> Result<&mut TwoPassConfig> {
        let refused = self.another_family("two-pass");
        match &mut self.method {
            MethodConfig::TwoPass(config) => Ok(config),
            #[allow(unreachable_patterns, reason = "reachable with two families")]
            _ => Err(refused),
        }
    }
}

/// The Q-Former.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerConfig {
    /// Blocks.
    pub layers: usize,
    /// D.
    pub width: usize,
    /// H; divides D.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// The number of query tokens and of prompt tokens; in the two-pass family it is N, the target tokens.
    pub query_tokens: usize,
    /// Every how many blocks one attends to the image; block 0 does (BLIP-2: 2).
    pub cross_attention_every: usize,
    /// Width of the word embedding table; a linear map leads to D where it differs (default: D).
    #[serde(default)]
    pub word_width: Option<usize>,
    /// Rows of the position table.
    pub positions: usize,
    /// Image tokens are mapped to this width once, before every block's keys and values (default: not at all).
    #[serde(default)]
    pub image_width: Option<usize>,
    /// Layer norm epsilon (BERT: 1e-12).
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// Dropout on embeddings and on each sub-block's output during training.
    #[serde(default = "default_dropout")]
    pub dropout: f64,
}

impl QFormerConfig {
    fn check(&self, place: &str, text_length: usize) -> Result<()> {
        let counts = [
            ("qformer.layers", self.layers),
            ("qformer.width", self.width),
            ("qformer.heads", self.heads),
            ("qformer.intermediate", self.intermediate),
            ("qformer.query_tokens", self.query_tokens),
            ("qformer.cross_attention_every", self.cross_attention_every),
        ];
        check_counts(place, &counts)?;
        if !self.width.is_multiple_of(self.heads) {
            let problem = format!("{} heads do not divide a width of {}", self.heads, self.width);
            return wrong(place, "qformer.heads", problem);
        }
        if self.positions < self.query_tokens + text_length {
            let problem = format!(
                "{} positions do not hold {} prompts and {text_length} text tokens",
                self.positions, self.query_tokens
            );
            return wrong(place, "qformer.positions", problem);
        }
        match (0.0..1.0).contains(&self.dropout) {
            true => Ok(()),
            false => wrong(place, "qformer.dropout", format!("{} is not in [0, 1)", self.dropout)),
        }
    }
}

fn default_eps() -> f64 {
    1e-12
}

fn default_dropout() -> f64 {
    0.1
}

/// How f_q `[B, P]` is read from the second pass's `[B, N + L, D]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOut {
    /// `[CLS]`, position N (paper eq. 7; SPRC; MTST_PTHA's inference code).
    #[default]
    Cls,
    /// Mean of the N prompt positions and `[CLS]` (paper, fine-tuning on CIRR; MTST_PTHA's training code).
    MeanPromptCls,
}

/// What the second pass attends to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondPassMask {
    /// Padding stays hidden (SPRC; MTST_PTHA's inference code).
    #[default]
    Padding,
    /// Everything is attended to, padding too (MTST_PTHA's training code).
    AllOnes,
}
