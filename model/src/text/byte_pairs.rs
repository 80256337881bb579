//! CLIP's byte-pair tokenizer, as OpenAI's `simple_tokenizer.py` does it.
//!
//! A text is lower-cased and cut into letters, single digits and the rest; each piece's UTF-8 bytes are joined pair by pair, the
//! pair that stands first in the list of merges first. A piece's last symbol carries an end-of-word mark.

use super::Tokens;
use super::clip_tables::LETTERS;
use super::tidy::tidy;
use crate::error::{ModelError, Result};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;

/// Ids of the 256 bytes and of the 256 bytes that end a word.
const BYTES: usize = 512;
/// The begin and the end mark.
const MARKS: usize = 2;
/// What ends a word in the list of merges.
const WORD_END: &str = "</w>";
/// Id of padding: OpenAI's and OpenCLIP's. Hugging Face pads with the end mark.
const PADDING: u32 = 0;

/// CLIP's tokenizer over a list of merges.
///
/// Marks written out in a text (`<|endoftext|>`) are plain characters here: a visitor's text must not steer the model's own
/// marks. OpenAI's code would read its row at such a mark.
#[derive(Debug, Clone)]
pub struct BytePairs {
    /// Two neighbouring symbols: the symbol that they become. A lower one stands earlier in the list of merges.
    merges: HashMap<(u32, u32), u32>,
}

impl BytePairs {
    /// Reads a list of merges for `vocabulary` ids: Hugging Face's `merges.txt`, or OpenAI's `bpe_simple_vocab_16e6.txt`, whose
    /// lines beyond the vocabulary nothing uses.
    ///
    /// # Errors
    /// [`ModelError::Format`] that names the first line which joins no symbols known before it, or counts the lines where there are
    /// too few.
    pub fn from_merges(text: &str, vocabulary: usize) -> Result<Self> {
        let wanted = vocabulary.saturating_sub(BYTES + MARKS);
        let mut known: HashMap<Box<str>, u32> =
            byte_symbols().zip(0..).map(|(symbol, id)| (symbol.into(), id)).collect();
        let mut merges = HashMap::new();
        for (at, line) in merge_lines(text).take(wanted) {
            let wrong = |problem: &str| format_error(&format!("line {}: {problem}", at + 1));
            let (left, right) = line.split_once(' ').ok_or_else(|| wrong("it is not two symbols"))?;
            let symbol = |symbol: &str| known.get(symbol).copied();
            let (Some(first), Some(second)) = (symbol(left), symbol(right)) else {
                return Err(wrong("it joins a symbol that no line before it made"));
            };
            let id = u32::try_from(BYTES + merges.len()).map_err(|_| wrong("there are too many lines"))?;
            if known.insert(format!("{left}{right}").into(), id).is_some() {
                return Err(wrong("it makes a symbol that is there already"));
            }
            merges.insert((first, second), id);
        }
        match merges.len() == wanted {
            true => Ok(Self { merges }),
            false => {
                let problem = format!("it has {} merges, the model's {vocabulary} words need {wanted}", merges.len());
                Err(format_error(&problem))
            }
        }
    }

    /// The lines of `text` that [`BytePairs::from_merges`] took, in their order.
    pub fn list<'a>(&self, text: &'a str) -> impl Iterator<Item = &'a str> {
        merge_lines(text).take(self.merges.len()).map(|(_, line)| line)
    }

    /// Rows that a token embedding table needs: bytes, merges and the two marks.
    pub fn vocab_size(&self) -> usize {
        BYTES + self.merges.len() + MARKS
    }

    /// Id of the begin mark, `<|startoftext|>`.
    pub fn begin_id(&self) -> u32 {
        (BYTES + self.merges.len()) as u32
    }

    /// Id of the end mark, `<|endoftext|>`, the highest.
    pub fn end_id(&self) -> u32 {
        self.begin_id() + 1
    }

    /// The text as [`BytePairs::encode`] takes it: cleaned as OpenAI does, in lower case.
    pub fn clean(&self, text: &str) -> String {
        tidy(text)
    }

    /// Encodes a cleaned text to exactly `max_len` ids: begin mark, pieces, end mark, padding. A text that is too long loses its
    /// last pieces, never the end mark. `max_len` is at least 2; less is read as 2.
    pub fn encode(&self, text: &str, max_len: usize) -> Tokens {
        let max_len = max_len.max(2);
        let room = max_len - 1;
        let chars: Vec<char> = text.chars().collect();
        let (mut ids, mut spans) = (vec![self.begin_id()], vec![Range::default()]);
        let mut at = 0;
        // Past `room` nothing can change the result.
        while at < chars.len() && ids.len() < room {
            let Some(end) = piece_end(&chars, at) else {
                at += 1;
                continue;
            };
            for (id, span) in self.join(&chars[at..end], at as u32) {
                ids.push(id);
                spans.push(span);
            }
            at = end;
        }
        ids.truncate(room);
        spans.truncate(room);
        ids.push(self.end_id());
        let real = ids.len();
        ids.resize(max_len, PADDING);
        spans.resize(max_len, 0..0);
        Tokens { ids, mask: (0..max_len).map(|i| i < real).collect(), spans }
    }

    /// The tokens of one piece, whose first character is the text's `first`.
    fn join(&self, piece: &[char], first: u32) -> Vec<(u32, Range<u32>)> {
        let mut chain = Chain::new(piece, first);
        let mut waiting = BinaryHeap::new();
        let offer = |chain: &Chain, at: usize, waiting: &mut BinaryHeap<_>| {
            let pair = chain.pair(at);
            if let Some(made) = pair.and_then(|pair| self.merges.get(&pair)) {
                waiting.push(Reverse((*made, at, pair)));
            }
        };
        (0..chain.links.len()).for_each(|at| offer(&chain, at, &mut waiting));
        while let Some(Reverse((made, at, pair))) = waiting.pop() {
            // A neighbour may have been joined to another in the meantime.
            if chain.pair(at) == pair {
                let before = chain.merge(at, made);
                offer(&chain, at, &mut waiting);
                if let Some(before) = before {
                    offer(&chain, before, &mut waiting);
                }
            }
        }
        chain.links.into_iter().filter(|link| link.alive).map(|link| (link.symbol, link.span)).collect()
    }
}

/// A piece's symbols, each knowing its neighbours.
struct Chain {
    links: Vec<Link>,
}

struct Link {
    symbol: u32,
    /// Characters of the text that it stands for, at least in part.
    span: Range<u32>,
    before: Option<usize>,
    after: Option<usize>,
    alive: bool,
}

impl Chain {
    fn new(piece: &[char], first: u32) -> Self {
        let mut links = Vec::with_capacity(piece.len());
        for (place, c) in (first..).zip(piece) {
            let mut buffer = [0; 4];
            for byte in c.encode_utf8(&mut buffer).bytes() {
                let before = links.len().checked_sub(1);
                let after = Some(links.len() + 1);
                links.push(Link { symbol: byte_id(byte), span: place..place + 1, before, after, alive: true });
            }
        }
        if let Some(last) = links.last_mut() {
            last.symbol += BYTES as u32 / 2;
            last.after = None;
        }
        Self { links }
    }

    /// The symbols of link `at` and of the one after it.
    fn pair(&self, at: usize) -> Option<(u32, u32)> {
        let link = self.links.get(at).filter(|link| link.alive)?;
        Some((link.symbol, self.links.get(link.after?)?.symbol))
    }

    /// Makes link `at` and the one after it the symbol `made`; gives the link before it.
    fn merge(&mut self, at: usize, made: u32) -> Option<usize> {
        let gone = self.links.get(at).and_then(|link| link.after).and_then(|after| self.links.get_mut(after))?;
        gone.alive = false;
        let (end, after) = (gone.span.end, gone.after);
        if let Some(next) = after.and_then(|after| self.links.get_mut(after)) {
            next.before = Some(at);
        }
        let link = self.links.get_mut(at)?;
        link.symbol = made;
        link.span.end = end;
        link.after = after;
        link.before
    }
}

/// The lines that are merges, with their numbers from 0.
fn merge_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim_end).enumerate();
    lines.filter(|(at, line)| !(line.is_empty() || *at == 0 && line.contains("#version")))
}

/// A mark whose capital is a letter. Without regard to case it is neither a letter nor something else, so OpenAI's pattern passes
/// over it.
const IOTA_BELOW: char = '\u{345}';

/// Where the piece ends that begins at `at`; `None` on what no piece has, such as white space. OpenAI's pattern, which has no regard to
/// case (a long s is an s): `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`.
fn piece_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = chars.get(at..)?;
    let run = |kind: fn(char) -> bool| at + rest.iter().take_while(|c| kind(**c)).count();
    match rest {
        ['\'', 's' | 'ſ' | 't' | 'm' | 'd', ..] => Some(at + 2),
        ['\'', 'r' | 'v', 'e', ..] | ['\'', 'l', 'l', ..] => Some(at + 3),
        [c, ..] if is_letter(*c) => Some(run(is_letter)),
        [c, ..] if c.is_numeric() => Some(at + 1),
        [c, ..] if is_passed_over(*c) => None,
        _ => Some(run(|c| !is_passed_over(c) && !c.is_numeric() && !is_letter(c))),
    }
}

/// What parts pieces and belongs to none.
fn is_passed_over(c: char) -> bool {
    c.is_whitespace() || c == IOTA_BELOW
}

/// Unicode's category L.
fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    let c = c as u32;
    let at = LETTERS.partition_point(|&(_, last)| last < c);
    LETTERS.get(at).is_some_and(|&(first, _)| first <= c)
}

/// Whether a byte stands for itself in the list of merges; the others are moved out of the way.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff)
}

/// A byte's id: those that stand for themselves come first.
fn byte_id(byte: u8) -> u32 {
    let before = (0..byte).filter(|other| is_plain(*other) == is_plain(byte)).count();
    let first = if is_plain(byte) { 0 } else { (0..=u8::MAX).filter(|other| is_plain(*other)).count() };
    (first + before) as u32
}

/// The symbols of ids 0 to 511, as the list of merges writes them.
fn byte_symbols() -> impl Iterator<Item = String> {
    let plain = (0..=u8::MAX).filter(|byte| is_plain(*byte)).map(char::from);
    let moved = (0..=u8::MAX).filter(|byte| !is_plain(*byte)).zip(256..).filter_map(|(_, code)| char::from_u32(code));
    let all: Vec<char> = plain.chain(moved).collect();
    let ending = all.clone().into_iter().map(|c| format!("{c}{WORD_END}"));
    all.into_iter().map(String::from).chain(ending)
}

fn format_error(problem: &str) -> ModelError {
    ModelError::Format {
        place: "merges.txt".into(),
        problem: problem.into(),
        mend: "use the model's merges.txt, or OpenAI's bpe_simple_vocab_16e6.txt".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "red", "##e" and their like over a small list.
    fn small() -> BytePairs {
        let merges = "#version: 0.2\nr e\nd </w>\n".replace("d </w>", "re d</w>");
        BytePairs::from_merges(&format!("{merges}Ã ©\nÃ© e</w>\na a\naa aa\n"), 514 + 6).unwrap()
    }

    #[test]
    fn joins_pairs_in_the_order_of_the_list() {
        let words = small();
        assert_eq!((words.vocab_size(), words.begin_id(), words.end_id()), (520, 518, 519));
        let ids = |text: &str| {
            let tokens = words.encode(text, 16);
            tokens.ids[1..tokens.count() - 1].to_vec()
        };
        assert_eq!(ids("red"), [513]);
        assert_eq!(ids("reed"), [512, byte_id(b'e'), byte_id(b'd') + 256]);
        assert_eq!(ids("ée"), [515]);
        assert_eq!(ids("aaaaaaa"), [517, 516, byte_id(b'a') + 256]);
        assert_eq!((byte_id(b'!'), byte_id(b'~'), byte_id(0xff), byte_id(0), byte_id(0xad)), (0, 93, 187, 188, 255));
    }

    #[test]
    fn spans_name_the_characters_behind_a_token() {
        let words = small();
        let text = "red ée 7's, 😀";
        let tokens = words.encode(text, 20);
        let spans: Vec<String> = tokens.spans[1..tokens.count() - 1]
            .iter()
            .map(|span| text.chars().skip(span.start as usize).take(span.len()).collect())
            .collect();
        assert_eq!(spans, ["red", "ée", "7", "'", "s", ",", "😀", "😀", "😀", "😀"]);
        assert!(tokens.spans[tokens.count() - 1..].iter().all(Range::is_empty));
    }

    #[test]
    fn a_text_of_marks_is_plain_characters() {
        let words = small();
        for text in ["<|endoftext|>", "<|startoftext|><|endoftext|>", "<end_of_text>", "<|ENDOFTEXT|>"] {
            let tokens = words.encode(&words.clean(text), 77);
            let inside = &tokens.ids[1..tokens.count() - 1];
            assert!(!inside.is_empty() && inside.iter().all(|id| *id < words.begin_id()), "{text}");
            assert_eq!(tokens.ids[tokens.count() - 1], words.end_id());
        }
    }

    #[test]
    fn a_text_too_long_keeps_its_end_mark() {
        let words = small();
        for length in [0, 2, 3, 77] {
            let tokens = words.encode(&"red ".repeat(100), length);
            assert_eq!(tokens.ids.len(), length.max(2));
            assert_eq!(tokens.ids.last(), Some(&words.end_id()));
            assert!(tokens.mask.iter().all(|real| *real));
        }
        assert_eq!(words.encode("", 5).ids, [518, 519, 0, 0, 0]);
        assert!(words.encode("", 5).is_empty());
    }

    #[test]
    fn long_words_are_quick() {
        let words = small();
        let started = std::time::Instant::now();
        for text in ["a".repeat(20_000), "é".repeat(20_000), "!".repeat(20_000), "😀".repeat(20_000)] {
            assert_eq!(words.encode(&words.clean(&text), 77).ids.len(), 77);
        }
        assert!(started.elapsed().as_millis() < 2000, "{:?}", started.elapsed());
    }

    #[test]
    fn refuses_what_is_no_list_of_merges() {
        for (text, count, named) in [
            ("", 1, "0 merges"),
            ("#version: 0.2\nr e\n", 2, "1 merges"),
            ("#version: 0.2\nre d\n", 1, "line 2"),
            ("#version: 0.2\nr\n", 1, "line 2"),
            ("r e\nr e\n", 2, "line 2"),
            ("{\"a\": 1}", 1, "line 1"),
        ] {
            let message = BytePairs::from_merges(text, 514 + count).unwrap_err().to_string();
            assert!(message.contains(named), "{text:?}: {message}");
        }
        // What stands beyond the vocabulary is not read.
        assert_eq!(BytePairs::from_merges("r e\nnonsense", 515).unwrap().vocab_size(), 515);
        assert_eq!(BytePairs::from_merges("r e\r\n", 515).unwrap().vocab_size(), 515);
    }
}
