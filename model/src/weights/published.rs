//! Names and layouts of BERT, Q-Former and EfficientNet-Lite checkpoints.

use super::{Tensors, transpose};
use crate::config::{ImageEncoderConfig, RetrievalConfig};
use crate::error::{ModelError, Result};

/// Where a BERT or Q-Former key of a Hugging Face or LAVIS checkpoint goes in [`crate::method::TwoPass`]; `None` for keys that
/// have no place (position ids, LM head).
///
/// | upstream | ours |
/// |---|---|
/// | `embeddings.word_embeddings.weight` | `qformer.word` |
/// | `embeddings.position_embeddings.weight` | `qformer.position` |
/// | `embeddings.LayerNorm.{weight,bias}` | `qformer.norm.{gamma,beta}` |
/// | `encoder.layer.i.attention.self.{query,key,value}` | `qformer.blocks.i.attention.{query,key,value}` |
/// | `encoder.layer.i.attention.output.{dense,LayerNorm}` | `qformer.blocks.i.attention.{output,norm}` |
/// | `encoder.layer.i.crossattention.…` | `qformer.blocks.i.cross.…` |
/// | `encoder.layer.i.intermediate.dense`, `output.{dense,LayerNorm}` | `qformer.blocks.i.text.{inner,outer,norm}` |
/// | `encoder.layer.i.intermediate_query.dense`, `output_query.…` | `qformer.blocks.i.query.{inner,outer,norm}` |
/// | `ln_vision`, `vision_proj`, `text_proj`, `query_tokens`, `prompt_tokens`, `temp` | `image_norm`, `vision_projection`, `text_projection`, same, same, `temperature` |
pub fn name(key: &str) -> Option<String> {
    let key = key.strip_prefix("Qformer.").unwrap_or(key);
    let key = key.strip_prefix("bert.").unwrap_or(key);
    let norm = |rest: &str| match rest {
        "weight" => Some("gamma"),
        "bias" => Some("beta"),
        _ => None,
    };
    if let Some(rest) = key.strip_prefix("encoder.layer.") {
        let (index, rest) = rest.split_once('.')?;
        let index: usize = index.parse().ok()?;
        let (part, leaf) = [
            ("attention.self.", "attention."),
            ("crossattention.self.", "cross."),
            ("attention.output.dense.", "attention.output."),
            ("crossattention.output.dense.", "cross.output."),
            ("intermediate.dense.", "text.inner."),
            ("output.dense.", "text.outer."),
            ("intermediate_query.dense.", "query.inner."),
            ("output_query.dense.", "query.outer."),
        ]
        .iter()
        .find_map(|(from, to)| rest.strip_prefix(from).map(|leaf| ((*to).to_owned(), leaf.to_owned())))
        .or_else(|| {
            [
                ("attention.output.LayerNorm.", "attention.norm."),
                ("crossattention.output.LayerNorm.", "cross.norm."),
                ("output.LayerNorm.", "text.norm."),
                ("output_query.LayerNorm.", "query.norm."),
            ]
            .iter()
            .find_map(|(from, to)| Some(((*to).to_owned(), norm(rest.strip_prefix(from)?)?.to_owned())))
        })?;
        return Some(format!("qformer.blocks.{index}.{part}{leaf}"));
    }
    if let Some(rest) = key.strip_prefix("embeddings.LayerNorm.") {
        return Some(format!("qformer.norm.{}", norm(rest)?));
    }
    if let Some(rest) = key.strip_prefix("ln_vision.") {
        return Some(format!("image_norm.{}", norm(rest)?));
    }
    if let Some(rest) = key.strip_prefix("vision_proj.") {
        return Some(format!("vision_projection.{rest}"));
    }
    if let Some(rest) = key.strip_prefix("text_proj.") {
        return Some(format!("text_projection.{rest}"));
    }
    Some(
        match key {
            "embeddings.word_embeddings.weight" => "qformer.word",
            "embeddings.position_embeddings.weight" => "qformer.position",
            "query_tokens" | "prompt_tokens" => key,
            "temp" => "temperature",
            _ => return None,
        }
        .to_owned(),
    )
}

/// Renames and reshapes the tensors of a BERT, MiniLM, LAVIS, SPRC or MTST_PTHA checkpoint for [`super::load`]. Returns them with
/// the keys that have no place here. BERT's token type 0, which every token of these models has, is added to the positions.
pub fn qformer(source: Tensors) -> (Tensors, Vec<String>) {
    let (mut tensors, mut unused) = (Tensors::new(), Vec::new());
    let mut token_type = None;
    for (key, value) in source {
        if key.ends_with("embeddings.token_type_embeddings.weight") {
            token_type = Some(value);
            continue;
        }
        let Some(name) = name(&key) else {
            unused.push(key);
            continue;
        };
        let is_table = matches!(name.as_str(), "qformer.word" | "qformer.position" | "query_tokens" | "prompt_tokens");
        let value = match (name.as_str(), value) {
            ("query_tokens" | "prompt_tokens", (dims, values)) if dims.len() == 3 => (dims[1..].to_vec(), values),
            ("temperature", (_, values)) => (vec![1], values),
            (_, value) if is_table => value,
            (_, value) => transpose(value),
        };
        tensors.insert(name, value);
    }
    if let (Some((_, types)), Some((dims, positions))) = (token_type, tensors.get_mut("qformer.position"))
        && let [_, width] = dims[..]
    {
        for row in positions.chunks_exact_mut(width) {
            row.iter_mut().zip(&types).for_each(|(p, t)| *p += t);
        }
    }
    (tensors, unused)
}

/// EfficientNet-Lite's batch norm epsilon.
const BATCH_NORM_EPS: f32 = 1e-3;

/// Folds a PyTorch EfficientNet-Lite checkpoint's batch norms into its convolutions and gives them our names
/// (`efficientnet.stem.weight`, `efficientnet.blocks.0.depthwise.bias`, …). The classifier is left out.
///
/// # Errors
/// [`ModelError::Weights`] that names the tensor that is missing.
pub fn efficientnet(source: &Tensors, config: &RetrievalConfig) -> Result<Tensors> {
    let ImageEncoderConfig::EfficientnetLite { .. } = config.image_encoder else {
        return Ok(Tensors::new());
    };
    let get = |key: &str| {
        source.get(key).ok_or_else(|| ModelError::Weights {
            place: key.to_owned(),
            problem: "the tensor is missing".into(),
            mend: "use an EfficientNet-Lite checkpoint of efficientnet_lite_pytorch".into(),
        })
    };
    let mut out = Tensors::new();
    let mut fold = |conv: String, norm: String, name: String| -> Result<()> {
        let (dims, weight) = get(&format!("{conv}.weight"))?;
        let part = |leaf: &str| get(&format!("{norm}.{leaf}")).map(|(_, values)| values.as_slice());
        let (gamma, beta) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        let outputs = dims.first().copied().unwrap_or(0).max(1);
        let each = weight.len() / outputs;
        let scale: Vec<f32> = gamma.iter().zip(variance).map(|(g, v)| g / (v + BATCH_NORM_EPS).sqrt()).collect();
        let folded = weight.chunks(each.max(1)).zip(&scale).flat_map(|(w, s)| w.iter().map(move |w| w * s)).collect();
        let bias: Vec<f32> = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        out.insert(format!("{name}.bias"), (vec![bias.len()], bias));
        out.insert(format!("{name}.weight"), (dims.clone(), folded));
        Ok(())
    };
    fold("_conv_stem".into(), "_bn0".into(), "efficientnet.stem".into())?;
    fold("_conv_head".into(), "_bn1".into(), "efficientnet.head".into())?;
    for i in 0.. {
        let block = format!("_blocks.{i}");
        if !source.contains_key(&format!("{block}._depthwise_conv.weight")) {
            break;
        }
        let parts = [
            ("_expand_conv", "_bn0", "expand"),
            ("_depthwise_conv", "_bn1", "depthwise"),
            ("_project_conv", "_bn2", "project"),
        ];
        for (conv, norm, name) in parts {
            if conv != "_expand_conv" || source.contains_key(&format!("{block}._expand_conv.weight")) {
                fold(format!("{block}.{conv}"), format!("{block}.{norm}"), format!("efficientnet.blocks.{i}.{name}"))?;
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_keys_find_their_place() {
        let cases = [
            ("bert.encoder.layer.3.attention.self.query.weight", "qformer.blocks.3.attention.query.weight"),
            ("Qformer.bert.encoder.layer.0.crossattention.output.LayerNorm.bias", "qformer.blocks.0.cross.norm.beta"),
            ("encoder.layer.1.output_query.dense.bias", "qformer.blocks.1.query.outer.bias"),
            ("encoder.layer.1.intermediate.dense.weight", "qformer.blocks.1.text.inner.weight"),
            ("embeddings.LayerNorm.weight", "qformer.norm.gamma"),
            ("ln_vision.weight", "image_norm.gamma"),
            ("temp", "temperature"),
        ];
        for (from, to) in cases {
            assert_eq!(name(from).as_deref(), Some(to), "{from}");
        }
        assert_eq!(name("cls.predictions.bias"), None);
    }
}
