//! Modification text on its way to the model: caption cleaning, tokens, batches.

mod byte_pairs;
mod clean;
mod clip_tables;
mod reader;
mod tables;
mod tidy;
mod tokenizer;
mod wordpiece;

pub use byte_pairs::BytePairs;
pub use clean::{clean_caption, max_words};
pub use reader::{MAX_TEXT, TextReader, Word};
pub use tokenizer::{Tokenizer, Tokens};
pub use wordpiece::{MAX_WORD_CHARS, WordPiece};
