//! How a text becomes token ids.

use super::budget::MAX_TEXT_TOKENS;
use super::{check_count, check_counts};
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The tokenizer and its measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TextConfig {
    /// BERT-uncased WordPiece over a `vocab.txt`, after LAVIS's caption cleaning.
    WordPiece {
        /// Rows of the word embedding table, at least the vocabulary's lines.
        vocabulary: usize,
        /// L, tokens with `[CLS]` and `[SEP]`; longer texts are cut.
        length: usize,
    },
    /// CLIP's lower-cased byte pairs over a list of merges.
    #[serde(rename = "clip-bpe")]
    Bpe {
        /// Rows of the word embedding table: 512 bytes, the merges and two marks. CLIP: 49,408.
        vocabulary: usize,
        /// L, tokens with the begin and the end mark; longer texts are cut. CLIP: 77.
        length: usize,
    },
}

impl TextConfig {
    /// L, the tokens of a text with its marks; longer texts are cut.
    pub fn length(&self) -> usize {
        match self {
            Self::WordPiece { length, .. } | Self::Bpe { length, .. } => *length,
        }
    }

    /// Rows of the word embedding table.
    pub fn vocabulary(&self) -> usize {
        match self {
            Self::WordPiece { vocabulary, .. } | Self::Bpe { vocabulary, .. } => *vocabulary,
        }
    }

    /// The name of the tokenizer's file in a folder of weights.
    pub fn vocabulary_file(&self) -> &'static str {
        match self {
            Self::WordPiece { .. } => "vocab.txt",
            Self::Bpe { .. } => "merges.txt",
        }
    }

    pub(super) fn check(&self, place: &str) -> Result<()> {
        check_counts(place, &[("text.vocabulary", self.vocabulary())])?;
        check_count(place, "text.length", self.length(), MAX_TEXT_TOKENS)?;
        match self {
            Self::Bpe { vocabulary, .. } if *vocabulary < 515 => {
                let problem = format!("{vocabulary} words are not 512 bytes, a merge at least and two marks");
                return super::wrong(place, "text.vocabulary", problem);
            }
            _ => {}
        }
        match self.length() {
            1 => super::wrong(place, "text.length", "1 token holds no text between its marks".into()),
            _ => Ok(()),
        }
    }
}
