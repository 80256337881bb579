//! Adapters between the frozen parts of an image encoder: small maps that train in their place.

use super::budget::Size;
use super::wrong;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Adapters in the blocks of a frozen image encoder: `x + W_u GELU(W_d x)` (FashionBLIP-2, eq. 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterConfig {
    /// Width of the tokens over the width between the two maps, rounded down (paper: 16).
    #[serde(default = "default_factor")]
    pub factor: usize,
    /// Where in a block they stand.
    #[serde(default)]
    pub after: AdapterPlace,
    /// Whether both maps have a bias. The paper's equation has none, its source VL-Adapter's code has.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The first block that has some, counted from 0 (paper: 0, "into each transformer layer"). What stands before it is no part
    /// of a training step's graph.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from: usize,
}

fn default_factor() -> usize {
    16
}

fn yes() -> bool {
    true
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl Default for AdapterConfig {
    fn default() -> Self {
        Self { factor: default_factor(), after: AdapterPlace::default(), bias: yes(), from: 0 }
    }
}

/// What passes an adapter. The paper says "into each transformer layer" only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdapterPlace {
    /// Attention's and the feed-forward network's outputs, before they join the residual, as in VL-Adapter, which the paper follows.
    #[default]
    Both,
    /// Attention's.
    Attention,
    /// The feed-forward network's.
    FeedForward,
    /// The whole block's output, of a convolutional network: its blocks have neither.
    Block,
}

impl AdapterPlace {
    /// Those of a vision transformer; the first is the one that is meant where none is named.
    pub const TRANSFORMER: [Self; 3] = [Self::Both, Self::Attention, Self::FeedForward];
    /// Those of a convolutional network.
    pub const CONVOLUTIONAL: [Self; 1] = [Self::Block];

    /// Adapters of a block.
    pub fn count(self) -> usize {
        if self == Self::Both { 2 } else { 1 }
    }

    /// Whether attention's output passes one.
    pub fn is_after_attention(self) -> bool {
        matches!(self, Self::Both | Self::Attention)
    }

    /// Whether the feed-forward network's output passes one.
    pub fn is_after_feed_forward(self) -> bool {
        matches!(self, Self::Both | Self::FeedForward)
    }

    /// As a configuration spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Attention => "attention",
            Self::FeedForward => "feed-forward",
            Self::Block => "block",
        }
    }
}

impl AdapterConfig {
    /// What stands in every adapter's path of names, between dots.
    pub const NAME: &'static str = "adapters";

    /// Whether the parameter `name` is an adapter's.
    pub fn owns(name: &str) -> bool {
        name.split('.').any(|part| part == Self::NAME)
    }

    /// Width between the two maps, for tokens of `width` (C).
    pub fn bottleneck(&self, width: usize) -> usize {
        width / self.factor.max(1)
    }

    /// Whether the block at this place has some.
    pub fn stand_in(&self, block: usize) -> bool {
        block >= self.from
    }

    /// Of one block's, for tokens of `width` (C).
    pub(super) fn size(&self, width: usize) -> Size {
        let (inner, count) = (self.bottleneck(width), self.after.count());
        let biases = if self.bias { Size::values(inner) + Size::values(width) } else { Size::default() };
        (Size::table(width, inner) + Size::table(inner, width) + biases).times(count)
    }

    /// Checks them for an encoder whose blocks have outputs of `widths` and where adapters may stand at `places`.
    pub(super) fn check(&self, place: &str, places: &[AdapterPlace], widths: &[usize]) -> Result<()> {
        if !places.contains(&self.after) {
            let known: Vec<&str> = places.iter().map(|place| place.word()).collect();
            let problem =
                format!("an encoder of this kind has no place {:?}; there is {}", self.after.word(), known.join(", "));
            return wrong(place, "image_encoder.adapters.after", problem);
        }
        let Some(narrowest) = widths.iter().skip(self.from).min() else {
            let problem = format!("there is no block {}; the encoder has {}, counted from 0", self.from, widths.len());
            return wrong(place, "image_encoder.adapters.from", problem);
        };
        match self.factor == 0 || self.bottleneck(*narrowest) == 0 {
            true => {
                let problem = format!("{} is not between 1 and the width of {narrowest}", self.factor);
                wrong(place, "image_encoder.adapters.factor", problem)
            }
            false => Ok(()),
        }
    }
}
