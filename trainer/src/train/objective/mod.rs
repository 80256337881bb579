//! What a run trains towards. An objective names what it makes of a batch's rows and the losses over them; the steps, the
//! loop, checkpoints and metrics know none of the names.
//!
//! A family is one file here, and in this file an arm in [`ObjectiveSettings`], a line in the list of families, and its losses'
//! names.

pub mod choices;
pub mod concept;
pub mod loss;
pub mod matching;
pub mod pseudo_word;
pub mod representations;
pub mod two_pass;

use super::estimate::{Cost, Load};
use super::groups::Group;
use super::piece::{BatchFacts, Context, PassNoise, Piece};
use crate::error::Result;
use crate::phrases::Rule;
use burn::module::Param;
use burn::tensor::{Device, FloatDType, Tensor};
use choices::{SharedChoices, families};
use concept::{ConceptChoices, ConceptObjective, ConceptSettings};
use loss::Loss;
use matching::{MatchingChoices, MatchingObjective, MatchingSettings};
use pseudo_word::{PseudoWordChoices, PseudoWordObjective, PseudoWordSettings};
use representations::Representations;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::MethodConfig;
use thisbut_model::method::{AnyMethod, Method};
use thisbut_model::weights::Tensors;
use two_pass::{TwoPassChoices, TwoPassObjective, TwoPassSettings};

/// What an objective makes of a piece.
pub struct Encoded {
    /// What the losses over the whole batch compare; the same names for every piece of a batch.
    pub representations: Representations,
    /// Losses of the piece's own rows: their share of the batch's mean. Empty unless [`Piece::own_losses`].
    pub losses: Vec<Loss>,
}

/// A family's side of training.
pub trait Objective: Clone + Send + Sync {
    /// What it trains.
    type Model: Method + Into<AnyMethod> + Sync;

    /// The model with random weights on `device`.
    ///
    /// # Errors
    /// When the method refuses the configuration.
    fn model(&self, device: &Device) -> Result<Self::Model>;

    /// The model computing in `precision`, whose gradients arrive at `model`.
    fn in_precision(&self, model: &Self::Model, precision: FloatDType) -> Self::Model;

    /// The weights that a run starts from: those of `given`, and for the rest random ones from `seed`.
    ///
    /// # Errors
    /// When values cannot be read back.
    fn start(&self, given: Tensors, seed: u64) -> Result<Tensors>;

    /// Checks what trains: `names` are all parameters, `groups` those in force.
    ///
    /// # Errors
    /// [`TrainerError::Settings`](crate::error::TrainerError::Settings) when a part trains that must stay.
    fn check(&self, groups: &[Group], names: &[&str]) -> Result<()>;

    /// Computes what stays the same over a run, once for each device (which is outside autodiff) before its first step.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn prepare(&mut self, model: &Self::Model, context: &Context, device: &Device) -> Result<()>;

    /// Parameters that the losses over a whole batch read, by their names in the model, `[n]`.
    fn parameters<'a>(&self, model: &'a Self::Model) -> Vec<(&'static str, &'a Param<Tensor<1>>)>;

    /// Encodes a piece of a batch.
    ///
    /// # Errors
    /// When an image cannot be read, or a triplet lacks a text that a loss needs.
    fn encode(&self, model: &Self::Model, piece: &Piece, noise: &PassNoise) -> Result<Encoded>;

    /// The losses over a whole batch, whose representations and [`Objective::parameters`] are `of`.
    ///
    /// # Errors
    /// When a representation is not among them.
    fn losses(&self, of: &Representations, batch: &BatchFacts) -> Result<Vec<Loss>>;

    /// The model after an update, with parameters that have limits back within them.
    fn bounded(&self, model: Self::Model) -> Self::Model;

    /// Whether validation asks with images and texts; else it asks with texts alone.
    fn composes(&self) -> bool;

    /// What a step over `load.rows` triplets costs. `fused`: by the processor's fused kernels.
    fn cost(&self, load: Load, fused: bool) -> Cost;
}

/// What a row of a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// A reference image, a text and a target image.
    Triplets,
    /// An image with its own text.
    Captions,
    /// An image alone.
    Images,
}

/// What every family's settings say.
pub trait FamilySettings {
    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainerError::Settings`](crate::error::TrainerError::Settings) that names the option.
    fn check(&self) -> Result<()>;

    /// The word embeddings among the parameters, as a group's pattern.
    fn words(&self) -> &'static str;

    /// The parameter that holds the temperature `tau`, by its name, and its value then.
    fn temperature(&self, tau: f64) -> (&'static str, f64);

    /// What a row of a run is.
    fn reads(&self) -> Read;

    /// Unlabelled images of a step beside its rows; 0 where the objective reads none.
    fn image_batch(&self) -> usize {
        0
    }

    /// Groups behind the run's own: what the losses leave as it is.
    fn groups(&self) -> Vec<Group> {
        Vec::new()
    }

    /// The loss that reads the reverse texts, by its option; none where no loss does.
    fn reads_reverse(&self) -> Option<&'static str>;

    /// Which noun phrases of each text the losses read; none where they read none.
    fn reads_phrases(&self) -> Option<Rule> {
        None
    }

    /// The loss that reads the targets' captions, by its option; none where no loss does.
    fn reads_captions(&self) -> Option<&'static str> {
        None
    }

    /// Weight and temperature of the loss that reads a teacher's vectors of the images; none where no loss does.
    fn teacher(&self) -> Option<(f64, f64)> {
        None
    }

    /// Whether the adapters in the image encoder train, beside what the run's groups name.
    fn trains_adapters(&self) -> bool {
        false
    }

    /// Base weights in `folder` that a run without a starting checkpoint begins with.
    ///
    /// # Errors
    /// When a file cannot be read or has another shape.
    fn weights(&self, config: &RetrievalConfig, folder: &Path) -> Result<Tensors>;
}

/// A family's options and recipe keys: a list of fields that are `None` until they are chosen.
pub trait FamilyChoices: clap::Args + DeserializeOwned + Clone + Default + PartialEq {
    /// What the choices end in.
    type Settings: FamilySettings;

    /// Options that pretraining has other defaults for: field and default.
    const PRETRAINING: &'static [(&'static str, &'static str)];

    /// Options whose default something else says: field and words for the help.
    const ELSEWHERE: &'static [(&'static str, &'static str)];

    /// An option's default as on the command line; `id` is the field's name.
    fn default_of(id: &str) -> Option<String>;

    /// These choices where they are made, else those of `base`.
    fn over(self, base: Self) -> Self;

    /// Chooses what [`FamilyChoices::PRETRAINING`] says where nothing is chosen.
    fn pretraining(&mut self);

    /// Changes the architecture.
    ///
    /// # Errors
    /// When the configuration is another family's.
    fn configure(&self, config: &mut RetrievalConfig) -> Result<()>;

    /// The settings, with the defaults for what is not chosen.
    ///
    /// # Errors
    /// [`TrainerError::Settings`](crate::error::TrainerError::Settings) when the losses are another family's.
    fn settings(&self, shared: &SharedChoices) -> Result<Self::Settings>;
}

families! {
    TwoPass, two_pass: TwoPassChoices;
    PseudoWord, pseudo_word: PseudoWordChoices;
    Concept, concept: ConceptChoices;
    Matching, matching: MatchingChoices;
}

/// The names of all objectives' losses.
pub const LOSSES: &[&[&str]] = &[&two_pass::LOSSES, &pseudo_word::LOSSES, &concept::LOSSES, &matching::LOSSES];

/// Which family a run trains, and the family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "objective", rename_all = "kebab-case", remote = "Self")]
pub enum ObjectiveSettings {
    /// Two passes of a Q-Former: SPRC, MTST + PTHA, SPN4CIR.
    TwoPass(TwoPassSettings),
    /// A dual encoder and its mapping network: Pic2Word, HyCIR.
    PseudoWord(PseudoWordSettings),
    /// Cross-attention of image and text tokens: ConText-CIR.
    Concept(ConceptSettings),
    /// The Q-Former's outputs row by row, and adapters: FashionBLIP-2.
    Matching(MatchingSettings),
}

impl Serialize for ObjectiveSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

/// Settings from before there were families name none: they are two-pass ones.
impl<'de> Deserialize<'de> for ObjectiveSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut fields = serde_json::Map::deserialize(deserializer)?;
        fields.entry("objective").or_insert_with(|| "two-pass".into());
        Self::deserialize(serde_json::Value::Object(fields)).map_err(serde::de::Error::custom)
    }
}

/// Something that is done with an objective of whichever family.
pub trait Use {
    /// What comes of it.
    type Out;

    /// Does it.
    ///
    /// # Errors
    /// As the task has them.
    fn with<O: Objective>(self, objective: O) -> Result<Self::Out>;
}

impl ObjectiveSettings {
    /// Does `task` with the objective of these settings for a model of `config`. Here alone the family decides.
    ///
    /// # Errors
    /// When the configuration is another family's, and as the task has them.
    pub fn apply<U: Use>(&self, config: &RetrievalConfig, task: U) -> Result<U::Out> {
        match self {
            Self::TwoPass(settings) => task.with(TwoPassObjective::new(settings, config)?),
            Self::PseudoWord(settings) => task.with(PseudoWordObjective::new(settings, config)?),
            Self::Concept(settings) => task.with(ConceptObjective::new(settings, config)?),
            Self::Matching(settings) => task.with(MatchingObjective::new(settings, config)?),
        }
    }

    /// The family's settings as far as every family has them.
    pub fn family(&self) -> &dyn FamilySettings {
        match self {
            Self::TwoPass(settings) => settings,
            Self::PseudoWord(settings) => settings,
            Self::Concept(settings) => settings,
            Self::Matching(settings) => settings,
        }
    }
}
