//! Names of dual encoders' tensors, as CLIP, OpenCLIP and BLIP publish theirs.
//!
//! | Hugging Face (`CLIPModel`) | OpenAI, OpenCLIP | ours |
//! |---|---|---|
//! | `vision_model.embeddings.{class_embedding,position_embedding.weight,patch_embedding.weight}` | `visual.{class_embedding,positional_embedding,conv1.weight}` | `vit.{class_token,position,patch.weight}` |
//! | `vision_model.pre_layrnorm`, `post_layernorm` | `visual.ln_pre`, `ln_post` | `vit.input_norm`, `output_norm` |
//! | `vision_model.encoder.layers.i` | `visual.transformer.resblocks.i` | `vit.blocks.i` |
//! | `visual_projection.weight` | `visual.proj`, not turned | `vit.projection.weight` |
//! | `text_model.embeddings.{token_embedding,position_embedding}.weight` | `token_embedding.weight`, `positional_embedding` | `text.word`, `text.position` |
//! | `text_model.encoder.layers.i`, `final_layer_norm` | `transformer.resblocks.i`, `ln_final` | `text.blocks.i`, `text.norm` |
//! | `text_projection.weight` | `text_projection`, not turned | `text.projection.weight` |
//!
//! Some of OpenCLIP's have `text.` before the text tower's names. BLIP's are in the tables below; its text tower is BERT's, and
//! Salesforce's `temp` is τ, the others' `logit_scale` ln(1/τ). One table serves both directions: what an upstream tensor is
//! made of also says what it gives.

use super::context::tower_name;
use super::layout::{Outgoing, Part};
use super::{Piece, Rule};
use crate::error::{ModelError, Result};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DualLayout {
    /// `CLIPModel`.
    HuggingFace,
    /// OpenAI's `CLIP`, and OpenCLIP's.
    OpenAi,
    /// OpenCLIP's `CustomTextCLIP`.
    OpenClipText,
    /// `BlipForImageTextRetrieval`.
    BlipHuggingFace,
    /// Salesforce's `BLIP_Retrieval`.
    Blip,
}

/// Where a layout's blocks are, and what it calls their parts.
struct Blocks {
    /// Before the number of a block.
    place: &'static str,
    /// Of `attention_norm`, `mlp_norm`, `output`, `inner`, `outer`.
    parts: [&'static str; 5],
    /// Query, key and value in one, before `weight` and `bias`; `None`: `self_attn.{q,k,v}_proj`.
    fused: Option<&'static str>,
}

const PARTS: [&str; 5] = ["attention_norm", "mlp_norm", "output", "inner", "outer"];

const CLIP_PARTS: [&str; 5] = ["layer_norm1", "layer_norm2", "self_attn.out_proj", "mlp.fc1", "mlp.fc2"];
const OPENAI_PARTS: [&str; 5] = ["ln_1", "ln_2", "attn.out_proj", "mlp.c_fc", "mlp.c_proj"];

/// Ours and BERT's: parts of a block of BLIP's text tower.
const BERT: [(&str, &str); 8] = [
    ("attention.query", "attention.self.query"),
    ("attention.key", "attention.self.key"),
    ("attention.value", "attention.self.value"),
    ("attention.output", "attention.output.dense"),
    ("attention.norm", "attention.output.LayerNorm"),
    ("feed.inner", "intermediate.dense"),
    ("feed.outer", "output.dense"),
    ("feed.norm", "output.LayerNorm"),
];

/// Ours and Pic2Word's: parts of the mapping network, which no published dual encoder has.
const MAPPING: [(&str, &str); 3] = [("first", "layers.0.0"), ("second", "layers.1.0"), ("output", "fc_out")];
/// Before Pic2Word's names, which stand in a file of their own.
pub const MAPPING_PREFIX: &str = "img2text";

/// One of our tensors on its way out.
struct Ours<'a> {
    name: &'a str,
    dims: &'a [usize],
}

impl Ours<'_> {
    /// It alone under upstream's name, turned where upstream's is.
    fn one(&self, key: String, turned: bool) -> Outgoing {
        let dims = if turned { self.dims.iter().rev().copied().collect() } else { self.dims.to_vec() };
        self.shaped(key, dims, turned)
    }

    /// It alone under upstream's name, as a tensor of `dims`.
    fn shaped(&self, key: String, dims: Vec<usize>, turned: bool) -> Outgoing {
        Outgoing { key, dims, parts: vec![Part::Ours(self.name.to_owned())], turned }
    }
}

/// Ours outside the blocks: Hugging Face's CLIP, OpenAI's, Hugging Face's BLIP, Salesforce's.
const SINGLES: [(&str, [&str; 4]); 13] = [
    (
        "vit.class_token",
        [
            "vision_model.embeddings.class_embedding",
            "visual.class_embedding",
            "vision_model.embeddings.class_embedding",
            "visual_encoder.cls_token",
        ],
    ),
    (
        "vit.position",
        [
            "vision_model.embeddings.position_embedding.weight",
            "visual.positional_embedding",
            "vision_model.embeddings.position_embedding",
            "visual_encoder.pos_embed",
        ],
    ),
    (
        "vit.patch",
        [
            "vision_model.embeddings.patch_embedding",
            "visual.conv1",
            "vision_model.embeddings.patch_embedding",
            "visual_encoder.patch_embed.proj",
        ],
    ),
    ("vit.input_norm", ["vision_model.pre_layrnorm", "visual.ln_pre", "", ""]),
    (
        "vit.output_norm",
        ["vision_model.post_layernorm", "visual.ln_post", "vision_model.post_layernorm", "visual_encoder.norm"],
    ),
    ("vit.projection", ["visual_projection", "visual.proj", "vision_proj", "vision_proj"]),
    // The same two, of a method that reads the tokens before them.
    ("image_norm", ["vision_model.post_layernorm", "visual.ln_post", "", ""]),
    ("image_projection", ["visual_projection", "visual.proj", "", ""]),
    (
        "text.word",
        [
            "text_model.embeddings.token_embedding.weight",
            "token_embedding.weight",
            "text_encoder.embeddings.word_embeddings.weight",
            "text_encoder.embeddings.word_embeddings.weight",
        ],
    ),
    (
        "text.position",
        [
            "text_model.embeddings.position_embedding.weight",
            "positional_embedding",
            "text_encoder.embeddings.position_embeddings.weight",
            "text_encoder.embeddings.position_embeddings.weight",
        ],
    ),
    (
        "text.norm",
        [
            "text_model.final_layer_norm",
            "ln_final",
            "text_encoder.embeddings.LayerNorm",
            "text_encoder.embeddings.LayerNorm",
        ],
    ),
    ("text.projection", ["text_projection", "text_projection", "text_proj", "text_proj"]),
    ("logit_scale", ["logit_scale", "logit_scale", "", TEMPERATURE]),
];

/// Salesforce's name of τ.
const TEMPERATURE: &str = "temp";

impl DualLayout {
    /// The layout of a checkpoint with tensors of these names; none for one that is no dual encoder.
    pub fn of<'a>(mut names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let names: BTreeSet<Cow<str>> = names.by_ref().map(plain).collect();
        let has = |name: &str| names.contains(name);
        [
            ("text_model.embeddings.token_embedding.weight", Self::HuggingFace),
            ("text.token_embedding.weight", Self::OpenClipText),
            ("token_embedding.weight", Self::OpenAi),
        ]
        .into_iter()
        .find_map(|(name, layout)| (has(name)).then_some(layout))
        .or_else(|| {
            let blip = has("vision_proj.weight") && has("text_encoder.embeddings.word_embeddings.weight");
            match (has("vision_model.embeddings.class_embedding"), has("visual_encoder.cls_token")) {
                (true, _) if blip => Some(Self::BlipHuggingFace),
                (_, true) if blip => Some(Self::Blip),
                _ => None,
            }
        })
    }

    /// Whose it is, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::HuggingFace => "Hugging Face's CLIPModel",
            Self::OpenAi => "OpenAI's CLIP",
            Self::OpenClipText => "OpenCLIP",
            Self::BlipHuggingFace => "Hugging Face's BlipForImageTextRetrieval",
            Self::Blip => "Salesforce's BLIP_Retrieval",
        }
    }

    /// Whether it is BLIP's.
    pub fn is_blip(self) -> bool {
        matches!(self, Self::BlipHuggingFace | Self::Blip)
    }

    fn vision_blocks(self) -> Blocks {
        let (place, parts, fused) = match self {
            Self::HuggingFace => ("vision_model.encoder.layers", CLIP_PARTS, None),
            Self::OpenAi | Self::OpenClipText => ("visual.transformer.resblocks", OPENAI_PARTS, Some("attn.in_proj_")),
            Self::BlipHuggingFace => {
                let parts = ["layer_norm1", "layer_norm2", "self_attn.projection", "mlp.fc1", "mlp.fc2"];
                ("vision_model.encoder.layers", parts, Some("self_attn.qkv."))
            }
            Self::Blip => {
                ("visual_encoder.blocks", ["norm1", "norm2", "attn.proj", "mlp.fc1", "mlp.fc2"], Some("attn.qkv."))
            }
        };
        Blocks { place, parts, fused }
    }

    fn text_blocks(self) -> Blocks {
        match self {
            Self::HuggingFace => Blocks { place: "text_model.encoder.layers", parts: CLIP_PARTS, fused: None },
            _ => Blocks { place: "transformer.resblocks", parts: OPENAI_PARTS, fused: Some("attn.in_proj_") },
        }
    }

    /// Upstream's name of one of ours outside the blocks, without the leaf where ours has one.
    fn single(self, ours: &str) -> Option<String> {
        let (_, names) = SINGLES.iter().find(|(name, _)| *name == ours)?;
        let column = match self {
            Self::HuggingFace => 0,
            Self::OpenAi | Self::OpenClipText => 1,
            Self::BlipHuggingFace => 2,
            Self::Blip => 3,
        };
        let found = names.get(column).filter(|name| !name.is_empty())?;
        Some(if ours.starts_with("text.") { self.text(found) } else { (*found).to_owned() })
    }

    /// The upstream tensors that our tensor makes or is a part of; nothing for one that another's entry holds.
    fn made(self, ours: &Ours, patch: usize) -> Option<Vec<Outgoing>> {
        if let Some(found) = self.special(ours, patch) {
            return Some(vec![found]);
        }
        let (place, leaf) = ours.name.rsplit_once('.')?;
        let (leaf, turned) = match leaf {
            "weight" => ("weight", true),
            "gamma" => ("weight", false),
            "bias" | "beta" => ("bias", false),
            _ => return None,
        };
        if let Some(key) = self.single(place) {
            return Some(vec![ours.one(format!("{key}.{leaf}"), turned)]);
        }
        if let Some(rest) = place.strip_prefix("text.layers.").filter(|_| self.is_blip()) {
            let (index, part) = rest.split_once('.')?;
            let (_, theirs) = BERT.iter().find(|(ours, _)| *ours == part)?;
            return Some(vec![ours.one(format!("text_encoder.encoder.layer.{index}.{theirs}.{leaf}"), turned)]);
        }
        self.in_block(ours, place, (leaf, turned))
    }

    /// A tensor whose shape upstream is not ours or ours turned.
    fn special(self, ours: &Ours, patch: usize) -> Option<Outgoing> {
        let blip = self.is_blip();
        match ours.name {
            "vit.class_token" | "vit.position" => {
                let lead: &[usize] = match ours.name {
                    "vit.class_token" if blip => &[1, 1],
                    "vit.position" if blip => &[1],
                    _ => &[],
                };
                Some(ours.shaped(self.single(ours.name)?, [lead, ours.dims].concat(), false))
            }
            "text.word" | "text.position" => Some(ours.one(self.single(ours.name)?, false)),
            "logit_scale" => Some(ours.shaped(self.single(ours.name)?, Vec::new(), false)),
            "vit.patch.weight" => {
                let key = format!("{}.weight", self.single("vit.patch")?);
                Some(ours.shaped(key, vec![*ours.dims.get(1)?, 3, patch, patch], true))
            }
            "vit.projection.weight" | "image_projection.weight" | "text.projection.weight"
                if self.keeps_projections() =>
            {
                Some(ours.one(self.single(ours.name.strip_suffix(".weight")?)?, false))
            }
            _ => None,
        }
    }

    /// A tensor of a pre-norm block, `place` without its leaf; upstream's leaf, and whether it is turned.
    fn in_block(self, ours: &Ours, place: &str, (leaf, turned): (&str, bool)) -> Option<Vec<Outgoing>> {
        let (tower, rest) = place.split_once(".blocks.")?;
        let (index, part) = rest.split_once('.')?;
        let blocks = match tower {
            "vit" => self.vision_blocks(),
            "text" if !self.is_blip() => self.text_blocks(),
            _ => return None,
        };
        let block = format!("{}.{index}", blocks.place);
        let block = if tower == "text" { self.text(&block) } else { block };
        if let Some(at) = PARTS.iter().position(|ours| *ours == part) {
            return Some(vec![ours.one(format!("{block}.{}.{leaf}", blocks.parts.get(at)?), turned)]);
        }
        let (_, letter) = [("query", 'q'), ("key", 'k'), ("value", 'v')].into_iter().find(|(ours, _)| *ours == part)?;
        match (blocks.fused, part) {
            (None, _) => Some(vec![ours.one(format!("{block}.self_attn.{letter}_proj.{leaf}"), turned)]),
            // One tensor holds all three: the query's entry stands for it.
            (Some(fused), "query") => {
                let width = *ours.dims.last()?;
                let dims = if turned { vec![3 * width, *ours.dims.first()?] } else { vec![3 * width] };
                let place = |part: &str| Part::Ours(ours.name.replace(".query.", &format!(".{part}.")));
                let parts = ["query", "key", "value"].map(place).into();
                Some(vec![Outgoing { key: format!("{block}.{fused}{leaf}"), dims, parts, turned }])
            }
            (Some(_), _) => Some(Vec::new()),
        }
    }

    /// The text tower's name `key` in this layout.
    fn text(self, key: &str) -> String {
        match self {
            Self::OpenClipText => format!("text.{key}"),
            _ => key.to_owned(),
        }
    }

    /// Whether projections are `[in, out]`, as they are here.
    fn keeps_projections(self) -> bool {
        matches!(self, Self::OpenAi | Self::OpenClipText)
    }
}

/// An upstream name without what wrappers put before it: PyTorch's parallel classes, and ConText-CIR's class before its towers.
pub fn plain(name: &str) -> Cow<'_, str> {
    let name = name.strip_prefix("module.").unwrap_or(name);
    tower_name(name).map_or(Cow::Borrowed(name), Cow::Owned)
}

/// The tensors of `CLIPModel` that one of ours makes; none where it has no such tensor.
pub(super) fn hugging_face(name: &str, dims: &[usize], patch: usize) -> Option<Vec<Outgoing>> {
    DualLayout::HuggingFace.made(&Ours { name, dims }, patch)
}

/// Every tensor of `layout` that our tensors of `shapes` make, for patches of `patch` pixels. Those of the mapping network, which
/// no published dual encoder has, come second under Pic2Word's names, behind [`MAPPING_PREFIX`].
///
/// # Errors
/// [`ModelError::Weights`] that names the first tensor which no published dual encoder has.
pub fn dual_outgoing(
    shapes: &BTreeMap<String, Vec<usize>>,
    patch: usize,
    layout: DualLayout,
) -> Result<(Vec<Outgoing>, Vec<Outgoing>)> {
    let (mut out, mut beside) = (Vec::new(), Vec::new());
    for (name, dims) in shapes {
        if let Some(made) = mapping(name, dims) {
            beside.push(made);
        } else if layout == DualLayout::BlipHuggingFace && name == "logit_scale" {
            // Its class has no temperature.
            let parts = vec![Part::Ours(name.clone())];
            beside.push(Outgoing { key: name.clone(), dims: Vec::new(), parts, turned: false });
        } else {
            out.extend(layout.made(&Ours { name, dims }, patch).ok_or_else(|| ModelError::Weights {
                place: name.clone(),
                problem: format!("{} has no such tensor", layout.name()),
                mend: "hand back a model of an architecture that was imported".into(),
            })?);
        }
    }
    Ok((out, beside))
}

fn mapping(name: &str, dims: &[usize]) -> Option<Outgoing> {
    let (part, leaf) = name.strip_prefix("mapping.")?.split_once('.')?;
    let (_, theirs) = MAPPING.iter().find(|(ours, _)| *ours == part)?;
    let turned = leaf == "weight";
    let dims = if turned { dims.iter().rev().copied().collect() } else { dims.to_vec() };
    let key = format!("{MAPPING_PREFIX}.{theirs}.{leaf}");
    Some(Outgoing { key, dims, parts: vec![Part::Ours(name.to_owned())], turned })
}

/// What the upstream tensor of `made` gives: the way of [`dual_outgoing`] backwards.
pub fn dual_pieces(made: &Outgoing) -> Vec<Piece> {
    let stacked = made.parts.len() > 1;
    let rule = |at: usize| match (stacked, made.turned) {
        (false, false) if made.key == TEMPERATURE => Rule::Scale,
        (false, false) => Rule::Same,
        (false, true) => Rule::Transposed,
        (true, false) => Rule::Third(at),
        (true, true) => Rule::TransposedThird(at),
    };
    let ours = made.parts.iter().enumerate().filter_map(|(at, part)| match part {
        Part::Ours(name) => Some(Piece { name: name.clone(), rule: rule(at) }),
        Part::Zeros(_) => None,
    });
    ours.collect()
}
