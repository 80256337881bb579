//! A visitor's own images beside the shipped gallery: indexed on their device, searched with the gallery or alone, and written as a
//! gallery of their own.

use std::collections::HashSet;

use serde::Deserialize;

use crate::bundle::{
    FileEntry, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, SelfTest, hashed_name, sha256_hex,
};
use crate::engine::Engine;
use crate::error::{ModelError, Result};
use crate::gallery::{Chunk, Gallery, ImageMeta, MAX_CHUNK_IMAGES, encode_chunk, encode_metadata};
use crate::retrieval::EncodedImages;

/// Most own images: as many as one chunk holds.
pub const MOST_OWN: usize = MAX_CHUNK_IMAGES;

/// Images that a written gallery's self-test compares.
const SELF_TEST_IMAGES: usize = 10;

/// How far a score may be off on another device, where the shipped bundle does not say.
const TOLERANCE: f32 = 0.01;

/// Images of one file of metadata: what is read at a time.
const METADATA_IMAGES: usize = 512;

/// Which images a search ranks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The shipped gallery and the visitor's own images together.
    #[default]
    Both,
    /// The visitor's own images.
    Own,
    /// The shipped gallery.
    Shipped,
}

/// A gallery of own images as files: `bundle.json`, and what it names beside weights, vocabulary and thumbnails.
#[derive(Debug)]
pub struct OwnBundle {
    /// The text of `bundle.json`.
    pub manifest: String,
    /// Path and content of each file.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Manifest {
    /// The model, for people: its architecture, and its weights' number format.
    pub fn model(&self) -> String {
        let width = self.weights.first().map(|weights| format!(", {:?}", weights.code_width));
        format!("{}{}", self.architecture, width.unwrap_or_default())
    }

    /// Names the form of this bundle's target tokens, 16 hex digits: where two bundles give the same name, the target tokens of an
    /// image are the same.
    pub fn row_form(&self) -> String {
        let weights = self.weights.iter().map(|entry| &*entry.file.sha256);
        let all: Vec<&str> = weights.collect();
        let text = format!("{} {} {} {}", all.join(" "), self.config, self.gallery.tokens, self.gallery.width);
        let hash = sha256_hex(text.as_bytes());
        hash.get(..16).unwrap_or(&hash).to_owned()
    }

    /// The same model with another gallery. What was measured on the gallery before, and shown of it, goes with it.
    #[must_use]
    pub fn with_gallery(&self, gallery: GalleryEntry, self_test: SelfTest) -> Self {
        Self {
            product_version: env!("CARGO_PKG_VERSION").to_owned(),
            gallery,
            self_test: Some(self_test),
            measured: serde_json::Value::Null,
            suggestions: Vec::new(),
            opening: None,
            closeness: None,
            ..self.clone()
        }
    }
}

impl Engine {
    /// The target tokens of one image as a chunk of the gallery's form: what [`Engine::add_own`] takes, of this engine or of
    /// another one of the same bundle.
    ///
    /// # Errors
    /// [`ModelError::Device`] when the device does not answer.
    pub async fn index(&self, image: &EncodedImages) -> Result<Vec<u8>> {
        let rows = self.retrieval().target_rows(image).await?;
        let (model, width) = (self.config().target_tokens, self.config().projection);
        // A gallery may keep fewer tokens an image than the model makes.
        let kept = self.gallery().shape().map_or(model, |(tokens, _)| tokens.min(model));
        let own =
            rows.get(..kept * width).filter(|_| rows.len() == model * width).ok_or_else(|| ModelError::Query {
                problem: format!("{} values are not one image's {model} tokens of width {width}", rows.len()),
                mend: "index one image at a time".into(),
            })?;
        encode_chunk(own, kept, width)
    }

    /// The images that a search is kept to; none where it ranks all of them.
    pub fn within(&self, scope: Scope) -> Option<HashSet<u32>> {
        let (shipped, all) = (self.shipped(), self.gallery().len() as u32);
        match scope {
            Scope::Own => Some((shipped..all).collect()),
            Scope::Shipped if all > shipped => Some((0..shipped).collect()),
            Scope::Both | Scope::Shipped => None,
        }
    }

    /// The own images as a bundle that a site can show: the model of `shipped`, and a gallery of `images`, which are the own
    /// images in order.
    ///
    /// # Errors
    /// [`ModelError::Format`] where `images` are not as many as there are own images, or one would be refused by a reader;
    /// [`ModelError::Query`] without own images; as [`Engine::compose`].
    pub async fn own_bundle(&self, shipped: &Manifest, images: &[ImageMeta], title: &str) -> Result<OwnBundle> {
        let gallery = self.own_gallery(images.len())?;
        let mut files = Vec::new();
        let mut file = |stem: &str, ext: &str, content: Vec<u8>| {
            let entry = FileEntry::new(format!("gallery/{}", hashed_name(stem, ext, &content)), &content);
            files.push((entry.path.clone(), content));
            entry
        };
        let count = images.len() as u32;
        let chunk = file("tokens", "bin", gallery.1);
        let mut metadata = Vec::new();
        for (number, some) in images.chunks(METADATA_IMAGES).enumerate() {
            let first = (number * METADATA_IMAGES) as u32;
            let entry = file("meta", "json", encode_metadata(some)?);
            metadata.push(MetadataChunk { file: entry, first, count: some.len() as u32 });
        }
        let entry = GalleryEntry {
            count,
            chunks: vec![GalleryChunk { file: chunk, first: 0, count }],
            metadata,
            thumbnails: "thumbs/".into(),
            title: title.to_owned(),
            licence: String::new(),
            ..shipped.gallery.clone()
        };
        let test = self.test_of(&gallery.0, shipped.self_test.as_ref()).await?;
        Ok(OwnBundle { manifest: shipped.with_gallery(entry, test).to_json()?, files })
    }

    /// The own images as a gallery of their own, and as a chunk.
    fn own_gallery(&self, expected: usize) -> Result<(Gallery, Vec<u8>)> {
        let own = self.shipped()..self.gallery().len() as u32;
        if own.is_empty() || own.len() != expected {
            let problem = format!("{expected} images are described, there are {} own ones", own.len());
            return Err(ModelError::Query { problem, mend: "add images first, and describe each of them".into() });
        }
        let tokens: Vec<f32> = own.filter_map(|index| self.gallery().image(index)).flatten().collect();
        let (n, p) = self.gallery().shape().unwrap_or((self.config().target_tokens, self.config().projection));
        let bytes = encode_chunk(&tokens, n, p)?;
        let mut gallery = Gallery::new();
        gallery.push(Chunk::parse(&bytes)?)?;
        Ok((gallery, bytes))
    }

    /// The query that every device must answer as this one does.
    async fn test_of(&self, gallery: &Gallery, old: Option<&SelfTest>) -> Result<SelfTest> {
        let text = old.map_or("but in red", |test| &test.text).to_owned();
        let hits = gallery.search(&self.self_test_query(&text).await?, SELF_TEST_IMAGES, &[])?;
        let expected = hits.iter().map(|hit| (hit.index, hit.score)).collect();
        let score_tolerance = old.map_or(TOLERANCE, |test| test.score_tolerance);
        Ok(SelfTest { text, gallery_index: None, expected, score_tolerance })
    }
}
