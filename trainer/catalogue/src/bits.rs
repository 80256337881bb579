//! Sets of images as bits.

/// A set of numbers below a fixed size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// The empty set for numbers below `size`.
    pub fn none(size: usize) -> Self {
        Self(vec![0; size.div_ceil(64)])
    }

    /// All numbers below `size`.
    pub fn all(size: usize) -> Self {
        let mut bits = Self(vec![u64::MAX; size.div_ceil(64)]);
        if let Some(last) = bits.0.last_mut().filter(|_| !size.is_multiple_of(64)) {
            *last = (1 << (size % 64)) - 1;
        }
        bits
    }

    /// Adds a number.
    pub fn insert(&mut self, n: usize) {
        self.0[n / 64] |= 1 << (n % 64);
    }

    /// Takes a number out.
    pub fn remove(&mut self, n: usize) {
        self.0[n / 64] &= !(1 << (n % 64));
    }

    /// Whether the number is in it.
    pub fn has(&self, n: usize) -> bool {
        self.0.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 == 1)
    }

    /// Keeps what `other` has too.
    pub fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= b);
    }

    /// Takes out what `other` has.
    pub fn drop(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a &= !b);
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a |= b);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    /// The numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros() as usize)?;
                rest &= rest - 1;
                Some(at * 64 + bit)
            })
        })
    }

    /// The number that `n` others of the set come before.
    pub fn nth(&self, mut n: usize) -> Option<usize> {
        for (at, word) in self.0.iter().enumerate() {
            let ones = word.count_ones() as usize;
            if n < ones {
                let mut rest = *word;
                (0..n).for_each(|_| rest &= rest - 1);
                return Some(at * 64 + rest.trailing_zeros() as usize);
            }
            n -= ones;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_part_and_count() {
        for size in [1, 63, 64, 65, 200] {
            let all = Bits::all(size);
            assert_eq!((all.count(), all.nth(size - 1), all.nth(size)), (size, Some(size - 1), None));
            let mut thirds = Bits::none(size);
            (0..size).step_by(3).for_each(|n| thirds.insert(n));
            let mut rest = all.clone();
            rest.drop(&thirds);
            assert_eq!(rest.count() + thirds.count(), size);
            assert!(rest.iter().all(|n| n % 3 != 0 && rest.has(n) && !thirds.has(n)));
            rest.keep(&thirds);
            assert!(rest.is_empty());
            rest.add(&thirds);
            rest.remove(0);
            assert_eq!(rest.nth(0), if size > 3 { Some(3) } else { None });
            assert!(!all.has(size + 64));
        }
    }
}
