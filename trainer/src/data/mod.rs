//! Data sets: one internal triplet table ([`table::Table`]), and a loader for each published layout.

pub mod cirr;
pub mod derive;
pub mod described;
pub mod json_rows;
pub mod table;

pub use table::{Complaint, ImageEntry, LoadOptions, Split, Table, Triplet};
