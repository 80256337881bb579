//! Changes to files, from a fixed seed. The tests that mutate files include this by its path.
#![allow(dead_code, reason = "not every test uses all of it")]

/// What numbers are replaced with.
pub const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "2",
    "-1",
    "255",
    "1024",
    "65536",
    "1048576",
    "1048577",
    "1000000000",
    "4294967296",
    "8589934592",
    "18446744073709551615",
    "1e308",
];

/// A generator of numbers that is the same everywhere.
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `below`, or 0.
    pub fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    /// One change: a bit, a byte, a piece that is doubled, taken out or brought from another file, a cut, or a number.
    pub fn change(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        if bytes.is_empty() {
            return bytes.extend(&others[self.next(others.len())]);
        }
        let (at, kind) = (self.next(bytes.len()), self.next(10));
        let end = (at + 1 + self.next(16)).min(bytes.len());
        match kind {
            0 => bytes[at] ^= 1 << self.next(8),
            1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'0', b'9'][self.next(8)],
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            4 => {
                let other = &others[self.next(others.len())];
                let from = self.next(other.len());
                let piece = other[from..(from + 1 + self.next(64)).min(other.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            5 if self.next(8) == 0 => bytes.truncate(at),
            6 if at + 8 <= bytes.len() => {
                let number = [0, 1, 0x7fff_ffff, u64::from(u32::MAX), 1 << 33, u64::MAX][self.next(6)];
                bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            _ => self.change_number(bytes, at),
        }
    }

    /// The next number after `at` that is written out becomes another.
    fn change_number(&mut self, bytes: &mut Vec<u8>, at: usize) {
        let digit = |b: &u8| b.is_ascii_digit();
        let Some(start) = bytes[at..].iter().position(digit).map(|i| at + i) else { return };
        let end = bytes[start..].iter().position(|b| !digit(b)).map_or(bytes.len(), |i| start + i);
        let number = NUMBERS[self.next(NUMBERS.len())];
        bytes.splice(start..end, number.bytes());
    }
}

/// A number of the environment, such as how many mutations are wanted.
pub fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|number| number.parse().ok()).unwrap_or(otherwise)
}
