//! SentencePiece's byte-pair encoding by scores, as Llama's and Vicuna's own files and their GGUF files have it: the whole text is
//! one word, a space is ▁, and a character without a piece is its bytes.
//!
//! This is not the crate's: it takes an order of merges, which scores do not give. The published table of 32,000 pieces has 14 runs
//! of spaces with one score, between which SentencePiece takes the leftmost pair of the text. With the order that Hugging Face
//! writes into `tokenizer.json` 744 of 300,000 texts got other tokens.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

/// Stands for a space in a piece.
const SPACE: char = '\u{2581}';

/// The longest piece that is read, in bytes; those of published models stay below 100.
const LONGEST: usize = 1024;

/// Whether a text gets a space before it, so that its first word is the same piece as inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// No.
    Never,
    /// The text does, its parts after control tokens do not.
    First,
    /// Also what follows a control token.
    Always,
}

/// What a piece is, numbered as in SentencePiece's and GGUF's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Normal,
    /// Stands for what no piece has.
    Unknown,
    /// No text: begins, ends or pads.
    Control,
    /// Text that is never cut, found after spaces have become ▁ (tokenizers finds some of its added tokens before that).
    Kept,
    /// In no text.
    Unused,
    /// One byte, written `<0xNN>`.
    Byte,
}

impl Kind {
    /// By its number in the files.
    pub fn numbered(number: i64) -> Option<Self> {
        use Kind::*;
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        [Normal, Unknown, Control, Kept, Unused, Byte].get(place).copied()
    }
}

/// A piece of a SentencePiece model; its number is its place in the list.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Its text, ▁ for a space.
    pub text: &'a str,
    /// The larger, the earlier it is put together.
    pub score: f32,
    /// What it is.
    pub kind: Kind,
}

/// Rank and result of merging two pieces.
type Merges = HashMap<(u32, u32), (u32, u32)>;

/// The pieces of a model and how they are put together.
pub(super) struct Pieces {
    /// Bytes of each piece; control tokens have their own text.
    bytes: Vec<Vec<u8>>,
    control: Vec<bool>,
    /// Control tokens by their text, longest first.
    specials: Vec<(String, u32)>,
    merges: Merges,
    letters: Letters,
}

/// How characters become pieces before anything is merged.
struct Letters {
    ids: HashMap<char, u32>,
    bytes: Vec<Option<u32>>,
    /// Longest first.
    kept: Vec<(String, u32)>,
    unknown: Option<u32>,
    prefix: Prefix,
}

/// The byte that a piece `<0xNN>` stands for.
pub(super) fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u8::from_str_radix(digits, 16).ok() } else { None }
}

impl Letters {
    fn new(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        let mut out = Self { ids: HashMap::new(), bytes: vec![None; 256], kept: Vec::new(), unknown: None, prefix };
        for (id, piece) in (0..).zip(pieces) {
            let mut chars = piece.text.chars();
            let before = match (piece.kind, chars.next(), chars.next()) {
                (Kind::Normal, Some(letter), None) => out.ids.insert(letter, id),
                (Kind::Byte, ..) => {
                    let slot = byte(piece.text).and_then(|b| out.bytes.get_mut(usize::from(b)));
                    slot.ok_or_else(|| format!("piece {id} of its tokenizer is a byte's, but not written <0xNN>"))?
                        .replace(id)
                }
                (Kind::Kept, Some(_), _) => {
                    out.kept.push((piece.text.replace(' ', "\u{2581}"), id));
                    None
                }
                (Kind::Unknown, ..) => out.unknown.replace(id),
                _ => None,
            };
            if let Some(before) = before {
                return Err(format!("pieces {before} and {id} of its tokenizer are for the same"));
            }
        }
        if out.unknown.is_none() && out.bytes.contains(&None) {
            return Err("its tokenizer has neither a piece for what is unknown nor one for every byte".into());
        }
        out.kept.sort_by_key(|(text, id)| (Reverse(text.len()), *id));
        Ok(out)
    }

    /// The pieces of single characters, bytes and kept texts in `text`, which stands at the begin of all or follows a control token.
    fn first(&self, text: &str, begins: bool) -> Vec<u32> {
        let asked = self.prefix == Prefix::Always || (self.prefix == Prefix::First && begins);
        let mut written = String::with_capacity(text.len() + 3);
        if asked && !text.is_empty() {
            written.push(SPACE);
        }
        written.extend(text.chars().map(|c| if c == ' ' { SPACE } else { c }));
        let mut out: Vec<u32> = Vec::new();
        let mut rest = written.as_str();
        while let Some(letter) = rest.chars().next() {
            let kept = self.kept.iter().find(|(text, _)| rest.starts_with(text.as_str()));
            let length = kept.map_or(letter.len_utf8(), |(text, _)| text.len());
            let (here, after) = rest.split_at(length);
            if let Some(id) = kept.map(|(_, id)| *id).or_else(|| self.ids.get(&letter).copied()) {
                out.push(id);
            } else if let Some(bytes) = here.bytes().map(|b| self.bytes[usize::from(b)]).collect::<Option<Vec<_>>>() {
                out.extend(bytes);
            } else if self.unknown.is_some() && out.last().copied() != self.unknown {
                out.extend(self.unknown);
            }
            rest = after;
        }
        out
    }
}

impl Pieces {
    /// A SentencePiece model of the kind BPE. Pieces are put together in the order of their scores.
    ///
    /// # Errors
    /// A sentence, when a character of a text could be lost, two pieces are one, or a piece is too long to be one.
    pub(super) fn new(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        let letters = Letters::new(pieces, prefix)?;
        let merges = merges(pieces)?;
        let control: Vec<bool> =
            pieces.iter().map(|piece| matches!(piece.kind, Kind::Control | Kind::Unknown)).collect();
        let bytes = |piece: &Piece| match (piece.kind, byte(piece.text)) {
            (Kind::Byte, Some(byte)) => vec![byte],
            (Kind::Control | Kind::Unknown, _) => piece.text.as_bytes().to_vec(),
            _ => piece.text.replace(SPACE, " ").into_bytes(),
        };
        let own = (0..).zip(pieces).zip(&control).filter(|((_, piece), control)| **control && !piece.text.is_empty());
        let mut specials: Vec<(String, u32)> = own.map(|((id, piece), _)| (piece.text.to_owned(), id)).collect();
        specials.sort_by_key(|(text, id)| (Reverse(text.len()), *id));
        Ok(Self { bytes: pieces.iter().map(bytes).collect(), control, specials, merges, letters })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The tokens of `text`; control tokens are read as such where `control`.
    pub(super) fn encode(&self, text: &str, control: bool) -> Vec<u32> {
        let mut out = Vec::new();
        let mut rest = text;
        loop {
            let begins = out.is_empty();
            let found = self.specials.iter().filter(|_| control);
            let next = found.filter_map(|(special, id)| Some((rest.find(special.as_str())?, special, *id)));
            // The first one; among those at one place the longest, which the list has first.
            let Some((at, special, id)) = next.min_by_key(|(at, special, _)| (*at, usize::MAX - special.len())) else {
                self.merge(&self.letters.first(rest, begins), &mut out);
                return out;
            };
            let (before, after) = rest.split_at(at);
            self.merge(&self.letters.first(before, begins), &mut out);
            out.push(id);
            rest = after.split_at(special.len()).1;
        }
    }

    /// The text of `ids`; control tokens are left out, bytes that are no UTF-8 become U+FFFD.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let known = |id: &&u32| self.control.get(**id as usize) == Some(&false);
        let bytes: Vec<u8> = ids.iter().filter(known).flat_map(|id| &self.bytes[*id as usize]).copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        match text.strip_prefix(' ') {
            Some(text) if self.letters.prefix != Prefix::Never => text.to_owned(),
            _ => text.into_owned(),
        }
    }

    /// Merges neighbours, the lowest rank first and among those the leftmost, until none can be.
    fn merge(&self, first: &[u32], out: &mut Vec<u32>) {
        // A token that was merged into its left neighbour has none.
        let mut ids: Vec<Option<u32>> = first.iter().copied().map(Some).collect();
        let mut next: Vec<usize> = (1..=ids.len()).collect();
        let mut before: Vec<Option<usize>> = (0..ids.len()).map(|at| at.checked_sub(1)).collect();
        let possible = |ids: &[Option<u32>], left: usize, right: usize| {
            let pair = (ids.get(left).copied().flatten()?, ids.get(right).copied().flatten()?);
            let (rank, merged) = self.merges.get(&pair)?;
            Some(Reverse((*rank, left, right, pair, *merged)))
        };
        let mut queue: BinaryHeap<_> = (1..ids.len()).filter_map(|at| possible(&ids, at - 1, at)).collect();
        while let Some(Reverse((_, left, right, pair, merged))) = queue.pop() {
            if next[left] != right || (ids[left], ids[right]) != (Some(pair.0), Some(pair.1)) {
                continue;
            }
            (ids[left], ids[right]) = (Some(merged), None);
            next[left] = next[right];
            if let Some(at) = before.get_mut(next[left]) {
                *at = Some(left);
            }
            queue.extend(possible(&ids, left, next[left]));
            queue.extend(before[left].and_then(|at| possible(&ids, at, left)));
        }
        out.extend(ids.into_iter().flatten());
    }
}

/// Every way to put two pieces together, ranked by the score of what comes out.
fn merges(pieces: &[Piece]) -> Result<Merges, String> {
    // Adding zero makes −0, which a first merge may have, the 0 that it equals.
    let score = |piece: &Piece| piece.score + 0.0;
    let normal = || (0..).zip(pieces).filter(|(_, piece)| piece.kind == Kind::Normal);
    let mut ids: HashMap<&str, u32> = HashMap::new();
    for (id, piece) in normal() {
        if piece.text.len() > LONGEST {
            return Err(format!("piece {id} of its tokenizer has {} bytes", piece.text.len()));
        }
        if !piece.score.is_finite() {
            return Err(format!("the score of piece {id} of its tokenizer is not a finite number"));
        }
        if let Some(before) = ids.insert(piece.text, id) {
            return Err(format!("pieces {before} and {id} of its tokenizer are for the same"));
        }
    }
    let mut scores: Vec<f32> = normal().map(|(_, piece)| score(piece)).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    scores.dedup();
    let mut out = HashMap::new();
    for (id, piece) in normal() {
        let rank = scores.partition_point(|other| other.total_cmp(&score(piece)).is_gt()) as u32;
        for (at, _) in piece.text.char_indices().skip(1) {
            let (a, b) = piece.text.split_at(at);
            if let (Some(a), Some(b)) = (ids.get(a), ids.get(b)) {
                out.insert((*a, *b), (rank, id));
            }
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(texts: &[&str], prefix: Prefix) -> Pieces {
        let piece = |text, score, kind| Piece { text, score, kind };
        let mut pieces = vec![piece("<unk>", 0.0, Kind::Unknown), piece("</s>", 0.0, Kind::Control)];
        let bytes: Vec<String> = (0..=255u8).map(|b| format!("<0x{b:02X}>")).collect();
        pieces.extend(bytes.iter().map(|text| piece(text, 0.0, Kind::Byte)));
        // The trainer gives its first merge −0.
        pieces.extend(texts.iter().enumerate().map(|(i, text)| piece(text, -(i as f32), Kind::Normal)));
        pieces.push(piece("[x]", 0.0, Kind::Kept));
        Pieces::new(&pieces, prefix).unwrap()
    }

    const TEXTS: [&str; 6] = ["aa", "aaa", "\u{2581}b", "a", "b", "\u{2581}"];

    #[test]
    fn pieces_are_put_together_by_score_and_from_the_left() {
        let (bpe, first) = (small(&TEXTS, Prefix::Never), 2 + 256);
        assert_eq!(bpe.encode("aaaaa", false), [first, first + 1]);
        assert_eq!(bpe.encode("a b", false), [first + 3, first + 2]);
        assert_eq!(bpe.encode("a[x]a", false), [first + 3, first + 6, first + 3]);
        assert_eq!(bpe.encode("é", false), [2 + 0xc3, 2 + 0xa9]);
        // The name of a byte's piece in a text is text.
        assert_eq!(bpe.decode(&bpe.encode("<0x41>", false)), "<0x41>");
        // −0 is before −1.
        assert_eq!(small(&["he", "th", "t", "h", "e"], Prefix::Never).encode("the", false), [first + 2, first]);
    }

    #[test]
    fn a_text_comes_back_with_its_own_spaces() {
        for prefix in [Prefix::Never, Prefix::First, Prefix::Always] {
            let bpe = small(&TEXTS, prefix);
            for text in ["b a", "  b", "é\n🎉", ""] {
                assert_eq!(bpe.decode(&bpe.encode(text, false)), text, "{prefix:?}");
            }
        }
        let space = 2 + 256 + 2;
        assert_eq!(small(&TEXTS, Prefix::First).encode("b</s>b", true), [space, 1, space + 2]);
        assert_eq!(small(&TEXTS, Prefix::Always).encode("b</s>b", true), [space, 1, space]);
    }

    #[test]
    fn pieces_that_would_lose_characters_are_refused() {
        let pieces = [Piece { text: "a", score: 0.0, kind: Kind::Normal }];
        assert!(Pieces::new(&pieces, Prefix::Never).err().unwrap().contains("for what is unknown"));
        let pieces = [("<unk>", Kind::Unknown), ("ab", Kind::Normal), ("ab", Kind::Normal), ("41", Kind::Byte)]
            .map(|(text, kind)| Piece { text, score: 0.0, kind });
        assert!(Pieces::new(&pieces[..3], Prefix::Never).err().unwrap().contains("pieces 1 and 2"));
        assert!(Pieces::new(&pieces[..1].repeat(2), Prefix::Never).err().unwrap().contains("pieces 0 and 1"));
        let bytes = [&pieces[..1], &pieces[3..]].concat();
        assert!(Pieces::new(&bytes, Prefix::Never).err().unwrap().contains("not written <0xNN>"));
        let long = "a".repeat(LONGEST + 1);
        let pieces = [pieces[0], Piece { text: &long, score: 0.0, kind: Kind::Normal }];
        assert!(Pieces::new(&pieces, Prefix::Never).err().unwrap().contains("has 1025 bytes"));
    }

    #[test]
    fn numbers_of_kinds_and_names_of_bytes() {
        assert_eq!((Kind::numbered(1), Kind::numbered(6)), (Some(Kind::Normal), Some(Kind::Byte)));
        assert_eq!((Kind::numbered(0), Kind::numbered(7), Kind::numbered(-1)), (None, None, None));
        assert_eq!((byte("<0x0A>"), byte("<0x+F>"), byte("<0xZZ>")), (Some(10), None, None));
    }
}
