//! Modification text on its way to the model: caption cleaning, tokens, batches.

mod clean;
mod reader;
mod tables;
mod tokenizer;
mod wordpiece;

pub use clean::{clean_caption, max_words};
pub use reader::{MAX_TEXT, TextReader};
pub use tokenizer::{Tokenizer, Tokens};
pub use wordpiece::{MAX_WORD_CHARS, WordPiece};
