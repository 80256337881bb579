//! Which method family, with its architecture.

use super::{Demand, RetrievalConfig, TwoPassConfig};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// A method family and its architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MethodConfig {
    /// SPRC, PTHA, SPN4CIR: one Q-Former fuses image and text, then reads its own output before the text again.
    TwoPass(TwoPassConfig),
}

/// What the rest of the program asks of a family's architecture.
pub trait FamilyConfig {
    /// The family's name, as in a configuration file.
    fn name(&self) -> &'static str;

    /// The architecture in one line, for people.
    fn summary(&self) -> String;

    /// Checks the family's fields against the rest of the configuration, which `place` names in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) that names the field.
    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()>;

    /// What the method takes for one image with one text; every field was checked.
    fn demand(&self, whole: &RetrievalConfig) -> Demand;

    /// Dropout during training.
    fn dropout(&self) -> f64;

    /// Dropout on attention's weights during training.
    fn attention_dropout(&self) -> f64;

    /// Sets [`FamilyConfig::dropout`].
    fn set_dropout(&mut self, share: f64);

    /// Sets τ at the start.
    fn set_temperature(&mut self, temperature: f64);

    /// Whether the method reads every text at its full length L, padding too.
    fn reads_padding(&self) -> bool;

    /// The linear maps to P of queries and targets, by their names among the parameters.
    fn projections(&self) -> &'static [&'static str];

    /// Values that stand for an image of `tokens` tokens (T) between [`Method::image`](crate::method::Method::image) and a
    /// query.
    fn image_values(&self, tokens: usize) -> usize;
}

impl MethodConfig {
    /// The family's own configuration.
    pub fn family(&self) -> &dyn FamilyConfig {
        match self {
            Self::TwoPass(config) => config,
        }
    }

    /// As [`MethodConfig::family`], to be changed.
    pub fn family_mut(&mut self) -> &mut dyn FamilyConfig {
        match self {
            Self::TwoPass(config) => config,
        }
    }
}
