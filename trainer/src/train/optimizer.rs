//! AdamW with decoupled weight decay, groups, global gradient clipping, and state that is stored by parameter name.

use super::gradients::ParameterGradients;
use super::groups::{self, Group};
use super::schedule::Point;
use super::settings::Settings;
use crate::error::{Result, TrainerError};
use burn::module::{Module, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::collections::BTreeMap;
use thisbut_model::weights::Tensors;
use thisbut_model::weights::named::{self, Mapper};

/// First and second moment of one parameter, flattened.
struct Moments {
    first: Tensor<1>,
    second: Tensor<1>,
}

/// The optimiser.
pub struct AdamW {
    betas: (f64, f64),
    epsilon: f64,
    weight_decay: f64,
    decay_vectors: bool,
    clip: f64,
    groups: Vec<Group>,
    steps: u64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has taken no step.
    pub fn new(settings: &Settings) -> Self {
        Self {
            betas: settings.betas,
            epsilon: settings.epsilon,
            weight_decay: settings.weight_decay,
            decay_vectors: settings.decay_vectors,
            clip: settings.clip,
            groups: settings.groups_in_force(),
            steps: 0,
            moments: BTreeMap::new(),
        }
    }

    /// One update from a backward pass over all of a batch, at `rate` and the settings' betas; see [`AdamW::update`].
    ///
    /// # Errors
    /// As [`AdamW::update`].
    pub fn step<M: Module>(&mut self, module: M, gradients: &Gradients, rate: f64) -> Result<(M, f64)> {
        let at = Point { rate, beta1: self.betas.0 };
        let found = ParameterGradients::of(&module, gradients);
        self.update(module, &found, at)
    }

    /// One update. Returns the module and the gradient's global norm before clipping.
    ///
    /// Weight decay touches matrices only, so norms, biases and the temperature keep their scale, unless the settings decay
    /// vectors too.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when the gradient is not finite.
    pub fn update<M: Module>(&mut self, module: M, grads: &ParameterGradients, at: Point) -> Result<(M, f64)> {
        let pace = self.begin(grads, at)?;
        Ok((self.apply(module, "", grads, pace), pace.norm))
    }

    /// Begins an update: counts a step and finds how much of the gradient is taken. [`AdamW::apply`] follows for each module
    /// that has a part of it.
    ///
    /// # Errors
    /// As [`AdamW::update`].
    pub(super) fn begin(&mut self, grads: &ParameterGradients, at: Point) -> Result<Pace> {
        let norm = grads.norm()?;
        if !norm.is_finite() {
            return Err(TrainerError::checkpoint(
                "training",
                format!("the gradient is not finite at step {}", self.steps),
                "resume with a lower --learning-rate",
            ));
        }
        self.steps += 1;
        let scale = if self.clip > 0.0 && norm > self.clip { self.clip / norm } else { 1.0 };
        Ok(Pace { at, scale, norm })
    }

    /// Updates `module`, whose parameters' names stand behind `prefix`.
    pub(super) fn apply<M: Module>(&mut self, module: M, prefix: &str, grads: &ParameterGradients, pace: Pace) -> M {
        named::map(module, prefix, &mut Update { optimizer: self, grads, pace })
    }

    /// The state as named tensors (`first.<parameter>`, `second.<parameter>`) and the number of steps taken.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn state(&self) -> Result<(Tensors, u64)> {
        let mut out = Tensors::new();
        for (name, moments) in &self.moments {
            for (part, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                let values = tensor.to_data().try_to_vec::<f32>().map_err(|e| {
                    TrainerError::checkpoint(name.clone(), format!("cannot be read back ({e:?})"), "try another device")
                })?;
                out.insert(format!("{part}.{name}"), (vec![values.len()], values));
            }
        }
        Ok((out, self.steps))
    }

    /// Takes over a stored state.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when a parameter has one of the two moments only.
    pub fn restore(&mut self, tensors: Tensors, steps: u64, device: &Device) -> Result<()> {
        self.steps = steps;
        let mut second: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        let mut first: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for (name, (_, values)) in tensors {
            if let Some(parameter) = name.strip_prefix("first.") {
                first.insert(parameter.to_owned(), values);
            } else if let Some(parameter) = name.strip_prefix("second.") {
                second.insert(parameter.to_owned(), values);
            }
        }
        let tensor = |values: Vec<f32>| {
            let n = values.len();
            Tensor::<1>::from_data(TensorData::new(values, [n]), device)
        };
        let mut moments = BTreeMap::new();
        for (name, values) in first {
            let Some(other) = second.remove(&name) else { return Err(halved(&name)) };
            moments.insert(name, Moments { first: tensor(values), second: tensor(other) });
        }
        if let Some(name) = second.keys().next() {
            return Err(halved(name));
        }
        self.moments = moments;
        Ok(())
    }
}

/// A state that lacks one of a parameter's moments.
fn halved(name: &str) -> TrainerError {
    let problem = "the optimiser's state has one of its two moments only";
    TrainerError::checkpoint(name, problem, "use an earlier checkpoint of the run, or start it again")
}

/// One update's rate and β₁, the share of the gradient that clipping leaves, and its norm before that.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    at: Point,
    scale: f64,
    pub norm: f64,
}

struct Update<'a> {
    optimizer: &'a mut AdamW,
    grads: &'a ParameterGradients,
    pace: Pace,
}

impl Mapper for Update<'_> {
    fn change<const D: usize>(&mut self, name: String, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(grad) = self.grads.get(&name).cloned() else {
            return param;
        };
        let AdamW { betas: (_, b2), epsilon, weight_decay, decay_vectors, steps, ref mut moments, .. } =
            *self.optimizer;
        let (of_rate, of_decay) = groups::factors(&self.optimizer.groups, &name);
        let (rate, b1) = (self.pace.at.rate * of_rate, self.pace.at.beta1);
        let grad = if self.pace.scale < 1.0 { grad * self.pace.scale } else { grad };
        let old = moments.remove(&name);
        let (first, second) = match old {
            Some(Moments { first, second }) => {
                (first * b1 + grad.clone() * (1.0 - b1), second * b2 + grad.square() * (1.0 - b2))
            }
            None => (grad.clone() * (1.0 - b1), grad.square() * (1.0 - b2)),
        };
        let (c1, c2) = (1.0 - b1.powi(steps as i32), 1.0 - b2.powi(steps as i32));
        let delta = first.clone() / ((second.clone() / c2).sqrt() + epsilon) * (rate / c1);
        moments.insert(name, Moments { first, second });
        let decay = if D > 1 || decay_vectors { 1.0 - rate * weight_decay * of_decay } else { 1.0 };
        param.map(|value| {
            let shape = value.shape();
            let updated = value.inner() * decay - delta.reshape(shape);
            Tensor::from_inner(updated).require_grad()
        })
    }
}
