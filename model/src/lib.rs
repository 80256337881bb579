//! The model of composed image retrieval, from bytes to ranking: architectures, preprocessing, similarity,
//! quantized weights, gallery search and the query engine. It knows no files, networks, threads or browsers.
//!
//! Dimension letters, the same everywhere: `B` batch, `N` query tokens, `T` image tokens, `L` text tokens,
//! `C` image token width, `D` Q-Former width, `P` projection width, `H` heads.

// What needs it is in `thisbut-kernels`.
#![forbid(unsafe_code)]

pub mod ask;
pub mod bundle;
pub mod config;
pub mod engine;
pub mod error;
pub mod gallery;
pub mod image;
pub mod method;
pub mod nn;
pub mod number;
pub mod own;
pub mod quant;
pub mod retrieval;
pub mod text;
pub mod upstream;
pub mod weights;
pub mod why;

pub use config::RetrievalConfig;
pub use error::{ModelError, Result};
pub use retrieval::Retrieval;
