//! Pairs that get texts, as files have them: one `{"reference", "target"}` a line.

use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;
use thisbut_trainer::data::Complaint;
use thisbut_trainer::data::json_rows;
use thisbut_trainer::error::Result;

/// A pair that gets texts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct Asked {
    /// The reference's name.
    pub reference: String,
    /// The target's name.
    pub target: String,
}

/// The pairs of a file, each once, and what is wrong with its other rows. `lacks` says what is missing for an image.
///
/// # Errors
/// When the file cannot be read.
pub fn read(path: &Path, lacks: &dyn Fn(&str) -> Option<String>) -> Result<(Vec<Asked>, Vec<Complaint>)> {
    let (mut pairs, mut complaints, mut known) = (Vec::new(), Vec::new(), HashSet::new());
    for (at, row) in json_rows::lines::<Asked>(path)? {
        let problem = match row {
            Err(problem) => problem,
            Ok(asked) => {
                let lacking = [&asked.reference, &asked.target].into_iter().find_map(|name| lacks(name));
                match lacking {
                    Some(problem) => problem,
                    None if asked.reference == asked.target || !known.insert(asked.clone()) => {
                        "the pair is a repeat or one image twice".to_owned()
                    }
                    None => {
                        pairs.push(asked);
                        continue;
                    }
                }
            }
        };
        complaints.push(Complaint::left_out(path, at, problem));
    }
    Ok((pairs, complaints))
}
