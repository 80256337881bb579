//! One loaded bundle and its engine, and what the page may ask of it.

use crate::error::{WebError, WebResult};
use crate::fetch::{Store, Wanted, join};
use crate::load::{self, Files};
use crate::protocol::{
    Browse, Encode, Encoded, Explain, Found, Info, Item, Load, LoadTimings, Measured, OwnItem, Page, Query,
    QueryTimings, Refer,
};
use crate::{device, now};
use js_sys::Function;
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use thisbut_model::ask::{Ask, EVEN};
use thisbut_model::bundle::{Best, Manifest};
use thisbut_model::engine::{Engine, Reference};
use thisbut_model::gallery::{Chunk, Extra, Hit, ImageMeta, facets, having, largest_reference, varied};
use thisbut_model::image::{Rgba, jpeg};
use thisbut_model::retrieval::EncodedImages;
use thisbut_model::why::Explanation;

/// Images whose tokens are kept: a visitor steps back and forth between a few.
const KEPT: usize = 12;
/// Words that a search can be kept to.
const FACETS: usize = 24;
/// Bytes of a page of WebAssembly memory.
const PAGE: f64 = 65_536.0;
/// Most results that one query gives.
const MOST: usize = 5000;
/// Rounds of [`Session::measure`]; the first warms up.
const ROUNDS: usize = 4;

/// The engine with the texts and pictures around it.
pub struct Session {
    /// A question holds the engine as it was when it was asked: own images may be added meanwhile.
    pub(crate) engine: RefCell<Rc<Engine>>,
    items: Vec<ImageMeta>,
    /// The visitor's own images, in the order in which the engine has them.
    pub(crate) own: RefCell<Vec<OwnItem>>,
    pub(crate) manifest: Manifest,
    bundle: String,
    pictures: String,
    store: Store,
    pub(crate) kept: RefCell<VecDeque<(String, Rc<Reference>)>>,
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
        let Files { manifest, suggestions, weights: stored, vocab, chunks, items, store, bytes, fetched: new_bytes } =
            files;
        let vocab = String::from_utf8(vocab)
            .map_err(|_| WebError::new("format", "the vocabulary is not UTF-8", "publish the bundle again"))?;
        let mut engine = Engine::from_bundle(&manifest, stored, &vocab, &device)?;
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
            facets: facets(&items, FACETS),
            why: engine.config().method.family().attends(),
            rows: manifest.row_form(),
            bytes: bytes as f64,
            fetched: new_bytes as f64,
            memory: core::arch::wasm32::memory_size(0) as f64 * PAGE,
            timings: LoadTimings { fetch: fetched - began, build: built - fetched, self_test: tested - built },
        };
        let pictures = join(&request.bundle, &manifest.gallery.thumbnails)?;
        let (engine, bundle) = (RefCell::new(Rc::new(engine)), request.bundle);
        let (own, kept) = (RefCell::default(), RefCell::default());
        Ok((Self { engine, items, own, manifest, bundle, pictures, store, kept }, info))
    }

    /// The engine as it is now.
    pub(crate) fn engine(&self) -> Rc<Engine> {
        Rc::clone(&self.engine.borrow())
    }

    fn item(&self, index: usize, score: Option<f32>) -> Option<Item> {
        if let Some(at) = index.checked_sub(self.items.len()) {
            let OwnItem { title, image } = self.own.borrow().get(at)?.clone();
            let (tags, changes, extra) = (Vec::new(), Vec::new(), Extra::default());
            return Some(Item { index, own: true, title, image, tags, changes, extra, score });
        }
        let meta = self.items.get(index)?;
        // The metadata's reader has refused every name that leads elsewhere.
        let image = format!("{}{}", self.pictures, meta.thumb);
        let (title, tags, changes) = (meta.title.clone(), meta.tags.clone(), meta.changes.clone());
        let extra = meta.extra.clone();
        Some(Item { index, own: false, title, image, tags, changes, extra, score })
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
    /// Kind `image` for pixels that do not fit their size, and for a JPEG of which a part is missing.
    pub async fn encode(&self, image: Encode) -> WebResult<Encoded> {
        let began = now();
        let encoded = read(&self.engine(), &image)?;
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
        let engine = self.engine();
        let config = engine.config();
        if file.bytes > largest_reference(config.image_tokens(), config.image_width()) {
            let problem = format!("{}: {} bytes are too many for an image's tokens", file.path, file.bytes);
            return Err(WebError::new("reference", problem, "index the gallery again"));
        }
        let fetched =
            self.store.file(&Wanted::of(&self.bundle, file)?, |_| ()).await.map_err(WebError::of_reference)?;
        let encoded = engine.retrieval().reference(&fetched.0).map_err(|e| WebError::from(e).of_reference())?;
        self.keep(image.key, encoded, began).await
    }

    async fn keep(&self, name: String, encoded: EncodedImages, began: f64) -> WebResult<Encoded> {
        let reference = self.engine().reference(encoded).await?;
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
        let (began, engine) = (now(), self.engine());
        let first = query.key.as_deref().map(|key| (key, query.chosen));
        let others = query.others.iter().map(|other| (other.key.as_str(), other.chosen));
        let (mut shown, mut exclude) = (Vec::new(), Vec::new());
        for (key, chosen) in first.into_iter().chain(others) {
            let reference = self.shown(key)?;
            exclude.extend(engine.excluded(Some(&reference), chosen, &query.text));
            shown.push(reference);
        }
        let references: Vec<&Reference> = shown.iter().map(Rc::as_ref).collect();
        let among = self.among(&engine, &query);
        let ask = Ask {
            references: &references,
            text: &query.text,
            without: &query.without,
            balance: query.balance.unwrap_or(EVEN),
            among: among.as_ref(),
        };
        let limit = query.limit.min(MOST);
        let (hits, composed) = match engine.is_plain(&ask) {
            true => {
                let vector = engine.compose_from(references.first().copied(), &query.text).await?;
                let composed = now();
                (engine.search(&vector, limit, &exclude)?, composed)
            }
            false => (engine.ask(&ask, limit, &exclude).await?, now()),
        };
        let far = self.is_far(&engine, &ask, query.chosen, &hits);
        let hits: Vec<Item> =
            hits.iter().filter_map(|Hit { index, score }| self.item(*index as usize, Some(*score))).collect();
        let cut = engine.retrieval().texts().cuts(&query.text, !shown.is_empty());
        Ok(Found { hits, far, cut, timings: QueryTimings { compose: composed - began, search: now() - composed } })
    }

    /// The images that a search ranks, where these are not all.
    fn among(&self, engine: &Engine, query: &Query) -> Option<HashSet<u32>> {
        let within = engine.within(query.scope);
        if query.only.is_empty() {
            return within;
        }
        let mut named = having(&self.items, &query.only);
        named.retain(|index| within.as_ref().is_none_or(|some| some.contains(index)));
        Some(named)
    }

    /// Whether nothing is close, as far as the bundle's figures say: they are of one picture with words, and of one alone.
    fn is_far(&self, engine: &Engine, ask: &Ask<'_>, chosen: Option<u32>, hits: &[Hit]) -> bool {
        let (Some(closeness), [reference]) = (self.manifest.closeness, ask.references) else { return false };
        let said = !engine.retrieval().texts().tokens(ask.text).is_empty();
        let composed = hits.first().filter(|_| said && engine.is_plain(ask)).map(|hit| hit.score);
        closeness.is_far(Best { composed, image: reference.nearest().filter(|_| chosen.is_none()) })
    }

    /// What counted in the query of an encoded image with words.
    ///
    /// # Errors
    /// Kind `query` for a model without attention to tell and for words that are none; `device` where the device stopped answering.
    pub async fn explain(&self, of: Explain) -> WebResult<Explanation> {
        let (engine, shown) = (self.engine(), self.shown(&of.key)?);
        Ok(engine.explain(&shown, (of.width, of.height), &of.text, &of.phrases).await?)
    }

    /// A window over the gallery, in an order that shows its variety.
    ///
    /// # Errors
    /// None today.
    pub fn browse(&self, page: &Browse) -> WebResult<Page> {
        let total = self.items.len();
        let items = (page.offset..page.offset.saturating_add(page.limit.min(total).min(MOST)))
            .filter_map(|position| self.item(varied(position, total)?, None))
            .collect();
        Ok(Page { items, total })
    }

    /// Times a composed query, image included.
    ///
    /// # Errors
    /// Kind `device` where the device stopped answering.
    pub async fn measure(&self) -> WebResult<Measured> {
        let (mut times, engine) = (Vec::with_capacity(ROUNDS), self.engine());
        for _ in 0..ROUNDS {
            let began = now();
            let vector = engine.self_test_query("the same but red").await?;
            engine.search(&vector, 24, &[])?;
            times.push(now() - began);
        }
        let mut warm = times.split_off(1);
        warm.sort_by(f64::total_cmp);
        Ok(Measured { ms: warm.get(warm.len() / 2).copied().unwrap_or(f64::INFINITY) })
    }
}

/// An image's tokens; a JPEG of which a part is missing is refused.
pub(crate) fn read(engine: &Engine, image: &Encode) -> WebResult<EncodedImages> {
    if let Some(file) = &image.file {
        jpeg::whole(file, "the image")?;
    }
    Ok(engine.retrieval().encode_image(&Rgba::new(image.width, image.height, &image.rgba)?)?)
}
