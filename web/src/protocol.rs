//! The messages between page and worker (`www/element/link.js`), typed. Field names are the JavaScript ones.

use crate::error::{WebError, WebResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thisbut_model::gallery::{Extra, ImageMeta};
use thisbut_model::own::Scope;
use wasm_bindgen::JsValue;

/// `load`: fetch a bundle and start its engine.
#[derive(Deserialize)]
pub struct Load {
    /// Address of the folder with `bundle.json`, with its closing slash.
    pub bundle: String,
    /// `"cpu"` or `"webgpu"`; what this module was built for.
    pub device: String,
    /// Throw stored files away first.
    #[serde(default)]
    pub fresh: bool,
    /// The text of `bundle.json`, where the loader has fetched it already.
    #[serde(default)]
    pub manifest: Option<String>,
}

/// Every other message, told apart by `type`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Request {
    /// Read an image ahead of a query.
    Encode(Encode),
    /// Take a gallery image ahead of a query, in a bundle without an image encoder.
    Refer(Refer),
    /// Rank the gallery.
    Query(Query),
    /// What counted in a query.
    Explain(Explain),
    /// Items to start from.
    Browse(Browse),
    /// Read an image for the visitor's own gallery.
    Index(Encode),
    /// Search the visitor's own images too.
    Add(Add),
    /// Let go of all own images.
    Forget {},
    /// The own images as a bundle.
    Publish(Publish),
    /// Time one query, for the choice between CPU and WebGPU.
    Measure {},
}

/// `encode`: an image's pixels, and the key under which its tokens are kept. `index`: the same, and nothing is kept.
#[derive(Deserialize)]
pub struct Encode {
    /// Any string; the same key later means this image.
    pub key: String,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// RGBA, row by row, `width * height * 4` bytes.
    #[serde(with = "serde_bytes")]
    pub rgba: Vec<u8>,
    /// The file that a browser made them of, where it is a JPEG: browsers show one that is cut off.
    #[serde(default, with = "serde_bytes")]
    pub file: Option<Vec<u8>>,
}

/// `refer`: a gallery image, and the key under which its tokens are kept.
#[derive(Deserialize)]
pub struct Refer {
    /// As in `encode`.
    pub key: String,
    /// Position in the gallery.
    pub index: usize,
}

/// `query`: image, words, or both.
#[derive(Deserialize)]
pub struct Query {
    /// An encoded image, or none for a search by words alone.
    pub key: Option<String>,
    /// The gallery item that was chosen as the reference.
    pub chosen: Option<u32>,
    /// The modifier; empty means similar images.
    #[serde(default)]
    pub text: String,
    /// More images to start from.
    #[serde(default)]
    pub others: Vec<Other>,
    /// What is not wanted.
    #[serde(default)]
    pub without: Vec<String>,
    /// Between image (0) and words (1); even where it is missing.
    #[serde(default)]
    pub balance: Option<f32>,
    /// Only images whose title and tags have all of these words.
    #[serde(default)]
    pub only: Vec<String>,
    /// Which images are ranked.
    #[serde(default)]
    pub scope: Scope,
    /// How many results.
    pub limit: usize,
}

/// `explain`: an encoded image and words.
#[derive(Deserialize)]
pub struct Explain {
    /// As in `encode`.
    pub key: String,
    /// The modifier.
    pub text: String,
    /// Parts of it to look at as one.
    #[serde(default)]
    pub phrases: Vec<String>,
    /// Of the picture, in pixels.
    pub width: u32,
    /// Of the picture, in pixels.
    pub height: u32,
}

/// `add`: own images, with their rows from `index`.
#[derive(Deserialize)]
pub struct Add {
    /// What is shown with them.
    pub items: Vec<OwnItem>,
    /// A chunk of each image, in the same order.
    pub rows: Vec<serde_bytes::ByteBuf>,
}

/// An own image as the page shows it.
#[derive(Clone, Deserialize)]
pub struct OwnItem {
    /// For people.
    pub title: String,
    /// Address of its picture; the page's own, and never fetched here.
    pub image: String,
}

/// `publish`: what a bundle of the own images says of them.
#[derive(Deserialize)]
pub struct Publish {
    /// Name of the collection.
    pub title: String,
    /// The own images, in order.
    pub images: Vec<ImageMeta>,
}

/// One more image that a query starts from.
#[derive(Deserialize)]
pub struct Other {
    /// As in `Query`.
    pub key: String,
    /// As in `Query`.
    pub chosen: Option<u32>,
}

/// `browse`: a window over the gallery in a well-mixed order.
#[derive(Deserialize)]
pub struct Browse {
    /// First position.
    pub offset: usize,
    /// How many.
    pub limit: usize,
}

/// What `load` answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Info {
    /// Images in the gallery.
    pub count: usize,
    /// `"cpu"` or `"webgpu"`.
    pub device: &'static str,
    /// The model, for people.
    pub model: String,
    /// Version of the product that exported the bundle.
    pub version: String,
    /// Whether new images can be read; otherwise only the gallery's can be started from.
    pub upload: bool,
    /// Modifiers to offer.
    pub suggestions: serde_json::Value,
    /// Words that part the gallery, with the number of images that have each.
    pub facets: Vec<(String, usize)>,
    /// Whether the model can say what counted in a query.
    pub why: bool,
    /// Names the form of an own image's row: rows of another form are of another model.
    pub rows: String,
    /// Bytes of the bundle's files.
    pub bytes: f64,
    /// Of these, fetched now and not found stored.
    pub fetched: f64,
    /// Bytes of memory that the module has taken.
    pub memory: f64,
    /// Milliseconds.
    pub timings: LoadTimings,
}

/// Milliseconds of each step of loading.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadTimings {
    /// Fetching and checking files.
    pub fetch: f64,
    /// Starting the device and building the model.
    pub build: f64,
    /// The stored query with its expected ranking.
    pub self_test: f64,
}

/// What `index` answers.
#[derive(Serialize)]
pub struct Indexed {
    /// A gallery chunk of this one image.
    pub row: serde_bytes::ByteBuf,
    /// Milliseconds.
    pub ms: f64,
}

/// What `add` and `forget` answer.
#[derive(Serialize)]
pub struct Counted {
    /// Images that are searched: the gallery's and the visitor's own.
    pub count: usize,
    /// Of these, the own ones.
    pub own: usize,
}

/// What `publish` answers.
#[derive(Serialize)]
pub struct Published {
    /// The text of `bundle.json`.
    pub manifest: String,
    /// The gallery's files.
    pub files: Vec<PublishedFile>,
    /// Paths of the shipped bundle's files that belong to it: weights and vocabulary.
    pub shipped: Vec<String>,
}

/// One file of a bundle.
#[derive(Serialize)]
pub struct PublishedFile {
    /// Relative to `bundle.json`.
    pub path: String,
    /// Content.
    pub bytes: serde_bytes::ByteBuf,
}

/// What `encode` and `refer` answer.
#[derive(Serialize)]
pub struct Encoded {
    /// Milliseconds.
    pub ms: f64,
    /// Keys that were let go to make room.
    pub dropped: Vec<String>,
}

/// What `query` answers.
#[derive(Serialize)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Item>,
    /// Nothing is close: the model does not know what picture or words are.
    pub far: bool,
    /// The words' end was not read: the model has no room for it.
    pub cut: bool,
    /// Milliseconds.
    pub timings: QueryTimings,
}

/// Milliseconds of each step of a query.
#[derive(Serialize)]
pub struct QueryTimings {
    /// Image and words to one query vector.
    pub compose: f64,
    /// Scan and top-k.
    pub search: f64,
}

/// What `browse` answers.
#[derive(Serialize)]
pub struct Page {
    /// The window's items.
    pub items: Vec<Item>,
    /// Images in the gallery.
    pub total: usize,
}

/// An image of the gallery as the page shows it.
#[derive(Clone, Serialize)]
pub struct Item {
    /// Position in the gallery; the visitor's own images follow the shipped ones.
    pub index: usize,
    /// One of the visitor's own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own: bool,
    /// For people.
    pub title: String,
    /// Address of the picture.
    pub image: String,
    /// Words that describe it, for suggestions.
    pub tags: Vec<String>,
    /// Modifiers to offer with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// What the site owner's table says of it.
    #[serde(skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
    /// Similarity to the query, −1 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
}

/// What `measure` answers.
#[derive(Serialize)]
pub struct Measured {
    /// Median of one composed query, image included.
    pub ms: f64,
}

/// Reads a message.
///
/// # Errors
/// Kind `runtime`: page and module are of different builds.
pub fn read<T: DeserializeOwned>(value: JsValue) -> WebResult<T> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|e| WebError::new("runtime", format!("unreadable message: {e}"), "reload the page"))
}

/// Writes an answer as plain objects; bytes as a `Uint8Array`.
///
/// # Errors
/// Kind `runtime`.
pub fn write<T: Serialize>(value: &T) -> WebResult<JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible().serialize_bytes_as_arrays(false))
        .map_err(|e| WebError::new("runtime", format!("unwritable answer: {e}"), "reload the page"))
}
