//! The language model's runtime: a Llama-architecture decoder, its tokenizer and files, and decoding.
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
pub mod names;
pub mod quantized;
pub mod tokenizer;

pub use adapters::{Adapted, Adapters};
pub use config::LlamaConfig;
pub use decode::{Decoder, Decoding, Start, Strategy, generate};
pub use gguf::Gguf;
pub use llama::{Cache, Llama};
pub use quantized::{FrozenBlock, QuantizedLlama};
pub use tokenizer::Bpe;
