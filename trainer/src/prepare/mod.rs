//! Data sets that this tool can make by itself.

pub mod fluent;
