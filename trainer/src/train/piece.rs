//! A run's data, and a piece of a batch of it: what an objective encodes.

use super::settings::Settings;
use crate::data::table::{ImageEntry, Table, Triplet};
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use crate::teacher::vectors::Vectors;
use burn::tensor::{Device, Tensor};
use std::ops::Range;
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::{Retrieval, RetrievalConfig};

/// Triplets of a batch that go through the text passes together.
pub(super) const PART: usize = 64;

/// What every step of a run reads.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The run's settings.
    pub settings: &'a Settings,
    /// The architecture.
    pub config: &'a RetrievalConfig,
    /// Training triplets.
    pub train: &'a Table,
    /// Their images' tokens.
    pub features: &'a dyn ImageTokens,
    /// The row in `features` of each of the table's images.
    pub rows: &'a [usize],
    /// The triplets' texts.
    pub texts: &'a Tokenized,
    /// Images without labels, of which a step reads some beside its triplets; none where the objective reads none.
    pub unlabelled: Option<Unlabelled<'a>>,
    /// What a teacher says of the rows' target images; none where the objective has no teacher.
    pub teacher: Option<&'a Vectors>,
}

/// Images without labels.
#[derive(Clone, Copy)]
pub struct Unlabelled<'a> {
    /// Their names and files.
    pub images: &'a [ImageEntry],
    /// Their tokens.
    pub features: &'a dyn ImageTokens,
    /// The row in `features` of each.
    pub rows: &'a [usize],
}

/// Which of a step's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The table's rows.
    Triplets,
    /// Images without labels.
    Images,
}

impl Context<'_> {
    /// The triplet behind an entry of a batch.
    pub fn triplet(&self, entry: u32) -> &Triplet {
        &self.train.triplets[entry as usize]
    }

    /// `method`, which lives on `device`, as a model that answers from image tokens.
    pub fn retrieval(&self, method: impl Into<AnyMethod>, device: &Device) -> Retrieval {
        Retrieval::new(self.config.clone(), None, method, self.texts.reader().clone(), device)
    }
}

/// Rows of a batch that are encoded together.
pub struct Piece<'a> {
    /// The run's data; its `features` give tokens in the graph where the image encoder trains.
    pub context: &'a Context<'a>,
    /// The stream that the batch is of.
    pub stream: Stream,
    /// The whole batch, as indices of the table's triplets or of the unlabelled images.
    pub batch: &'a [u32],
    /// Which rows of it these are.
    pub rows: Range<usize>,
    /// Where the model lives, under autodiff or not.
    pub device: &'a Device,
    /// Whether losses of these rows alone are asked for; where they are, `device` is under autodiff.
    pub own_losses: bool,
}

impl<'a> Piece<'a> {
    /// Its entries of the batch.
    pub fn entries(&self) -> &'a [u32] {
        &self.batch[self.rows.clone()]
    }

    /// The reference image of each row, an index into the table's images.
    pub fn references(&self) -> impl Iterator<Item = u32> {
        self.entries().iter().map(|t| self.context.triplet(*t).reference)
    }

    /// The first right target of each row, an index into the table's images.
    pub fn targets(&self) -> impl Iterator<Item = u32> {
        self.entries().iter().map(|t| self.context.triplet(*t).targets[0])
    }

    /// The image of each row, where a row is an image: an index into the stream's images.
    pub fn images(&self) -> Vec<u32> {
        match self.stream {
            Stream::Triplets => self.references().collect(),
            Stream::Images => self.entries().to_vec(),
        }
    }

    /// The tokens of some of the stream's images, `[images, T, C]`.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn tokens(&self, images: impl Iterator<Item = u32>) -> Result<Tensor<3>> {
        let (features, places) = match (self.stream, &self.context.unlabelled) {
            (Stream::Images, Some(more)) => (more.features, more.rows),
            _ => (self.context.features, self.context.rows),
        };
        let rows: Vec<usize> = images.map(|image| places[image as usize]).collect();
        features.tokens(&rows, self.device)
    }

    /// The piece cut into parts for the passes over texts: a part is padded to its own longest text.
    pub fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let entries = self.entries();
        let part = |(at, part): (usize, &'a [u32])| Part { rows: at * PART..at * PART + part.len(), entries: part };
        entries.chunks(PART).enumerate().map(part)
    }

    /// The texts of a part.
    pub fn text(&self, part: &Part) -> TextBatch {
        self.context.texts.batch(part.entries, self.device)
    }

    /// The texts of a part as they come with images: with the method's prompt around them.
    pub fn composed_text(&self, part: &Part) -> TextBatch {
        self.context.texts.composed_batch(part.entries, self.device)
    }

    /// The reverse texts of a part, outside the gradient's graph.
    ///
    /// # Errors
    /// When a triplet has none.
    pub fn reverse(&self, part: &Part) -> Result<TextBatch> {
        self.context.texts.reverse_batch(part.entries, &self.device.clone().inner())
    }

    /// The captions of a part's targets.
    ///
    /// # Errors
    /// When a target has none.
    pub fn captions(&self, part: &Part) -> Result<TextBatch> {
        self.context.texts.caption_batch(part.entries, self.device)
    }

    /// The share of `part` in a mean over the whole batch.
    pub fn share(&self, part: &Part) -> f64 {
        part.entries.len() as f64 / self.batch.len() as f64
    }
}

/// Rows of a piece whose texts are encoded together.
pub struct Part<'a> {
    /// Which rows of the piece.
    pub rows: Range<usize>,
    /// Their entries of the batch.
    pub entries: &'a [u32],
}

/// What the losses over a whole batch know beside its representations.
pub struct BatchFacts<'a> {
    /// The right targets of each row; the first is the one that was encoded.
    pub right: &'a [Vec<u32>],
    /// The reference image of each row.
    pub references: &'a [u32],
    /// Where the representations live, under autodiff.
    pub device: &'a Device,
}

/// Dropout of one step. Each call pattern draws masks of its own, and each row its own part of them, so that they depend
/// neither on how the batch is cut into pieces nor on which device has which rows.
pub struct PassNoise {
    p: f64,
    of_weights: f64,
    seed: u64,
    by_row: bool,
}

impl PassNoise {
    /// Dropout of `step` for a model of `config`.
    pub fn new(config: &RetrievalConfig, settings: &Settings, step: usize) -> Self {
        Self {
            p: config.method.family().dropout(),
            of_weights: config.method.family().attention_dropout(),
            seed: settings.seed.wrapping_add((step as u64) << 20),
            by_row: settings.sub_batch > 0 || settings.devices > 1,
        }
    }

    /// The masks of call pattern `stream` for rows of the batch from `first` on.
    pub fn of(&self, stream: u64, first: usize) -> Noise {
        let seed = self.seed.wrapping_add(stream.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let noise = Noise::new(self.p, seed).on_weights(self.of_weights).starting_at(first);
        if self.by_row { noise.by_row() } else { noise }
    }
}
