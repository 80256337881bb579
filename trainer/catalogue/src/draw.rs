//! Draws triplets: which reference, which target, what changes, which pictures then are right, in which words.

use crate::bits::Bits;
use crate::grammar::{self, Change};
use crate::wish::{Edit, Pool};
use crate::world::Role;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// One triplet before it is written.
pub struct Draft {
    /// Reference.
    pub reference: usize,
    /// The target that the text was made for.
    pub target: usize,
    /// Every right target.
    pub right: Bits,
    /// The modifier.
    pub caption: String,
    /// The way back, in words.
    pub reverse: String,
    /// Kind of change.
    pub kind: String,
}

/// A kind of triplet to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Another value of one attribute.
    Change(usize),
    /// A value more, less or exchanged, of an attribute that has several.
    Several(usize),
    /// Any value but the reference's.
    Negate(usize),
    /// More or less, of an attribute with an order.
    Compare(usize),
    /// Two attributes.
    Two,
    /// Three attributes.
    Three,
    /// Nothing: another picture of the same.
    Same,
}

/// How often a value is drawn before any fitting target is taken.
const TRIES: usize = 8;
/// A text that lets in a larger part of all pictures than this says too little.
const VAGUE: f64 = 0.5;
const VAGUE_NOT: f64 = 0.34;

/// Draws from the pictures of a split.
pub struct Drawer<'a> {
    /// The pictures.
    pub pool: &'a Pool<'a>,
    /// Columns of one value that can be changed.
    single: Vec<usize>,
}

impl<'a> Drawer<'a> {
    /// Over a pool.
    pub fn new(pool: &'a Pool<'a>) -> Self {
        let columns = pool.world.columns.iter().enumerate();
        let single =
            columns.filter(|(_, column)| !column.several && column.role != Role::Measure).map(|(c, _)| c).collect();
        Self { pool, single }
    }

    /// The kinds that the catalogue allows, with their shares.
    pub fn kinds(&self) -> Vec<(Kind, f64)> {
        let columns = &self.pool.world.columns;
        let of = |wanted: &dyn Fn(usize) -> bool| (0..columns.len()).filter(|c| wanted(*c)).collect::<Vec<usize>>();
        let several = of(&|c| columns[c].several);
        let ordered = of(&|c| !columns[c].several && columns[c].role != Role::Plain);
        let mut kinds = Vec::new();
        let mut share = |list: &[usize], kind: fn(usize) -> Kind, share: f64| {
            list.iter().for_each(|c| kinds.push((kind(*c), share / list.len() as f64)));
        };
        share(&self.single, Kind::Change, 0.48);
        share(&several, Kind::Several, 0.12);
        share(&self.single, Kind::Negate, 0.05);
        share(&ordered, Kind::Compare, 0.08);
        let changeable = self.single.len() + several.len();
        if changeable > 1 {
            kinds.push((Kind::Two, 0.24));
        }
        if changeable > 2 {
            kinds.push((Kind::Three, 0.06));
        }
        kinds.push((Kind::Same, 0.04));
        kinds
    }

    /// One draft of a kind; none when this draw found nothing.
    pub fn draft(&self, rng: &mut ChaCha8Rng, kind: Kind) -> Option<Draft> {
        let (reference, target, edits) = match kind {
            Kind::Change(c) => self.changed(rng, &[c])?,
            Kind::Two => {
                let columns = self.apart(rng, 2)?;
                self.changed(rng, &columns)?
            }
            Kind::Three => {
                let columns = self.apart(rng, 3)?;
                self.changed(rng, &columns)?
            }
            Kind::Several(c) => self.several(rng, c)?,
            Kind::Negate(c) => self.loose(rng, c, |rng, own| own.choose(rng).map(|v| Edit::Not(c, *v)))?,
            Kind::Compare(c) => {
                self.loose(rng, c, |rng, _| Some(if rng.random_bool(0.5) { Edit::More(c) } else { Edit::Less(c) }))?
            }
            Kind::Same => {
                let column = rng.random_range(0..self.pool.world.columns.len());
                (self.pool.draw(rng, column)?, None, Vec::new())
            }
        };
        let right = self.pool.right(reference, &edits);
        let target = match target.filter(|t| right.has(*t)) {
            Some(target) => target,
            None => any(rng, &right)?,
        };
        let limit = if matches!(kind, Kind::Negate(_)) { VAGUE_NOT } else { VAGUE };
        if right.count() as f64 > limit * self.pool.members.count() as f64 {
            return None;
        }
        self.worded(rng, kind, (reference, target, edits), right)
    }

    fn worded(
        &self,
        rng: &mut ChaCha8Rng,
        kind: Kind,
        (from, to, edits): (usize, usize, Vec<Edit>),
        right: Bits,
    ) -> Option<Draft> {
        let columns: Vec<usize> = edits.iter().map(Edit::column).collect();
        let back = self.between(rng, to, from, &columns)?;
        let caption = grammar::modifier(rng, &Change { pool: self.pool, from, to, edits: &edits });
        let reverse = grammar::modifier(rng, &Change { pool: self.pool, from: to, to: from, edits: &back });
        Some(Draft { reference: from, target: to, right, caption, reverse, kind: self.named(kind, &edits) })
    }

    fn named(&self, kind: Kind, edits: &[Edit]) -> String {
        let column = |c: usize| self.pool.world.columns.get(c).map_or("", |column| column.name.as_str());
        let what = match (kind, edits) {
            (Kind::Two, _) => return "two".to_owned(),
            (Kind::Three, _) => return "three".to_owned(),
            (Kind::Same, _) => return "same".to_owned(),
            (Kind::Negate(_), _) => "not",
            (Kind::Compare(_), _) => "compare",
            (_, [Edit::Add(..)]) => "add",
            (_, [Edit::Remove(..)]) => "remove",
            _ => "change",
        };
        format!("{what} {}", edits.first().map_or("", |edit| column(edit.column())))
    }

    /// Columns that say different things.
    fn apart(&self, rng: &mut ChaCha8Rng, count: usize) -> Option<Vec<usize>> {
        let world = self.pool.world;
        let several = (0..world.columns.len()).filter(|c| world.columns[*c].several);
        let all: Vec<usize> = self.single.iter().copied().chain(several).collect();
        let chosen: Vec<usize> = all.choose_multiple(rng, count).copied().collect();
        let tied = |a: usize, b: usize| a != b && (world.determines[a][b] || world.determines[b][a]);
        let loose = chosen.iter().all(|a| chosen.iter().all(|b| !tied(*a, *b)));
        (chosen.len() == count && loose).then_some(chosen)
    }

    /// A reference and a target that differ in these columns.
    fn changed(&self, rng: &mut ChaCha8Rng, columns: &[usize]) -> Option<(usize, Option<usize>, Vec<Edit>)> {
        let first = *columns.first()?;
        let reference = self.pool.draw(rng, first)?;
        if columns.iter().any(|c| self.pool.values(reference, *c).is_empty() && !self.pool.world.columns[*c].several) {
            return None;
        }
        let candidates = self.pool.candidates(reference, columns);
        if candidates.is_empty() {
            return None;
        }
        let likely = (0..TRIES).find_map(|_| {
            let values = self.pool.drawn(rng, first)?;
            let mut fits = self.pool.exactly(first, values.to_vec());
            fits.keep(&candidates);
            any(rng, &fits)
        });
        let target = likely.or_else(|| any(rng, &candidates))?;
        let mut edits = self.between(rng, reference, target, columns)?;
        if edits.len() > 1 {
            self.loosen(rng, reference, &mut edits);
        }
        Some((reference, Some(target), edits))
    }

    /// What leads from one picture to another in these columns; none where that is no single change a column.
    fn between(&self, rng: &mut ChaCha8Rng, from: usize, to: usize, columns: &[usize]) -> Option<Vec<Edit>> {
        let mut edits = Vec::with_capacity(columns.len());
        for c in columns.iter().copied() {
            let (old, new) = (self.pool.values(from, c), self.pool.values(to, c));
            let column = self.pool.world.columns.get(c)?;
            let less = |a: &[u32], b: &[u32]| a.iter().copied().filter(|v| !b.contains(v)).collect::<Vec<u32>>();
            edits.push(match (column.several, column.role) {
                (true, _) => match (less(old, new).as_slice(), less(new, old).as_slice()) {
                    ([], [v]) => Edit::Add(c, *v),
                    ([v], []) => Edit::Remove(c, *v),
                    ([a], [b]) => Edit::Swap(c, *a, *b),
                    _ => return None,
                },
                (false, Role::Measure) if new > old => Edit::More(c),
                (false, Role::Measure) => Edit::Less(c),
                (false, _) => Edit::To(c, *new.choose(rng)?),
            });
        }
        Some(edits)
    }

    /// Turns one of several exact wishes into a relative one or a negation, now and then.
    fn loosen(&self, rng: &mut ChaCha8Rng, reference: usize, edits: &mut [Edit]) {
        let at = rng.random_range(0..edits.len());
        let Some(edit) = edits.get_mut(at) else { return };
        let Edit::To(c, v) = *edit else { return };
        let ordered = self.pool.world.columns[c].role == Role::Ordered;
        let own = self.pool.values(reference, c).first().copied();
        match own {
            Some(own) if ordered && rng.random_bool(0.4) => *edit = if v > own { Edit::More(c) } else { Edit::Less(c) },
            Some(own) if rng.random_bool(0.08) => *edit = Edit::Not(c, own),
            _ => {}
        }
    }

    /// A value more, less or exchanged.
    fn several(&self, rng: &mut ChaCha8Rng, c: usize) -> Option<(usize, Option<usize>, Vec<Edit>)> {
        let reference = self.pool.draw(rng, c)?;
        let own = self.pool.values(reference, c);
        let other = || {
            let values = 0..self.pool.world.columns[c].values.len() as u32;
            values.filter(|v| !own.contains(v)).collect::<Vec<u32>>()
        };
        let edit = match rng.random_range(0..5) {
            0 | 1 => Edit::Add(c, *other().choose(rng)?),
            2 | 3 => Edit::Remove(c, *own.choose(rng)?),
            _ => Edit::Swap(c, *own.choose(rng)?, *other().choose(rng)?),
        };
        Some((reference, None, vec![edit]))
    }

    fn loose(
        &self,
        rng: &mut ChaCha8Rng,
        c: usize,
        make: impl Fn(&mut ChaCha8Rng, &[u32]) -> Option<Edit>,
    ) -> Option<(usize, Option<usize>, Vec<Edit>)> {
        let reference = self.pool.draw(rng, c)?;
        let edit = make(rng, self.pool.values(reference, c))?;
        Some((reference, None, vec![edit]))
    }
}

/// One of a set.
pub fn any(rng: &mut ChaCha8Rng, set: &Bits) -> Option<usize> {
    let count = set.count();
    if count == 0 { None } else { set.nth(rng.random_range(0..count)) }
}
