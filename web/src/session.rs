//! One loaded bundle and its engine, and what the page may ask of it.

use crate::error::{WebError, WebResult};
use crate::fetch::{Store, Wanted, join};
use crate::load::{self, Files};
use crate::protocol::{
    Browse, Encode, Encoded, Found, Info, Item, Load, LoadTimings, Measured, Page, Query, QueryTimings, Refer,
};
use crate::{device, now};
use js_sys::Function;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use thisbut_model::engine::{Engine, Reference};
use thisbut_model::gallery::{Chunk, Hit, ImageMeta};
use thisbut_model::image::Rgba;
use thisbut_model::retrieval::EncodedImages;

/// Images whose tokens are kept: a visitor steps back and forth between a few.
const KEPT: usize = 12;
/// Bytes of a page of WebAssembly memory.
const PAGE: f64 = 65_536.0;
/// Most results that one query gives.
const MOST: usize = 500;
/// Rounds of [`Session::measure`]; the first warms up.
const ROUNDS: usize = 4;

/// The engine with the texts and pictures around it.
pub struct Session {
    engine: Engine,
    items: Vec<ImageMeta>,
    bundle: String,
    pictures: String,
    store: Store,
    kept: RefCell<VecDeque<(String, Rc<Reference>)>>,
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
        let Files { manifest, suggestions, tensors, vocab, chunks, items, store, bytes, fetched: new_bytes } = files;
        let vocab = String::from_utf8(vocab)
            .map_err(|_| WebError::new("format", "the vocabulary is not UTF-8", "publish the bundle again"))?;
        let mut engine = Engine::from_bundle(&manifest, tensors, &vocab, &device)?;
        for chunk in &chunks {
            engine.add_chunk(Chunk::parse(chunk)?)?;
        }
        let built = now();
        engine.self_test(&manifest).await?;
        let tested = now();
        let weights = manifest.weights.first().ok_or_else(|| {
            WebError::new("format", "bundle.json: names no weights", "publish the whole bundle again")
        })?;
        let info = Info {
            count: items.len(),
            device: device::NAME,
            model: format!("{}, {:?}", manifest.architecture, weights.code_width),
            version: manifest.product_version.clone(),
            upload: engine.retrieval().has_encoder(),
            suggestions,
            bytes: bytes as f64,
            fetched: new_bytes as f64,
            memory: core::arch::wasm32::memory_size(0) as f64 * PAGE,
            timings: LoadTimings { fetch: fetched - began, build: built - fetched, self_test: tested - built },
        };
        let pictures = join(&request.bundle, &manifest.gallery.thumbnails)?;
        Ok((Self { engine, items, bundle: request.bundle, pictures, store, kept: RefCell::default() }, info))
    }

    fn item(&self, index: usize, score: Option<f32>) -> Option<Item> {
        let meta = self.items.get(index)?;
        // The metadata's reader has refused every name that leads elsewhere.
        let image = format!("{}{}", self.pictures, meta.thumb);
        Some(Item { index, title: meta.title.clone(), image, tags: meta.tags.clone(), score })
    }

    fn shown(&self, key: &str) -> WebResult<Rc<Reference>> {
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
        let encoded = self.engine.retrieval().encode_image(&Rgba::new(image.width, image.height, &image.rgba)?)?;
        self.keep(image.key, encoded, began).await
    }

    /// Fetches a gallery image's tokens and keeps them under their key.
    ///
    /// # Errors
    /// Kind `unreachable` or `reference` where that one file cannot be fetched or is damaged, `query` where the gallery
    /// has no such image.
    pub async fn refer(&self, image: Refer) -> WebResult<Encoded> {
        let began = now();
        let file = self.items.get(image.index).and_then(|item| item.reference.as_ref()).ok_or_else(|| {
            WebError::new("query", format!("there are no tokens of image {}", image.index), "choose another image")
        })?;
        let fetched =
            self.store.file(&Wanted::of(&self.bundle, file)?, |_| ()).await.map_err(WebError::of_reference)?;
        let encoded = self.engine.retrieval().reference(&fetched.0).map_err(|e| WebError::from(e).of_reference())?;
        self.keep(image.key, encoded, began).await
    }

    async fn keep(&self, name: String, encoded: EncodedImages, began: f64) -> WebResult<Encoded> {
        let reference = self.engine.reference(encoded).await?;
        let mut kept = self.kept.borrow_mut();
        kept.retain(|(key, _)| *key != name);
        kept.push_back((name, Rc::new(reference)));
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
        let vector = self.engine.compose_from(shown.as_deref(), &query.text).await?;
        let composed = now();
        let exclude = self.engine.excluded(shown.as_deref(), query.chosen, &query.text);
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
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let began = now();
            let vector = self.engine.self_test_query("the same but red").await?;
            self.engine.search(&vector, 24, &[])?;
            times.push(now() - began);
        }
        let mut warm = times.split_off(1);
        warm.sort_by(f64::total_cmp);
        Ok(Measured { ms: warm.get(warm.len() / 2).copied().unwrap_or(f64::INFINITY) })
    }
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
