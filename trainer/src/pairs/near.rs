//! The rules that look at image features.

use super::rules::SET;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Neighbours of which FACap draws one.
pub const NEIGHBOURS: usize = 20;
/// SynCir: largest distance of a member from a subgroup's first image.
pub const FARTHEST: f32 = 0.94;
/// SynCir: smallest distance of a member from the one before it.
pub const NEAREST: f32 = 0.002;

/// One image with what the rules ask of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    /// Its name.
    pub name: String,
    /// Pairs stay inside a category.
    pub category: String,
    /// And inside a source (FACap: the data set that the image came from).
    pub source: String,
    /// Views of the same product are not paired (empty: each image is a product of its own).
    pub product: String,
    /// L2-normalised feature.
    pub feature: Vec<f32>,
}

fn cosine(a: &Item, b: &Item) -> f32 {
    a.feature.iter().zip(&b.feature).map(|(x, y)| x * y).sum()
}

/// FACap: for each image one drawn from its [`NEIGHBOURS`] nearest of the same category and source, other views of the
/// same product left out. Result: indices (reference, target).
pub fn neighbours(items: &[Item], rng: &mut ChaCha8Rng) -> Vec<(usize, usize)> {
    let mut pairs = Vec::with_capacity(items.len());
    for (i, item) in items.iter().enumerate() {
        let fits = |other: &Item| {
            let view = !item.product.is_empty() && other.product == item.product;
            other.category == item.category && other.source == item.source && !view
        };
        let mut near: Vec<(f32, usize)> = items
            .iter()
            .enumerate()
            .filter(|(j, other)| *j != i && fits(other))
            .map(|(j, other)| (cosine(item, other), j))
            .collect();
        let falling = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if near.len() > NEIGHBOURS {
            near.select_nth_unstable_by(NEIGHBOURS - 1, falling);
            near.truncate(NEIGHBOURS);
        }
        near.sort_unstable_by(falling);
        if !near.is_empty() {
            pairs.push((i, near[rng.random_range(0..near.len())].1));
        }
    }
    pairs
}

/// SynCir's subgroups of six: around each image that is in none yet, its nearest images in order, each nearer than
/// [`FARTHEST`] to the first and farther than [`NEAREST`] from the one before (distance: 1 − cosine). Groups that do not
/// fill up are left out.
pub fn subgroups(items: &[Item]) -> Vec<Vec<usize>> {
    let mut used = vec![false; items.len()];
    let mut groups = Vec::new();
    for first in 0..items.len() {
        if used[first] {
            continue;
        }
        let mut near: Vec<(f32, usize)> = (0..items.len())
            .filter(|j| *j != first && !used[*j])
            .map(|j| (1.0 - cosine(&items[first], &items[j]), j))
            .filter(|(distance, _)| *distance < FARTHEST)
            .collect();
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut group = vec![first];
        for (_, j) in near {
            let last = group[group.len() - 1];
            if 1.0 - cosine(&items[last], &items[j]) > NEAREST {
                group.push(j);
                if group.len() == SET {
                    break;
                }
            }
        }
        if group.len() == SET {
            group.iter().for_each(|i| used[*i] = true);
            groups.push(group);
        }
    }
    groups
}

/// The nine pairs of a subgroup of six: each image to the next, and the first to the four beyond (the paper gives the
/// number; CIRR, which it follows, chains a set in this way).
pub fn nine(group: &[usize]) -> Vec<(usize, usize)> {
    let chain = group.windows(2).map(|w| (w[0], w[1]));
    let first = group.first().into_iter().flat_map(|first| group.iter().skip(2).map(move |other| (*first, *other)));
    chain.chain(first).collect()
}
