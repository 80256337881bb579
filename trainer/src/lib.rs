//! The thisbut trainer as a library: everything that the command line calls.

pub mod error;
pub mod fsx;
