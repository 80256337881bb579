//! The two-pass Q-Former of SPRC, PTHA and SPN4CIR.

use super::budget::{Demand, MAX_LAYERS, Size, product};
use super::{FamilyConfig, MethodConfig, RetrievalConfig, check_count, check_counts, check_temperature, wrong};
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

    fn attention_dropout(&self) -> f64 {
        self.qformer.attention_dropout
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

    fn image_values(&self, tokens: usize, _: usize) -> usize {
        // Keys and values in every block that looks at the image.
        let q = &self.qformer;
        let values = product(&[2, tokens, q.width, q.layers.div_ceil(q.cross_attention_every)]);
        usize::try_from(values).unwrap_or(usize::MAX)
    }

    fn switches(&self) -> &'static [&'static str] {
        &[
            "temperature",
            "qformer.dropout",
            "qformer.attention_dropout",
            "read_out",
            "second_pass_mask",
            "own_second_pass",
        ]
    }

    fn demand(&self, whole: &RetrievalConfig) -> Demand {
        let (q, c) = (&self.qformer, whole.image_width());
        let (tokens, read) = (whole.image_tokens(), q.query_tokens.saturating_add(whole.text.length()));
        let cross = q.layers.div_ceil(q.cross_attention_every);
        let blocks = q.blocks(c);
        let passes = if self.own_second_pass { 2 } else { 1 };
        let qformer = blocks + q.tables(whole.text.vocabulary());
        let own = Size::norm(whole.image_encoder.own_width())
            + Size::table(q.query_tokens, q.width).times(2)
            + Size::values(1);
        let projections = Size::linear(q.width, whole.projection).times(2);
        let widest = q.width.max(q.intermediate).max(q.word_width.unwrap_or(0)).max(whole.projection);
        let seen = product(&[tokens, c.max(q.image_width.unwrap_or(0)).max(q.width)]);
        // Two passes over queries and text, one over the image's tokens.
        let attention = product(&[2, read, q.width])
            .saturating_mul(product(&[read, q.layers]).saturating_add(product(&[tokens, cross])));
        let rows = product(&[2, read]).saturating_add(tokens as u64);
        Demand {
            size: qformer.times(passes) + own + projections,
            activation: product(&[read, widest]).max(seen).max(self.image_values(tokens, whole.image_width()) as u64),
            work: blocks.parameters.saturating_mul(rows).saturating_add(attention),
        }
    }

    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        let q = &self.qformer;
        q.check(place, whole.text.length())?;
        check_temperature(place, self.temperature)?;
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
            _ => Err(self.another_family("two-pass")),
        }
    }

    /// The Q-Former of a family that has one: two-pass, matching.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the method is of a family without one.
    pub fn qformer(&self) -> Result<&QFormerConfig> {
        match &self.method {
            MethodConfig::TwoPass(config) => Ok(&config.qformer),
            MethodConfig::Matching(config) => Ok(&config.qformer),
            MethodConfig::PseudoWord(_) | MethodConfig::Concept(_) => Err(self.another_family("two-pass or matching")),
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
    /// Dropout on attention's weights during training (BERT: 0.1; default: none).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attention_dropout: f64,
}

impl QFormerConfig {
    /// Its blocks, over image tokens of width `source` (C), with what leads to them.
    pub(super) fn blocks(&self, source: usize) -> Size {
        let d = self.width;
        let attention = |source: usize| Size::linear(d, d).times(2) + Size::linear(source, d).times(2) + Size::norm(d);
        let feed = Size::linear(d, self.intermediate) + Size::linear(self.intermediate, d) + Size::norm(d);
        let looking =
            attention(self.image_width.unwrap_or(source)).times(self.layers.div_ceil(self.cross_attention_every));
        let lead = self.image_width.map_or(Size::default(), |width| Size::linear(source, width));
        (attention(d) + feed.times(2)).times(self.layers) + looking + lead
    }

    /// Its embeddings of `vocabulary` words and of positions.
    pub(super) fn tables(&self, vocabulary: usize) -> Size {
        let words = self.word_width.unwrap_or(self.width);
        let map = if words == self.width { Size::default() } else { Size::linear(words, self.width) };
        Size::table(vocabulary, words) + map + Size::table(self.positions, self.width) + Size::norm(self.width)
    }

    pub(super) fn check(&self, place: &str, text_length: usize) -> Result<()> {
        let counts = [
            ("qformer.layers", self.layers),
            ("qformer.width", self.width),
            ("qformer.heads", self.heads),
            ("qformer.intermediate", self.intermediate),
            ("qformer.query_tokens", self.query_tokens),
            ("qformer.cross_attention_every", self.cross_attention_every),
            ("qformer.positions", self.positions),
            ("qformer.word_width", self.word_width.unwrap_or(self.width)),
            ("qformer.image_width", self.image_width.unwrap_or(self.width)),
        ];
        check_counts(place, &counts)?;
        check_count(place, "qformer.layers", self.layers, MAX_LAYERS)?;
        if !(0.0..=1.0).contains(&self.layer_norm_eps) {
            return wrong(place, "qformer.layer_norm_eps", format!("{:e} is not in [0, 1]", self.layer_norm_eps));
        }
        if !self.width.is_multiple_of(self.heads) {
            let problem = format!("{} heads do not divide a width of {}", self.heads, self.width);
            return wrong(place, "qformer.heads", problem);
        }
        if self.positions < self.query_tokens.saturating_add(text_length) {
            let problem = format!(
                "{} positions do not hold {} prompts and {text_length} text tokens",
                self.positions, self.query_tokens
            );
            return wrong(place, "qformer.positions", problem);
        }
        for (field, share) in [("qformer.dropout", self.dropout), ("qformer.attention_dropout", self.attention_dropout)]
        {
            if !(0.0..1.0).contains(&share) {
                return wrong(place, field, format!("{share} is not in [0, 1)"));
            }
        }
        Ok(())
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(share: &f64) -> bool {
    *share == 0.0
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
    /// No second pass: the mean of the N tokens of the implicit prototype f_r2t (paper, table IVe, rows 1 and 2). The paper does
    /// not say how its tokens become one query; here their mean goes through the query's projection.
    Prototype,
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
