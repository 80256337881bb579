//! The matching family's own settings.

use super::TAU;
use crate::error::Result;
use crate::train::groups::Group;
use crate::train::objective::{FamilySettings, ObjectiveSettings, Read};
use crate::{import, ranges};
use serde::{Deserialize, Serialize};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::weights::Tensors;

/// Which losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Losses {
    /// L_CIR + L_CTR (FashionBLIP-2, section 4.4).
    #[default]
    Matching,
}

/// The family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MatchingSettings {
    /// Losses.
    #[serde(rename = "recipe")]
    pub losses: Losses,
    /// Weight of L_CTR, the contrast of queries with the captions of their targets (paper: 1 in stage 1, 0 in stage 2). 0 leaves it
    /// out, and no captions are read.
    pub ctr: f64,
    /// Whether the adapters in the image encoder train (paper: in stage 1; in stage 2 they stay as they are).
    pub train_adapters: bool,
    /// Whether τ trains. The paper prints no temperature, which is τ = 1 that stays.
    pub learn_temperature: bool,
    /// Whether other right targets of a query count as negatives when a batch holds them (paper: "any target image other").
    pub keep_false_negatives: bool,
}

impl MatchingSettings {
    /// FashionBLIP-2's settings of stage 1.
    pub fn fashion_blip2() -> Self {
        Self {
            losses: Losses::Matching,
            ctr: 1.0,
            train_adapters: true,
            learn_temperature: false,
            keep_false_negatives: true,
        }
    }

    /// Whether L_CTR is computed.
    pub(super) fn reads_captions_of_targets(&self) -> bool {
        self.ctr > 0.0
    }
}

impl FamilySettings for MatchingSettings {
    fn check(&self) -> Result<()> {
        ranges::NOT_NEGATIVE.check("--ctr", self.ctr)
    }

    fn words(&self) -> &'static str {
        "qformer.word$"
    }

    fn temperature(&self, tau: f64) -> (&'static str, f64) {
        (TAU, tau)
    }

    fn reads(&self) -> Read {
        Read::Triplets
    }

    fn groups(&self) -> Vec<Group> {
        if self.learn_temperature { Vec::new() } else { vec![Group::frozen(TAU)] }
    }

    fn reads_reverse(&self) -> Option<&'static str> {
        None
    }

    fn reads_captions(&self) -> Option<&'static str> {
        self.reads_captions_of_targets().then_some("--ctr")
    }

    fn trains_adapters(&self) -> bool {
        self.train_adapters
    }

    fn weights(&self, config: &RetrievalConfig, folder: &Path) -> Result<Tensors> {
        import::language_start(config, folder)
    }
}

impl ObjectiveSettings {
    /// This family's settings; none when the objective is another family's.
    pub fn matching(&self) -> Option<&MatchingSettings> {
        match self {
            Self::Matching(settings) => Some(settings),
            _ => None,
        }
    }
}
