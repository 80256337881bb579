//! The thisbut trainer as a library: everything that the command line calls.

pub mod data;
pub mod error;
pub mod fsx;
pub mod images;
pub mod metrics;
