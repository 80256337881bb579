//! Worked instances: public photographs of clothes and of groceries.

pub mod clothing;
pub mod grocery;

use std::path::Path;
use thisbut_trainer::error::TrainerError;

/// The error of a folder that is not what an instance reads.
fn not_it(from: &Path, lacks: &str, mend: &str) -> TrainerError {
    TrainerError::data(from.display().to_string(), format!("has no {lacks}"), mend)
}
