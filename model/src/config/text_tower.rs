//! Text encoders of dual encoders: CLIP's causal tower, and BERT (BLIP's, MiniLM's).

use super::budget::{MAX_LAYERS, Size, product};
use super::{Activation, check_count, check_counts, wrong};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A text encoder from word embeddings to one projected row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TextTowerConfig {
    /// CLIP's and OpenCLIP's: causal, pre-norm, read out at the end token, projected without a bias.
    Clip(ClipTowerConfig),
    /// BERT: post-norm, every token sees every other, projected with a bias.
    Bert(BertTowerConfig),
}

/// CLIP's text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipTowerConfig {
    /// Blocks.
    pub layers: usize,
    /// D.
    pub width: usize,
    /// H; divides D.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// Of the feed-forward networks (OpenAI: QuickGELU; most of OpenCLIP's: exact GELU).
    #[serde(default = "quick_gelu")]
    pub activation: Activation,
    /// Rows of the position table (CLIP: 77).
    pub positions: usize,
}

/// BERT without its token types, which one-text models fold into the positions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BertTowerConfig {
    /// Blocks.
    pub layers: usize,
    /// D.
    pub width: usize,
    /// H; divides D.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// Width of the word embedding table; a linear map leads to D where it differs (default: D).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub word_width: Option<usize>,
    /// Rows of the position table (BERT: 512).
    pub positions: usize,
    /// What is projected.
    #[serde(default)]
    pub read_out: TextReadOut,
    /// Layer norm epsilon (BERT: 1e-12).
    #[serde(default = "bert_eps")]
    pub layer_norm_eps: f64,
}

/// How a text of L tokens becomes one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextReadOut {
    /// Position 0, `[CLS]` (BLIP).
    #[default]
    Cls,
    /// The mean of the text's tokens, marks among them, padding not (MiniLM).
    Mean,
}

/// Epsilon of CLIP's norms.
pub(crate) const CLIP_EPS: f64 = 1e-5;

fn quick_gelu() -> Activation {
    Activation::QuickGelu
}

fn bert_eps() -> f64 {
    1e-12
}

impl TextTowerConfig {
    /// D, the width of word embeddings where they enter the tower; a pseudo-word has this width.
    pub fn width(&self) -> usize {
        self.measures().1
    }

    /// Blocks.
    pub fn layers(&self) -> usize {
        self.measures().0
    }

    /// H.
    pub fn heads(&self) -> usize {
        self.measures().2
    }

    /// Width of the feed-forward networks.
    pub fn intermediate(&self) -> usize {
        self.measures().3
    }

    /// Rows of the position table.
    pub fn positions(&self) -> usize {
        match self {
            Self::Clip(tower) => tower.positions,
            Self::Bert(tower) => tower.positions,
        }
    }

    /// Layers, D, H and the width of the feed-forward networks.
    fn measures(&self) -> (usize, usize, usize, usize) {
        match self {
            Self::Clip(t) => (t.layers, t.width, t.heads, t.intermediate),
            Self::Bert(t) => (t.layers, t.width, t.heads, t.intermediate),
        }
    }

    /// Width of the word embedding table.
    fn word_width(&self) -> usize {
        match self {
            Self::Clip(tower) => tower.width,
            Self::Bert(tower) => tower.word_width.unwrap_or(tower.width),
        }
    }

    /// Checks the fields of the tower `field` of the configuration `place`, for texts of `length` tokens (L).
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) that names the field.
    pub fn check(&self, place: &str, field: &str, length: usize) -> Result<()> {
        let (layers, width, heads, intermediate) = self.measures();
        let of = |leaf: &str| format!("{field}.{leaf}");
        let counts = [
            ("width", width),
            ("heads", heads),
            ("intermediate", intermediate),
            ("positions", self.positions()),
            ("word_width", self.word_width()),
        ];
        counts.iter().try_for_each(|(leaf, count)| check_counts(place, &[(&of(leaf), *count)]))?;
        check_count(place, &of("layers"), layers, MAX_LAYERS)?;
        if !width.is_multiple_of(heads) {
            return wrong(place, &of("heads"), format!("{heads} heads do not divide a width of {width}"));
        }
        if self.positions() < length {
            let problem = format!("{} positions do not hold {length} text tokens", self.positions());
            return wrong(place, &of("positions"), problem);
        }
        match self {
            Self::Bert(tower) if !(0.0..=1.0).contains(&tower.layer_norm_eps) => {
                wrong(place, &of("layer_norm_eps"), format!("{:e} is not in [0, 1]", tower.layer_norm_eps))
            }
            _ => Ok(()),
        }
    }

    /// Its parameters, with `vocabulary` word embeddings and, where texts are read as one row, a projection to `projection` (P).
    pub fn size(&self, vocabulary: usize, projection: Option<usize>) -> Size {
        let (width, words) = (self.width(), self.word_width());
        let tables = Size::table(vocabulary, words) + Size::table(self.positions(), width);
        let lead = if words == width { Size::default() } else { Size::linear(words, width) };
        let map = match (self, projection) {
            (_, None) => Size::default(),
            (Self::Clip(_), Some(projection)) => Size::table(width, projection),
            (Self::Bert(_), Some(projection)) => Size::linear(width, projection),
        };
        tables + lead + Size::norm(width) + self.blocks() + map
    }

    fn blocks(&self) -> Size {
        let (layers, width, _, intermediate) = self.measures();
        let maps = Size::linear(width, width).times(4)
            + Size::linear(width, intermediate)
            + Size::linear(intermediate, width)
            + Size::norm(width).times(2);
        maps.times(layers)
    }

    /// Values of its largest array for one text of `length` tokens (L).
    pub fn activation(&self, length: usize) -> u64 {
        let (_, width, heads, intermediate) = self.measures();
        let widest = width.max(intermediate).max(self.word_width()).max(heads.saturating_mul(length));
        product(&[length, widest])
    }

    /// Multiplications for one text of `length` tokens (L).
    pub fn work(&self, length: usize) -> u64 {
        let (layers, width, ..) = self.measures();
        let attention = product(&[2, length, length, width, layers]);
        self.blocks().parameters.saturating_mul(length as u64).saturating_add(attention)
    }
}
