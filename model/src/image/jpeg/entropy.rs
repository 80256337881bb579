//! A JPEG's entropy-coded bits: Huffman tables, and a reader that knows how many bits there really are.

/// Why a walk over the coded data stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The data ends, or a marker stands where data should.
    Ended,
    /// A code that no table has.
    Damaged,
}

/// Bits that one look into the table resolves.
const FAST: u32 = 9;

/// A Huffman table of ITU-T T.81, annex C.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// For each `FAST` bits: length (0: longer) and symbol.
    fast: Vec<(u8, u8)>,
    /// For each length the first code, the number of codes, and where their symbols begin.
    long: [(u32, u32, usize); 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the sixteen counts and the symbols of a DHT segment; the second value is how many bytes they took.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let counts = bytes.get(..16)?;
        let all: usize = counts.iter().map(|count| usize::from(*count)).sum();
        let symbols = bytes.get(16..16 + all)?.to_vec();
        let mut table = Self { fast: vec![(0, 0); 1 << FAST], long: [(0, 0, 0); 17], symbols };
        let (mut code, mut at) = (0u32, 0usize);
        for (length, count) in (1u32..).zip(counts.iter().map(|count| u32::from(*count))) {
            if code + count > 1 << length {
                return None;
            }
            table.long[length as usize] = (code, count, at);
            for (code, symbol) in (code..code + count).zip(table.symbols.get(at..)?) {
                if length <= FAST {
                    let first = (code << (FAST - length)) as usize;
                    table.fast.get_mut(first..first + (1 << (FAST - length)))?.fill((length as u8, *symbol));
                }
            }
            at += count as usize;
            code = (code + count) << 1;
        }
        Some((table, 16 + all))
    }

    /// Length and symbol of the code that sixteen bits begin with.
    fn find(&self, bits: u32) -> Option<(u32, u8)> {
        match self.fast.get((bits >> (16 - FAST)) as usize) {
            Some((length, symbol)) if *length > 0 => Some((u32::from(*length), *symbol)),
            _ => (FAST + 1..=16).find_map(|length| {
                let (first, count, at) = self.long[length as usize];
                let offset = (bits >> (16 - length)).checked_sub(first).filter(|offset| *offset < count)?;
                Some((length, *self.symbols.get(at + offset as usize)?))
            }),
        }
    }
}

/// A reader of the bits between two markers. It never makes bits up, as decoders do at the end of the data.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Of the data that begins at byte `at`.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, count: 0 }
    }

    /// Takes bytes until sixteen bits are there, or a marker or the end is met.
    fn fill(&mut self) {
        while self.count < 16 {
            let next = match (self.bytes.get(self.at), self.bytes.get(self.at + 1)) {
                (Some(0xff), Some(0)) => 2,
                (Some(0xff), _) | (None, _) => return,
                (Some(_), _) => 1,
            };
            self.buffer = (self.buffer << 8) | u64::from(self.bytes[self.at]);
            (self.at, self.count) = (self.at + next, self.count + 8);
        }
    }

    /// `n` bits, 16 at most.
    pub fn take(&mut self, n: u32) -> Result<u32, Fault> {
        self.fill();
        self.count = self.count.checked_sub(n).ok_or(Fault::Ended)?;
        Ok((self.buffer >> self.count) as u32 & ((1 << n) - 1))
    }

    /// The next symbol of `table`.
    pub fn symbol(&mut self, table: &Table) -> Result<u8, Fault> {
        self.fill();
        let bits = if self.count >= 16 { self.buffer >> (self.count - 16) } else { self.buffer << (16 - self.count) };
        match table.find(bits as u32 & 0xffff) {
            Some((length, symbol)) if length <= self.count => {
                self.count -= length;
                Ok(symbol)
            }
            None if self.count >= 16 => Err(Fault::Damaged),
            _ => Err(Fault::Ended),
        }
    }

    /// Passes a restart marker, and bytes before it that nothing needs.
    pub fn restart(&mut self) -> Result<(), Fault> {
        (self.buffer, self.count) = (0, 0);
        let (at, marker) = next_marker(self.bytes, self.at).ok_or(Fault::Ended)?;
        self.at = at + 2;
        if (0xd0..=0xd7).contains(&marker) { Ok(()) } else { Err(Fault::Ended) }
    }

    /// Where the data ends: bytes that were taken and not needed are given back.
    pub fn end(&self) -> usize {
        (0..self.count / 8).fold(self.at, |at, _| {
            let stuffed = at >= 2 && self.bytes[at - 2..at] == [0xff, 0];
            at.saturating_sub(if stuffed { 2 } else { 1 })
        })
    }
}

/// The next marker from `at` on: where its last `0xff` stands, and its second byte.
pub(super) fn next_marker(bytes: &[u8], at: usize) -> Option<(usize, u8)> {
    let rest = bytes.get(at..)?;
    let found = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((at + found, rest[found + 1]))
}
