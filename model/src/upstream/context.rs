//! Names of ConText-CIR's published class: both towers as Hugging Face's classes behind prefixes, and parts of its own.
//!
//! | its name | ours |
//! |---|---|
//! | `vision_encoder.model.vision_model.…`, `visual_projection` | `vit.…`, `image_norm`, `image_projection` |
//! | `text_encoder.model.text_model.…` | `text.…` |
//! | `cross_attn_layers.i.{q,k,v,out}_proj` | `fusion.i.attention.{query,key,value,output}` |
//! | `fusion_attn_norms.i`, `fusion_ffn_norms.i`, `fusion_ffns.i.0`, `fusion_ffns.i.3` | `fusion.i.feed.{attention_norm,norm,inner,outer}` |
//! | `attn_pooler.queries`, `attention`, `norm` | `pool.{seed,attention,norm}` |
//! | `query_projection` | `head` |
//!
//! It has neither the text tower's projection, which reads a text alone, nor τ, which is an argument of its class.

use super::dual::hugging_face;
use super::layout::{Outgoing, Part};
use crate::error::{ModelError, Result};
use std::collections::BTreeMap;

/// The tensor that tells a checkpoint of this class.
pub const CONTEXT_SIGN: &str = "cross_attn_layers.0.q_proj.weight";
/// Before the blocks' number.
const BLOCKS: &str = "cross_attn_layers.";
/// What the class puts before the names of Hugging Face's towers. Later versions of transformers leave out the second part.
const TOWERS: [(&str, &str); 2] = [("vision_encoder.model.", "vision_model."), ("text_encoder.model.", "text_model.")];
/// Ours that the class lacks.
const LACKING: [&str; 2] = ["text.projection.weight", "logit_scale"];
const ATTENTION: [(&str, &str); 4] =
    [("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("output", "out_proj")];
const FEED: [(&str, &str, &str); 4] = [
    ("attention_norm", "fusion_attn_norms", ""),
    ("norm", "fusion_ffn_norms", ""),
    ("inner", "fusion_ffns", ".0"),
    ("outer", "fusion_ffns", ".3"),
];

/// Whether one of our parameters has no place in the class.
pub fn context_lacks(name: &str) -> bool {
    LACKING.contains(&name)
}

/// A name of the class's towers as Hugging Face's classes have it; none for another name.
pub(super) fn tower_name(name: &str) -> Option<String> {
    TOWERS.iter().find_map(|(before, tower)| {
        let rest = name.strip_prefix(before)?;
        let rest = rest.strip_prefix(tower).unwrap_or(rest);
        Some(format!("{tower}{rest}"))
    })
}

/// How many blocks of cross-attention tensors of these names have.
pub fn context_blocks<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let blocks = names.filter_map(|name| name.strip_prefix(BLOCKS)?.strip_suffix(".q_proj.weight"));
    blocks.filter(|block| block.bytes().all(|byte| byte.is_ascii_digit())).count()
}

/// Every tensor of the class that our tensors of `shapes` make, for patches of `patch` pixels.
///
/// # Errors
/// [`ModelError::Weights`] that names the first tensor which the class does not have.
pub fn context_outgoing(shapes: &BTreeMap<String, Vec<usize>>, patch: usize) -> Result<Vec<Outgoing>> {
    let mut out = Vec::new();
    for (name, dims) in shapes.iter().filter(|(name, _)| !context_lacks(name)) {
        let made = own(name, dims).map(|made| vec![made]).or_else(|| hugging_face(name, dims, patch));
        out.extend(made.ok_or_else(|| ModelError::Weights {
            place: name.clone(),
            problem: "ConText-CIR's published class has no such tensor".into(),
            mend: "train the published form: --fusion transformer --pooling attention --target-form pooled".into(),
        })?);
    }
    for made in &mut out {
        if let Some((before, _)) = TOWERS.iter().find(|(_, tower)| made.key.starts_with(tower)) {
            made.key.insert_str(0, before);
        }
    }
    Ok(out)
}

/// The class holds its text tower a second time, in its parser: these tensors under those names.
pub fn context_copies(made: &[Outgoing]) -> Vec<Outgoing> {
    let copy = |made: &Outgoing| {
        let rest = made.key.strip_prefix("text_encoder.model.")?;
        Some(Outgoing { key: format!("parser.text_encoder.{rest}"), ..made.clone() })
    };
    made.iter().filter_map(copy).collect()
}

/// One of the class's own parts.
fn own(name: &str, dims: &[usize]) -> Option<Outgoing> {
    let parts = vec![Part::Ours(name.to_owned())];
    if name == "pool.seed" {
        let key = "attn_pooler.queries".to_owned();
        return Some(Outgoing { key, dims: [&[1], dims].concat(), parts, turned: false });
    }
    let (place, leaf) = name.rsplit_once('.')?;
    let (leaf, turned) = match leaf {
        "weight" => ("weight", true),
        "gamma" => ("weight", false),
        "bias" | "beta" => ("bias", false),
        _ => return None,
    };
    let key = format!("{}.{leaf}", own_place(place)?);
    let dims = if turned { dims.iter().rev().copied().collect() } else { dims.to_vec() };
    Some(Outgoing { key, dims, parts, turned })
}

fn own_place(place: &str) -> Option<String> {
    let attention = |part: &str| ATTENTION.iter().find(|(ours, _)| *ours == part).map(|(_, theirs)| *theirs);
    match place {
        "head" => return Some("query_projection".into()),
        "pool.norm" => return Some("attn_pooler.norm".into()),
        _ => {}
    }
    if let Some(part) = place.strip_prefix("pool.attention.") {
        return Some(format!("attn_pooler.attention.{}", attention(part)?));
    }
    let (block, part) = place.strip_prefix("fusion.")?.split_once('.')?;
    match part.split_once('.')? {
        ("attention", part) => Some(format!("{BLOCKS}{block}.{}", attention(part)?)),
        ("feed", part) => {
            let (_, theirs, at) = FEED.iter().find(|(ours, ..)| *ours == part)?;
            Some(format!("{theirs}.{block}{at}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_both_versions_of_transformers_are_one() {
        for name in ["text_encoder.model.text_model.final_layer_norm.bias", "text_encoder.model.final_layer_norm.bias"]
        {
            assert_eq!(tower_name(name).as_deref(), Some("text_model.final_layer_norm.bias"));
        }
        assert_eq!(tower_name("vision_model.post_layernorm.bias"), None);
        let names = [
            "cross_attn_layers.0.q_proj.weight",
            "cross_attn_layers.1.q_proj.weight",
            "cross_attn_layers.1.q_proj.bias",
        ];
        assert_eq!(context_blocks(names.into_iter()), 2);
    }
}
