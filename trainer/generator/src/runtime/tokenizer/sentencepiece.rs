//! SentencePiece's byte-pair encoding, as Llama and Vicuna have it: the whole text is one word, a space is ▁, and a
//! character without a piece is its bytes.

use super::byte_level::named_merges;
use super::{Bpe, First, Merges, Tokens};
use std::collections::HashMap;

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

/// [`Prefix`], and what happens to a text that begins with a space already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefixed {
    /// Where a space is put.
    pub prefix: Prefix,
    /// Only where there is none yet (tokenizers' Metaspace; SentencePiece always puts one).
    pub once: bool,
}

impl From<Prefix> for Prefixed {
    fn from(prefix: Prefix) -> Self {
        Self { prefix, once: false }
    }
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
#[derive(Clone, Debug)]
pub struct Piece<'a> {
    /// Its text, ▁ for a space.
    pub text: &'a str,
    /// The larger, the earlier it is put together.
    pub score: f32,
    /// What it is.
    pub kind: Kind,
}

/// How characters become pieces before anything is merged.
pub(super) struct Letters {
    ids: HashMap<char, u32>,
    bytes: Vec<Option<u32>>,
    /// Longest first.
    kept: Vec<(String, u32)>,
    unknown: Option<u32>,
    prefixed: Prefixed,
}

/// The byte that a piece `<0xNN>` stands for.
pub(super) fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    let plain = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    if plain { u8::from_str_radix(digits, 16).ok() } else { None }
}

impl Letters {
    /// The pieces of single characters, bytes and kept texts in `text`, which stands at the begin of all or follows a control token.
    pub(super) fn first(&self, text: &str, begins: bool) -> Vec<u32> {
        let Prefixed { prefix, once } = self.prefixed;
        let asked = prefix == Prefix::Always || (prefix == Prefix::First && begins);
        let mut written = String::with_capacity(text.len() + 3);
        if asked && !text.is_empty() && !(once && text.starts_with([' ', SPACE])) {
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
            } else if let Some(bytes) =
                here.bytes().map(|b| self.bytes.get(usize::from(b)).copied().flatten()).collect::<Option<Vec<_>>>()
            {
                out.extend(bytes);
            } else if self.unknown.is_some() && out.last().copied() != self.unknown {
                out.extend(self.unknown);
            }
            rest = after;
        }
        out
    }

    /// Whether a decoded text has a space more than the text had.
    pub(super) fn adds_space(&self) -> bool {
        self.prefixed.prefix != Prefix::Never
    }
}

impl Bpe {
    /// A SentencePiece model of the kind BPE. Pieces are put together in the order of their scores.
    ///
    /// # Errors
    /// A sentence, when a character of a text could be lost, or a piece is too long to be one.
    pub fn from_pieces(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        // Adding zero makes −0, which a first merge may have, the 0 that it equals.
        let score = |piece: &Piece| piece.score + 0.0;
        let normal = || pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::Normal);
        let ids: HashMap<&str, u32> = normal().map(|(id, piece)| (piece.text, id as u32)).collect();
        let mut scores: Vec<f32> = normal().map(|(_, piece)| score(piece)).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.dedup();
        let mut merges = HashMap::new();
        for (id, piece) in normal() {
            if piece.text.len() > LONGEST {
                return Err(format!("piece {id} of its tokenizer has {} bytes", piece.text.len()));
            }
            let rank = scores.partition_point(|other| other.total_cmp(&score(piece)).is_gt()) as u32;
            for (at, _) in piece.text.char_indices().skip(1) {
                let (a, b) = piece.text.split_at(at);
                if let (Some(a), Some(b)) = (ids.get(a), ids.get(b)) {
                    merges.insert((*a, *b), (rank, id as u32));
                }
            }
        }
        Self::whole(pieces, merges, prefix.into())
    }

    /// The same pieces with merges that are written out (`tokenizer.json`), the first ones first.
    pub(super) fn from_merges(pieces: &[Piece], merges: &[&str], prefixed: Prefixed) -> Result<Self, String> {
        let ids: HashMap<&str, u32> = pieces.iter().enumerate().map(|(id, piece)| (piece.text, id as u32)).collect();
        Self::whole(pieces, named_merges(&ids, merges)?, prefixed)
    }

    fn whole(pieces: &[Piece], merges: Merges, prefixed: Prefixed) -> Result<Self, String> {
        let mut letters =
            Letters { ids: HashMap::new(), bytes: vec![None; 256], kept: Vec::new(), unknown: None, prefixed };
        for (id, piece) in pieces.iter().enumerate() {
            let (id, mut chars) = (id as u32, piece.text.chars());
            match (piece.kind, chars.next(), chars.next()) {
                (Kind::Normal, Some(letter), None) => {
                    letters.ids.insert(letter, id);
                }
                (Kind::Byte, ..) => {
                    if let Some(slot) = byte(piece.text).and_then(|b| letters.bytes.get_mut(usize::from(b))) {
                        *slot = Some(id);
                    }
                }
                (Kind::Kept, Some(_), _) => letters.kept.push((piece.text.replace(' ', "\u{2581}"), id)),
                (Kind::Unknown, ..) => letters.unknown = Some(id),
                _ => {}
            }
        }
        if letters.unknown.is_none() && letters.bytes.contains(&None) {
            return Err("its tokenizer has neither a piece for what is unknown nor one for every byte".into());
        }
        letters.kept.sort_by_key(|(text, id)| (std::cmp::Reverse(text.len()), *id));
        let tokens = Tokens {
            texts: pieces.iter().map(|piece| piece.text).collect(),
            control: pieces.iter().map(|piece| matches!(piece.kind, Kind::Control | Kind::Unknown)).collect(),
        };
        let bytes = |id: usize, text: &str| match byte(text) {
            Some(byte) if pieces.get(id).is_some_and(|piece| piece.kind == Kind::Byte) => vec![byte],
            _ => text.replace(SPACE, " ").into_bytes(),
        };
        Ok(Self::new(&tokens, bytes, merges, First::Whole(letters)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(texts: &[&str], prefix: Prefix) -> Bpe {
        let piece = |text, score, kind| Piece { text, score, kind };
        let mut pieces = vec![piece("<unk>", 0.0, Kind::Unknown), piece("</s>", 0.0, Kind::Control)];
        let bytes: Vec<String> = (0..=255u8).map(|b| format!("<0x{b:02X}>")).collect();
        pieces.extend(bytes.iter().map(|text| piece(text, 0.0, Kind::Byte)));
        // The trainer gives its first merge −0.
        pieces.extend(texts.iter().enumerate().map(|(i, text)| piece(text, -(i as f32), Kind::Normal)));
        pieces.push(piece("[x]", 0.0, Kind::Kept));
        Bpe::from_pieces(&pieces, prefix).unwrap()
    }

    const TEXTS: [&str; 6] = ["aa", "aaa", "\u{2581}b", "a", "b", "\u{2581}"];

    #[test]
    fn pieces_are_put_together_by_score_and_from_the_left() {
        let (bpe, first) = (small(&TEXTS, Prefix::Never), 2 + 256);
        assert_eq!(bpe.encode("aaaaa"), [first, first + 1]);
        assert_eq!(bpe.encode("a b"), [first + 3, first + 2]);
        assert_eq!(bpe.encode("a[x]a"), [first + 3, first + 6, first + 3]);
        assert_eq!(bpe.encode("é"), [2 + 0xc3, 2 + 0xa9]);
        // The name of a byte's piece in a text is text.
        assert_eq!(bpe.decode(&bpe.encode("<0x41>")), "<0x41>");
        // −0 is before −1.
        assert_eq!(small(&["he", "th", "t", "h", "e"], Prefix::Never).encode("the"), [first + 2, first]);
    }

    #[test]
    fn a_text_comes_back_with_its_own_spaces() {
        for prefix in [Prefix::Never, Prefix::First, Prefix::Always] {
            let bpe = small(&TEXTS, prefix);
            for text in ["b a", "  b", "é\n🎉", ""] {
                assert_eq!(bpe.decode(&bpe.encode(text)), text, "{prefix:?}");
            }
        }
        let space = 2 + 256 + 2;
        assert_eq!(small(&TEXTS, Prefix::First).encode_with_control("b</s>b"), [space, 1, space + 2]);
        assert_eq!(small(&TEXTS, Prefix::Always).encode_with_control("b</s>b"), [space, 1, space]);
    }

    #[test]
    fn pieces_that_would_lose_characters_are_refused() {
        let pieces = [Piece { text: "a", score: 0.0, kind: Kind::Normal }];
        assert!(Bpe::from_pieces(&pieces, Prefix::Never).err().unwrap().contains("for what is unknown"));
        let long = "a".repeat(LONGEST + 1);
        let pieces = [Piece { text: &long, score: 0.0, kind: Kind::Normal }];
        assert!(Bpe::from_pieces(&pieces, Prefix::Never).err().unwrap().contains("has 1025 bytes"));
    }

    #[test]
    fn numbers_of_kinds_and_names_of_bytes() {
        assert_eq!((Kind::numbered(1), Kind::numbered(6)), (Some(Kind::Normal), Some(Kind::Byte)));
        assert_eq!((Kind::numbered(0), Kind::numbered(7), Kind::numbered(-1)), (None, None, None));
        assert_eq!((byte("<0x0A>"), byte("<0x+F>"), byte("<0xZZ>")), (Some(10), None, None));
    }
}
