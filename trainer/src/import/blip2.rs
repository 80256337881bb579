//! `thisbut import`: published BLIP-2, SPRC and MTST_PTHA checkpoints.

use super::pickle::shown;
use super::plan::Plan;
use super::source::Source;
use crate::error::{Result, TrainerError};
use thisbut_model::config::{ImageEncoderConfig, RetrievalConfig, VitFamily};
use thisbut_model::upstream;

/// Parameters that BLIP-2 does not have: SPRC's prompts, a temperature that Hugging Face's classes leave out, and FashionBLIP-2's
/// matching. A load without them is whole.
const FRESH: [&str; 5] = ["prompt_tokens", "temperature", "tau", "token_mixing.weight", "channel_mixing.weight"];

/// Matches the tensors of `source` with the parameters of `config`, without reading one.
///
/// # Errors
/// When the preset has no BLIP-2 image encoder, a shape does not fit, two tensors claim one parameter, or parameters
/// overlap in the file.
pub fn plan(source: &Source, config: &RetrievalConfig) -> Result<Plan> {
    let ImageEncoderConfig::Vit(vit) = &config.image_encoder else {
        return Err(TrainerError::settings(
            format!("--preset {}", config.name),
            "its image encoder is not one of BLIP-2's",
            "use blip2-vit-g or blip2-vit-l",
        ));
    };
    let pieces = |key: &str| upstream::pieces(key, vit.family);
    let plan = Plan::new(source, config, &pieces, &|name| FRESH.contains(&name))?;
    other_family(source, &plan, vit.family)?;
    Ok(plan)
}

/// A checkpoint with the other family's image encoder gets a message that says so, instead of a list of missing blocks.
fn other_family(source: &Source, plan: &Plan, family: VitFamily) -> Result<()> {
    let (other, preset) = match family {
        VitFamily::Eva => (VitFamily::Clip, "blip2-vit-l"),
        VitFamily::Clip => (VitFamily::Eva, "blip2-vit-g"),
        VitFamily::Blip => return Ok(()),
    };
    let has_own = plan.made.keys().any(|name| name.starts_with("vit.blocks."));
    let of_other =
        |key: &&String| upstream::pieces(key, other).iter().any(|piece| piece.name.starts_with("vit.blocks."));
    match plan.left.iter().find(of_other).filter(|_| !has_own).and_then(|key| Some((key, source.entries().get(key)?))) {
        None => Ok(()),
        Some((key, entry)) => Err(TrainerError::checkpoint(
            source.path(entry).display().to_string(),
            format!("{} belongs to the other kind of image encoder", shown(key)),
            format!("choose --preset {preset}"),
        )),
    }
}
