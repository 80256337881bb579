//! Errors as the page reads them: a kind to act on, a message, and what to do.

use serde::Serialize;
use thisbut_model::ModelError;
use wasm_bindgen::prelude::*;

/// An error on its way to the page. `kind` is one of: network, missing, checksum, format, version, image, query,
/// reference, unreachable, device, runtime.
#[derive(Clone, Debug, Serialize)]
pub struct WebError {
    /// What the page can act on.
    pub kind: &'static str,
    /// What happened, with the thing and the place.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}

/// This crate's result.
pub type WebResult<T> = Result<T, WebError>;

impl WebError {
    /// An error of `kind`.
    pub fn new(kind: &'static str, message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { kind, message: message.into(), mend: mend.into() }
    }

    /// A failed request.
    pub fn network(place: &str, problem: &str) -> Self {
        Self::new("network", format!("{place}: {problem}"), "check the connection and try again")
    }

    /// The same error, of a file that only one gallery image needs: everything else goes on.
    pub fn of_reference(self) -> Self {
        let kind = if matches!(self.kind, "network" | "missing") { "unreachable" } else { "reference" };
        Self { kind, mend: "try again, or choose another image".into(), ..self }
    }

    /// `{kind, message, mend}`, or the bare message where even that cannot be built.
    pub fn into_js(self) -> JsValue {
        serde_wasm_bindgen::to_value(&self).unwrap_or_else(|_| JsValue::from_str(&self.message))
    }
}

impl From<ModelError> for WebError {
    fn from(error: ModelError) -> Self {
        let message = error.to_string();
        let (kind, mend) = match error {
            ModelError::Config { mend, .. }
            | ModelError::Format { mend, .. }
            | ModelError::NumberFormat { mend, .. }
            | ModelError::Weights { mend, .. } => ("format", mend),
            ModelError::Version { mend, .. } => ("version", mend),
            ModelError::Checksum { mend, .. } => ("checksum", mend),
            ModelError::Image { mend, .. } => ("image", mend),
            ModelError::Query { mend, .. } => ("query", mend),
            ModelError::NoAttention { .. } => ("query", "use a model of another family".into()),
            ModelError::Device { mend, .. } => ("device", mend),
        };
        Self { kind, message, mend }
    }
}

/// Anything that JavaScript threw.
pub fn thrown(value: &JsValue) -> String {
    value
        .dyn_ref::<js_sys::Error>()
        .map(|error| String::from(error.message()))
        .or_else(|| value.as_string())
        .unwrap_or_else(|| format!("{value:?}"))
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = postMessage)]
    fn post_message(message: &JsValue);
}

#[derive(Serialize)]
struct Fatal {
    event: &'static str,
    error: WebError,
}

/// Tells the page that this worker is finished: a panic leaves the module (and a WebGPU runtime) unusable.
pub fn post_fatal(message: &str) {
    let error = WebError::new("runtime", message, "the page starts a new worker");
    if let Ok(value) = serde_wasm_bindgen::to_value(&Fatal { event: "fatal", error }) {
        post_message(&value);
    }
}
