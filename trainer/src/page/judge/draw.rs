//! A random draw of pairs from files of any length: the pairs with the smallest hashes. It depends on the seed and the pairs
//! alone, not on their order, and holds no more than it gives.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A pair and its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// The reference's name.
    pub reference: String,
    /// The target's name.
    pub target: String,
    /// Its texts, a place a source.
    pub texts: Vec<String>,
}

fn hash(seed: u64, what: &str, reference: &str, target: &str) -> u64 {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    for part in [what, reference, target] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Whether a pair's second text comes first.
pub(super) fn coin(seed: u64, reference: &str, target: &str) -> bool {
    hash(seed, "order", reference, target) & 1 == 1
}

/// A draw in the making.
pub struct Draw {
    seed: u64,
    count: usize,
    best: BTreeMap<u64, Drawn>,
}

impl Draw {
    /// A draw of at most `count` pairs.
    pub fn new(seed: u64, count: usize) -> Self {
        Self { seed, count, best: BTreeMap::new() }
    }

    /// Offers a pair; `texts` is called when it is among the best so far. A pair that comes again is passed over.
    pub fn offer(&mut self, reference: &str, target: &str, texts: impl FnOnce() -> Vec<String>) {
        let place = hash(self.seed, "draw", reference, target);
        let full = self.best.len() >= self.count;
        let beaten = full && self.best.last_key_value().is_none_or(|(last, _)| place > *last);
        if beaten || self.best.contains_key(&place) {
            return;
        }
        if full {
            self.best.pop_last();
        }
        let (reference, target) = (reference.to_owned(), target.to_owned());
        self.best.insert(place, Drawn { reference, target, texts: texts() });
    }

    /// The pairs, in an order that depends on the seed.
    pub fn finish(self) -> Vec<Drawn> {
        self.best.into_values().collect()
    }
}
