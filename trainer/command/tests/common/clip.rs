//! The small CLIP of `tests/golden/clip`.

use std::path::{Path, PathBuf};

/// Its configuration.
pub const CONFIG: &str = include_str!("../../../../tests/golden/clip/small-clip.json");

/// A published form of it, or a file of one.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/clip").join(name)
}
