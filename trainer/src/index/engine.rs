//! The engine as indexing uses it.

use super::Encoder;
use crate::error::Result;
use crate::wait::block_on;
use thisbut_model::engine::Engine;

/// Indexing through the query engine, so that gallery and queries come from one place.
pub struct EngineEncoder(pub Engine);

impl Encoder for EngineEncoder {
    fn targets(&mut self, images: Vec<Vec<f32>>) -> Result<Vec<f32>> {
        let count = images.len();
        let encoded = self.0.encode_pixels(images.concat(), count);
        Ok(block_on(self.0.target_tokens(&encoded))?)
    }

    fn compose(&mut self, image: Vec<f32>, text: &str) -> Result<Vec<f32>> {
        let encoded = self.0.encode_pixels(image, 1);
        Ok(block_on(self.0.compose(Some(&encoded), text))?)
    }
}
