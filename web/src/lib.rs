//! The query engine in a browser worker: loads a bundle, chooses the device, answers the page's messages.
//! Everything that computes is `thisbut_model`; this crate only binds it. Built for wasm alone, once with feature
//! `cpu` and once with `webgpu`.
#![cfg(target_arch = "wasm32")]

mod device;
mod error;
mod fetch;
mod load;
mod own;
mod protocol;
mod session;

use error::{WebError, WebResult};
use js_sys::Function;
use protocol::{Load, Request};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

thread_local! {
    /// The loaded engine. A worker has one; a new bundle or device gets a new worker.
    static SESSION: RefCell<Option<Rc<session::Session>>> = const { RefCell::new(None) };
}

/// Milliseconds since the worker started; `std::time::Instant` does not exist in browsers.
pub(crate) fn now() -> f64 {
    js_sys::global()
        .dyn_into::<web_sys::WorkerGlobalScope>()
        .ok()
        .and_then(|scope| scope.performance())
        .map_or(0.0, |p| p.now())
}

/// Runs when the module is instantiated: a panic says what happened before the worker stops.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        console_error_panic_hook::hook(info);
        error::post_fatal(&info.to_string());
    }));
}

/// Loads a bundle and its engine; `progress` is called with `{stage, loaded, total}`.
///
/// # Errors
/// `{kind, message, mend}`.
#[wasm_bindgen]
pub async fn load(request: JsValue, progress: Function) -> Result<JsValue, JsValue> {
    async {
        let request: Load = protocol::read(request)?;
        let (session, info) = session::Session::open(request, progress).await?;
        SESSION.with_borrow_mut(|slot| *slot = Some(Rc::new(session)));
        protocol::write(&info)
    }
    .await
    .map_err(WebError::into_js)
}

/// Answers one message of the page: see `protocol::Request`.
///
/// # Errors
/// `{kind, message, mend}`.
#[wasm_bindgen]
pub async fn handle(request: JsValue) -> Result<JsValue, JsValue> {
    answer(request).await.map_err(WebError::into_js)
}

async fn answer(request: JsValue) -> WebResult<JsValue> {
    let session = SESSION
        .with_borrow(Clone::clone)
        .ok_or_else(|| WebError::new("runtime", "the engine is not loaded", "send a load message first"))?;
    match protocol::read(request)? {
        Request::Encode(image) => protocol::write(&session.encode(image).await?),
        Request::Refer(image) => protocol::write(&session.refer(image).await?),
        Request::Query(query) => protocol::write(&session.query(query).await?),
        Request::Explain(of) => protocol::write(&session.explain(of).await?),
        Request::Browse(page) => protocol::write(&session.browse(&page)?),
        Request::Index(image) => protocol::write(&session.index(image).await?),
        Request::Add(images) => protocol::write(&session.add(images)?),
        Request::Forget {} => protocol::write(&session.forget()?),
        Request::Publish(own) => protocol::write(&session.publish(own).await?),
        Request::Measure {} => protocol::write(&session.measure().await?),
    }
}
