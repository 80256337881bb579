//! `bundle.json`: what a bundle holds, and the checks before anything else of it is read.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::files::{FileEntry, check_path, manifest_error};
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
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let file = |path: &str| FileEntry::new(path, path.as_bytes());
        let chunk = |first, count| {
            let bytes = chunk_bytes(count as usize, 4, 8);
            GalleryChunk { file: FileEntry { bytes, ..file(&format!("gallery/{first}.bin")) }, first, count }
        };
        Manifest {
            format: FORMAT.into(),
            version: VERSION,
            product_version: "0.1.0".into(),
            architecture: "tiny".into(),
            form: Form::Full,
            config: serde_json::json!({"name": "tiny"}),
            weights: vec![WeightsEntry { file: file("w.safetensors"), code_width: NumberFormat::Q4 }],
            vocab: VocabularyEntry { file: file("vocab.txt") },
            gallery: GalleryEntry {
                count: 10,
                tokens: 4,
                width: 8,
                chunks: vec![chunk(0, 6), chunk(6, 4)],
                metadata: vec![MetadataChunk { file: file("meta.json"), first: 0, count: 10 }],
                thumbnails: "thumbs/".into(),
                title: "Emoji".into(),
                licence: "MIT".into(),
            },
            self_test: Some(SelfTest {
                text: "but red".into(),
                gallery_index: Some(3),
                expected: vec![(1, 0.5)],
                score_tolerance: 0.01,
            }),
            measured: Value::Null,
            suggestions: vec!["but red".into()],
        }
    }

    #[test]
    fn round_trips() {
        let text = manifest().to_json().unwrap();
        assert!(text.contains("\"code_width\": \"q4\"") && text.contains("\"sha256\""), "{text}");
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap(), manifest());
        let paths: Vec<_> = manifest().files().map(|f| f.path.clone()).collect();
        assert_eq!(paths, ["w.safetensors", "vocab.txt", "gallery/0.bin", "gallery/6.bin", "meta.json"]);
        for cut in 0..text.len() - 1 {
            assert!(Manifest::parse(&text.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert!(!text.contains("\"form\""), "a full bundle is written as before there were forms");
        let other = Manifest { form: Form::GalleryReference, ..manifest() };
        let json = other.to_json().unwrap();
        assert!(json.contains("\"form\": \"gallery-reference\""), "{json}");
        assert_eq!(Manifest::parse(json.as_bytes()).unwrap(), other);
        let with_more = text.replacen('{', "{\"later_addition\": [1],", 1);
        assert!(Manifest::parse(with_more.as_bytes()).is_ok());
    }

    #[test]
    fn version_comes_first() {
        for (text, mend) in [
            (r#"{"format":"thisbut-bundle","version":2,"weights":7}"#, "update the page"),
            (r#"{"format":"thisbut-bundle","version":0}"#, "export the bundle again"),
            (r#"{"format":"thisbut-bundle","version":"1"}"#, "export the bundle again"),
            (r#"{"format":"thisbut-bundle"}"#, "export the bundle again"),
        ] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(error, ModelError::Version { .. }) && error.to_string().contains(mend), "{error}");
        }
        for text in ["", "[]", "{}", "null", r#"{"format":"other","version":1}"#] {
            assert!(matches!(Manifest::parse(text.as_bytes()), Err(ModelError::Format { .. })), "{text}");
        }
    }

    /// A gallery of chunks that are as large as a chunk may be.
    fn many_chunks(m: &mut Manifest, count: u32) {
        let (images, width) = (1 << 10, 8192);
        let bytes = chunk_bytes(images as usize, 4, width);
        let file = |i: u32| FileEntry { bytes, ..FileEntry::new(format!("gallery/c{i}.bin"), b"") };
        let chunk = |i: u32| GalleryChunk { file: file(i), first: i * images, count: images };
        m.gallery.width = width;
        m.gallery.chunks = (0..count).map(chunk).collect();
        m.gallery.count = count * images;
        let meta = m.gallery.metadata[0].clone();
        m.gallery.metadata = vec![MetadataChunk { count: m.gallery.count, ..meta }];
    }

    /// Metadata in chunks that are as large as one may be, an image each.
    fn many_metadata(m: &mut Manifest, count: u32) {
        let file = |i: u32| FileEntry { bytes: 64 << 20, ..FileEntry::new(format!("gallery/m{i}.json"), b"") };
        m.gallery.count = count;
        m.gallery.metadata = (0..count).map(|i| MetadataChunk { file: file(i), first: i, count: 1 }).collect();
        let chunk = GalleryChunk { count, ..m.gallery.chunks[0].clone() };
        let bytes = chunk_bytes(count as usize, 4, 8);
        m.gallery.chunks = vec![GalleryChunk { file: FileEntry { bytes, ..chunk.file.clone() }, ..chunk }];
    }

    #[test]
    fn sizes_are_those_of_the_architecture() {
        let config = RetrievalConfig::preset("tiny").unwrap();
        let mut fits = manifest();
        fits.config = serde_json::to_value(&config).unwrap();
        (fits.gallery.tokens, fits.gallery.width) = (4, 16);
        assert_eq!(fits.retrieval_config("b.json").unwrap(), config);
        let refused = |change: fn(&mut Manifest)| {
            let mut other = fits.clone();
            change(&mut other);
            other.retrieval_config("b.json").unwrap_err().to_string()
        };
        let message = refused(|m| m.weights[0].file.bytes = 1 << 30);
        assert!(message.starts_with("b.json: weights: 1073741824 bytes are too many"), "{message}");
        assert!(refused(|m| m.gallery.tokens = 5).starts_with("b.json: gallery: "));
        assert!(refused(|m| m.gallery.width = 8).contains("(4, 8)"));
        let message = refused(|m| m.config["method"]["qformer"]["layers"] = (1 << 20).into());
        assert!(message.starts_with("b.json: config: qformer.layers: "), "{message}");
    }

    #[test]
    fn senseless_manifests_are_errors() {
        type Break = fn(&mut Manifest);
        let breaks: [(&str, Break); 28] = [
            ("config", |m| m.config = Value::Null),
            ("weights", |m| m.weights.clear()),
            ("weights[0]", |m| m.weights[0].file.path = "../x".into()),
            ("weights[0]", |m| m.weights[0].file.bytes = 0),
            ("weights[0]", |m| m.weights[0].file.bytes = u64::MAX),
            ("weights[0]", |m| m.weights[0].code_width = NumberFormat::Int8),
            ("vocab", |m| m.vocab.file.sha256 = "AB".repeat(32)),
            ("gallery", |m| m.gallery.tokens = 0),
            ("gallery", |m| m.gallery.width = 1 << 20),
            ("gallery.chunks", |m| m.gallery.count = 11),
            ("gallery.chunks[1]", |m| m.gallery.chunks[1].first = 5),
            ("gallery.chunks[1]", |m| m.gallery.chunks[1].count = 0),
            ("gallery.chunks[1]", |m| m.gallery.chunks[1].count = u32::MAX),
            ("gallery.metadata", |m| m.gallery.metadata.clear()),
            ("gallery.thumbnails", |m| m.gallery.thumbnails = "../".into()),
            ("gallery.chunks[1]", |m| m.gallery.chunks[1].file.bytes += 1),
            ("gallery.metadata[0]", |m| m.gallery.metadata[0].file.bytes = 65 << 20),
            ("vocab", |m| m.vocab.file.bytes = 17 << 20),
            ("weights", |m| m.weights = vec![m.weights[0].clone(); 4097]),
            ("the files", |m| m.weights.push(m.weights[0].clone())),
            ("the files", |m| m.vocab.file.path = "w.safetensors".into()),
            ("the files", |m| m.gallery.metadata[0].file.path = "gallery/6.bin".into()),
            ("gallery.chunks", |m| many_chunks(m, 2000)),
            ("gallery.metadata", |m| many_metadata(m, 17)),
            ("self_test", |m| m.self_test.as_mut().unwrap().expected = vec![(1, 0.5); 1025]),
            ("self_test", |m| m.self_test = None),
            ("self_test", |m| m.self_test.as_mut().unwrap().expected[0].0 = 10),
            ("self_test", |m| m.self_test.as_mut().unwrap().score_tolerance = 0.0),
        ];
        for (field, break_it) in breaks {
            let mut broken = manifest();
            break_it(&mut broken);
            let text = serde_json::to_string(&broken).unwrap();
            let message = Manifest::parse(text.as_bytes()).unwrap_err().to_string();
            assert!(message.starts_with(&format!("bundle.json: {field}: ")), "{field}: {message}");
            assert!(broken.to_json().is_err());
        }
    }

    #[test]
    fn noise_never_panics() {
        let text = manifest().to_json().unwrap().into_bytes();
        let mut state = 1_u32;
        for _ in 0..3000 {
            let mut broken = text.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % broken.len();
                broken[at] = (state >> 3) as u8;
            }
            let _ = Manifest::parse(&broken);
        }
    }
}
