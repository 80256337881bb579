//! What lies beside a dual encoder's weights and says what its shapes do not: `config.json` (activation, heads, epsilon),
//! `open_clip_config.json`, and `preprocessor_config.json`.

use super::dual::set_activation;
use crate::error::{Result, TrainerError};
use crate::fsx;
use serde_json::Value;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{Activation, ImageEncoderConfig, TextTowerConfig};
use thisbut_model::image::{Filter, Fit};

/// Changes a configuration as one file says; an error is the problem alone.
type Reader = fn(&mut RetrievalConfig, &Value) -> Result<(), String>;

/// Changes `config` as the files beside `files` say.
///
/// # Errors
/// When one of them is not JSON or asks for what this program does not have.
pub fn apply(config: &mut RetrievalConfig, files: &[PathBuf]) -> Result<()> {
    let readers: [(&str, Reader); 3] = [
        ("open_clip_config.json", open_clip),
        ("config.json", architecture),
        ("preprocessor_config.json", preprocessing),
    ];
    for (name, read) in readers {
        let Some(path) = beside(files, name) else { continue };
        let value: Value = serde_json::from_slice(&fsx::read(&path, fsx::SMALL)?)
            .map_err(|e| wrong(&path, &format!("it is no JSON ({e})")))?;
        read(config, &value).map_err(|problem| wrong(&path, &problem))?;
    }
    Ok(())
}

/// Whether a file beside `files` says the activation of the towers.
pub fn says_activation(files: &[PathBuf]) -> bool {
    let architecture = || -> Option<Value> {
        serde_json::from_slice(&fsx::read(&beside(files, "config.json")?, fsx::SMALL).ok()?).ok()
    };
    beside(files, "open_clip_config.json").is_some()
        || architecture().is_some_and(|value| value["vision_config"].is_object() && value["text_config"].is_object())
}

fn beside(files: &[PathBuf], name: &str) -> Option<PathBuf> {
    let folders = files.iter().filter_map(|path| if path.is_dir() { Some(path.as_path()) } else { path.parent() });
    folders.map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn wrong(path: &Path, problem: &str) -> TrainerError {
    TrainerError::data(
        path.display().to_string(),
        problem,
        "correct the file, or move it away to take the preset's values",
    )
}

/// OpenCLIP's: exact GELU unless it says otherwise.
fn open_clip(config: &mut RetrievalConfig, value: &Value) -> Result<(), String> {
    let quick = value["model_cfg"]["quick_gelu"].as_bool().unwrap_or(false);
    let activation = if quick { Activation::QuickGelu } else { Activation::Gelu };
    set_activation(config, activation).map_err(|e| e.to_string())
}

/// transformers' `config.json` of a dual encoder. What it leaves out is transformers' default.
fn architecture(config: &mut RetrievalConfig, value: &Value) -> Result<(), String> {
    let (vision, text) = (&value["vision_config"], &value["text_config"]);
    if !vision.is_object() || !text.is_object() {
        return Ok(());
    }
    let name = config.name.clone();
    let heads = |part: &Value, default: u64, own: usize| match part["num_attention_heads"].as_u64().unwrap_or(default) {
        heads if heads == own as u64 => Ok(()),
        heads => Err(format!("num_attention_heads is {heads}, {name} has {own}: no preset has these heads")),
    };
    let eps = |part: &Value, default: f64| part["layer_norm_eps"].as_f64().unwrap_or(default);
    if let ImageEncoderConfig::Vit(vit) = &mut config.image_encoder {
        heads(vision, 12, vit.heads)?;
        vit.layer_norm_eps = Some(eps(vision, 1e-5)).filter(|eps| *eps != vit.family.layer_norm_eps());
    }
    let usual = match config.method.family_mut().text_tower_mut() {
        // Its image tower alone is read.
        None => "quick_gelu",
        Some(TextTowerConfig::Clip(tower)) => {
            heads(text, 8, tower.heads)?;
            let eps = eps(text, 1e-5);
            if eps != 1e-5 {
                return Err(format!("text_config.layer_norm_eps is {eps}; this program's text tower has 1e-5"));
            }
            "quick_gelu"
        }
        Some(TextTowerConfig::Bert(tower)) => {
            heads(text, 8, tower.heads)?;
            tower.layer_norm_eps = eps(text, 1e-12);
            "gelu"
        }
    };
    let act = |part: &Value| part["hidden_act"].as_str().unwrap_or(usual).to_owned();
    match [act(vision).as_str(), act(text).as_str()] {
        ["quick_gelu", "quick_gelu"] => set_activation(config, Activation::QuickGelu).map_err(|e| e.to_string()),
        ["gelu", "gelu"] => set_activation(config, Activation::Gelu).map_err(|e| e.to_string()),
        [a, b] => Err(format!("hidden_act is {a} and {b}; both have to be quick_gelu, or both gelu")),
    }
}

/// A side or a short side, as transformers writes them: `224`, `{"shortest_edge": 224}`, `{"height": 384, "width": 384}`.
enum Side {
    Short(usize),
    Square(usize),
}

fn side(value: &Value, field: &str) -> Result<Option<Side>, String> {
    let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    match (number(value), number(&value["shortest_edge"]), number(&value["height"]), number(&value["width"])) {
        (Some(n), ..) | (_, Some(n), ..) => Ok(Some(Side::Short(n))),
        (_, _, Some(height), Some(width)) if height == width => Ok(Some(Side::Square(height))),
        _ if value.is_null() => Ok(None),
        _ => Err(format!("{field} is {value}; this program makes squares")),
    }
}

/// transformers' `preprocessor_config.json`, to the letter.
fn preprocessing(config: &mut RetrievalConfig, value: &Value) -> Result<(), String> {
    let flag = |name: &str| value[name].as_bool();
    for name in ["do_resize", "do_rescale", "do_normalize"] {
        if flag(name) == Some(false) {
            return Err(format!("{name} is false; this program always does it"));
        }
    }
    let mut own = config.preprocess;
    let crops = flag("do_center_crop").unwrap_or(own.fit != Fit::Stretch);
    let (size, crop) = (side(&value["size"], "size")?, side(&value["crop_size"], "crop_size")?);
    let cropped = match crop {
        Some(Side::Short(n) | Side::Square(n)) => n,
        None => own.size,
    };
    match (size, crops) {
        (Some(Side::Short(short)), true) => {
            (own.size, own.fit, own.short_side) = (cropped, Fit::CropDown, (short != cropped).then_some(short));
        }
        (Some(Side::Square(square)), false) => (own.size, own.fit, own.short_side) = (square, Fit::Stretch, None),
        // An old file of BLIP's has one number and no crop.
        (Some(Side::Short(square)), false) if own.fit == Fit::Stretch => own.size = square,
        (None, _) => {}
        _ => return Err("size and do_center_crop leave a picture that is no square".into()),
    }
    if own.size != config.preprocess.size {
        return Err(format!("its pictures have {} pixels, the weights are for {}", own.size, config.preprocess.size));
    }
    own.resize = match value["resample"].as_u64() {
        None | Some(3) => Filter::Bicubic,
        Some(2) => Filter::Bilinear,
        Some(other) => return Err(format!("resample {other} is neither bicubic (3) nor bilinear (2)")),
    };
    if let Some(factor) = value["rescale_factor"].as_f64().filter(|factor| (factor * 255.0 - 1.0).abs() > 1e-6) {
        return Err(format!("rescale_factor is {factor}, not 1/255"));
    }
    for (field, own) in [("image_mean", &mut own.mean), ("image_std", &mut own.std)] {
        if value[field].is_null() {
            continue;
        }
        let numbers: Vec<f32> =
            value[field].as_array().into_iter().flatten().filter_map(Value::as_f64).map(|x| x as f32).collect();
        *own = <[f32; 3]>::try_from(numbers).map_err(|_| format!("{field} is not three numbers"))?;
    }
    config.preprocess = own;
    own.check().map_err(|e| e.to_string())
}
