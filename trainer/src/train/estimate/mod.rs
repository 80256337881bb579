//! What a run will take, before it takes it: parameters, memory and arithmetic, from the configuration alone.

mod encoder;
pub mod flops;
pub mod memory;
mod probe;

pub use probe::{Measured, measure};

use super::batches;
use super::groups::{self, Group};
use super::learner::Learner;
use super::objective::{Objective, Use};
use super::settings::Settings;
use crate::data::table::Table;
use crate::embed::Tokenized;
use crate::error::Result;
use burn::tensor::Device;
use encoder::Encoding;
use thisbut_model::RetrievalConfig;

/// Epochs' first batches that are looked at for the longest texts.
const LOOKED_AT: u64 = 8;

/// Arrays of the attention weights' size that burn's softmax keeps under autodiff.
pub(super) const SOFTMAX: usize = 4;
/// Arrays of the rows' size that a portable norm keeps.
pub(super) const NORM: usize = 3;
/// Arrays of the rows' size that a portable dropout keeps.
pub(super) const DROPOUT: usize = 2;

/// What an objective says that a step over some triplets costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// Floating-point operations of a forward pass, as far as the backward pass follows it.
    pub graph: f64,
    /// Those of what it does not follow.
    pub plain: f64,
    /// Those of comparing a row of the batch with a target.
    pub comparison: f64,
    /// Images whose tokens are held.
    pub images: usize,
    /// Values that the graph keeps, in the precision of the passes.
    pub activations: usize,
    /// Values of attention weights that it keeps, in f32.
    pub softmax: usize,
    /// Values of a row's representations.
    pub representation: usize,
    /// Values that comparing a row with a target keeps.
    pub similarity: usize,
    /// Values of a target in the bank, where there is one.
    pub banked: Option<usize>,
    /// Values that are kept of each image of the data for the whole run.
    pub pooled: usize,
}

/// The objective's own word for it.
fn cost(settings: &Settings, config: &RetrievalConfig, load: Load, fused: bool) -> Result<Cost> {
    struct Ask(Load, bool);
    impl Use for Ask {
        type Out = Cost;
        fn with<O: Objective>(self, objective: O) -> Result<Cost> {
            Ok(objective.cost(self.0, self.1))
        }
    }
    settings.objective.apply(config, Ask(load, fused))
}

/// What the image encoder adds for an image, where a part of it trains.
fn encoding(settings: &Settings, config: &RetrievalConfig, fused: bool) -> Encoding {
    if settings.trains_image_encoder() { Encoding::of(config, fused) } else { Encoding::default() }
}

/// Numbers of parameters, without an image encoder that stays as it is.
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
    struct Count<'a>(&'a [Group], &'a RetrievalConfig);
    impl Use for Count<'_> {
        type Out = Parameters;
        fn with<O: Objective>(self, objective: O) -> Result<Parameters> {
            let device = Device::flex();
            let learner = Learner::new(objective.model(&device)?, self.1, self.0, &device);
            let mut counts = Parameters { trained: 0, frozen: 0 };
            for (name, dims) in learner.shapes() {
                let place = if groups::is_frozen(self.0, &name) { &mut counts.frozen } else { &mut counts.trained };
                *place += dims.iter().product::<usize>();
            }
            Ok(counts)
        }
    }
    settings.objective.apply(config, Count(&settings.groups_in_force(), config))
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
    /// Unlabelled images of a device's share, beside these.
    pub images: usize,
    /// Unlabelled images whose graph is held together.
    pub images_held: usize,
}

impl Load {
    /// With every text as long as texts may be.
    pub fn longest(settings: &Settings, config: &RetrievalConfig) -> Self {
        let of_device = |batch: usize| batch.div_ceil(settings.devices.max(1));
        let (share, images) = (of_device(settings.batch), of_device(settings.objective.family().image_batch()));
        let together = |share: usize| if settings.sub_batch > 0 { settings.sub_batch.min(share) } else { share };
        let (rows, images_held) = (together(share), together(images));
        Self { rows, words: rows * config.text.length(), share, images, images_held }
    }

    /// The largest of a run's first batches.
    pub fn of(settings: &Settings, config: &RetrievalConfig, table: &Table, texts: &Tokenized) -> Self {
        let whole = Self::longest(settings, config);
        let Self { rows, words: longest, .. } = whole;
        let padded_texts = config.method.family().reads_padding();
        let mut words = 0;
        for epoch in 0..LOOKED_AT {
            let order = batches::epoch_order(table, settings, epoch);
            let mut lengths: Vec<usize> = order.iter().take(settings.batch).map(|t| texts.length(*t)).collect();
            lengths.sort_unstable();
            // The piece with the longest texts is the last; each part of it is padded to its longest.
            let piece = &lengths[lengths.len().saturating_sub(rows)..];
            let parts = piece.chunks(super::piece::PART);
            let padded = |part: &[usize]| part.len() * part.last().copied().unwrap_or(1);
            let sum: usize = parts.map(padded).sum();
            words = words.max(if padded_texts { longest } else { sum });
        }
        Self { words, ..whole }
    }
}

/// Pieces that a device's share is encoded in; with more than one, each is encoded twice.
fn pieces(load: &Load) -> usize {
    load.share.div_ceil(load.rows.max(1))
}
