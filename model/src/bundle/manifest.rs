//! `bundle.json`: what a bundle holds, and the checks before anything else of it is read.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::closeness::Closeness;
use super::files::{FileEntry, check_path, manifest_error};
use super::opening::Opening;
use super::self_test::SelfTest;
use crate::config::{RetrievalConfig, Size};
use crate::error::{ModelError, Result};
use crate::gallery::{MAX_DIMENSION, MAX_METADATA_BYTES, chunk_bytes};
use crate::number::NumberFormat;
use crate::quant::WEIGHT_FORMATS;

/// `format` of every manifest.
pub const FORMAT: &str = "thisbut-bundle";

/// Version of the bundle format that this build reads and writes.
pub const VERSION: u64 = 1;

/// Most bytes of a manifest; a gallery of a million images has less than one. What is read of its JSON takes up to eighty
/// times as much.
pub const MAX_BYTES: usize = 4 << 20;

/// Most weights files.
const MAX_WEIGHTS: usize = 4096;

/// Most bytes of all weights beside four for each of the model's parameters: the headers.
const WEIGHTS_OVERHEAD: u64 = 16 << 20;

/// Most bytes of a vocabulary; BERT's has 232 kB.
pub const MAX_VOCABULARY_BYTES: u64 = 8 << 20;

/// Most bytes of what a model is said to understand: a line or two.
pub const MAX_UNDERSTANDS: usize = 1000;

/// Most bytes of a gallery's chunks together.
const MAX_GALLERY_BYTES: u64 = 16 << 30;

/// Most bytes of its metadata together.
const MAX_GALLERY_METADATA_BYTES: u64 = 1 << 30;

/// The whole `bundle.json`. Fields that a reader doesn't know are ignored; a change that would mislead it raises
/// `version`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u64,
    /// Version of thisbut that wrote the bundle.
    pub product_version: String,
    /// Name of the architecture, such as `web-s`.
    pub architecture: String,
    /// Whether the image encoder is in it.
    #[serde(default, skip_serializing_if = "Form::is_full")]
    pub form: Form,
    /// What the model understands, for people: the kind of images, the model and what it was trained on, its licence. May be
    /// empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub understands: String,
    /// The architecture's whole configuration (`RetrievalConfig`), preprocessing included.
    pub config: Value,
    /// The weights, in load order.
    pub weights: Vec<WeightsEntry>,
    /// The tokeniser's vocabulary.
    pub vocab: VocabularyEntry,
    /// The images that can be found.
    pub gallery: GalleryEntry,
    /// A query with its expected answer; `null` only where the gallery is empty.
    #[serde(default)]
    pub self_test: Option<SelfTest>,
    /// Numbers measured at export through the quantized engine; for people.
    #[serde(default)]
    pub measured: Value,
    /// Modification texts that the page offers.
    #[serde(default)]
    pub suggestions: Vec<String>,
    /// What the page shows before the model is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opening: Option<Opening>,
    /// Scores below which nothing is close.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closeness: Option<Closeness>,
}

/// What a bundle can start a search from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Any image: the image encoder is in the bundle.
    #[default]
    Full,
    /// The gallery's images alone: there is no image encoder, and each image's tokens are a file
    /// ([`crate::gallery::ImageMeta::reference`]).
    GalleryReference,
}

impl Form {
    /// As `bundle.json` and the command line name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::GalleryReference => "gallery-reference",
        }
    }

    // By reference because serde calls it so.
    fn is_full(&self) -> bool {
        *self == Self::Full
    }
}

/// A weights file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightsEntry {
    /// The file.
    #[serde(flatten)]
    pub file: FileEntry,
    /// Number format of its large tensors, one of [`WEIGHT_FORMATS`].
    pub code_width: NumberFormat,
}

/// The vocabulary file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VocabularyEntry {
    /// The file, one token a line.
    #[serde(flatten)]
    pub file: FileEntry,
}

/// The gallery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GalleryEntry {
    /// Images.
    pub count: u32,
    /// N, target tokens an image.
    pub tokens: usize,
    /// P, width of a token.
    pub width: usize,
    /// Target tokens; together images 0 to `count`, in order.
    pub chunks: Vec<GalleryChunk>,
    /// What is shown with the images; together images 0 to `count`, in order.
    pub metadata: Vec<MetadataChunk>,
    /// Folder of the thumbnails with a `/` at its end; an image's `thumb` follows.
    pub thumbnails: String,
    /// Name of the collection, for people.
    #[serde(default)]
    pub title: String,
    /// Licence and origin of the images, for people.
    #[serde(default)]
    pub licence: String,
}

/// A chunk of target tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GalleryChunk {
    /// The file.
    #[serde(flatten)]
    pub file: FileEntry,
    /// Number of its first image.
    pub first: u32,
    /// Its images.
    pub count: u32,
}

/// A chunk of metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataChunk {
    /// The file.
    #[serde(flatten)]
    pub file: FileEntry,
    /// Number of its first image.
    pub first: u32,
    /// Its images.
    pub count: u32,
}

impl Manifest {
    /// Of a full bundle of this version without a gallery; images keep all target tokens of the model.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the configuration cannot be written.
    pub fn of_model(config: &RetrievalConfig, weights: Vec<WeightsEntry>, vocab: FileEntry) -> Result<Self> {
        Ok(Self {
            format: FORMAT.into(),
            version: VERSION,
            product_version: env!("CARGO_PKG_VERSION").into(),
            architecture: config.name.clone(),
            form: Form::Full,
            understands: String::new(),
            config: serde_json::to_value(config).map_err(|e| manifest_error("config", &e.to_string()))?,
            weights,
            vocab: VocabularyEntry { file: vocab },
            gallery: GalleryEntry {
                count: 0,
                tokens: config.target_tokens,
                width: config.projection,
                chunks: Vec::new(),
                metadata: Vec::new(),
                thumbnails: "thumbs/".into(),
                title: String::new(),
                licence: String::new(),
            },
            self_test: None,
            measured: Value::Null,
            suggestions: Vec::new(),
            opening: None,
            closeness: None,
        })
    }

    /// Reads and checks `bundle.json`; format and version come before all else, so that a newer bundle is told apart
    /// from a broken one.
    ///
    /// # Errors
    /// [`ModelError::Format`] names the field; [`ModelError::Version`] for a version that this build doesn't read.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > MAX_BYTES {
            return Err(manifest_error("the file", &format!("{} bytes are more than {MAX_BYTES}", bytes.len())));
        }
        let value: Value = serde_json::from_slice(bytes).map_err(|e| manifest_error("the file", &e.to_string()))?;
        if value.get("format").and_then(Value::as_str) != Some(FORMAT) {
            return Err(manifest_error("format", &format!("it isn't \"{FORMAT}\"")));
        }
        let version = value.get("version").unwrap_or(&Value::Null);
        if version.as_u64() != Some(VERSION) {
            let newer = version.as_u64().is_some_and(|v| v > VERSION);
            let mend = if newer {
                "update the page's thisbut files (reload the page if they are already new)"
            } else {
                "export the bundle again with this version of thisbut"
            };
            let found: String = version.to_string().chars().take(40).collect();
            let (place, expected) = ("bundle.json".into(), VERSION.to_string());
            return Err(ModelError::Version { place, found, expected, mend: mend.into() });
        }
        let manifest: Self = serde_json::from_value(value).map_err(|e| manifest_error("the fields", &e.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as text, checked first.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn to_json(&self) -> Result<String> {
        self.check()?;
        let mut text = serde_json::to_string_pretty(self).map_err(|e| manifest_error("the fields", &e.to_string()))?;
        text.push('\n');
        Ok(text)
    }

    /// Every file but the thumbnails, in the order in which a reader wants them.
    pub fn files(&self) -> impl Iterator<Item = &FileEntry> {
        let weights = self.weights.iter().map(|entry| &entry.file);
        let chunks = self.gallery.chunks.iter().map(|entry| &entry.file);
        let metadata = self.gallery.metadata.iter().map(|entry| &entry.file);
        weights.chain([&self.vocab.file]).chain(chunks).chain(metadata)
    }

    /// The architecture, checked, and that weights and gallery are of its size; before any other file is read. `place` names
    /// the manifest in errors.
    ///
    /// # Errors
    /// [`ModelError::Config`] for a configuration that is refused, [`ModelError::Format`] where the sizes are not its own.
    pub fn retrieval_config(&self, place: &str) -> Result<RetrievalConfig> {
        let config = RetrievalConfig::parse(&self.config.to_string(), &format!("{place}: config"))?;
        let wrong = |field: &str, problem: String| {
            let mend = "export the bundle again, or fetch bundle.json again".into();
            Err(ModelError::Format { place: format!("{place}: {field}"), problem, mend })
        };
        let bytes = self.weights.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.file.bytes));
        let Size { parameters, .. } = config.demand().size;
        if bytes > parameters.saturating_mul(4).saturating_add(WEIGHTS_OVERHEAD) {
            return wrong("weights", format!("{bytes} bytes are too many for a model of {parameters} parameters"));
        }
        // A gallery may keep fewer tokens an image than the model makes.
        let (gallery, model) = ((self.gallery.tokens, self.gallery.width), (config.target_tokens, config.projection));
        if gallery.0 > model.0 || gallery.1 != model.1 {
            return wrong("gallery", format!("it has {gallery:?} (tokens, width) for a model of {model:?}"));
        }
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(manifest_error("format", "it isn't this build's format and version"));
        }
        if self.understands.len() > MAX_UNDERSTANDS {
            let problem = format!("{} bytes are more than {MAX_UNDERSTANDS}", self.understands.len());
            return Err(manifest_error("understands", &problem));
        }
        if !self.config.is_object() {
            return Err(manifest_error("config", "it isn't an object"));
        }
        if !(1..=MAX_WEIGHTS).contains(&self.weights.len()) {
            let problem = format!("there are {} weights files, not 1 to {MAX_WEIGHTS}", self.weights.len());
            return Err(manifest_error("weights", &problem));
        }
        for (i, entry) in self.weights.iter().enumerate() {
            let field = format!("weights[{i}]");
            entry.file.check(&field)?;
            if !WEIGHT_FORMATS.contains(&entry.code_width) {
                return Err(manifest_error(&field, &format!("{} is no number format of weights", entry.code_width)));
            }
        }
        self.vocab.file.check("vocab")?;
        check_sum("vocab", [&self.vocab.file].into_iter(), MAX_VOCABULARY_BYTES)?;
        let gallery = &self.gallery;
        let sizes = [gallery.tokens, gallery.width];
        if !sizes.iter().all(|size| (1..=MAX_DIMENSION).contains(size)) {
            return Err(manifest_error("gallery", &format!("tokens and width have to be 1 to {MAX_DIMENSION}")));
        }
        check_chunks("gallery.chunks", gallery.count, gallery.chunks.iter().map(|c| (&c.file, c.first, c.count)))?;
        check_chunks("gallery.metadata", gallery.count, gallery.metadata.iter().map(|c| (&c.file, c.first, c.count)))?;
        for (i, chunk) in gallery.chunks.iter().enumerate() {
            let needed = chunk_bytes(chunk.count as usize, gallery.tokens, gallery.width);
            if chunk.file.bytes != needed {
                let problem = format!("it has {} bytes, {} images need {needed}", chunk.file.bytes, chunk.count);
                return Err(manifest_error(&format!("gallery.chunks[{i}]"), &problem));
            }
        }
        let large = gallery.metadata.iter().position(|chunk| chunk.file.bytes > MAX_METADATA_BYTES as u64);
        if let Some(i) = large {
            return Err(manifest_error(&format!("gallery.metadata[{i}]"), "it is too large for metadata"));
        }
        check_sum("gallery.chunks", gallery.chunks.iter().map(|c| &c.file), MAX_GALLERY_BYTES)?;
        check_sum("gallery.metadata", gallery.metadata.iter().map(|c| &c.file), MAX_GALLERY_METADATA_BYTES)?;
        let mut paths = HashSet::new();
        if let Some(twice) = self.files().find(|file| !paths.insert(file.path.as_str())) {
            return Err(manifest_error("the files", &format!("{} is named twice", twice.path)));
        }
        match gallery.thumbnails.strip_suffix('/') {
            Some(folder) => check_path("gallery.thumbnails", folder)?,
            None => return Err(manifest_error("gallery.thumbnails", "it doesn't end in /")),
        }
        if let Some(opening) = &self.opening {
            opening.check(gallery.count)?;
        }
        self.closeness.map_or(Ok(()), |closeness| closeness.check())?;
        match &self.self_test {
            Some(test) => test.check_fields(gallery.count),
            None if gallery.count == 0 => Ok(()),
            None => Err(manifest_error("self_test", "it is missing")),
        }
    }
}

/// Files of at most `most` bytes together.
fn check_sum<'a>(field: &str, mut files: impl Iterator<Item = &'a FileEntry>, most: u64) -> Result<()> {
    let sum = files.try_fold(0_u64, |sum, file| sum.checked_add(file.bytes)).filter(|sum| *sum <= most);
    match sum {
        Some(_) => Ok(()),
        None => Err(manifest_error(field, &format!("it has more than {most} bytes"))),
    }
}

/// Chunks have to follow each other without gaps from image 0 to the last.
fn check_chunks<'a>(field: &str, images: u32, chunks: impl Iterator<Item = (&'a FileEntry, u32, u32)>) -> Result<()> {
    let mut next = 0_u32;
    for (i, (file, first, count)) in chunks.enumerate() {
        let field = format!("{field}[{i}]");
        file.check(&field)?;
        if first != next || count == 0 {
            let problem = format!("it begins at image {first} and has {count}, expected to begin at {next}");
            return Err(manifest_error(&field, &problem));
        }
        next = next.checked_add(count).ok_or_else(|| manifest_error(&field, "the image numbers are too large"))?;
    }
    if next != images {
        return Err(manifest_error(field, &format!("the chunks have {next} images, the gallery {images}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
