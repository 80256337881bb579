//! Every image of a data set, or of a folder without annotations, by name.

use super::table::{Complaint, LoadOptions, Split};
use super::{DataSet, Format, described, fashion, fashioniq};
use crate::error::{Result, TrainerError};
use crate::index::walk::walk;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An image with what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its name: the data set's own, or its path inside the folder.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its title: of the data set's `images.json`, or made from the names of file and folders.
    pub title: Option<String>,
}

/// Whether a folder is in the layout of some data set.
pub fn is_data_set(root: &Path) -> bool {
    Format::ALL.into_iter().chain([Format::Fashion]).any(|format| !format.splits(root).is_empty())
}

/// The images of `root`, in the order of their names: of every split of a data set or of one, or, where it is in no layout, of
/// the folder and those inside it, named by their path from it.
///
/// # Errors
/// When a split or the folder cannot be read, and when there is no image.
pub fn load(root: &Path, format: Option<Format>, split: Option<Split>) -> Result<(Vec<Picture>, Vec<Complaint>)> {
    let (pictures, complaints) = match format.is_some() || split.is_some() || is_data_set(root) {
        true => of_data_set(&DataSet::open(root, format)?, split)?,
        false => of_folder(root)?,
    };
    if pictures.is_empty() {
        let first = complaints.first().map_or_else(String::new, |c| format!(" ({c})"));
        let mend = "give a data set's folder, or a folder of pictures";
        return Err(TrainerError::data(root.display().to_string(), format!("has no image{first}"), mend));
    }
    Ok((pictures, complaints))
}

fn of_data_set(data: &DataSet, split: Option<Split>) -> Result<(Vec<Picture>, Vec<Complaint>)> {
    let (mut found, mut complaints) = (BTreeMap::new(), Vec::new());
    let titles = described::load(&data.root)?.unwrap_or_default();
    for split in split.map_or_else(|| data.splits(), |split| vec![split]) {
        let (table, wrong) = data.load(split, &LoadOptions::default())?;
        complaints.extend(wrong);
        for image in table.images {
            let title = titles.get(&image.name).and_then(|described| described.title.clone());
            found.entry(image.name.clone()).or_insert(Picture { name: image.name, path: image.path, title });
        }
    }
    Ok((found.into_values().collect(), complaints))
}

/// What a data set's own files say of its images, for prompts and for pairs; nothing, where they say nothing.
///
/// # Errors
/// When one of them cannot be read.
pub fn known(root: &Path, format: Option<Format>, split: Option<Split>) -> Result<fashion::Known> {
    // Triplets that were made over a source's images lie beside it.
    let format = match format {
        Some(format) => format,
        None if !fashion::splits(root).is_empty() => Format::Fashion,
        None if is_data_set(root) => DataSet::open(root, None)?.format,
        None => return Ok(fashion::Known::new()),
    };
    match format {
        Format::Fashion => fashion::known(root, split),
        Format::Fashioniq => fashioniq::known(root, split),
        _ => Ok(fashion::Known::new()),
    }
}

/// The pictures of a folder and those inside it, named by their path from it.
///
/// # Errors
/// When it cannot be read.
pub(super) fn of_folder(root: &Path) -> Result<(Vec<Picture>, Vec<Complaint>)> {
    // Nothing is written there that the walk would have to pass over.
    let found = walk(root, Path::new(""))?;
    let pictures = found.photos.into_iter();
    let pictures = pictures.map(|photo| Picture { name: photo.id, path: photo.path, title: Some(photo.title) });
    Ok((pictures.collect(), found.complaints))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_and_a_plain_folder_give_their_images() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("hats")).unwrap();
        for name in ["red-shoe.png", "hats/old_hat.jpg", "notes.txt"] {
            std::fs::write(root.path().join(name), b"x").unwrap();
        }
        let names = |found: &[Picture]| found.iter().map(|p| (p.name.clone(), p.title.clone())).collect::<Vec<_>>();
        let (found, _) = load(root.path(), None, None).unwrap();
        let title = |text: &str| Some(text.to_owned());
        assert_eq!(
            names(&found),
            [("hats/old_hat.jpg".into(), title("Old hat")), ("red-shoe.png".into(), title("Red shoe"))]
        );
        std::fs::write(
            root.path().join("train.jsonl"),
            r#"{"reference": "red-shoe", "target": "hats/old_hat", "caption": "x"}"#,
        )
        .unwrap();
        std::fs::write(root.path().join("images.json"), r#"{"red-shoe": {"title": "a shoe"}}"#).unwrap();
        let (found, _) = load(root.path(), None, None).unwrap();
        assert_eq!(names(&found), [("hats/old_hat".into(), None), ("red-shoe".into(), title("a shoe"))]);
        let empty = tempfile::tempdir().unwrap();
        assert!(
            load(empty.path(), None, None).unwrap_err().to_string().contains("has no image; give a data set's folder")
        );
        assert!(load(&root.path().join("gone"), None, None).unwrap_err().to_string().contains("is not a folder"));
    }
}
