//! What a run will take, before it takes it: parameters, memory and arithmetic, from the configuration alone.

pub mod flops;
pub mod memory;
mod probe;

pub use probe::{Measured, measure};

use super::batches;
use super::settings::{Recipe, Settings};
use crate::data::table::Table;
use crate::embed::Tokenized;
use crate::error::Result;
use burn::tensor::Device;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::weights;

/// Epochs' first batches that are looked at for the longest texts.
const LOOKED_AT: u64 = 8;

/// Numbers of parameters, without the image encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// Those that the optimiser moves.
    pub trained: usize,
    /// Those that stay.
    pub frozen: usize,
}

/// Counts them; nothing is allocated.
///
/// # Errors
/// When the method refuses the configuration.
pub fn parameters(settings: &Settings, config: &RetrievalConfig) -> Result<Parameters> {
    let mut counts = Parameters { trained: 0, frozen: 0 };
    for (name, dims) in weights::shapes(&TwoPass::new(config, &Device::flex())?, "") {
        let place = if settings.freezes(&name) { &mut counts.frozen } else { &mut counts.trained };
        *place += dims.iter().product::<usize>();
    }
    Ok(counts)
}

/// What one device computes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Triplets whose graph is held together: a piece, or a device's share of the batch.
    pub rows: usize,
    /// Text positions of these, padded.
    pub words: usize,
    /// Triplets of a device's share.
    pub share: usize,
}

impl Load {
    /// With every text as long as texts may be.
    pub fn longest(settings: &Settings, config: &RetrievalConfig) -> Self {
        let share = settings.batch.div_ceil(settings.devices.max(1));
        let rows = if settings.sub_batch > 0 { settings.sub_batch.min(share) } else { share };
        Self { rows, words: rows * config.text.length(), share }
    }

    /// The largest of a run's first batches.
    pub fn of(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> Self {
        let Self { rows, words: longest, share } = Self::longest(settings, config);
        let all_ones = config.method.reads_padding();
        let mut words = 0;
        for epoch in 0..LOOKED_AT {
            let order = batches::epoch_order(table, settings.seed, epoch, settings.group);
            let mut lengths: Vec<usize> = order.iter().take(settings.batch).map(|t| texts.length(*t)).collect();
            lengths.sort_unstable();
            // The piece with the longest texts is the last; each part of it is padded to its longest.
            let piece = lengths.get(lengths.len().saturating_sub(rows)..).unwrap_or_default();
            let parts = piece.chunks(super::forward::PART);
            let padded = |part: &[usize]| part.len() * part.last().copied().unwrap_or(1);
            let sum: usize = parts.map(padded).sum();
            words = words.max(if all_ones { longest } else { sum });
        }
        Self { rows, words, share }
    }
}

/// Which passes a step makes.
struct Passes {
    composed: bool,
    text_only: bool,
    reverse: bool,
    targets: bool,
}

impl Passes {
    fn of(settings: &Settings) -> Self {
        let composed = settings.recipe != Recipe::Captions;
        Self {
            composed,
            text_only: !composed || settings.t2t > 0.0,
            reverse: settings.recipe == Recipe::Ptha && settings.p2p > 0.0,
            targets: !settings.bank,
        }
    }
}

/// Pieces that a device's share is encoded in; with more than one, each is encoded twice.
fn pieces(load: &Load) -> usize {
    load.share.div_ceil(load.rows.max(1))
}
