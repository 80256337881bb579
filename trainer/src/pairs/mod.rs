//! Pair mining: which two images of a collection a modification text should connect. Each paper's rule, duplicates
//! removed across rules, the same pairs for the same seed.

pub mod cosines;
pub mod near;
pub mod nlvr2;
pub mod rules;
pub mod sources;

use crate::error::Result;
use crate::fsx;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::path::Path;

/// One ordered pair and the rule that found it first.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pair {
    /// The image that a query starts from.
    pub reference: String,
    /// The image that it asks for.
    pub target: String,
    /// The rule's name.
    pub rule: String,
}

/// What one rule gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    /// Sets, labels or images that the rule looked at.
    pub groups: usize,
    /// Pairs that it named.
    pub named: usize,
    /// Of these, pairs that were new.
    pub new: usize,
}

/// Pairs from several rules without repeats.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    pairs: Vec<Pair>,
    known: HashSet<(String, String)>,
    counts: BTreeMap<String, Count>,
}

impl Pairs {
    /// No pair yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Pairs that are known already and must not be mined, such as those of an annotated split.
    pub fn exclude(&mut self, pairs: impl IntoIterator<Item = (String, String)>) {
        self.known.extend(pairs);
    }

    /// Adds one group's pairs under a rule. A pair of an image with itself is never one.
    pub fn add(&mut self, rule: &str, group: impl IntoIterator<Item = (String, String)>) {
        let count = self.counts.entry(rule.to_owned()).or_default();
        count.groups += 1;
        for (reference, target) in group {
            count.named += 1;
            if reference != target && self.known.insert((reference.clone(), target.clone())) {
                count.new += 1;
                self.pairs.push(Pair { reference, target, rule: rule.to_owned() });
            }
        }
    }

    /// Keeps at most `most` pairs, drawn at random, in the order found. A pair and its swapped twin stay or go together: a
    /// generator writes both their texts at once.
    pub fn sample(&mut self, most: usize, rng: &mut ChaCha8Rng) {
        let key = |pair: &Pair| match pair.reference < pair.target {
            true => (pair.reference.clone(), pair.target.clone()),
            false => (pair.target.clone(), pair.reference.clone()),
        };
        let mut sizes: BTreeMap<(String, String), usize> = BTreeMap::new();
        for pair in &self.pairs {
            *sizes.entry(key(pair)).or_default() += 1;
        }
        let mut keys: Vec<((String, String), usize)> = sizes.into_iter().collect();
        keys.shuffle(rng);
        let (mut count, mut kept) = (0, HashSet::new());
        for (key, size) in keys {
            if count + size <= most {
                count += size;
                kept.insert(key);
            }
        }
        self.pairs.retain(|pair| kept.contains(&key(pair)));
    }

    /// The pairs in the order found.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// What each rule gave.
    pub fn counts(&self) -> &BTreeMap<String, Count> {
        &self.counts
    }

    /// Writes one JSON object a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        fsx::write_atomic_with(path, |out| {
            for pair in &self.pairs {
                serde_json::to_writer(&mut *out, pair)?;
                out.write_all(b"\n")?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests;
