//! Bytes that one device holds at the height of a step.
//!
//! Activations are counted operator by operator, as the backward pass needs them. The CPU's fused kernels keep their inputs
//! only; the portable form that other devices run also keeps the attention weights, the normalised rows and the masks.

use super::{Load, Parameters, Passes, pieces};
use crate::train::settings::{Precision, Settings};
use std::fmt;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::MethodConfig;

/// Bytes of a number in 32 bits.
const F32: usize = 4;
/// Arrays of the attention weights' size that burn's softmax keeps under autodiff.
const SOFTMAX: usize = 4;
/// Arrays of the rows' size that a portable norm keeps, and a portable dropout.
const NORM: usize = 3;
const DROPOUT: usize = 2;

/// Bytes by what they are for, on each device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Parameters, and their copies in the precision of the passes.
    pub weights: usize,
    /// Gradients of the trained parameters; a second set where pieces are added up.
    pub gradients: usize,
    /// AdamW's two moments.
    pub moments: usize,
    /// Image tokens of a piece.
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

/// Estimates a step of `load` for a model of `parameters`; `fused` on the CPU. `bank` is the number of images in the bank.
pub fn memory(
    settings: &Settings,
    config: &RetrievalConfig,
    parameters: Parameters,
    load: Load,
    fused: bool,
    bank: usize,
) -> Memory {
    let MethodConfig::TwoPass(own) = &config.method;
    let (q, all) = (&own.qformer, settings.batch);
    let half = settings.precision == Precision::Bf16;
    let cast = if half { (parameters.trained + parameters.frozen) * 2 } else { 0 };
    let sets = if pieces(&load) > 1 { 2 } else { 1 };
    let images = image_count(settings, load.rows);
    let representations = all * config.projection * (2 + q.query_tokens);
    // Scores are kept token by token, then their maximum and a few matrices of the softmax.
    let targets = if settings.bank { bank } else { all };
    let similarities = all * targets * (2 * q.query_tokens + 6);
    let bank = if settings.bank { bank * q.query_tokens * config.projection } else { 0 };
    let bytes = if half { 2 } else { F32 };
    let mut activations = activations(settings, config, load, fused) * bytes;
    if !fused {
        activations += softmax(settings, config, load) * F32;
    }
    Memory {
        weights: (parameters.trained + parameters.frozen) * F32 + cast,
        gradients: sets * parameters.trained * F32,
        moments: 2 * parameters.trained * F32,
        tokens: images * config.image_tokens() * config.image_width() * F32,
        activations,
        contrast: (3 * representations + similarities + bank) * F32,
    }
}

/// Images behind `rows` triplets.
fn image_count(settings: &Settings, rows: usize) -> usize {
    let passes = Passes::of(settings);
    rows * (usize::from(passes.composed) + usize::from(passes.targets))
}

/// Values that the graph of a piece keeps.
fn activations(settings: &Settings, config: &RetrievalConfig, load: Load, fused: bool) -> usize {
    let MethodConfig::TwoPass(own) = &config.method;
    let (q, passes) = (&own.qformer, Passes::of(settings));
    let (tokens, d, f) = (config.image_tokens(), q.width, q.intermediate);
    let crosses = q.layers.div_ceil(q.cross_attention_every.max(1));
    let images = image_count(settings, load.rows);
    let prompts = load.rows * q.query_tokens;
    // Beside what the fused kernels keep: a norm's normalised rows and a dropout's mask.
    let (norm, dropout) =
        if fused { (0, usize::from(q.dropout > 0.0)) } else { (NORM, DROPOUT * usize::from(q.dropout > 0.0)) };
    // Queries, keys, values, attended, the norm's input and output.
    let attention = (6 + norm + dropout) * d;
    let feed_forward = 2 * f + (2 + norm + dropout) * d;
    let embedding = (3 + norm + dropout) * d;
    let cross = (4 + norm + dropout) * d;
    let layers = q.layers;
    let fuse =
        (prompts + load.words) * (embedding + layers * (attention + feed_forward + 2 * d)) + prompts * crosses * cross;
    let text = (prompts + load.words) * (embedding + layers * (attention + feed_forward));
    let look = prompts * (embedding + layers * (attention + feed_forward + d) + crosses * cross);
    let source = q.image_width.unwrap_or(config.image_width());
    // Tokens after `ln_vision`, and where there is a map, after it; keys and values, once whole and once cut in halves, and the
    // reference's again by parts of the batch.
    let mapped = if q.image_width.is_some() { source } else { 0 };
    let keys = images * tokens * ((1 + norm) * config.image_width() + mapped + crosses * 4 * d)
        + usize::from(passes.composed) * load.rows * tokens * crosses * 2 * d;
    keys + usize::from(passes.targets) * look
        + usize::from(passes.composed) * (fuse + text)
        + usize::from(passes.text_only) * text
}

/// Attention weights that a portable softmax keeps.
fn softmax(settings: &Settings, config: &RetrievalConfig, load: Load) -> usize {
    let MethodConfig::TwoPass(own) = &config.method;
    let (q, passes) = (&own.qformer, Passes::of(settings));
    let crosses = q.layers.div_ceil(q.cross_attention_every.max(1));
    let length = q.query_tokens + load.words / load.rows.max(1);
    let own = |positions: usize| load.rows * q.heads * positions * positions * q.layers;
    let cross = load.rows * q.heads * q.query_tokens * config.image_tokens() * crosses;
    let sum = usize::from(passes.targets) * (own(q.query_tokens) + cross)
        + usize::from(passes.composed) * (2 * own(length) + cross)
        + usize::from(passes.text_only) * own(length);
    SOFTMAX * sum
}
