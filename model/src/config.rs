//! One architecture, as data. Each preset is a JSON file in `model/configs/`; each point where the papers and their
//! published code differ is a field here, and its default is the paper's.

use crate::error::{ModelError, Result};
use crate::image::PreprocessConfig;
use serde::{Deserialize, Serialize};

/// A whole model: what `bundle.json` and checkpoints carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CirConfig {
    /// The preset's name, as in `--preset web-s`.
    pub name: String,
    /// From RGBA bytes to the image encoder's input.
    pub preprocess: PreprocessConfig,
    /// The frozen image encoder E_I.
    pub image_encoder: ImageEncoderConfig,
    /// E_M and E_T: one Q-Former, two passes.
    pub qformer: QFormerConfig,
    /// P, the width of the space in which queries and targets are compared.
    pub projection: usize,
    /// L, text tokens with `[CLS]` and `[SEP]`; longer texts are cut.
    pub text_length: usize,
    /// Start of the learnable temperature τ, a divisor of the cosine (SPRC: 0.07).
    #[serde(default = "default_temperature")]
    pub temperature: f64,
    /// How f_q is read from the second pass.
    #[serde(default)]
    pub read_out: ReadOut,
    /// What the second pass attends to.
    #[serde(default)]
    pub second_pass_mask: SecondPassMask,
    /// Whether the second pass has a Q-Former of its own (SPN4CIR's second stage trains a copy while the first pass stays as
    /// it is); the papers share one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_second_pass: bool,
}

fn default_temperature() -> f64 {
    0.07
}

/// A frozen image encoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ImageEncoderConfig {
    /// EfficientNet-Lite's feature grid as tokens (variant 0, 1 or 2): Lite0 gives T = 49 tokens of C = 1280.
    EfficientnetLite {
        /// 0, 1 or 2.
        variant: usize,
    },
    /// A vision transformer of BLIP-2: T = 257 tokens of C = 1408 (EVA ViT-g/14) or 1024 (CLIP ViT-L/14).
    Vit(VitConfig),
    /// One convolution of `patch` × `patch` pixels; for tests, which need an encoder that runs in microseconds.
    Patch {
        /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
        patch: usize,
        /// C.
        width: usize,
    },
}

/// A vision transformer whose every token is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VitConfig {
    /// Which of the two.
    pub family: VitFamily,
    /// Side of a patch in pixels; `preprocess.size` is a multiple of it.
    pub patch: usize,
    /// C.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads; divide C.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
}

/// Where two pre-norm vision transformers differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VitFamily {
    /// EVA: biased patches, keys without a bias, exact GELU, epsilon 1e-6.
    Eva,
    /// CLIP: patches without a bias, a norm before the first block, QuickGELU, epsilon 1e-5.
    Clip,
}

impl VitFamily {
    /// Epsilon of the blocks' norms.
    pub fn layer_norm_eps(self) -> f64 {
        match self {
            Self::Eva => 1e-6,
            Self::Clip => 1e-5,
        }
    }
}

/// The Q-Former.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QFormerConfig {
    /// Blocks.
    pub layers: usize,
    /// D.
    pub width: usize,
    /// H; divides D.
    pub heads: usize,
    /// Width of the feed-forward networks.
    pub intermediate: usize,
    /// N, the number of query tokens and of prompt tokens.
    pub query_tokens: usize,
    /// Every how many blocks one attends to the image; block 0 does (BLIP-2: 2).
    pub cross_attention_every: usize,
    /// Rows of the word embedding table.
    pub vocabulary: usize,
    /// Width of the word embedding table; a linear map leads to D where it differs (default: D).
    #[serde(default)]
    pub word_width: Option<usize>,
    /// Rows of the position table.
    pub positions: usize,
    /// Image tokens are mapped to this width once, before every block's keys and values (default: not at all).
    #[serde(default)]
    pub image_width: Option<usize>,
    /// Layer norm epsilon (BERT: 1e-12).
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f64,
    /// Dropout on embeddings and on each sub-block's output during training.
    #[serde(default = "default_dropout")]
    pub dropout: f64,
}

fn default_eps() -> f64 {
    1e-12
}

fn default_dropout() -> f64 {
    0.1
}

/// How f_q `[B, P]` is read from the second pass's `[B, N + L, D]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOut {
    /// `[CLS]`, position N (paper eq. 7; SPRC; MTST_PTHA's inference code).
    #[default]
    Cls,
    /// Mean of the N prompt positions and `[CLS]` (paper, fine-tuning on CIRR; MTST_PTHA's training code).
    MeanPromptCls,
}

/// What the second pass attends to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecondPassMask {
    /// Padding stays hidden (SPRC; MTST_PTHA's inference code).
    #[default]
    Padding,
    /// Everything is attended to, padding too (MTST_PTHA's training code).
    AllOnes,
}

impl CirConfig {
    /// The presets that ship with the crate: name and JSON text.
    pub const PRESETS: [(&'static str, &'static str); 5] = [
        ("tiny", include_str!("../configs/tiny.json")),
        ("web-s", include_str!("../configs/web-s.json")),
        ("web-xs", include_str!("../configs/web-xs.json")),
        ("blip2-vit-g", include_str!("../configs/blip2-vit-g.json")),
        ("blip2-vit-l", include_str!("../configs/blip2-vit-l.json")),
    ];

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
                mend: format!("use one of {}, or the path of a JSON file", Self::PRESETS.map(|(n, _)| n).join(", ")),
            }),
        }
    }

    /// Reads and checks a configuration; `place` names it in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] with line and column, or the field that is wrong.
    pub fn parse(json: &str, place: &str) -> Result<Self> {
        let config: Self = serde_json::from_str(json).map_err(|e| ModelError::Config {
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
        let q = &self.qformer;
        let wrong = |field: &str, problem: String| {
            Err(ModelError::Config { place: format!("{place}: {field}"), problem, mend: "correct the field".into() })
        };
        let counts = [
            ("projection", self.projection),
            ("qformer.layers", q.layers),
            ("qformer.width", q.width),
            ("qformer.heads", q.heads),
            ("qformer.intermediate", q.intermediate),
            ("qformer.query_tokens", q.query_tokens),
            ("qformer.cross_attention_every", q.cross_attention_every),
            ("qformer.vocabulary", q.vocabulary),
        ];
        for (field, value) in counts {
            if value == 0 || value > 1 << 20 {
                return wrong(field, format!("{value} is not between 1 and {}", 1 << 20));
            }
        }
        if !q.width.is_multiple_of(q.heads) {
            return wrong("qformer.heads", format!("{} heads do not divide a width of {}", q.heads, q.width));
        }
        if self.text_length < 2 || q.positions < q.query_tokens + self.text_length {
            return wrong(
                "qformer.positions",
                format!(
                    "{} positions do not hold {} prompts and {} text tokens",
                    q.positions, q.query_tokens, self.text_length
                ),
            );
        }
        if !(0.0..1.0).contains(&q.dropout) {
            return wrong("qformer.dropout", format!("{} is not in [0, 1)", q.dropout));
        }
        match &self.image_encoder {
            ImageEncoderConfig::EfficientnetLite { variant } if *variant > 2 => {
                wrong("image_encoder.variant", format!("there is no EfficientNet-Lite{variant} here, only 0, 1 and 2"))
            }
            ImageEncoderConfig::Patch { patch, width }
                if *patch == 0 || *width == 0 || !self.preprocess.size.is_multiple_of(*patch) =>
            {
                wrong("image_encoder.patch", format!("{patch} does not divide {}", self.preprocess.size))
            }
            ImageEncoderConfig::Vit(vit) => {
                let counts = [vit.patch, vit.width, vit.layers, vit.heads, vit.intermediate];
                if let Some(count) = counts.iter().find(|count| !(1..=1 << 16).contains(*count)) {
                    return wrong("image_encoder", format!("{count} is not between 1 and {}", 1 << 16));
                }
                if !self.preprocess.size.is_multiple_of(vit.patch) {
                    return wrong(
                        "image_encoder.patch",
                        format!("{} does not divide {}", vit.patch, self.preprocess.size),
                    );
                }
                if !vit.width.is_multiple_of(vit.heads) {
                    return wrong("image_encoder.heads", format!("{} do not divide {}", vit.heads, vit.width));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// T, the image tokens of one image.
    pub fn image_tokens(&self) -> usize {
        let (side, class) = match &self.image_encoder {
            ImageEncoderConfig::EfficientnetLite { .. } => (self.preprocess.size.div_ceil(32), 0),
            ImageEncoderConfig::Vit(vit) => (self.preprocess.size / vit.patch, 1),
            ImageEncoderConfig::Patch { patch, .. } => (self.preprocess.size / patch, 0),
        };
        side * side + class
    }

    /// C, the width of an image token.
    pub fn image_width(&self) -> usize {
        match &self.image_encoder {
            ImageEncoderConfig::EfficientnetLite { .. } => crate::nn::efficientnet::HEAD_WIDTH,
            ImageEncoderConfig::Vit(vit) => vit.width,
            ImageEncoderConfig::Patch { width, .. } => *width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_parses_under_its_own_name() {
        for (name, json) in CirConfig::PRESETS {
            let config = CirConfig::parse(json, name).unwrap();
            assert_eq!(config.name, name);
            let again = serde_json::to_string(&config).unwrap();
            assert_eq!(CirConfig::parse(&again, name).unwrap(), config);
        }
        let web = CirConfig::preset("web-s").unwrap();
        assert_eq!((web.image_tokens(), web.image_width()), (49, 1280));
        let paper = CirConfig::preset("blip2-vit-g").unwrap();
        assert_eq!((paper.image_tokens(), paper.image_width()), (257, 1408));
        assert_eq!(paper.preprocess, PreprocessConfig::CLIP);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let json = CirConfig::PRESETS[0].1.replace("\"heads\": 4", "\"heads\": 5");
        assert!(CirConfig::parse(&json, "x.json").unwrap_err().to_string().contains("qformer.heads"));
        let vit = include_str!("../configs/blip2-vit-l.json");
        for (from, to, field) in
            [("16", "15", "heads"), ("\"patch\": 14", "\"patch\": 15", "patch"), ("23", "0", "between")]
        {
            let problem = CirConfig::parse(&vit.replace(from, to), "x.json").unwrap_err().to_string();
            assert!(problem.contains("image_encoder") && problem.contains(field), "{problem}");
        }
        assert!(CirConfig::parse("{", "x.json").unwrap_err().to_string().contains("x.json"));
        assert!(CirConfig::preset("nano").unwrap_err().to_string().contains("web-s"));
    }
}
