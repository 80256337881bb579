//! Method families. A family is a configuration, a burn module that is a [`Method`], and an objective in the trainer;
//! everything else is written against these and knows no family. [`AnyMethod`] is for a method whose family is known when a
//! bundle or a checkpoint is opened, not before.

#[cfg(feature = "concept")]
pub mod concept;
mod contract;
#[cfg(feature = "matching")]
pub mod matching;
#[cfg(feature = "pseudo-word")]
pub mod pseudo_word;
#[cfg(feature = "two-pass")]
pub mod two_pass;

#[cfg(feature = "concept")]
pub use concept::Concept;
pub use contract::{Attention, EncodedImage, Method, similarity};
#[cfg(feature = "matching")]
pub use matching::Matching;
#[cfg(feature = "pseudo-word")]
pub use pseudo_word::PseudoWord;
#[cfg(feature = "two-pass")]
pub use two_pass::TwoPass;

#[cfg(not(any(feature = "concept", feature = "matching", feature = "pseudo-word", feature = "two-pass")))]
compile_error!("choose a method family: --features two-pass, pseudo-word, concept, matching, or several");

use crate::config::{MethodConfig, RetrievalConfig};
use crate::error::{ModelError, Result};
use crate::nn::{Noise, TextBatch};
use crate::weights::{self, Fetch};
use burn::tensor::{Device, Tensor};
use std::collections::BTreeMap;

/// Writes the two enums, and each function once for every family whose feature is on.
macro_rules! families {
    ($($feature:literal $family:ident,)*) => {
        /// A method of any family.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each variant is the family of its name")]
        #[allow(clippy::large_enum_variant, reason = "a program holds one or two; the parameters are elsewhere")]
        pub enum AnyMethod {
            $(#[cfg(feature = $feature)] $family($family),)*
        }

        /// What [`AnyMethod::image`] gives.
        #[derive(Clone, Debug)]
        #[allow(missing_docs, reason = "each variant is the family of its name")]
        #[allow(clippy::large_enum_variant, reason = "handles of tensors, a few at a time")]
        pub enum AnyImage {
            $(#[cfg(feature = $feature)] $family(<$family as Method>::Image),)*
        }

        $(#[cfg(feature = $feature)]
        impl From<$family> for AnyMethod {
            fn from(method: $family) -> Self {
                Self::$family(method)
            }
        })*

        impl AnyMethod {
            /// The configured method with random weights.
            ///
            /// # Errors
            /// [`ModelError::Config`] when its family refuses the configuration, or this build lacks the family.
            pub fn new(config: &RetrievalConfig, device: &Device) -> Result<Self> {
                match config.method {
                    $(
                        #[cfg(feature = $feature)]
                        MethodConfig::$family(_) => Ok(Self::$family($family::new(config, device)?)),
                        #[cfg(not(feature = $feature))]
                        MethodConfig::$family(_) => Err(left_out(config)),
                    )*
                }
            }

            /// The method with every parameter from `fetch`, each name behind `prefix`.
            ///
            /// # Errors
            /// As [`weights::load_from`].
            pub fn load_from<E: From<ModelError>>(self, prefix: &str, fetch: &mut Fetch<E>) -> Result<Self, E> {
                match self {
                    $(
                        #[cfg(feature = $feature)]
                        Self::$family(method) => Ok(Self::$family(weights::load_from(method, prefix, fetch)?)),
                    )*
                }
            }

            /// Names and dimensions of its parameters, each name behind `prefix`.
            pub fn shapes(&self, prefix: &str) -> BTreeMap<String, Vec<usize>> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$family(method) => weights::shapes(method, prefix),)*
                }
            }

            /// Its parameters under their paths, each name behind `prefix`.
            ///
            /// # Errors
            /// As [`weights::collect`].
            pub fn collect(&self, prefix: &str) -> Result<weights::Tensors> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$family(method) => weights::collect(method, prefix),)*
                }
            }

            /// See [`Method::image`].
            pub fn image(&self, encoded: EncodedImage) -> AnyImage {
                match self {
                    $(#[cfg(feature = $feature)] Self::$family(method) => AnyImage::$family(method.image(encoded)),)*
                }
            }

            /// See [`Method::query`].
            ///
            /// # Errors
            /// [`ModelError::Query`] when the image was made by a method of another family.
            pub fn query(&self, image: Option<&AnyImage>, text: &TextBatch, noise: &Noise) -> Result<Tensor<2>> {
                match (self, image) {
                    (_, None) => Ok(self.text_only(text, noise)),
                    $(#[cfg(feature = $feature)] (Self::$family(method), Some(AnyImage::$family(image))) => {
                        Ok(method.query(Some(image), text, noise))
                    })*
                    #[allow(unreachable_patterns, reason = "with one family there is no other")]
                    _ => Err(foreign()),
                }
            }

            /// See [`Method::attention`].
            ///
            /// # Errors
            /// As [`AnyMethod::query`].
            pub fn attention(&self, image: &AnyImage, text: &TextBatch) -> Result<Option<Attention>> {
                match (self, image) {
                    $(#[cfg(feature = $feature)] (Self::$family(method), AnyImage::$family(image)) => {
                        Ok(method.attention(image, text))
                    })*
                    #[allow(unreachable_patterns, reason = "with one family there is no other")]
                    _ => Err(foreign()),
                }
            }

            fn text_only(&self, text: &TextBatch, noise: &Noise) -> Tensor<2> {
                match self {
                    $(#[cfg(feature = $feature)] Self::$family(method) => method.query(None, text, noise),)*
                }
            }

            /// See [`Method::target`].
            ///
            /// # Errors
            /// As [`AnyMethod::query`].
            pub fn target(
                &self,
                image: &AnyImage,
                count: usize,
                silence: &TextBatch,
                noise: &Noise,
            ) -> Result<Tensor<3>> {
                match (self, image) {
                    $(#[cfg(feature = $feature)] (Self::$family(method), AnyImage::$family(image)) => {
                        Ok(Method::target(method, image, count, silence, noise))
                    })*
                    #[allow(unreachable_patterns, reason = "with one family there is no other")]
                    _ => Err(foreign()),
                }
            }
        }
    };
}

families! {
    "two-pass" TwoPass,
    "pseudo-word" PseudoWord,
    "concept" Concept,
    "matching" Matching,
}

/// A configuration of a family that this build was made without.
#[cfg(not(all(feature = "concept", feature = "matching", feature = "pseudo-word", feature = "two-pass")))]
fn left_out(config: &RetrievalConfig) -> ModelError {
    let family = config.method.family().name();
    ModelError::Config {
        place: config.name.clone(),
        problem: format!("its method is of the {family} family, which this build of thisbut was made without"),
        mend: "use the whole build, or a model of another family".into(),
    }
}

fn foreign() -> ModelError {
    ModelError::Query {
        problem: "the image was encoded for a method of another family".into(),
        mend: "encode it again with this model".into(),
    }
}
