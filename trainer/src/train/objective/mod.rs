//! What a run trains towards. An objective names what it makes of a batch's rows and the losses over them; the steps, the
//! loop, checkpoints and metrics know none of the names.
//!
//! A family is one file here, one arm in [`ObjectiveSettings`], and its losses' names in [`loss::names`].

pub mod loss;
pub mod representations;
pub mod two_pass;

use super::estimate::{Cost, Load};
use super::groups::Group;
use super::piece::{BatchFacts, Context, PassNoise, Piece};
use crate::data::table::Table;
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use burn::module::{Module, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use loss::Loss;
use representations::Representations;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thisbut_model::CirConfig;
use thisbut_model::weights::Tensors;
use two_pass::{TwoPass, TwoPassSettings};

/// What an objective makes of a piece.
pub struct Encoded {
    /// What the losses over the whole batch compare; the same names for every piece of a batch.
    pub representations: Representations,
    /// Losses of the piece's own rows: their share of the batch's mean. Empty unless [`Piece::own_losses`].
    pub losses: Vec<Loss>,
}

/// Queries of a table that are embedded together.
pub struct Queries<'a> {
    /// The table.
    pub table: &'a Table,
    /// Its images' tokens.
    pub images: &'a dyn ImageTokens,
    /// The row in `images` of each of the table's images.
    pub rows: &'a [usize],
    /// The triplets' texts.
    pub texts: &'a Tokenized,
    /// Which triplets.
    pub triplets: &'a [u32],
}

/// A family's side of training.
pub trait Objective: Clone + Send + Sync {
    /// What it trains.
    type Model: Module + Sync;

    /// The model with random weights on `device`.
    fn model(&self, device: &Device) -> Self::Model;

    /// The model computing in `precision`, whose gradients arrive at `model`.
    fn in_precision(&self, model: &Self::Model, precision: FloatDType) -> Self::Model;

    /// The weights that a run starts from: those of `given`, and for the rest random ones from `seed`.
    ///
    /// # Errors
    /// When values cannot be read back.
    fn start(&self, given: Tensors, seed: u64) -> Result<Tensors>;

    /// Probability of dropout.
    fn dropout(&self) -> f64;

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

    /// What validation ranks: target embeddings `[images, N, P]` of `images` (indices into the table) on `device`.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn gallery(&self, model: &Self::Model, of: &Queries, images: &[u32], device: &Device) -> Result<Tensor<3>>;

    /// What validation asks with: `[triplets, P]`.
    ///
    /// # Errors
    /// When an image cannot be read.
    fn queries(&self, model: &Self::Model, of: &Queries, device: &Device) -> Result<Tensor<2>>;

    /// What a step over `load.rows` triplets costs. `fused`: by the processor's fused kernels.
    fn cost(&self, load: Load, fused: bool) -> Cost;
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

    /// Whether a model of `config` computes every text at the full length.
    fn pads_texts(&self, config: &CirConfig) -> bool;
}

/// Which family a run trains, and the family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "objective", rename_all = "kebab-case", remote = "Self")]
pub enum ObjectiveSettings {
    /// Two passes of a Q-Former: SPRC, MTST + PTHA, SPN4CIR.
    TwoPass(TwoPassSettings),
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
    fn with<O: Objective>(self, objective: O) -> Self::Out;
}

impl ObjectiveSettings {
    /// Does `task` with the objective of these settings for a model of `config`. Here alone the family decides.
    pub fn apply<U: Use>(&self, config: &CirConfig, task: U) -> U::Out {
        match self {
            Self::TwoPass(settings) => task.with(TwoPass::new(settings, config)),
        }
    }

    /// The family's settings as far as every family has them.
    pub fn family(&self) -> &dyn FamilySettings {
        match self {
            Self::TwoPass(settings) => settings,
        }
    }
}
