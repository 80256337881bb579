//! Small pictures inside the page: each image once, as a style class that any number of boxes can wear.

use crate::images::inline::{base64, jpeg};
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::PathBuf;

/// Longest side in pixels of pictures that are looked over by the dozen.
const SIDE: u32 = 144;
const QUALITY: u8 = 80;

/// The pictures of a page, by image name.
pub(super) struct Pictures {
    classes: HashMap<String, usize>,
    styles: String,
}

impl Pictures {
    /// Makes the small pictures; images without a usable file get none.
    pub fn new(names: &[&str], files: &HashMap<String, PathBuf>) -> Self {
        Self::sized(names, files, SIDE)
    }

    /// As [`Pictures::new`], with a longest side of `side` pixels.
    pub fn sized(names: &[&str], files: &HashMap<String, PathBuf>, side: u32) -> Self {
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        let wanted: Vec<&str> = distinct.into_iter().collect();
        let made: Vec<Option<Vec<u8>>> =
            wanted.par_iter().map(|name| files.get(*name).and_then(|path| jpeg(path, side, QUALITY).ok())).collect();
        let (mut classes, mut styles) = (HashMap::new(), String::new());
        for (number, (name, bytes)) in wanted.into_iter().zip(made).enumerate() {
            let Some(bytes) = bytes else { continue };
            let _ = writeln!(styles, ".p{number}{{background-image:url(data:image/jpeg;base64,{})}}", base64(&bytes));
            classes.insert(name.to_owned(), number);
        }
        Self { classes, styles }
    }

    /// The class of an image's picture.
    pub fn class(&self, name: &str) -> Option<String> {
        self.classes.get(name).map(|number| format!("p{number}"))
    }

    /// The rules that give the classes their pictures.
    pub fn styles(&self) -> &str {
        &self.styles
    }
}
