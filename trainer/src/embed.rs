//! Embeds whole tables: gallery targets, composed queries, single-modality baselines.

use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use thisbut_model::CirConfig;
use thisbut_model::cir::Cir;
use thisbut_model::config::SecondPassMask;
use thisbut_model::nn::{Noise, TextBatch};
use thisbut_model::text::WordPiece;

/// Images embedded together.
const BATCH: usize = 128;

/// The tokenised modifiers of a table.
pub struct Tokenized {
    forward: Vec<(Vec<u32>, Vec<bool>)>,
    reverse: Vec<Option<(Vec<u32>, Vec<bool>)>>,
}

impl Tokenized {
    /// Tokenises every modifier and reverse modifier to at most `length` tokens.
    pub fn new(words: &WordPiece, table: &Table, length: usize) -> Self {
        let encode = |text: &str| {
            let encoded = words.encode(&thisbut_model::text::clean_caption(text), length);
            (encoded.ids, encoded.mask)
        };
        Self {
            forward: table.triplets.iter().map(|t| encode(&t.text)).collect(),
            reverse: table.triplets.iter().map(|t| t.reverse.as_deref().map(encode)).collect(),
        }
    }

    /// Tokens of a triplet's modifier.
    pub fn length(&self, triplet: u32) -> usize {
        self.forward[triplet as usize].1.iter().filter(|m| **m).count()
    }

    /// The modifiers of some triplets.
    pub fn batch(&self, triplets: &[u32], config: &CirConfig, device: &Device) -> TextBatch {
        let rows: Vec<_> = triplets.iter().map(|t| self.forward[*t as usize].clone()).collect();
        text_batch(&rows, config, device)
    }

    /// The reverse modifiers of some triplets.
    ///
    /// # Errors
    /// When a triplet has none.
    pub fn reverse_batch(&self, triplets: &[u32], config: &CirConfig, device: &Device) -> Result<TextBatch> {
        let rows: Option<Vec<_>> = triplets.iter().map(|t| self.reverse[*t as usize].clone()).collect();
        let rows = rows.ok_or_else(|| {
            TrainerError::data(
                "the training triplets",
                "some have no reverse modifier, which p2p needs",
                "add cap.rc2.train_rev.jsonl, or use --p2p 0 or --losses sprc",
            )
        })?;
        Ok(text_batch(&rows, config, device))
    }
}

/// A batch of texts in the form that the configuration's second pass needs.
pub fn text_batch(rows: &[(Vec<u32>, Vec<bool>)], config: &CirConfig, device: &Device) -> TextBatch {
    match config.second_pass_mask {
        SecondPassMask::Padding => TextBatch::new(rows, device),
        SecondPassMask::AllOnes => TextBatch::padded(rows, config.text_length, device),
    }
}

/// The same weights outside the gradient's graph.
pub fn without_gradient(model: &Cir) -> Cir {
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
pub fn gallery(
    model: &Cir,
    features: &dyn ImageTokens,
    images: &[u32],
    rows: &[usize],
    device: &Device,
) -> Result<Tensor<3>> {
    let embed = |chunk: &[u32]| {
        let chunk: Vec<usize> = chunk.iter().map(|i| rows[*i as usize]).collect();
        let keys = model.image_keys(features.tokens(&chunk, device)?);
        Ok(model.target(&keys, chunk.len(), &Noise::off()))
    };
    let parts: Result<Vec<Tensor<3>>> = images.chunks(BATCH).map(embed).collect();
    Ok(Tensor::cat(parts?, 0))
}

/// Composed queries `[triplets, P]`.
///
/// # Errors
/// When an image cannot be read.
#[allow(clippy::too_many_arguments)] // the whole context of a query, each used once
pub fn queries(
    model: &Cir,
    config: &CirConfig,
    features: &dyn ImageTokens,
    table: &Table,
    rows: &[usize],
    texts: &Tokenized,
    triplets: &[u32],
    device: &Device,
) -> Result<Tensor<2>> {
    let references: Vec<usize> =
        triplets.iter().map(|t| rows[table.triplets[*t as usize].reference as usize]).collect();
    let keys = model.image_keys(features.tokens(&references, device)?);
    let text = texts.batch(triplets, config, device);
    let noise = Noise::off();
    Ok(model.compose(model.fuse(&keys, &text, &noise), &text, &noise))
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
