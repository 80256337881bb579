//! What a teacher knows of the batch's images, as one more loss: that images are alike to the model as they are to the teacher.
//!
//! Relational distillation: [Relational Knowledge Distillation](https://arxiv.org/abs/1904.05068) has the student keep the
//! relations between a batch's examples, [SEED](https://arxiv.org/abs/2101.04731) compares them as distributions. Let S be the
//! score of a search by an image alone, which is the mean over the N target tokens r of image i of its best match in image j, and T
//! the cosine of the teacher's vectors:
//!
//! S(i, j) = 1/N Σ_r max_n f_t(i)_r · f_t(j)_n, L = 1/B Σ_i KL(softmax_j T(i, j)/τ ‖ softmax_j S(i, j)/τ), j over the batch's
//! target images other than i.

use crate::error::{Result, TrainerError};
use crate::teacher::vectors::Vectors;
use crate::train::losses;
use crate::train::piece::BatchFacts;
use burn::tensor::Tensor;
use std::sync::Arc;
use thisbut_model::method::similarity;

/// The teacher of a run.
#[derive(Clone)]
pub struct Teacher(Arc<Vectors>);

impl Teacher {
    /// Of what the run has of it.
    ///
    /// # Errors
    /// When it has none.
    pub fn new(vectors: Option<&Vectors>) -> Result<Self> {
        let vectors = vectors.ok_or_else(|| {
            let mend = "make them with `thisbut features --teacher`, or leave the weight out";
            TrainerError::settings("--teacher-weight", "there are no vectors of a teacher", mend)
        })?;
        Ok(Self(Arc::new(vectors.clone())))
    }

    /// The loss over a batch whose target images have `targets`, `[B, N, P]`; result `[1]`.
    ///
    /// # Errors
    /// When the teacher lacks an image.
    pub fn loss(&self, targets: Tensor<3>, batch: &BatchFacts, temperature: f64) -> Result<Tensor<1>> {
        let images: Vec<u32> = batch.right.iter().filter_map(|right| right.first().copied()).collect();
        let places = self.0.of(&images, batch.device)?;
        let same = Tensor::from_data(losses::same_images(&images), batch.device);
        let teacher = places.clone().matmul(places.transpose());
        Ok(losses::relations(by_image(targets), teacher, same, temperature))
    }
}

/// The score of each image of a batch for each, in a search by an image alone: `[B, N, P]` → `[B, B]`.
fn by_image(targets: Tensor<3>) -> Tensor<2> {
    let [b, n, p] = targets.dims();
    similarity(targets.clone().reshape([b * n, p]), targets).reshape([b, n, b]).mean_dim(1).reshape([b, b])
}
