//! A folder as `save_pretrained` writes it: `config.json`, `model.safetensors` or its shards with their index.

use super::{Job, Weights, dual};
use crate::error::{Result, TrainerError};
use crate::import::source::BESIDE;
use crate::tensor_file::{self, Planned};
use crate::{fsx, partial};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::config::{ImageEncoderConfig, MethodConfig, RetrievalConfig};

/// The name of the index of several shards.
const INDEX: &str = "model.safetensors.index.json";

/// Writes `jobs` into the folder `out`, and what the class does not have (`beside`) into a file of its own there.
pub fn write(
    out: &Path,
    config: &RetrievalConfig,
    weights: &mut Weights,
    jobs: &[Job],
    beside: &[Job],
    limit: u64,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<PathBuf>> {
    if out.is_file() {
        let place = out.display().to_string();
        return Err(TrainerError::settings(place, "is a file, not a folder", "give another output folder"));
    }
    let failed = |e| TrainerError::io(out, "write", e, "check free space and the folder's permissions");
    fsx::create_dir(out)?;
    let staging = partial::Folder::new_in(out).map_err(failed)?;
    let shards = shards(jobs, limit);
    let all = jobs.iter().map(|job| job.planned.bytes()).sum();
    let (mut names, mut map, mut before) = (Vec::new(), BTreeMap::new(), 0);
    let about = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    let mut save = |name: &str, jobs: &[Job], progress: &mut dyn FnMut(u64)| {
        let planned: Vec<Planned> = jobs.iter().map(|job| job.planned.clone()).collect();
        let mut read = |at: usize| jobs.get(at).map_or_else(|| Ok(Vec::new()), |job| weights.values(job));
        tensor_file::write(&staging.path().join(name), &planned, &about, &mut read, &mut |done, _| progress(done))
    };
    for (at, shard) in shards.iter().enumerate() {
        let name = match shards.len() {
            1 => "model.safetensors".to_owned(),
            count => format!("model-{:05}-of-{count:05}.safetensors", at + 1),
        };
        save(&name, shard, &mut |done| progress(before + done, all))?;
        before += shard.iter().map(|job| job.planned.bytes()).sum::<u64>();
        map.extend(shard.iter().map(|job| (job.planned.name.clone(), name.clone())));
        names.push(name);
    }
    let json = |value: serde_json::Value, name: &str| {
        let text = serde_json::to_string_pretty(&value)
            .map_err(|e| TrainerError::checkpoint(name, e.to_string(), "report this"))?;
        fsx::write_atomic(&staging.path().join(name), format!("{text}\n").as_bytes())
    };
    if !beside.is_empty() {
        save(BESIDE, beside, &mut |_| ())?;
        names.push(BESIDE.to_owned());
    }
    for (name, value) in descriptions(config)? {
        json(value, name)?;
        names.push(name.to_owned());
    }
    let other = if shards.len() > 1 {
        json(serde_json::json!({"metadata": {"total_size": all}, "weight_map": map}), INDEX)?;
        names.push(INDEX.to_owned());
        "model.safetensors"
    } else {
        INDEX
    };
    let mut paths = Vec::with_capacity(names.len());
    for name in names {
        std::fs::rename(staging.path().join(&name), out.join(&name)).map_err(failed)?;
        paths.push(out.join(name));
    }
    // What an earlier export in the other form left would be found first; there may be none.
    let _ = std::fs::remove_file(out.join(other));
    Ok(paths)
}

/// Cuts `jobs` into runs of at most `limit` bytes; a tensor larger than that stands alone.
fn shards(jobs: &[Job], limit: u64) -> Vec<&[Job]> {
    let (mut out, mut start, mut bytes) = (Vec::new(), 0, 0);
    for (at, job) in jobs.iter().enumerate() {
        if at > start && bytes + job.planned.bytes() > limit {
            out.extend(jobs.get(start..at));
            (start, bytes) = (at, 0);
        }
        bytes += job.planned.bytes();
    }
    out.extend(jobs.get(start..));
    out
}

/// The files that describe the model, by their names.
fn descriptions(config: &RetrievalConfig) -> Result<Vec<(&'static str, serde_json::Value)>> {
    let MethodConfig::PseudoWord(method) = &config.method else {
        return Ok(vec![("config.json", description(config)?)]);
    };
    let pixels = dual::preprocessing(&config.preprocess).map(|value| ("preprocessor_config.json", value));
    Ok([("config.json", dual::description(config, method)?)].into_iter().chain(pixels).collect())
}

/// `config.json`. Hugging Face has one epsilon for all norms of the image tower, also for LAVIS's `ln_vision`, whose own is 1e-5.
fn description(config: &RetrievalConfig) -> Result<serde_json::Value> {
    let ImageEncoderConfig::Vit(vit) = &config.image_encoder else {
        return Err(TrainerError::settings(
            &config.name,
            "its image encoder is not one of BLIP-2's",
            "use blip2-vit-g",
        ));
    };
    let q = &config.two_pass()?.qformer;
    Ok(serde_json::json!({
        "architectures": ["Blip2ForImageTextRetrieval"],
        "model_type": "blip-2",
        "image_text_hidden_size": config.projection,
        "num_query_tokens": q.query_tokens,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
        "text_config": {"model_type": "opt"},
        "use_decoder_only_language_model": true,
        "vision_config": {
            "model_type": "blip_2_vision_model",
            "hidden_size": vit.width,
            "intermediate_size": vit.intermediate,
            "num_hidden_layers": vit.layers,
            "num_attention_heads": vit.heads,
            "image_size": config.preprocess.size,
            "patch_size": vit.patch,
            "hidden_act": "gelu",
            "layer_norm_eps": vit.layer_norm_eps(),
            "qkv_bias": true
        },
        "qformer_config": {
            "model_type": "blip_2_qformer",
            "hidden_size": q.width,
            "intermediate_size": q.intermediate,
            "num_hidden_layers": q.layers,
            "num_attention_heads": q.heads,
            "encoder_hidden_size": vit.width,
            "cross_attention_frequency": q.cross_attention_every,
            "vocab_size": config.text.vocabulary(),
            "max_position_embeddings": q.positions,
            "layer_norm_eps": 1e-12,
            "use_qformer_text_input": true,
            "qformer_text_input": true
        }
    }))
}
