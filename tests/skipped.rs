//! Tests that need what is not in the repository: what is left out is told in a line past the capture of the tests' output, so that
//! nobody takes a green run for more than it is. Some crates include this file by its path.

use std::io::Write;
use std::path::PathBuf;

/// Says that a test is left out, and why.
pub fn skipped(why: &str) {
    // The print macros are silenced in tests that pass; a closed stream is no reason to fail.
    drop(writeln!(std::io::stderr(), "SKIPPED: {why}"));
}

/// The folder `name` of published annotation files inside the one that `THISBUT_DATA` names. No such files are brought by
/// `scripts/test`, so without them there is a line and no failure.
#[allow(dead_code, reason = "not every crate reads annotations")]
pub fn published(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("THISBUT_DATA").map(|root| PathBuf::from(root).join(name));
    let found = folder.as_ref().filter(|folder| folder.is_dir());
    if found.is_none() {
        skipped(&format!("set THISBUT_DATA to a folder that holds {name}/, with its published annotation files"));
    }
    found.cloned()
}
