//! The rules that look at image features.

use super::cosines::{each_row, nearest};
use super::rules::SET;
use crate::error::Result;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Neighbours of which FACap draws one.
pub const NEIGHBOURS: usize = 20;
/// SynCir: the bound on what a member has to do with a subgroup's first image; see [`Reading`].
pub const FROM_FIRST: f32 = 0.94;
/// SynCir: the least step between a subgroup's members, each and the one before it.
pub const STEP: f32 = 0.002;
/// Neighbours that a subgroup looks at first; most need no more.
const LOOKED_AT: usize = 64;
/// Neighbours that a subgroup looks at in the end, so that thousands of copies of one picture cost no more than that.
const FARTHEST: usize = 4096;

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

/// How SynCir's two numbers are read: the paper says "distance", CIRR, which it follows, "similarity".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Reading {
    /// A member's distance (1 − cosine) from the first image is below 0.94, that from the member before it above 0.002
    /// (SynCir's paper).
    #[default]
    Distance,
    /// A member's cosine with the first image is below 0.94, and by more than 0.002 below that of the member before it
    /// (CIRR: no near-duplicates).
    Similarity,
}

impl Reading {
    /// Whether an image of this cosine with the first may be a member at all.
    fn admits(self, cosine: f32) -> bool {
        match self {
            Self::Distance => 1.0 - cosine < FROM_FIRST,
            Self::Similarity => cosine < FROM_FIRST,
        }
    }
}

fn cosine(a: &Item, b: &Item) -> f32 {
    a.feature.iter().zip(&b.feature).map(|(x, y)| x * y).sum()
}

/// FACap: for each image one drawn from its [`NEIGHBOURS`] nearest of the same category and source, other views of the
/// same product left out. Result: indices (reference, target).
///
/// Cosines are products of matrices on every core: for n images of a category and source, n² · D multiplications, with
/// 256 MB of them held at a time.
///
/// # Errors
/// When the cosines cannot be read back.
pub fn neighbours(items: &[Item], rng: &mut ChaCha8Rng) -> Result<Vec<(usize, usize)>> {
    let mut groups: BTreeMap<(&str, &str), Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        groups.entry((&item.category, &item.source)).or_default().push(at);
    }
    let mut near: Vec<Vec<usize>> = vec![Vec::new(); items.len()];
    for members in groups.values() {
        let group: Vec<&Item> = members.iter().map(|at| &items[*at]).collect();
        let features: Vec<&[f32]> = group.iter().map(|item| item.feature.as_slice()).collect();
        let found = each_row(&features, |own, cosines| {
            let view = |other: usize| !group[own].product.is_empty() && group[own].product == group[other].product;
            nearest(cosines, NEIGHBOURS, |other, _| other != own && !view(other))
        })?;
        for (at, found) in members.iter().zip(found) {
            near[*at] = found.into_iter().map(|(_, place)| members[place]).collect();
        }
    }
    // Drawn in the images' order, whatever the groups.
    let drawn = near.iter().enumerate().filter(|(_, near)| !near.is_empty());
    Ok(drawn.map(|(at, near)| (at, near[rng.random_range(0..near.len())])).collect())
}

/// The images that begin none of `pairs`, counted by category: those of a category that has one image, or one product.
pub fn unpaired<'a>(items: &'a [Item], pairs: &[(usize, usize)]) -> BTreeMap<&'a str, usize> {
    let paired: BTreeSet<usize> = pairs.iter().map(|(reference, _)| *reference).collect();
    let mut found = BTreeMap::new();
    for (_, item) in items.iter().enumerate().filter(|(at, _)| !paired.contains(at)) {
        *found.entry(item.category.as_str()).or_insert(0) += 1;
    }
    found
}

/// SynCir's subgroups of six, one begun at each image: its nearest images in order, each as `reading` has it. So an image
/// stands in several; nine pairs each, repeats removed, are about as many as the paper's 680,000 for 82,556 images.
/// Subgroups that do not fill up from the first 4,096 neighbours are left out.
///
/// # Errors
/// When the cosines cannot be read back.
pub fn subgroups(items: &[Item], reading: Reading) -> Result<Vec<Vec<usize>>> {
    let features: Vec<&[f32]> = items.iter().map(|item| item.feature.as_slice()).collect();
    let found = each_row(&features, |first, cosines| subgroup(items, first, cosines, reading))?;
    Ok(found.into_iter().flatten().collect())
}

/// The subgroup of `first`, whose cosines with all images are `cosines`.
fn subgroup(items: &[Item], first: usize, cosines: &[f32], reading: Reading) -> Option<Vec<usize>> {
    let mut most = LOOKED_AT;
    loop {
        let near = nearest(cosines, most, |other, cosine| other != first && reading.admits(cosine));
        let mut group = vec![first];
        for (with_first, other) in &near {
            let last = group[group.len() - 1];
            let step = match reading {
                Reading::Distance => 1.0 - cosine(&items[last], &items[*other]),
                Reading::Similarity if last == first => f32::INFINITY,
                Reading::Similarity => cosines[last] - with_first,
            };
            if step > STEP {
                group.push(*other);
            }
            if group.len() == SET {
                return Some(group);
            }
        }
        if near.len() < most || most >= FARTHEST {
            return None;
        }
        most *= 8;
    }
}

/// The nine pairs of a subgroup of six: each image to the next, and the first to the four beyond (the paper gives the
/// number; CIRR, which it follows, chains a set in this way).
pub fn nine(group: &[usize]) -> Vec<(usize, usize)> {
    let chain = group.windows(2).map(|w| (w[0], w[1]));
    let first = group.first().into_iter().flat_map(|first| group.iter().skip(2).map(move |other| (*first, *other)));
    chain.chain(first).collect()
}
