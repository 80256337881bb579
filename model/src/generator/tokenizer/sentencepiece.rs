//! SentencePiece's byte-pair encoding, as Llama and Vicuna have it: the whole text is one word, a space is ▁, and a
//! character without a piece is its bytes.

use super::byte_level::named_merges;
use super::{Bpe, First, Merges, Tokens};
use std::collections::HashMap;

/// Stands for a space in a piece.
const SPACE: char = '\u{2581}';

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
    /// Text that is never cut.
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
    prefix: Prefix,
}

/// The byte that a piece `<0xNN>` stands for.
fn byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

impl Letters {
    /// The pieces of single characters, bytes and kept texts in `text`, which stands at the begin of all or follows a control token.
    pub(super) fn first(&self, text: &str, begins: bool) -> Vec<u32> {
        let prefix = self.prefix == Prefix::Always || (self.prefix == Prefix::First && begins);
        let mut written = String::with_capacity(text.len() + 3);
        if prefix && !text.is_empty() {
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
        self.prefix != Prefix::Never
    }
}

impl Bpe {
    /// A SentencePiece model of the kind BPE. Pieces are put together in the order of their scores.
    ///
    /// # Errors
    /// A sentence, when there are no pieces.
    pub fn from_pieces(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        if pieces.is_empty() {
            return Err("its tokenizer has no pieces".into());
        }
        let normal = pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::Normal);
        let normal: HashMap<&str, u32> = normal.map(|(id, piece)| (piece.text, id as u32)).collect();
        let mut scores: Vec<f32> = pieces.iter().map(|piece| piece.score).collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.dedup();
        let mut merges = HashMap::new();
        for (id, piece) in pieces.iter().enumerate().filter(|(_, piece)| piece.kind == Kind::Normal) {
            let rank = scores.partition_point(|score| score.total_cmp(&piece.score).is_gt()) as u32;
            for (at, _) in piece.text.char_indices().skip(1) {
                let (a, b) = piece.text.split_at(at);
                if let (Some(a), Some(b)) = (normal.get(a), normal.get(b)) {
                    merges.insert((*a, *b), (rank, id as u32));
                }
            }
        }
        Ok(Self::whole(pieces, merges, prefix))
    }

    /// The same pieces with merges that are written out (`tokenizer.json`), the first ones first.
    pub(super) fn from_merges(pieces: &[Piece], merges: &[&str], prefix: Prefix) -> Result<Self, String> {
        let ids: HashMap<&str, u32> = pieces.iter().enumerate().map(|(id, piece)| (piece.text, id as u32)).collect();
        Ok(Self::whole(pieces, named_merges(&ids, merges)?, prefix))
    }

    fn whole(pieces: &[Piece], merges: Merges, prefix: Prefix) -> Self {
        let mut letters =
            Letters { ids: HashMap::new(), bytes: vec![None; 256], kept: Vec::new(), unknown: None, prefix };
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
                (Kind::Kept, Some(_), _) => letters.kept.push((piece.text.to_owned(), id)),
                (Kind::Unknown, ..) => letters.unknown = Some(id),
                _ => {}
            }
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
        Self::new(&tokens, bytes, merges, First::Whole(letters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(prefix: Prefix) -> Bpe {
        let piece = |text, score, kind| Piece { text, score, kind };
        let mut pieces = vec![piece("<unk>", 0.0, Kind::Unknown), piece("</s>", 0.0, Kind::Control)];
        let bytes: Vec<String> = (0..=255u8).map(|b| format!("<0x{b:02X}>")).collect();
        pieces.extend(bytes.iter().map(|text| piece(text, 0.0, Kind::Byte)));
        let texts = ["aa", "aaa", "\u{2581}b", "a", "b", "\u{2581}"];
        pieces.extend(texts.iter().enumerate().map(|(i, text)| piece(text, -(i as f32), Kind::Normal)));
        pieces.push(piece("[x]", 0.0, Kind::Kept));
        Bpe::from_pieces(&pieces, prefix).unwrap()
    }

    #[test]
    fn pieces_are_put_together_by_score_and_from_the_left() {
        let (bpe, first) = (small(Prefix::Never), 2 + 256);
        assert_eq!(bpe.encode("aaaaa"), [first + 1, first]);
        assert_eq!(bpe.encode("a b"), [first + 3, first + 2]);
        assert_eq!(bpe.encode("a[x]a"), [first + 3, first + 6, first + 3]);
        assert_eq!(bpe.encode("é"), [2 + 0xc3, 2 + 0xa9]);
        // The name of a byte's piece in a text is text.
        assert_eq!(bpe.decode(&bpe.encode("<0x41>")), "<0x41>");
    }

    #[test]
    fn a_text_comes_back_with_its_own_spaces() {
        for prefix in [Prefix::Never, Prefix::First, Prefix::Always] {
            let bpe = small(prefix);
            for text in ["b a", "  b", "é\n🎉", ""] {
                assert_eq!(bpe.decode(&bpe.encode(text)), text, "{prefix:?}");
            }
        }
        let space = 2 + 256 + 2;
        assert_eq!(small(Prefix::First).encode_with_control("b</s>b"), [space, 1, space + 2]);
        assert_eq!(small(Prefix::Always).encode_with_control("b</s>b"), [space, 1, space]);
    }

    #[test]
    fn numbers_of_kinds() {
        assert_eq!((Kind::numbered(1), Kind::numbered(6)), (Some(Kind::Normal), Some(Kind::Byte)));
        assert_eq!((Kind::numbered(0), Kind::numbered(7), Kind::numbered(-1)), (None, None, None));
    }
}
