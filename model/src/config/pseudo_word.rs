//! The pseudo-word family: Pic2Word and HyCIR, whose mapping network turns an image into words of a text tower, and the
//! compositions of a dual encoder that need no training.

use super::budget::{Demand, Size, product};
use super::{
    FamilyConfig, MethodConfig, RetrievalConfig, TextTowerConfig, check_count, check_counts, check_temperature, wrong,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Most pseudo-words of an image (HyCIR ablates 1 to 8).
const MAX_PSEUDO_WORDS: usize = 64;
/// Longest text before the pseudo-words, in bytes.
const MAX_PROMPT: usize = 200;

/// A dual encoder, and how it makes one query of an image and a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PseudoWordConfig {
    /// The text tower E_T.
    pub text_tower: TextTowerConfig,
    /// From the mean of the image encoder's T tokens to P, for an encoder without an alignment to language. Without one, the
    /// encoder gives the embedding itself: T = 1, C = P.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_head: Option<ImageHeadConfig>,
    /// The mapping network φ; without one the model composes without training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<MappingConfig>,
    /// How a query is made of an image and a text.
    #[serde(default)]
    pub composition: Composition,
    /// What stands before the pseudo-words (Pic2Word, HyCIR: "a photo of").
    #[serde(default = "default_prompt", skip_serializing_if = "is_default_prompt")]
    pub prompt: String,
    /// Start of the temperature τ, a divisor of the cosine (CLIP: 0.07). The model holds ln(1/τ), as CLIP does.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// Dropout of the text tower while it trains. The mapping network has its own.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

/// The map of an image encoder without an alignment to language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageHeadConfig {
    /// Width of a layer with GELU before the projection; none: the projection alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<usize>,
}

/// The mapping network φ (Pic2Word's `IM2TEXT`): P → hidden → hidden → k·D.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingConfig {
    /// k, the pseudo-words of an image (Pic2Word: 1; HyCIR: 4).
    #[serde(default = "default_tokens")]
    pub tokens: usize,
    /// Width of its two hidden layers (Pic2Word: 512).
    #[serde(default = "default_hidden")]
    pub hidden: usize,
    /// Dropout after each of them during training (Pic2Word: 0.1).
    #[serde(default = "default_dropout")]
    pub dropout: f64,
}

/// How a query is made of an image and a text. `weight` is the image's, from 0 (the text alone) to 1 (the image alone).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Composition {
    /// The image's pseudo-words stand in the text, which the text tower reads (Pic2Word, HyCIR).
    PseudoWords,
    /// weight · image + (1 − weight) · text, of L2-normalised embeddings.
    WeightedSum {
        /// Of the image.
        #[serde(default = "half")]
        weight: f64,
    },
    /// The point of the great circle between the two embeddings at `weight` of the way to the image (Slerp: Jang et al., 2024).
    Slerp {
        /// Of the image.
        #[serde(default = "half")]
        weight: f64,
    },
}

impl Default for Composition {
    fn default() -> Self {
        Self::WeightedSum { weight: half() }
    }
}

impl Composition {
    /// The words for them.
    pub const NAMES: [&'static str; 3] = ["pseudo-words", "weighted-sum", "slerp"];

    /// This composition with another name or weight, where they are given. The weight stays with the name that is new, where
    /// both have one.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when there is none of that name, or pseudo-words are given a weight.
    pub fn chosen(self, name: Option<&str>, weight: Option<f64>) -> Result<Self> {
        let name = name.unwrap_or(self.name());
        let chosen = weight.or(self.weight()).unwrap_or_else(half);
        match (name, weight) {
            ("pseudo-words", None) => Ok(Self::PseudoWords),
            ("pseudo-words", Some(_)) => {
                wrong("the composition", "weight", "pseudo-words have none; the text tower weighs".into())
            }
            ("weighted-sum", _) => Ok(Self::WeightedSum { weight: chosen }),
            ("slerp", _) => Ok(Self::Slerp { weight: chosen }),
            (other, _) => wrong("the composition", "kind", format!("{other} is none of {}", Self::NAMES.join(", "))),
        }
    }

    /// The word for it, as in a configuration file.
    pub fn name(self) -> &'static str {
        match self {
            Self::PseudoWords => "pseudo-words",
            Self::WeightedSum { .. } => "weighted-sum",
            Self::Slerp { .. } => "slerp",
        }
    }

    /// The weight of the image; none where the text tower weighs.
    pub fn weight(self) -> Option<f64> {
        match self {
            Self::PseudoWords => None,
            Self::WeightedSum { weight } | Self::Slerp { weight } => Some(weight),
        }
    }
}

/// What a method writes around a text that comes with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The text before the slots.
    pub before: String,
    /// The slots that the image's pseudo-words take.
    pub slots: usize,
}

fn default_prompt() -> String {
    "a photo of".to_owned()
}

fn is_default_prompt(prompt: &str) -> bool {
    prompt == "a photo of"
}

pub(super) fn default_temperature() -> f64 {
    0.07
}

fn default_tokens() -> usize {
    4
}

fn default_hidden() -> usize {
    512
}

fn default_dropout() -> f64 {
    0.1
}

fn half() -> f64 {
    0.5
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
pub(super) fn is_zero(share: &f64) -> bool {
    *share == 0.0
}

impl Default for MappingConfig {
    fn default() -> Self {
        Self { tokens: default_tokens(), hidden: default_hidden(), dropout: default_dropout() }
    }
}

impl MappingConfig {
    /// Of a map from P to words of width `width` (D).
    fn size(&self, projection: usize, width: usize) -> Size {
        Size::linear(projection, self.hidden)
            + Size::linear(self.hidden, self.hidden)
            + Size::linear(self.hidden, self.tokens.saturating_mul(width))
    }

    fn check(&self, place: &str) -> Result<()> {
        check_count(place, "mapping.tokens", self.tokens, MAX_PSEUDO_WORDS)?;
        check_counts(place, &[("mapping.hidden", self.hidden)])?;
        check_share(place, "mapping.dropout", self.dropout)
    }
}

impl ImageHeadConfig {
    /// Of a head from C to P.
    pub(super) fn size(&self, width: usize, projection: usize) -> Size {
        let norm = Size::norm(width);
        norm + match self.hidden {
            Some(hidden) => Size::linear(width, hidden) + Size::linear(hidden, projection),
            None => Size::linear(width, projection),
        }
    }
}

pub(super) fn check_share(place: &str, field: &str, share: f64) -> Result<()> {
    match (0.0..1.0).contains(&share) {
        true => Ok(()),
        false => wrong(place, field, format!("{share} is not in [0, 1)")),
    }
}

impl PseudoWordConfig {
    /// Checks how images become embeddings of width P.
    fn check_image(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        let (tokens, width) = (whole.image_tokens(), whole.image_width());
        match &self.image_head {
            Some(head) => check_counts(place, &[("method.image_head.hidden", head.hidden.unwrap_or(1))]),
            None if (tokens, width) == (1, whole.projection) => Ok(()),
            None => {
                let problem = format!(
                    "without one the image encoder gives the embedding, 1 token of {}; it gives {tokens} of {width}",
                    whole.projection
                );
                wrong(place, "method.image_head", problem)
            }
        }
    }

    fn check_composition(&self, place: &str) -> Result<()> {
        match self.composition {
            Composition::PseudoWords if self.mapping.is_none() => wrong(
                place,
                "method.composition",
                "pseudo-words need a mapping network, and method.mapping is missing".into(),
            ),
            composition => match composition.weight().filter(|weight| !(0.0..=1.0).contains(weight)) {
                Some(weight) => wrong(place, "method.composition.weight", format!("{weight} is not in [0, 1]")),
                None => Ok(()),
            },
        }
    }
}

impl FamilyConfig for PseudoWordConfig {
    fn name(&self) -> &'static str {
        "pseudo-word"
    }

    fn summary(&self) -> String {
        let tower = format!("{} layers of {}", self.text_tower.layers(), self.text_tower.width());
        match &self.mapping {
            Some(mapping) => format!("text tower of {tower}, {} pseudo-words an image", mapping.tokens),
            None => format!("text tower of {tower}, composed by {}", self.composition.name()),
        }
    }

    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        self.text_tower.check(place, "method.text_tower", whole.text.length())?;
        self.mapping.iter().try_for_each(|mapping| mapping.check(place))?;
        if whole.target_tokens != 1 {
            let problem = format!("{} target tokens; an image has one embedding here", whole.target_tokens);
            return wrong(place, "target_tokens", problem);
        }
        if self.prompt.len() > MAX_PROMPT {
            return wrong(place, "method.prompt", format!("{} bytes are more than {MAX_PROMPT}", self.prompt.len()));
        }
        check_temperature(place, self.temperature)?;
        check_share(place, "method.dropout", self.dropout)?;
        self.check_image(place, whole)?;
        self.check_composition(place)
    }

    fn demand(&self, whole: &RetrievalConfig) -> Demand {
        let (p, length) = (whole.projection, whole.text.length());
        let tower = &self.text_tower;
        let own = |size: Option<Size>| size.unwrap_or_default();
        let mapping = own(self.mapping.as_ref().map(|m| m.size(p, tower.width())));
        let head = own(self.image_head.as_ref().map(|head| head.size(whole.image_width(), p)));
        let widest = [
            self.mapping.as_ref().map_or(0, |m| m.hidden.max(m.tokens.saturating_mul(tower.width()))),
            self.image_head.as_ref().and_then(|head| head.hidden).unwrap_or(0),
            p,
        ];
        let seen = product(&[whole.image_tokens(), whole.image_width()]);
        Demand {
            size: tower.size(whole.text.vocabulary(), Some(p)) + mapping + head + Size::values(1),
            activation: widest
                .into_iter()
                .fold(tower.activation(length).max(seen), |most, width| most.max(width as u64)),
            work: tower.work(length).saturating_add(mapping.parameters).saturating_add(head.parameters),
        }
    }

    fn dropout(&self) -> f64 {
        self.mapping.as_ref().map_or(self.dropout, |mapping| mapping.dropout)
    }

    fn attention_dropout(&self) -> f64 {
        0.0
    }

    fn set_dropout(&mut self, share: f64) {
        match &mut self.mapping {
            Some(mapping) => mapping.dropout = share,
            None => self.dropout = share,
        }
    }

    fn set_temperature(&mut self, temperature: f64) {
        self.temperature = temperature;
    }

    fn reads_padding(&self) -> bool {
        false
    }

    fn attends(&self) -> bool {
        // An image is one embedding before it meets a text.
        false
    }

    fn projections(&self) -> &'static [&'static str] {
        // The mapping network reads all of P, and without a head the projection is the image encoder's own.
        match (&self.image_head, &self.mapping) {
            (Some(_), None) => &["image_head.projection", "text.projection"],
            _ => &[],
        }
    }

    fn image_values(&self, _: usize, _: usize) -> usize {
        // The embedding; the mapping network's words are made with the query.
        self.mapping.as_ref().map_or(0, |mapping| mapping.hidden)
    }

    fn is_dual_encoder(&self) -> bool {
        true
    }

    fn switches(&self) -> &'static [&'static str] {
        // A mapping network that one of two models lacks is new, or left behind; two must agree.
        &[
            "temperature",
            "dropout",
            "mapping",
            "mapping.dropout",
            "composition",
            "composition.kind",
            "composition.weight",
            "prompt",
        ]
    }

    fn leave_unread(&mut self) -> &'static [&'static str] {
        let unread = self.composition != Composition::PseudoWords;
        if unread && self.mapping.take().is_some() { &["mapping"] } else { &[] }
    }

    fn kept_fine(&self) -> &'static [&'static str] {
        &["image_head", "mapping", "text.position", "text.projection", "text.word_projection"]
    }

    fn text_tower(&self) -> Option<&TextTowerConfig> {
        Some(&self.text_tower)
    }

    fn text_tower_mut(&mut self) -> Option<&mut TextTowerConfig> {
        Some(&mut self.text_tower)
    }

    fn prompt(&self) -> Option<Prompt> {
        let slots = self.mapping.as_ref().filter(|_| self.composition == Composition::PseudoWords)?.tokens;
        Some(Prompt { before: self.prompt.clone(), slots })
    }
}

impl RetrievalConfig {
    /// The pseudo-word family's architecture.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the method is of another family.
    pub fn pseudo_word(&self) -> Result<&PseudoWordConfig> {
        match &self.method {
            MethodConfig::PseudoWord(config) => Ok(config),
            _ => Err(self.another_family("pseudo-word")),
        }
    }

    /// As [`RetrievalConfig::pseudo_word`], to be changed.
    ///
    /// # Errors
    /// As [`RetrievalConfig::pseudo_word`].
    pub fn pseudo_word_mut(&mut self) -> Result<&mut PseudoWordConfig> {
        let refused = self.another_family("pseudo-word");
        match &mut self.method {
            MethodConfig::PseudoWord(config) => Ok(config),
            _ => Err(refused),
        }
    }
}
