//! Clothes: the public clothing-dataset-small, folders `train`, `validation` and `test` with one folder a class.

use super::not_it;
use crate::source::{Reading, Source, read, split_named};
use crate::words::Words;
use std::path::Path;
use thisbut_trainer::error::Result;

/// Where the photographs come from.
pub const ORIGIN: &str = "https://github.com/alexeygrigorev/clothing-dataset-small";

/// What a class is called.
const CALLED: [(&str, &str); 2] = [("longsleeve", "long-sleeved top"), ("outwear", "outerwear")];

/// Reads the folder `from`; what lies in `out` is passed over.
///
/// # Errors
/// When the folder lacks the classes of the collection.
pub fn read_from(from: &Path, out: &Path, words: &Words) -> Result<Source> {
    let mend = format!("give the folder of {ORIGIN} that holds train, validation and test");
    let splits = std::fs::read_dir(from).into_iter().flatten().flatten();
    let found =
        splits.filter(|entry| entry.path().is_dir() && entry.file_name().to_str().and_then(split_named).is_some());
    if found.count() == 0 {
        return Err(not_it(from, "folder train, validation or test", &mend));
    }
    let reading = Reading {
        folder: from.to_owned(),
        attributes: vec!["category".to_owned()],
        out: out.to_owned(),
        ..Reading::default()
    };
    let mut source = read(&reading, words)?;
    for value in source.pictures.iter_mut().flat_map(|picture| picture.values.iter_mut().flatten()) {
        if let Some((_, called)) = CALLED.iter().find(|(class, _)| class == value) {
            *value = (*called).to_owned();
        }
    }
    Ok(source)
}
