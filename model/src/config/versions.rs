//! Configurations of earlier versions.
//!
//! Version 0.1 had one method: its Q-Former stood at the top level as `qformer`, which
//! also had the vocabulary, beside `text_length`, `temperature`, `read_out`, `second_pass_mask` and `own_second_pass`.

use super::{MethodConfig, RetrievalConfig, TextConfig};
use crate::image::PreprocessConfig;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Today's layout.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Current {
    name: String,
    preprocess: PreprocessConfig,
    image_encoder: super::ImageEncoderConfig,
    text: TextConfig,
    projection: usize,
    target_tokens: usize,
    method: MethodConfig,
}

impl From<Current> for RetrievalConfig {
    fn from(current: Current) -> Self {
        let Current { name, preprocess, image_encoder, text, projection, target_tokens, method } = current;
        Self { name, preprocess, image_encoder, text, projection, target_tokens, method }
    }
}

/// Reads a configuration of any version. Problems of today's layout have line and column.
pub(super) fn read(json: &str) -> serde_json::Result<RetrievalConfig> {
    let value: Value = serde_json::from_str(json)?;
    match is_single_method(&value) {
        true => from_value(value),
        false => serde_json::from_str::<Current>(json).map(RetrievalConfig::from),
    }
}

/// As [`read`], from a value.
pub(super) fn from_value(value: Value) -> serde_json::Result<RetrievalConfig> {
    let value = match value {
        Value::Object(fields) if fields.contains_key("qformer") => with_method(fields),
        other => other,
    };
    serde_json::from_value::<Current>(value).map(RetrievalConfig::from)
}

fn is_single_method(value: &Value) -> bool {
    value.get("qformer").is_some()
}

/// The layout with one method → today's. What is missing stays missing, and is named by the reader.
fn with_method(mut fields: Map<String, Value>) -> Value {
    let mut qformer = fields.remove("qformer").unwrap_or(Value::Null);
    let vocabulary = qformer.as_object_mut().and_then(|q| q.remove("vocabulary"));
    let mut text = json!({ "kind": "word-piece" });
    for (name, value) in [("vocabulary", vocabulary), ("length", fields.remove("text_length"))] {
        value.into_iter().for_each(|value| text[name] = value);
    }
    if let Some(count) = qformer.get("query_tokens") {
        fields.insert("target_tokens".into(), count.clone());
    }
    let mut method = json!({ "kind": "two-pass", "qformer": qformer });
    for name in ["temperature", "read_out", "second_pass_mask", "own_second_pass"] {
        fields.remove(name).into_iter().for_each(|value| method[name] = value);
    }
    fields.insert("text".into(), text);
    fields.insert("method".into(), method);
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::super::*;

    /// `web-xs` as version 0.1 wrote it into bundles and checkpoints.
    const SINGLE_METHOD: &str = r#"{"name":"web-xs","preprocess":{"size":224,"resize":"bicubic","pad_ratio":1.25,
        "pad_fill":[255,255,255],"background":[255,255,255],"mean":[127.0,127.0,127.0],"std":[128.0,128.0,128.0],
        "scale_to_unit":false},"image_encoder":{"kind":"efficientnet-lite","variant":0},"qformer":{"layers":4,"width":192,
        "heads":6,"intermediate":768,"query_tokens":8,"cross_attention_every":1,"vocabulary":30522,"word_width":384,
        "positions":64,"image_width":192,"layer_norm_eps":1e-12,"dropout":0.0},"projection":128,"text_length":32,
        "temperature":0.07,"read_out":"cls","second_pass_mask":"padding"}"#;

    #[test]
    fn a_configuration_with_one_method_is_read_as_today() {
        let today = RetrievalConfig::preset("web-xs").unwrap();
        assert_eq!(RetrievalConfig::parse(SINGLE_METHOD, "x").unwrap(), today);
        assert_eq!(serde_json::from_str::<RetrievalConfig>(SINGLE_METHOD).unwrap(), today);
        let other = SINGLE_METHOD
            .replace("\"read_out\":\"cls\"", "\"read_out\":\"mean-prompt-cls\",\"own_second_pass\":true")
            .replace("0.07", "0.05")
            .replace("\"padding\"", "\"all-ones\"");
        let config = RetrievalConfig::parse(&other, "x").unwrap();
        let two_pass = config.two_pass().unwrap();
        assert!(two_pass.own_second_pass && two_pass.temperature == 0.05);
        assert_eq!(two_pass.read_out, ReadOut::MeanPromptCls);
        assert!(config.method.family().reads_padding());
    }

    #[test]
    fn what_an_earlier_configuration_lacks_is_named() {
        let refused = |from: &str, to: &str| {
            let json = SINGLE_METHOD.replace(from, to);
            assert_ne!(json, SINGLE_METHOD);
            RetrievalConfig::parse(&json, "x").unwrap_err().to_string()
        };
        assert!(refused("\"projection\":128,", "").contains("projection"));
        assert!(refused("\"vocabulary\":30522,", "").contains("vocabulary"));
        assert!(refused("\"text_length\":32,", "").contains("length"));
        assert!(refused("\"query_tokens\":8,", "").contains("query_tokens"));
        assert!(refused("\"projection\"", "\"projektion\":1,\"projection\"").contains("projektion"));
    }
}
