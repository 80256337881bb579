//! The concept family's own settings.

use super::SCALE;
use crate::error::{Result, TrainerError};
use crate::phrases::Rule;
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
    /// L_cont + λ L_cc (ConText-CIR).
    #[default]
    Concept,
}

/// Which reference images are negatives beside the batch's targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum References {
    /// None: the paper's ablation.
    None,
    /// The query's own (paper, L_cont).
    #[default]
    Own,
    /// Those of all rows of the batch (published code).
    All,
}

/// What of the difference between a phrase's attention in its text and alone is punished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Consistency {
    /// ReLU(in context − alone − ε) (paper, L_cc). In context a phrase shares attention with the rest of its text, so this is
    /// often 0.
    #[default]
    OneSided,
    /// ReLU(|in context − alone| − ε) (published code).
    Absolute,
}

/// The family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConceptSettings {
    /// Losses.
    #[serde(rename = "recipe")]
    pub losses: Losses,
    /// Reference images among the negatives.
    pub references: References,
    /// Whether targets look for their queries too, each direction by half (published code). The paper's L_cont goes from
    /// query to target.
    pub both_ways: bool,
    /// λ, the weight of L_cc (paper: 0.08); 0 leaves it out.
    pub consistency_weight: f64,
    /// What L_cc punishes.
    pub consistency: Consistency,
    /// ε, the difference that L_cc lets pass (a hyperparameter in the paper; code: 0, its README: 0.05).
    pub slack: f64,
    /// Whether L_cc is the mean over a batch's phrases (published code). The paper's is the sum over a text's phrases, here
    /// the mean of that over the batch.
    pub phrase_mean: bool,
    /// Most phrases of a text (paper: 10).
    pub most_phrases: usize,
    /// Whether phrases that hold others are left out (the paper's ablation).
    #[serde(default)]
    pub leaf_phrases: bool,
    /// Whether other right targets of a query count as negatives when a batch holds them (paper: yes).
    pub keep_false_negatives: bool,
}

impl ConceptSettings {
    /// ConText-CIR's published settings.
    pub fn context_cir() -> Self {
        Self {
            losses: Losses::Concept,
            references: References::Own,
            both_ways: false,
            consistency_weight: 0.08,
            consistency: Consistency::OneSided,
            slack: 0.0,
            phrase_mean: false,
            most_phrases: 10,
            leaf_phrases: false,
            keep_false_negatives: true,
        }
    }

    /// Whether L_cc is computed.
    pub(super) fn reads_weights(&self) -> bool {
        self.consistency_weight > 0.0
    }
}

impl FamilySettings for ConceptSettings {
    fn check(&self) -> Result<()> {
        ranges::NOT_NEGATIVE.check("--consistency-weight", self.consistency_weight)?;
        ranges::PORTION.check("--slack", self.slack)?;
        match self.most_phrases {
            0 if self.reads_weights() => Err(TrainerError::settings(
                "--most-phrases",
                "0 leaves L_cc nothing to compare",
                "give at least 1, or --consistency-weight 0",
            )),
            _ => Ok(()),
        }
    }

    fn words(&self) -> &'static str {
        "text.word$"
    }

    fn temperature(&self, tau: f64) -> (&'static str, f64) {
        (SCALE, -tau.ln())
    }

    fn reads(&self) -> Read {
        Read::Triplets
    }

    fn groups(&self) -> Vec<Group> {
        vec![Group::frozen(SCALE)]
    }

    fn reads_reverse(&self) -> Option<&'static str> {
        None
    }

    fn reads_phrases(&self) -> Option<Rule> {
        self.reads_weights().then_some(Rule { most: self.most_phrases, leaves_only: self.leaf_phrases })
    }

    fn weights(&self, config: &RetrievalConfig, folder: &Path) -> Result<Tensors> {
        import::tower_start(config, folder)
    }
}

impl ObjectiveSettings {
    /// This family's settings; none when the objective is another family's.
    pub fn concept(&self) -> Option<&ConceptSettings> {
        match self {
            Self::Concept(settings) => Some(settings),
            _ => None,
        }
    }
}
