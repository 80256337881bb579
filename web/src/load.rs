//! A bundle, from its address to checked bytes: `bundle.json` fresh from the network, everything that it promises from
//! the browser's storage or the network, with one total over all of it. Weights stay codes until the engine takes them.

use crate::error::{WebError, WebResult};
use crate::fetch::{Store, Wanted, join};
use futures_util::future::{try_join, try_join_all};
use js_sys::Function;
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use thisbut_model::bundle::{FileEntry, Manifest};
use thisbut_model::gallery::{ImageMeta, parse_metadata};
use thisbut_model::quant::StoredWeights;
use wasm_bindgen::JsValue;

/// Weights files that are held at a time: memory that a module has taken once is never given back.
const IN_FLIGHT: usize = 2;

/// A bundle's files, checked against its manifest.
pub struct Files {
    /// `bundle.json`.
    pub manifest: Manifest,
    /// What the page offers to type; more than the manifest type knows (see [`suggestions`]).
    pub suggestions: serde_json::Value,
    /// What the weights files hold.
    pub weights: StoredWeights,
    /// The tokeniser's vocabulary.
    pub vocab: Vec<u8>,
    /// Gallery chunks, in order.
    pub chunks: Vec<Vec<u8>>,
    /// What is shown with each image.
    pub items: Vec<ImageMeta>,
    /// Where files are kept.
    pub store: Store,
    /// Bytes of all of these.
    pub bytes: u64,
    /// Of these, fetched now.
    pub fetched: u64,
}

#[derive(Serialize)]
struct Step {
    stage: &'static str,
    loaded: f64,
    total: f64,
}

/// Tells the page how far loading is, at most a few hundred times.
pub struct Progress {
    emit: Function,
    total: u64,
    loaded: Cell<u64>,
    shown: Cell<u64>,
}

impl Progress {
    fn new(emit: Function, total: u64) -> Rc<Self> {
        Rc::new(Self { emit, total, loaded: Cell::new(0), shown: Cell::new(0) })
    }

    fn add(&self, bytes: u64) {
        let loaded = (self.loaded.get() + bytes).min(self.total);
        self.loaded.set(loaded);
        if loaded == self.total || loaded - self.shown.get() >= self.total / 200 {
            self.shown.set(loaded);
            self.show("files");
        }
    }

    /// Says what is going on; the bytes stay as they are.
    pub fn show(&self, stage: &'static str) {
        let step = Step { stage, loaded: self.loaded.get() as f64, total: self.total as f64 };
        if let Ok(value) = serde_wasm_bindgen::to_value(&step) {
            // A page that cannot be told goes on loading all the same.
            self.emit.call1(&JsValue::NULL, &value).ok();
        }
    }
}

/// Bytes of all files of a bundle, once `bundle.json` alone shows that its configuration is one that can be built, that its
/// files are of the sizes that the configuration asks for, and that a module can hold them. Nothing is fetched before.
fn affordable(manifest: &Manifest) -> WebResult<u64> {
    manifest.retrieval_config("bundle.json")?;
    let total = manifest.files().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
    match usize::try_from(total) {
        Ok(_) => Ok(total),
        Err(_) => {
            let problem = format!("bundle.json: its files have {total} bytes, more than a page can address");
            Err(WebError::new("format", problem, "publish fewer images, or a smaller model"))
        }
    }
}

/// Fetches a whole bundle.
///
/// # Errors
/// Kinds `missing`, `network`, `checksum`, `format` and `version`.
pub async fn files(
    bundle: &str,
    fresh: bool,
    manifest: Option<String>,
    emit: Function,
) -> WebResult<(Files, Rc<Progress>)> {
    let store = Store::open(fresh).await;
    let index = join(bundle, "bundle.json")?;
    let text = match manifest {
        Some(text) => {
            store.keep_text(&index, &text).await;
            text
        }
        None => store.fresh_text(&index, "bundle.json").await?,
    };
    let manifest = Manifest::parse(text.as_bytes())?;
    let total = affordable(&manifest)?;
    let progress = Progress::new(emit, total);
    progress.show("files");
    let fetched = Cell::new(0);
    let (files, fetched_now, progress_now) = (&store, &fetched, &progress);
    let get = &|entry: &FileEntry| {
        let wanted = Wanted::of(bundle, entry);
        async move {
            let wanted = wanted?;
            let (body, from_network) = files.file(&wanted, |bytes| progress_now.add(bytes)).await?;
            if from_network {
                fetched_now.set(fetched_now.get() + body.len() as u64);
            }
            Ok::<_, WebError>(body)
        }
    };
    let weights = async {
        let mut weights = StoredWeights::default();
        for some in manifest.weights.chunks(IN_FLIGHT) {
            for body in try_join_all(some.iter().map(|entry| get(&entry.file))).await? {
                weights.add(&body)?;
            }
        }
        Ok::<_, WebError>(weights)
    };
    let others = try_join_all(manifest.files().skip(manifest.weights.len()).map(get));
    let (weights, bodies) = try_join(weights, others).await?;
    let mut bodies = bodies.into_iter();
    let mut take = |count: usize| bodies.by_ref().take(count).collect::<Vec<_>>();
    let vocab = take(1)
        .pop()
        .ok_or_else(|| WebError::new("format", "bundle.json: names no vocabulary", "publish the whole bundle again"))?;
    let chunks = take(manifest.gallery.chunks.len());
    let mut items = Vec::with_capacity(manifest.gallery.count as usize);
    for (entry, body) in manifest.gallery.metadata.iter().zip(take(manifest.gallery.metadata.len())) {
        items.extend(parse_metadata(&body, entry.count as usize)?);
    }
    let references = items.iter().filter_map(|item| item.reference.as_ref());
    let named = manifest.files().chain(references).map(|file| join(bundle, &file.path));
    let wanted = named.chain([Ok(index)]).collect::<WebResult<Vec<String>>>()?;
    store.prune(bundle, &wanted).await;
    let suggestions = manifest.suggestions.iter().cloned().map(serde_json::Value::String).collect();
    let fetched = fetched.get();
    Ok((Files { manifest, suggestions, weights, vocab, chunks, items, store, bytes: total, fetched }, progress))
}
