//! The two-pass family's own settings.

use super::TEMPERATURE;
use super::choices::DEFAULTS;
use crate::error::{Result, TrainerError};
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
    /// q2t + λ·t2t + α·p2p with reverse modifiers (paper, eq. 9).
    #[default]
    Ptha,
    /// Text-only query against target, in both directions: image–text contrast (BLIP-2's ITC) on captions.
    Captions,
    /// q2t + λ·t2t + α·align: the fusion tokens' mean towards the learned prompt tokens' mean (SPRC).
    Sprc,
}

/// The family's own settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoPassSettings {
    /// Losses.
    #[serde(rename = "recipe")]
    pub losses: Losses,
    /// q2t label smoothing (MTST_PTHA's code: 0.1; paper: none).
    pub label_smoothing: f64,
    /// λ, weight of t2t.
    pub t2t: f64,
    /// α, weight of p2p or align.
    pub p2p: f64,
    /// Whether every target image of the training split is a negative, its embedding computed once from the starting
    /// weights (SPN4CIR's second stage): the target side must be frozen, and the first pass runs without dropout.
    #[serde(default)]
    pub bank: bool,
    /// Whether the bank holds the training references too (SPN4CIR's code).
    #[serde(default)]
    pub bank_references: bool,
    /// With a bank, whether the first pass reads the text of the last row that has the reference, in the order of the file,
    /// rather than the row's own: SPN4CIR's code with `--plus` keeps one set of fused tokens an image.
    #[serde(default)]
    pub fuse_by_image: bool,
    /// Whether τ may take any value (SPRC, MTST_PTHA, SPN4CIR), rather than stay within 0.001 and 0.5.
    #[serde(default)]
    pub free_temperature: bool,
    /// Whether other right targets of a query count as negatives when a batch holds them (published code: yes).
    pub keep_false_negatives: bool,
    /// Weight of a teacher's loss; 0: none.
    #[serde(default, skip_serializing_if = "is_none")]
    pub teacher_weight: f64,
    /// What both the teacher's and the model's similarities are divided by in it.
    #[serde(default = "teacher_temperature", skip_serializing_if = "is_usual")]
    pub teacher_temperature: f64,
}

/// A run without a teacher writes what it wrote before there were any.
fn is_none(weight: &f64) -> bool {
    *weight == 0.0
}

fn is_usual(temperature: &f64) -> bool {
    *temperature == teacher_temperature()
}

fn teacher_temperature() -> f64 {
    DEFAULTS.teacher_temperature
}

impl TwoPassSettings {
    /// SPRC's published settings for CIRR.
    pub fn sprc() -> Self {
        let losses = Losses::Sprc;
        Self {
            losses,
            label_smoothing: 0.0,
            t2t: 0.4,
            p2p: 0.4,
            bank: false,
            bank_references: false,
            fuse_by_image: false,
            free_temperature: true,
            keep_false_negatives: true,
            teacher_weight: DEFAULTS.teacher_weight,
            teacher_temperature: DEFAULTS.teacher_temperature,
        }
    }

    /// Whether queries are composed of image and text; captions ask with texts alone.
    pub(super) fn composes(&self) -> bool {
        self.losses != Losses::Captions
    }

    /// Whether texts alone ask too.
    pub(super) fn reads_texts(&self) -> bool {
        !self.composes() || self.t2t > 0.0
    }
}

impl FamilySettings for TwoPassSettings {
    fn check(&self) -> Result<()> {
        ranges::PART.check("--label-smoothing", self.label_smoothing)?;
        ranges::NOT_NEGATIVE.check("--t2t", self.t2t)?;
        ranges::NOT_NEGATIVE.check("--p2p", self.p2p)?;
        ranges::NOT_NEGATIVE.check("--teacher-weight", self.teacher_weight)?;
        ranges::POSITIVE.check("--teacher-temperature", self.teacher_temperature)?;
        if self.bank && self.teacher_weight > 0.0 {
            let problem = "a bank's images stay as they are, so a teacher cannot move them";
            return Err(TrainerError::settings("--teacher-weight", problem, "set it to 0, or leave --bank out"));
        }
        if self.bank && (!self.composes() || self.t2t > 0.0 || self.p2p > 0.0) {
            let mend = "add --t2t 0 --p2p 0, or leave --bank out";
            return Err(TrainerError::settings("--bank", "it is for q2t alone", mend));
        }
        for (asked, option) in [(self.bank_references, "--bank-references"), (self.fuse_by_image, "--fuse-by-image")] {
            if asked && !self.bank {
                return Err(TrainerError::settings(option, "there is no --bank", "add it, or leave this out"));
            }
        }
        Ok(())
    }

    fn words(&self) -> &'static str {
        "qformer.word$"
    }

    fn temperature(&self, tau: f64) -> (&'static str, f64) {
        (TEMPERATURE, tau)
    }

    fn reads(&self) -> Read {
        if self.composes() { Read::Triplets } else { Read::Captions }
    }

    fn reads_reverse(&self) -> Option<&'static str> {
        (self.losses == Losses::Ptha && self.p2p > 0.0).then_some("--p2p")
    }

    fn teacher(&self) -> Option<(f64, f64)> {
        (self.teacher_weight > 0.0).then_some((self.teacher_weight, self.teacher_temperature))
    }

    fn weights(&self, config: &RetrievalConfig, folder: &Path) -> Result<Tensors> {
        import::language_start(config, folder)
    }
}

impl ObjectiveSettings {
    /// This family's settings; none when the objective is another family's.
    pub fn two_pass(&self) -> Option<&TwoPassSettings> {
        match self {
            Self::TwoPass(settings) => Some(settings),
            _ => None,
        }
    }
}
