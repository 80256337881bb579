//! From a text to a batch that the model reads: the one place where a text is cut, cleaned, encoded and padded.

use super::{Tokenizer, Tokens};
use crate::bundle::sha256_hex;
use crate::config::{Prompt, RetrievalConfig};
use crate::error::{ModelError, Result};
use crate::nn::TextBatch;
use burn::tensor::Device;
use std::ops::Range;

/// Longest text that is looked at, in characters; more than any text that fits the text tokens.
pub const MAX_TEXT: usize = 2_000;

/// A tokenizer with the form in which a model's method reads texts.
#[derive(Clone, Debug)]
pub struct TextReader {
    tokenizer: Tokenizer,
    length: usize,
    reads_padding: bool,
    prompt: Option<Prompted>,
    fingerprint: String,
}

/// A word of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As the model reads it.
    pub text: String,
    /// Its characters in the cleaned text.
    pub span: Range<u32>,
    /// Its tokens.
    pub tokens: Range<usize>,
}

/// A text in pieces: whether they are blank, and what they are.
fn runs(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let blank = rest.chars().next()?.is_whitespace();
        let end = rest.find(|c: char| c.is_whitespace() != blank).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        Some((blank, run))
    })
}

/// The tokens of a cleaned text that stand for a cleaned phrase.
fn place(text: &str, tokens: &Tokens, phrase: &str) -> Option<Range<usize>> {
    let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let whole = |at: &usize| {
        let (before, after) = (text.get(..*at), text.get(at + phrase.len()..));
        !inside(before.and_then(|text| text.chars().next_back())) && !inside(after.and_then(|text| text.chars().next()))
    };
    let at = text.match_indices(phrase).map(|(at, _)| at).find(|at| !phrase.is_empty() && whole(at))?;
    let start = text.get(..at)?.chars().count() as u32;
    let end = start + phrase.chars().count() as u32;
    let touched = |span: &Range<u32>| span.start < end && span.end > start;
    let first = tokens.spans.iter().position(touched)?;
    let last = tokens.spans.iter().rposition(touched)?;
    (tokens.spans.get(last)?.end >= end).then_some(first..last + 1)
}

/// What stands around a text that comes with an image, in tokens without marks.
#[derive(Clone, Debug)]
struct Prompted {
    before: Vec<u32>,
    slots: usize,
    /// Between the slots and a text that has words.
    comma: Vec<u32>,
}

impl TextReader {
    /// The reader of `config`, from its vocabulary file's text.
    ///
    /// # Errors
    /// As [`Tokenizer::new`], and when the method's prompt leaves no room for a text.
    pub fn new(config: &RetrievalConfig, vocabulary: &str) -> Result<Self> {
        let tokenizer = Tokenizer::new(&config.text, vocabulary)?;
        let reads_padding = config.method.family().reads_padding();
        let fingerprint = sha256_hex(vocabulary.as_bytes());
        let mut reader = Self { tokenizer, length: config.text.length(), reads_padding, prompt: None, fingerprint };
        reader.prompt = config.method.family().prompt().map(|prompt| reader.prompted(&prompt)).transpose()?;
        Ok(reader)
    }

    fn prompted(&self, prompt: &Prompt) -> Result<Prompted> {
        let [before, comma] = [prompt.before.as_str(), ","].map(|text| self.tokens(text).words().to_vec());
        let prompted = Prompted { before, slots: prompt.slots, comma };
        // Two marks, and at least one token of the text.
        let taken = prompted.before.len() + prompted.slots + prompted.comma.len() + 3;
        match taken <= self.length {
            true => Ok(prompted),
            false => Err(ModelError::Config {
                place: "text.length".into(),
                problem: format!(
                    "{} tokens hold no text beside \"{}\" and {} pseudo-words",
                    self.length, prompt.before, prompt.slots
                ),
                mend: "give fewer pseudo-words, or a shorter prompt".into(),
            }),
        }
    }

    /// SHA-256 of the vocabulary file's text.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// A text's tokens, L of them.
    pub fn tokens(&self, text: &str) -> Tokens {
        self.tokenizer.encode(&self.clean(text), self.length)
    }

    /// The text as its tokens' spans count its characters.
    fn clean(&self, text: &str) -> String {
        let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
        let (begin, _) = text.split_at(end);
        self.tokenizer.clean(begin, self.length)
    }

    /// Where each of `phrases` stands among the tokens of `text`: at the first place where its characters are whole words of the
    /// text; none where they are nowhere, or where there was no room for all of their tokens.
    pub fn places<P: AsRef<str>>(&self, text: &str, phrases: &[P]) -> Vec<Option<Range<usize>>> {
        let text = self.clean(text);
        let tokens = self.tokenizer.encode(&text, self.length);
        phrases.iter().map(|phrase| place(&text, &tokens, &self.clean(phrase.as_ref()))).collect()
    }

    /// The words of `text` that the model has tokens of, in order, as it reads them.
    pub fn words(&self, text: &str) -> Vec<Word> {
        let text = self.clean(text);
        let tokens = self.tokenizer.encode(&text, self.length);
        let (mut words, mut start) = (Vec::new(), 0);
        for (blank, run) in runs(&text) {
            let span = start..start + run.chars().count() as u32;
            start = span.end;
            let touched = |token: &Range<u32>| token.start < span.end && token.end > span.start;
            let (first, last) = (tokens.spans.iter().position(touched), tokens.spans.iter().rposition(touched));
            if let (Some(first), Some(last), false) = (first, last, blank) {
                words.push(Word { text: run.to_owned(), span, tokens: first..last + 1 });
            }
        }
        words
    }

    /// Whether the model reads less than all of a text, which may stand beside an image: there is no room for its last tokens.
    pub fn cuts(&self, text: &str, beside_image: bool) -> bool {
        let prompt = self.prompt.as_ref().filter(|_| beside_image);
        let taken = prompt.map_or(0, |prompt| prompt.before.len() + prompt.slots + prompt.comma.len());
        let room = self.length.saturating_sub(taken);
        // One more than there is room for is enough to know.
        let tokens = self.tokenizer.encode(&self.tokenizer.clean(text, room + 1), room + 1);
        text.chars().nth(MAX_TEXT).is_some() || tokens.count() > room
    }

    /// A batch of texts on `device`: cut to its longest text, or L long for a method that reads padding.
    pub fn batch<'a>(&self, texts: impl IntoIterator<Item = &'a Tokens>, device: &Device) -> TextBatch {
        let rows: Vec<_> = texts.into_iter().map(|tokens| (tokens.ids.clone(), tokens.mask.clone())).collect();
        match self.reads_padding {
            true => TextBatch::padded(&rows, self.length, device),
            false => TextBatch::new(&rows, device),
        }
    }

    /// As [`TextReader::batch`], of texts that come with images: with the method's prompt around them, "a photo of [$ $], text".
    /// A text without words has no comma. A row that is too long loses its last tokens, never the end mark.
    pub fn composed_batch<'a>(&self, texts: impl IntoIterator<Item = &'a Tokens>, device: &Device) -> TextBatch {
        let Some(prompt) = &self.prompt else { return self.batch(texts, device) };
        let row = |tokens: &Tokens| {
            let (begin, end) = tokens.marks();
            let mut ids = vec![begin];
            ids.extend(&prompt.before);
            ids.extend(std::iter::repeat_n(0, prompt.slots));
            if !tokens.is_empty() {
                ids.extend(&prompt.comma);
                ids.extend(tokens.words());
            }
            ids.truncate(self.length - 1);
            ids.push(end);
            let mask = vec![true; ids.len()];
            (ids, mask)
        };
        let rows: Vec<_> = texts.into_iter().map(row).collect();
        let start = 1 + prompt.before.len();
        TextBatch { slots: Some(start..start + prompt.slots), ..TextBatch::new(&rows, device) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nred\ndog\n##gy\n,\nwith\nsleeves\nlong\n##er\n'\ns\ncar\n##red";

    #[test]
    fn a_phrase_is_found_by_its_characters() {
        let config = RetrievalConfig::preset("tiny-dual").unwrap();
        let reader = TextReader::new(&config, WORDS).unwrap();
        let text = "A carred doggy, red DOG with longer sleeves. A red dog's sleeves";
        // [CLS] a car ##red dog ##gy , red dog with long ##er sleeves a red [SEP]: sixteen tokens, the rest is cut.
        let of = |phrase: &str| reader.places(text, &[phrase]).swap_remove(0);
        assert_eq!(of("doggy"), Some(4..6));
        assert_eq!(of("Red dog"), Some(7..9), "whole words, whatever their case");
        assert_eq!(of("longer sleeves."), Some(10..13));
        assert_eq!(of("red"), Some(7..8), "not in the middle of a word");
        assert_eq!(of("a red"), Some(13..15));
        for phrase in ["a red dog", "the dog", "", " . ", "dog's sleeves", &"red ".repeat(900)] {
            assert_eq!(of(phrase), None, "{phrase}");
        }
        let words = reader.words("  Red  doggy, with longer\tsleeves");
        let found: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.tokens.clone())).collect();
        assert_eq!(found, [("red", 1..2), ("doggy,", 2..5), ("with", 5..6), ("longer", 6..8), ("sleeves", 8..9)]);
        assert_eq!(words[1].span, 4..10, "in the cleaned text");
        assert_eq!(reader.words(text).len(), 12, "a word without room for a token is none");
        assert!(reader.words(" . ").is_empty());
        assert_eq!(reader.places("", &["red"]), [None]);
        let nothing: Vec<Option<Range<usize>>> = reader.places::<&str>(text, &[]);
        assert!(nothing.is_empty());
    }
}
