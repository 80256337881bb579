//! The way back: what each tensor of a published layout is made of.
//!
//! Where one upstream tensor holds several of ours (`qkv`), they are stacked by rows. Hugging Face's fused `qkv.bias` of an EVA
//! block has zeros for the keys, whose bias neither LAVIS nor this crate has; LAVIS keeps `q_bias` and `v_bias` apart.

use crate::config::{ImageEncoderConfig, RetrievalConfig, VitFamily};
use crate::error::{ModelError, Result};
use std::collections::BTreeMap;

/// Whose names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// LAVIS's `Blip2Qformer`, SPRC's and MTST_PTHA's classes.
    Lavis,
    /// `Blip2ForImageTextRetrieval`, which has EVA ViT-g alone and no temperature or prompts.
    HuggingFace,
}

/// A part of an upstream tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// One of our tensors.
    Ours(String),
    /// So many zeros.
    Zeros(usize),
}

/// An upstream tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub key: String,
    /// Its sizes.
    pub dims: Vec<usize>,
    /// What it is made of, one after another.
    pub parts: Vec<Part>,
    /// Whether our tensors `[in, out]` are turned to `[out, in]` first.
    pub turned: bool,
}

/// Ours, LAVIS's with EVA, LAVIS's with CLIP, Hugging Face's: parts of an image tower's block.
const BLOCK: [(&str, [&str; 3]); 5] = [
    ("attention_norm", ["norm1", "ln_1", "layer_norm1"]),
    ("mlp_norm", ["norm2", "ln_2", "layer_norm2"]),
    ("output", ["attn.proj", "attn.out_proj", "self_attn.projection"]),
    ("inner", ["mlp.fc1", "mlp.c_fc", "mlp.fc1"]),
    ("outer", ["mlp.fc2", "mlp.c_proj", "mlp.fc2"]),
];

/// Ours and BERT's: parts of a Q-Former block. `@` is what the layout calls the attention's inner part.
const QFORMER: [(&str, &str); 16] = [
    ("attention.query", "attention.@.query"),
    ("attention.key", "attention.@.key"),
    ("attention.value", "attention.@.value"),
    ("attention.output", "attention.output.dense"),
    ("attention.norm", "attention.output.LayerNorm"),
    ("cross.query", "crossattention.@.query"),
    ("cross.key", "crossattention.@.key"),
    ("cross.value", "crossattention.@.value"),
    ("cross.output", "crossattention.output.dense"),
    ("cross.norm", "crossattention.output.LayerNorm"),
    ("text.inner", "intermediate.dense"),
    ("text.outer", "output.dense"),
    ("text.norm", "output.LayerNorm"),
    ("query.inner", "intermediate_query.dense"),
    ("query.outer", "output_query.dense"),
    ("query.norm", "output_query.LayerNorm"),
];

/// PyTorch's name of a leaf, and whether it is a matrix that is turned.
fn leaf(ours: &str) -> Option<(&'static str, bool)> {
    Some(match ours {
        "weight" => ("weight", true),
        "gamma" => ("weight", false),
        "bias" | "beta" => ("bias", false),
        _ => return None,
    })
}

/// Every tensor of `layout` that our tensors make, by its name. `shapes` are ours: of the image encoder, of the rest, or both.
///
/// Tensors that the layout has no place for come second: temperature and prompts in Hugging Face's.
///
/// # Errors
/// [`ModelError::Weights`] that names the first tensor that no published BLIP-2 has, and [`ModelError::Config`] when the
/// architecture is not one that the layout knows.
pub fn outgoing(
    config: &RetrievalConfig,
    shapes: &BTreeMap<String, Vec<usize>>,
    layout: Layout,
) -> Result<(Vec<Outgoing>, Vec<Outgoing>)> {
    let unknown = |problem: &str, mend: &str| ModelError::Config {
        place: config.name.clone(),
        problem: problem.to_owned(),
        mend: mend.to_owned(),
    };
    let ImageEncoderConfig::Vit(vit) = &config.image_encoder else {
        return Err(unknown(
            "its image encoder is not one of BLIP-2's",
            "hand back checkpoints of blip2-vit-g or blip2-vit-l",
        ));
    };
    if layout == Layout::HuggingFace && vit.family == VitFamily::Clip {
        return Err(unknown("Hugging Face's BLIP-2 has no CLIP image encoder", "choose the layout of LAVIS"));
    }
    let (mut out, mut beside) = (Vec::new(), Vec::new());
    if layout == Layout::HuggingFace {
        // The class has a matching head, which nothing here trains, and does not load without one.
        let width = config.two_pass()?.qformer.width;
        for (leaf, dims, count) in [("weight", vec![2, width], 2 * width), ("bias", vec![2], 2)] {
            let parts = vec![Part::Zeros(count)];
            out.push(Outgoing { key: format!("itm_head.{leaf}"), dims, parts, turned: false });
        }
    }
    for (name, dims) in shapes {
        let made = match name.strip_prefix("vit.") {
            Some(rest) => tower(rest, dims, shapes, vit.family, vit.patch, layout),
            None => trained(name, dims, layout),
        };
        let made = made.ok_or_else(|| ModelError::Weights {
            place: name.clone(),
            problem: "no published BLIP-2 has such a tensor".into(),
            mend: "hand back a checkpoint of an architecture that was imported".into(),
        })?;
        let extra = layout == Layout::HuggingFace && matches!(name.as_str(), "temperature" | "prompt_tokens");
        if extra { &mut beside } else { &mut out }.extend(made);
    }
    Ok((out, beside))
}

fn ours(name: &str) -> Vec<Part> {
    vec![Part::Ours(name.to_owned())]
}

/// What one of the image tower's tensors (`rest`, without `vit.`) makes: nothing for those that another one brings along.
fn tower(
    rest: &str,
    dims: &[usize],
    shapes: &BTreeMap<String, Vec<usize>>,
    family: VitFamily,
    patch: usize,
    layout: Layout,
) -> Option<Vec<Outgoing>> {
    let (eva, hugging_face) = (family == VitFamily::Eva, layout == Layout::HuggingFace);
    let pick = |names: [&'static str; 3]| match (hugging_face, eva) {
        (true, _) => names[2],
        (false, true) => names[0],
        (false, false) => names[1],
    };
    let prefix = if hugging_face { "vision_model" } else { "visual_encoder" };
    let one = |key: &str, dims: Vec<usize>, turned: bool| {
        let (key, parts) = (format!("{prefix}.{key}"), ours(&format!("vit.{rest}")));
        Some(vec![Outgoing { key, dims, parts, turned }])
    };
    let wide = |lead: usize| if eva { [&vec![1; lead][..], dims].concat() } else { dims.to_vec() };
    match rest {
        "class_token" => {
            return one(pick(["cls_token", "class_embedding", "embeddings.class_embedding"]), wide(2), false);
        }
        "position" => {
            return one(pick(["pos_embed", "positional_embedding", "embeddings.position_embedding"]), wide(1), false);
        }
        "patch.weight" => {
            let key = pick(["patch_embed.proj.weight", "conv1.weight", "embeddings.patch_embedding.weight"]);
            return one(key, vec![*dims.get(1)?, 3, patch, patch], true);
        }
        "patch.bias" => {
            return one(
                pick(["patch_embed.proj.bias", "conv1.bias", "embeddings.patch_embedding.bias"]),
                dims.to_vec(),
                false,
            );
        }
        _ => {}
    }
    if let Some(end) = rest.strip_prefix("input_norm.") {
        return one(&format!("ln_pre.{}", leaf(end)?.0), dims.to_vec(), false);
    }
    let (index, inside) = rest.strip_prefix("blocks.")?.split_once('.')?;
    let (part, end) = inside.rsplit_once('.')?;
    let (end, turned) = leaf(end)?;
    let block = format!("{}.{index}", pick(["blocks", "transformer.resblocks", "encoder.layers"]));
    if let Some((_, names)) = BLOCK.iter().find(|(ours, _)| *ours == part) {
        let dims = if turned { dims.iter().rev().copied().collect() } else { dims.to_vec() };
        return one(&format!("{block}.{}.{end}", pick(*names)), dims, turned);
    }
    let width = *dims.last()?;
    let place = |part: &str| format!("vit.blocks.{index}.{part}.{end}");
    let stacked = |key: &str, dims: Vec<usize>| {
        let part = |part: &str| match shapes.contains_key(&place(part)) {
            true => Part::Ours(place(part)),
            false => Part::Zeros(width),
        };
        let parts = ["query", "key", "value"].map(part).to_vec();
        Some(vec![Outgoing { key: format!("{prefix}.{block}.{key}"), dims, parts, turned }])
    };
    match (part, end) {
        ("query", "weight") => {
            let key = pick(["attn.qkv.weight", "attn.in_proj_weight", "self_attn.qkv.weight"]);
            stacked(key, vec![3 * width, *dims.first()?])
        }
        ("query", _) if eva && !hugging_face => one(&format!("{block}.attn.q_bias"), dims.to_vec(), false),
        ("value", "bias") if eva && !hugging_face => one(&format!("{block}.attn.v_bias"), dims.to_vec(), false),
        ("query", _) => stacked(pick(["", "attn.in_proj_bias", "self_attn.qkv.bias"]), vec![3 * width]),
        ("key" | "value", _) => Some(Vec::new()),
        _ => None,
    }
}

/// What one of the tensors that train makes.
fn trained(name: &str, dims: &[usize], layout: Layout) -> Option<Vec<Outgoing>> {
    let lavis = layout == Layout::Lavis;
    let pick = |of_lavis: &str, of_hugging_face: &str| if lavis { of_lavis } else { of_hugging_face }.to_owned();
    let one =
        |key: String, dims: Vec<usize>, turned: bool| Some(vec![Outgoing { key, dims, parts: ours(name), turned }]);
    match name {
        "temperature" => return one("temp".into(), Vec::new(), false),
        "query_tokens" | "prompt_tokens" => return one(name.into(), [&[1], dims].concat(), false),
        "qformer.word" | "qformer.position" => {
            let table = if name.ends_with("word") { "word" } else { "position" };
            let key = format!("{}embeddings.{table}_embeddings.weight", pick("Qformer.bert.", ""));
            return one(key, dims.to_vec(), false);
        }
        _ => {}
    }
    let (place, end) = name.rsplit_once('.')?;
    let (end, turned) = leaf(end)?;
    let key = match place {
        "image_norm" => pick("ln_vision", "vision_model.post_layernorm"),
        "qformer.norm" => pick("Qformer.bert.embeddings.LayerNorm", "qformer.layernorm"),
        "vision_projection" => pick("vision_proj", "vision_projection"),
        "text_projection" => pick("text_proj", "text_projection"),
        _ => {
            let (index, part) = place.strip_prefix("qformer.blocks.")?.split_once('.')?;
            let (_, theirs) = QFORMER.iter().find(|(ours, _)| *ours == part)?;
            let theirs = theirs.replace('@', if lavis { "self" } else { "attention" });
            format!("{}.encoder.layer.{index}.{theirs}", pick("Qformer.bert", "qformer"))
        }
    };
    let dims = if turned { dims.iter().rev().copied().collect() } else { dims.to_vec() };
    one(format!("{key}.{end}"), dims, turned)
}

/// Our values of one part, as they lie in the upstream tensor.
pub fn part_values(dims: &[usize], values: Vec<f32>, turned: bool) -> Vec<f32> {
    if turned { crate::weights::transpose((dims.to_vec(), values)).1 } else { values }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::method::TwoPass;
    use crate::nn::ImageEncoder;
    use crate::upstream::{Rule, pieces};
    use crate::weights::shapes;
    use burn::tensor::Device;

    /// What goes out comes back to where it was, for both presets and layouts, at full size and without one value.
    #[test]
    fn the_way_back_is_the_way_in_turned_round() {
        let device = Device::flex();
        for (preset, family, layout) in [
            ("blip2-vit-g", VitFamily::Eva, Layout::Lavis),
            ("blip2-vit-g", VitFamily::Eva, Layout::HuggingFace),
            ("blip2-vit-l", VitFamily::Clip, Layout::Lavis),
        ] {
            let config = RetrievalConfig::preset(preset).unwrap();
            let mut all = shapes(&ImageEncoder::new(&config, &device), "");
            all.extend(shapes(&TwoPass::new(&config, &device).unwrap(), ""));
            let (out, beside) = outgoing(&config, &all, layout).unwrap();
            assert_eq!(beside.len(), if layout == Layout::HuggingFace { 2 } else { 0 });
            let mut made = BTreeMap::new();
            for tensor in out.iter().chain(&beside) {
                let found = pieces(&tensor.key, family);
                let named: Vec<&str> = found.iter().map(|p| p.name.as_str()).collect();
                let parts: Vec<&str> = tensor
                    .parts
                    .iter()
                    .filter_map(|part| match part {
                        Part::Ours(name) => Some(name.as_str()),
                        Part::Zeros(_) => None,
                    })
                    .collect();
                assert_eq!(named, parts, "{}", tensor.key);
                // (The matching head is made of nothing.)
                for piece in found {
                    assert!(piece.rule.fits(&tensor.dims, &all[&piece.name]), "{} {:?}", tensor.key, tensor.dims);
                    let turns = matches!(piece.rule, Rule::Transposed | Rule::TransposedThird(_));
                    assert_eq!(turns, tensor.turned, "{}", tensor.key);
                    assert!(made.insert(piece.name, tensor.key.clone()).is_none());
                }
            }
            let missing: Vec<_> = all.keys().filter(|name| !made.contains_key(*name)).collect();
            assert!(missing.is_empty(), "{preset}: {missing:?}");
        }
        let small = RetrievalConfig::preset("web-s").unwrap();
        let problem = outgoing(&small, &BTreeMap::new(), Layout::Lavis).unwrap_err().to_string();
        assert!(problem.contains("web-s") && problem.contains("blip2-vit-g"), "{problem}");
        let large = RetrievalConfig::preset("blip2-vit-l").unwrap();
        assert!(outgoing(&large, &BTreeMap::new(), Layout::HuggingFace).unwrap_err().to_string().contains("LAVIS"));
        let odd = BTreeMap::from([("qformer.word_map.weight".to_owned(), vec![2, 2])]);
        assert!(outgoing(&large, &odd, Layout::Lavis).unwrap_err().to_string().contains("word_map"));
    }
}
