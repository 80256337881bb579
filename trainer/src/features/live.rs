//! Image tokens computed when they are asked for: no cache to make or keep, at the price of encoding in every step.

use super::fronts::Fronts;
use super::{BATCH, ImageTokens, prepare};
use crate::error::{Result, TrainerError};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use thisbut_model::RetrievalConfig;
use thisbut_model::nn::ImageEncoder;

/// The frozen encoder and the files that it may be asked for.
pub struct Live {
    encoder: ImageEncoder,
    config: RetrievalConfig,
    device: Device,
    files: Vec<PathBuf>,
    index: HashMap<String, usize>,
    fronts: Fronts,
}

impl Live {
    /// `encoder` lives on `device`, which is outside autodiff; `images` are names and files.
    pub fn new(
        encoder: ImageEncoder,
        config: &RetrievalConfig,
        device: &Device,
        images: BTreeMap<String, PathBuf>,
    ) -> Self {
        let index = images.keys().enumerate().map(|(row, name)| (name.clone(), row)).collect();
        let files = images.into_values().collect();
        Self { encoder, config: config.clone(), device: device.clone(), files, index, fronts: Fronts::default() }
    }
}

impl ImageTokens for Live {
    fn row(&self, name: &str) -> Result<usize> {
        self.index.get(name).copied().ok_or_else(|| {
            TrainerError::data(name, "the data set has no file of this name", "check its image list and folder")
        })
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        // An image may be several triplets' reference or target; it is encoded once.
        let mut different = rows.to_vec();
        different.sort_unstable();
        different.dedup();
        let read = |chunk: &[usize]| match self.fronts(chunk, &self.device)? {
            Some(fronts) => Ok(self.encoder.behind(fronts)),
            None => Ok(self.encoder.forward(self.pixels(chunk, &self.device)?)),
        };
        let parts = different.chunks(BATCH).map(read).collect::<Result<Vec<_>>>()?;
        let places: Vec<i32> = rows.iter().filter_map(|row| Some(different.binary_search(row).ok()? as i32)).collect();
        let places = Tensor::<1, Int>::from_data(TensorData::new(places, [rows.len()]), &self.device);
        let tokens =
            Tensor::<3>::cat(parts, 0).select(0, places).cast(FloatDType::F32).to_device(&device.clone().inner());
        Ok(if device.is_autodiff() { Tensor::from_inner(tokens) } else { tokens })
    }

    fn fronts(&self, rows: &[usize], device: &Device) -> Result<Option<Tensor<4>>> {
        if !self.encoder.has_front() {
            return Ok(None);
        }
        let (files, encoder) = ((&self.files[..], &self.config.preprocess), (&self.encoder, &self.device));
        self.fronts.of(rows, files, encoder, device).map(Some)
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        let side = self.config.preprocess.size;
        let read = |row: &usize| prepare(&self.files[*row], &self.config.preprocess);
        let pixels: Result<Vec<Vec<f32>>> = rows.par_iter().map(read).collect();
        Ok(Tensor::from_data(TensorData::new(pixels?.concat(), [rows.len(), 3, side, side]), device))
    }
}
