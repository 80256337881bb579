//! Fills the three splits: evaluation queries first, then training triplets that avoid them.

use super::draw::{Draft, Drawer};
use super::edits::Draw;
use super::splits::{Splits, Zone};
use super::world::World;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
use thisbut_catalogue::mix::{self, Mix};

/// A draft with the group that it is reported in.
pub struct Query {
    /// The triplet.
    pub draft: Draft,
    /// "seen", "unseen-combination" or "unseen-role"; "train" in training.
    pub group: &'static str,
}

/// All triplets.
pub struct Plan {
    /// Training.
    pub train: Vec<Query>,
    /// Validation.
    pub val: Vec<Query>,
    /// Test.
    pub test: Vec<Query>,
}

/// Where a training triplet comes from.
#[derive(Clone, Copy)]
enum Source {
    People(Draw),
    Hands,
    Things,
}

/// The training mix: 72% people.
const MIX: [(Source, f64); 8] = [
    (Source::People(Draw::Tone), 0.14),
    (Source::People(Draw::Gender), 0.07),
    (Source::People(Draw::Role), 0.20),
    (Source::People(Draw::Head), 0.035),
    (Source::People(Draw::Two), 0.235),
    (Source::People(Draw::Three), 0.04),
    (Source::Hands, 0.07),
    (Source::Things, 0.21),
];

/// Draws everything.
pub fn plan(
    rng: &mut ChaCha8Rng,
    world: &World,
    splits: &Splits,
    sizes: (usize, usize, usize),
    report: &mut dyn FnMut(String),
) -> Plan {
    let drawer = Drawer::new(world);
    // Pairs that evaluation asks for; training must not show them.
    let mut reserved = BTreeSet::new();
    let test = evaluation(rng, &drawer, world, splits, sizes.2, (Zone::RoleTest, Zone::ComboTest), &mut reserved);
    let val = evaluation(rng, &drawer, world, splits, sizes.1, (Zone::RoleVal, Zone::ComboVal), &mut reserved);
    report(format!("drew {} validation and {} test queries", val.len(), test.len()));
    let train = training(rng, &drawer, splits, sizes.0, &reserved);
    Plan { train, val, test }
}

/// One or two attributes, now and then three.
fn draw_kind(rng: &mut ChaCha8Rng, roles: bool) -> Draw {
    match rng.random_range(0..100) {
        0..=23 => Draw::Tone,
        24..=35 => Draw::Gender,
        36..=57 if roles => Draw::Role,
        58..=63 if roles => Draw::Head,
        64..=66 if roles => Draw::Three,
        36..=49 => Draw::Tone,
        50..=61 => Draw::Gender,
        _ => Draw::Two,
    }
}

fn evaluation(
    rng: &mut ChaCha8Rng,
    drawer: &Drawer,
    world: &World,
    splits: &Splits,
    size: usize,
    (role, combo): (Zone, Zone),
    reserved: &mut BTreeSet<(usize, usize)>,
) -> Vec<Query> {
    let things = size / 7;
    let each = (size - things) / 3;
    let classes = |zone: Zone| -> Vec<usize> { world.canonical().filter(|c| splits.zone(*c) == zone).collect() };
    let (roles, combos) = (classes(role), classes(combo));
    let mut out = Vec::new();
    let mut used = BTreeSet::new();
    for (group, count) in [("seen", each), ("unseen-combination", each), ("unseen-role", each), ("seen-things", things)]
    {
        let (mut found, mut misses) = (0, 0);
        while found < count && misses < 200 {
            // The kind first, then as many tries as it takes: otherwise kinds that fail often get rare.
            let draw = draw_kind(rng, group != "unseen-role");
            let fits = |d: &Draft| {
                let (a, b) = (splits.zone(d.reference), splits.zone(d.target));
                let zones = match group {
                    "unseen-role" => a == role && b == role && world.same_role(d.reference, d.target),
                    "unseen-combination" => b == combo && !matches!(a, Zone::RoleVal | Zone::RoleTest),
                    _ => a == Zone::Train && b == Zone::Train,
                };
                zones && !reserved.contains(&(d.reference, d.target)) && !used.contains(&(d.reference, d.target))
            };
            let attempt = |rng: &mut ChaCha8Rng| match group {
                "seen" => drawer.any_person(rng).and_then(|t| drawer.person(rng, t, draw)),
                "seen-things" if rng.random_bool(0.25) => {
                    drawer.any_hand(rng).and_then(|t| drawer.person(rng, t, draw))
                }
                "seen-things" => drawer.thing(rng),
                _ => {
                    let pool = if group == "unseen-role" { &roles } else { &combos };
                    let target = pool.get(rng.random_range(0..pool.len().max(1))).copied();
                    target.and_then(|t| drawer.person(rng, t, draw))
                }
            };
            let Some(draft) = (0..500).find_map(|_| attempt(rng).filter(|d| fits(d))) else {
                misses += 1;
                continue;
            };
            (found, misses) = (found + 1, 0);
            used.insert((draft.reference, draft.target));
            let group = if group == "seen-things" { "seen" } else { group };
            out.push(Query { draft, group });
        }
    }
    reserved.extend(used);
    out
}

fn training(
    rng: &mut ChaCha8Rng,
    drawer: &Drawer,
    splits: &Splits,
    size: usize,
    reserved: &BTreeSet<(usize, usize)>,
) -> Vec<Query> {
    let mut out: Vec<Query> = Vec::with_capacity(size);
    let mut times: BTreeMap<(usize, usize), u32> = BTreeMap::new();
    let mut texts: BTreeSet<(usize, usize, String)> = BTreeSet::new();
    let mut mix = Mix::new(MIX.iter().map(|(_, share)| *share).collect(), mix::PATIENCE);
    while out.len() < size {
        let Some(k) = mix.next() else { break };
        let draft = match MIX[k].0 {
            Source::People(draw) => drawer.any_person(rng).and_then(|t| drawer.person(rng, t, draw)),
            Source::Hands => {
                let draw = draw_kind(rng, true);
                drawer.any_hand(rng).and_then(|t| drawer.person(rng, t, draw))
            }
            Source::Things => drawer.thing(rng),
        };
        let free = |d: &Draft| {
            splits.zone(d.reference) == Zone::Train
                && splits.zone(d.target) == Zone::Train
                && !reserved.contains(&(d.reference, d.target))
        };
        let Some(mut draft) = draft.filter(free) else {
            mix.miss(k);
            continue;
        };
        let pair = (draft.reference, draft.target);
        let cap = if matches!(draft.kind.as_str(), "two" | "three" | "role" | "object" | "anything") { 2 } else { 3 };
        let count = times.entry(pair).or_default();
        if *count >= cap || !texts.insert((pair.0, pair.1, draft.caption.to_lowercase())) {
            mix.miss(k);
            continue;
        }
        *count += 1;
        mix.hit(k);
        draft.targets.retain(|t| splits.zone(*t) == Zone::Train);
        out.push(Query { draft, group: "train" });
    }
    out
}
