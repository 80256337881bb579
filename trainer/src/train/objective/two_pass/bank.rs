//! Target embeddings of every image that is a target of a training triplet, computed once.

use crate::embed;
use crate::error::{Result, TrainerError};
use crate::train::losses;
use crate::train::piece::Context;
use burn::tensor::{Device, Tensor, TensorData};
use thisbut_model::method::TwoPass;

/// The embeddings.
pub struct Bank {
    /// The images, as indices into the table.
    images: Vec<Option<u32>>,
    /// `[images, N, P]`, outside the gradient's graph.
    targets: Tensor<3>,
}

impl Bank {
    /// Embeds them with `model` on `device`, which is outside autodiff.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn new(context: &Context, model: &TwoPass, device: &Device) -> Result<Self> {
        let mut images: Vec<u32> = context.train.triplets.iter().filter_map(|t| t.targets.first().copied()).collect();
        images.sort_unstable();
        images.dedup();
        let retrieval = context.retrieval(embed::without_gradient(model), device);
        let targets = embed::gallery(&retrieval, context.features, &images, context.rows)?;
        Ok(Self { images: images.into_iter().map(Some).collect(), targets })
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
