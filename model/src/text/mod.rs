//! Modification text on its way to the model: caption cleaning, then BERT-uncased WordPiece.

mod clean;
mod tables;
mod wordpiece;

pub use clean::{MAX_WORDS, clean_caption};
pub use wordpiece::{Encoded, MAX_WORD_CHARS, WordPiece};
