//! ConText-CIR's published checkpoints: imported, and handed back with the same names, shapes and values.

use super::dual::{configure, layout, plan};
use super::source::Source;
use super::{encoder_path, read};
use crate::publish::{Form, Options, SHARD, publish};
use crate::train::checkpoint;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{FusionForm, Pooling, TargetForm};
use thisbut_model::upstream::DualLayout;
use thisbut_model::weights::Tensors;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(name)
}

/// A concept model in the paper's form on the towers of the small CLIP.
fn paper() -> RetrievalConfig {
    let text = std::fs::read_to_string(golden("clip/small-clip.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["name"] = "small-context".into();
    value["image_encoder"].as_object_mut().unwrap().remove("pooled");
    value["method"]["kind"] = "concept".into();
    value["method"]["fusion"] = serde_json::json!({"blocks": 2, "heads": 2});
    RetrievalConfig::parse(&value.to_string(), "small-context").unwrap()
}

fn code() -> RetrievalConfig {
    let mut config = paper();
    let own = config.concept_mut().unwrap();
    (own.fusion.form, own.pooling, own.target) = (FusionForm::Transformer, Pooling::Attention, TargetForm::Pooled);
    config.check("x").unwrap();
    config
}

/// Imports files into `folder`: the configuration, and all tensors.
fn imported(file: &Path, named: RetrievalConfig, folder: &Path) -> (RetrievalConfig, Tensors, Vec<String>) {
    let files = [file.to_path_buf()];
    let mut source = Source::open(&files).unwrap();
    let layout = layout(&source).unwrap();
    let config = configure(&source, layout, &files, Some(named)).unwrap();
    let plan = plan(&source, &config, layout).unwrap();
    plan.check_whole("x").unwrap();
    let path = encoder_path(&config, folder);
    plan.write_encoder(&mut source, &config, plan.encoder_format(&source), &path, &mut |_, _| ()).unwrap();
    let out = folder.join("start.safetensors");
    plan.write_checkpoint(&mut source, &config, &out).unwrap();
    let mut all = read(&path).unwrap();
    all.extend(checkpoint::load(&out).unwrap().model);
    (config, all, plan.fresh)
}

fn options(form: Form) -> Options {
    Options { form, class: String::new(), precision: None, encoder: true, shard: SHARD }
}

#[test]
fn a_model_goes_out_and_comes_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first, _) = imported(&golden("clip/huggingface"), code(), folder.path());
    let (start, out) = (folder.path().join("start.safetensors"), folder.path().join("model.ckpt"));
    let files = publish(&start, folder.path(), &out, &options(Form::Context), &mut |_, _| ()).unwrap();
    assert_eq!(files, [out.clone()]);
    let source = Source::open(&files).unwrap();
    assert_eq!(layout(&source), Some(DualLayout::HuggingFace));
    let names: BTreeSet<&str> = source.entries().keys().map(String::as_str).collect();
    for name in [
        "vision_encoder.model.vision_model.pre_layrnorm.weight",
        "text_encoder.model.text_model.encoder.layers.1.self_attn.q_proj.bias",
        "parser.text_encoder.text_model.final_layer_norm.weight",
        "fusion_ffns.1.3.weight",
        "attn_pooler.attention.out_proj.bias",
    ] {
        assert!(names.contains(name), "{name}");
    }
    assert!(!names.iter().any(|name| name.contains("logit_scale") || name.contains("text_projection")));
    assert_eq!(source.entries()["attn_pooler.queries"].dims, [1, 1, 8]);
    assert_eq!(source.entries()["fusion_ffns.0.0.weight"].dims, [32, 8]);
    // Whoever names the paper's form gets the code's, which the file has.
    let other = tempfile::tempdir().unwrap();
    let (config, second, fresh) = imported(&out, paper(), other.path());
    assert_eq!(config.method, code().method);
    assert_eq!(fresh, ["logit_scale", "text.projection.weight"]);
    for (name, value) in &first {
        assert!(fresh.contains(name) || second[name] == *value, "{name}");
    }
    assert_eq!(first.len(), second.len());
    // A second time, from what came back.
    let again = other.path().join("again.ckpt");
    publish(&other.path().join("start.safetensors"), other.path(), &again, &options(Form::Context), &mut |_, _| ())
        .unwrap();
    assert_eq!(read(&again).unwrap(), read(&out).unwrap());
}

#[test]
fn what_the_class_cannot_hold_is_refused_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    imported(&golden("clip/huggingface"), paper(), folder.path());
    let start = folder.path().join("start.safetensors");
    for (form, words) in [
        (Form::Context, "--fusion transformer --pooling attention --target-form pooled"),
        (Form::Hf, "choose --to context"),
        (Form::Sprc, "choose --to context"),
    ] {
        let out = folder.path().join("x.ckpt");
        let problem = publish(&start, folder.path(), &out, &options(form), &mut |_, _| ()).unwrap_err().to_string();
        assert!(problem.contains(words) && !out.exists(), "{problem}");
    }
    let clip = RetrievalConfig::parse(&std::fs::read_to_string(golden("clip/small-clip.json")).unwrap(), "x").unwrap();
    imported(&golden("clip/huggingface"), clip, folder.path());
    let out = folder.path().join("x.ckpt");
    let problem =
        publish(&start, folder.path(), &out, &options(Form::Context), &mut |_, _| ()).unwrap_err().to_string();
    assert!(problem.contains("choose --to hf"), "{problem}");
}
