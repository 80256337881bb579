//! BLIP-2's vision towers, at their full depth and a small width, and its image-only Q-Former against Hugging Face's, layer
//! by layer. Golden values and where they come from: `tests/golden/blip2.py`.

use burn::tensor::{Device, Tensor};
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::VitFamily;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::{ImageEncoder, Noise};
use thisbut_model::upstream::pieces;
use thisbut_model::weights::{Tensors, load, load_partial, shapes};
use thisbut_tests::small_qformer::{tensor, values};
use thisbut_tests::upstream::{Golden, Outcome, Table};

/// Hidden states are of order 1 to 10; upstream's own float32 is off by up to 3e-6.
const LIMIT: f32 = 1e-5;

fn config(family: &str, layers: usize) -> Outcome<RetrievalConfig> {
    let text = format!(
        r#"{{
            "name": "golden",
            "preprocess": {{ "size": 12, "resize": "bicubic", "pad_ratio": 1.25, "pad_fill": [0, 0, 0],
                "background": [255, 255, 255], "mean": [0, 0, 0], "std": [1, 1, 1], "scale_to_unit": true }},
            "image_encoder": {{ "kind": "vit", "family": "{family}", "patch": 4, "width": 16, "layers": {layers},
                "heads": 4, "intermediate": 20 }},
            "qformer": {{ "layers": 4, "width": 24, "heads": 4, "intermediate": 32, "query_tokens": 5,
                "cross_attention_every": 2, "vocabulary": 20, "positions": 16, "dropout": 0.0 }},
            "projection": 8, "text_length": 8
        }}"#
    );
    Ok(RetrievalConfig::parse(&text, "the golden configuration")?)
}

/// The golden weights behind `prefix` under our names, for the parameters in `wanted`.
fn weights(
    golden: &Golden,
    prefix: &str,
    family: VitFamily,
    wanted: &BTreeMap<String, Vec<usize>>,
) -> Outcome<Tensors> {
    let mut out = Tensors::new();
    for (key, found) in golden.weights() {
        let Some(key) = key.strip_prefix(prefix) else { continue };
        for piece in pieces(key, family) {
            if let Some(dims) = wanted.get(&piece.name) {
                let values = piece.rule.apply(key, &found.shape, &found.data, dims)?;
                assert!(out.insert(piece.name, (dims.clone(), values)).is_none(), "{key} comes twice");
            }
        }
    }
    Ok(out)
}

/// Compares every state that enters or leaves a block of a tower whose weights lie behind `prefix`.
fn tower(name: &str, prefix: &str, family: VitFamily, layers: usize) -> Outcome<Tensor<3>> {
    let (device, golden) = (Device::flex(), Golden::read("blip2.safetensors")?);
    let encoder = ImageEncoder::new(&config(name, layers)?, &device);
    let mut found = weights(&golden, prefix, family, &shapes(&encoder, ""))?;
    let encoder = load(encoder, "", &mut found)?;
    let pixels = tensor::<4>(golden.get("input.pixels")?, &device);
    let mut trace = Vec::new();
    let tokens = encoder.vit.as_ref().ok_or("no transformer")?.forward(pixels.clone(), Some(&mut trace));
    assert_eq!(trace.len(), layers + 1);
    let mut table = Table::default();
    for (k, state) in trace.into_iter().enumerate() {
        let expected = golden.get(&format!("out.{name}.{k}"))?;
        assert_eq!(state.dims().to_vec(), expected.shape);
        table.absolute(format!("into block {k} of {layers}"), &values(state)?, &expected.data, LIMIT);
    }
    table.absolute("tokens of the encoder", &values(encoder.forward(pixels))?, &values(tokens.clone())?, 0.0);
    table.finish(&format!("vision tower, {name}"))?;
    Ok(tokens)
}

#[test]
fn eva_and_the_image_only_q_former_match_layer_by_layer() -> Outcome {
    let (device, golden, off) = (Device::flex(), Golden::read("blip2.safetensors")?, Noise::off());
    let tokens = tower("eva", "", VitFamily::Eva, 39)?;
    let model = TwoPass::new(&config("eva", 39)?, &device)?;
    let mut found = weights(&golden, "", VitFamily::Eva, &shapes(&model, ""))?;
    // Four blocks, two of them with cross-attention; the embeddings' norm, the queries, `ln_vision`.
    assert_eq!(found.len(), 4 * 16 + 2 * 10 + 5);
    // Hugging Face's Q-Former of this class has no text: the rest of the model keeps its random start.
    let model = load_partial(model, "", &mut found)?;
    assert!(found.is_empty(), "{:?} not used", found.keys());

    let mut table = Table::default();
    let normed = model.image_norm.forward(tokens.clone());
    table.absolute("ln_vision", &values(normed)?, &golden.get("out.eva.normed")?.data, LIMIT);
    let [b, ..] = tokens.dims();
    let [n, d] = model.query_tokens.val().dims();
    let queries = model.query_tokens.val().unsqueeze::<3>().expand([b, n, d]);
    let mut trace = Vec::new();
    model.qformer.look(queries, &model.image_keys(tokens), &off, Some(&mut trace));
    for (k, state) in trace.into_iter().enumerate() {
        table.absolute(
            format!("Q-Former, hidden state {k}"),
            &values(state)?,
            &golden.get(&format!("out.qformer.{k}"))?.data,
            LIMIT,
        );
    }
    table.finish("Q-Former on the image alone")
}

#[test]
fn clip_matches_layer_by_layer() -> Outcome {
    tower("clip", "clip.", VitFamily::Clip, 23).map(drop)
}
