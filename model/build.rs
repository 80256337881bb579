//! Lists the presets, so that a file in `configs/` is one.

mod listed;

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    listed::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("configs"), "json", "presets.rs")
}
