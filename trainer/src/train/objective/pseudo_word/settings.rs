//! The pseudo-word family's own settings.

use super::{MAPPING, SCALE};
use crate::error::{Result, TrainerError};
use crate::train::groups::Group;
use crate::train::objective::{FamilySettings, ObjectiveSettings, Read};
use crate::train::piece::Stream;
use crate::{import, ranges};
use serde::{Deserialize, Serialize};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::weights::Tensors;

/// Which losses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Losses {
    /// Image–text contrast on captions, in both directions (CLIP): trains the towers, not the mapping network.
    Contrast,
    /// L_ZS-CIR alone, on images without labels (Pic2Word).
    Pic2word,
    /// L_triplet alone.
    Triplet,
    /// L_ZS-CIR + L_triplet, of two streams (HyCIR, eq. 1).
    #[default]
    Hybrid,
}

/// The family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PseudoWordSettings {
    /// Losses.
    #[serde(rename = "recipe")]
    pub losses: Losses,
    /// Weight of L_ZS-CIR (HyCIR: 1).
    pub zs_weight: f64,
    /// Weight of L_triplet (HyCIR: 1).
    pub triplet_weight: f64,
    /// Unlabelled images a step beside the triplets, over all devices (HyCIR: 512).
    pub image_batch: usize,
    /// Whether queries look for targets alone in L_triplet, and targets not for queries. The paper calls it a contrastive loss
    /// as L_ZS-CIR is, which is Pic2Word's, in both directions.
    pub one_way: bool,
    /// Whether other right targets of a query count as negatives when a batch holds them (plain InfoNCE: yes).
    pub keep_false_negatives: bool,
}

impl PseudoWordSettings {
    /// HyCIR's published settings.
    pub fn hycir() -> Self {
        let (losses, image_batch) = (Losses::Hybrid, 512);
        Self { losses, zs_weight: 1.0, triplet_weight: 1.0, image_batch, one_way: false, keep_false_negatives: true }
    }

    pub(super) fn reads_pseudo_words(&self, stream: Stream) -> bool {
        self.losses == Losses::Pic2word || stream == Stream::Images
    }
}

impl FamilySettings for PseudoWordSettings {
    fn check(&self) -> Result<()> {
        ranges::NOT_NEGATIVE.check("--zs-weight", self.zs_weight)?;
        ranges::NOT_NEGATIVE.check("--triplet-weight", self.triplet_weight)?;
        let used = match self.losses {
            Losses::Contrast => return Ok(()),
            Losses::Pic2word => self.zs_weight,
            Losses::Triplet => self.triplet_weight,
            Losses::Hybrid => self.zs_weight.min(self.triplet_weight),
        };
        if used <= 0.0 {
            let mend = "give weights above 0, or --losses pic2word or triplet for one loss alone";
            return Err(TrainerError::settings("--losses", "one of them has the weight 0", mend));
        }
        if self.losses == Losses::Hybrid && self.image_batch < 2 {
            let problem = format!("{} leaves no negatives", self.image_batch);
            return Err(TrainerError::settings("--image-batch", problem, "give at least 2, or --losses triplet"));
        }
        Ok(())
    }

    fn words(&self) -> &'static str {
        "text.word$"
    }

    fn temperature(&self, tau: f64) -> (&'static str, f64) {
        (SCALE, -tau.ln())
    }

    fn reads(&self) -> Read {
        match self.losses {
            Losses::Contrast => Read::Captions,
            Losses::Pic2word => Read::Images,
            Losses::Triplet | Losses::Hybrid => Read::Triplets,
        }
    }

    fn image_batch(&self) -> usize {
        if self.losses == Losses::Hybrid { self.image_batch } else { 0 }
    }

    fn reads_reverse(&self) -> Option<&'static str> {
        None
    }

    fn groups(&self) -> Vec<Group> {
        match self.losses {
            Losses::Contrast => vec![Group::frozen(MAPPING)],
            _ => vec![Group { pattern: MAPPING.into(), rate: 1.0, decay: 1.0 }, Group::frozen("")],
        }
    }

    fn weights(&self, config: &RetrievalConfig, folder: &Path) -> Result<Tensors> {
        import::tower_start(config, folder)
    }
}

impl ObjectiveSettings {
    /// This family's settings; none when the objective is another family's.
    pub fn pseudo_word(&self) -> Option<&PseudoWordSettings> {
        match self {
            Self::PseudoWord(settings) => Some(settings),
            _ => None,
        }
    }
}
