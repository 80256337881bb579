//! Lists the recipes, so that a file in `recipes/` is one.

#[path = "../model/listed.rs"]
mod listed;

use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    listed::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes"), "toml", "recipes.rs")
}
