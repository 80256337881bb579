//! A Hugging Face folder as a language model: sharded safetensors, config and tokenizer, and what is said when one is wrong.

use burn::tensor::{Device, FloatDType};
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_generator::Language;
use thisbut_tests::small_qformer::values;
use thisbut_tests::upstream::{Golden, Outcome, Table, golden_json};

/// A tensor's name, shape and bytes.
type Stored = (String, Vec<usize>, Vec<u8>);

/// Writes the small decoder of `llama.safetensors` as two shards with config and tokenizer.
fn folder(root: &Path, golden: &Golden) -> Outcome {
    let mut shards: [Vec<Stored>; 2] = [Vec::new(), Vec::new()];
    let mut map = BTreeMap::new();
    let weights = golden.weights().filter_map(|(name, v)| Some((name.strip_prefix("grouped.")?, v)));
    for (at, (name, v)) in weights.enumerate() {
        let bytes: Vec<u8> = v.data.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
        shards[at % 2].push((name.to_owned(), v.shape.clone(), bytes));
        map.insert(name.to_owned(), format!("model-0000{}-of-00002.safetensors", at % 2 + 1));
    }
    for (at, shard) in shards.iter().enumerate() {
        let views = shard.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F16, shape.clone(), bytes).map(|view| (name.clone(), view))
        });
        let bytes = serialize(views.collect::<Result<Vec<_>, _>>()?, None)?;
        std::fs::write(root.join(format!("model-0000{}-of-00002.safetensors", at + 1)), bytes)?;
    }
    std::fs::write(root.join("model.safetensors.index.json"), json!({"weight_map": map}).to_string())?;
    let mut config = golden_json("llama.json")?["grouped"]["config"].clone();
    config["eos_token_id"] = 2.into();
    std::fs::write(root.join("config.json"), config.to_string())?;
    let mut vocabulary: BTreeMap<String, u32> =
        ('a'..='z').chain(['Ġ']).zip(3..).map(|(c, i)| (c.to_string(), i)).collect();
    vocabulary.insert("he".into(), 40);
    let tokenizer = json!({
        "model": {"type": "BPE", "vocab": vocabulary, "merges": [["h", "e"]]},
        "added_tokens": [{"id": 1, "content": "<s>", "special": true}, {"id": 2, "content": "</s>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    });
    Ok(std::fs::write(root.join("tokenizer.json"), tokenizer.to_string())?)
}

#[test]
fn a_sharded_folder_loads_and_damage_is_named() -> Outcome {
    let (device, golden, root) = (Device::flex(), Golden::read("llama.safetensors")?, tempfile::tempdir()?);
    folder(root.path(), &golden)?;
    let language = Language::load(root.path(), FloatDType::F32, &device)?;
    assert_eq!(language.words.encode("the he")?, [22, 40, 29, 40]);
    assert_eq!(language.words.decode(&[22, 40, 29, 40, 2])?, "the he");
    assert_eq!(language.words.end(), 2);
    let ids: Vec<u32> = golden.get("input.grouped.ids")?.data.iter().map(|x| *x as u32).collect();
    let count = ids.len();
    let hidden = language.decoder.forward(language.decoder.embed(&[ids]), &[vec![true; count]], None);
    let mut table = Table::default();
    let logits = values(language.decoder.logits(hidden.reshape([count, 32])))?;
    table.absolute("logits", &logits, &golden.get("out.grouped.logits")?.data, 1e-4);
    table.finish("A sharded folder")?;

    // A chat template lies in a file of its own, or in the tokenizer's configuration.
    let load = || Language::load(root.path(), FloatDType::F32, &device);
    let hello = |language: &Language| language.words.chat(&[("user", "hi")], true);
    assert!(hello(&language).is_err());
    let template = "{% for m in messages %}<|im_start|>{{ m.role }}<|im_end|>{% endfor %}";
    let named =
        json!({"chat_template": [{"name": "tools", "template": ""}, {"name": "default", "template": template}]});
    for (name, text) in [("tokenizer_config.json", named.to_string()), ("chat_template.jinja", template.to_owned())] {
        std::fs::write(root.path().join(name), text)?;
        assert_eq!(hello(&load()?)?, "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n");
        std::fs::remove_file(root.path().join(name))?;
    }
    // Other weights of the same shapes are another model.
    let path = root.path().join("model-00001-of-00002.safetensors");
    let bytes = std::fs::read(&path)?;
    let changed = [&bytes[..bytes.len() - 1], &[bytes[bytes.len() - 1] ^ 1]].concat();
    assert_eq!(load()?.fingerprint, language.fingerprint);
    std::fs::write(&path, changed)?;
    assert_ne!(load()?.fingerprint, language.fingerprint);
    std::fs::write(&path, bytes)?;

    let refused = |words: &str| {
        let said =
            Language::load(root.path(), FloatDType::F32, &device).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(words) && !said.contains('\n'), "{said}");
    };
    let shard = root.path().join("model-00002-of-00002.safetensors");
    let bytes = std::fs::read(&shard)?;
    std::fs::write(&shard, &bytes[..bytes.len() - 10])?;
    refused("cut short");
    std::fs::remove_file(&shard)?;
    refused("model-00002-of-00002");
    std::fs::write(&shard, &bytes)?;
    let config = std::fs::read_to_string(root.path().join("config.json"))?;
    std::fs::write(root.path().join("config.json"), config.replace("\"llama\"", "\"mistral\""))?;
    refused("'mistral', not llama");
    for (field, value, words) in [
        ("rope_parameters", json!({"rope_type": "llama3", "rope_theta": 5e5}), "scaled rotary angles"),
        ("rope_scaling", json!({"type": "linear", "factor": 2.0}), "scaled rotary angles"),
        ("mlp_bias", true.into(), "biases of the feed-forward maps"),
        ("hidden_act", "gelu".into(), "another activation"),
    ] {
        let mut other: serde_json::Value = serde_json::from_str(&config)?;
        other[field] = value;
        std::fs::write(root.path().join("config.json"), other.to_string())?;
        refused(words);
    }
    // As transformers 5 writes it.
    let mut other: serde_json::Value = serde_json::from_str(&config)?;
    other["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 123_456.0});
    std::fs::write(root.path().join("config.json"), other.to_string())?;
    assert_eq!(load()?.config.rope_base, 123_456.0);
    std::fs::write(root.path().join("config.json"), config)?;
    std::fs::write(root.path().join("tokenizer.json"), r#"{"model": {"type": "Unigram"}}"#)?;
    refused("is Unigram, not BPE");
    Ok(())
}
