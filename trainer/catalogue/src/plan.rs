//! Fills a split with triplets.

use crate::draw::{Draft, Drawer};
use crate::mix::Mix;
use crate::splits::Splits;
use crate::wish::Pool;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// A draft with the group that it is reported in.
pub struct Query {
    /// The triplet.
    pub draft: Draft,
    /// "seen", "unseen-combination" or "unseen-value"; "train" in training.
    pub group: &'static str,
}

/// How often a draw may fail in a row before the kind counts as used up.
const PATIENCE: usize = 4_000;
/// Triplets of one pair.
const TIMES: u32 = 3;
/// How often evaluation draws again to find a query of the group that is next.
const AGAIN: usize = 40;

/// Draws `size` triplets of a pool, or as many as there are. With `splits`, queries are of each group in turn, by what
/// training has seen of the target; without, they are of training.
pub fn fill(rng: &mut ChaCha8Rng, pool: &Pool, splits: Option<&Splits>, size: usize) -> Vec<Query> {
    let drawer = Drawer::new(pool);
    let (kinds, shares): (Vec<_>, Vec<f64>) = drawer.kinds().into_iter().unzip();
    let mut mix = Mix::new(shares, PATIENCE);
    let groups = groups(pool, splits);
    let (mut times, mut texts) = (BTreeMap::<(usize, usize), u32>::new(), BTreeSet::new());
    let mut out: Vec<Query> = Vec::with_capacity(size);
    while out.len() < size {
        let Some(k) = mix.next() else { break };
        let wanted = groups.get(out.len() % groups.len().max(1)).copied();
        let group = |draft: &Draft| splits.map_or("train", |splits| splits.group(pool.world, draft.target));
        let (mut found, mut spare) = (None, None);
        for _ in 0..if groups.len() > 1 { AGAIN } else { 1 } {
            let Some(draft) = drawer.draft(rng, kinds[k]) else { continue };
            if groups.len() < 2 || wanted == Some(group(&draft)) {
                found = Some(draft);
                break;
            }
            spare = Some(draft);
        }
        let Some(draft) = found.or(spare) else {
            mix.miss(k);
            continue;
        };
        let pair = (draft.reference, draft.target);
        let count = times.entry(pair).or_default();
        if *count >= TIMES || !texts.insert((draft.reference, draft.caption.to_lowercase())) {
            mix.miss(k);
            continue;
        }
        *count += 1;
        mix.hit(k);
        let group = group(&draft);
        out.push(Query { draft, group });
    }
    out
}

/// The groups that occur among a pool's pictures.
fn groups(pool: &Pool, splits: Option<&Splits>) -> Vec<&'static str> {
    let Some(splits) = splits else { return Vec::new() };
    let found: BTreeSet<&'static str> = pool.members.iter().map(|item| splits.group(pool.world, item)).collect();
    found.into_iter().collect()
}
