//! The concept family: ConText-CIR, whose image tokens look at a text's tokens before they are pooled to one row.

use super::budget::{Demand, MAX_LAYERS, Size, product};
use super::pseudo_word::{check_share, default_temperature, is_zero};
use super::{
    FamilyConfig, ImageEncoderConfig, ImageHeadConfig, MethodConfig, RetrievalConfig, TextTowerConfig, VitFamily,
    check_count, check_counts, check_temperature, wrong,
};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// Image and text tower, the cross-attention between their tokens, and how an image of the gallery becomes a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConceptConfig {
    /// The text tower E_T, of which every token is read.
    pub text_tower: TextTowerConfig,
    /// Cross-attention of image and text tokens.
    #[serde(default)]
    pub fusion: FusionConfig,
    /// From the fused image tokens to one vector.
    #[serde(default)]
    pub pooling: Pooling,
    /// What an image of the gallery is compared by.
    #[serde(default)]
    pub target: TargetForm,
    /// With [`TargetForm::Pooled`], the map from the mean of the image tokens to P, for an encoder that is not CLIP's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_head: Option<ImageHeadConfig>,
    /// Temperature τ, a divisor of the cosine (published code: 0.07). The model holds ln(1/τ), as CLIP does; it stays unless
    /// a group names it.
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// Dropout of a BERT text tower while it trains.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropout: f64,
}

/// Cross-attention: image tokens ask, text tokens are keys and values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionConfig {
    /// Blocks (published code: 4; the paper names no number).
    #[serde(default = "default_blocks")]
    pub blocks: usize,
    /// H, of each block and of the pooling; divides the fused tokens' width (published code: 8).
    #[serde(default = "default_heads")]
    pub heads: usize,
    /// What a block is made of.
    #[serde(default)]
    pub form: FusionForm,
    /// Width of the fused tokens, to which a linear map takes the image tokens. Without it they keep their own, C (paper, published
    /// code): an encoder whose tokens are much wider than its model then makes most of a step's arithmetic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
}

/// What a block of the fusion is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FusionForm {
    /// `x + attention(x, text)`. The paper names cross-attention alone (section 3.2). The residual is this project's reading:
    /// without it f(I, "") would hold the image in the weights over two tokens.
    #[default]
    Attention,
    /// The published code's: `x + attention(norm(x), text)`, then `x + mlp(norm(x))` with exact GELU and a width of 4·C.
    Transformer,
}

/// How the fused image tokens become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The paper's: pooling by multi-head attention of Set Transformer with one seed, `MAB(S, rFF(Z))`, where
    /// `MAB(X, Y) = norm(H + rFF(H))` and `H = norm(X + attention(X, Y))`; rFF is a linear map with ReLU, as its code has it.
    #[default]
    SetTransformer,
    /// The published code's: `norm(attention(S, Z))`.
    Attention,
}

/// What an image of the gallery is compared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetForm {
    /// The paper's: f(I, ""), the same network with an empty text.
    #[default]
    Fused,
    /// The published code's: CLIP's own pooled row through its `visual_projection`; a text alone is CLIP's row of it.
    Pooled,
}

fn default_blocks() -> usize {
    4
}

fn default_heads() -> usize {
    8
}

impl Default for FusionConfig {
    fn default() -> Self {
        Self { blocks: default_blocks(), heads: default_heads(), form: FusionForm::default(), width: None }
    }
}

impl FusionConfig {
    /// Width of a block's feed-forward network over tokens of `width` (C).
    pub fn intermediate(width: usize) -> usize {
        width.saturating_mul(4)
    }

    /// Of the fused tokens, where image tokens are of `image` (C).
    pub fn width(&self, image: usize) -> usize {
        self.width.unwrap_or(image)
    }

    /// Of the blocks, from fused tokens of `width` to text tokens of `text` (D).
    fn size(&self, width: usize, text: usize) -> Size {
        let attention = Size::linear(width, width).times(2) + Size::linear(text, width).times(2);
        let inner = Self::intermediate(width);
        let rest = match self.form {
            FusionForm::Attention => Size::default(),
            FusionForm::Transformer => {
                Size::norm(width).times(2) + Size::linear(width, inner) + Size::linear(inner, width)
            }
        };
        (attention + rest).times(self.blocks)
    }

    /// Of the map to the fused tokens' width, where there is one.
    fn map_size(&self, image: usize) -> Size {
        self.width.map(|width| Size::linear(image, width)).unwrap_or_default()
    }

    /// Multiplications of that map for `tokens` image tokens (T) of `image` (C).
    pub fn map_work(&self, tokens: usize, image: usize) -> u64 {
        self.width.map(|width| product(&[tokens, image, width])).unwrap_or(0)
    }

    /// Multiplications for `tokens` fused tokens (T) of `width` with `length` text tokens (L) of `text` (D).
    pub fn work(&self, [tokens, width]: [usize; 2], [length, text]: [usize; 2]) -> u64 {
        let inner = match self.form {
            FusionForm::Attention => 0,
            FusionForm::Transformer => product(&[2, tokens, width, Self::intermediate(width)]),
        };
        let parts = [
            product(&[2, tokens, width, width]),
            product(&[2, length, text, width]),
            product(&[2, tokens, length, width]),
            inner,
        ];
        let block = parts.into_iter().fold(0, u64::saturating_add);
        block.saturating_mul(self.blocks as u64)
    }
}

impl Pooling {
    /// Of a pooling of tokens of `width` (C).
    fn size(self, width: usize) -> Size {
        let attention = Size::table(1, width) + Size::linear(width, width).times(4) + Size::norm(width);
        match self {
            Self::Attention => attention,
            Self::SetTransformer => attention + Size::linear(width, width).times(2) + Size::norm(width),
        }
    }

    /// Multiplications for `tokens` tokens (T) of `width` (C).
    pub fn work(self, tokens: usize, width: usize) -> u64 {
        let maps = if self == Self::SetTransformer { 3 } else { 2 };
        product(&[maps, tokens, width, width]).saturating_add(product(&[4, width, width]))
    }
}

impl ConceptConfig {
    /// The epsilon of the norm over CLIP's class token, where targets are CLIP's pooled row.
    pub fn pools_clip(&self, encoder: &ImageEncoderConfig) -> Option<f64> {
        match encoder {
            ImageEncoderConfig::Vit(vit) if vit.family == VitFamily::Clip && self.target == TargetForm::Pooled => {
                Some(vit.layer_norm_eps())
            }
            _ => None,
        }
    }

    fn check_target(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        let clip = self.pools_clip(&whole.image_encoder).is_some();
        match (self.target, &self.image_head) {
            (TargetForm::Fused, Some(_)) => {
                wrong(place, "method.image_head", "a fused target does not read it; leave it out".into())
            }
            (TargetForm::Pooled, Some(_)) if clip => {
                wrong(place, "method.image_head", "CLIP's own projection gives its targets; leave it out".into())
            }
            (TargetForm::Pooled, None) if !clip => {
                let problem = "an image encoder that is not CLIP's has no pooled row without it".into();
                wrong(place, "method.image_head", problem)
            }
            (_, Some(head)) => check_counts(place, &[("method.image_head.hidden", head.hidden.unwrap_or(1))]),
            (_, None) => Ok(()),
        }
    }

    /// Of what makes pooled targets.
    fn target_size(&self, whole: &RetrievalConfig) -> Size {
        let (width, p) = (whole.image_width(), whole.projection);
        let clip = self.pools_clip(&whole.image_encoder).map(|_| Size::norm(width) + Size::table(width, p));
        let head = self.image_head.as_ref().map(|head| head.size(width, p));
        clip.or(head).unwrap_or_default()
    }

    /// P where a text alone is the text tower's own row.
    pub fn text_projection(&self, projection: usize) -> Option<usize> {
        (self.target == TargetForm::Pooled).then_some(projection)
    }
}

impl FamilyConfig for ConceptConfig {
    fn name(&self) -> &'static str {
        "concept"
    }

    fn summary(&self) -> String {
        let (tower, blocks) = (&self.text_tower, self.fusion.blocks);
        format!("text tower of {} layers of {}, {blocks} blocks of cross-attention", tower.layers(), tower.width())
    }

    fn check(&self, place: &str, whole: &RetrievalConfig) -> Result<()> {
        self.text_tower.check(place, "method.text_tower", whole.text.length())?;
        check_count(place, "method.fusion.blocks", self.fusion.blocks, MAX_LAYERS)?;
        check_counts(place, &[("method.fusion.heads", self.fusion.heads)])?;
        check_counts(place, &[("method.fusion.width", self.fusion.width.unwrap_or(1))])?;
        let width = self.fusion.width(whole.image_width());
        if !width.is_multiple_of(self.fusion.heads) {
            let problem = format!("{} heads do not divide fused tokens of {width}", self.fusion.heads);
            return wrong(place, "method.fusion.heads", problem);
        }
        if whole.target_tokens != 1 {
            let problem = format!("{} target tokens; an image has one row here", whole.target_tokens);
            return wrong(place, "target_tokens", problem);
        }
        if matches!(&whole.image_encoder, ImageEncoderConfig::Vit(vit) if vit.pooled.is_some()) {
            return wrong(place, "image_encoder.pooled", "this method reads every image token; leave it out".into());
        }
        check_temperature(place, self.temperature)?;
        check_share(place, "method.dropout", self.dropout)?;
        self.check_target(place, whole)
    }

    fn demand(&self, whole: &RetrievalConfig) -> Demand {
        let (p, length, words) = (whole.projection, whole.text.length(), whole.text.vocabulary());
        let (tokens, image, tower) = (whole.image_tokens(), whole.image_width(), &self.text_tower);
        let width = self.fusion.width(image);
        let own = self.fusion.size(width, tower.width()) + self.pooling.size(width) + Size::linear(width, p);
        let text = tower.size(words, self.text_projection(p));
        let widest = match self.fusion.form {
            FusionForm::Attention => width,
            FusionForm::Transformer => FusionConfig::intermediate(width),
        };
        let weights = self.fusion.heads.saturating_mul(length);
        let work = [
            tower.work(length),
            self.fusion.work([tokens, width], [length, tower.width()]),
            self.pooling.work(tokens, width),
            self.fusion.map_work(tokens, image),
        ];
        Demand {
            size: own + self.fusion.map_size(image) + text + self.target_size(whole) + Size::values(1),
            activation: tower.activation(length).max(product(&[tokens, widest.max(weights).max(p)])),
            work: work.into_iter().fold(0, u64::saturating_add),
        }
    }

    fn dropout(&self) -> f64 {
        self.dropout
    }

    fn attention_dropout(&self) -> f64 {
        0.0
    }

    fn set_dropout(&mut self, share: f64) {
        self.dropout = share;
    }

    fn set_temperature(&mut self, temperature: f64) {
        self.temperature = temperature;
    }

    fn reads_padding(&self) -> bool {
        false
    }

    fn projections(&self) -> &'static [&'static str] {
        match (self.target, &self.image_head, &self.text_tower) {
            (TargetForm::Fused, ..) => &["head"],
            (TargetForm::Pooled, Some(_), TextTowerConfig::Bert(_)) => {
                &["head", "image_head.projection", "text.projection"]
            }
            // CLIP's projections have no bias, and the spaces of image and text are its own.
            (TargetForm::Pooled, ..) => &[],
        }
    }

    fn image_values(&self, tokens: usize, width: usize) -> usize {
        tokens.saturating_mul(width)
    }

    fn is_dual_encoder(&self) -> bool {
        self.target == TargetForm::Pooled
    }

    fn switches(&self) -> &'static [&'static str] {
        &["temperature", "dropout"]
    }

    fn kept_fine(&self) -> &'static [&'static str] {
        &[
            "head",
            "pool.seed",
            "image_head",
            "image_projection",
            "text.position",
            "text.projection",
            "text.word_projection",
        ]
    }

    fn text_tower(&self) -> Option<&TextTowerConfig> {
        Some(&self.text_tower)
    }

    fn text_tower_mut(&mut self) -> Option<&mut TextTowerConfig> {
        Some(&mut self.text_tower)
    }

    fn grown_from(&self, other: &MethodConfig) -> Option<MethodConfig> {
        let MethodConfig::PseudoWord(dual) = other else { return None };
        let image_head = self.image_head.as_ref().and(dual.image_head.clone());
        Some(MethodConfig::Concept(Self { text_tower: dual.text_tower.clone(), image_head, ..self.clone() }))
    }
}

impl RetrievalConfig {
    /// Gives a concept model an image head where its targets need one, and takes it where they do not: after its form of
    /// targets was changed.
    pub fn give_image_head(&mut self) {
        let encoder = self.image_encoder.clone();
        let MethodConfig::Concept(own) = &mut self.method else { return };
        let needed = own.target == TargetForm::Pooled && own.pools_clip(&encoder).is_none();
        own.image_head = needed.then(|| own.image_head.take().unwrap_or_default());
    }

    /// The concept family's architecture.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the method is of another family.
    pub fn concept(&self) -> Result<&ConceptConfig> {
        match &self.method {
            MethodConfig::Concept(config) => Ok(config),
            _ => Err(self.another_family("concept")),
        }
    }

    /// As [`RetrievalConfig::concept`], to be changed.
    ///
    /// # Errors
    /// As [`RetrievalConfig::concept`].
    pub fn concept_mut(&mut self) -> Result<&mut ConceptConfig> {
        let refused = self.another_family("concept");
        match &mut self.method {
            MethodConfig::Concept(config) => Ok(config),
            _ => Err(refused),
        }
    }
}
