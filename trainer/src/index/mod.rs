//! `thisbut index`: a folder of images becomes a gallery that the bundle's model searches.
//!
//! The model is handed in as an [`Encoder`], so that everything around it is tested without one.

pub mod engine;
pub mod thumbs;
pub mod titles;
pub mod walk;

use crate::bundle_io::{self, Bundle, Writer};
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use crate::images;
use rayon::prelude::*;
use std::path::PathBuf;
use thisbut_model::bundle::{
    Form, GalleryChunk, GalleryEntry, Manifest, MetadataChunk, SelfTest, VocabularyEntry, WeightsEntry,
};
use thisbut_model::gallery::{Chunk, Gallery, ImageMeta, encode_chunk, encode_metadata};
use thisbut_model::image::{PreprocessConfig, Rgba, preprocess};
use walk::Photo;

/// Bytes of a gallery chunk, about.
const CHUNK_BYTES: usize = 256 << 10;
/// Images of a metadata chunk.
const METADATA_IMAGES: usize = 512;
/// Images that are decoded and encoded together.
const BATCH: usize = 16;
/// Images that the self-test compares.
const SELF_TEST_IMAGES: usize = 5;

/// The part of the engine that indexing needs.
pub trait Encoder {
    /// What the gallery keeps of preprocessed images `[3, S, S]` each.
    fn encode(&mut self, images: Vec<Vec<f32>>) -> Result<Encoded>;
    /// The query `[P]` of the self-test's picture and a text.
    fn self_test(&mut self, text: &str) -> Result<Vec<f32>>;
}

/// What the gallery keeps of some images.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// Target tokens `[B, N, P]`.
    pub targets: Vec<f32>,
    /// Each image's file of tokens, where the bundle has no image encoder; otherwise none.
    pub references: Vec<Vec<u8>>,
}

/// What to index.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of images.
    pub photos: PathBuf,
    /// The folder to write.
    pub out: PathBuf,
    /// Titles and tags by file.
    pub csv: Option<PathBuf>,
    /// What people read of the collection.
    pub about: About,
}

/// What people read of a collection. What is not given is as in the bundle that lies in the output folder, if one does.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// Its name; without an earlier bundle the name of the folder of images.
    pub title: Option<String>,
    /// Licence and origin of the images.
    pub licence: Option<String>,
    /// Modification texts that the page offers.
    pub suggestions: Option<Vec<String>>,
    /// What the model understands; without it as the model itself says.
    pub understands: Option<String>,
}

impl About {
    /// Title, licence and suggestions, and the names of those that are the earlier bundle's.
    fn settle(&self, options: &Options) -> ((String, String, Vec<String>), Vec<&'static str>) {
        let earlier = bundle_io::manifest_of(&options.out);
        let mut kept = Vec::new();
        let gallery = earlier.as_ref().map(|manifest| &manifest.gallery);
        let mut text = |given: &Option<String>, what: &'static str, of: fn(&GalleryEntry) -> &String| {
            let old = gallery.map(of).filter(|old| given.is_none() && !old.is_empty());
            kept.extend(old.map(|_| what));
            given.clone().or_else(|| old.cloned())
        };
        let title = text(&self.title, "title", |gallery| &gallery.title).unwrap_or_else(|| {
            let folder = options.photos.canonicalize().ok();
            folder.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())).unwrap_or_default()
        });
        let licence = text(&self.licence, "licence", |gallery| &gallery.licence).unwrap_or_default();
        let old =
            earlier.map(|manifest| manifest.suggestions).filter(|old| self.suggestions.is_none() && !old.is_empty());
        kept.extend(old.as_ref().map(|_| "suggestions"));
        let suggestions = self.suggestions.clone().or(old).unwrap_or_default();
        ((title, licence, suggestions), kept)
    }
}

/// What became of the folder.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Images that can be searched now.
    pub indexed: usize,
    /// Images and table rows that were left out, and why.
    pub complaints: Vec<Complaint>,
    /// Files that are no images by their name.
    pub others: usize,
    /// What of the collection's description is the earlier bundle's: "title", "licence", "suggestions".
    pub kept: Vec<&'static str>,
    /// What a run that was killed had left, and this one removed.
    pub swept: Vec<PathBuf>,
}

/// Indexes `options.photos` with the model of `bundle` and writes a whole bundle to `options.out`.
///
/// Images that cannot be used are left out and named in the outcome. `progress` is told (done, all).
/// Fails when no image is usable, or a file cannot be written; then the folder is as before.
pub fn index(
    options: &Options,
    bundle: &Bundle,
    encoder: &mut dyn Encoder,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Outcome> {
    bundle_io::check_target(&options.out)?;
    let mut found = walk::walk(&options.photos, &options.out)?;
    if let Some(csv) = &options.csv {
        found.complaints.extend(titles::apply(csv, &mut found.photos)?);
    }
    let (n, p) = (bundle.config.target_tokens, bundle.config.projection);
    let stored = bundle.manifest.gallery.tokens.min(n);
    let mut gallery = GalleryWriter::new(Writer::new(&options.out)?, stored, p);
    let all = found.photos.len();
    for (batch, photos) in found.photos.chunks(BATCH).enumerate() {
        progress(batch * BATCH, all);
        let prepared: Vec<Result<Prepared>> =
            photos.par_iter().map(|photo| prepare(photo, &bundle.config.preprocess)).collect();
        let (mut inputs, mut kept) = (Vec::new(), Vec::new());
        for (photo, prepared) in photos.iter().zip(prepared) {
            match prepared {
                Ok(prepared) => {
                    inputs.push(prepared.input);
                    kept.push((photo, prepared.thumb, prepared.width, prepared.height));
                }
                Err(e) => found.complaints.push(Complaint::of(&photo.path, &e)),
            }
        }
        if inputs.is_empty() {
            continue;
        }
        let Encoded { targets, references } = encoder.encode(inputs)?;
        let files = if bundle.manifest.form == Form::GalleryReference { kept.len() } else { 0 };
        if (targets.len(), references.len()) != (kept.len() * n * p, files) {
            let (images, values, found) = (kept.len(), targets.len(), references.len());
            return Err(TrainerError::data(
                "the engine",
                format!("gave {values} values and {found} files for {images} images of {n} tokens of {p}"),
                "export the bundle again",
            ));
        }
        let mut references = references.into_iter();
        for ((photo, thumb, width, height), tokens) in kept.into_iter().zip(targets.chunks_exact(n * p)) {
            let tokens = &tokens[..stored * p];
            gallery.image(photo, &thumb, (width, height), tokens, references.next().as_deref())?;
        }
    }
    progress(all, all);
    if gallery.count == 0 {
        let first = found.complaints.first().map_or_else(
            || format!("there are {} other files", found.others),
            |c| format!("{} left out, the first: {c}", found.complaints.len()),
        );
        return Err(TrainerError::data(
            options.photos.display().to_string(),
            format!("has no usable image ({first})"),
            "give a folder with JPEG, PNG, WebP or GIF files",
        ));
    }
    let indexed = gallery.count as usize;
    let (kept, swept) = gallery.finish(options, bundle, encoder)?;
    Ok(Outcome { indexed, complaints: found.complaints, others: found.others, kept, swept })
}

struct Prepared {
    input: Vec<f32>,
    thumb: thumbs::Thumb,
    width: u32,
    height: u32,
}

fn prepare(photo: &Photo, config: &PreprocessConfig) -> Result<Prepared> {
    let bytes = images::read_file(&photo.path)?;
    let picture = images::decode_bytes(&bytes, &photo.path.display().to_string())?;
    let input = preprocess(&Rgba::new(picture.width, picture.height, &picture.data)?, config)?;
    let (width, height) = (picture.width, picture.height);
    Ok(Prepared { input, thumb: thumbs::make(&bytes, picture)?, width, height })
}

/// Collects images into chunks, and remembers the gallery for the self-test.
struct GalleryWriter {
    writer: Writer,
    n: usize,
    p: usize,
    count: u32,
    tokens: Vec<f32>,
    metadata: Vec<ImageMeta>,
    chunks: Vec<GalleryChunk>,
    metadata_chunks: Vec<MetadataChunk>,
    gallery: Gallery,
}

impl GalleryWriter {
    fn new(writer: Writer, n: usize, p: usize) -> Self {
        let (chunks, metadata_chunks) = (Vec::new(), Vec::new());
        let gallery = Gallery::new();
        Self { writer, n, p, count: 0, tokens: Vec::new(), metadata: Vec::new(), chunks, metadata_chunks, gallery }
    }

    fn image(
        &mut self,
        photo: &Photo,
        thumb: &thumbs::Thumb,
        size: (u32, u32),
        tokens: &[f32],
        reference: Option<&[u8]>,
    ) -> Result<()> {
        let entry = self.writer.add("thumbs", "t", thumb.ext, &thumb.bytes)?;
        let name = entry.path.rsplit_once('/').map_or(&*entry.path, |(_, name)| name).to_owned();
        let reference = reference.map(|file| self.writer.add("references", "r", "safetensors", file)).transpose()?;
        self.metadata.push(ImageMeta {
            id: photo.id.clone(),
            title: photo.title.clone(),
            tags: photo.tags.clone(),
            changes: Vec::new(),
            thumb: name,
            width: size.0,
            height: size.1,
            reference,
        });
        self.tokens.extend_from_slice(tokens);
        self.count += 1;
        // A token is a scale of four bytes and P codes.
        if self.tokens.len() / self.p * (4 + self.p) >= CHUNK_BYTES {
            self.flush_tokens()?;
        }
        if self.metadata.len() >= METADATA_IMAGES {
            self.flush_metadata()?;
        }
        Ok(())
    }

    fn flush_tokens(&mut self) -> Result<()> {
        let images = (self.tokens.len() / (self.n * self.p)) as u32;
        if images == 0 {
            return Ok(());
        }
        let bytes = encode_chunk(&self.tokens, self.n, self.p)?;
        let file = self.writer.add("gallery", &format!("tokens-{}", self.chunks.len()), "bin", &bytes)?;
        self.gallery.push(Chunk::parse(&bytes)?)?;
        self.chunks.push(GalleryChunk { file, first: self.count - images, count: images });
        self.tokens.clear();
        Ok(())
    }

    fn flush_metadata(&mut self) -> Result<()> {
        let images = self.metadata.len() as u32;
        if images == 0 {
            return Ok(());
        }
        let file = self.writer.add("gallery", "meta", "json", &encode_metadata(&self.metadata)?)?;
        self.metadata_chunks.push(MetadataChunk { file, first: self.count - images, count: images });
        self.metadata.clear();
        Ok(())
    }

    fn finish(
        mut self,
        options: &Options,
        bundle: &Bundle,
        encoder: &mut dyn Encoder,
    ) -> Result<(Vec<&'static str>, Vec<PathBuf>)> {
        self.flush_tokens()?;
        self.flush_metadata()?;
        let old = &bundle.manifest;
        let mut weights = Vec::new();
        for (entry, content) in old.weights.iter().zip(&bundle.weights) {
            weights.push(WeightsEntry { file: self.writer.add_as(entry.file.path.clone(), content)?, ..entry.clone() });
        }
        let vocab = self.writer.add_as(old.vocab.file.path.clone(), bundle.vocab.as_bytes())?;
        let self_test = self.self_test(old, encoder)?;
        let ((title, licence, suggestions), kept) = options.about.settle(options);
        let understands = options.about.understands.clone().unwrap_or_else(|| old.understands.clone());
        let gallery = GalleryEntry {
            count: self.count,
            tokens: self.n,
            width: self.p,
            chunks: std::mem::take(&mut self.chunks),
            metadata: std::mem::take(&mut self.metadata_chunks),
            thumbnails: "thumbs/".to_owned(),
            title,
            licence,
        };
        let manifest = Manifest {
            understands,
            weights,
            vocab: VocabularyEntry { file: vocab },
            suggestions,
            ..old.with_gallery(gallery, self_test)
        };
        Ok((kept, self.writer.finish(&manifest)?))
    }

    /// The query that every device must answer as this one does.
    fn self_test(&self, old: &Manifest, encoder: &mut dyn Encoder) -> Result<SelfTest> {
        let text = old.self_test.as_ref().map_or_else(|| "but in red".to_owned(), |t| t.text.clone());
        let hits = self.gallery.search(&encoder.self_test(&text)?, SELF_TEST_IMAGES, &[])?;
        Ok(SelfTest {
            text,
            gallery_index: None,
            expected: hits.iter().map(|hit| (hit.index, hit.score)).collect(),
            score_tolerance: old.self_test.as_ref().map_or(0.01, |t| t.score_tolerance),
        })
    }
}

#[cfg(test)]
mod tests;
