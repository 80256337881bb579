//! The engine as indexing uses it.

use super::{Encoded, Encoder};
use crate::bundle_io::Bundle;
use crate::error::{Result, TrainerError};
use crate::{features, fsx};
use burn::tensor::Device;
use pollster::block_on;
use rayon::prelude::*;
use thisbut_model::bundle::{Form, SELF_TEST_SIDE, self_test_image};
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{encode_reference, parse_reference};
use thisbut_model::image::{Rgba, preprocess};
use thisbut_model::nn::ImageEncoder;

/// Indexing through the query engine, so that gallery and queries come from one place.
pub enum EngineEncoder {
    /// The engine has its own image encoder.
    Full(Engine),
    /// The engine has none: images go through another one, and their tokens are kept for the page. Targets are made of the
    /// tokens as they are kept, so that they answer exactly as the page will see them.
    GalleryReference {
        /// The engine.
        engine: Engine,
        /// The image encoder, which may be more exact than one that a page would load.
        encoder: Box<ImageEncoder>,
        /// Where both compute.
        device: Device,
    },
}

impl EngineEncoder {
    /// The encoder of `bundle` on `device`; `encoder` is for a bundle that has none.
    ///
    /// # Errors
    /// When there is no image encoder at all, and when the bundle's engine cannot be built.
    pub fn new(bundle: &Bundle, encoder: Option<ImageEncoder>, device: &Device) -> Result<Self> {
        match (bundle.manifest.form, encoder) {
            (Form::Full, _) => Ok(Self::Full(bundle.engine(device)?)),
            (Form::GalleryReference, Some(encoder)) => Ok(Self::GalleryReference {
                engine: bundle.engine(device)?,
                encoder: Box::new(encoder),
                device: device.clone(),
            }),
            (Form::GalleryReference, None) => Err(TrainerError::settings(
                bundle.root.display().to_string(),
                "this bundle has no image encoder (form gallery-reference), so no photos can be added to it",
                "give the encoder's weights with --encoder, or index with a bundle of the form full",
            )),
        }
    }

    fn engine(&self) -> &Engine {
        match self {
            Self::Full(engine) | Self::GalleryReference { engine, .. } => engine,
        }
    }
}

impl Encoder for EngineEncoder {
    fn encode(&mut self, images: Vec<Vec<f32>>) -> Result<Encoded> {
        let count = images.len();
        match self {
            Self::Full(engine) => {
                let (retrieval, config) = (engine.retrieval(), engine.config());
                let encoder = retrieval.encoder()?;
                let tokens = features::encode(encoder, images.concat(), count, config, retrieval.device())?;
                let looks = means(&tokens, config.image_tokens(), config.image_width());
                let encoded = retrieval.encode_tokens(tokens, count);
                let targets = block_on(retrieval.target_rows(&encoded))?;
                Ok(Encoded { targets, looks, references: Vec::new() })
            }
            Self::GalleryReference { engine, encoder, device } => {
                let config = engine.config();
                let (t, c) = (config.image_tokens(), config.image_width());
                let tokens = features::encode(encoder, images.concat(), count, config, device)?;
                let looks = means(&tokens, t, c);
                let references: Vec<Vec<u8>> =
                    tokens.par_chunks_exact(t * c).map(|one| encode_reference(one, t, c)).collect::<Result<_, _>>()?;
                let kept: Vec<Vec<f32>> =
                    references.par_iter().map(|file| parse_reference(file, t, c)).collect::<Result<_, _>>()?;
                let encoded = engine.retrieval().encode_tokens(kept.concat(), count);
                Ok(Encoded { targets: block_on(engine.retrieval().target_rows(&encoded))?, looks, references })
            }
        }
    }

    /// What the encoder of a bundle without one makes of a picture: another encoder makes something else.
    fn identity(&mut self) -> Result<String> {
        if let Self::Full(_) = self {
            return Ok(String::new());
        }
        let pixels = self_test_image();
        let picture = Rgba::new(SELF_TEST_SIDE, SELF_TEST_SIDE, &pixels)?;
        let input = preprocess(&picture, &self.engine().config().preprocess)?;
        let encoded = self.encode(vec![input])?;
        Ok(encoded.references.first().map(|file| fsx::sha256_hex(file)).unwrap_or_default())
    }

    fn self_test(&mut self, text: &str) -> Result<Vec<f32>> {
        Ok(block_on(self.engine().self_test_query(text))?)
    }
}

/// The mean of each image's tokens `[·, T, C]`.
fn means(tokens: &[f32], t: usize, c: usize) -> Vec<f32> {
    let mean = |image: &[f32]| {
        let mut sum = vec![0.0; c];
        for token in image.chunks_exact(c) {
            sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value / t as f32);
        }
        sum
    };
    tokens.chunks_exact(t * c).flat_map(mean).collect()
}
