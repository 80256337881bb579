//! The parameter tables of BLIP-2 at full size, name by name and shape by shape, without allocating a model.

use burn::tensor::Device;
use std::collections::BTreeMap;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::VitFamily;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::upstream::pieces;
use thisbut_model::weights::{collect, shapes};
use thisbut_tests::upstream::Outcome;

type Shapes = BTreeMap<String, Vec<usize>>;

fn count(shapes: &Shapes, keep: impl Fn(&str) -> bool) -> usize {
    shapes.iter().filter(|(name, _)| keep(name)).map(|(_, dims)| dims.iter().product::<usize>()).sum()
}

/// LAVIS's `state_dict` of EVA ViT-g as `Blip2Qformer` holds it.
fn lavis_eva() -> Shapes {
    let mut table = Shapes::new();
    let mut add = |name: String, dims: &[usize]| drop(table.insert(format!("visual_encoder.{name}"), dims.to_vec()));
    add("cls_token".into(), &[1, 1, 1408]);
    add("pos_embed".into(), &[1, 257, 1408]);
    add("patch_embed.proj.weight".into(), &[1408, 3, 14, 14]);
    add("patch_embed.proj.bias".into(), &[1408]);
    for i in 0..39 {
        for norm in ["norm1", "norm2"] {
            add(format!("blocks.{i}.{norm}.weight"), &[1408]);
            add(format!("blocks.{i}.{norm}.bias"), &[1408]);
        }
        add(format!("blocks.{i}.attn.q_bias"), &[1408]);
        add(format!("blocks.{i}.attn.v_bias"), &[1408]);
        add(format!("blocks.{i}.attn.qkv.weight"), &[4224, 1408]);
        add(format!("blocks.{i}.attn.proj.weight"), &[1408, 1408]);
        add(format!("blocks.{i}.attn.proj.bias"), &[1408]);
        add(format!("blocks.{i}.mlp.fc1.weight"), &[6144, 1408]);
        add(format!("blocks.{i}.mlp.fc1.bias"), &[6144]);
        add(format!("blocks.{i}.mlp.fc2.weight"), &[1408, 6144]);
        add(format!("blocks.{i}.mlp.fc2.bias"), &[1408]);
    }
    table
}

/// LAVIS's `state_dict` of CLIP ViT-L as `Blip2Qformer` holds it.
fn lavis_clip() -> Shapes {
    let mut table = Shapes::new();
    let mut add = |name: String, dims: &[usize]| drop(table.insert(format!("visual_encoder.{name}"), dims.to_vec()));
    add("class_embedding".into(), &[1024]);
    add("positional_embedding".into(), &[257, 1024]);
    add("conv1.weight".into(), &[1024, 3, 14, 14]);
    add("ln_pre.weight".into(), &[1024]);
    add("ln_pre.bias".into(), &[1024]);
    for i in 0..23 {
        let block = format!("transformer.resblocks.{i}");
        for norm in ["ln_1", "ln_2"] {
            add(format!("{block}.{norm}.weight"), &[1024]);
            add(format!("{block}.{norm}.bias"), &[1024]);
        }
        add(format!("{block}.attn.in_proj_weight"), &[3072, 1024]);
        add(format!("{block}.attn.in_proj_bias"), &[3072]);
        add(format!("{block}.attn.out_proj.weight"), &[1024, 1024]);
        add(format!("{block}.attn.out_proj.bias"), &[1024]);
        add(format!("{block}.mlp.c_fc.weight"), &[4096, 1024]);
        add(format!("{block}.mlp.c_fc.bias"), &[4096]);
        add(format!("{block}.mlp.c_proj.weight"), &[1024, 4096]);
        add(format!("{block}.mlp.c_proj.bias"), &[1024]);
    }
    table
}

/// What SPRC and MTST_PTHA train: Q-Former, queries, prompts, projections, `ln_vision`, `temp`, over images of `width`.
fn lavis_trained(width: usize) -> Shapes {
    let mut table = Shapes::new();
    let mut add = |name: String, dims: &[usize]| drop(table.insert(name, dims.to_vec()));
    for leaf in ["weight", "bias"] {
        add(format!("ln_vision.{leaf}"), &[width]);
        add(format!("Qformer.bert.embeddings.LayerNorm.{leaf}"), &[768]);
    }
    add("temp".into(), &[]);
    for tokens in ["query_tokens", "prompt_tokens"] {
        add(tokens.into(), &[1, 32, 768]);
    }
    for projection in ["vision_proj", "text_proj"] {
        add(format!("{projection}.weight"), &[256, 768]);
        add(format!("{projection}.bias"), &[256]);
    }
    add("Qformer.bert.embeddings.word_embeddings.weight".into(), &[30523, 768]);
    add("Qformer.bert.embeddings.position_embeddings.weight".into(), &[512, 768]);
    for i in 0..12 {
        let mut dense = |name: &str, rows: usize, columns: usize| {
            add(format!("Qformer.bert.encoder.layer.{i}.{name}.weight"), &[rows, columns]);
            add(format!("Qformer.bert.encoder.layer.{i}.{name}.bias"), &[rows]);
        };
        for (attention, source) in [("attention", 768), ("crossattention", width)] {
            if attention == "attention" || i % 2 == 0 {
                dense(&format!("{attention}.self.query"), 768, 768);
                dense(&format!("{attention}.self.key"), 768, source);
                dense(&format!("{attention}.self.value"), 768, source);
                dense(&format!("{attention}.output.dense"), 768, 768);
            }
        }
        for suffix in ["", "_query"] {
            dense(&format!("intermediate{suffix}.dense"), 3072, 768);
            dense(&format!("output{suffix}.dense"), 768, 3072);
        }
        let mut norms = vec!["attention.output", "output", "output_query"];
        if i % 2 == 0 {
            norms.push("crossattention.output");
        }
        for norm in norms {
            for leaf in ["weight", "bias"] {
                add(format!("Qformer.bert.encoder.layer.{i}.{norm}.LayerNorm.{leaf}"), &[768]);
            }
        }
    }
    table
}

/// Every upstream tensor makes parameters of ours, with shapes that fit, and every parameter is made once.
fn cover(upstream: &Shapes, family: VitFamily, ours: &Shapes) {
    let mut made = BTreeMap::new();
    for (key, dims) in upstream {
        let found = pieces(key, family);
        assert!(!found.is_empty(), "{key} has no place");
        for piece in found {
            let wanted = ours.get(&piece.name).unwrap_or_else(|| panic!("{key} makes {}, which is none", piece.name));
            assert!(piece.rule.fits(dims, wanted), "{key} {dims:?} does not make {} {wanted:?}", piece.name);
            if let Some(other) = made.insert(piece.name.clone(), key) {
                panic!("{other} and {key} both make {}", piece.name);
            }
        }
    }
    let missing: Vec<_> = ours.keys().filter(|name| !made.contains_key(*name)).collect();
    assert!(missing.is_empty(), "nothing makes {missing:?}");
}

fn presets(name: &str) -> Outcome<(Shapes, Shapes)> {
    let (config, device) = (RetrievalConfig::preset(name)?, Device::flex());
    Ok((shapes(&ImageEncoder::new(&config, &device), ""), shapes(&TwoPass::new(&config, &device)?, "")))
}

#[test]
fn vit_g_has_985_9_and_its_q_former_185_7_million_parameters() -> Outcome {
    let (encoder, model) = presets("blip2-vit-g")?;
    let upstream = lavis_eva();
    assert_eq!(count(&upstream, |_| true), 985_894_528);
    assert_eq!(count(&encoder, |_| true), 985_894_528);
    assert_eq!(encoder["vit.blocks.38.query.weight"], [1408, 1408]);
    assert!(!encoder.contains_key("vit.blocks.0.key.bias"));
    cover(&upstream, VitFamily::Eva, &encoder);

    // Embeddings 23.8 M, feed-forward 56.7 M twice, self-attention 28.4 M, cross-attention 20.1 M.
    let part =
        |part: &str| count(&model, |name| name.starts_with("qformer.blocks.") && name.split('.').nth(3) == Some(part));
    assert_eq!(count(&model, |name| name.starts_with("qformer.")), 185_660_160);
    assert_eq!([part("text"), part("query"), part("cross")], [56_687_616, 56_687_616, 20_081_664]);
    assert_eq!(count(&model, |name| name.starts_with("qformer.") && !name.contains("blocks")), 23_836_416);
    assert_eq!(part("attention"), 28_366_848);
    let trained = lavis_trained(1408);
    assert_eq!(count(&trained, |_| true), count(&model, |_| true));
    cover(&trained, VitFamily::Eva, &model);
    Ok(())
}

#[test]
fn vit_l_is_clips() -> Outcome {
    let (encoder, model) = presets("blip2-vit-l")?;
    let upstream = lavis_clip();
    assert_eq!(count(&upstream, |_| true), count(&encoder, |_| true));
    assert_eq!(encoder["vit.blocks.22.key.bias"], [1024]);
    cover(&upstream, VitFamily::Clip, &encoder);
    cover(&lavis_trained(1024), VitFamily::Clip, &model);
    Ok(())
}

/// The table of shapes is that of the values, for every small preset.
#[test]
fn shapes_are_those_of_the_values() -> Outcome {
    let device = Device::flex();
    for (name, json) in [("tiny", None), ("web-s", None), ("small vit", Some(SMALL))] {
        let config = match json {
            Some(json) => RetrievalConfig::parse(json, name)?,
            None => RetrievalConfig::preset(name)?,
        };
        let (encoder, model) = (ImageEncoder::new(&config, &device), TwoPass::new(&config, &device)?);
        let mut table = shapes(&encoder, "encoder");
        table.extend(shapes(&model, "model"));
        let mut values = collect(&encoder, "encoder")?;
        values.extend(collect(&model, "model")?);
        let found: Shapes = values.into_iter().map(|(name, (dims, _))| (name, dims)).collect();
        assert_eq!(table, found, "{name}");
    }
    Ok(())
}

const SMALL: &str = r#"{
    "name": "small",
    "preprocess": { "size": 8, "resize": "bicubic", "pad_ratio": null, "pad_fill": [0, 0, 0],
        "background": [255, 255, 255], "mean": [0, 0, 0], "std": [1, 1, 1], "scale_to_unit": true },
    "image_encoder": { "kind": "vit", "family": "clip", "patch": 4, "width": 8, "layers": 2, "heads": 2,
        "intermediate": 12 },
    "qformer": { "layers": 2, "width": 8, "heads": 2, "intermediate": 12, "query_tokens": 2,
        "cross_attention_every": 2, "vocabulary": 20, "positions": 16 },
    "projection": 4, "text_length": 8
}"#;
