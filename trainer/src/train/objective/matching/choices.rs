//! What a recipe or the command line may choose about the matching family.

use super::{Losses, MatchingSettings};
use crate::error::{Result, TrainerError};
use crate::ranges;
use crate::train::choices::{LOSSES, MODEL, or_each, word};
use crate::train::defaults;
use crate::train::objective::FamilyChoices;
use crate::train::objective::choices::SharedChoices;
use clap::builder::PossibleValuesParser;
use serde::Deserialize;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::AdapterConfig;

defaults::table! {
    losses: Losses = Losses::Matching;
    ctr: f64 = 1.0;
    train_adapters: bool = true;
    learn_temperature: bool = false;
    keep_false_negatives: bool = false;
}

/// Where adapters stand when there are none.
const NONE: &str = "none";

/// The family's options and recipe keys.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct MatchingChoices {
    /// After which part of a block of the image encoder adapters stand; block: of a convolutional one.
    #[arg(long, value_name = "PLACE", value_parser = PossibleValuesParser::new(["both", "attention", "feed-forward", "block", NONE]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub adapters: Option<String>,
    /// Width of the image encoder's tokens over that of the adapters (FashionBLIP-2: 16).
    #[arg(long, value_name = "N", value_parser = ranges::count, help_heading = MODEL, hide_short_help = true)]
    pub adapter_factor: Option<usize>,
    /// The first block with adapters, counted from 0 (FashionBLIP-2: 0).
    #[arg(long, value_name = "BLOCK", help_heading = MODEL, hide_short_help = true)]
    pub adapter_from: Option<usize>,
    /// What query and image are compared by: twelve mixed rows, one by one (heads), or the mean of the outputs (global).
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(["heads", "global"]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub matching: Option<String>,
    /// How a caption is read: by the query tokens, or as `[CLS]`.
    #[arg(long, value_name = "FORM", value_parser = PossibleValuesParser::new(["queries", "cls"]))]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    pub text_form: Option<String>,
    /// Weight of the contrast of queries with their targets' captions (FashionBLIP-2: 1, then 0); 0 leaves it out.
    #[arg(long, value_parser = ranges::NOT_NEGATIVE.parser::<f64>(), value_name = "WEIGHT")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub ctr: Option<f64>,
    /// The adapters in the image encoder train.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub train_adapters: Option<bool>,
    /// τ trains; else it stays as it is, 1 where nothing else is given.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub learn_temperature: Option<bool>,
}

impl MatchingChoices {
    /// Gives the image encoder the adapters that were chosen, or takes them.
    fn configure_adapters(&self, config: &mut RetrievalConfig) -> Result<()> {
        let name = config.name.clone();
        let Some((adapters, places)) = config.image_encoder.adapters_mut() else {
            return match self.adapters.as_deref().or(self.adapter_factor.or(self.adapter_from).map(|_| "")) {
                None | Some(NONE) => Ok(()),
                Some(_) => Err(TrainerError::settings(
                    "--adapters",
                    format!("the image encoder of {name} has no blocks, which they stand in"),
                    "choose another --preset, or --adapters none --train-adapters=false",
                )),
            };
        };
        match self.adapters.as_deref() {
            Some(NONE) => *adapters = None,
            Some(place) => {
                let known = || places.iter().map(|place| place.word()).collect::<Vec<_>>().join(", ");
                let after = places.iter().copied().find(|known| known.word() == place).ok_or_else(|| {
                    TrainerError::settings(
                        format!("--adapters {place}"),
                        format!("the image encoder of {name} has no such place"),
                        format!("give {} or {NONE}", known()),
                    )
                })?;
                *adapters = Some(AdapterConfig { after, ..adapters.unwrap_or_default() });
            }
            None => {}
        }
        let narrower = [("--adapter-factor", self.adapter_factor), ("--adapter-from", self.adapter_from)];
        match (adapters, narrower.iter().find(|(_, given)| given.is_some())) {
            (Some(adapters), _) => {
                adapters.factor = self.adapter_factor.unwrap_or(adapters.factor);
                adapters.from = self.adapter_from.unwrap_or(adapters.from);
                Ok(())
            }
            (None, None) => Ok(()),
            (None, Some((option, _))) => {
                let problem = format!("the image encoder of {name} has no adapters");
                let mend = format!("give --adapters {} too", places.first().map_or(NONE, |place| place.word()));
                Err(TrainerError::settings(*option, problem, mend))
            }
        }
    }
}

impl FamilyChoices for MatchingChoices {
    type Settings = MatchingSettings;

    const PRETRAINING: &'static [(&'static str, &'static str)] = &[];

    const ELSEWHERE: &'static [(&'static str, &'static str)] = &[
        ("adapters", "the preset's"),
        ("adapter_factor", "the preset's"),
        ("adapter_from", "the preset's"),
        ("matching", "the preset's"),
        ("text_form", "the preset's"),
    ];

    fn default_of(id: &str) -> Option<String> {
        own(id)
    }

    fn over(self, base: Self) -> Self {
        or_each!(self, base, adapters adapter_factor adapter_from matching text_form ctr train_adapters learn_temperature)
    }

    fn pretraining(&mut self) {}

    fn configure(&self, config: &mut RetrievalConfig) -> Result<()> {
        self.configure_adapters(config)?;
        let own = config.matching_mut()?;
        let refused = |option: &str, word: &str, problem: String| {
            TrainerError::settings(format!("--{option} {word}"), problem, "give one of those that --help names")
        };
        if let Some(form) = &self.matching {
            own.score = word(form).map_err(|e| refused("matching", form, e))?;
        }
        if let Some(form) = &self.text_form {
            own.text_form = word(form).map_err(|e| refused("text-form", form, e))?;
        }
        config.projection = own.projection();
        config.check(&config.name)?;
        Ok(())
    }

    fn settings(&self, shared: &SharedChoices) -> Result<MatchingSettings> {
        Ok(MatchingSettings {
            losses: shared.losses_of("matching")?.unwrap_or(DEFAULTS.losses),
            ctr: self.ctr.unwrap_or(DEFAULTS.ctr),
            train_adapters: self.train_adapters.unwrap_or(DEFAULTS.train_adapters),
            learn_temperature: self.learn_temperature.unwrap_or(DEFAULTS.learn_temperature),
            keep_false_negatives: shared.keep_false_negatives.unwrap_or(DEFAULTS.keep_false_negatives),
        })
    }
}
