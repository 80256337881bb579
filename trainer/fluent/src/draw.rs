//! Draws triplets: which reference, which target, which wish, which other targets are right, which words.

use super::edits::{self, Draw, Edit};
use super::grammar::{people, things};
use super::relations::{Edge, relations};
use super::world::World;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

/// One triplet before it is written.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Reference class.
    pub reference: usize,
    /// The target that the text was made for.
    pub target: usize,
    /// Every right target.
    pub targets: BTreeSet<usize>,
    /// The modifier.
    pub caption: String,
    /// The way back, in words.
    pub reverse: String,
    /// Kind of change.
    pub kind: String,
    /// Both are people.
    pub people: bool,
}

/// Draws drafts from a world.
pub struct Drawer<'a> {
    world: &'a World,
    /// Classes of people (not hands).
    people: Vec<usize>,
    /// Classes of hands.
    hands: Vec<usize>,
    /// Classes of things that modifiers can name.
    things: Vec<usize>,
    by_subgroup: BTreeMap<String, Vec<usize>>,
    edges: Vec<Edge>,
    edge_index: BTreeMap<(usize, usize, &'static str), usize>,
    hints: BTreeMap<(&'static str, String), BTreeSet<usize>>,
}

/// Subgroups whose labels say little about the picture.
const WEAK: [&str; 3] = ["alphanumeric symbols", "country flags", "subdivision flags"];

impl<'a> Drawer<'a> {
    /// Indexes a world for drawing.
    pub fn new(world: &'a World) -> Self {
        let edges = relations(world);
        let mut edge_index = BTreeMap::new();
        edges.iter().enumerate().for_each(|(n, e)| {
            edge_index.insert((e.from, e.to, e.kind), n);
        });
        let mut drawer = Self {
            world,
            people: Vec::new(),
            hands: Vec::new(),
            things: Vec::new(),
            by_subgroup: BTreeMap::new(),
            edges,
            edge_index,
            hints: BTreeMap::new(),
        };
        for class in world.canonical() {
            let Some(item) = world.items.get(class) else { continue };
            match &item.person {
                Some(p) if p.hand => drawer.hands.push(class),
                Some(_) => drawer.people.push(class),
                None => {
                    let label = &item.raw.label;
                    let family = label.starts_with("family") || label.contains("Japanese");
                    if family || item.raw.subgroup == "alphanumeric symbols" {
                        continue;
                    }
                    if !WEAK.contains(&item.raw.subgroup.as_str()) {
                        drawer.things.push(class);
                    }
                    drawer.by_subgroup.entry(item.raw.subgroup.clone()).or_default().push(class);
                    let Some(category) = things::category(&item.raw.subgroup) else { continue };
                    let words = label.split([' ', '-']).map(str::to_lowercase);
                    for word in item.raw.tags.iter().cloned().chain(words) {
                        drawer.hints.entry((category, word)).or_default().insert(class);
                    }
                }
            }
        }
        drawer
    }

    fn label(&self, class: usize) -> &str {
        self.world.items.get(class).map_or("", |i| i.raw.label.as_str())
    }

    /// A change of a person (or hand) whose target is `target`. `allow_role` switches role changes.
    pub fn person(&self, rng: &mut ChaCha8Rng, target: usize, draw: Draw) -> Option<Draft> {
        let members = self.world.members.get(&target)?;
        let to = self.world.items.get(*members.choose(rng)?)?.person.as_ref()?;
        let from = edits::neighbour(rng, self.world, to, draw)?;
        let reference = self.world.items.get(*self.world.find(&from).choose(rng)?)?.class;
        if reference == target {
            return None;
        }
        let mut wish = edits::difference(self.world, &from, to);
        let expected = match draw {
            Draw::Two => 2,
            Draw::Three => 3,
            _ => 1,
        };
        if wish.len() != expected {
            return None;
        }
        edits::loosen(rng, &from, &mut wish);
        let targets = edits::targets(self.world, reference, &wish);
        if !targets.contains(&target) {
            return None;
        }
        let back = self.reverse(rng, to, &from)?;
        Some(Draft {
            reference,
            target,
            targets,
            caption: people::modifier(rng, &from, to, &wish),
            reverse: back,
            kind: edits::kind(&from, &wish),
            people: !to.hand,
        })
    }

    fn reverse(
        &self,
        rng: &mut ChaCha8Rng,
        from: &super::record::Person,
        to: &super::record::Person,
    ) -> Option<String> {
        let mut wish: Vec<Edit> = edits::difference(self.world, from, to);
        if wish.is_empty() {
            return None;
        }
        edits::loosen(rng, from, &mut wish);
        Some(people::modifier(rng, from, to, &wish))
    }

    /// A random class of people.
    pub fn any_person(&self, rng: &mut ChaCha8Rng) -> Option<usize> {
        self.people.choose(rng).copied()
    }

    /// A random class of hands.
    pub fn any_hand(&self, rng: &mut ChaCha8Rng) -> Option<usize> {
        self.hands.choose(rng).copied()
    }

    /// A change of a thing: a relation, another member of its subgroup, anything else, or a hint.
    pub fn thing(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        match rng.random_range(0..100) {
            0..=33 => self.related(rng),
            34..=41 => self.hinted(rng),
            42..=53 => self.swapped(rng, true),
            _ => self.swapped(rng, false),
        }
    }

    fn related(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let edge = self.edges.choose(rng)?;
        let back = self.edge_index.get(&(edge.to, edge.from, edge.kind)).and_then(|n| self.edges.get(*n))?;
        Some(Draft {
            reference: edge.from,
            target: edge.to,
            targets: BTreeSet::from([edge.to]),
            caption: things::said(rng, &edge.forms),
            reverse: things::said(rng, &back.forms),
            kind: edge.kind.to_owned(),
            people: false,
        })
    }

    fn swapped(&self, rng: &mut ChaCha8Rng, anywhere: bool) -> Option<Draft> {
        let (reference, target) = if anywhere {
            (*self.things.choose(rng)?, *self.things.choose(rng)?)
        } else {
            let reference = *self.things.choose(rng)?;
            // A few flags keep the model useful for them; they are too many and too alike to weigh by number.
            let subgroup =
                if rng.random_bool(0.04) { "country flags" } else { &self.world.items.get(reference)?.raw.subgroup };
            let pool = self.by_subgroup.get(subgroup)?;
            (if subgroup == "country flags" { *pool.choose(rng)? } else { reference }, *pool.choose(rng)?)
        };
        if reference == target {
            return None;
        }
        let subgroup = |class: usize| self.world.items.get(class).map(|i| i.raw.subgroup.as_str());
        let same = (subgroup(reference) == subgroup(target)).then(|| subgroup(target)).flatten();
        let (from, to) = (self.label(reference), self.label(target));
        Some(Draft {
            reference,
            target,
            targets: BTreeSet::from([target]),
            caption: things::swap(rng, from, to, same),
            reverse: things::swap(rng, to, from, same),
            kind: if anywhere { "anything" } else { "object" }.to_owned(),
            people: false,
        })
    }

    fn hinted(&self, rng: &mut ChaCha8Rng) -> Option<Draft> {
        let target = *self.things.choose(rng)?;
        let item = self.world.items.get(target)?;
        let category = things::category(&item.raw.subgroup)?;
        let tag = item.raw.tags.choose(rng)?;
        let right = self.hints.get(&(category, tag.clone()))?;
        let vague = ["building", "household item", "office item", "sign", "game", "weather", "place of worship"];
        let plain = !vague.contains(&category)
            && tag.len() >= 3
            && tag.chars().all(|c| c.is_ascii_lowercase())
            && !category.contains(tag.as_str());
        if right.len() > 3 || !plain {
            return None;
        }
        let pool: Vec<usize> = self
            .things
            .iter()
            .copied()
            .filter(|c| !right.contains(c))
            .filter(|c| self.world.items.get(*c).and_then(|i| things::category(&i.raw.subgroup)) == Some(category))
            .collect();
        let reference = *pool.choose(rng)?;
        Some(Draft {
            reference,
            target,
            targets: right.clone(),
            caption: things::hint(rng, tag, category),
            reverse: things::swap(rng, self.label(target), self.label(reference), Some(&item.raw.subgroup)),
            kind: "hint".to_owned(),
            people: false,
        })
    }
}
