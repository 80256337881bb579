//! The modification-text generator of MTST: its language model, its training, and texts for pairs by the hundred thousand.

pub mod filters;
pub mod language;
pub mod overlap;
pub mod produce;
pub mod quality;
pub mod round_trip;
pub mod sentencepiece;
pub mod speaker;
pub mod start;
pub mod texts;
pub mod train;

pub use language::{About, Arithmetic, Language};
pub use speaker::{Speaker, Trained};

use serde::{Deserialize, Serialize};
use thisbut_model::generator::{LlamaConfig, MtstConfig};

/// What a generator's checkpoint says besides a Q-Former's: how it is put together, and around which language model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// How it is put together.
    pub mtst: MtstConfig,
    /// The language model's sizes.
    pub language: LlamaConfig,
    /// Fingerprint of its weights, so that a generator is not used with another.
    pub fingerprint: String,
    /// What its linear maps were computed in during training.
    #[serde(default)]
    pub arithmetic: Arithmetic,
}
