//! The last step: what people read, and the query that devices are tested with.

use super::known::Known;
use super::work::Item;
use super::{Encoder, Options, gallery};
use crate::bundle_io::{Bundle, Writer};
use crate::error::Result;
use thisbut_model::bundle::{GalleryEntry, Manifest, SelfTest, VocabularyEntry, WeightsEntry};
use thisbut_model::gallery::{Gallery, ImageMeta};

/// Images that the self-test compares.
const SELF_TEST_IMAGES: usize = 5;

/// The last step.
pub struct Finish<'a> {
    /// What is asked for.
    pub options: &'a Options,
    /// The model.
    pub bundle: &'a Bundle,
    /// What an earlier run left.
    pub known: Option<&'a Known>,
    /// Where files are written.
    pub writer: Writer,
    /// The model at work.
    pub encoder: &'a mut dyn Encoder,
}

impl Finish<'_> {
    /// Writes the gallery; gives the manifest, what of it is the earlier bundle's, and whether all of it is.
    pub fn manifest(&mut self, items: &[Item]) -> Result<(Manifest, Vec<&'static str>, bool)> {
        let old = &self.bundle.manifest;
        let mut weights = Vec::new();
        for (entry, content) in old.weights.iter().zip(&self.bundle.weights) {
            weights.push(WeightsEntry { file: self.writer.add_as(entry.file.path.clone(), content)?, ..entry.clone() });
        }
        let vocab = self.writer.add_as(old.vocab.file.path.clone(), self.bundle.vocab.as_bytes())?;
        let vocab = VocabularyEntry { file: vocab };
        let ((title, licence, suggestions), kept) = self.options.about.settle(self.options);
        let understands = self.options.about.understands.clone().unwrap_or_else(|| old.understands.clone());
        let earlier = self.known.map(|known| &known.manifest.gallery);
        let (tokens, width) = items.first().map_or((0, 0), |item| (item.row.tokens(), item.row.width()));
        let count = items.len() as u32;
        if let Some(known) = self.known.filter(|known| as_it_was(known, items)) {
            let there = &known.manifest;
            let read = (&there.gallery.title, &there.gallery.licence, &there.suggestions, &there.understands);
            let files = there.weights == weights && there.vocab == vocab;
            if files && read == (&title, &licence, &suggestions, &understands) {
                there.files().for_each(|file| self.writer.keep(file.path.clone()));
                return Ok((there.clone(), kept, true));
            }
        }
        let written = gallery::write(items, earlier, &mut self.writer)?;
        let self_test = self.self_test(&written.gallery)?;
        let thumbnails = "thumbs/".to_owned();
        let (chunks, metadata) = (written.chunks, written.metadata);
        let gallery = GalleryEntry { count, tokens, width, chunks, metadata, thumbnails, title, licence };
        Ok((Manifest { understands, weights, vocab, suggestions, ..old.with_gallery(gallery, self_test) }, kept, false))
    }

    /// The query that every device must answer as this one does.
    fn self_test(&mut self, gallery: &Gallery) -> Result<SelfTest> {
        let old = self.bundle.manifest.self_test.as_ref();
        let text = old.map_or_else(|| "but in red".to_owned(), |t| t.text.clone());
        let hits = gallery.search(&self.encoder.self_test(&text)?, SELF_TEST_IMAGES, &[])?;
        Ok(SelfTest {
            text,
            gallery_index: None,
            expected: hits.iter().map(|hit| (hit.index, hit.score)).collect(),
            score_tolerance: old.map_or(0.01, |t| t.score_tolerance),
        })
    }
}

/// Whether the gallery in place is made of these items: the same images in the same order, and the same said of them. What they
/// offer is added later.
fn as_it_was(known: &Known, items: &[Item]) -> bool {
    let same = |(row, (item, image)): (u32, (&Item, &ImageMeta))| {
        item.place == Some(row)
            && item.meta == ImageMeta { changes: Vec::new(), ..image.clone() }
            && known.seen(&item.meta.id).is_some_and(|seen| seen.sha256 == item.sha256)
    };
    known.metadata.len() == items.len() && (0..).zip(items.iter().zip(&known.metadata)).all(same)
}
