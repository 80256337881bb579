//! Grounding: the share of attention that falls on the part of the picture that the text changes.
//!
//! Reference and target of a triplet are compared pixel by pixel, as the image encoder sees them: what differs is the changed part.
//! Pairs of renders that are otherwise the same picture tell it; of other pairs everything differs, and they are left out.
//! With a_c the share of grid cell c and m_c the part of its pixels that changed, the figure is Σ_c a_c · m_c. Beside it stand what
//! attention without a preference would reach: on the whole picture, and on what is drawn on it, o_c.

use super::{encoded, explain};
use crate::data::table::{Table, Triplet};
use crate::error::Result;
use crate::images::{RgbaImage, decode_file};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use thisbut_model::Retrieval;
use thisbut_model::image::{PreprocessConfig, Rgba, preprocess_u8};
use thisbut_model::retrieval::EncodedImages;

/// Difference of a channel, of 255, from which on a pixel is another: below it are a codec's and a resize's traces.
const OTHER: u8 = 24;
/// Of the picture, the least change that is one.
const LEAST: f32 = 0.003;
/// Of what is drawn, the most that may change between two states of one picture.
const MOST: f32 = 0.5;
/// Half of a 95 % interval, in standard errors.
const Z95: f64 = 1.96;

/// Parts of each cell's pixels.
struct Masks {
    changed: Vec<f32>,
    drawn: Vec<f32>,
}

/// The share of attention `grid` on a part of the picture, of which each cell has `mask`.
pub fn share_on(grid: &[f32], mask: &[f32]) -> f64 {
    grid.iter().zip(mask).map(|(share, part)| f64::from(*share) * f64::from(*part)).sum()
}

/// A mean over triplets with half of its 95 % interval, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// The mean.
    pub mean: f64,
    /// Half of the interval: 1.96 standard errors.
    pub half: f64,
}

impl Figure {
    fn of(values: &[f64]) -> Self {
        let n = values.len().max(1) as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Self { mean: 100.0 * mean, half: 100.0 * Z95 * (variance / n).sqrt() }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ±{:.1}", self.mean, self.half)
    }
}

/// What attention without a preference reaches on the changed part.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Control {
    /// Spread evenly over the picture: the changed part's area.
    pub picture: Figure,
    /// Spread evenly over what is drawn, as coarse as the grid is.
    pub drawn: Figure,
    /// All of it in the cell that changed most: no grid of this size reaches more.
    pub best: Figure,
}

/// The figures of one model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Grounding {
    /// Triplets whose pictures can be compared.
    pub triplets: usize,
    /// Triplets that were looked at.
    pub of: usize,
    /// Of a phrase's attention, the mean of the text's phrases; texts without phrases do not count.
    pub phrases: Option<Figure>,
    /// Of these, how much more than attention spread over what is drawn, on the same triplets.
    pub phrases_gain: Option<Figure>,
    /// Of the query's attention.
    pub query: Figure,
    /// Likewise.
    pub query_gain: Figure,
    /// Without a preference.
    pub control: Control,
}

/// What is measured of each triplet.
#[derive(Default)]
struct Rows {
    query: Vec<f64>,
    query_gain: Vec<f64>,
    phrases: Vec<f64>,
    phrases_gain: Vec<f64>,
    picture: Vec<f64>,
    drawn: Vec<f64>,
    best: Vec<f64>,
}

/// Measures a model on the triplets of `table` whose reference and hard target are two states of one picture; none where there are
/// no such triplets.
///
/// # Errors
/// When an image cannot be used or the device fails, and when the model's family has no attention to tell.
pub fn ground(
    retrieval: &Retrieval,
    table: &Table,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Option<Grounding>> {
    let asks = |triplet: &&Triplet| !triplet.targets.is_empty() && !retrieval.texts().tokens(&triplet.text).is_empty();
    let mut triplets: Vec<&Triplet> = table.triplets.iter().filter(asks).collect();
    // Each reference is read once.
    triplets.sort_by_key(|triplet| (triplet.reference, triplet.id));
    let (mut rows, mut known) = (Rows::default(), None::<(u32, EncodedImages, RgbaImage)>);
    let path = |image: u32| -> &Path { &table.images[image as usize].path };
    for (done, triplet) in triplets.iter().enumerate() {
        progress(done, triplets.len());
        let (_, image, picture) = match known.take().filter(|(at, ..)| *at == triplet.reference) {
            Some(known) => known,
            None => {
                let (image, picture) = encoded(retrieval, path(triplet.reference))?;
                (triplet.reference, image, picture)
            }
        };
        let target = decode_file(path(triplet.targets[0]))?;
        if let Some(masks) = Masks::of(&picture, &target, retrieval)? {
            let why = explain(retrieval, &image, (picture.width, picture.height), &triplet.text)?;
            rows.add(&why.grid, why.phrases.iter().map(|phrase| phrase.grid.as_slice()), &masks);
        }
        known = Some((triplet.reference, image, picture));
    }
    Ok((!rows.query.is_empty()).then(|| rows.figures(triplets.len())))
}

impl Masks {
    /// What differs between two pictures, in the cells of the model's grid; none where they are not two states of one picture.
    fn of(reference: &RgbaImage, target: &RgbaImage, retrieval: &Retrieval) -> Result<Option<Self>> {
        if (reference.width, reference.height) != (target.width, target.height) {
            return Ok(None);
        }
        let config = retrieval.config();
        let cells = config.image_tokens() - config.image_encoder.class_tokens();
        let pixels = |picture: &RgbaImage| -> Result<Vec<u8>> {
            let image = Rgba::new(picture.width, picture.height, &picture.data)?;
            Ok(preprocess_u8(&image, &config.preprocess)?)
        };
        let masks = Self::between(&pixels(reference)?, &pixels(target)?, (&config.preprocess, cells.isqrt()));
        let mean = |parts: &[f32]| parts.iter().sum::<f32>() / parts.len().max(1) as f32;
        let (changed, drawn) = (mean(&masks.changed), mean(&masks.drawn));
        Ok((changed >= LEAST && changed <= MOST * drawn).then_some(masks))
    }

    /// Of the encoder's pixels, `[S, S, 4]` of both.
    fn between(one: &[u8], other: &[u8], (config, side): (&PreprocessConfig, usize)) -> Self {
        let (size, cells) = (config.size, side * side);
        let [mut changed, mut drawn, mut all] = [vec![0.0_f32; cells], vec![0.0; cells], vec![0.0; cells]];
        let apart = |a: &[u8], b: &[u8]| a.iter().zip(b).take(3).any(|(a, b)| a.abs_diff(*b) >= OTHER);
        for (at, (a, b)) in one.chunks_exact(4).zip(other.chunks_exact(4)).enumerate() {
            let cell = (at / size * side / size) * side + at % size * side / size;
            let blank = [&config.background, &config.pad_fill].map(|colour| !apart(a, colour) && !apart(b, colour));
            changed[cell] += f32::from(u8::from(apart(a, b)));
            drawn[cell] += f32::from(u8::from(!blank.contains(&true)));
            all[cell] += 1.0;
        }
        let parts = |counts: Vec<f32>| counts.iter().zip(&all).map(|(count, all)| count / all.max(1.0)).collect();
        Self { changed: parts(changed), drawn: parts(drawn) }
    }
}

impl Rows {
    fn add<'a>(&mut self, grid: &[f32], phrases: impl Iterator<Item = &'a [f32]>, masks: &Masks) {
        let even = vec![1.0 / masks.changed.len() as f32; masks.changed.len()];
        let all: f32 = masks.drawn.iter().sum();
        let drawn: Vec<f32> = masks.drawn.iter().map(|part| part / all).collect();
        let (query, drawn) = (share_on(grid, &masks.changed), share_on(&drawn, &masks.changed));
        self.query.push(query);
        self.query_gain.push(query - drawn);
        self.picture.push(share_on(&even, &masks.changed));
        self.drawn.push(drawn);
        self.best.push(f64::from(masks.changed.iter().fold(0.0_f32, |most, part| most.max(*part))));
        let shares: Vec<f64> = phrases.map(|grid| share_on(grid, &masks.changed)).collect();
        if !shares.is_empty() {
            let mean = shares.iter().sum::<f64>() / shares.len() as f64;
            self.phrases.push(mean);
            self.phrases_gain.push(mean - drawn);
        }
    }

    fn figures(&self, of: usize) -> Grounding {
        let some = |values: &[f64]| (!values.is_empty()).then(|| Figure::of(values));
        Grounding {
            triplets: self.query.len(),
            of,
            phrases: some(&self.phrases),
            phrases_gain: some(&self.phrases_gain),
            query: Figure::of(&self.query),
            query_gain: Figure::of(&self.query_gain),
            control: Control {
                picture: Figure::of(&self.picture),
                drawn: Figure::of(&self.drawn),
                best: Figure::of(&self.best),
            },
        }
    }
}

impl fmt::Display for Grounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { phrases, phrases_gain, query, query_gain, .. } = self;
        let told = |figure: &Option<Figure>| figure.map_or_else(|| "–".to_owned(), |figure| figure.to_string());
        let [query, query_gain] = [query, query_gain].map(ToString::to_string);
        write!(f, "{:>16}{:>16}{query:>16}{query_gain:>16}", told(phrases), told(phrases_gain))
    }
}

#[cfg(test)]
mod tests;
