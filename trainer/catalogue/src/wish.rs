//! What a modification asks for, and which pictures then are right.

use crate::bits::Bits;
use crate::draw::any;
use crate::world::{Role, World};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// One asked change. Columns and values are numbers of a [`World`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// This value instead.
    To(usize, u32),
    /// Any value but this, which the reference has.
    Not(usize, u32),
    /// This value too.
    Add(usize, u32),
    /// Without this value.
    Remove(usize, u32),
    /// The second value in place of the first, among several.
    Swap(usize, u32, u32),
    /// More of it.
    More(usize),
    /// Less of it.
    Less(usize),
}

impl Edit {
    /// The attribute.
    pub fn column(&self) -> usize {
        match self {
            Self::To(c, _)
            | Self::Not(c, _)
            | Self::Add(c, _)
            | Self::Remove(c, _)
            | Self::Swap(c, ..)
            | Self::More(c)
            | Self::Less(c) => *c,
        }
    }
}

/// Sets of values, each with the sum of the weights up to it; the weight is the square root of how often it occurs.
fn weighted<'a>(sets: &BTreeMap<&'a [u32], Bits>, empty: bool) -> Vec<(f64, &'a [u32])> {
    let mut sum = 0.0;
    let known = sets.iter().filter(|(values, _)| empty || !values.is_empty());
    known
        .map(|(values, items)| {
            sum += (items.count() as f64).sqrt();
            (sum, *values)
        })
        .collect()
}

/// The pictures of a split, indexed by what they show.
pub struct Pool<'a> {
    /// The catalogue.
    pub world: &'a World,
    /// Items of the split.
    pub members: Bits,
    /// Column → set of values → items.
    sets: Vec<BTreeMap<&'a [u32], Bits>>,
    /// Column → value → items that have it, perhaps with others.
    has: Vec<Vec<Bits>>,
    /// Column → sets of values to draw from, each with the sum of the weights up to it.
    weighted: Vec<Vec<(f64, &'a [u32])>>,
}

impl<'a> Pool<'a> {
    /// Of the items that `wanted` lets in.
    pub fn new(world: &'a World, wanted: impl Fn(usize) -> bool) -> Self {
        let size = world.items.len();
        let mut members = Bits::none(size);
        let mut sets: Vec<BTreeMap<&[u32], Bits>> = vec![BTreeMap::new(); world.columns.len()];
        let mut has: Vec<Vec<Bits>> =
            world.columns.iter().map(|column| vec![Bits::none(size); column.values.len()]).collect();
        for (n, item) in world.items.iter().enumerate().filter(|(n, _)| wanted(*n)) {
            members.insert(n);
            for (c, values) in item.values.iter().enumerate() {
                sets[c].entry(values.as_slice()).or_insert_with(|| Bits::none(size)).insert(n);
                values.iter().for_each(|v| has[c][*v as usize].insert(n));
            }
        }
        let weighted = sets.iter().zip(&world.columns).map(|(sets, column)| weighted(sets, column.several)).collect();
        Self { world, members, sets, has, weighted }
    }

    /// Values of a column by chance: frequent ones more often, but less than they are.
    pub fn drawn(&self, rng: &mut ChaCha8Rng, column: usize) -> Option<&'a [u32]> {
        let list = self.weighted.get(column)?;
        let at = rng.random_range(0.0..list.last()?.0);
        list.get(list.partition_point(|(sum, _)| *sum <= at)).map(|(_, values)| *values)
    }

    /// A picture by chance, its values of a column as [`Pool::drawn`].
    pub fn draw(&self, rng: &mut ChaCha8Rng, column: usize) -> Option<usize> {
        let values = self.drawn(rng, column)?;
        any(rng, self.sets.get(column)?.get(values)?)
    }

    /// The values that a picture has of a column.
    pub fn values(&self, item: usize, column: usize) -> &'a [u32] {
        self.world.items.get(item).and_then(|item| item.values.get(column)).map_or(&[], Vec::as_slice)
    }

    /// Items with exactly the reference's values of a column; every item where the reference has none known.
    pub fn same(&self, reference: usize, column: usize) -> Bits {
        let values = self.values(reference, column);
        if values.is_empty() && !self.world.columns[column].several {
            return self.members.clone();
        }
        self.sets[column].get(values).cloned().unwrap_or_else(|| Bits::none(self.world.items.len()))
    }

    /// Items whose values of a column are known: one that may have several is always known.
    pub fn known(&self, column: usize) -> Bits {
        let mut known = self.members.clone();
        if !self.world.columns[column].several
            && let Some(unknown) = self.sets[column].get(&[][..])
        {
            known.drop(unknown);
        }
        known
    }

    fn having(&self, column: usize, values: impl Iterator<Item = u32>) -> Bits {
        let mut out = Bits::none(self.world.items.len());
        values.for_each(|v| out.add(&self.has[column][v as usize]));
        out
    }

    /// Items with exactly these values.
    pub fn exactly(&self, column: usize, mut values: Vec<u32>) -> Bits {
        values.sort_unstable();
        self.sets[column].get(values.as_slice()).cloned().unwrap_or_else(|| Bits::none(self.world.items.len()))
    }

    /// Items that one change lets in.
    fn allowed(&self, reference: usize, edit: &Edit) -> Bits {
        let own = self.values(reference, edit.column());
        let without = |v: u32| own.iter().copied().filter(move |own| *own != v);
        match *edit {
            Edit::To(c, v) if self.world.columns[c].several => self.exactly(c, vec![v]),
            Edit::To(c, v) => self.having(c, std::iter::once(v)),
            Edit::Not(c, v) => {
                let mut known = self.known(c);
                known.drop(&self.has[c][v as usize]);
                known
            }
            Edit::Add(c, v) => self.exactly(c, own.iter().copied().chain([v]).collect()),
            Edit::Remove(c, v) => self.exactly(c, without(v).collect()),
            Edit::Swap(c, a, b) => self.exactly(c, without(a).chain([b]).collect()),
            Edit::More(c) => {
                self.having(c, own.iter().flat_map(|own| own + 1..self.world.columns[c].values.len() as u32))
            }
            Edit::Less(c) => self.having(c, own.iter().flat_map(|own| 0..*own)),
        }
    }

    /// Whether a column need not stay as it is when `edits` change others: it tells one of them, is told by one of them, or
    /// is a measure.
    fn freed(&self, column: usize, edits: &[Edit]) -> bool {
        let tells = &self.world.determines;
        self.world.columns[column].role == Role::Measure
            || edits.iter().any(|edit| tells[column][edit.column()] || tells[edit.column()][column])
    }

    /// Whether a column says what another says too: then it is kept where it can be.
    fn told(&self, column: usize) -> bool {
        self.world.determines.iter().any(|row| row[column])
    }

    /// The columns that stay as they are whatever happens, when `edits` change others.
    pub fn kept(&self, edits: &[Edit]) -> Vec<usize> {
        let all = 0..self.world.columns.len();
        let untouched = all.filter(|c| !edits.iter().any(|edit| edit.column() == *c));
        untouched.filter(|c| !self.freed(*c, edits)).collect()
    }

    /// Every right picture: each change is as asked, and all else is as in the reference. An attribute that follows from
    /// others is kept as far as some picture can keep it. Pictures of the reference's own thing are right only where
    /// nothing was asked; the reference never is.
    pub fn right(&self, reference: usize, edits: &[Edit]) -> Bits {
        let mut right = self.members.clone();
        edits.iter().for_each(|edit| right.keep(&self.allowed(reference, edit)));
        let (soft, hard): (Vec<usize>, Vec<usize>) = self.kept(edits).into_iter().partition(|c| self.told(*c));
        hard.into_iter().for_each(|c| right.keep(&self.same(reference, c)));
        right.remove(reference);
        for c in soft {
            let mut kept = right.clone();
            kept.keep(&self.same(reference, c));
            if !kept.is_empty() {
                right = kept;
            }
        }
        right
    }

    /// Items that could be the target of a change of `columns`: they differ from the reference in each of these, and keep what
    /// must stay.
    pub fn candidates(&self, reference: usize, columns: &[usize]) -> Bits {
        let edits: Vec<Edit> = columns.iter().map(|c| Edit::More(*c)).collect();
        let mut out = self.members.clone();
        for c in self.kept(&edits).into_iter().filter(|c| !self.told(*c)) {
            out.keep(&self.same(reference, c));
        }
        for c in columns {
            out.keep(&self.known(*c));
            out.drop(&self.same(reference, *c));
        }
        out.remove(reference);
        out
    }
}
