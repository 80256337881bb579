//! The pooled tokens of every image that a run reads, computed once: an encoder that stays gives the same ones in every step.

use crate::embed;
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use crate::train::piece::{Context, Stream};
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::BTreeMap;
use std::sync::Arc;
use thisbut_model::method::PseudoWord;

/// Images whose tokens are pooled together.
const BATCH: usize = 64;

/// The means of their tokens.
pub struct Pooled {
    /// C.
    width: usize,
    /// Of the table's images, and of the unlabelled ones, which may be the same.
    streams: [Arc<Rows>; 2],
}

/// Images as indices, each with its row of `values`.
#[derive(Default)]
struct Rows {
    places: BTreeMap<u32, usize>,
    values: Vec<f32>,
}

impl Pooled {
    /// Pools what the triplets and the unlabelled images need with `model` on `device`, which is outside autodiff.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn new(context: &Context, model: &PseudoWord, device: &Device) -> Result<Self> {
        let model = embed::without_gradient(model);
        let width = context.config.image_width();
        let train = context.train;
        let own = train.triplets.iter().flat_map(|t| std::iter::once(t.reference).chain(t.targets.first().copied()));
        let rows = |images: &mut dyn Iterator<Item = u32>, features: &dyn ImageTokens, of: &[usize]| -> Result<Rows> {
            let mut images: Vec<u32> = images.collect();
            images.sort_unstable();
            images.dedup();
            let mut values = Vec::with_capacity(images.len() * width);
            for chunk in images.chunks(BATCH) {
                let rows: Vec<usize> = chunk.iter().map(|image| of[*image as usize]).collect();
                values.extend(embed::read(model.pooled(features.tokens(&rows, device)?))?);
            }
            Ok(Rows { places: images.into_iter().zip(0..).collect(), values })
        };
        let Some(more) = &context.unlabelled else {
            let labelled = rows(&mut own.into_iter(), context.features, context.rows)?;
            return Ok(Self { width, streams: [Arc::new(labelled), Arc::default()] });
        };
        let unlabelled = Arc::new(rows(&mut (0..more.rows.len() as u32), more.features, more.rows)?);
        let labelled = match std::ptr::eq(more.images, &train.images[..]) {
            true => unlabelled.clone(),
            false => Arc::new(rows(&mut own.into_iter(), context.features, context.rows)?),
        };
        Ok(Self { width, streams: [labelled, unlabelled] })
    }

    /// Those of `images` of a stream, `[images, C]` on `device`.
    ///
    /// # Errors
    /// When one was not pooled.
    pub fn of(&self, stream: Stream, images: &[u32], device: &Device) -> Result<Tensor<2>> {
        let [labelled, unlabelled] = &self.streams;
        let rows = if stream == Stream::Images { unlabelled } else { labelled };
        let mut values = Vec::with_capacity(images.len() * self.width);
        for image in images {
            let place = rows.places.get(image).ok_or_else(|| {
                TrainerError::checkpoint("the pooled image tokens", "lack an image of this batch", "report this")
            })?;
            values.extend_from_slice(&rows.values[place * self.width..(place + 1) * self.width]);
        }
        Ok(Tensor::from_data(TensorData::new(values, [images.len(), self.width]), device))
    }
}
