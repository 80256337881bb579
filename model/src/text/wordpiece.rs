//! BERT-uncased tokenisation: basic tokeniser and greedy WordPiece, as Hugging Face's `BertTokenizerFast` does them.

use std::collections::HashMap;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::Tokens;
use super::tables::{ACCENTS, IDEOGRAPHS, PUNCTUATION, REMOVED};
use crate::error::{ModelError, Result};

/// A word of more characters becomes `[UNK]`; upstream's `max_input_chars_per_word`.
pub const MAX_WORD_CHARS: usize = 100;

/// The BERT-uncased tokeniser over a vocabulary.
///
/// Special tokens written out in a text (`[SEP]`) are plain characters here: `clean_caption` lowercases them anyway,
/// and a visitor's text must not steer the model's own marks.
#[derive(Debug, Clone)]
pub struct WordPiece {
    /// Pieces that begin a word.
    heads: HashMap<Box<str>, u32>,
    /// Pieces that go on with a word, without their `##`.
    tails: HashMap<Box<str>, u32>,
    /// Bytes of the longest piece: no longer candidate needs a look-up.
    longest: usize,
    len: usize,
    pad: u32,
    unk: u32,
    cls: u32,
    sep: u32,
}

impl WordPiece {
    /// Reads `vocab.txt`: one token a line, the line's number (from 0) is its id.
    ///
    /// # Errors
    /// [`ModelError::Format`] when `[PAD]`, `[UNK]`, `[CLS]` or `[SEP]` is missing.
    pub fn from_vocab(text: &str) -> Result<Self> {
        let mut heads: HashMap<Box<str>, u32> = HashMap::new();
        let mut tails: HashMap<Box<str>, u32> = HashMap::new();
        let (mut longest, mut len) = (0, 0);
        for (id, line) in text.split('\n').enumerate() {
            let token = line.trim_end();
            // An empty line can't match any text; the last one is only the end of the file.
            if token.is_empty() {
                continue;
            }
            let id = u32::try_from(id).map_err(|_| format_error("has too many lines"))?;
            len = id as usize + 1;
            longest = longest.max(token.len());
            match token.strip_prefix("##") {
                Some(tail) if !tail.is_empty() => tails.insert(tail.into(), id),
                _ => heads.insert(token.into(), id),
            };
        }
        let special =
            |name: &str| heads.get(name).copied().ok_or_else(|| format_error(&format!("has no line \"{name}\"")));
        let (pad, unk, cls, sep) = (special("[PAD]")?, special("[UNK]")?, special("[CLS]")?, special("[SEP]")?);
        Ok(Self { heads, tails, longest, len, pad, unk, cls, sep })
    }

    /// Rows that a token embedding table needs: the highest id plus one.
    pub fn vocab_size(&self) -> usize {
        self.len
    }

    /// Id of `[PAD]`.
    pub fn pad_id(&self) -> u32 {
        self.pad
    }

    /// Id of `[CLS]`.
    pub fn cls_id(&self) -> u32 {
        self.cls
    }

    /// Id of `[SEP]`.
    pub fn sep_id(&self) -> u32 {
        self.sep
    }

    /// Encodes `text` to exactly `max_len` ids: `[CLS] pieces [SEP] [PAD]…`. A text that is too long loses its last
    /// pieces, never `[SEP]`. `max_len` is at least 2; less is read as 2.
    pub fn encode(&self, text: &str, max_len: usize) -> Tokens {
        let max_len = max_len.max(2);
        let room = max_len - 1;
        let mut out = Pieces { ids: Vec::with_capacity(max_len), spans: Vec::with_capacity(max_len) };
        out.push(self.cls, 0..0);
        let mut word = Word::default();
        // Past `room` nothing can change the result, so 10,000 characters cost no more than a sentence.
        for (c, at) in normalise(text).zip(sources(text)) {
            if out.ids.len() >= room {
                break;
            }
            if c.is_whitespace() {
                self.flush(&mut word, &mut out);
            } else if is_in(PUNCTUATION, c) || is_in(IDEOGRAPHS, c) {
                self.flush(&mut word, &mut out);
                word.push(c, at);
                self.flush(&mut word, &mut out);
            } else {
                word.push(c, at);
            }
        }
        self.flush(&mut word, &mut out);
        out.truncate(room);
        out.push(self.sep, 0..0);
        let real = out.ids.len();
        out.ids.resize(max_len, self.pad);
        out.spans.resize(max_len, 0..0);
        Tokens { ids: out.ids, mask: (0..max_len).map(|i| i < real).collect(), spans: out.spans }
    }

    /// Appends the pieces of `word`, or `[UNK]` when some part of it is in no piece, and empties it.
    fn flush(&self, word: &mut Word, out: &mut Pieces) {
        if word.text.is_empty() {
            return;
        }
        let before = out.ids.len();
        if word.at.len() > MAX_WORD_CHARS || !self.pieces(word, out) {
            out.truncate(before);
            out.push(self.unk, word.span(0..word.at.len()));
        }
        word.text.clear();
        word.at.clear();
    }

    /// Greedy longest match from the left; false when it gets stuck.
    fn pieces(&self, word: &Word, out: &mut Pieces) -> bool {
        let mut rest = word.text.as_str();
        let mut first = 0;
        while !rest.is_empty() {
            let table = if first == 0 { &self.heads } else { &self.tails };
            let found = (1..)
                .zip(rest.char_indices())
                .map(|(count, (at, c))| (count, at + c.len_utf8()))
                .take_while(|&(_, end)| end <= self.longest)
                .filter_map(|(count, end)| Some((count, rest.split_at_checked(end)?)))
                .filter_map(|(count, (piece, after))| Some((*table.get(piece)?, count, after)))
                .last();
            let Some((id, count, after)) = found else { return false };
            out.push(id, word.span(first..first + count));
            first += count;
            rest = after;
        }
        true
    }
}

/// A word on its way to pieces: its characters, and where in the text each of them stood.
#[derive(Default)]
struct Word {
    text: String,
    at: Vec<u32>,
}

impl Word {
    fn push(&mut self, c: char, at: u32) {
        self.text.push(c);
        self.at.push(at);
    }

    /// The text's characters behind the word's characters `range`.
    fn span(&self, range: Range<usize>) -> Range<u32> {
        let places = &self.at[range];
        match (places.iter().min(), places.iter().max()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => 0..0,
        }
    }
}

/// The pieces found so far.
struct Pieces {
    ids: Vec<u32>,
    spans: Vec<Range<u32>>,
}

impl Pieces {
    fn push(&mut self, id: u32, span: Range<u32>) {
        self.ids.push(id);
        self.spans.push(span);
    }

    fn truncate(&mut self, count: usize) {
        self.ids.truncate(count);
        self.spans.truncate(count);
    }
}

/// For each character of [`normalise`], the number of the character of `text` that it came from. Combining marks that
/// decomposition reorders may trade places; they belong to one word.
fn sources(text: &str) -> impl Iterator<Item = u32> + '_ {
    (0..).zip(text.chars()).filter(|&(_, c)| !is_in(REMOVED, c)).flat_map(|(at, c)| {
        let kept = std::iter::once(c).nfd().filter(|&c| !is_in(ACCENTS, c));
        std::iter::repeat_n(at, kept.flat_map(char::to_lowercase).count())
    })
}

/// Upstream's `BertNormalizer`, lazily: drop control characters, decompose, drop accents, lowercase.
fn normalise(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        // Tab, line feed and carriage return are in no removed range; they part words like every white space.
        .filter(|&c| !is_in(REMOVED, c))
        // White space has to stay white space: U+2000 decomposes, but only to other spaces.
        .nfd()
        .filter(|&c| !is_in(ACCENTS, c))
        .flat_map(char::to_lowercase)
}

fn is_in(ranges: &[(u32, u32)], c: char) -> bool {
    let c = c as u32;
    ranges
        .binary_search_by(|&(first, last)| {
            if last < c {
                std::cmp::Ordering::Less
            } else if first > c {
                std::cmp::Ordering::Greater
            } else {
                std::cmp::Ordering::Equal
            }
        })
        .is_ok()
}

fn format_error(problem: &str) -> ModelError {
    ModelError::Format {
        place: "vocab.txt".into(),
        problem: problem.into(),
        mend: "use BERT-uncased's vocabulary file, one token a line".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        vocab: Vec<String>,
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        ids: Vec<u32>,
    }

    fn golden() -> (WordPiece, Vec<Case>) {
        let golden: Golden = serde_json::from_str(include_str!("../../../tests/golden/tokenizer.json")).unwrap();
        (WordPiece::from_vocab(&golden.vocab.join("\n")).unwrap(), golden.cases)
    }

    #[test]
    fn matches_hugging_face() {
        let (tokenizer, cases) = golden();
        assert!(cases.len() >= 150);
        for case in cases {
            let got = tokenizer.encode(&case.text, case.ids.len() + 3);
            let (ids, pad) = got.ids.split_at(case.ids.len());
            assert_eq!(ids, case.ids, "{:?}", case.text);
            assert!(pad.iter().all(|&id| id == tokenizer.pad_id()));
            assert_eq!(got.mask.iter().filter(|&&real| real).count(), case.ids.len());
        }
    }

    #[test]
    fn truncates_before_sep() {
        let (tokenizer, cases) = golden();
        for case in cases {
            for max_len in 0..case.ids.len() {
                let got = tokenizer.encode(&case.text, max_len);
                let max_len = max_len.max(2);
                assert_eq!(got.ids.len(), max_len);
                assert_eq!(got.ids[..max_len - 1], case.ids[..max_len - 1], "{:?}", case.text);
                assert_eq!(got.ids[max_len - 1], tokenizer.sep_id());
                assert!(got.mask.iter().all(|&real| real));
            }
        }
    }

    /// Spans as Hugging Face's `return_offsets_mapping` gives them for these texts.
    #[test]
    fn spans_name_the_characters_behind_a_token() {
        let vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nsleeve\n##less\ncafe\n,\nred\n中";
        let tokenizer = WordPiece::from_vocab(vocabulary).unwrap();
        let text = "Sleeveless  CAFÉ, re\u{301}d 中x!";
        let got = tokenizer.encode(text, 16);
        let spans: Vec<String> =
            got.spans.iter().map(|span| text.chars().skip(span.start as usize).take(span.len()).collect()).collect();
        let expected = ["", "Sleeve", "less", "CAFÉ", ",", "re\u{301}d", "中", "x", "!", ""];
        assert_eq!(spans[..10], expected);
        assert_eq!(got.ids[..10], [2, 4, 5, 6, 7, 8, 9, 1, 1, 3]);
        assert!(spans[10..].iter().all(String::is_empty) && spans.len() == 16);
    }

    #[test]
    fn long_input_is_quick() {
        let (tokenizer, _) = golden();
        let started = std::time::Instant::now();
        for text in ["a".repeat(10_000), "é".repeat(10_000), "\u{301}".repeat(10_000), "👩\u{200d}👧".repeat(3000)]
        {
            let got = tokenizer.encode(&text, 32);
            assert_eq!(got.ids.len(), 32);
        }
        let letters: String = (0..10_000).map(|i| if i % 90 == 0 { ' ' } else { 'z' }).collect();
        assert_eq!(tokenizer.encode(&letters, 10_000).ids.len(), 10_000);
        assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
    }

    #[test]
    fn refuses_a_vocabulary_without_special_tokens() {
        for vocab in ["", "[PAD]\n[UNK]\n[CLS]\nred", "\u{0}\n\n\n"] {
            let error = WordPiece::from_vocab(vocab).unwrap_err();
            assert!(matches!(error, ModelError::Format { .. }), "{error}");
        }
        assert_eq!(WordPiece::from_vocab("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\nred\r\n").unwrap().vocab_size(), 5);
    }
}
