//! Near-duplicates: images that the image encoder sees almost alike, and files that are the same byte by byte.
//!
//! Similarity: the cosine of the mean image tokens of two images, at eight bits. Target tokens say less: they are trained to tell
//! what a search is about, and a model of other pictures puts a copy far from its original.

use super::work::Item;
use crate::error::Result;
use thisbut_model::gallery::{Chunk, Gallery, encode_chunk};

/// Similarity from which on two images are near-duplicates. Measured: `docs/notes/near-duplicates.md`.
pub const THRESHOLD: f32 = 0.93;

/// The gallery's eight bits move a score by a few thousandths: candidates are looked at closely.
const SLACK: f32 = 0.01;

/// Images of a chunk that is scanned.
const PART: usize = 1 << 16;

/// An image and its duplicates.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The image that stays: the largest, of equals one that the gallery had before, of equals the first by path.
    pub kept: String,
    /// The others, most similar first.
    pub others: Vec<Duplicate>,
}

/// An image that is another one's duplicate.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// Its path.
    pub id: String,
    /// How similar it is.
    pub similarity: f32,
    /// Whether its file is the other's, byte by byte.
    pub copy: bool,
}

/// A look, L2-normalised; zero where it has no direction.
fn direction(look: &Chunk) -> Vec<f32> {
    let mut look = look.image(0).unwrap_or_default();
    let norm = look.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        look.iter_mut().for_each(|value| *value /= norm);
    }
    look
}

/// The groups of duplicates among `items`, in the order of the images that stay. An image is compared with those that stay: a
/// chain of images, each like the next, is not one group. `at` is told how many are looked at.
///
/// # Errors
/// When the items are of different shapes.
pub fn groups(items: &[Item], threshold: f32, at: &mut dyn FnMut(usize)) -> Result<Vec<Group>> {
    let looks: Vec<Vec<f32>> = items.iter().map(|item| direction(&item.look)).collect();
    let mut gallery = Gallery::new();
    for part in looks.chunks(PART) {
        gallery.push(Chunk::parse(&encode_chunk(&part.concat(), 1, part[0].len())?)?)?;
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    let pixels = |item: &Item| u64::from(item.meta.width) * u64::from(item.meta.height);
    order.sort_by_key(|at| (std::cmp::Reverse(pixels(&items[*at])), items[*at].place.is_none(), *at));
    let (mut gone, mut found) = (vec![false; items.len()], Vec::new());
    for (number, keeper) in order.into_iter().enumerate() {
        at(number);
        if gone[keeper] {
            continue;
        }
        gone[keeper] = true;
        let (mut others, own) = (Vec::new(), &looks[keeper]);
        for other in gallery.search_above(own, threshold - SLACK)?.into_iter().map(|index| index as usize) {
            let copy = items[other].sha256 == items[keeper].sha256;
            let dot: f32 = own.iter().zip(&looks[other]).map(|(a, b)| a * b).sum();
            let similarity = if copy { 1.0 } else { dot.min(1.0) };
            if !gone[other] && similarity >= threshold {
                gone[other] = true;
                others.push(Duplicate { id: items[other].meta.id.clone(), similarity, copy });
            }
        }
        if !others.is_empty() {
            others.sort_by(|a, b| b.similarity.total_cmp(&a.similarity).then_with(|| a.id.cmp(&b.id)));
            found.push((keeper, Group { kept: items[keeper].meta.id.clone(), others }));
        }
    }
    found.sort_by_key(|(keeper, _)| *keeper);
    Ok(found.into_iter().map(|(_, group)| group).collect())
}
