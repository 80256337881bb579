//! Which pictures train, which validate, which test; and what training never sees.

use crate::world::{Role, World};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use thisbut_trainer::data::Split;

/// What to hold out.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Share of the things that validate, and of those that test, where no split is given.
    pub drawn: f64,
    /// Share of an attribute's values that training never sees, for validation and again for the test. None: 5 % where no
    /// split is given, else nothing.
    pub values: Option<f64>,
    /// Share of the combinations of values that training never sees, for validation and again for the test. None: 5 % where no
    /// split is given, else nothing.
    pub combinations: Option<f64>,
}

impl Default for Shares {
    fn default() -> Self {
        Self { drawn: 0.1, values: None, combinations: None }
    }
}

/// Held out where nothing else is asked for.
const HELD_OUT: f64 = 0.05;
/// An attribute with fewer values loses none of them.
const VALUES: usize = 20;
/// With fewer combinations none is held out.
const COMBINATIONS: usize = 25;

/// The splits of all pictures.
pub struct Splits {
    /// By item; none for a picture that training must not see and that no other split has.
    of: Vec<Option<Split>>,
    /// Values held out, with their attribute.
    pub values: BTreeMap<String, Split>,
    /// Number of combinations held out.
    pub combinations: usize,
    trained_values: Vec<BTreeSet<u32>>,
    trained_combinations: BTreeSet<Vec<Vec<u32>>>,
}

/// What a picture shows, without measures.
fn combination(world: &World, item: usize) -> Vec<Vec<u32>> {
    let values = world.items.get(item).into_iter().flat_map(|item| &item.values);
    let columns = values.zip(&world.columns).filter(|(_, column)| column.role != Role::Measure);
    columns.map(|(values, _)| values.clone()).collect()
}

impl Splits {
    /// Draws what is not given.
    pub fn draw(rng: &mut ChaCha8Rng, world: &World, shares: &Shares) -> Self {
        let given = world.items.iter().any(|item| item.split.is_some());
        let mut out = Self {
            of: vec![None; world.items.len()],
            values: BTreeMap::new(),
            combinations: 0,
            trained_values: vec![BTreeSet::new(); world.columns.len()],
            trained_combinations: BTreeSet::new(),
        };
        let usual = if given { 0.0 } else { HELD_OUT };
        let held = out.hold_values(rng, world, shares.values.unwrap_or(usual));
        let held = out.hold_combinations(rng, world, shares.combinations.unwrap_or(usual), held);
        if given {
            out.as_given(rng, world, shares, &held);
        } else {
            out.by_thing(rng, world, shares, &held);
        }
        for (n, item) in world.items.iter().enumerate().filter(|(n, _)| out.of[*n] == Some(Split::Train)) {
            out.trained_values.iter_mut().zip(&item.values).for_each(|(seen, values)| seen.extend(values));
            out.trained_combinations.insert(combination(world, n));
        }
        out
    }

    /// Draws values that training never sees; item → where its values are held out.
    fn hold_values(&mut self, rng: &mut ChaCha8Rng, world: &World, share: f64) -> BTreeMap<usize, Split> {
        let mut held = BTreeMap::new();
        for (c, column) in world.columns.iter().enumerate() {
            let told = world.determines.iter().any(|row| row[c]);
            if share <= 0.0 || told || column.role == Role::Measure || column.values.len() < VALUES {
                continue;
            }
            let count = ((column.values.len() as f64 * share).round() as usize).max(1);
            let mut values: Vec<u32> = (0..column.values.len() as u32).collect();
            values.shuffle(rng);
            for (n, v) in values.into_iter().take(2 * count).enumerate() {
                let split = if n < count { Split::Test } else { Split::Val };
                let name = column.values.get(v as usize).map_or("", String::as_str);
                self.values.insert(format!("{}: {name}", column.name), split);
                let showing = world.items.iter().enumerate().filter(|(_, item)| item.values[c].contains(&v));
                showing.for_each(|(item, _)| {
                    held.entry(item).or_insert(split);
                });
            }
        }
        held
    }

    fn hold_combinations(
        &mut self,
        rng: &mut ChaCha8Rng,
        world: &World,
        share: f64,
        mut held: BTreeMap<usize, Split>,
    ) -> BTreeMap<usize, Split> {
        let mut showing: BTreeMap<Vec<Vec<u32>>, Vec<usize>> = BTreeMap::new();
        let free = (0..world.items.len()).filter(|item| !held.contains_key(item));
        free.for_each(|item| showing.entry(combination(world, item)).or_default().push(item));
        let independent = (0..world.columns.len()).filter(|c| !world.determines.iter().any(|row| row[*c])).count();
        if share <= 0.0 || independent < 2 || showing.len() < COMBINATIONS {
            return held;
        }
        let count = ((showing.len() as f64 * share).round() as usize).max(1);
        let mut drawn: Vec<Vec<usize>> = showing.into_values().collect();
        drawn.shuffle(rng);
        for (n, items) in drawn.into_iter().take(2 * count).enumerate() {
            let split = if n < count { Split::Test } else { Split::Val };
            items.into_iter().for_each(|item| {
                held.insert(item, split);
            });
            self.combinations += 1;
        }
        held
    }

    /// The given splits; training loses what is held out, and gives a part of itself where there is no validation split.
    fn as_given(&mut self, rng: &mut ChaCha8Rng, world: &World, shares: &Shares, held: &BTreeMap<usize, Split>) {
        // A picture of a thing that another split has would give its answer away.
        let mut strictest: BTreeMap<usize, Split> = BTreeMap::new();
        for item in &world.items {
            let split = item.split.unwrap_or(Split::Train);
            strictest.entry(item.thing).and_modify(|known| *known = stricter(*known, split)).or_insert(split);
        }
        for (n, item) in world.items.iter().enumerate() {
            let split = item.split.unwrap_or(Split::Train);
            let alone = strictest.get(&item.thing) == Some(&split);
            let lost = split == Split::Train && (!alone || held.contains_key(&n));
            self.of[n] = (!lost).then_some(split);
        }
        if !self.of.contains(&Some(Split::Val)) {
            let things = self.things(world, |split| split == Some(Split::Train));
            self.take(rng, things, shares.drawn, Split::Val);
        }
    }

    fn by_thing(&mut self, rng: &mut ChaCha8Rng, world: &World, shares: &Shares, held: &BTreeMap<usize, Split>) {
        let mut splits: BTreeMap<usize, Split> = BTreeMap::new();
        for (n, split) in held {
            if let Some(item) = world.items.get(*n) {
                splits.entry(item.thing).and_modify(|known| *known = stricter(*known, *split)).or_insert(*split);
            }
        }
        for (n, item) in world.items.iter().enumerate() {
            self.of[n] = Some(splits.get(&item.thing).copied().unwrap_or(Split::Train));
        }
        for split in [Split::Test, Split::Val] {
            let things = self.things(world, |split| split == Some(Split::Train));
            // The share is of all things, of which earlier draws took some away.
            self.take(rng, things, shares.drawn, split);
        }
    }

    fn things(&self, world: &World, wanted: impl Fn(Option<Split>) -> bool) -> Vec<Vec<usize>> {
        let mut things: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (n, item) in world.items.iter().enumerate().filter(|(n, _)| wanted(self.of[*n])) {
            things.entry(item.thing).or_default().push(n);
        }
        things.into_values().collect()
    }

    fn take(&mut self, rng: &mut ChaCha8Rng, mut things: Vec<Vec<usize>>, share: f64, split: Split) {
        things.shuffle(rng);
        let count = ((things.len() as f64 * share).round() as usize).max(1);
        things.into_iter().take(count).flatten().for_each(|item| self.of[item] = Some(split));
    }

    /// The split of an item.
    pub fn of(&self, item: usize) -> Option<Split> {
        self.of.get(item).copied().flatten()
    }

    /// How many items a split has, or none has.
    pub fn count(&self, split: Option<Split>) -> usize {
        self.of.iter().filter(|of| **of == split).count()
    }

    /// What training has seen of what an item shows: "seen", "unseen-combination" or "unseen-value".
    pub fn group(&self, world: &World, item: usize) -> &'static str {
        let values = world.items.get(item).into_iter().flat_map(|item| &item.values);
        let columns = values.zip(&self.trained_values).zip(&world.columns);
        let mut compared = columns.filter(|(_, column)| column.role != Role::Measure);
        if compared.any(|((values, seen), _)| values.iter().any(|v| !seen.contains(v))) {
            "unseen-value"
        } else if self.trained_combinations.contains(&combination(world, item)) {
            "seen"
        } else {
            "unseen-combination"
        }
    }
}

/// Of two splits the one that must be kept away from training more.
pub fn stricter(a: Split, b: Split) -> Split {
    match (a, b) {
        (Split::Test, _) | (_, Split::Test) => Split::Test,
        (Split::Val, _) | (_, Split::Val) => Split::Val,
        _ => Split::Train,
    }
}
