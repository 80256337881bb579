//! A folder of pictures without any label: data for losses that need images alone.
//!
//! Every picture in it and below is an image, named by its path inside it. Every tenth, in the order of a hash of their names, is
//! for validation. Each is a query without a text whose one right answer is itself.

use super::table::{Complaint, ImageEntry, LoadOptions, Split, Table};
use super::{derive, extra, pictures};
use crate::error::{Result, TrainerError};
use crate::fsx;
use std::path::Path;

/// One picture in so many is for validation.
const EVERY: usize = 10;
/// The fewest pictures that can be parted.
const FEWEST: usize = 4;

/// The splits that a folder has: both, where it holds pictures and nothing that any layout calls its own.
pub fn splits(root: &Path) -> Vec<Split> {
    match extra::has_pictures(root) {
        true => vec![Split::Train, Split::Val],
        false => Vec::new(),
    }
}

/// Loads one split.
///
/// # Errors
/// When the folder cannot be read or holds too few pictures, and for a test split, which it doesn't have.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let place = || root.display().to_string();
    let (images, complaints) = images(root, options)?;
    if images.len() < FEWEST {
        let problem = format!("{} pictures are too few to train on some and validate on others", images.len());
        return Err(TrainerError::data(place(), problem, format!("give at least {FEWEST}")));
    }
    if split == Split::Test {
        return Err(TrainerError::data(place(), "pictures alone have no test split", "use --split val"));
    }
    let mut ordered: Vec<(String, ImageEntry)> =
        images.into_iter().map(|image| (fsx::sha256_hex(image.name.as_bytes()), image)).collect();
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    let validates = ordered.len().div_ceil(EVERY).max(2);
    let training = ordered.split_off(validates);
    let chosen = if split == Split::Val { ordered } else { training };
    let mut images: Vec<ImageEntry> = chosen.into_iter().map(|(_, image)| image).collect();
    images.sort_by(|a, b| a.name.cmp(&b.name));
    let gallery = (0..images.len() as u32).collect();
    Ok((derive::images(&Table { images, gallery, ..Table::default() })?, complaints))
}

/// The images of `source` without labels: every picture of a folder, named by its path inside it, or those of a split file
/// (JSON: name to path).
///
/// # Errors
/// When it cannot be read, or has none.
pub fn images(source: &Path, options: &LoadOptions) -> Result<(Vec<ImageEntry>, Vec<Complaint>)> {
    if !source.is_dir() {
        return extra::images(source, source.parent().unwrap_or(Path::new("")), options);
    }
    let (found, complaints) = pictures::of_folder(source)?;
    if found.is_empty() {
        let mend = "give a folder of pictures, or a JSON object of names and paths";
        return Err(TrainerError::data(source.display().to_string(), "has no picture", mend));
    }
    Ok((found.into_iter().map(|picture| ImageEntry { name: picture.name, path: picture.path }).collect(), complaints))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::{DataSet, Format};
    use super::*;

    #[test]
    fn a_folder_of_pictures_is_parted_by_name_and_each_picture_asks_for_itself() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("inner")).unwrap();
        for at in 0..30 {
            std::fs::write(root.path().join(format!("inner/p{at:02}.jpg")), b"x").unwrap();
        }
        let data = DataSet::open(root.path(), None).unwrap();
        assert_eq!(data.format, Format::Pictures);
        let load = |split| data.load(split, &LoadOptions::default()).unwrap().0;
        let (train, val) = (load(Split::Train), load(Split::Val));
        assert_eq!((train.triplets.len(), val.triplets.len()), (27, 3));
        let mut names: Vec<&str> = train.images.iter().chain(&val.images).map(|image| image.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 30);
        assert!(val.triplets.iter().all(|t| t.targets == [t.reference] && t.text.is_empty()));
        // A picture more moves no other between the splits.
        let before: Vec<String> = val.images.iter().map(|image| image.name.clone()).collect();
        std::fs::write(root.path().join("inner/more.png"), b"x").unwrap();
        let after: Vec<String> = load(Split::Val).images.iter().map(|image| image.name.clone()).collect();
        assert!(before.iter().filter(|name| !after.contains(name)).count() <= 1);
        assert!(data.load(Split::Test, &LoadOptions::default()).is_err());
        // A data set's files say more than its pictures do.
        std::fs::write(root.path().join("train.jsonl"), "{}").unwrap();
        assert_eq!(DataSet::open(root.path(), None).unwrap().format, Format::Triplets);
    }
}
