//! The searchable gallery: int8 target tokens in chunks, what is shown with each image, exact scan and top-k.

mod format;
mod meta;
mod reference;
mod scan;

pub use format::{Chunk, HEADER_BYTES, MAGIC, MAX_CHUNK_IMAGES, VERSION, encode_chunk};
pub use meta::{ImageMeta, encode_metadata, parse_metadata};
pub use reference::{encode_reference, parse_reference, reference_bytes};
pub use scan::{Gallery, Hit};
pub use thisbut_kernels::scan::Query;
