//! From a text to a batch that the model reads: the one place where a text is cut, cleaned, encoded and padded.

use super::{Tokenizer, Tokens};
use crate::bundle::sha256_hex;
use crate::config::RetrievalConfig;
use crate::error::Result;
use crate::nn::TextBatch;
use burn::tensor::Device;

/// Longest text that is looked at, in characters; more than any text that fits the text tokens.
pub const MAX_TEXT: usize = 2_000;

/// A tokenizer with the form in which a model's method reads texts.
#[derive(Clone, Debug)]
pub struct TextReader {
    tokenizer: Tokenizer,
    length: usize,
    reads_padding: bool,
    fingerprint: String,
}

impl TextReader {
    /// The reader of `config`, from its vocabulary file's text.
    ///
    /// # Errors
    /// As [`Tokenizer::new`].
    pub fn new(config: &RetrievalConfig, vocabulary: &str) -> Result<Self> {
        let tokenizer = Tokenizer::new(&config.text, vocabulary)?;
        let reads_padding = config.method.family().reads_padding();
        let fingerprint = sha256_hex(vocabulary.as_bytes());
        Ok(Self { tokenizer, length: config.text.length(), reads_padding, fingerprint })
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
        let end = text.char_indices().nth(MAX_TEXT).map_or(text.len(), |(at, _)| at);
        let (begin, _) = text.split_at(end);
        self.tokenizer.encode(&self.tokenizer.clean(begin, self.length), self.length)
    }

    /// A batch of texts on `device`: cut to its longest text, or L long for a method that reads padding.
    pub fn batch<'a>(&self, texts: impl IntoIterator<Item = &'a Tokens>, device: &Device) -> TextBatch {
        let rows: Vec<_> = texts.into_iter().map(|tokens| (tokens.ids.clone(), tokens.mask.clone())).collect();
        match self.reads_padding {
            true => TextBatch::padded(&rows, self.length, device),
            false => TextBatch::new(&rows, device),
        }
    }
}
