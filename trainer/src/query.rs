//! `thisbut query`: one question to a bundle on disk, answered by the same engine as in the browser.

use crate::bundle_io::Bundle;
use crate::error::{Result, TrainerError};
use crate::images;
use burn::tensor::Device;
use pollster::block_on;
use std::path::Path;
use thisbut_model::engine::Engine;
use thisbut_model::gallery::{Hit, ImageMeta};
use thisbut_model::image::Rgba;
use thisbut_model::retrieval::EncodedImages;
use thisbut_model::text::{MAX_TEXT, max_words};

/// What the query starts from.
#[derive(Clone, Copy, Debug)]
pub enum Reference<'a> {
    /// An image file.
    File(&'a Path),
    /// A gallery image by its id; it is not among the answers.
    Gallery(&'a str),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Answer {
    /// From 1.
    pub rank: usize,
    /// Cosine of the query and the image's best token.
    pub score: f32,
    /// The image's name in the gallery.
    pub id: String,
    /// A line for people.
    pub title: String,
    /// Its thumbnail, relative to the bundle.
    pub thumb: String,
}

/// A bundle that is ready to answer.
pub struct Asker {
    bundle: Bundle,
    engine: Engine,
}

impl Asker {
    /// Reads the bundle in `root`, checks every file, and runs its self-test on `device`.
    pub fn open(root: &Path, device: &Device) -> Result<Self> {
        let bundle = Bundle::read(root)?;
        let engine = bundle.engine(device)?;
        block_on(engine.self_test(&bundle.manifest))?;
        Ok(Self { bundle, engine })
    }

    /// The bundle.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The `k` best images. Without a text: images like the reference; without a reference: what the text says. With both,
    /// the reference itself is not an answer, wherever the gallery has it.
    ///
    /// Fails when there is neither, when the text has no words, and when the reference cannot be used.
    pub fn ask(&self, reference: Option<Reference>, text: Option<&str>, k: usize) -> Result<Vec<Answer>> {
        if text.is_some_and(|t| self.engine.retrieval().texts().tokens(t).is_empty()) {
            return Err(TrainerError::settings(
                "the text",
                "has no words",
                "say what should be different, or leave the text out to find similar images",
            ));
        }
        let (encoded, chosen) = match reference {
            Some(Reference::File(path)) => (Some(self.encode(path)?), None),
            Some(Reference::Gallery(id)) => {
                let (at, meta) = self.find(id)?;
                let encoded = match &meta.reference {
                    Some(file) if !self.engine.retrieval().has_encoder() => {
                        self.engine.retrieval().reference(&self.bundle.reference(file)?)?
                    }
                    _ => self.encode(&self.bundle.root.join(self.thumb(meta)))?,
                };
                (Some(encoded), Some(at))
            }
            None => (None, None),
        };
        // An empty text is none: the image alone asks.
        let text = text.unwrap_or_default();
        let shown = encoded.map(|image| block_on(self.engine.reference(image))).transpose()?;
        let query = block_on(self.engine.compose_from(shown.as_ref(), text))?;
        let hits = self.engine.search(&query, k, &self.engine.excluded(shown.as_ref(), chosen, text))?;
        let answer = |(rank, hit): (usize, Hit)| {
            // The bundle's reader has counted: each image of the gallery has its metadata.
            let meta = &self.bundle.metadata[hit.index as usize];
            let (id, title, thumb) = (meta.id.clone(), meta.title.clone(), self.thumb(meta));
            Answer { rank, score: hit.score, id, title, thumb }
        };
        Ok((1..).zip(hits).map(answer).collect())
    }

    fn encode(&self, path: &Path) -> Result<EncodedImages> {
        if !self.engine.retrieval().has_encoder() {
            return Err(TrainerError::settings(
                self.bundle.root.display().to_string(),
                "this bundle has no image encoder (form gallery-reference), so it cannot read an image file",
                "start from an image of its gallery with --like ID",
            ));
        }
        let picture = images::decode_file(path)?;
        let rgba = Rgba::new(picture.width, picture.height, &picture.data)?;
        self.engine.retrieval().encode_image(&rgba).map_err(|e| TrainerError::Image {
            place: path.display().to_string(),
            problem: e.to_string(),
            mend: "try another image".to_owned(),
        })
    }

    fn thumb(&self, meta: &ImageMeta) -> String {
        format!("{}{}", self.bundle.manifest.gallery.thumbnails, meta.thumb)
    }

    /// A remark on a text of which only the beginning counts.
    pub fn remark(&self, text: &str) -> Option<String> {
        let most = max_words(self.engine.retrieval().config().text.length());
        let (words, characters) = (text.split_whitespace().count(), text.chars().count());
        (words > most || characters > MAX_TEXT).then(|| {
            format!("the text has {words} words and {characters} characters; only its beginning counts (at most {most} words)")
        })
    }

    fn find(&self, id: &str) -> Result<(u32, &ImageMeta)> {
        (0..).zip(&self.bundle.metadata).find(|(_, meta)| meta.id == id).ok_or_else(|| {
            TrainerError::settings(
                format!("image '{id}'"),
                format!("is not in the gallery of {}", self.bundle.root.display()),
                "give the id that a query prints",
            )
        })
    }
}
