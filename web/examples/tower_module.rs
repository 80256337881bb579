//! The towers of a dual encoder with random weights as a wasm module; `bench/browser-towers` times it.
#![cfg(target_arch = "wasm32")]

use burn::tensor::{Device, Int, Tensor, TensorData};
use thisbut_model::RetrievalConfig;
use thisbut_model::method::PseudoWord;
use thisbut_model::nn::{ImageEncoder, Noise};
use wasm_bindgen::prelude::*;

/// Both towers.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Towers {
    image: ImageEncoder,
    method: PseudoWord,
    /// Side of an image in pixels.
    size: usize,
}

#[wasm_bindgen]
impl Towers {
    /// Those of a preset, given as its JSON text.
    ///
    /// # Errors
    /// A sentence about what is wrong with the preset.
    #[wasm_bindgen(constructor)]
    pub fn new(preset: &str) -> Result<Self, JsError> {
        let device = Device::flex();
        device.seed(1);
        let config: RetrievalConfig = serde_json::from_str(preset)?;
        let method = PseudoWord::new(&config, &device)?;
        Ok(Self { image: ImageEncoder::new(&config, &device), method, size: config.preprocess.size })
    }

    /// The image's row, of normalised pixels `[3, size, size]`.
    ///
    /// # Errors
    /// None that a run of the right size meets.
    pub fn image(&self, pixels: Vec<f32>) -> Result<Vec<f32>, JsError> {
        let pixels = TensorData::new(pixels, [1, 3, self.size, self.size]);
        let tokens = self.image.forward(Tensor::from_data(pixels, &Device::flex()));
        Ok(tokens.into_data().try_to_vec::<f32>()?)
    }

    /// The text's row, of its tokens, the end token last.
    ///
    /// # Errors
    /// None that a run of the right size meets.
    pub fn text(&self, ids: Vec<i32>) -> Result<Vec<f32>, JsError> {
        let (device, count) = (Device::flex(), ids.len());
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, count]), &device);
        let ends = Tensor::<1, Int>::from_data([count as i32 - 1], &device);
        let tower = &self.method.text;
        let row = tower.forward(tower.words(ids), Tensor::zeros([1, count], &device), ends, &Noise::off());
        Ok(row.into_data().try_to_vec::<f32>()?)
    }
}
