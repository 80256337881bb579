//! The matching family: FashionBLIP-2, whose query and candidate are twelve rows each, compared pair by pair.

use super::budget::{Demand, Size, product};
use super::{FamilyConfig, MethodConfig, QFormerConfig, RetrievalConfig, check_counts, check_temperature, wrong};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A Q-Former, and how its outputs for a query and for a candidate are compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchingConfig {
    /// The Q-Former, whose n_q query tokens give x_q of image and text, and x_c of an image alone.
    pub qformer: QFormerConfig,
    /// n_t, the rows that token mixing makes of the n_q outputs (paper: 12).
    #[serde(default = "default_heads")]
    pub heads: usize,
    /// d_c, the width that channel mixing gives each of them (paper: 256).
    #[serde(default = "default_head_width")]
    pub head_width: usize,
    /// What is compared.
    #[serde(default)]
    pub score: MatchingScore,
    /// How a text alone, a caption, becomes rows of the same form.
    #[serde(default)]
    pub text_form: TextForm,
    /// τ, a divisor of the score. The paper prints none, which is 1.
    #[serde(default = "no_temperature")]
    pub temperature: f64,
    /// Directions of the whole row that are kept, in its place (default: the row itself). A model is trained without; axes are
    /// found from a gallery's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axes: Option<usize>,
}

/// What a query and a candidate are compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MatchingScore {
    /// The sum of n_t cosines after token and channel mixing (paper, eq. 2 to 4). The n_t rows stand behind each other as one
    /// row of P = n_t · d_c, each of length 1/√n_t: their dot product is the paper's score divided by n_t.
    #[default]
    Heads,
    /// The cosine of the outputs' means (paper, ablation "global"): P = D, and nothing is learned here.
    Global,
}

/// How a text without an image is read. The paper names a "text pool" for L_CTR and no form of its texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextForm {
    /// The query tokens stand before the text, without an image, and their n_q outputs are matched as an image's are: eq. 2 to 4
    /// need n_q of them.
    #[default]
    Queries,
    /// `[CLS]` of the text alone, as in BLIP-2's contrast of image and text: channel mixing makes it one row, which every head of
    /// a query is compared with.
    Cls,
}

fn default_heads() -> usize {
    12
}

fn default_head_width() -> usize {
    256
}

fn no_temperature() -> f64 {
    1.0
}

impl MatchingConfig {
    /// P: the numbers that stand for a query or an image.
    pub fn projection(&self) -> usize {
        self.axes.unwrap_or(self.row())
    }

    /// Those that the matching makes, of which axes may keep fewer.
    pub fn row(&self) -> usize {
        match self.score {
            MatchingScore::Heads => self.heads.saturating_mul(self.head_width),
            MatchingScore::Global => self.qformer.width,
        }
    }

    /// The cosines that the paper's score is the sum of.
    pub fn cosines(&self) -> usize {
        if self.score == MatchingScore::Heads { self.heads } else { 1 }
    }

    /// Of the two mixers.
    fn mixers(&self) -> Size {
        let q = &self.qformer;
        match self.score {
            MatchingScore::Heads => Size::table(q.query_tokens, self.heads) + Size::table(q.width, self.head_width),
            MatchingScore::Global => Size::default(),
        }
    }
}

impl FamilyConfig for MatchingConfig {
    fn name(&self) -> &'static str {
        "matching"
    }

    fn summary(&self) -> String {
        let q = &self.qformer;
        let score = match self.score {
            MatchingScore::Heads => format!("{} cosines of {}", self.heads, self.head_width),
            MatchingScore::Global => format!("one cosine of {}", q.width),
        };
        format!("{} layers of {}, {score}", q.layers, q.width)
    }

    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        self.qformer.check(place, whole.text.length())?;
        check_temperature(place, self.temperature)?;
        check_counts(place, &[("method.heads", self.heads), ("method.head_width", self.head_width)])?;
        if whole.target_tokens != 1 {
            let problem = format!("{} target tokens; an image has one row here", whole.target_tokens);
            return wrong(place, "target_tokens", problem);
        }
        if let Some(axes) = self.axes.filter(|axes| !(1..self.row()).contains(axes)) {
            return wrong(
                place,
                "method.axes",
                format!("{axes} of a row of {}; at least 1 and fewer than it", self.row()),
            );
        }
        match self.projection() {
            p if p == whole.projection => Ok(()),
            p => wrong(place, "projection", format!("{} where the matching makes rows of {p}", whole.projection)),
        }
    }

    fn demand(&self, whole: &RetrievalConfig) -> Demand {
        let (q, c, tokens) = (&self.qformer, whole.image_width(), whole.image_tokens());
        let read = q.query_tokens.saturating_add(whole.text.length());
        let blocks = q.blocks(c);
        let size = blocks
            + q.tables(whole.text.vocabulary())
            + Size::norm(whole.image_encoder.own_width())
            + Size::table(q.query_tokens, q.width)
            + self.mixers()
            + self.axes.map_or(Size::default(), |axes| Size::table(self.row(), axes))
            + Size::values(1);
        let widest = q.width.max(q.intermediate).max(q.word_width.unwrap_or(0));
        let seen = product(&[tokens, c.max(q.image_width.unwrap_or(0)).max(q.width)]);
        let cross = q.layers.div_ceil(q.cross_attention_every);
        // One pass over queries and text, one over the image's tokens.
        let attention = product(&[2, read, q.width])
            .saturating_mul(product(&[read, q.layers]).saturating_add(product(&[tokens, cross])));
        let mixing = product(&[q.query_tokens, q.width, self.heads]).saturating_add(product(&[
            self.heads,
            q.width,
            self.head_width,
        ]));
        let mixing = mixing.saturating_add(product(&[self.row(), self.axes.unwrap_or(0)]));
        let rows = (read as u64).saturating_add(tokens as u64);
        Demand {
            size,
            activation: product(&[read, widest])
                .max(seen)
                .max(product(&[self.heads, q.width.max(self.head_width)]))
                .max(self.image_values(tokens, c) as u64),
            work: blocks.parameters.saturating_mul(rows).saturating_add(attention).saturating_add(mixing),
        }
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
        false
    }

    fn projections(&self) -> &'static [&'static str] {
        // Each head is normalised by itself: no turn of all P dimensions is a change of one map.
        &[]
    }

    fn axes_mut(&mut self) -> Option<&mut Option<usize>> {
        Some(&mut self.axes)
    }

    fn image_values(&self, tokens: usize, _: usize) -> usize {
        let q = &self.qformer;
        let values = product(&[2, tokens, q.width, q.layers.div_ceil(q.cross_attention_every)]);
        usize::try_from(values).unwrap_or(usize::MAX)
    }

    fn switches(&self) -> &'static [&'static str] {
        &["temperature", "qformer.dropout", "qformer.attention_dropout", "text_form"]
    }

    fn kept_fine(&self) -> &'static [&'static str] {
        &["token_mixing", "channel_mixing", "query_tokens", "axes"]
    }
}

impl RetrievalConfig {
    /// The matching family's architecture.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the method is of another family.
    pub fn matching(&self) -> Result<&MatchingConfig> {
        match &self.method {
            MethodConfig::Matching(config) => Ok(config),
            _ => Err(self.another_family("matching")),
        }
    }

    /// As [`RetrievalConfig::matching`], to be changed.
    ///
    /// # Errors
    /// As [`RetrievalConfig::matching`].
    pub fn matching_mut(&mut self) -> Result<&mut MatchingConfig> {
        let refused = self.another_family("matching");
        match &mut self.method {
            MethodConfig::Matching(config) => Ok(config),
            _ => Err(refused),
        }
    }
}
