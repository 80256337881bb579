//! Helpers shared by the cross-crate tests.

pub mod fixed;
pub mod memory;
pub mod skipped;
pub mod small_qformer;
pub mod small_training;
pub mod upstream;
