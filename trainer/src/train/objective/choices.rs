//! The options of a family, and those of all families side by side.

use super::FamilyChoices;
use crate::error::TrainerError;
use thisbut_model::RetrievalConfig;

/// Writes [`OwnChoices`] from the list of families: variant of [`MethodConfig`], field, type of the choices.
macro_rules! families {
    ($($family:ident, $field:ident: $choices:ident;)*) => {
        /// Every family's own options and recipe keys.
        #[derive(Clone, Debug, Default, PartialEq, clap::Args)]
        #[allow(missing_docs, reason = "each field is the family of its name")]
        pub struct OwnChoices {
            $(#[command(flatten)] pub $field: $choices,)*
        }

        impl OwnChoices {
            /// Reads the families' keys of a recipe file; other keys are left alone.
            ///
            /// # Errors
            /// When a value is wrong, with its place.
            pub fn read(text: &str) -> std::result::Result<Self, toml::de::Error> {
                Ok(Self { $($field: toml::from_str(text)?,)* })
            }

            /// These choices where they are made, else those of `base`.
            pub fn over(self, base: Self) -> Self {
                Self { $($field: self.$field.over(base.$field),)* }
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
            pub fn objective(&self, config: &RetrievalConfig, pretraining: bool) -> ObjectiveSettings {
                match config.method {
                    $(MethodConfig::$family(_) => {
                        let mut own = self.$field.clone();
                        if pretraining {
                            own.pretraining();
                        }
                        ObjectiveSettings::$family(own.settings())
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
