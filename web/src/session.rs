//! One loaded bundle and its engine, and what the page may ask of it.

use crate::error::{WebError, WebResult};
use crate::load::{self, Files};
use crate::protocol::{
    Browse, Encode, Encoded, Found, Info, Item, Load, LoadTimings, Measured, Page, Query, QueryTimings,
};
use crate::{device, now};
use burn::tensor::Device;
use js_sys::Function;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use thisbut_model::CirConfig;
use thisbut_model::bundle::{Manifest, SELF_TEST_SIDE, self_test_image};
use thisbut_model::engine::{EncodedImages, Engine};
use thisbut_model::gallery::{Chunk, Hit, ImageMeta, parse_metadata};
use thisbut_model::image::Rgba;
use thisbut_model::quant::read_weights;
use thisbut_model::text::WordPiece;
use thisbut_model::weights::Tensors;

/// Images whose tokens are kept: a visitor steps back and forth between a few.
const KEPT: usize = 12;
/// Most results that one query gives.
const MOST: usize = 500;
/// Rounds of [`Session::measure`]; the first warms up.
const ROUNDS: usize = 4;

/// A picture that the visitor showed or chose.
struct Shown {
    image: EncodedImages,
    /// Gallery images that are this picture.
    same: Vec<u32>,
}

/// The engine with the texts and pictures around it.
pub struct Session {
    engine: Engine,
    items: Vec<ImageMeta>,
    pictures: String,
    kept: RefCell<VecDeque<(String, Rc<Shown>)>>,
}

impl Session {
    /// Loads a bundle, starts the device and lets it prove itself.
    ///
    /// # Errors
    /// Those of [`load::files`], and kind `device` where the device does not start or fails the self-test.
    pub async fn open(request: Load, emit: Function) -> WebResult<(Self, Info)> {
        let began = now();
        let (files, progress) = load::files(&request.bundle, request.fresh, request.manifest, emit).await?;
        let fetched = now();
        progress.show("start");
        let device = device::open(&request.device).await?;
        let Files { manifest, suggestions, weights, vocab, chunks, metadata, bytes, fetched: new_bytes } = files;
        let vocab = String::from_utf8(vocab)
            .map_err(|_| WebError::new("format", "the vocabulary is not UTF-8", "publish the bundle again"))?;
        let mut engine = build(&manifest, &weights, &vocab, &device)?;
        drop(weights);
        for chunk in &chunks {
            engine.add_chunk(Chunk::parse(chunk)?)?;
        }
        let mut items = Vec::with_capacity(manifest.gallery.count as usize);
        for (entry, body) in manifest.gallery.metadata.iter().zip(&metadata) {
            items.extend(parse_metadata(body, entry.count as usize)?);
        }
        let built = now();
        engine.self_test(&manifest).await?;
        let tested = now();
        let codes = manifest.weights.first().map(|entry| format!("{:?}", entry.code_width)).unwrap_or_default();
        let info = Info {
            count: items.len(),
            device: device::NAME,
            model: format!("{}, {codes}", manifest.architecture),
            version: manifest.product_version.clone(),
            suggestions,
            bytes: bytes as f64,
            fetched: new_bytes as f64,
            timings: LoadTimings { fetch: fetched - began, build: built - fetched, self_test: tested - built },
        };
        let pictures = format!("{}{}", request.bundle, manifest.gallery.thumbnails);
        Ok((Self { engine, items, pictures, kept: RefCell::default() }, info))
    }

    fn item(&self, index: usize, score: Option<f32>) -> Option<Item> {
        let meta = self.items.get(index)?;
        let image = format!("{}{}", self.pictures, meta.thumb);
        Some(Item { index, title: meta.title.clone(), image, tags: meta.tags.clone(), score })
    }

    fn shown(&self, key: &str) -> WebResult<Rc<Shown>> {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(|(known, _)| known == key);
        let found = at.and_then(|at| kept.remove(at)).ok_or_else(|| {
            WebError::new("runtime", format!("image {key} is not encoded"), "send an encode message first")
        })?;
        let shown = Rc::clone(&found.1);
        kept.push_back(found);
        Ok(shown)
    }

    /// Reads an image and keeps its tokens under its key.
    ///
    /// # Errors
    /// Kind `image` for pixels that do not fit their size.
    pub async fn encode(&self, image: Encode) -> WebResult<Encoded> {
        let began = now();
        let encoded = self.engine.encode_image(&Rgba::new(image.width, image.height, &image.rgba)?)?;
        let same = self.engine.same_images(&encoded).await?;
        let mut kept = self.kept.borrow_mut();
        kept.retain(|(key, _)| *key != image.key);
        kept.push_back((image.key, Rc::new(Shown { image: encoded, same })));
        let mut dropped = Vec::new();
        while kept.len() > KEPT {
            dropped.extend(kept.pop_front().map(|(key, _)| key));
        }
        Ok(Encoded { ms: now() - began, dropped })
    }

    /// Ranks the gallery for an image, words, or both.
    ///
    /// # Errors
    /// Kind `query` without either; `device` where the device stopped answering.
    pub async fn query(&self, query: Query) -> WebResult<Found> {
        let began = now();
        let shown = query.key.as_deref().map(|key| self.shown(key)).transpose()?;
        let vector = self.engine.compose(shown.as_ref().map(|shown| &shown.image), &query.text).await?;
        let composed = now();
        let mut exclude: Vec<u32> = query.exclude.and_then(|index| u32::try_from(index).ok()).into_iter().collect();
        if let Some(shown) = shown.filter(|_| !query.text.trim().is_empty()) {
            exclude.extend(&shown.same);
        }
        let hits = self.engine.search(&vector, query.limit.min(MOST), &exclude)?;
        let hits = hits.iter().filter_map(|Hit { index, score }| self.item(*index as usize, Some(*score))).collect();
        Ok(Found { hits, timings: QueryTimings { compose: composed - began, search: now() - composed } })
    }

    /// A window over the gallery, in an order that shows its variety: steps near the golden section of its size.
    ///
    /// # Errors
    /// None today.
    pub fn browse(&self, page: &Browse) -> WebResult<Page> {
        let total = self.items.len();
        let stride = stride(total);
        let items = (page.offset..page.offset.saturating_add(page.limit.min(total).min(MOST)))
            .filter_map(|position| self.item((position % total.max(1)) * stride % total.max(1), None))
            .collect();
        Ok(Page { items, total })
    }

    /// Times a composed query, image included.
    ///
    /// # Errors
    /// Kind `device` where the device stopped answering.
    pub async fn measure(&self) -> WebResult<Measured> {
        let pixels = self_test_image();
        let image = Rgba::new(SELF_TEST_SIDE, SELF_TEST_SIDE, &pixels)?;
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let began = now();
            let tokens = self.engine.encode_image(&image)?;
            let vector = self.engine.compose(Some(&tokens), "the same but red").await?;
            self.engine.search(&vector, 24, &[])?;
            times.push(now() - began);
        }
        let mut warm = times.split_off(1);
        warm.sort_by(f64::total_cmp);
        Ok(Measured { ms: warm.get(warm.len() / 2).copied().unwrap_or(f64::INFINITY) })
    }
}

/// The engine of a bundle's weights files and vocabulary.
fn build(manifest: &Manifest, weights: &[Vec<u8>], vocab: &str, device: &Device) -> WebResult<Engine> {
    let config = CirConfig::parse(&manifest.config.to_string(), "bundle.json: config")?;
    let mut tensors = Tensors::new();
    for file in weights {
        tensors.extend(read_weights(file)?);
    }
    Ok(Engine::new(config, tensors, WordPiece::from_vocab(vocab)?, device)?)
}

/// A step that visits every one of `total` positions: near 0.618 of it, and without a common divisor.
fn stride(total: usize) -> usize {
    let divisor = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let start = total * 618 / 1000;
    (start..start + total).find(|step| *step > 0 && divisor(*step, total) == 1).unwrap_or(1)
}
