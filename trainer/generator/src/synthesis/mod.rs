//! From unlabelled images to triplets: a caption for each image, and a modification text from two captions.
//!
//! One pipeline for the data of HyCIR (SynCir), ConText-CIR (good4cir) and FashionBLIP-2 (FACap): they differ in their
//! [prompts] alone. Every answer is in the [journal] before anything is made of it, so a run that was killed asks nothing
//! twice; the files are made from the journal at the end.

mod answer_json;
pub mod clean;
pub mod describe;
pub mod differences;
mod joined;
pub mod journal;
pub mod layout;
mod objects;
pub mod output;
pub mod prompts;
pub mod rewrite;
pub mod tries;
pub mod work;

use std::collections::BTreeMap;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::sheet::Sheet;

/// What a CSV says of images: its columns by the image's name.
pub type About = BTreeMap<String, BTreeMap<String, String>>;

/// Columns that may name the image.
const IMAGE: [&str; 3] = ["image", "file", "name"];

/// Reads a CSV whose column `image` (or `file`, `name`) names an image; empty fields are left out.
///
/// # Errors
/// When the file cannot be read or has no such column, with the line where a row has another length than the header.
pub fn about(path: &Path) -> Result<About> {
    let sheet = Sheet::read(path)?;
    let Some(image) = sheet.column(&IMAGE) else {
        let problem = format!("there is no column 'image' (columns: {})", sheet.columns());
        return Err(TrainerError::data(format!("{}, line 1", path.display()), problem, "name the column image"));
    };
    let mut found = About::new();
    for (line, row) in &sheet.rows {
        sheet.check_length(&format!("{}, line {line}", path.display()), row)?;
        let fields = sheet.headers.iter().zip(row.iter()).enumerate();
        let fields = fields.filter(|(at, (_, value))| *at != image && !value.is_empty());
        let fields = fields.map(|(_, (name, value))| (name.to_lowercase(), value.to_owned())).collect();
        found.insert(row.get(image).unwrap_or_default().to_owned(), fields);
    }
    Ok(found)
}
