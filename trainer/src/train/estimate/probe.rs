//! A small step, measured, from which a run's time is projected.

use super::{Load, flops};
use crate::data::table::{ImageEntry, Table};
use crate::embed::Tokenized;
use crate::error::Result;
use crate::features::ImageTokens;
use crate::teacher::WIDTH;
use crate::teacher::vectors::Vectors;
use crate::train::learner::Learner;
use crate::train::objective::{Objective, Use};
use crate::train::optimizer::AdamW;
use crate::train::peers::Alone;
use crate::train::piece::{Context, Unlabelled};
use crate::train::settings::Settings;
use crate::train::step::{Batch, Step};
use crate::train::{schedule, start};
use burn::tensor::{Device, Tensor, TensorData};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use thisbut_model::RetrievalConfig;
use thisbut_model::retrieval::ENCODER_PREFIX;
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

/// Images that cost next to nothing: T, C and the side S of their pixels.
struct Blank(usize, usize, usize);

impl ImageTokens for Blank {
    fn row(&self, _: &str) -> Result<usize> {
        Ok(0)
    }

    fn tokens(&self, rows: &[usize], device: &Device) -> Result<Tensor<3>> {
        Ok(varied([rows.len(), self.0, self.1], device))
    }

    fn pixels(&self, rows: &[usize], device: &Device) -> Result<Tensor<4>> {
        Ok(varied([rows.len(), 3, self.2, self.2], device))
    }
}

/// Values that differ from their neighbours: a norm leaves nothing of equal ones, and nothing has no direction to learn from.
fn varied<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = (0..shape.iter().product()).map(|at: usize| (at % 1009) as f32 / 504.0 - 1.0).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
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
    let small = Settings { batch: rows, sub_batch: 0, devices: 1, ..settings.clone() };
    let features = Blank(config.image_tokens(), config.image_width(), config.preprocess.size);
    let zeros = vec![0; table.images.len()];
    // A bank holds the targets of these few only.
    let few = Table { triplets: table.triplets.iter().take(rows).cloned().collect(), ..table.clone() };
    let blank = ImageEntry { name: String::new(), path: PathBuf::new() };
    let images = vec![blank; settings.objective.family().image_batch().min(rows)];
    let places = vec![0; images.len()];
    let unlabelled = Unlabelled { images: &images, features: &features, rows: &places };
    let unlabelled = Some(unlabelled).filter(|_| !images.is_empty());
    let count = table.images.len();
    let vectors: Vec<f32> = (0..count).flat_map(|image| (0..WIDTH).map(move |at| ((image + at) % 7) as f32)).collect();
    let vectors = Vectors::of_first(&vectors, WIDTH);
    let teacher = settings.objective.family().teacher().map(|_| &vectors);
    let context = Context {
        settings: &small,
        config,
        train: &few,
        features: &features,
        rows: &zeros,
        texts,
        unlabelled,
        teacher,
    };
    let batch: Vec<u32> = (0..rows as u32).collect();
    let (passes, update) = settings.objective.apply(config, Probe { context: &context, batch: &batch, device })?;
    let words = batch.iter().map(|t| texts.length(*t)).max().unwrap_or(1) * rows;
    let images = images.len();
    let done = flops::step(&small, config, Load { rows, words, share: rows, images, images_held: images })?;
    let rate = done / passes.as_secs_f64().max(1e-9);
    let full = flops::step(settings, config, load)? / settings.devices.max(1) as f64 / rate;
    Ok(Measured { rows, step: passes + update, rate, full: Duration::from_secs_f64(full) + update })
}

struct Probe<'a> {
    context: &'a Context<'a>,
    batch: &'a [u32],
    device: &'a Device,
}

impl Use for Probe<'_> {
    /// The fastest passes, and the fastest update.
    type Out = (Duration, Duration);

    fn with<O: Objective>(self, mut objective: O) -> Result<Self::Out> {
        let Context { settings, config, .. } = *self.context;
        let autodiff = self.device.clone().autodiff();
        let groups = settings.groups_in_force();
        let given = start::random(&objective.model(&Device::flex())?, settings.seed)?;
        let images: Vec<u32> = (0..self.context.unlabelled.map_or(0, |more| more.rows.len() as u32)).collect();
        let mut learner = Learner::new(objective.model(&autodiff)?, config, &groups, &autodiff);
        let mut tensors = objective.start(given, settings.seed)?;
        if let Some(encoder) = &learner.image_encoder {
            tensors.extend(weights::collect(encoder, ENCODER_PREFIX)?);
        }
        learner = learner.load(&mut tensors)?.freeze(&groups);
        objective.prepare(&learner.model, self.context, self.device)?;
        let mut optimizer = AdamW::new(settings);
        // The optimiser's part does not grow with the batch.
        let (mut fastest, mut update) = (Duration::MAX, Duration::MAX);
        for step in 0..STEPS {
            let began = Instant::now();
            let task = Step { context: self.context, objective: &objective, peers: &Alone, device: &autodiff };
            let (found, _) = task.gradients(&learner, Batch { triplets: self.batch, images: &images }, step)?;
            // What is read back is done: devices only queue what they are asked for.
            found.norm()?;
            let passes = began.elapsed();
            (learner, _) = learner.update(&mut optimizer, &found, schedule::point(settings, 0))?;
            for (_, parameter) in objective.parameters(&learner.model) {
                crate::embed::read(parameter.val())?;
            }
            (fastest, update) = (fastest.min(passes), update.min(began.elapsed().saturating_sub(passes)));
        }
        Ok((fastest, update))
    }
}
