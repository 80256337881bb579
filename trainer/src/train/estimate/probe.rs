//! A small step, measured, from which a run's time is projected.

use super::{Load, flops};
use crate::data::table::Table;
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use crate::train::forward::Context;
use crate::train::optimizer::AdamW;
use crate::train::peers::Alone;
use crate::train::settings::Settings;
use crate::train::step::gradients;
use crate::train::{schedule, start};
use burn::tensor::{Device, Tensor};
use std::time::{Duration, Instant};
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::weights;

/// Triplets of the measured step.
const ROWS: usize = 8;

/// Steps taken; the first compiles kernels where a device needs that.
const STEPS: usize = 4;

/// The measured step and what it says of the run.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Triplets of the measured step.
    pub rows: usize,
    /// Its time, the fastest of a few.
    pub step: Duration,
    /// Operations a second of its passes.
    pub rate: f64,
    /// The time of one step of the run, by its operations.
    pub full: Duration,
}

/// Image tokens that cost nothing.
struct Blank(usize, usize);

impl ImageTokens for Blank {
    fn row(&self, _: &str) -> Result<usize> {
        Ok(0)
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        Ok(Tensor::ones([rows.len(), self.0, self.1], device))
    }
}

/// Takes a few steps of a few triplets with random weights on `device` (outside autodiff), and times the fastest.
///
/// # Errors
/// When the device fails.
pub fn measure(
    settings: &Settings,
    config: &RetrievalConfig,
    table: &Table,
    texts: &Tokenized,
    load: Load,
    device: &Device,
) -> Result<Measured> {
    let rows = ROWS.min(settings.batch).min(table.triplets.len());
    let small = Settings { batch: rows, sub_batch: 0, devices: 1, bank: false, ..settings.clone() };
    let features = Blank(config.image_tokens(), config.image_width());
    let zeros = vec![0; table.images.len()];
    let context = Context { settings: &small, config, train: table, features: &features, rows: &zeros, texts };
    let batch: Vec<u32> = (0..rows as u32).collect();
    let autodiff = device.clone().autodiff();
    let model = weights::load(TwoPass::new(config, &autodiff)?, "", &mut start::initial(config, settings.seed)?)?;
    let mut model = start::freeze(model, settings);
    let mut optimizer = AdamW::new(&small);
    // The optimiser's part does not grow with the batch.
    let (mut fastest, mut update) = (Duration::MAX, Duration::MAX);
    for step in 0..STEPS {
        let began = Instant::now();
        let (found, _) = gradients(&context, None, &model, &batch, step, &Alone, &autodiff)?;
        // What is read back is done: devices only queue what they are asked for.
        found.norm()?;
        let passes = began.elapsed();
        (model, _) = optimizer.update(model, &found, schedule::point(&small, 0))?;
        crate::embed::read(model.temperature.val())?;
        (fastest, update) = (fastest.min(passes), update.min(began.elapsed().saturating_sub(passes)));
    }
    let words = batch.iter().map(|t| texts.length(*t)).max().unwrap_or(1) * rows;
    let done = flops::step(&small, config, Load { rows, words, share: rows });
    let rate = done / fastest.as_secs_f64().max(1e-9);
    let full = flops::step(settings, config, load) / settings.devices.max(1) as f64 / rate;
    Ok(Measured { rows, step: fastest + update, rate, full: Duration::from_secs_f64(full) + update })
}
