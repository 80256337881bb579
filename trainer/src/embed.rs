//! Embeds whole tables: gallery targets, composed queries, single-modality baselines.

use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use thisbut_model::Retrieval;
use thisbut_model::nn::TextBatch;
use thisbut_model::text::{TextReader, Tokens};

/// Images embedded together.
const BATCH: usize = 128;

/// The tokenised modifiers of a table, ready to become batches.
pub struct Tokenized {
    reader: TextReader,
    forward: Vec<Tokens>,
    reverse: Vec<Option<Tokens>>,
    captions: Vec<Option<Tokens>>,
}

impl Tokenized {
    /// Tokenises every modifier, reverse modifier and caption.
    pub fn new(reader: &TextReader, table: &Table) -> Self {
        let some = |text: Option<&str>| text.map(|text| reader.tokens(text));
        Self {
            reader: reader.clone(),
            forward: table.triplets.iter().map(|t| reader.tokens(&t.text)).collect(),
            reverse: table.triplets.iter().map(|t| some(t.reverse.as_deref())).collect(),
            captions: table.triplets.iter().map(|t| some(t.caption.as_deref())).collect(),
        }
    }

    /// What made them.
    pub fn reader(&self) -> &TextReader {
        &self.reader
    }

    /// The tokens of a triplet's modifier.
    pub fn tokens(&self, triplet: u32) -> &Tokens {
        &self.forward[triplet as usize]
    }

    /// How many they are, without padding.
    pub fn length(&self, triplet: u32) -> usize {
        self.tokens(triplet).count()
    }

    /// The modifiers of some triplets.
    pub fn batch(&self, triplets: &[u32], device: &Device) -> TextBatch {
        self.reader.batch(triplets.iter().map(|t| self.tokens(*t)), device)
    }

    /// The modifiers of some triplets as they come with images: with the method's prompt around them.
    pub fn composed_batch(&self, triplets: &[u32], device: &Device) -> TextBatch {
        self.reader.composed_batch(triplets.iter().map(|t| self.tokens(*t)), device)
    }

    /// The reverse modifiers of some triplets.
    ///
    /// # Errors
    /// When a triplet has none.
    pub fn reverse_batch(&self, triplets: &[u32], device: &Device) -> Result<TextBatch> {
        let rows: Option<Vec<&Tokens>> = triplets.iter().map(|t| self.reverse[*t as usize].as_ref()).collect();
        let rows = rows.ok_or_else(|| {
            TrainerError::data(
                "the training triplets",
                "some have no reverse modifier, which p2p needs",
                "add cap.rc2.train_rev.jsonl, or use --p2p 0 or --losses sprc",
            )
        })?;
        Ok(self.reader.batch(rows, device))
    }

    /// The captions of some triplets' targets.
    ///
    /// # Errors
    /// When a target has none.
    pub fn caption_batch(&self, triplets: &[u32], device: &Device) -> Result<TextBatch> {
        let rows: Option<Vec<&Tokens>> = triplets.iter().map(|t| self.captions[*t as usize].as_ref()).collect();
        let rows = rows.ok_or_else(|| {
            TrainerError::data(
                "the training triplets",
                "some have targets without a caption, which L_CTR needs",
                "give captions with --captions, or use --ctr 0",
            )
        })?;
        Ok(self.reader.batch(rows, device))
    }
}

/// The same weights outside the gradient's graph.
pub fn without_gradient<M: Module>(model: &M) -> M {
    model.valid()
}

/// The feature rows of a table's images.
///
/// # Errors
/// When the cache lacks an image that a triplet or the gallery uses.
pub fn rows(table: &Table, features: &dyn ImageTokens) -> Result<Vec<usize>> {
    table.images.iter().map(|image| features.row(&image.name)).collect()
}

/// Target embeddings `[M, N, P]` of `images` (indices into the table).
///
/// # Errors
/// When an image cannot be read.
pub fn gallery(retrieval: &Retrieval, features: &dyn ImageTokens, images: &[u32], rows: &[usize]) -> Result<Tensor<3>> {
    let embed = |chunk: &[u32]| {
        let chunk: Vec<usize> = chunk.iter().map(|i| rows[*i as usize]).collect();
        let images = retrieval.encoded(features.tokens(&chunk, retrieval.device())?);
        Ok(retrieval.target(&images)?)
    };
    let parts: Result<Vec<Tensor<3>>> = images.chunks(BATCH).map(embed).collect();
    Ok(Tensor::cat(parts?, 0))
}

/// Refuses rows of `width` values where one is not finite: a model that has diverged ranks nothing. `model` names it, and
/// `row` what the row of a number is.
///
/// # Errors
/// [`TrainerError::Checkpoint`] with model and row.
pub fn check_finite(values: &[f32], width: usize, model: &str, row: impl Fn(usize) -> String) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(at) => Err(TrainerError::checkpoint(
            model,
            format!("{} holds {}, so training has diverged", row(at / width.max(1)), values[at]),
            "use an earlier checkpoint, or train again with a lower --learning-rate",
        )),
    }
}

/// A matrix's values, row by row.
///
/// # Errors
/// When the device does not give them back.
pub fn read<const R: usize>(x: Tensor<R>) -> Result<Vec<f32>> {
    x.into_data().convert::<f32>().try_to_vec().map_err(|e| {
        TrainerError::checkpoint("the device", format!("values cannot be read back ({e:?})"), "try another --device")
    })
}
