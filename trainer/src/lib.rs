//! The thisbut trainer as a library: everything that the command line calls.

pub mod baselines;
pub mod bundle_io;
pub mod compress;
pub mod data;
pub mod device;
pub mod embed;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod features;
pub mod fsx;
pub mod images;
pub mod import;
pub mod index;
pub mod metrics;
pub mod page;
pub mod pairs;
pub mod partial;
pub mod plot;
pub mod prepare;
pub mod query;
pub mod report;
pub mod submission;
pub mod train;
pub mod wait;
pub mod weights_fetch;
