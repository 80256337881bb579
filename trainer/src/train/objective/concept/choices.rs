//! What a recipe or the command line may choose about the concept family.

use super::{ConceptSettings, Consistency, Losses, References};
use crate::error::{Result, TrainerError};
use crate::ranges;
use crate::train::choices::{LOSSES, MODEL, or_each, word};
use crate::train::defaults;
use crate::train::objective::FamilyChoices;
use crate::train::objective::choices::SharedChoices;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use thisbut_model::RetrievalConfig;

defaults::table! {
    losses: Losses = Losses::Concept;
    reference_negatives: References = References::Own;
    both_ways: bool = false;
    consistency_weight: f64 = 0.08;
    consistency: Consistency = Consistency::OneSided;
    slack: f64 = 0.0;
    phrase_mean: bool = false;
    most_phrases: usize = 10;
    leaf_phrases: bool = false;
    keep_false_negatives: bool = false;
}

/// The family's options and recipe keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct ConceptChoices {
    /// What a block of cross-attention is made of: attention alone (ConText-CIR's paper), or norms and a feed-forward network
    /// too (its code).
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(["attention", "transformer"]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub fusion: Option<String>,
    /// How fused image tokens become one vector: as in Set Transformer (ConText-CIR's paper), or by attention and a norm (its
    /// code).
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(["set-transformer", "attention"]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub pooling: Option<String>,
    /// What gallery images are compared by: the network with an empty text (ConText-CIR's paper), or CLIP's pooled row (its
    /// code).
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(["fused", "pooled"]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub target_form: Option<String>,
    /// Reference images that are negatives beside the targets.
    #[arg(long, value_name = "WHICH", value_enum, help_heading = LOSSES, hide_short_help = true)]
    pub reference_negatives: Option<References>,
    /// Targets look for their queries too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub both_ways: Option<bool>,
    /// Weight λ of concept consistency; 0 leaves it out.
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub consistency_weight: Option<f64>,
    /// What concept consistency punishes: attention above that of the phrase alone, or any difference.
    #[arg(long, value_enum, help_heading = LOSSES, hide_short_help = true)]
    pub consistency: Option<Consistency>,
    /// Difference of attention that concept consistency lets pass (ε).
    #[arg(long, value_parser = ranges::PORTION.parser::<f64>(), value_name = "SHARE")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub slack: Option<f64>,
    /// Concept consistency is the mean over a batch's phrases, in the place of the sum over a text's.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub phrase_mean: Option<bool>,
    /// Most noun phrases of a text.
    #[arg(long, value_name = "N", value_parser = ranges::count, help_heading = LOSSES, hide_short_help = true)]
    pub most_phrases: Option<usize>,
    /// Leave out the noun phrases that hold others.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub leaf_phrases: Option<bool>,
}

impl FamilyChoices for ConceptChoices {
    type Settings = ConceptSettings;

    const PRETRAINING: &'static [(&'static str, &'static str)] = &[];

    const ELSEWHERE: &'static [(&'static str, &'static str)] =
        &[("fusion", "the preset's"), ("pooling", "the preset's"), ("target_form", "the preset's")];

    fn default_of(id: &str) -> Option<String> {
        own(id)
    }

    fn over(self, base: Self) -> Self {
        or_each!(self, base,
            fusion pooling target_form reference_negatives both_ways consistency_weight consistency slack phrase_mean
            most_phrases leaf_phrases)
    }

    fn pretraining(&mut self) {}

    fn configure(&self, config: &mut RetrievalConfig) -> Result<()> {
        let own = config.concept_mut()?;
        let refused = |option: &str, word: &str, problem: String| {
            TrainerError::settings(format!("--{option} {word}"), problem, "give one of those that --help names")
        };
        if let Some(form) = &self.fusion {
            own.fusion.form = word(form).map_err(|e| refused("fusion", form, e))?;
        }
        if let Some(form) = &self.pooling {
            own.pooling = word(form).map_err(|e| refused("pooling", form, e))?;
        }
        if let Some(form) = &self.target_form {
            own.target = word(form).map_err(|e| refused("target-form", form, e))?;
        }
        config.give_image_head();
        Ok(())
    }

    fn settings(&self, shared: &SharedChoices) -> Result<ConceptSettings> {
        Ok(ConceptSettings {
            losses: shared.losses_of("concept")?.unwrap_or(DEFAULTS.losses),
            references: self.reference_negatives.unwrap_or(DEFAULTS.reference_negatives),
            both_ways: self.both_ways.unwrap_or(DEFAULTS.both_ways),
            consistency_weight: self.consistency_weight.unwrap_or(DEFAULTS.consistency_weight),
            consistency: self.consistency.unwrap_or(DEFAULTS.consistency),
            slack: self.slack.unwrap_or(DEFAULTS.slack),
            phrase_mean: self.phrase_mean.unwrap_or(DEFAULTS.phrase_mean),
            most_phrases: self.most_phrases.unwrap_or(DEFAULTS.most_phrases),
            leaf_phrases: self.leaf_phrases.unwrap_or(DEFAULTS.leaf_phrases),
            keep_false_negatives: shared.keep_false_negatives.unwrap_or(DEFAULTS.keep_false_negatives),
        })
    }
}
