//! The modification-text generator of MTST: its language model, its training, and texts for pairs by the hundred thousand.
//!
//! Letters besides the model crate's: `W` width of the decoder, `V` its vocabulary.

#![forbid(unsafe_code)]

pub mod filters;
pub mod language;
pub mod mtst;
pub mod overlap;
pub mod produce;
pub mod quality;
pub mod round_trip;
pub mod runtime;
pub mod sentencepiece;
pub mod speaker;
pub mod start;
pub mod texts;
pub mod train;

pub use language::{About, Arithmetic, Language};
pub use speaker::{Speaker, Trained};

use crate::mtst::MtstConfig;
use crate::runtime::LlamaConfig;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};

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

impl Setup {
    /// As a checkpoint's header holds it; `path` is where it is to be written.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a size is not a finite number.
    pub fn described(&self, path: &Path) -> Result<Value> {
        // By way of text, which gives f32 sizes in their own few digits.
        let value = serde_json::to_string(self).and_then(|text| serde_json::from_str(&text));
        value.map_err(|e| wrong(path, &e))
    }

    /// The setup in a checkpoint's header; `path` is the checkpoint's.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a field is missing or has another type.
    pub fn read(described: &Value, path: &Path) -> Result<Self> {
        Self::deserialize(described).map_err(|e| wrong(path, &e))
    }

    /// Whether two descriptions are of the same setup, one of them perhaps of a version that did not write every field.
    pub fn same(a: &Value, b: &Value) -> bool {
        matches!((Self::deserialize(a), Self::deserialize(b)), (Ok(a), Ok(b)) if a == b)
    }
}

fn wrong(path: &Path, e: &serde_json::Error) -> TrainerError {
    let problem = format!("what it says of its generator cannot be read ({e})");
    TrainerError::checkpoint(path.display().to_string(), problem, "train it again with this version")
}
