//! What training may see: held-out roles and held-out attribute combinations.

use super::world::World;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// Which part of the data a class belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Free for training.
    Train,
    /// A role held out for validation.
    RoleVal,
    /// A role held out for the test.
    RoleTest,
    /// A combination of attributes held out for validation.
    ComboVal,
    /// A combination of attributes held out for the test.
    ComboTest,
}

/// The zones of all classes.
pub struct Splits {
    zones: BTreeMap<usize, Zone>,
    /// Roles of the validation split that training never shows.
    pub roles_val: BTreeSet<String>,
    /// Roles of the test split that training never shows.
    pub roles_test: BTreeSet<String>,
}

/// A role has to have this many images to be held out.
const ROLE_IMAGES: usize = 12;
/// Shares of the remaining people whose combination is held out.
const COMBO_TEST: f64 = 0.08;
const COMBO_VAL: f64 = 0.04;

/// Professions, doing something, fantasy: held-out roles are spread over these.
fn family(subgroup: &str) -> Option<usize> {
    match subgroup {
        "roles & careers" => Some(0),
        "activities" | "athletics" | "gestures" | "resting" => Some(1),
        "fantasy" => Some(2),
        _ => None,
    }
}

impl Splits {
    /// Draws the held-out roles and combinations. Per family: (test, val) = (5, 3), (5, 3), (2, 1).
    pub fn draw(rng: &mut ChaCha8Rng, world: &World) -> Self {
        let (mut roles_val, mut roles_test) = (BTreeSet::new(), BTreeSet::new());
        for (family_index, (test, val)) in [(5, 3), (5, 3), (2, 1)].into_iter().enumerate() {
            let mut names: Vec<&String> = world
                .roles
                .iter()
                .filter(|(_, r)| !r.hand && !r.several && r.toned && r.images >= ROLE_IMAGES)
                .filter(|(_, r)| family(&r.subgroup) == Some(family_index))
                .map(|(n, _)| n)
                .collect();
            names.shuffle(rng);
            // Never hold out more than half of a family (small collections).
            let limit = names.len() / 2;
            let mut drawn = names.into_iter().cloned();
            roles_test.extend(drawn.by_ref().take(test.min(limit)));
            roles_val.extend(drawn.by_ref().take(val.min(limit.saturating_sub(test))));
        }
        let mut zones = BTreeMap::new();
        let mut free = Vec::new();
        for (class, members) in &world.members {
            let people: Vec<_> = members.iter().filter_map(|i| world.items.get(*i)?.person.as_ref()).collect();
            let zone = if people.iter().any(|p| roles_test.contains(&p.role)) {
                Zone::RoleTest
            } else if people.iter().any(|p| roles_val.contains(&p.role)) {
                Zone::RoleVal
            } else {
                if people.iter().any(|p| !p.hand && !p.several && p.tone.is_some()) {
                    free.push(*class);
                }
                Zone::Train
            };
            zones.insert(*class, zone);
        }
        free.shuffle(rng);
        let test = (free.len() as f64 * COMBO_TEST).round() as usize;
        let val = (free.len() as f64 * COMBO_VAL).round() as usize;
        for (n, class) in free.into_iter().take(test + val).enumerate() {
            zones.insert(class, if n < test { Zone::ComboTest } else { Zone::ComboVal });
        }
        Self { zones, roles_val, roles_test }
    }

    /// The zone of a class.
    ///
    /// # Panics
    /// For a class of another world: an image that no one counted could be trained on and asked for.
    pub fn zone(&self, class: usize) -> Zone {
        match self.zones.get(&class) {
            Some(zone) => *zone,
            None => panic!("class {class} has no zone among {}", self.zones.len()),
        }
    }
}
