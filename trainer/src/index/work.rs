//! What the gallery keeps of each photo: taken over from an earlier run where the photo is as it was, made by the encoder where
//! it is not.

use super::known::Known;
use super::state::{Became, Seen, Stamp};
use super::walk::Photo;
use super::{Encoded, Encoder, Near, Options, thumbs};
use crate::bundle_io::{Bundle, Writer};
use crate::data::Complaint;
use crate::error::{Result, TrainerError};
use crate::{fsx, images};
use rayon::prelude::*;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use thisbut_model::bundle::Form;
use thisbut_model::gallery::{Chunk, ImageMeta, encode_chunk};
use thisbut_model::image::{PreprocessConfig, Rgba, preprocess};

/// Images that are read, and those that are encoded, together.
const BATCH: usize = 16;

/// An image that can be in the gallery.
#[derive(Clone, Debug)]
pub struct Item {
    /// What is shown with it.
    pub meta: ImageMeta,
    /// Its target tokens as the gallery keeps them.
    pub row: Chunk,
    /// What it looks like, as a row of one token; not in the gallery.
    pub look: Chunk,
    /// Size and time of its file.
    pub stamp: Stamp,
    /// SHA-256 of its file.
    pub sha256: String,
    /// The row of the bundle in place whose place it takes.
    pub place: Option<u32>,
}

/// What became of the photos.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// The images, in the order of the photos.
    pub items: Vec<Item>,
    /// Photos that an earlier run left out as duplicates, and this one leaves out unread.
    pub left_out: Vec<Seen>,
    /// Images that went through the encoder.
    pub encoded: usize,
    /// Photos that have another name than before: the old one and the new.
    pub renamed: Vec<(String, String)>,
    /// What cannot be used, and why.
    pub complaints: Vec<Complaint>,
}

/// Everything around the photos.
pub struct Around<'a> {
    /// What is asked for.
    pub options: &'a Options,
    /// The model.
    pub bundle: &'a Bundle,
    /// What an earlier run left.
    pub known: Option<&'a Known>,
    /// Where files are written.
    pub writer: &'a mut Writer,
    /// The model at work.
    pub encoder: &'a mut dyn Encoder,
}

/// A file's bytes, or what is wrong with it.
struct Read {
    bytes: Vec<u8>,
    sha256: String,
    stamp: Stamp,
}

fn read(path: &Path) -> Result<Read> {
    let about = std::fs::metadata(path).map_err(|e| TrainerError::io(path, "read", e, "check the path"))?;
    let bytes = images::read_file(path)?;
    let sha256 = fsx::sha256_hex(&bytes);
    Ok(Read { bytes, sha256, stamp: Stamp::of(&about) })
}

struct Prepared {
    input: Vec<f32>,
    thumb: thumbs::Thumb,
    width: u32,
    height: u32,
}

fn prepare(path: &Path, bytes: &[u8], config: &PreprocessConfig) -> Result<Prepared> {
    let picture = images::decode_bytes(bytes, &path.display().to_string())?;
    let input = preprocess(&Rgba::new(picture.width, picture.height, &picture.data)?, config)?;
    let (width, height) = (picture.width, picture.height);
    Ok(Prepared { input, thumb: thumbs::make(bytes, picture)?, width, height })
}

/// What a photo's file is kept as, whatever the photo is called.
#[derive(Clone)]
struct Made {
    row: Chunk,
    look: Chunk,
    thumb: String,
    size: (u32, u32),
    reference: Option<thisbut_model::bundle::FileEntry>,
}

impl Made {
    fn item(self, photo: &Photo, (sha256, stamp): (String, Stamp), place: Option<u32>) -> Item {
        let meta = ImageMeta {
            id: photo.id.clone(),
            title: photo.title.clone(),
            tags: photo.tags.clone(),
            changes: Vec::new(),
            extra: photo.extra.clone(),
            thumb: self.thumb,
            width: self.size.0,
            height: self.size.1,
            reference: self.reference,
        };
        Item { meta, row: self.row, look: self.look, stamp, sha256, place }
    }
}

impl Around<'_> {
    /// Makes an item of each photo. `progress` is told (done, all).
    ///
    /// # Errors
    /// When the encoder fails, or a file cannot be written. Photos that cannot be used are complaints.
    pub fn run(&mut self, photos: &[Photo], progress: &mut dyn FnMut(usize, usize)) -> Result<Work> {
        let (mut work, mut done) = (Work::default(), HashMap::new());
        let stamps: Vec<Option<Stamp>> =
            photos.par_iter().map(|photo| std::fs::metadata(&photo.path).ok().map(|about| Stamp::of(&about))).collect();
        let mut open = Vec::new();
        for (photo, stamp) in photos.iter().zip(stamps) {
            match self.settled(photo, stamp) {
                Some(item) => work.items.push(item),
                None => open.push((photo, stamp)),
            }
        }
        let same: HashSet<String> = work.items.iter().map(|item| item.meta.id.clone()).collect();
        open.retain(|(photo, stamp)| {
            let duplicate = self.still_left_out(photo, *stamp, &same);
            work.left_out.extend(duplicate.cloned());
            duplicate.is_none()
        });
        let paths: HashSet<&str> = photos.iter().map(|photo| photo.id.as_str()).collect();
        let (mut moves, settled) = (Moves { paths, taken: HashSet::new() }, photos.len() - open.len());
        for (number, batch) in open.chunks(BATCH).enumerate() {
            progress(settled + number * BATCH, photos.len());
            let batch: Vec<&Photo> = batch.iter().map(|(photo, _)| *photo).collect();
            self.batch(&batch, (&mut work, &mut done), &mut moves)?;
        }
        progress(photos.len(), photos.len());
        let places: HashMap<&str, usize> = photos.iter().map(|photo| photo.id.as_str()).zip(0..).collect();
        work.items.sort_by_key(|item| places.get(item.meta.id.as_str()).copied());
        Ok(work)
    }

    /// The item of a photo that is surely as an earlier run saw it.
    fn settled(&mut self, photo: &Photo, stamp: Option<Stamp>) -> Option<Item> {
        let known = self.known?;
        let seen = known.settled(&photo.id, stamp)?;
        let row = known.row_of(&photo.id)?;
        Some(self.take(row)?.item(photo, (seen.sha256.clone(), seen.stamp), Some(row)))
    }

    /// A photo that an earlier run left out, where nothing has changed about that.
    fn still_left_out(&self, photo: &Photo, stamp: Option<Stamp>, same: &HashSet<String>) -> Option<&Seen> {
        let Near::Remove(threshold) = self.options.near else { return None };
        let seen = self.known?.settled(&photo.id, stamp)?;
        let Became::DuplicateOf { path, similarity } = &seen.became else { return None };
        (same.contains(path) && *similarity >= threshold).then_some(seen)
    }

    /// What the bundle in place has of a row, if it has all of it.
    fn take(&mut self, row: u32) -> Option<Made> {
        let known = self.known?;
        let (row, look, image) = known.take(row, &self.options.out)?;
        self.writer.keep(format!("{}{}", known.manifest.gallery.thumbnails, image.thumb));
        if let Some(file) = &image.reference {
            self.writer.keep(file.path.clone());
        }
        let (thumb, reference) = (image.thumb.clone(), image.reference.clone());
        Some(Made { row, look, thumb, size: (image.width, image.height), reference })
    }

    /// Reads photos; those whose bytes are known from anywhere are not encoded.
    fn batch(
        &mut self,
        photos: &[&Photo],
        (work, done): (&mut Work, &mut HashMap<String, Made>),
        moves: &mut Moves,
    ) -> Result<()> {
        let read: Vec<Result<Read>> = photos.par_iter().map(|photo| read(&photo.path)).collect();
        let mut files = Vec::new();
        for (photo, read) in photos.iter().zip(read) {
            match read {
                Ok(file) => files.push((*photo, file)),
                Err(e) => work.complaints.push(Complaint::of(&photo.path, &e)),
            }
        }
        let mut asked: Vec<(&Photo, &Read)> = Vec::new();
        for (photo, file) in &files {
            let row = self.known.and_then(|known| known.with_hash(&file.sha256));
            if let Some(made) = row.and_then(|row| self.take(row)) {
                done.insert(file.sha256.clone(), made);
            } else if !done.contains_key(&file.sha256) && asked.iter().all(|(_, other)| other.sha256 != file.sha256) {
                asked.push((photo, file));
            }
        }
        let mut wrong = HashMap::new();
        work.encoded += self.encode(&asked, done, &mut wrong)?;
        for (photo, Read { sha256, stamp, .. }) in files {
            match (done.get(&sha256), wrong.get(&sha256)) {
                (Some(made), _) => {
                    let place = self.known.and_then(|known| moves.place(photo, &sha256, known, work));
                    work.items.push(made.clone().item(photo, (sha256, stamp), place));
                }
                (None, Some(e)) => work.complaints.push(Complaint::of(&photo.path, e)),
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// Encodes files with different bytes; gives how many went through the encoder.
    fn encode(
        &mut self,
        asked: &[(&Photo, &Read)],
        done: &mut HashMap<String, Made>,
        wrong: &mut HashMap<String, TrainerError>,
    ) -> Result<usize> {
        let config = &self.bundle.config.preprocess;
        let prepared: Vec<Result<Prepared>> =
            asked.par_iter().map(|(photo, file)| prepare(&photo.path, &file.bytes, config)).collect();
        let (mut inputs, mut kept) = (Vec::new(), Vec::new());
        for ((_, file), prepared) in asked.iter().zip(prepared) {
            match prepared {
                Ok(Prepared { input, thumb, width, height }) => {
                    inputs.push(input);
                    kept.push((&file.sha256, thumb, (width, height)));
                }
                Err(e) => drop(wrong.insert(file.sha256.clone(), e)),
            }
        }
        let count = kept.len();
        if count == 0 {
            return Ok(0);
        }
        let Rows { rows, looks, references } = self.rows(inputs)?;
        let mut references = references.into_iter();
        for ((sha256, thumb, size), (row, look)) in kept.into_iter().zip(rows.into_iter().zip(looks)) {
            let entry = self.writer.add("thumbs", "t", thumb.ext, &thumb.bytes)?;
            let thumb = entry.path.rsplit_once('/').map_or(&*entry.path, |(_, name)| name).to_owned();
            let file = references.next();
            let reference = file.map(|file| self.writer.add("references", "r", "safetensors", &file)).transpose()?;
            done.insert(sha256.clone(), Made { row, look, thumb, size, reference });
        }
        Ok(count)
    }

    /// What the encoder makes of preprocessed images.
    fn rows(&mut self, inputs: Vec<Vec<f32>>) -> Result<Rows> {
        let (n, p) = (self.bundle.config.target_tokens, self.bundle.config.projection);
        let (stored, images) = (self.bundle.manifest.gallery.tokens.min(n), inputs.len());
        let Encoded { targets, looks, references } = self.encoder.encode(inputs)?;
        let files = if self.bundle.manifest.form == Form::GalleryReference { images } else { 0 };
        let whole = !looks.is_empty() && looks.len().is_multiple_of(images);
        if (targets.len(), references.len(), whole) != (images * n * p, files, true) {
            let (values, found) = (targets.len(), references.len());
            return Err(TrainerError::data(
                "the engine",
                format!("gave {values} values and {found} files for {images} images of {n} tokens of {p}"),
                "export the bundle again",
            ));
        }
        let width = looks.len() / images;
        let chunk = |tokens: &[f32], n, p| Ok(Chunk::parse(&encode_chunk(tokens, n, p)?)?);
        let rows = targets.chunks_exact(n * p).map(|tokens| chunk(&tokens[..stored * p], stored, p));
        let looks = looks.chunks_exact(width).map(|look| chunk(look, 1, width));
        let (rows, looks) = (rows.collect::<Result<_>>()?, looks.collect::<Result<_>>()?);
        Ok(Rows { rows, looks, references })
    }
}

/// What the encoder makes of images: a row and a look each, and a file of tokens each where the bundle needs them.
struct Rows {
    rows: Vec<Chunk>,
    looks: Vec<Chunk>,
    references: Vec<Vec<u8>>,
}

/// Rows that are free for photos with another name than before.
struct Moves<'a> {
    /// The paths of this run.
    paths: HashSet<&'a str>,
    taken: HashSet<u32>,
}

impl Moves<'_> {
    /// The row whose place a photo takes: its own, or that of a photo with the same bytes whose path is gone.
    fn place(&mut self, photo: &Photo, sha256: &str, known: &Known, work: &mut Work) -> Option<u32> {
        if let Some(row) = known.row_of(&photo.id) {
            return Some(row);
        }
        let row = known.with_hash(sha256)?;
        let before = &known.metadata.get(row as usize)?.id;
        if self.paths.contains(before.as_str()) || !self.taken.insert(row) {
            return None;
        }
        work.renamed.push((before.clone(), photo.id.clone()));
        Some(row)
    }
}
