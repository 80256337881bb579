//! The modification-text generator of MTST: a Llama-architecture decoder, its tokenizer and files, decoding, and the
//! Q-Former head that turns two images into what the decoder reads.
//!
//! Letters besides the crate's own: `W` width of the decoder, `V` its vocabulary, `n` new positions, `m` positions that are
//! looked at.

pub mod adapters;
mod beam;
mod blocks;
pub mod config;
pub mod decode;
pub mod gguf;
pub mod llama;
pub mod mtst;
pub mod names;
#[cfg(feature = "flex")]
pub mod quantized;
pub mod tokenizer;

pub use adapters::{Adapted, Adapters};
pub use config::LlamaConfig;
pub use decode::{Decoder, Decoding, Start, Strategy, generate};
pub use gguf::Gguf;
pub use llama::{Cache, Llama};
pub use mtst::{Mtst, MtstConfig, MtstForm};
#[cfg(feature = "flex")]
pub use quantized::{FrozenBlock, QuantizedLlama};
pub use tokenizer::Bpe;
