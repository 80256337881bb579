//! What no adapter changes of an image, kept from one step to the next: the front of a convolutional encoder is most of its work
//! and gives little.

use super::prepare;
use crate::error::{Result, TrainerError};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use thisbut_model::image::PreprocessConfig;
use thisbut_model::nn::ImageEncoder;

/// Bytes that are kept at most; an image beyond them is computed whenever it is asked for.
pub const FRONTS: usize = 512 << 20;

/// Channels and sides of a front, and its values.
type Front = ([usize; 3], Vec<f32>);

/// Fronts by the row of their image.
#[derive(Default)]
pub struct Fronts {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Channels and sides of a front.
    dims: [usize; 3],
    bytes: usize,
    rows: HashMap<usize, Vec<f32>>,
}

impl Fronts {
    /// Those of `rows`, whose images lie in `files`, `[rows, channels, h, w]` on `device`; `encoder` lives on `own`. Each image is
    /// computed by itself, so that its front does not depend on its neighbours.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn of(
        &self,
        rows: &[usize],
        (files, config): (&[PathBuf], &PreprocessConfig),
        (encoder, own): (&ImageEncoder, &Device),
        device: &Device,
    ) -> Result<Tensor<4>> {
        let held = |row: &usize| self.kept.lock().unwrap_or_else(PoisonError::into_inner).rows.contains_key(row);
        let missing: Vec<usize> = rows.iter().copied().filter(|row| !held(row)).collect();
        let side = config.size;
        let made = |row: &usize| -> Result<(usize, Front)> {
            let pixels = TensorData::new(prepare(&files[*row], config)?, [1, 3, side, side]);
            let front = encoder.front(Tensor::from_data(pixels, own));
            let [_, channels, h, w] = front.dims();
            let values = front.into_data().convert::<f32>().try_to_vec::<f32>().map_err(|e| {
                let problem = format!("its output cannot be read back ({e:?})");
                TrainerError::checkpoint("the image encoder", problem, "try another --device")
            })?;
            Ok((*row, ([channels, h, w], values)))
        };
        let mut made: HashMap<usize, Front> = missing.par_iter().map(made).collect::<Result<_>>()?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((dims, _)) = made.values().next() {
            kept.dims = *dims;
        }
        let [channels, h, w] = kept.dims;
        let mut values = Vec::with_capacity(rows.len() * channels * h * w);
        for row in rows {
            match made.get(row).map(|(_, values)| values).or_else(|| kept.rows.get(row)) {
                Some(front) => values.extend_from_slice(front),
                None => unreachable!("every row is kept or made"),
            }
        }
        for (row, (_, front)) in made.drain() {
            let bytes = std::mem::size_of_val(front.as_slice());
            if kept.bytes + bytes <= FRONTS {
                kept.bytes += bytes;
                kept.rows.insert(row, front);
            }
        }
        drop(kept);
        Ok(Tensor::from_data(TensorData::new(values, [rows.len(), channels, h, w]), device))
    }
}
