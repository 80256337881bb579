//! The thisbut trainer as a library: everything that the command line calls.

pub mod allocator;
pub mod average;
pub mod baselines;
pub mod bundle_io;
pub mod card;
pub mod compare;
pub mod compress;
pub mod data;
pub mod device;
pub mod embed;
pub mod error;
pub mod evaluate;
pub mod export;
pub mod features;
pub mod fetch;
pub mod footprint;
pub mod formats;
pub mod fsx;
pub mod images;
pub mod import;
pub mod index;
pub mod inspect;
pub mod listed;
pub mod lock;
pub mod metrics;
pub mod page;
pub mod pairs;
pub mod partial;
pub mod parts;
pub mod phrases;
pub mod plot;
pub mod process;
pub mod publish;
pub mod query;
pub mod ranges;
pub mod report;
pub mod retriever;
pub mod sentences;
pub mod serve;
pub mod sheet;
pub mod stored;
pub mod submission;
pub mod suggest;
pub mod teacher;
pub mod tensor_file;
pub mod terminal;
pub mod train;
pub mod unpacked;
pub mod weights_fetch;
pub mod why;

#[cfg(test)]
#[path = "../../tests/skipped.rs"]
mod skipped;
