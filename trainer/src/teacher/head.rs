//! The classifier that EfficientNet-Lite0 was trained with on ImageNet. No model here has it among its weights: it is read from
//! the published file beside the image encoder, so bundles do not grow.

use super::classes::CLASSES;
use crate::error::{Result, TrainerError};
use crate::import::source::Source;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use std::path::Path;
use thisbut_model::nn::efficientnet::HEAD_WIDTH;

/// Linear map from the mean of the last grid to the classes; checkpoint key `_fc`.
pub struct Head {
    /// `[C, classes]`.
    weight: Tensor<2>,
    /// `[1, classes]`.
    bias: Tensor<2>,
}

impl Head {
    /// Reads the map alone from a published file.
    ///
    /// # Errors
    /// When the file is not there, or has no such map.
    pub fn load(path: &Path, device: &Device) -> Result<Self> {
        let mut source = Source::open(&[path.to_path_buf()])?;
        let mut read = |name: &str, wanted: &[usize]| match source.entries().get(name) {
            Some(entry) if entry.dims == wanted => Ok(source.read(name)?.1),
            found => {
                let problem = match found {
                    Some(entry) => format!("{name} has the sizes {:?}, not {wanted:?}", entry.dims),
                    None => format!("there is no {name}, the classifier"),
                };
                let mend = "run `thisbut fetch small`, which brings EfficientNet-Lite0 with its classifier";
                Err(TrainerError::checkpoint(path.display().to_string(), problem, mend))
            }
        };
        let (weight, bias) = (read("_fc.weight", &[CLASSES, HEAD_WIDTH])?, read("_fc.bias", &[CLASSES])?);
        let weight: Tensor<2> = Tensor::from_data(TensorData::new(weight, [CLASSES, HEAD_WIDTH]), device);
        let bias = Tensor::from_data(TensorData::new(bias, [1, CLASSES]), device);
        Ok(Self { weight: weight.transpose(), bias })
    }

    /// Image tokens `[B, T, C]` → the probability of each class `[B, classes]`.
    pub fn probabilities(&self, tokens: Tensor<3>) -> Tensor<2> {
        let [b, _, c] = tokens.dims();
        let mean = tokens.mean_dim(1).reshape([b, c]);
        softmax(mean.matmul(self.weight.clone()) + self.bias.clone(), 1)
    }
}
