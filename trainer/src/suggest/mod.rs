//! What a bundle's page offers: modification texts for every picture, searches that show at once what the model does, and the
//! pictures that a visitor starts from. Texts come from the differences of neighbours' titles; the model itself says which of
//! them it answers.

pub mod answers;
pub mod choose;
pub mod words;

use crate::bundle_io::{Bundle, Writer};
use crate::error::Result;
use crate::index::About as Described;
use answers::{Answers, Asker};
use burn::tensor::Device;
use choose::{Asked, Candidate, Show, examples, offered, worth_asking};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use thisbut_model::bundle::{Closeness, Example, GalleryEntry, Manifest, Match, MetadataChunk, Opening, Shown};
use thisbut_model::gallery::{Hit, ImageMeta, MAX_CHANGES, encode_metadata, varied};
use words::{About, are_sentences};

/// Neighbours whose titles an image's is compared with.
const NEIGHBOURS: usize = 160;
/// Images that are asked together.
const BATCH: usize = 16;
/// Images of a ranking that are looked at for the right one.
const LOOKED_AT: usize = 10;
/// Answers of an example that are kept.
const EXAMPLE_HITS: usize = 15;
/// Pictures to start from that are kept: as many as the page asks for at first.
const START: usize = 30;
/// Most letters of the titles in an example: they stand under small pictures.
const SHORT_TITLE: usize = 32;

/// Letters of a title that are kept of pictures to start from.
const LONGEST_TITLE: usize = 200;

/// How much is offered.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Texts for each picture; 0: none.
    pub changes: usize,
    /// Searches that are shown with their answers.
    pub examples: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { changes: 6, examples: 6 }
    }
}

/// Most texts of a picture that can be asked for.
pub const MOST_CHANGES: usize = MAX_CHANGES;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Images of the gallery.
    pub images: usize,
    /// Images with a text to offer.
    pub offering: usize,
    /// Texts in all.
    pub texts: usize,
    /// Of these, texts whose right image the model finds first.
    pub first: usize,
    /// And among the first three.
    pub near: usize,
    /// Searches that are shown.
    pub examples: usize,
    /// What a run that was killed had left, and this one removed.
    pub swept: Vec<PathBuf>,
}

/// Asks the model of the bundle in `root` what its pictures can offer, and writes it into the bundle: metadata and `bundle.json`
/// alone are written. What `about` says is taken over, the rest stays. `progress` is told (done, all).
///
/// # Errors
/// When the bundle cannot be read or written, and when the device fails the bundle's self-test; it is as before then.
pub fn complete(
    root: &Path,
    (options, about): (Options, &Described),
    device: &Device,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Outcome> {
    let mut bundle = Bundle::read(root)?;
    let (found, examples, mut outcome) = {
        let asker = Asker::new(&bundle, device)?;
        let (mut found, outcome) = ask_all(&asker, &bundle.metadata, options, progress)?;
        let examples = show(&asker, &bundle.metadata, std::mem::take(&mut found.shows), options.examples)?;
        (found, examples, outcome)
    };
    outcome.examples = examples.len();
    for (image, changes) in bundle.metadata.iter_mut().zip(found.changes) {
        image.changes = changes;
    }
    let total = bundle.metadata.len();
    let pictures = (0..START.min(total)).filter_map(|position| varied(position, total));
    let pictures = pictures.map(|index| offering(&bundle.metadata, shown(&bundle.metadata, index as u32))).collect();
    let examples: Vec<Example> = examples
        .into_iter()
        .map(|example| Example { from: offering(&bundle.metadata, example.from), ..example })
        .collect();
    let (opening, closeness) = (Some(Opening { pictures, examples }), found.closeness);
    let mut manifest = Manifest { opening, closeness, ..bundle.manifest.clone() };
    describe(&mut manifest, about);
    outcome.swept = write(&bundle, manifest)?;
    Ok(outcome)
}

fn describe(manifest: &mut Manifest, about: &Described) {
    for (given, own) in [
        (&about.title, &mut manifest.gallery.title),
        (&about.licence, &mut manifest.gallery.licence),
        (&about.understands, &mut manifest.understands),
    ] {
        if let Some(text) = given {
            own.clone_from(text);
        }
    }
    if let Some(suggestions) = &about.suggestions {
        manifest.suggestions.clone_from(suggestions);
    }
}

/// Writes metadata and manifest; every other file stays where it is.
fn write(bundle: &Bundle, mut manifest: Manifest) -> Result<Vec<PathBuf>> {
    let mut writer = Writer::new(&bundle.root)?;
    let GalleryEntry { metadata, chunks, thumbnails, .. } = &mut manifest.gallery;
    for entry in metadata {
        let (first, count) = (entry.first, entry.count);
        let images = &bundle.metadata[first as usize..(first + count) as usize];
        let file = writer.add("gallery", "meta", "json", &encode_metadata(images)?)?;
        *entry = MetadataChunk { file, first, count };
    }
    let files = manifest.weights.iter().map(|entry| &entry.file).chain([&manifest.vocab.file]);
    let files = files.chain(chunks.iter().map(|entry| &entry.file)).map(|file| file.path.clone());
    files.for_each(|path| writer.keep(path));
    for image in &bundle.metadata {
        writer.keep(format!("{thumbnails}{}", image.thumb));
        if let Some(file) = &image.reference {
            writer.keep(file.path.clone());
        }
    }
    writer.finish(&manifest)
}

/// What all images offer.
struct Found {
    changes: Vec<Vec<String>>,
    shows: Vec<Show>,
    closeness: Option<Closeness>,
}

fn ask_all(
    asker: &dyn Answers,
    images: &[ImageMeta],
    options: Options,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Found, Outcome)> {
    let sentences = are_sentences(images.iter().map(|image| image.title.as_str()));
    let about: Vec<About> = images.iter().map(|image| About::new(&image.title, &image.tags, sentences)).collect();
    let mut found = Found { changes: Vec::with_capacity(images.len()), shows: Vec::new(), closeness: None };
    let (mut composed, mut nearest) = (Vec::new(), Vec::new());
    let mut outcome = Outcome { images: images.len(), ..Outcome::default() };
    let wanted = if options.changes == 0 && options.examples == 0 { 0 } else { images.len() };
    let numbers: Vec<u32> = (0..wanted as u32).collect();
    for batch in numbers.chunks(BATCH) {
        progress(batch[0] as usize, images.len());
        let mut candidates = Vec::with_capacity(batch.len());
        for index in batch {
            let near = asker.like(*index, NEIGHBOURS)?;
            nearest.extend(near.first().map(|hit| hit.score));
            candidates.push(from_neighbours(asker, &about, *index, &near));
        }
        for (index, asked) in batch.iter().zip(ask(asker, batch, candidates)?) {
            composed.extend(asked.iter().map(|one| one.best));
            let offered = offered(asked, options.changes.max(usize::from(options.examples > 0)));
            found.shows.extend(offered.first().and_then(|best| to_show(images, &about, *index, best)));
            let offered = &offered[..offered.len().min(options.changes)];
            outcome.count(offered);
            found.changes.push(offered.iter().map(|one| one.candidate.text.clone()).collect());
        }
    }
    progress(images.len(), images.len());
    found.changes.resize(images.len(), Vec::new());
    let words = if wanted == 0 { Vec::new() } else { said(asker, images)? };
    found.closeness = closeness(composed, nearest, words);
    Ok((found, outcome))
}

/// What words alone reach, with titles as the words: each title once, and of very many some.
fn said(asker: &dyn Answers, images: &[ImageMeta]) -> Result<Vec<f32>> {
    let titles: BTreeSet<&str> = images.iter().map(|image| image.title.as_str()).collect();
    let titles: Vec<&str> = titles.iter().step_by(titles.len().div_ceil(MOST_SAID).max(1)).copied().collect();
    let mut reached = Vec::with_capacity(titles.len());
    for batch in titles.chunks(BATCH) {
        reached.extend(asker.say(batch)?.into_iter().flatten());
    }
    Ok(reached)
}

impl Outcome {
    fn count(&mut self, offered: &[Asked]) {
        let within = |most: usize| offered.iter().filter(|one| one.rank.is_some_and(|rank| rank < most)).count();
        self.offering += usize::from(!offered.is_empty());
        self.texts += offered.len();
        self.first += within(1);
        self.near += within(3);
    }
}

/// Fewer real searches than this say nothing of what is close.
const ENOUGH: usize = 100;

/// Titles that are asked with at most, words alone.
const MOST_SAID: usize = 4096;

/// What real searches reach; none where there are too few of them.
fn closeness(mut composed: Vec<f32>, mut nearest: Vec<f32>, mut words: Vec<f32>) -> Option<Closeness> {
    if composed.len() < ENOUGH || nearest.len() < ENOUGH {
        return None;
    }
    let least = |scores: &mut Vec<f32>, percent: f32| {
        scores.sort_by(f32::total_cmp);
        scores[(scores.len() as f32 * percent / 100.0) as usize]
    };
    let (of_text, of_image, of_words) = Closeness::PERCENT;
    let words = (words.len() >= ENOUGH).then(|| least(&mut words, of_words));
    Some(Closeness { composed: least(&mut composed, of_text), image: least(&mut nearest, of_image), words })
}

/// Texts that lead from an image to its neighbours, nearest first.
fn from_neighbours(asker: &dyn Answers, about: &[About], index: u32, near: &[Hit]) -> Vec<Candidate> {
    let own = &about[index as usize];
    let (mut found, mut places): (Vec<Candidate>, HashMap<String, usize>) = Default::default();
    for other in near.iter().map(|hit| hit.index) {
        let Some((kind, text)) = own.change(&about[other as usize]) else { continue };
        match places.get(&text) {
            Some(at) => found[*at].targets.push(other),
            None if asker.reads(&text) => {
                places.insert(text.clone(), found.len());
                found.push(Candidate { kind, text, targets: vec![other] });
            }
            None => {}
        }
    }
    worth_asking(found)
}

/// What the model makes of each image's candidates.
fn ask(asker: &dyn Answers, batch: &[u32], candidates: Vec<Vec<Candidate>>) -> Result<Vec<Vec<Asked>>> {
    let texts: Vec<Vec<&str>> =
        candidates.iter().map(|own| own.iter().map(|one| one.text.as_str()).collect()).collect();
    let answers = asker.ask(batch, &texts, LOOKED_AT)?;
    let judged = |(candidate, hits): (Candidate, Vec<Hit>)| {
        let rank = hits.iter().position(|hit| candidate.targets.contains(&hit.index));
        let score = |at: usize| hits.get(at).map_or(0.0, |hit| hit.score);
        Asked { rank, best: score(0), margin: score(0) - score(1), candidate }
    };
    let pairs = candidates.into_iter().zip(answers);
    Ok(pairs.map(|(own, hits)| own.into_iter().zip(hits).map(judged).collect()).collect())
}

/// An image's best text as a search to show, if its titles are short enough to be shown.
fn to_show(images: &[ImageMeta], about: &[About], from: u32, asked: &Asked) -> Option<Show> {
    let to = *asked.candidate.targets.first()?;
    let short = |index: u32| images[index as usize].title.chars().count() <= SHORT_TITLE;
    let subjects = [from, to].iter().flat_map(|index| about[*index as usize].subject()).collect();
    (short(from) && short(to)).then(|| Show { from, asked: asked.clone(), subjects })
}

/// The best of them with their answers.
fn show(asker: &dyn Answers, images: &[ImageMeta], shows: Vec<Show>, count: usize) -> Result<Vec<Example>> {
    let mut made = Vec::new();
    for Show { from, asked, .. } in examples(shows, count) {
        let text = asked.candidate.text;
        let hits = asker.ask(&[from], &[vec![text.as_str()]], EXAMPLE_HITS)?.into_iter().flatten().flatten();
        let hits = hits.map(|hit| Match { image: shown(images, hit.index), score: hit.score }).collect();
        made.push(Example { from: shown(images, from), text, hits });
    }
    Ok(made)
}

fn shown(images: &[ImageMeta], index: u32) -> Shown {
    let image = &images[index as usize];
    let title = image.title.chars().take(LONGEST_TITLE).collect();
    let (id, url) = (image.name().to_owned(), image.url().map(str::to_owned));
    Shown { index, id, url, title, thumb: image.thumb.clone(), changes: Vec::new(), extra: image.extra.clone() }
}

/// The same with what it offers: a search may start from it.
fn offering(images: &[ImageMeta], shown: Shown) -> Shown {
    Shown { changes: images[shown.index as usize].changes.clone(), ..shown }
}

#[cfg(test)]
mod tests;
