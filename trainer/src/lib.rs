//! The thisbut trainer as a library: everything that the command line calls.

pub mod data;
pub mod device;
pub mod embed;
pub mod error;
pub mod features;
pub mod fsx;
pub mod images;
pub mod import;
pub mod metrics;
pub mod prepare;
pub mod train;
