//! Files over HTTP, streamed with progress, stored in the browser's Cache and checked before they are used.
//! A browser that refuses storage (private windows, full disks) still works: every cache step may fail.

use crate::error::{WebError, WebResult, thrown};
use gloo_net::http::Request;
use js_sys::{Reflect, Uint8Array};
use thisbut_model::bundle::{FileEntry, MAX_BYTES};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, ReadableStream, ReadableStreamDefaultReader, RequestCache, Response, Url, WorkerGlobalScope};

/// Name of the Cache; the number changes when the way of storing does.
const CACHE: &str = "thisbut-bundle-v1";

/// The absolute address of `path` in the folder at `folder`, which ends in a slash.
///
/// # Errors
/// Kind `runtime` where `folder` is no absolute address.
pub fn join(folder: &str, path: &str) -> WebResult<String> {
    Url::new_with_base(path, folder).map(|url| url.href()).map_err(|e| {
        WebError::new(
            "runtime",
            format!("{path} in {folder}: {}", thrown(&e)),
            "give the bundle's folder as an address",
        )
    })
}

/// One file that a bundle promises.
pub struct Wanted {
    /// Absolute address.
    pub url: String,
    /// Its path in the bundle, size and SHA-256.
    entry: FileEntry,
}

impl Wanted {
    /// A file of the bundle at the address `bundle`.
    ///
    /// # Errors
    /// Those of [`join`].
    pub fn of(bundle: &str, entry: &FileEntry) -> WebResult<Self> {
        Ok(Self { url: join(bundle, &entry.path)?, entry: entry.clone() })
    }
}

/// The browser's storage for bundle files, if it gives any.
#[derive(Clone)]
pub struct Store(Option<Cache>);

impl Store {
    /// Opens the storage; `fresh` empties it first.
    pub async fn open(fresh: bool) -> Self {
        let open = async {
            let scope = js_sys::global().dyn_into::<WorkerGlobalScope>().ok()?;
            let caches = scope.caches().ok()?;
            if fresh {
                // Nothing stored is the same as nothing to delete.
                JsFuture::from(caches.delete(CACHE)).await.ok();
            }
            JsFuture::from(caches.open(CACHE)).await.ok()?.dyn_into::<Cache>().ok()
        };
        Self(open.await)
    }

    async fn get(&self, url: &str) -> Option<Vec<u8>> {
        let found = JsFuture::from(self.0.as_ref()?.match_with_str(url)).await.ok()?.dyn_into::<Response>().ok()?;
        let buffer = JsFuture::from(found.array_buffer().ok()?).await.ok()?;
        Some(Uint8Array::new(&buffer).to_vec())
    }

    async fn put(&self, url: &str, body: &[u8]) {
        let Some(cache) = &self.0 else { return };
        let Ok(response) = Response::new_with_opt_js_u8_array(Some(&Uint8Array::from(body))) else { return };
        JsFuture::from(cache.put_with_str(url, &response)).await.ok();
    }

    async fn forget(&self, url: &str) {
        let Some(cache) = &self.0 else { return };
        JsFuture::from(cache.delete_with_str(url)).await.ok();
    }

    /// Lets go of what is stored from `folder` and not in `wanted`: files of an older version of the bundle.
    pub async fn prune(&self, folder: &str, wanted: &[String]) {
        let Some(cache) = &self.0 else { return };
        let Ok(keys) = JsFuture::from(cache.keys()).await else { return };
        for key in js_sys::Array::from(&keys).iter() {
            let Ok(request) = key.dyn_into::<web_sys::Request>() else { continue };
            let url = request.url();
            if url.starts_with(folder) && !wanted.contains(&url) {
                self.forget(&url).await;
            }
        }
    }

    /// A text of a manifest's size at most that must be fresh: from the network, never from HTTP's cache; the stored copy
    /// only when there is no network.
    ///
    /// # Errors
    /// Kind `missing` where the server has no such file, `network` where nothing answers and nothing is stored, `format`
    /// where it is longer than any manifest.
    pub async fn fresh_text(&self, url: &str, name: &str) -> WebResult<String> {
        let answer = Request::get(url).cache(RequestCache::NoStore).send().await;
        let problem = match answer {
            Ok(answer) if answer.ok() => match pieces(answer.body(), name, MAX_BYTES as u64, &mut |_| ()).await {
                Ok(body) if body.len() > MAX_BYTES => {
                    let problem = format!("{name}: it has more than {MAX_BYTES} bytes");
                    return Err(WebError::new("format", problem, "publish the whole bundle again"));
                }
                Ok(body) => {
                    self.put(url, &body).await;
                    return Ok(String::from_utf8_lossy(&body).into_owned());
                }
                Err(problem) => problem,
            },
            Ok(answer) => status(name, answer.status()),
            Err(e) => WebError::network(name, &e.to_string()),
        };
        match self.get(url).await {
            Some(stored) if problem.kind == "network" => Ok(String::from_utf8_lossy(&stored).into_owned()),
            _ => Err(problem),
        }
    }

    /// Keeps a text that the page has fetched itself.
    pub async fn keep_text(&self, url: &str, text: &str) {
        self.put(url, text.as_bytes()).await;
    }

    /// A file of the bundle, checked. `count` gets the bytes as they come. The flag says whether it was fetched (and
    /// not found stored).
    ///
    /// # Errors
    /// Kind `missing`, `network`, or `checksum` where size or SHA-256 differ from what the bundle promises.
    pub async fn file(&self, wanted: &Wanted, mut count: impl FnMut(u64)) -> WebResult<(Vec<u8>, bool)> {
        if let Some(stored) = self.get(&wanted.url).await {
            if wanted.entry.verify(&stored).is_ok() {
                count(stored.len() as u64);
                return Ok((stored, false));
            }
            self.forget(&wanted.url).await;
        }
        let mut counted = 0;
        let first = stream(wanted, &mut |bytes| (counted += bytes, count(bytes)).1, RequestCache::Default).await;
        let body = match first.and_then(|body| checked(wanted, body)) {
            Ok(body) => body,
            // A damaged copy or an old error may sit in HTTP's cache: ask the server itself before giving up.
            Err(_) => {
                let mut again = 0;
                let mut rest = |bytes: u64| {
                    again += bytes;
                    let more = again.saturating_sub(counted).min(bytes);
                    count(more);
                };
                checked(wanted, stream(wanted, &mut rest, RequestCache::Reload).await?)?
            }
        };
        self.put(&wanted.url, &body).await;
        Ok((body, true))
    }
}

fn status(name: &str, code: u16) -> WebError {
    if (400..500).contains(&code) {
        WebError::new(
            "missing",
            format!("{name}: the server answers {code}"),
            "publish the whole bundle folder beside the page",
        )
    } else {
        WebError::network(name, &format!("the server answers {code}"))
    }
}

/// Asks for a file and reads what comes.
async fn stream(wanted: &Wanted, count: &mut impl FnMut(u64), cache: RequestCache) -> WebResult<Vec<u8>> {
    let name = &wanted.entry.path;
    let answer =
        Request::get(&wanted.url).cache(cache).send().await.map_err(|e| WebError::network(name, &e.to_string()))?;
    if !answer.ok() {
        return Err(status(name, answer.status()));
    }
    pieces(answer.body(), name, wanted.entry.bytes, count).await
}

/// The body of an answer, piece by piece. One that is longer than `most` bytes is given up behind them.
async fn pieces(
    body: Option<ReadableStream>,
    name: &str,
    most: u64,
    count: &mut impl FnMut(u64),
) -> WebResult<Vec<u8>> {
    let failed = |e: JsValue| WebError::network(name, &thrown(&e));
    let mut bytes = Vec::with_capacity(usize::try_from(most).unwrap_or(0).min(1 << 30));
    let Some(pipe) = body else { return Ok(bytes) };
    let reader: ReadableStreamDefaultReader = pipe.get_reader().unchecked_into();
    loop {
        let part = JsFuture::from(reader.read()).await.map_err(failed)?;
        if Reflect::get(&part, &"done".into()).map_err(failed)?.is_truthy() {
            return Ok(bytes);
        }
        let piece: Uint8Array = Reflect::get(&part, &"value".into()).map_err(failed)?.unchecked_into();
        let start = bytes.len();
        bytes.resize(start + piece.length() as usize, 0);
        if let Some(tail) = bytes.get_mut(start..) {
            piece.copy_to(tail);
        }
        if bytes.len() as u64 > most {
            // Longer than promised: the rest cannot make it right.
            JsFuture::from(reader.cancel()).await.ok();
            return Ok(bytes);
        }
        count(u64::from(piece.length()));
    }
}

/// `body`, once its size and SHA-256 are what the bundle promises.
fn checked(wanted: &Wanted, body: Vec<u8>) -> WebResult<Vec<u8>> {
    match wanted.entry.verify(&body) {
        Ok(()) => Ok(body),
        // A file of another size is as damaged as one of another hash.
        Err(damaged) => Err(WebError { kind: "checksum", ..WebError::from(damaged) }),
    }
}
