//! The decoder's tokenizer: byte-pair encoding, byte by byte as GPT-2's and SmolLM's or with SentencePiece's pieces as Llama's
//! and Vicuna's, and the ChatML template.

mod files;
mod json;
mod library;
mod sentencepiece;

pub use files::end_of;
pub use sentencepiece::{Kind, Piece, Prefix};

use library::Library;
use sentencepiece::Pieces;
use thisbut_model::error::{ModelError, Result};

/// A tokenizer.
pub struct Bpe {
    words: Words,
    /// Begins a text, where the model wants that.
    begin: Option<u32>,
    end: u32,
    template: Option<String>,
}

/// What cuts texts and puts them together.
enum Words {
    /// An order of merges, by the crate `tokenizers`.
    Library(Box<Library>),
    /// Scores of pieces, by our own code.
    Scores(Box<Pieces>),
}

impl Words {
    fn scores(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        Pieces::new(pieces, prefix).map(|pieces| Self::Scores(Box::new(pieces)))
    }
}

impl Bpe {
    fn new(words: Words) -> Self {
        Self { words, begin: None, end: 0, template: None }
    }

    /// A SentencePiece model of the kind BPE. Pieces are put together in the order of their scores.
    ///
    /// # Errors
    /// A sentence, when a character of a text could be lost, two pieces are one, or a piece is too long to be one.
    pub fn from_pieces(pieces: &[Piece], prefix: Prefix) -> Result<Self, String> {
        Words::scores(pieces, prefix).map(Self::new)
    }

    /// Sets the tokens that begin a text, where the model wants one, and end an answer.
    ///
    /// # Errors
    /// A sentence that names the one that does not exist.
    pub fn with_ends(mut self, begin: Option<u32>, end: u32) -> Result<Self, String> {
        let count = self.len();
        for id in [Some(end), begin].into_iter().flatten() {
            if id as usize >= count {
                return Err(format!("token {id} is beyond its {count} tokens"));
            }
        }
        (self.begin, self.end) = (begin, end);
        Ok(self)
    }

    /// Sets the chat template.
    #[must_use]
    pub fn with_template(self, template: Option<String>) -> Self {
        Self { template, ..self }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        match &self.words {
            Words::Library(library) => library.len(),
            Words::Scores(pieces) => pieces.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The token that ends an answer.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The token that begins a text, where the model wants one.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The tokens of `text`, in which nothing is a control token.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the tokenizer has no token for a character.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens(text, false)
    }

    /// The tokens of `text`, control tokens read as such.
    ///
    /// # Errors
    /// As [`Bpe::encode`].
    pub fn encode_with_control(&self, text: &str) -> Result<Vec<u32>> {
        self.tokens(text, true)
    }

    fn tokens(&self, text: &str, control: bool) -> Result<Vec<u32>> {
        match &self.words {
            Words::Library(library) => library.encode(text, control).map_err(failed),
            Words::Scores(pieces) => Ok(pieces.encode(text, control)),
        }
    }

    /// The text of `ids`; control tokens are left out, bytes that are no UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the tokenizer fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        match &self.words {
            Words::Library(library) => library.decode(ids).map_err(failed),
            Words::Scores(pieces) => Ok(pieces.decode(ids)),
        }
    }

    /// A conversation in the model's own template: roles (`system`, `user`, `assistant`) and what they say. With `answer`
    /// it ends where the assistant speaks. A conversation that does not begin with the system gets the template's own line.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the model has no ChatML template.
    pub fn chat(&self, messages: &[(&str, &str)], answer: bool) -> Result<String> {
        const START: &str = "<|im_start|>";
        const END: &str = "<|im_end|>";
        let template = self.template.as_deref().filter(|t| t.contains(START) && t.contains(END));
        let template = template.ok_or_else(|| ModelError::Config {
            place: "the language model's chat template".into(),
            problem: "there is none, or it is not ChatML".into(),
            mend: "use the plain prompt".into(),
        })?;
        let mut out = String::new();
        if messages.first().is_none_or(|(role, _)| *role != "system")
            && let Some((_, after)) = template.split_once("<|im_start|>system\n")
            && let Some((line, _)) = after.split_once(END)
        {
            out.push_str(&format!("{START}system\n{line}{END}\n"));
        }
        for (role, text) in messages {
            out.push_str(&format!("{START}{role}\n{text}{END}\n"));
        }
        if answer {
            out.push_str(&format!("{START}assistant\n"));
        }
        Ok(out)
    }
}

/// What the tokenizer cannot do with a text.
fn failed(problem: String) -> ModelError {
    ModelError::Format {
        place: "the language model's tokenizer".into(),
        problem,
        mend: "give a language model whose tokenizer has every character".into(),
    }
}

/// The two tokens that a merge names in one text, `rank` being its place.
fn two_tokens(text: &str, rank: usize) -> Result<(&str, &str), String> {
    let pair = text.split_once(' ').filter(|(_, second)| !second.contains(' '));
    pair.ok_or_else(|| format!("merge {rank} of its tokenizer is not two tokens with a space between"))
}

#[cfg(test)]
mod tests;
