//! What a recipe or the command line may choose about the pseudo-word family.

use super::{Losses, PseudoWordSettings};
use crate::error::Result;
use crate::ranges;
use crate::train::choices::{BATCHES, LOSSES, MODEL, or_each};
use crate::train::defaults;
use crate::train::objective::FamilyChoices;
use crate::train::objective::choices::SharedChoices;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{Composition, MappingConfig};

defaults::table! {
    losses: Losses = Losses::Hybrid;
    zs_weight: f64 = 1.0;
    triplet_weight: f64 = 1.0;
    image_batch: usize = 512;
    one_way: bool = false;
    keep_false_negatives: bool = false;
}

/// The family's options and recipe keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct PseudoWordChoices {
    /// Give the model a mapping network to so many pseudo-words an image (HyCIR: 4), and compose with them.
    #[arg(long, value_name = "K", value_parser = ranges::count)]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub pseudo_words: Option<usize>,
    /// How a query is made of image and text.
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Composition::NAMES))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub composition: Option<String>,
    /// The image's weight in a weighted sum or a spherical interpolation.
    #[arg(long, value_name = "SHARE", value_parser = ranges::PORTION.parser::<f64>())]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub composition_weight: Option<f64>,
    /// What stands before the pseudo-words.
    #[arg(long, value_name = "TEXT", help_heading = MODEL, hide_short_help = true)]
    pub prompt: Option<String>,
    /// Weight of the loss over unlabelled images.
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub zs_weight: Option<f64>,
    /// Weight of the loss over triplets, where pseudo-words train.
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub triplet_weight: Option<f64>,
    /// Queries look for targets, and targets not for queries.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub one_way: Option<bool>,
    /// Unlabelled images a step beside the triplets, over all devices.
    #[arg(long, value_name = "N", value_parser = ranges::count)]
    #[arg(help_heading = BATCHES, hide_short_help = true)]
    pub image_batch: Option<usize>,
}

impl FamilyChoices for PseudoWordChoices {
    type Settings = PseudoWordSettings;

    const PRETRAINING: &'static [(&'static str, &'static str)] = &[];

    const ELSEWHERE: &'static [(&'static str, &'static str)] = &[
        ("pseudo_words", "the preset's"),
        ("composition", "the preset's"),
        ("composition_weight", "the preset's"),
        ("prompt", "the preset's"),
    ];

    fn default_of(id: &str) -> Option<String> {
        own(id)
    }

    fn over(self, base: Self) -> Self {
        or_each!(self, base,
            pseudo_words composition composition_weight prompt zs_weight triplet_weight one_way image_batch)
    }

    fn pretraining(&mut self) {}

    fn configure(&self, config: &mut RetrievalConfig) -> Result<()> {
        let own = config.pseudo_word_mut()?;
        if let Some(tokens) = self.pseudo_words {
            own.mapping = Some(MappingConfig { tokens, ..own.mapping.clone().unwrap_or_default() });
            own.composition = Composition::PseudoWords;
        }
        if let Some(weight) = self.composition_weight {
            ranges::PORTION.check("--composition-weight", weight)?;
        }
        own.composition = own.composition.chosen(self.composition.as_deref(), self.composition_weight)?;
        if let Some(prompt) = &self.prompt {
            own.prompt.clone_from(prompt);
        }
        Ok(())
    }

    fn settings(&self, shared: &SharedChoices) -> Result<PseudoWordSettings> {
        Ok(PseudoWordSettings {
            losses: shared.losses_of("pseudo-word")?.unwrap_or(DEFAULTS.losses),
            zs_weight: self.zs_weight.unwrap_or(DEFAULTS.zs_weight),
            triplet_weight: self.triplet_weight.unwrap_or(DEFAULTS.triplet_weight),
            image_batch: self.image_batch.unwrap_or(DEFAULTS.image_batch),
            one_way: self.one_way.unwrap_or(DEFAULTS.one_way),
            keep_false_negatives: shared.keep_false_negatives.unwrap_or(DEFAULTS.keep_false_negatives),
        })
    }
}
