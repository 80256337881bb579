//! Which method family, with its architecture.

use super::{
    ConceptConfig, Demand, MatchingConfig, Prompt, PseudoWordConfig, RetrievalConfig, TextTowerConfig, TwoPassConfig,
};
use crate::error::{ModelError, Result};
use serde::{Deserialize, Serialize};

/// A method family and its architecture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MethodConfig {
    /// SPRC, PTHA, SPN4CIR: one Q-Former fuses image and text, then reads its own output before the text again.
    TwoPass(TwoPassConfig),
    /// Pic2Word, HyCIR: a dual encoder whose mapping network turns an image into words; without one, compositions that need
    /// no training.
    PseudoWord(PseudoWordConfig),
    /// ConText-CIR: image tokens look at a text's tokens, and are pooled.
    Concept(ConceptConfig),
    /// FashionBLIP-2: the Q-Former's outputs, mixed to rows that are compared pair by pair.
    Matching(MatchingConfig),
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

    /// The linear maps to P of queries and targets, by their names among the parameters. Empty where the space cannot be turned
    /// by changing them.
    fn projections(&self) -> &'static [&'static str];

    /// How many axes a map of its own behind all others keeps of P, where the family may have one; `None` in it: no map. For a space
    /// that no change of [`FamilyConfig::projections`] turns.
    fn axes_mut(&mut self) -> Option<&mut Option<usize>> {
        None
    }

    /// Values that stand for an image of `tokens` tokens (T) of `width` (C) between
    /// [`Method::image`](crate::method::Method::image) and a query.
    fn image_values(&self, tokens: usize, width: usize) -> usize;

    /// Whether images and texts alone become embeddings of one space, in which a mixture of the two means something: what each
    /// asks with can be weighed against the other.
    fn is_dual_encoder(&self) -> bool {
        false
    }

    /// Whether a query's image tokens and text tokens meet in attention, which then says what counted
    /// ([`Method::attention`](crate::method::Method::attention)).
    fn attends(&self) -> bool {
        true
    }

    /// The fields that change how the model computes and no parameter's meaning, those of inner objects joined by dots: a run
    /// may start from a checkpoint that has others, and an evaluation may ask with others.
    fn switches(&self) -> &'static [&'static str];

    /// Leaves out the parts that neither queries nor targets read, and gives their names among the parameters: what a bundle
    /// need not hold.
    fn leave_unread(&mut self) -> &'static [&'static str] {
        &[]
    }

    /// The parts, by their names among the parameters, that stay at 8 bits where the rest has 4: few values, each read by every
    /// query or target.
    fn kept_fine(&self) -> &'static [&'static str] {
        &[]
    }

    /// The text tower, where the method has one that reads texts alone.
    fn text_tower(&self) -> Option<&TextTowerConfig> {
        None
    }

    /// As [`FamilyConfig::text_tower`], to be changed.
    fn text_tower_mut(&mut self) -> Option<&mut TextTowerConfig> {
        None
    }

    /// The method of this family that a checkpoint of `other`, of another family, holds the towers of; none where it holds
    /// nothing that this one starts from.
    fn grown_from(&self, _other: &MethodConfig) -> Option<MethodConfig> {
        None
    }

    /// What the method writes around a text that comes with an image; none where it reads the text as it is.
    fn prompt(&self) -> Option<Prompt> {
        None
    }
}

impl MethodConfig {
    /// The family's own configuration.
    pub fn family(&self) -> &dyn FamilyConfig {
        match self {
            Self::TwoPass(config) => config,
            Self::PseudoWord(config) => config,
            Self::Concept(config) => config,
            Self::Matching(config) => config,
        }
    }

    /// As [`MethodConfig::family`], to be changed.
    pub fn family_mut(&mut self) -> &mut dyn FamilyConfig {
        match self {
            Self::TwoPass(config) => config,
            Self::PseudoWord(config) => config,
            Self::Concept(config) => config,
            Self::Matching(config) => config,
        }
    }
}

impl RetrievalConfig {
    /// The same model with `value` in one of its family's switches ([`FamilyConfig::switches`]).
    ///
    /// # Errors
    /// [`ModelError::Config`] when the family has no such switch, or refuses the value.
    pub fn switched(&self, switch: &str, value: serde_json::Value) -> Result<Self> {
        let place = format!("{}: method.{switch}", self.name);
        let wrong = |problem: String, mend: String| ModelError::Config { place: place.clone(), problem, mend };
        let known = self.method.family().switches();
        if !known.contains(&switch) {
            let problem = format!("a {} model has no such switch", self.method.family().name());
            return Err(wrong(problem, format!("it has {}", known.join(", "))));
        }
        let mut method = serde_json::to_value(&self.method).map_err(|e| wrong(e.to_string(), "report this".into()))?;
        let mut at = &mut method;
        for field in switch.split('.') {
            at = &mut at[field];
        }
        *at = value;
        let method = serde_json::from_value(method).map_err(|e| wrong(e.to_string(), "give another value".into()))?;
        let config = Self { method, ..self.clone() };
        config.check(&self.name)?;
        Ok(config)
    }
}
