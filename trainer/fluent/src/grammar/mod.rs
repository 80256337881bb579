//! Modification texts: a grammar with many phrasings for each kind of change.

mod looks;
pub mod people;
mod role_table;
pub mod roles;
pub mod signs;
pub mod things;

pub use thisbut_catalogue::frames::{Deictic, Form, article, bare, framed, pick};
pub use thisbut_catalogue::surface;
