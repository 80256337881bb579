//! Gradients by parameter name: added up over the pieces of a batch and over devices before the optimiser sees them.

use crate::error::{Result, TrainerError};
use burn::module::{Module, Param};
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;
use thisbut_model::weights::named::{self, Visitor};

/// One gradient a trained parameter, flattened and outside the graph, under the parameter's path in its module.
#[derive(Clone, Debug, Default)]
pub struct ParameterGradients(BTreeMap<String, Tensor<1>>);

impl ParameterGradients {
    /// What a backward pass left for the parameters of `module`. Frozen parameters have no entry.
    pub fn of<M: Module>(module: &M, gradients: &Gradients) -> Self {
        Self::behind("", module, gradients)
    }

    /// As [`ParameterGradients::of`], each name behind `prefix`.
    pub fn behind<M: Module>(prefix: &str, module: &M, gradients: &Gradients) -> Self {
        struct Take<'a>(&'a Gradients, BTreeMap<String, Tensor<1>>);
        impl Visitor for Take<'_> {
            fn see<const D: usize>(&mut self, name: String, param: &Param<Tensor<D>>) {
                if let Some(gradient) = param.val().grad(self.0) {
                    self.1.insert(name, flat(gradient));
                }
            }
        }
        Self(named::visit(module, prefix, Take(gradients, BTreeMap::new())).1)
    }

    /// The gradient of a parameter, `[its elements]`.
    pub fn get(&self, name: &str) -> Option<&Tensor<1>> {
        self.0.get(name)
    }

    /// Adds `more` to a parameter's gradient, which may be new.
    pub fn add_to(&mut self, name: &str, more: Tensor<1>) {
        let sum = match self.0.remove(name) {
            Some(so_far) => so_far + more,
            None => more,
        };
        self.0.insert(name.to_owned(), sum);
    }

    /// Adds another piece's gradients.
    pub fn add(&mut self, other: Self) {
        for (name, more) in other.0 {
            self.add_to(&name, more);
        }
    }

    /// Every gradient with its name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor<1>)> {
        self.0.iter().map(|(name, gradient)| (name.as_str(), gradient))
    }

    /// The same names with other values, in the order of [`ParameterGradients::iter`].
    pub fn with_values(self, values: Vec<Tensor<1>>) -> Self {
        Self(self.0.into_keys().zip(values).collect())
    }

    /// The norm over all parameters together.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn norm(&self) -> Result<f64> {
        let squares: Vec<Tensor<1>> = self.0.values().map(|g| g.clone().square().sum()).collect();
        if squares.is_empty() {
            return Ok(0.0);
        }
        let sums = Tensor::cat(squares, 0).into_data().try_to_vec::<f32>().map_err(|e| {
            TrainerError::checkpoint("the gradient", format!("cannot be read back ({e:?})"), "try another --device")
        })?;
        Ok(sums.iter().map(|v| f64::from(*v)).sum::<f64>().sqrt())
    }
}

/// `[…]` as `[n]`.
pub fn flat<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let n = x.shape().num_elements();
    x.reshape([n])
}
