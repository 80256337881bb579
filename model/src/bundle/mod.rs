//! A bundle: `bundle.json` and the content-hashed files that it promises. `docs/reference/formats.md` describes both.

mod closeness;
mod files;
mod manifest;
mod opening;
mod self_test;

pub use closeness::{Best, Closeness};
pub use files::{FileEntry, hashed_name, sha256_hex};
pub use manifest::{
    FORMAT, Form, GalleryChunk, GalleryEntry, MAX_BYTES, MAX_UNDERSTANDS, MAX_VOCABULARY_BYTES, Manifest,
    MetadataChunk, VERSION, VocabularyEntry, WeightsEntry,
};
pub use opening::{Example, Match, Opening, Shown};
pub use self_test::{SELF_TEST_SIDE, SelfTest, self_test_image, self_test_tokens};
