//! Near-duplicates: images whose target tokens point almost the same way, and files that are the same byte by byte.
//!
//! Similarity: the cosine of the mean target tokens of two images, as the gallery keeps them.

use super::work::Item;
use crate::error::Result;
use thisbut_model::gallery::{Chunk, Gallery, encode_chunk};

/// Similarity from which on two images are near-duplicates. Measured: `docs/notes/near-duplicates.md`.
pub const THRESHOLD: f32 = 0.97;

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

/// The mean target token of an image, L2-normalised; zero where it has no direction.
fn mean(row: &Chunk) -> Vec<f32> {
    let mut sum = vec![0.0; row.width()];
    for token in row.image(0).unwrap_or_default().chunks_exact(row.width()) {
        sum.iter_mut().zip(token).for_each(|(sum, value)| *sum += value);
    }
    let norm = sum.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm > 0.0 {
        sum.iter_mut().for_each(|value| *value /= norm);
    }
    sum
}

/// The groups of duplicates among `items`, in the order of the images that stay. An image is compared with those that stay: a
/// chain of images, each like the next, is not one group. `at` is told how many are looked at.
///
/// # Errors
/// When the items are of different shapes.
pub fn groups(items: &[Item], threshold: f32, at: &mut dyn FnMut(usize)) -> Result<Vec<Group>> {
    let means: Vec<Vec<f32>> = items.iter().map(|item| mean(&item.row)).collect();
    let mut gallery = Gallery::new();
    for part in means.chunks(PART) {
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
        let (mut others, own) = (Vec::new(), &means[keeper]);
        for other in gallery.search_above(own, threshold - SLACK)?.into_iter().map(|index| index as usize) {
            let copy = items[other].sha256 == items[keeper].sha256;
            let dot: f32 = own.iter().zip(&means[other]).map(|(a, b)| a * b).sum();
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
