//! The model as suggestions are checked with it: as the page asks it, from the gallery's thumbnails.

use crate::bundle_io::Bundle;
use crate::error::Result;
use crate::images;
use burn::tensor::Device;
use pollster::block_on;
use rayon::prelude::*;
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{Hit, parse_reference};
use thisbut_model::image::{Rgba, preprocess};
use thisbut_model::retrieval::EncodedImages;
use thisbut_model::text::Tokens;

/// What suggestions ask of a model.
pub trait Answers {
    /// The `k` gallery images most like the gallery's image `index`, without pictures that are the same.
    fn like(&self, index: u32, k: usize) -> Result<Vec<Hit>>;
    /// Whether a text has a word that the model reads.
    fn reads(&self, text: &str) -> bool;
    /// For each image, the `k` best images for each of its texts, without pictures that are the image itself.
    fn ask(&self, images: &[u32], texts: &[Vec<&str>], k: usize) -> Result<Vec<Vec<Vec<Hit>>>>;
    /// For each text alone, by how much its best image is above the mean of all; none for a text without a word that the model reads.
    fn say(&self, texts: &[&str]) -> Result<Vec<Option<f32>>>;
}

/// A bundle and its engine.
pub struct Asker<'a> {
    bundle: &'a Bundle,
    engine: Engine,
}

impl<'a> Asker<'a> {
    /// The bundle's engine on `device`, which has to pass the bundle's self-test.
    ///
    /// # Errors
    /// When a file is not what it should be, and when the device answers otherwise than the one that exported.
    pub fn new(bundle: &'a Bundle, device: &Device) -> Result<Self> {
        let engine = bundle.engine(device)?;
        block_on(engine.self_test(&bundle.manifest))?;
        Ok(Self { bundle, engine })
    }

    /// The images as a page would hand them to the engine.
    fn encode(&self, images: &[u32]) -> Result<EncodedImages> {
        let (retrieval, config, bundle) = (self.engine.retrieval(), self.engine.config(), self.bundle);
        let (t, c, reads) = (config.image_tokens(), config.image_width(), retrieval.has_encoder());
        let input = |index: &u32| -> Result<Vec<f32>> {
            let meta = &bundle.metadata[*index as usize];
            if let Some(file) = meta.reference.as_ref().filter(|_| !reads) {
                return Ok(parse_reference(&bundle.reference(file)?, t, c)?);
            }
            let thumb = bundle.root.join(&bundle.manifest.gallery.thumbnails).join(&meta.thumb);
            let picture = images::decode_file(&thumb)?;
            Ok(preprocess(&Rgba::new(picture.width, picture.height, &picture.data)?, &config.preprocess)?)
        };
        let inputs: Vec<Vec<f32>> = images.par_iter().map(input).collect::<Result<_>>()?;
        match reads {
            true => Ok(retrieval.encode_pixels(inputs.concat(), images.len())?),
            false => Ok(retrieval.encode_tokens(inputs.concat(), images.len())),
        }
    }
}

impl Answers for Asker<'_> {
    fn like(&self, index: u32, k: usize) -> Result<Vec<Hit>> {
        let Some(tokens) = self.engine.gallery().image(index) else { return Ok(Vec::new()) };
        Ok(self.engine.search(&tokens, k, &self.engine.twins(index)?)?)
    }

    fn reads(&self, text: &str) -> bool {
        !self.engine.retrieval().texts().tokens(text).is_empty()
    }

    fn ask(&self, images: &[u32], texts: &[Vec<&str>], k: usize) -> Result<Vec<Vec<Vec<Hit>>>> {
        let mut found: Vec<Vec<Vec<Hit>>> = vec![Vec::new(); images.len()];
        let rounds = texts.iter().map(Vec::len).max().unwrap_or(0);
        if rounds == 0 {
            return Ok(found);
        }
        let encoded = self.encode(images)?;
        let twins: Vec<Vec<u32>> = images.iter().map(|index| Ok(self.engine.twins(*index)?)).collect::<Result<_>>()?;
        let retrieval = self.engine.retrieval();
        for round in 0..rounds {
            // An image without a text in this round goes along with any word: a batch has all of its images.
            let batch: Vec<Tokens> =
                texts.iter().map(|own| retrieval.texts().tokens(own.get(round).unwrap_or(&"a"))).collect();
            let rows = block_on(retrieval.query_rows(Some(&encoded), &batch.iter().collect::<Vec<_>>()))?;
            for (at, row) in rows.iter().enumerate().filter(|(at, _)| round < texts[*at].len()) {
                found[at].push(self.engine.search(row, k, &twins[at])?);
            }
        }
        Ok(found)
    }

    fn say(&self, texts: &[&str]) -> Result<Vec<Option<f32>>> {
        let retrieval = self.engine.retrieval();
        let read: Vec<Tokens> = texts.iter().map(|text| retrieval.texts().tokens(text)).collect();
        let said: Vec<&Tokens> = read.iter().filter(|tokens| !tokens.is_empty()).collect();
        if said.is_empty() {
            return Ok(vec![None; texts.len()]);
        }
        let mut rows = block_on(retrieval.query_rows(None, &said))?.into_iter();
        let best = |tokens: &Tokens| -> Result<Option<f32>> {
            let Some(row) = (!tokens.is_empty()).then(|| rows.next()).flatten() else { return Ok(None) };
            Ok(self.engine.lift(&row)?)
        };
        read.iter().map(best).collect()
    }
}
