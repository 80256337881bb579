//! Where the tensors of published checkpoints go: dual encoders' in [`dual_outgoing`], BLIP-2's here, as LAVIS, SPRC, MTST_PTHA and
//! Hugging Face name them.
//!
//! | LAVIS, EVA ViT-g (`visual_encoder.…`) | LAVIS, CLIP ViT-L (`visual_encoder.…`) | Hugging Face (`vision_model.…`) | ours |
//! |---|---|---|---|
//! | `cls_token` | `class_embedding` | `embeddings.class_embedding` | `vit.class_token` |
//! | `pos_embed` | `positional_embedding` | `embeddings.position_embedding` | `vit.position` |
//! | `patch_embed.proj` | `conv1` | `embeddings.patch_embedding` | `vit.patch` |
//! | | `ln_pre` | `pre_layrnorm` | `vit.input_norm` |
//! | `blocks.i.norm1`, `norm2` | `transformer.resblocks.i.ln_1`, `ln_2` | `encoder.layers.i.layer_norm1`, `layer_norm2` | `vit.blocks.i.attention_norm`, `mlp_norm` |
//! | `blocks.i.attn.qkv.weight`, `q_bias`, `v_bias` | `….attn.in_proj_{weight,bias}` | `….self_attn.qkv`, or `q_proj`, `k_proj`, `v_proj` | `vit.blocks.i.{query,key,value}` |
//! | `blocks.i.attn.proj` | `….attn.out_proj` | `….self_attn.projection`, or `out_proj` | `vit.blocks.i.output` |
//! | `blocks.i.mlp.fc1`, `fc2` | `….mlp.c_fc`, `c_proj` | `….mlp.fc1`, `fc2` | `vit.blocks.i.inner`, `outer` |
//!
//! The Q-Former's names are in [`crate::weights::published::name`]; Hugging Face's differ by `attention.attention` for
//! `attention.self`, `qformer.layernorm` for `embeddings.LayerNorm`, `vision_projection` and `text_projection` for
//! `vision_proj` and `text_proj`, and `vision_model.post_layernorm` for `ln_vision`.
//!
//! A key bias in EVA (Hugging Face files store one, of zeros) is dropped: it adds the same number to every score of a query,
//! which the softmax takes out again.

mod context;
mod dual;
mod layout;

pub use context::{CONTEXT_SIGN, context_blocks, context_copies, context_lacks, context_outgoing};
pub use dual::{DualLayout, MAPPING_PREFIX, dual_outgoing, dual_pieces, plain};
pub use layout::{Layout, Outgoing, Part, outgoing, part_values};

use crate::config::VitFamily;
use crate::error::{ModelError, Result};
use crate::weights::{published, transpose};

/// How one of our tensors is made of an upstream one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The same values; dimensions of 1 come and go.
    Same,
    /// `[out, in, …]` to `[in · …, out]`.
    Transposed,
    /// The n-th third of the rows, as they are.
    Third(usize),
    /// The n-th third of the rows of `[3 · out, in]`, as `[in, out]`.
    TransposedThird(usize),
    /// ln(1/x) of the same values: BLIP's τ as CLIP's scale.
    Scale,
}

/// One of our tensors, made of an upstream one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Our name, as [`crate::weights::shapes`] of an [`crate::nn::ImageEncoder`] or a [`crate::method::TwoPass`] gives it.
    pub name: String,
    /// How its values are made.
    pub rule: Rule,
}

impl Rule {
    /// Whether a tensor of `dims` makes one of `wanted`.
    pub fn fits(self, dims: &[usize], wanted: &[usize]) -> bool {
        let long = |dims: &[usize]| dims.iter().copied().filter(|d| *d != 1).collect::<Vec<_>>();
        let inner = |dims: &[usize]| dims.iter().skip(1).try_fold(1usize, |n, d| n.checked_mul(*d));
        match (self, dims, wanted) {
            (Self::Same | Self::Scale, ..) => long(dims) == long(wanted),
            (Self::Transposed, [out, ..], [w_in, w_out]) => out == w_out && inner(dims) == Some(*w_in),
            (Self::Third(_), [rows], [width]) => width.checked_mul(3) == Some(*rows),
            (Self::TransposedThird(_), [rows, d_in], [w_in, w_out]) => {
                w_out.checked_mul(3) == Some(*rows) && d_in == w_in
            }
            _ => false,
        }
    }

    /// Our tensor of dimensions `wanted` from upstream's `values` of `dims`; `name` is upstream's, for the message.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when the shapes do not fit each other.
    pub fn apply(self, name: &str, dims: &[usize], values: &[f32], wanted: &[usize]) -> Result<Vec<f32>> {
        if !self.fits(dims, wanted) || values.len() != dims.iter().product::<usize>() {
            return Err(misfit(name, dims, wanted));
        }
        let rows = dims.first().copied().unwrap_or(1).max(1);
        let third = |n: usize| &values[n * values.len() / 3..(n + 1) * values.len() / 3];
        Ok(match self {
            Self::Same => values.to_vec(),
            Self::Scale => values.iter().map(|value| -value.ln()).collect(),
            Self::Third(n) => third(n).to_vec(),
            Self::Transposed => transpose((vec![rows, values.len() / rows], values.to_vec())).1,
            Self::TransposedThird(n) => transpose((vec![rows / 3, values.len() / rows], third(n).to_vec())).1,
        })
    }
}

/// The error for an upstream tensor `name` of `dims` that does not make one of `wanted`.
pub fn misfit(name: &str, dims: &[usize], wanted: &[usize]) -> ModelError {
    ModelError::Weights {
        place: name.to_owned(),
        problem: format!("its shape is {dims:?}, which does not make the architecture's {wanted:?}"),
        mend: "choose the preset that the checkpoint was made for".into(),
    }
}

/// What an upstream tensor is made into; nothing for one that has no place here (language model, matching head, head of
/// the image tower, position ids).
pub fn pieces(key: &str, family: VitFamily) -> Vec<Piece> {
    let key = key.strip_prefix("module.").unwrap_or(key);
    if let Some(pieces) = vit_pieces(key, family) {
        return pieces;
    }
    // A CLIP tower's own last norm is not `ln_vision`.
    if family == VitFamily::Clip && key.starts_with("vision_model.post_layernorm.") {
        return Vec::new();
    }
    let Some(name) = published::name(&lavis_key(key)) else { return Vec::new() };
    let table = ["qformer.word", "qformer.position", "query_tokens", "prompt_tokens", "temperature"];
    let rule = if name.ends_with(".weight") && !table.contains(&name.as_str()) { Rule::Transposed } else { Rule::Same };
    vec![Piece { name, rule }]
}

/// LAVIS's name of a Hugging Face Q-Former tensor; other names stay.
fn lavis_key(key: &str) -> String {
    let key = key.strip_prefix("qformer.").unwrap_or(key);
    let replaced = [
        ("layernorm.", "embeddings.LayerNorm."),
        ("vision_model.post_layernorm.", "ln_vision."),
        ("vision_projection.", "vision_proj."),
        ("text_projection.", "text_proj."),
    ];
    for (from, to) in replaced {
        if let Some(rest) = key.strip_prefix(from) {
            return format!("{to}{rest}");
        }
    }
    key.replace("attention.attention.", "attention.self.")
}

/// The image tower's part of [`pieces`]; `None` for a key that is not one of a tower of this family.
fn vit_pieces(key: &str, family: VitFamily) -> Option<Vec<Piece>> {
    let key = key.strip_prefix("visual_encoder.").unwrap_or(key);
    let key = key.strip_prefix("vision_model.").unwrap_or(key);
    let one = |name: String, rule| Some(vec![Piece { name, rule }]);
    let norm = |leaf: &str| match leaf {
        "weight" => Some("gamma"),
        "bias" => Some("beta"),
        _ => None,
    };
    let eva = family == VitFamily::Eva;
    let (patch, block) = match (key, eva) {
        ("cls_token", true) | ("class_embedding", false) | ("embeddings.class_embedding", _) => {
            return one("vit.class_token".into(), Rule::Same);
        }
        ("pos_embed", true)
        | ("positional_embedding", false)
        | ("embeddings.position_embedding" | "embeddings.position_embedding.weight", _) => {
            return one("vit.position".into(), Rule::Same);
        }
        _ => (
            strip(key, if eva { "patch_embed.proj." } else { "conv1." })
                .or_else(|| strip(key, "embeddings.patch_embedding.")),
            strip(key, if eva { "blocks." } else { "transformer.resblocks." })
                .or_else(|| strip(key, "encoder.layers.")),
        ),
    };
    match patch {
        Some("weight") => return one("vit.patch.weight".into(), Rule::Transposed),
        Some("bias") => return one("vit.patch.bias".into(), Rule::Same),
        _ => {}
    }
    if let Some(leaf) = strip(key, "ln_pre.").or_else(|| strip(key, "pre_layrnorm.")).filter(|_| !eva) {
        return one(format!("vit.input_norm.{}", norm(leaf)?), Rule::Same);
    }
    let (index, rest) = block?.split_once('.')?;
    let index: usize = index.parse().ok()?;
    let place = |leaf: &str| format!("vit.blocks.{index}.{leaf}");
    for (from, to) in [
        ("norm1.", "attention_norm."),
        ("ln_1.", "attention_norm."),
        ("layer_norm1.", "attention_norm."),
        ("norm2.", "mlp_norm."),
        ("ln_2.", "mlp_norm."),
        ("layer_norm2.", "mlp_norm."),
    ] {
        if let Some(leaf) = rest.strip_prefix(from) {
            return one(place(&format!("{to}{}", norm(leaf)?)), Rule::Same);
        }
    }
    for (from, to) in [
        ("attn.proj.", "output."),
        ("attn.out_proj.", "output."),
        ("self_attn.projection.", "output."),
        ("self_attn.out_proj.", "output."),
        ("self_attn.q_proj.", "query."),
        ("self_attn.k_proj.", "key."),
        ("self_attn.v_proj.", "value."),
        ("mlp.fc1.", "inner."),
        ("mlp.c_fc.", "inner."),
        ("mlp.fc2.", "outer."),
        ("mlp.c_proj.", "outer."),
    ] {
        if let Some(leaf) = rest.strip_prefix(from) {
            let rule = if leaf == "weight" { Rule::Transposed } else { Rule::Same };
            return one(place(&format!("{to}{leaf}")), rule);
        }
    }
    let parts = [("query", 0), ("key", 1), ("value", 2)];
    match rest {
        "attn.q_bias" => one(place("query.bias"), Rule::Same),
        "attn.v_bias" => one(place("value.bias"), Rule::Same),
        "attn.qkv.weight" | "attn.in_proj_weight" | "self_attn.qkv.weight" => Some(
            parts
                .map(|(part, n)| Piece { name: place(&format!("{part}.weight")), rule: Rule::TransposedThird(n) })
                .into(),
        ),
        "attn.in_proj_bias" | "self_attn.qkv.bias" => Some(
            parts
                .iter()
                .filter(|(part, _)| !(eva && *part == "key"))
                .map(|(part, n)| Piece { name: place(&format!("{part}.bias")), rule: Rule::Third(*n) })
                .collect(),
        ),
        _ => None,
    }
}

fn strip<'a>(key: &'a str, prefix: &str) -> Option<&'a str> {
    key.strip_prefix(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_names_find_their_place() {
        let cases = [
            ("visual_encoder.blocks.38.attn.q_bias", VitFamily::Eva, "vit.blocks.38.query.bias", Rule::Same),
            ("blocks.0.mlp.fc1.weight", VitFamily::Eva, "vit.blocks.0.inner.weight", Rule::Transposed),
            ("patch_embed.proj.weight", VitFamily::Eva, "vit.patch.weight", Rule::Transposed),
            ("visual_encoder.ln_pre.bias", VitFamily::Clip, "vit.input_norm.beta", Rule::Same),
            ("transformer.resblocks.2.ln_2.weight", VitFamily::Clip, "vit.blocks.2.mlp_norm.gamma", Rule::Same),
            ("vision_model.post_layernorm.weight", VitFamily::Eva, "image_norm.gamma", Rule::Same),
            ("qformer.layernorm.bias", VitFamily::Eva, "qformer.norm.beta", Rule::Same),
            (
                "qformer.encoder.layer.4.crossattention.attention.key.weight",
                VitFamily::Eva,
                "qformer.blocks.4.cross.key.weight",
                Rule::Transposed,
            ),
            ("text_projection.bias", VitFamily::Eva, "text_projection.bias", Rule::Same),
            ("embeddings.word_embeddings.weight", VitFamily::Eva, "qformer.word", Rule::Same),
            ("module.temp", VitFamily::Eva, "temperature", Rule::Same),
        ];
        for (key, family, name, rule) in cases {
            assert_eq!(pieces(key, family), [Piece { name: name.into(), rule }], "{key}");
        }
        let qkv = pieces("vision_model.encoder.layers.3.self_attn.qkv.bias", VitFamily::Eva);
        assert_eq!(qkv.iter().map(|p| p.rule).collect::<Vec<_>>(), [Rule::Third(0), Rule::Third(2)]);
        for key in
            ["Qformer.cls.predictions.bias", "itm_head.weight", "language_model.lm_head.weight", "blocks.x.norm1"]
        {
            assert_eq!(pieces(key, VitFamily::Eva), [], "{key}");
        }
    }

    #[test]
    fn rules_cut_and_turn_and_refuse_other_shapes() {
        let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
        let middle = Rule::TransposedThird(1).apply("qkv", &[6, 2], &values, &[2, 2]).unwrap();
        assert_eq!(middle, [4.0, 6.0, 5.0, 7.0]);
        assert_eq!(Rule::Third(2).apply("b", &[6], &values[..6], &[2]).unwrap(), [4.0, 5.0]);
        let patch = Rule::Transposed.apply("patch", &[2, 3, 2, 1], &values, &[6, 2]).unwrap();
        assert_eq!(patch[..4], [0.0, 6.0, 1.0, 7.0]);
        assert_eq!(Rule::Same.apply("t", &[], &[0.5], &[1]).unwrap(), [0.5]);
        let problem = Rule::Same.apply("pos_embed", &[1, 677, 1408], &[], &[257, 1408]).unwrap_err().to_string();
        assert!(problem.contains("pos_embed") && problem.contains("[1, 677, 1408]"), "{problem}");
        assert!(Rule::Transposed.apply("w", &[2, usize::MAX, 8], &[], &[8, 2]).is_err());
    }
}
