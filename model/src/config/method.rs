//! Which method family, with its architecture.

use super::{RetrievalConfig, TwoPassConfig};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A method family and its architecture; a family is one arm here and one in [`AnyMethod`](crate::method::AnyMethod).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MethodConfig {
    /// SPRC, PTHA, SPN4CIR: one Q-Former fuses image and text, then reads its own output before the text again.
    TwoPass(TwoPassConfig),
}

impl MethodConfig {
    /// The family's name, as in a configuration file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::TwoPass(_) => "two-pass",
        }
    }

    /// The architecture in one line, for people.
    pub fn summary(&self) -> String {
        match self {
            Self::TwoPass(config) => format!("{} layers of {}", config.qformer.layers, config.qformer.width),
        }
    }

    /// Checks the family's fields against the rest of the configuration.
    pub(super) fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        match self {
            Self::TwoPass(config) => config.check(place, whole),
        }
    }

    /// Values that stand for an image of `tokens` tokens (T) between [`Method::image`](crate::method::Method::image) and a
    /// query.
    pub fn image_values(&self, tokens: usize) -> usize {
        match self {
            // Keys and values in every block that looks at the image.
            Self::TwoPass(config) => {
                let q = &config.qformer;
                2 * tokens * q.width * q.layers.div_ceil(q.cross_attention_every)
            }
        }
    }

    /// Dropout during training.
    pub fn dropout(&self) -> f64 {
        match self {
            Self::TwoPass(config) => config.qformer.dropout,
        }
    }

    /// Whether the method reads every text at its full length L, padding too.
    pub fn reads_padding(&self) -> bool {
        match self {
            Self::TwoPass(config) => config.second_pass_mask == super::SecondPassMask::AllOnes,
        }
    }
}
