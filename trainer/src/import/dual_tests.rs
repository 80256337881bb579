//! Importing dual encoders: every published form of one small CLIP and one small BLIP gives the same model, and goes back bit for
//! bit. The small models and where they come from: `tests/golden/clip_checkpoints.py`.

use super::dual::{configure, layout, plan, set_activation};
use super::source::Source;
use super::{encoder_path, merges, read};
use crate::publish::{Form, Options, SHARD, publish};
use crate::train::checkpoint;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{Activation, AdapterConfig, ImageEncoderConfig};
use thisbut_model::number::NumberFormat;
use thisbut_model::upstream::DualLayout;
use thisbut_model::weights::Tensors;

const CLIP: &str = include_str!("../../../tests/golden/clip/small-clip.json");

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/clip").join(name)
}

fn clip() -> RetrievalConfig {
    RetrievalConfig::parse(CLIP, "small-clip").unwrap()
}

fn blip() -> RetrievalConfig {
    let mut value: serde_json::Value = serde_json::from_str(CLIP).unwrap();
    value["name"] = "small-blip".into();
    value["image_encoder"]["family"] = "blip".into();
    value["text"] = serde_json::json!({"kind": "word-piece", "vocabulary": 20, "length": 9});
    value["method"]["text_tower"]["kind"] = "bert".into();
    value["method"]["text_tower"]["positions"] = 16.into();
    RetrievalConfig::parse(&value.to_string(), "small-blip").unwrap()
}

fn configured(file: &str, named: RetrievalConfig) -> crate::error::Result<(Source, DualLayout, RetrievalConfig)> {
    let files = [golden(file)];
    let source = Source::open(&files)?;
    let layout = layout(&source).unwrap();
    let config = configure(&source, layout, &files, Some(named))?;
    Ok((source, layout, config))
}

/// Imports a file into `folder`: the configuration, the image encoder and the rest.
fn imported(file: &str, named: RetrievalConfig, folder: &Path) -> (RetrievalConfig, Tensors, Tensors) {
    let (mut source, layout, config) = configured(file, named).unwrap();
    let plan = plan(&source, &config, layout).unwrap();
    plan.check_whole(file).unwrap();
    let path = encoder_path(&config, folder);
    let format = plan.encoder_format(&source);
    plan.write_encoder(&mut source, &config, format, &path, &mut |_, _| ()).unwrap();
    let out = folder.join("start.safetensors");
    plan.write_checkpoint(&mut source, &config, &out).unwrap();
    (config, read(&path).unwrap(), checkpoint::load(&out).unwrap().model)
}

#[test]
fn every_published_form_gives_the_same_clip() {
    let folder = tempfile::tempdir().unwrap();
    let (config, encoder, model) = imported("huggingface", clip(), folder.path());
    assert_eq!(config.preprocess.mean, [0.5, 0.25, 0.125]);
    for file in ["openai.pt", "bin", "open_clip"] {
        let (_, other_encoder, other) = imported(file, clip(), folder.path());
        assert_eq!(other_encoder, encoder, "{file}");
        assert_eq!(other, model, "{file}");
    }
    // Row 5, column 3 of the keys of block 1, as open_clip's script fills them, turned.
    let name = "visual.transformer.resblocks.1.attn.in_proj_weight";
    let value = |i: usize| ((7 * i + 13 * name.len()) % 255) as f32 / 64.0 - 127.0 / 64.0;
    let (dims, values) = &encoder["vit.blocks.1.key.weight"];
    assert_eq!((dims.as_slice(), values[3 * 8 + 5]), (&[8, 8][..], value((8 + 5) * 8 + 3)));
    // The projection of OpenAI's layout is not turned.
    let name = "visual.proj";
    let value = |i: usize| ((7 * i + 13 * name.len()) % 255) as f32 / 64.0 - 127.0 / 64.0;
    assert_eq!(encoder["vit.projection.weight"].1[7], value(7));
    assert_eq!(model["logit_scale"].0, [1]);
}

/// A method that reads the image tower's tokens takes that tower alone; its adapters are the identity, and nobody's file has them.
#[test]
fn a_q_former_with_adapters_takes_the_image_tower() {
    let mut value: serde_json::Value = serde_json::from_str(CLIP).unwrap();
    value["name"] = "small-fashion".into();
    value["image_encoder"].as_object_mut().unwrap().remove("pooled");
    value["image_encoder"]["adapters"] = serde_json::json!({"factor": 2, "after": "attention"});
    value["text"] = serde_json::json!({"kind": "word-piece", "vocabulary": 20, "length": 9});
    value["projection"] = 6.into();
    value["method"] = serde_json::json!({"kind": "matching", "heads": 2, "head_width": 3, "qformer": {"layers": 1, "width": 8,
        "heads": 2, "intermediate": 16, "query_tokens": 4, "cross_attention_every": 1, "positions": 16}});
    let fashion = RetrievalConfig::parse(&value.to_string(), "small-fashion").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (_, tower, _) = imported("huggingface", clip(), folder.path());
    for file in ["huggingface", "openai.pt", "open_clip"] {
        let (config, encoder, model) = imported(file, fashion.clone(), folder.path());
        assert!(!encoder.is_empty() && encoder.iter().all(|(name, value)| tower[name] == *value), "{file}");
        assert!(model.contains_key("token_mixing.weight") && !model.contains_key("logit_scale"), "{file}");
        assert_eq!(model["tau"].1, [1.0]);
        let whole = super::image_encoder(&config, folder.path()).unwrap();
        let adapters: Vec<_> = whole.iter().filter(|(name, _)| AdapterConfig::owns(name)).collect();
        // Two blocks, each with two maps and their biases.
        assert_eq!(adapters.len(), 8);
        for (name, (_, values)) in adapters {
            let zero = values.iter().all(|value| *value == 0.0);
            assert_eq!(zero, !name.ends_with(".down.weight"), "{name}");
        }
    }
    refused("huggingface", RetrievalConfig::preset("fashion-xs").unwrap(), &["fashion-xs"]);
}

#[test]
fn both_forms_give_the_same_blip() {
    let folder = tempfile::tempdir().unwrap();
    let (config, encoder, mut model) = imported("blip.pth", blip(), folder.path());
    let (described, other_encoder, other) = imported("blip_huggingface", blip(), folder.path());
    assert_eq!(other_encoder, encoder);
    // τ = 1/16 in Salesforce's; the class of Hugging Face has none.
    assert!((model["logit_scale"].1[0] - 16f32.ln()).abs() < 1e-6);
    model.insert("logit_scale".into(), other["logit_scale"].clone());
    assert_eq!(other, model);
    let eps = |config: &RetrievalConfig| match &config.image_encoder {
        ImageEncoderConfig::Vit(vit) => vit.layer_norm_eps(),
        _ => 0.0,
    };
    assert_eq!((eps(&config), eps(&described)), (1e-6, 1e-5), "each implementation has its own epsilon");
}

fn options(precision: Option<NumberFormat>) -> Options {
    Options { form: Form::Hf, class: String::new(), precision, encoder: true, shard: SHARD }
}

/// Names, shapes and values as they lie in a file.
fn bytes_of(path: &Path) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut all: Vec<_> =
        file.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec(), view.data().to_vec())).collect();
    all.sort();
    all
}

#[test]
fn hugging_faces_files_come_back_bit_for_bit() {
    for (file, named) in [("huggingface", clip()), ("blip_huggingface", blip())] {
        let folder = tempfile::tempdir().unwrap();
        imported(file, named.clone(), folder.path());
        let (start, out) = (folder.path().join("start.safetensors"), folder.path().join("out"));
        publish(&start, folder.path(), &out, &options(None), &mut |_, _| ()).unwrap();
        let heads = |name: &str| !name.contains("itm_head") && !name.contains("crossattention");
        let mut before = bytes_of(&golden(file).join("model.safetensors"));
        before.retain(|(name, ..)| heads(name));
        assert_eq!(bytes_of(&out.join("model.safetensors")), before, "{file}");
        let described: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("config.json")).unwrap()).unwrap();
        assert_eq!(described["vision_config"]["hidden_size"], 8);
        assert!(out.join("preprocessor_config.json").is_file());
        // What was written is read again as the same model.
        let files = [out.clone()];
        let source = Source::open(&files).unwrap();
        let again = configure(&source, layout(&source).unwrap(), &files, Some(named.clone())).unwrap();
        assert_eq!(again.method, configured(file, named).unwrap().2.method);
    }
}

#[test]
fn half_precision_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    imported("bin", clip(), folder.path());
    let (start, out) = (folder.path().join("start.safetensors"), folder.path().join("out"));
    publish(&start, folder.path(), &out, &options(Some(NumberFormat::F16)), &mut |_, _| ()).unwrap();
    // The f32 file holds the same values, which f16 holds exactly.
    let whole: Vec<_> = bytes_of(&golden("huggingface").join("model.safetensors"));
    for ((name, dims, half), (other, other_dims, full)) in bytes_of(&out.join("model.safetensors")).iter().zip(&whole) {
        assert_eq!((name, dims), (other, other_dims));
        let full = full.as_chunks().0.iter().map(|b| half::f16::from_f32(f32::from_le_bytes(*b)).to_le_bytes());
        assert_eq!(half.as_chunks::<2>().0, full.collect::<Vec<_>>(), "{name}");
    }
}

fn refused(file: &str, named: RetrievalConfig, words: &[&str]) {
    let problem = configured(file, named).map(|_| ()).unwrap_err().to_string();
    assert!(words.iter().all(|word| problem.contains(word)) && !problem.contains('\n'), "{problem}");
}

#[test]
fn another_model_than_the_one_named_is_refused_with_both_names() {
    refused(
        "huggingface",
        RetrievalConfig::preset("clip-vit-b-32").unwrap(),
        &["no preset", "clip-vit-b-32", "of 768"],
    );
    refused("huggingface", RetrievalConfig::preset("web-s").unwrap(), &["web-s", "no published dual encoder"]);
    refused("blip.pth", clip(), &["small-clip", "blocks of 8"]);
    let files = [golden("openai.pt")];
    let source = Source::open(&files).unwrap();
    let problem = configure(&source, DualLayout::OpenAi, &files, None).unwrap_err().to_string();
    assert!(problem.contains("of no preset") && problem.contains("--preset"), "{problem}");
    let problem = Source::open(&[golden("scripted.pt")]).map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains("TorchScript") && problem.contains("state_dict()"), "{problem}");
    assert!(!problem.contains('\n'), "{problem}");
}

#[test]
fn what_config_json_asks_for_is_done_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.safetensors", "config.json", "preprocessor_config.json"] {
        std::fs::copy(golden("huggingface").join(name), folder.path().join(name)).unwrap();
    }
    let described = std::fs::read_to_string(folder.path().join("config.json")).unwrap();
    let with = |file: &str, text: &str| {
        std::fs::write(folder.path().join(file), text).unwrap();
        let files = [folder.path().to_path_buf()];
        let source = Source::open(&files).unwrap();
        configure(&source, DualLayout::HuggingFace, &files, Some(clip())).map_err(|e| e.to_string())
    };
    let exact = with("config.json", &described.replace("quick_gelu", "gelu")).unwrap();
    let mut expected = clip();
    set_activation(&mut expected, Activation::Gelu).unwrap();
    assert_eq!((exact.image_encoder, exact.method), (expected.image_encoder, expected.method));
    for (from, to, named) in [
        ("quick_gelu", "relu", "hidden_act is relu"),
        ("\"num_attention_heads\": 2", "\"num_attention_heads\": 4", "num_attention_heads is 4"),
        ("{", "[", "no JSON"),
    ] {
        let problem = with("config.json", &described.replace(from, to)).unwrap_err();
        assert!(problem.contains(named) && problem.contains("config.json") && !problem.contains('\n'), "{problem}");
    }
    with("config.json", &described).unwrap();
    for (text, named) in [
        (r#"{"do_normalize": false}"#, "do_normalize"),
        (r#"{"size": {"shortest_edge": 16}, "crop_size": 16}"#, "16 pixels"),
        (r#"{"resample": 7}"#, "resample 7"),
        (r#"{"size": {"height": 8, "width": 9}}"#, "squares"),
        (r#"{"image_mean": [1]}"#, "image_mean"),
    ] {
        let problem = with("preprocessor_config.json", text).unwrap_err();
        assert!(problem.contains(named) && problem.contains("preprocessor_config.json"), "{problem}");
    }
    let larger = with("preprocessor_config.json", r#"{"size": 10, "crop_size": 8}"#).unwrap();
    assert_eq!(larger.preprocess.short_side, Some(10));
}

#[test]
fn the_list_of_merges_is_read_from_what_lies_beside() {
    let lists = ["huggingface", "bin", "open_clip"].map(|folder| {
        let path = merges::beside(&[golden(folder)]).unwrap();
        merges::read(&path, 516).unwrap()
    });
    assert!(lists.iter().all(|list| *list == lists[0]) && lists[0].contains("re d</w>"), "{lists:?}");
    assert_eq!(merges::beside(&[golden("openai.pt")]), None);
}
