//! `thisbut index`: a folder of images becomes a gallery that the bundle's model searches. Again on the same output it touches
//! only what changed.
//!
//! The model is handed in as an [`Encoder`], so that everything around it is tested without one.

pub mod engine;
mod gallery;
mod known;
pub mod near;
pub mod state;
pub mod thumbs;
pub mod titles;
pub mod upload;
pub mod walk;
mod work;

use crate::bundle_io::{self, Bundle, Writer};
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use crate::{fsx, process};
use known::{Earlier, Known};
use near::Group;
use state::{Became, Record, Seen};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use thisbut_model::bundle::{GalleryEntry, Manifest, SelfTest, VocabularyEntry, WeightsEntry};
use thisbut_model::gallery::{Gallery, ImageMeta};
use work::{Around, Item, Work};

/// Images that the self-test compares.
const SELF_TEST_IMAGES: usize = 5;

/// The part of the engine that indexing needs.
pub trait Encoder {
    /// What the gallery keeps of preprocessed images `[3, S, S]` each.
    fn encode(&mut self, images: Vec<Vec<f32>>) -> Result<Encoded>;
    /// The query `[P]` of the self-test's picture and a text.
    fn self_test(&mut self, text: &str) -> Result<Vec<f32>>;
    /// Names what decides about the gallery beside the bundle: an image encoder that is not in it.
    ///
    /// # Errors
    /// When that encoder fails.
    fn identity(&mut self) -> Result<String> {
        Ok(String::new())
    }
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
    /// Titles, tags and further values by file.
    pub csv: Option<PathBuf>,
    /// What people read of the collection.
    pub about: About,
    /// What an earlier run's work is worth.
    pub again: Again,
    /// What becomes of near-duplicates.
    pub near: Near,
}

/// What an earlier run's work is worth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Again {
    /// Nothing, and no record is kept for a later one.
    #[default]
    Never,
    /// Nothing.
    Fresh,
    /// What is as it was is taken over.
    Changed,
}

/// What becomes of near-duplicates; the number is the least similarity ([`near`]).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Near {
    /// Nothing: they are not looked for.
    #[default]
    Keep,
    /// They are named.
    Report(f32),
    /// They are named, and only one of each group is indexed.
    Remove(f32),
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
    /// Of these, images that went through the encoder.
    pub encoded: usize,
    /// Photos that have another name than before: the old one and the new.
    pub renamed: Vec<(String, String)>,
    /// Why nothing was taken over from the bundle in place, if one was there.
    pub anew: Option<String>,
    /// The bundle is as it was.
    pub unchanged: bool,
    /// How the bundle that is as it was had been completed ([`state::complete`]).
    pub completed: Option<String>,
    /// Near-duplicates.
    pub duplicates: Vec<Group>,
    /// The table's columns that are published with the images.
    pub extra: Vec<String>,
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
    let mut extra = Vec::new();
    if let Some(csv) = &options.csv {
        let applied = titles::apply(csv, &mut found.photos)?;
        found.complaints.extend(applied.complaints);
        extra = applied.extra;
    }
    let mut writer = Writer::new(&options.out)?;
    let began = (process::now() * 1e9) as u64;
    let model = fsx::sha256_hex(format!("{} {}", bundle.makes(), encoder.identity()?).as_bytes());
    let earlier = match options.again {
        Again::Changed => Known::look(&options.out, &model)?,
        Again::Never | Again::Fresh => Earlier::Nothing,
    };
    let (known, anew) = match earlier {
        Earlier::Nothing => (None, None),
        Earlier::Useless(why) => (None, Some(why)),
        Earlier::Known(known) => (Some(*known), None),
    };
    let known = known.as_ref();
    let mut work = Around { options, bundle, known, writer: &mut writer, encoder }.run(&found.photos, progress)?;
    found.complaints.append(&mut work.complaints);
    let duplicates = duplicates(options.near, &mut work, &mut writer, progress)?;
    if work.items.is_empty() {
        return Err(nothing(options, &found));
    }
    gallery::order(&mut work.items);
    let mut finish = Finish { options, bundle, known, writer, encoder };
    let (manifest, kept, unchanged) = finish.manifest(&work.items)?;
    let swept = finish.writer.finish(&manifest)?;
    let completed = known.filter(|_| unchanged).and_then(|known| known.record.completed.clone());
    if options.again != Again::Never {
        let chunks = manifest.gallery.chunks.iter().map(|chunk| chunk.file.path.clone()).collect();
        let mut record = Record::new(model, began, chunks, seen(&work, &duplicates));
        record.completed.clone_from(&completed);
        record.write(&state::path_of(&options.out)?)?;
    }
    let Work { items, encoded, renamed, .. } = work;
    let (indexed, complaints, others) = (items.len(), found.complaints, found.others);
    let outcome = Outcome {
        indexed,
        encoded,
        renamed,
        anew,
        unchanged,
        completed,
        duplicates: Vec::new(),
        extra,
        complaints,
        others,
        kept,
        swept,
    };
    Ok(Outcome { duplicates: duplicates.groups, ..outcome })
}

/// The error where no image is left.
fn nothing(options: &Options, found: &walk::Found) -> TrainerError {
    let first = found.complaints.first().map_or_else(
        || format!("there are {} other files", found.others),
        |c| format!("{} left out, the first: {c}", found.complaints.len()),
    );
    TrainerError::data(
        options.photos.display().to_string(),
        format!("has no usable image ({first})"),
        "give a folder with JPEG, PNG, WebP or GIF files",
    )
}

/// Near-duplicates, and what the record says of those that are left out.
#[derive(Default)]
struct Duplicates {
    groups: Vec<Group>,
    left_out: Vec<Seen>,
}

/// Looks for near-duplicates, and takes them out where that is asked for.
fn duplicates(
    near: Near,
    work: &mut Work,
    writer: &mut Writer,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Duplicates> {
    let (Near::Report(threshold) | Near::Remove(threshold)) = near else { return Ok(Duplicates::default()) };
    let all = work.items.len();
    let groups = near::groups(&work.items, threshold, &mut |at| progress(at, all))?;
    progress(all, all);
    let mut left_out = std::mem::take(&mut work.left_out);
    if let Near::Remove(_) = near {
        let of = |group: &Group| {
            let became = |similarity| Became::DuplicateOf { path: group.kept.clone(), similarity };
            group.others.iter().map(|other| (other.id.clone(), became(other.similarity))).collect::<Vec<_>>()
        };
        let mut gone: HashMap<String, Became> = groups.iter().flat_map(of).collect();
        let (out, stay): (Vec<Item>, Vec<Item>) =
            std::mem::take(&mut work.items).into_iter().partition(|item| gone.contains_key(&item.meta.id));
        work.items = stay;
        let used: HashSet<&str> = work.items.iter().map(|item| item.meta.thumb.as_str()).collect();
        for item in out {
            if !used.contains(item.meta.thumb.as_str()) {
                writer.forget(&format!("thumbs/{}", item.meta.thumb));
            }
            let same = |other: &&Item| other.meta.reference == item.meta.reference;
            if let Some(file) = item.meta.reference.as_ref().filter(|_| !work.items.iter().any(|other| same(&other))) {
                writer.forget(&file.path);
            }
            let Some(became) = gone.remove(&item.meta.id) else { continue };
            left_out.push(Seen { path: item.meta.id, stamp: item.stamp, sha256: item.sha256, became });
        }
    }
    Ok(Duplicates { groups, left_out })
}

/// The photos as the record has them: those of the gallery in its order, and those that were left out.
fn seen(work: &Work, duplicates: &Duplicates) -> Vec<Seen> {
    let rows = (0..).zip(&work.items).map(|(row, item)| Seen {
        path: item.meta.id.clone(),
        stamp: item.stamp,
        sha256: item.sha256.clone(),
        became: Became::Row(row),
    });
    let mut all: Vec<Seen> = rows.chain(duplicates.left_out.iter().cloned()).collect();
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all
}

/// The last step: what people read, and the query that devices are tested with.
struct Finish<'a> {
    options: &'a Options,
    bundle: &'a Bundle,
    known: Option<&'a Known>,
    writer: Writer,
    encoder: &'a mut dyn Encoder,
}

impl Finish<'_> {
    /// Writes the gallery; gives the manifest, what of it is the earlier bundle's, and whether all of it is.
    fn manifest(&mut self, items: &[Item]) -> Result<(Manifest, Vec<&'static str>, bool)> {
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

#[cfg(test)]
mod tests;
