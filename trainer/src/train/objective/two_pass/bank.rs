//! Target embeddings of every image that is a target of a training triplet, or its reference too, computed once.

use crate::data::table::Triplet;
use crate::embed;
use crate::error::{Result, TrainerError};
use crate::train::losses;
use crate::train::piece::{Context, Part, Piece};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashMap;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::TextBatch;

/// Rows that SPN4CIR's code fuses together; of an image's rows in one of them, those with it as their target are written last.
const TOGETHER: usize = 32;

/// The embeddings.
pub struct Bank {
    /// The images, as indices into the table.
    images: Vec<Option<u32>>,
    /// `[images, N, P]`, outside the gradient's graph.
    targets: Tensor<3>,
    /// The last row that has each image, as an index of the table's triplets.
    last_rows: HashMap<u32, u32>,
}

impl Bank {
    /// Embeds them with `model` on `device`, which is outside autodiff; with `references`, the references too.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn new(context: &Context, model: &TwoPass, device: &Device, references: bool) -> Result<Self> {
        let of = |t: &Triplet| t.targets.first().copied().into_iter().chain(references.then_some(t.reference));
        let mut images: Vec<u32> = context.train.triplets.iter().flat_map(of).collect();
        images.sort_unstable();
        images.dedup();
        let retrieval = context.retrieval(embed::without_gradient(model), device);
        let targets = embed::gallery(&retrieval, context.features, &images, context.rows)?;
        let last_rows = last_rows(&context.train.triplets);
        Ok(Self { images: images.into_iter().map(Some).collect(), targets, last_rows })
    }

    /// The texts that the references of a part were last fused with.
    ///
    /// # Errors
    /// When a reference is not among the images.
    pub fn texts(&self, piece: &Piece, part: &Part) -> Result<TextBatch> {
        let row = |entry: &u32| self.last_rows.get(&piece.context.triplet(*entry).reference).copied();
        let rows: Option<Vec<u32>> = part.entries.iter().map(row).collect();
        let rows = rows.ok_or_else(|| {
            TrainerError::checkpoint("the bank of targets", "lacks a reference of this batch", "report this")
        })?;
        Ok(piece.context.texts.batch(&rows, piece.device))
    }

    /// The place of each of `targets`' first image, and which other places are right answers too, `[B, images]`.
    ///
    /// # Errors
    /// When a target is not among the images.
    pub fn places(&self, targets: &[Vec<u32>]) -> Result<(Vec<usize>, TensorData)> {
        let place = |right: &Vec<u32>| self.images.binary_search(&right.first().copied());
        let own: Result<Vec<usize>, usize> = targets.iter().map(place).collect();
        let own = own.map_err(|_| {
            TrainerError::checkpoint("the bank of targets", "lacks a target of this batch", "report this")
        })?;
        let ignored = losses::false_negatives_among(targets, &own, &self.images);
        Ok((own, ignored))
    }

    /// The embeddings under autodiff, where they are constants.
    pub fn targets(&self) -> Tensor<3> {
        Tensor::from_inner(self.targets.clone())
    }
}

/// The row whose text SPN4CIR's code has fused each image with last: it writes the references of [`TOGETHER`] rows, then their
/// targets, and later rows over earlier ones. Of a pair's wordings the first one counts.
fn last_rows(triplets: &[Triplet]) -> HashMap<u32, u32> {
    let rows: Vec<(u32, &Triplet)> = (0..).zip(triplets).filter(|(_, triplet)| !triplet.further_wording).collect();
    let mut last = HashMap::new();
    for together in rows.chunks(TOGETHER) {
        last.extend(together.iter().map(|(row, triplet)| (triplet.reference, *row)));
        last.extend(together.iter().filter_map(|(row, triplet)| Some((*triplet.targets.first()?, *row))));
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_last_row_is_the_codes() {
        let row = |reference, target| Triplet { reference, targets: vec![target], ..Triplet::default() };
        // As a target after the references of the same 32 rows; in later rows over that.
        let mut triplets = vec![row(0, 1), row(1, 2), row(0, 3)];
        assert_eq!(last_rows(&triplets), HashMap::from([(0, 2), (1, 0), (2, 1), (3, 2)]));
        triplets.insert(1, Triplet { further_wording: true, ..row(0, 1) });
        assert_eq!(last_rows(&triplets), HashMap::from([(0, 3), (1, 0), (2, 2), (3, 3)]));
        triplets.extend((0..40).map(|_| row(8, 9)));
        triplets.push(row(1, 9));
        assert_eq!(last_rows(&triplets)[&1], 44);
    }
}
