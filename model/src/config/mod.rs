//! One architecture, as data. Each preset is a JSON file in `model/configs/`; each point where the papers and their
//! published code differ is a field of its family's configuration, and its default is the paper's.

mod adapter;
mod budget;
mod concept;
mod encoder;
mod matching;
mod method;
mod pseudo_word;
mod text;
pub(crate) mod text_tower;
mod two_pass;
mod versions;

pub use adapter::{AdapterConfig, AdapterPlace};
pub use budget::{Demand, MAX_PARAMETERS, Size};
pub use concept::{ConceptConfig, FusionConfig, FusionForm, Pooling, TargetForm};
pub use encoder::{Activation, ImageEncoderConfig, VitConfig, VitFamily};
pub use matching::{MatchingConfig, MatchingScore, TextForm};
pub use method::{FamilyConfig, MethodConfig};
pub use pseudo_word::{Composition, ImageHeadConfig, MappingConfig, Prompt, PseudoWordConfig};
pub use text::TextConfig;
pub use text_tower::{BertTowerConfig, ClipTowerConfig, TextReadOut, TextTowerConfig};
pub use two_pass::{QFormerConfig, ReadOut, SecondPassMask, TwoPassConfig};

use crate::error::{ModelError, Result};
use crate::gallery::MAX_DIMENSION;
use crate::image::PreprocessConfig;
use serde::{Deserialize, Deserializer, Serialize};

/// A whole model: what `bundle.json` and checkpoints carry. Files of earlier versions are read too.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalConfig {
    /// The preset's name, as in `--preset web-s`. It becomes a part of file names, so it is one itself: letters, digits and
    /// ` ._+-`, at most 100 bytes.
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

/// Longest name of a configuration, in bytes.
const MAX_NAME: usize = 100;

/// Longest configuration in bytes; the presets have about a thousand.
const MAX_JSON: usize = 1 << 16;

/// The complaint about a field of the configuration `place`.
pub(crate) fn wrong<T>(place: &str, field: &str, problem: String) -> Result<T> {
    Err(ModelError::Config { place: format!("{place}: {field}"), problem, mend: "correct the field".into() })
}

/// Checks that every count is from 1 to [`MOST`].
fn check_counts(place: &str, counts: &[(&str, usize)]) -> Result<()> {
    counts.iter().try_for_each(|(field, value)| check_count(place, field, *value, MOST))
}

/// Checks that a count is from 1 to `most`.
fn check_count(place: &str, field: &str, value: usize, most: usize) -> Result<()> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => wrong(place, field, format!("{value} is not between 1 and {most}")),
    }
}

/// Checks that a temperature τ can be divided by, in the 32-bit numbers that the model computes with.
fn check_temperature(place: &str, temperature: f64) -> Result<()> {
    let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
    match (f64::from(least)..=f64::from(most)).contains(&temperature) {
        true => Ok(()),
        false => wrong(place, "method.temperature", format!("{temperature:e} is not between {least:e} and {most:e}")),
    }
}

/// Checks that a name can be a part of a file's name, on every system, and leads nowhere else.
fn check_name(place: &str, name: &str) -> Result<()> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '+' | '-');
    let outer = |c: char| c == '.' || c == ' ';
    if name.is_empty() || name.len() > MAX_NAME || name.starts_with(outer) || name.ends_with(outer) {
        let problem = format!("it has to have 1 to {MAX_NAME} bytes, without a dot or a space at either end");
        return wrong(place, "name", problem);
    }
    match name.chars().find(|c| !plain(*c)) {
        Some(c) => wrong(place, "name", format!("{c:?} is none of letters, digits, spaces and ._+-")),
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
        if json.len() > MAX_JSON {
            return wrong(place, "the text", format!("{} bytes are too long for a configuration", json.len()));
        }
        let config = versions::read(json).map_err(|e| ModelError::Config {
            place: place.to_owned(),
            problem: crate::error::excerpt(&e.to_string()),
            mend: "compare it with a file of model/configs".into(),
        })?;
        config.check(place)?;
        Ok(config)
    }

    /// Checks every field, and what they ask for together; `place` names the configuration in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self, place: &str) -> Result<()> {
        check_name(place, &self.name)?;
        self.preprocess.check().map_err(|e| e.of_file(place))?;
        check_count(place, "projection", self.projection, MAX_DIMENSION)?;
        check_count(place, "target_tokens", self.target_tokens, MAX_DIMENSION)?;
        self.text.check(place)?;
        self.image_encoder.check(place, self.preprocess.size)?;
        self.method.family().check(place, self)?;
        self.check_budget(place)
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
        let config = versions::from_value(value).map_err(serde::de::Error::custom)?;
        config.check("the configuration").map_err(serde::de::Error::custom)?;
        Ok(config)
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

    /// JSON's reader is one digit off without `float_roundtrip`.
    #[test]
    fn a_number_is_read_as_it_was_written() {
        let json = include_str!("../../configs/tiny.json");
        let (first, last) = json.split_once("\"kind\": \"two-pass\",").unwrap();
        let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
        let drawn = std::iter::repeat_with(|| {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            f64::from_bits(bits >> 1)
        });
        let usable = |number: &f64| check_temperature("x.json", *number).is_ok();
        let drawn = drawn.filter(usable).take(200).map(|number| number.to_string());
        let chosen = ["1844674407318446744073709551615.07", "0.070000000000000007", "1.1754943508222876e-38"];
        for number in chosen.map(str::to_owned).into_iter().chain(drawn) {
            let json = format!("{first}\"kind\":\"two-pass\",\"temperature\":{number},{last}");
            let config = RetrievalConfig::parse(&json, "x.json").unwrap();
            assert_eq!(config.two_pass().unwrap().temperature, number.parse::<f64>().unwrap(), "{number}");
            let again = serde_json::to_string(&config).unwrap();
            assert_eq!(RetrievalConfig::parse(&again, "x.json").unwrap(), config, "{number}");
            assert_eq!(serde_json::from_str::<RetrievalConfig>(&again).unwrap(), config, "{number}");
        }
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

    #[test]
    fn what_no_cosine_can_be_divided_by_is_no_temperature() {
        let two_pass =
            include_str!("../../configs/tiny.json").replace("\"qformer\"", "\"temperature\": 0.5, \"qformer\"");
        let pseudo_word = serde_json::to_string(&RetrievalConfig::preset("dual-xs").unwrap()).unwrap();
        for (json, before) in [(two_pass, "\"temperature\": 0.5"), (pseudo_word, "\"temperature\":0.07")] {
            assert!(json.contains(before), "{json}");
            let with = |number: &str| {
                RetrievalConfig::parse(&json.replace(before, &format!("\"temperature\":{number}")), "x.json")
            };
            assert!(with("0.01").is_ok() && with("100").is_ok());
            for number in ["0", "-0.0", "-0.07", "1e-40", "5e-324", "1e39", "1e308"] {
                let message = with(number).unwrap_err().to_string();
                assert!(message.starts_with("x.json: method.temperature"), "{number}: {message}");
            }
        }
    }

    #[test]
    fn a_name_is_no_path() {
        let named = |name: &str| {
            let json = include_str!("../../configs/tiny.json");
            let name = serde_json::to_string(name).unwrap();
            RetrievalConfig::parse(&json.replace("\"tiny\"", &name), "x.json")
        };
        for name in ["tiny", "deep-24", "Schuhe für Sölden 2.0+", "模型"] {
            assert_eq!(named(name).unwrap().name, name);
        }
        let long = "n".repeat(101);
        let hostile = [
            "",
            "../../evil",
            "a/b",
            "/etc/x",
            "a\\b",
            "C:x",
            "..",
            ".",
            ".hidden",
            "x.",
            " x",
            "a\nb",
            "a\u{1b}[2Jb",
            "a\0",
            "a\u{202e}b",
            "\u{feff}",
            "a|b",
            "a*",
            &long,
        ];
        for name in hostile {
            let message = named(name).unwrap_err().to_string();
            assert!(message.starts_with("x.json: name: ") && !message.contains('\u{1b}'), "{name:?}: {message}");
        }
    }
}
