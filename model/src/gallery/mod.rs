//! The searchable gallery: int8 target tokens in chunks, what is shown with each image, exact scan and top-k.

mod extra;
mod facets;
mod format;
mod meta;
mod order;
mod reference;
mod scan;

pub use extra::{Extra, MAX_EXTRA, MAX_EXTRA_BYTES, MAX_EXTRA_NAME, MAX_EXTRA_VALUE};
pub use facets::{facets, having};
pub use format::{Chunk, HEADER_BYTES, MAGIC, MAX_CHUNK_IMAGES, MAX_DIMENSION, VERSION, chunk_bytes, encode_chunk};
pub use meta::{ImageMeta, MAX_CHANGE_BYTES, MAX_CHANGES, MAX_METADATA_BYTES, called, encode_metadata, parse_metadata};
pub(crate) use meta::{is_change, is_thumb};
pub use order::varied;
pub use reference::{encode_reference, largest_reference, parse_reference, reference_bytes};
pub use scan::{Gallery, Hit};
pub use thisbut_kernels::scan::Query;
