//! The options of a family, and those of all families side by side.

use super::FamilyChoices;
use super::{concept, matching, pseudo_word, two_pass};
use crate::error::{Result, TrainerError};
use crate::train::choices::{LOSSES, or_each};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde::{Deserialize, Deserializer};
use thisbut_model::RetrievalConfig;

/// Options and recipe keys that several families have, each in its own way.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct SharedChoices {
    /// Which losses, of those that the method has.
    ///
    /// Which losses, of those that the method has. Two-pass: ptha, captions, sprc. Pseudo-word: contrast (image and caption),
    /// pic2word (unlabelled images alone), triplet, hybrid (HyCIR: both). Concept: concept. Matching: matching.
    #[serde(default, deserialize_with = "losses")]
    #[arg(long, value_parser = PossibleValuesParser::new(words_of_losses()), help_heading = LOSSES)]
    pub losses: Option<String>,
    /// Count other right targets in a batch as negatives, as the published code does.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = LOSSES, hide_short_help = true)]
    pub keep_false_negatives: Option<bool>,
}

impl SharedChoices {
    /// These choices where they are made, else those of `base`.
    pub fn over(self, base: Self) -> Self {
        or_each!(self, base, losses keep_false_negatives)
    }

    /// The losses that were chosen, of those that the family called `family` has.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when they are another family's.
    pub fn losses_of<L: ValueEnum + 'static>(&self, family: &str) -> Result<Option<L>> {
        let Some(word) = &self.losses else { return Ok(None) };
        L::from_str(word, false).map(Some).map_err(|_| {
            let mend = format!("give one of {}, or choose another --preset", listed(&words::<L>()));
            TrainerError::settings(
                format!("--losses {word}"),
                format!("the method is {family}, which has no such losses"),
                mend,
            )
        })
    }
}

fn words<L: ValueEnum + 'static>() -> Vec<PossibleValue> {
    L::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect()
}

/// Every family's losses.
fn words_of_losses() -> Vec<PossibleValue> {
    [
        words::<two_pass::Losses>(),
        words::<pseudo_word::Losses>(),
        words::<concept::Losses>(),
        words::<matching::Losses>(),
    ]
    .concat()
}

fn listed(words: &[PossibleValue]) -> String {
    words.iter().map(PossibleValue::get_name).collect::<Vec<_>>().join(", ")
}

fn losses<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    let (word, known) = (String::deserialize(from)?, words_of_losses());
    match known.iter().any(|known| known.get_name() == word) {
        true => Ok(Some(word)),
        false => Err(serde::de::Error::custom(format!("there are no losses `{word}`; give one of {}", listed(&known)))),
    }
}

/// Writes [`OwnChoices`] from the list of families: variant of [`MethodConfig`], field, type of the choices.
macro_rules! families {
    ($($family:ident, $field:ident: $choices:ident;)*) => {
        /// Every family's own options and recipe keys.
        #[derive(Clone, Debug, Default, PartialEq, clap::Args)]
        #[allow(missing_docs, reason = "each field is the family of its name")]
        pub struct OwnChoices {
            #[command(flatten)]
            pub shared: SharedChoices,
            $(#[command(flatten)] pub $field: $choices,)*
        }

        impl OwnChoices {
            /// Reads the families' keys of a recipe file; other keys are left alone.
            ///
            /// # Errors
            /// When a value is wrong, with its place.
            pub fn read(text: &str) -> std::result::Result<Self, toml::de::Error> {
                Ok(Self { shared: toml::from_str(text)?, $($field: toml::from_str(text)?,)* })
            }

            /// These choices where they are made, else those of `base`.
            pub fn over(self, base: Self) -> Self {
                Self { shared: self.shared.over(base.shared), $($field: self.$field.over(base.$field),)* }
            }

            /// Changes the architecture of `config` as was chosen.
            ///
            /// # Errors
            /// [`TrainerError::Settings`](crate::error::TrainerError::Settings) when something was chosen for a family that is not the configuration's.
            pub fn configure(&self, config: &mut RetrievalConfig) -> Result<()> {
                $(if !matches!(config.method, MethodConfig::$family(_)) && self.$field != $choices::default() {
                    return Err(choices::foreign::<$choices>(config));
                })*
                match config.method {
                    $(MethodConfig::$family(_) => self.$field.configure(config),)*
                }
            }

            /// What a model of `config` is trained towards. `pretraining`: what was not chosen is the family's for pretraining.
            ///
            /// # Errors
            /// [`TrainerError::Settings`](crate::error::TrainerError::Settings) when the losses are another family's.
            pub fn objective(&self, config: &RetrievalConfig, pretraining: bool) -> Result<ObjectiveSettings> {
                match config.method {
                    $(MethodConfig::$family(_) => {
                        let mut own = self.$field.clone();
                        if pretraining {
                            own.pretraining();
                        }
                        Ok(ObjectiveSettings::$family(own.settings(&self.shared)?))
                    })*
                }
            }

            /// The default of a family's option as the help shows it; `id` is the field's name.
            pub fn shown(id: &str, pretraining: bool) -> Option<String> {
                None$(.or_else(|| choices::shown::<$choices>(id, pretraining)))*
            }

            /// The families' options whose default something else says.
            pub fn elsewhere() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
                std::iter::empty()$(.chain($choices::ELSEWHERE))*
            }
        }
    };
}
pub(super) use families;

pub(super) fn shown<C: FamilyChoices>(id: &str, pretraining: bool) -> Option<String> {
    let listed = |list: &[(&str, &str)]| list.iter().find(|(name, _)| *name == id).map(|(_, text)| (*text).to_owned());
    let own = if pretraining { listed(C::PRETRAINING) } else { None };
    own.or_else(|| C::default_of(id)).or_else(|| listed(C::ELSEWHERE))
}

/// Names the options of a family that a model of `config` is not of.
pub(super) fn foreign<C: FamilyChoices>(config: &RetrievalConfig) -> TrainerError {
    let command = C::augment_args(clap::Command::new("choices"));
    let names: Vec<String> = command.get_arguments().filter_map(|arg| Some(format!("--{}", arg.get_long()?))).collect();
    TrainerError::settings(
        format!("the preset {}", config.name),
        format!("its method is {}, which has none of {}", config.method.family().name(), names.join(", ")),
        "leave them out, or choose another --preset",
    )
}
