//! The descriptions of a dual encoder's folder: `config.json` and `preprocessor_config.json` of `CLIPModel` and
//! `BlipForImageTextRetrieval`.

use crate::error::{Result, TrainerError};
use serde_json::{Value, json};
use thisbut_model::config::{
    Activation, ImageEncoderConfig, PseudoWordConfig, RetrievalConfig, TextTowerConfig, VitConfig, VitFamily,
};
use thisbut_model::image::{Filter, Fit, PreprocessConfig};
use thisbut_model::upstream::DualLayout;

/// Hugging Face's layout for a dual encoder, and the side of its patches.
///
/// # Errors
/// When neither class has such towers.
pub fn layout(config: &RetrievalConfig, method: &PseudoWordConfig) -> Result<(DualLayout, usize)> {
    match (&config.image_encoder, &method.text_tower) {
        (ImageEncoderConfig::Vit(vit), TextTowerConfig::Clip(_)) if vit.family == VitFamily::Clip => {
            Ok((DualLayout::HuggingFace, vit.patch))
        }
        (ImageEncoderConfig::Vit(vit), TextTowerConfig::Bert(_)) if vit.family == VitFamily::Blip => {
            Ok((DualLayout::BlipHuggingFace, vit.patch))
        }
        _ => Err(TrainerError::settings(
            &config.name,
            "its towers are neither CLIP's nor BLIP's, so no class of Hugging Face's loads them",
            "hand back a model of a preset clip-*, tinyclip-*, openclip-* or blip-*",
        )),
    }
}

/// `config.json`.
///
/// # Errors
/// As [`layout`].
pub fn description(config: &RetrievalConfig, method: &PseudoWordConfig) -> Result<Value> {
    layout(config, method)?;
    let (words, p) = (config.text.vocabulary(), config.projection);
    let vision = |kind: &str, vit: &VitConfig| {
        json!({
            "model_type": kind,
            "hidden_size": vit.width,
            "intermediate_size": vit.intermediate,
            "num_hidden_layers": vit.layers,
            "num_attention_heads": vit.heads,
            "image_size": config.preprocess.size,
            "patch_size": vit.patch,
            "hidden_act": activation(vit.activation()),
            "layer_norm_eps": vit.layer_norm_eps(),
            "projection_dim": p
        })
    };
    Ok(match (&config.image_encoder, &method.text_tower) {
        (ImageEncoderConfig::Vit(vit), TextTowerConfig::Clip(tower)) => json!({
            "architectures": ["CLIPModel"],
            "model_type": "clip",
            "projection_dim": p,
            "logit_scale_init_value": 2.6592,
            "torch_dtype": "float32",
            "vision_config": vision("clip_vision_model", vit),
            "text_config": {
                "model_type": "clip_text_model",
                "hidden_size": tower.width,
                "intermediate_size": tower.intermediate,
                "num_hidden_layers": tower.layers,
                "num_attention_heads": tower.heads,
                "max_position_embeddings": tower.positions,
                "vocab_size": words,
                "hidden_act": activation(tower.activation),
                "layer_norm_eps": 1e-5,
                "projection_dim": p,
                "bos_token_id": words - 2,
                "eos_token_id": words - 1,
                "pad_token_id": words - 1
            }
        }),
        (ImageEncoderConfig::Vit(vit), TextTowerConfig::Bert(tower)) => json!({
            "architectures": ["BlipForImageTextRetrieval"],
            "model_type": "blip",
            "projection_dim": p,
            "image_text_hidden_size": p,
            "torch_dtype": "float32",
            "vision_config": vision("blip_vision_model", vit),
            "text_config": {
                "model_type": "blip_text_model",
                "hidden_size": tower.width,
                "encoder_hidden_size": vit.width,
                "intermediate_size": tower.intermediate,
                "num_hidden_layers": tower.layers,
                "num_attention_heads": tower.heads,
                "max_position_embeddings": tower.positions,
                "vocab_size": words,
                "hidden_act": "gelu",
                "layer_norm_eps": tower.layer_norm_eps
            }
        }),
        _ => Value::Null,
    })
}

fn activation(activation: Activation) -> &'static str {
    match activation {
        Activation::QuickGelu => "quick_gelu",
        Activation::Gelu => "gelu",
    }
}

/// `preprocessor_config.json`; none where images get margins, which no class of Hugging Face's makes.
pub fn preprocessing(config: &PreprocessConfig) -> Option<Value> {
    if config.pad_ratio.is_some() {
        return None;
    }
    let square = json!({"height": config.size, "width": config.size});
    let mut value = json!({
        "do_resize": true,
        "resample": match config.resize { Filter::Bilinear => 2, Filter::Bicubic => 3 },
        "do_rescale": true,
        "rescale_factor": if config.scale_to_unit { 1.0 / 255.0 } else { 1.0 },
        "do_normalize": true,
        "do_convert_rgb": true,
        "image_mean": config.mean,
        "image_std": config.std
    });
    if config.fit == Fit::Stretch {
        value["image_processor_type"] = "BlipImageProcessor".into();
        value["size"] = square;
    } else {
        value["image_processor_type"] = "CLIPImageProcessor".into();
        value["size"] = json!({"shortest_edge": config.short_side.unwrap_or(config.size)});
        value["do_center_crop"] = true.into();
        value["crop_size"] = square;
    }
    Some(value)
}
