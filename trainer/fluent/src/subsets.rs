//! Sets of six similar images, as in CIRR: reference, target, and the four most alike by attributes.

use super::draw::Draft;
use super::world::{Item, World};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use thisbut_catalogue::subsets;

/// Groups classes so that only comparable ones are compared.
pub struct Pools {
    pools: BTreeMap<String, Vec<usize>>,
    all: Vec<usize>,
}

fn pool_of(item: &Item) -> String {
    match &item.person {
        Some(p) if p.hand => "hands".to_owned(),
        Some(_) => "people".to_owned(),
        None => item.raw.group.clone(),
    }
}

impl Pools {
    /// Pools of the classes that `allowed` lets in.
    pub fn new(world: &World, allowed: impl Fn(usize) -> bool) -> Self {
        let mut pools: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let all: Vec<usize> = world.canonical().filter(|c| allowed(*c)).collect();
        for class in &all {
            if let Some(item) = world.items.get(*class) {
                pools.entry(pool_of(item)).or_default().push(*class);
            }
        }
        Self { pools, all }
    }

    /// Six distinct classes in random order: reference and target among them, no other right target.
    pub fn six(&self, rng: &mut ChaCha8Rng, world: &World, draft: &Draft) -> Vec<usize> {
        let (Some(a), Some(b)) = (world.items.get(draft.reference), world.items.get(draft.target)) else {
            return Vec::new();
        };
        let (one, two) = (pool_of(a), pool_of(b));
        let mut candidates: Vec<&usize> = self.pools.get(&one).into_iter().flatten().collect();
        if one != two {
            candidates.extend(self.pools.get(&two).into_iter().flatten());
        }
        if candidates.len() < 40 {
            candidates = self.all.iter().collect();
        }
        let scored: Vec<(f32, usize)> = candidates
            .into_iter()
            .filter(|c| **c != draft.reference && !draft.targets.contains(c))
            .filter_map(|c| {
                let item = world.items.get(*c)?;
                Some((likeness(a, item) + likeness(b, item) + rng.random_range(0.0..0.4), *c))
            })
            .collect();
        subsets::six(rng, scored, draft.reference, draft.target)
    }
}

/// How alike two items are by what they show.
pub fn likeness(a: &Item, b: &Item) -> f32 {
    let same = |x: bool, weight: f32| if x { weight } else { 0.0 };
    match (&a.person, &b.person) {
        (Some(p), Some(q)) => {
            let tones = match (p.tone, q.tone) {
                (Some(x), Some(y)) => 1.0 - 0.25 * f32::from(x.abs_diff(y)),
                _ => 0.0,
            };
            same(p.role == q.role, 2.5)
                + same(p.gender == q.gender, 1.0)
                + same(p.hair == q.hair, 0.6)
                + same(p.age == q.age, 0.6)
                + same(a.raw.subgroup == b.raw.subgroup, 0.4)
                + tones
        }
        (None, None) => {
            let shared = a.raw.tags.iter().filter(|t| b.raw.tags.contains(t)).count().min(4);
            let words = a.raw.label.split(' ').filter(|w| b.raw.label.split(' ').any(|v| v == *w)).count().min(2);
            same(a.raw.subgroup == b.raw.subgroup, 1.5) + 0.4 * shared as f32 + 0.8 * words as f32
        }
        _ => 0.0,
    }
}
