//! The tokenizers that a model may have, behind one type.

use super::{BytePairs, WordPiece, clean_caption};
use crate::config::TextConfig;
use crate::error::{ModelError, Result};
use std::ops::Range;

/// The tokens of one text; three lists of the length that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// `[L]`: the begin mark, the text, the end mark, padding.
    pub ids: Vec<u32>,
    /// `[L]`: true where `ids` is a real token, false on padding.
    pub mask: Vec<bool>,
    /// `[L]`: the characters of the cleaned text that a token stands for; empty for marks and padding.
    pub spans: Vec<Range<u32>>,
}

impl Tokens {
    /// Tokens of the text with its marks, without padding.
    pub fn count(&self) -> usize {
        self.mask.iter().filter(|real| **real).count()
    }

    /// The ids between the marks.
    pub fn words(&self) -> &[u32] {
        self.ids.get(1..self.count().saturating_sub(1)).unwrap_or_default()
    }

    /// The begin mark and the end mark.
    ///
    /// # Panics
    /// When there are no tokens: a tokenizer gives two at least.
    pub fn marks(&self) -> (u32, u32) {
        let at = |place: Option<usize>| place.and_then(|place| self.ids.get(place)).copied();
        match (at(Some(0)), at(self.count().checked_sub(1))) {
            (Some(begin), Some(end)) => (begin, end),
            _ => panic!("a text without marks"),
        }
    }

    /// Whether there is nothing between the marks.
    pub fn is_empty(&self) -> bool {
        self.count() <= 2
    }
}

/// A tokenizer with its vocabulary.
#[derive(Debug, Clone)]
pub enum Tokenizer {
    /// BERT-uncased WordPiece, for [`TextConfig::WordPiece`].
    WordPiece(WordPiece),
    /// CLIP's byte pairs, for [`TextConfig::Bpe`].
    Bpe(BytePairs),
}

impl Tokenizer {
    /// The tokenizer that `config` names, from its vocabulary file's text.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file is not one of that tokenizer, or has more entries than the model has word
    /// embeddings.
    pub fn new(config: &TextConfig, vocabulary: &str) -> Result<Self> {
        let tokenizer = match config {
            TextConfig::WordPiece { .. } => Self::WordPiece(WordPiece::from_vocab(vocabulary)?),
            TextConfig::Bpe { vocabulary: words, .. } => Self::Bpe(BytePairs::from_merges(vocabulary, *words)?),
        };
        match tokenizer.vocab_size() <= config.vocabulary() {
            true => Ok(tokenizer),
            false => Err(ModelError::Format {
                place: config.vocabulary_file().into(),
                problem: format!("it has {} words, the model knows {}", tokenizer.vocab_size(), config.vocabulary()),
                mend: "use the vocabulary that the model was trained with".into(),
            }),
        }
    }

    /// Rows that a word embedding table needs: the highest id plus one.
    pub fn vocab_size(&self) -> usize {
        match self {
            Self::WordPiece(words) => words.vocab_size(),
            Self::Bpe(words) => words.vocab_size(),
        }
    }

    /// The text as the tokenizer's training texts were written, cut to the words that `length` tokens may hold.
    pub fn clean(&self, text: &str, length: usize) -> String {
        match self {
            Self::WordPiece(_) => clean_caption(text, length),
            Self::Bpe(words) => words.clean(text),
        }
    }

    /// Encodes a cleaned text to exactly `length` tokens; a longer one loses its last tokens, never the end mark.
    pub fn encode(&self, text: &str, length: usize) -> Tokens {
        match self {
            Self::WordPiece(words) => words.encode(text, length),
            Self::Bpe(words) => words.encode(text, length),
        }
    }
}
