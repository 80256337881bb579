//! Modification text on its way to the model: caption cleaning, tokens, batches.

mod clean;
mod reader;
mod tables;
mod tokenizer;
mod wordpiece;

pub use clean::{MAX_WORDS, clean_caption};
pub use reader::{MAX_TEXT, TextReader};
pub use tokenizer::{Tokenizer, Tokens};
pub use wordpiece::{MAX_WORD_CHARS, WordPiece};
