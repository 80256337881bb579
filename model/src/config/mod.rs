//! One architecture, as data. Each preset is a JSON file in `model/configs/`; each point where the papers and their
//! published code differ is a field of its family's configuration, and its default is the paper's.

mod encoder;
mod method;
mod text;
mod two_pass;
mod versions;

pub use encoder::{ImageEncoderConfig, VitConfig, VitFamily};
pub use method::{FamilyConfig, MethodConfig};
pub use text::TextConfig;
pub use two_pass::{QFormerConfig, ReadOut, SecondPassMask, TwoPassConfig};

use crate::error::{ModelError, Result};
use crate::image::PreprocessConfig;
use serde::{Deserialize, Deserializer, Serialize};

/// A whole model: what `bundle.json` and checkpoints carry. Files of earlier versions are read too.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalConfig {
    /// The preset's name, as in `--preset web-s`.
    pub name: String,
    /// From RGBA bytes to the image encoder's input.
    pub preprocess: PreprocessConfig,
    /// The image encoder E_I.
    pub image_encoder: ImageEncoderConfig,
    /// From a text to token ids.
    pub text: TextConfig,
    /// P, the width of the space in which queries and targets are compared.
    pub projection: usize,
    /// N, the rows that stand for an image in the gallery.
    pub target_tokens: usize,
    /// The method family and its architecture.
    pub method: MethodConfig,
}

/// Largest count in a configuration: more is a slip of the pen, and would ask for terabytes.
const MOST: usize = 1 << 20;

/// The complaint about a field of the configuration `place`.
pub(crate) fn wrong<T>(place: &str, field: &str, problem: String) -> Result<T> {
    Err(ModelError::Config { place: format!("{place}: {field}"), problem, mend: "correct the field".into() })
}

/// Checks that every count is from 1 to [`MOST`].
fn check_counts(place: &str, counts: &[(&str, usize)]) -> Result<()> {
    match counts.iter().find(|(_, value)| !(1..=MOST).contains(value)) {
        Some((field, value)) => wrong(place, field, format!("{value} is not between 1 and {MOST}")),
        None => Ok(()),
    }
}

impl RetrievalConfig {
    /// The presets that ship with the crate, name and JSON text: the files of `configs/`, in the order of their names.
    pub const PRESETS: &'static [(&'static str, &'static str)] = include!(concat!(env!("OUT_DIR"), "/presets.rs"));

    /// The preset called `name`.
    ///
    /// # Errors
    /// [`ModelError::Config`] that lists the presets when there is none of that name.
    pub fn preset(name: &str) -> Result<Self> {
        match Self::PRESETS.iter().find(|(n, _)| *n == name) {
            Some((_, json)) => Self::parse(json, name),
            None => Err(ModelError::Config {
                place: format!("preset {name:?}"),
                problem: "there is no preset of that name".into(),
                mend: format!("use one of {}, or the path of a JSON file", Self::preset_names().join(", ")),
            }),
        }
    }

    /// The presets' names.
    pub fn preset_names() -> Vec<&'static str> {
        Self::PRESETS.iter().map(|(name, _)| *name).collect()
    }

    /// Reads and checks a configuration, of this version or an earlier one; `place` names it in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] with line and column, or the field that is wrong.
    pub fn parse(json: &str, place: &str) -> Result<Self> {
        let config = versions::read(json).map_err(|e| ModelError::Config {
            place: place.to_owned(),
            problem: e.to_string(),
            mend: "compare it with a file of model/configs".into(),
        })?;
        config.check(place)?;
        Ok(config)
    }

    /// Checks every field; `place` names the configuration in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self, place: &str) -> Result<()> {
        self.preprocess.check()?;
        check_counts(place, &[("projection", self.projection), ("target_tokens", self.target_tokens)])?;
        self.text.check(place)?;
        self.image_encoder.check(place, self.preprocess.size)?;
        self.method.family().check(place, self)
    }

    /// The error of something that works for the `wanted` family alone.
    pub fn another_family(&self, wanted: &str) -> ModelError {
        ModelError::Config {
            place: self.name.clone(),
            problem: format!("its method is {}, not {wanted}", self.method.family().name()),
            mend: format!("use a model of the {wanted} family"),
        }
    }

    /// T, the image tokens of one image.
    pub fn image_tokens(&self) -> usize {
        self.image_encoder.tokens(self.preprocess.size)
    }

    /// C, the width of an image token.
    pub fn image_width(&self) -> usize {
        self.image_encoder.width()
    }
}

impl<'de> Deserialize<'de> for RetrievalConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        versions::from_value(value).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_parses_under_its_own_name() {
        for (name, json) in RetrievalConfig::PRESETS {
            let config = RetrievalConfig::parse(json, name).unwrap();
            assert_eq!(config.name, *name);
            let again = serde_json::to_string(&config).unwrap();
            assert_eq!(RetrievalConfig::parse(&again, name).unwrap(), config);
        }
        let web = RetrievalConfig::preset("web-s").unwrap();
        assert_eq!((web.image_tokens(), web.image_width()), (49, 1280));
        let paper = RetrievalConfig::preset("blip2-vit-g").unwrap();
        assert_eq!((paper.image_tokens(), paper.image_width()), (257, 1408));
        assert_eq!(paper.preprocess, PreprocessConfig::CLIP);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let json = include_str!("../../configs/tiny.json").replace("\"heads\": 4", "\"heads\": 5");
        assert!(RetrievalConfig::parse(&json, "x.json").unwrap_err().to_string().contains("qformer.heads"));
        let vit = include_str!("../../configs/blip2-vit-l.json");
        for (from, to, field) in
            [("16", "15", "heads"), ("\"patch\": 14", "\"patch\": 15", "patch"), ("23", "0", "between")]
        {
            let problem = RetrievalConfig::parse(&vit.replace(from, to), "x.json").unwrap_err().to_string();
            assert!(problem.contains("image_encoder") && problem.contains(field), "{problem}");
        }
        assert!(RetrievalConfig::parse("{", "x.json").unwrap_err().to_string().contains("x.json"));
        assert!(RetrievalConfig::preset("nano").unwrap_err().to_string().contains("web-s"));
    }
}
