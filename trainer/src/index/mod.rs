//! `thisbut index`: a folder of images becomes a gallery that the bundle's model searches. Again on the same output it touches
//! only what changed.
//!
//! The model is handed in as an [`Encoder`], so that everything around it is tested without one.

mod about;
pub mod engine;
mod finish;
mod gallery;
mod known;
mod left_out;
pub mod near;
pub mod rows;
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
pub use about::About;
use finish::Finish;
use known::{Earlier, Known};
use left_out::{Duplicates, duplicates};
use near::Group;
use state::{Became, Record, Seen};
use std::path::PathBuf;
use thisbut_model::gallery::Chunk;
use work::{Around, Work};

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
    /// What the images look like, `[B, C]`: their mean image tokens, which near-duplicates are told by.
    pub looks: Vec<f32>,
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
    let (known, anew) = earlier(options, &model)?;
    let known = known.as_deref();
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
        let looks = Chunk::join(work.items.iter().map(|item| &item.look))?;
        let record = Record::new(model, began, chunks, seen(&work, &duplicates));
        record.completed_as(completed.clone()).write(&options.out, &looks)?;
    }
    Ok(Outcome {
        indexed: work.items.len(),
        encoded: work.encoded,
        renamed: work.renamed,
        anew,
        unchanged,
        completed,
        duplicates: duplicates.groups,
        extra,
        complaints: found.complaints,
        others: found.others,
        kept,
        swept,
    })
}

/// What can be taken over from the output folder; or why nothing can be.
fn earlier(options: &Options, model: &str) -> Result<(Option<Box<Known>>, Option<String>)> {
    if options.again != Again::Changed {
        return Ok((None, None));
    }
    Ok(match Known::look(&options.out, model)? {
        Earlier::Nothing => (None, None),
        Earlier::Useless(why) => (None, Some(why)),
        Earlier::Known(known) => (Some(known), None),
    })
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

#[cfg(test)]
mod tests;
