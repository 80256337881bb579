//! Bytes that one device holds at the height of a step.
//!
//! Activations are counted operator by operator, as the backward pass needs them, by the objective ([`Cost`](super::Cost)).
//! The CPU's fused kernels keep their inputs only; the portable form that other devices run also keeps the attention weights,
//! the normalised rows and the masks.

use super::{Load, Parameters, pieces};
use crate::error::Result;
use crate::train::settings::Settings;
use std::fmt;
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;

/// Bytes of a number in 32 bits.
const F32: usize = 4;

/// Bytes by what they are for, on each device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, and their copies in the precision of the passes.
    pub weights: usize,
    /// Gradients of the trained parameters; a second set where pieces are added up.
    pub gradients: usize,
    /// AdamW's two moments.
    pub moments: usize,
    /// Image tokens of a piece, and what is kept of every image for the whole run.
    pub tokens: usize,
    /// What the graph of a piece keeps.
    pub activations: usize,
    /// The whole batch's representations, their gradients and their similarities, and the bank.
    pub contrast: usize,
}

impl Memory {
    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.gradients + self.moments + self.tokens + self.activations + self.contrast
    }
}

/// 1.5 GB and the like.
pub fn readable(bytes: usize) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(unit, _)| bytes as f64 >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit),
        None => format!("{bytes} B"),
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, bytes) in [
            ("weights", self.weights),
            ("gradients", self.gradients),
            ("AdamW's moments", self.moments),
            ("image tokens", self.tokens),
            ("activations", self.activations),
            ("batch representations", self.contrast),
            ("in all", self.total()),
        ] {
            writeln!(f, "  {what:<22} {:>10}", readable(bytes))?;
        }
        Ok(())
    }
}

/// Estimates a step of `load` for a model of `parameters`; `fused` on the CPU. `images` is the number of images of the data, which
/// a bank holds.
///
/// # Errors
/// When the configuration is another family's.
pub fn memory(
    settings: &Settings,
    config: &RetrievalConfig,
    parameters: Parameters,
    load: Load,
    fused: bool,
    images: usize,
) -> Result<Memory> {
    let (all, cost) = (settings.batch, super::cost(settings, config, load, fused)?);
    let half = settings.precision == NumberFormat::Bf16;
    let cast = if half { (parameters.trained + parameters.frozen) * 2 } else { 0 };
    let sets = if pieces(&load) > 1 { 2 } else { 1 };
    let targets = if cost.banked.is_some() { images } else { all };
    let banked = cost.banked.map_or(0, |each| images * each);
    // The other stream's rows are compared among themselves.
    let other = settings.objective.family().image_batch();
    let compared = all * targets + other * other;
    let bytes = if half { 2 } else { F32 };
    let encoding = super::encoding(settings, config, fused);
    let activations = cost.activations + cost.images * encoding.activations;
    let softmax = cost.softmax + cost.images * encoding.softmax;
    Ok(Memory {
        weights: (parameters.trained + parameters.frozen) * F32 + cast,
        gradients: sets * parameters.trained * F32,
        moments: 2 * parameters.trained * F32,
        tokens: (cost.images * config.image_tokens() * config.image_width() + images * cost.pooled) * F32,
        activations: activations * bytes + softmax * F32,
        contrast: (3 * (all + other) * cost.representation + compared * cost.similarity + banked) * F32,
    })
}
