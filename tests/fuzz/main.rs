//! libFuzzer's program: `THISBUT_FUZZ` names the target. `tests/fuzz/run` builds and starts it.
#![no_main]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a target fails by panicking")]

#[path = "lib.rs"]
mod targets;

use std::sync::OnceLock;

#[global_allocator]
static MEMORY: targets::Bounded = targets::Bounded;

static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();

/// The target that the environment names.
fn named() -> fn(&[u8]) {
    let name = std::env::var("THISBUT_FUZZ").expect("THISBUT_FUZZ names a target");
    let found = targets::ALL.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("THISBUT_FUZZ={name} is none of {:?}", targets::ALL.map(|(known, _)| known))).1
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET.get_or_init(named)(bytes));
