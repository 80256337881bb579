//! Images outside a data set's own splits, such as NLVR2's for triplets generated over CIRR: a folder, or a split file.

use super::builder::{Finder, inside};
use super::json_rows;
use super::table::{Complaint, ImageEntry, LoadOptions};
use crate::error::{Result, TrainerError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Endings of the files that a folder's images are.
const ENDINGS: [&str; 5] = ["png", "jpg", "jpeg", "webp", "gif"];

/// The images of `source`, in the order of their names, and those that are missing.
///
/// - A folder: every picture in it and below, named as its file without the ending.
/// - A split file as CIRR's and `thisbut generator pairs --split-file`: a JSON object of names and paths. The paths are
///   looked up under the file's folder and the one above, and under `root` (the data set's folder), each also in `img_raw`
///   and `images`.
///
/// # Errors
/// When it cannot be read, two pictures of a folder have one name, or there is none.
pub fn images(source: &Path, root: &Path, options: &LoadOptions) -> Result<(Vec<ImageEntry>, Vec<Complaint>)> {
    let (images, complaints) = match source.is_dir() {
        true => (of_folder(source)?, Vec::new()),
        false => of_file(source, root, options.images_required)?,
    };
    if images.is_empty() {
        let first = complaints.first().map_or_else(String::new, |c: &Complaint| format!(" ({c})"));
        let mend = "give a folder of images, or a JSON object of names and paths whose files are there";
        return Err(TrainerError::data(source.display().to_string(), format!("has no image{first}"), mend));
    }
    Ok((images, complaints))
}

/// Whether a folder or one below it holds a picture.
pub fn has_pictures(folder: &Path) -> bool {
    let mut entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    entries.any(|entry| entry.file_type().is_file() && is_picture(entry.path()))
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    ENDINGS.contains(&ending.as_str())
}

fn of_folder(folder: &Path) -> Result<Vec<ImageEntry>> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|e| {
            let place = e.path().unwrap_or(folder).display().to_string();
            TrainerError::data(place, e.to_string(), "check the folder and its permissions")
        })?;
        let path = entry.path();
        let (Some(name), true) = (path.file_stem().and_then(|s| s.to_str()), is_picture(path)) else {
            continue;
        };
        if !entry.file_type().is_file() {
            continue;
        }
        if let Some(other) = found.insert(name.to_owned(), path.to_path_buf()) {
            let problem = format!("has the name '{name}' as {} does", other.display());
            let mend = "rename one, or give a split file: a JSON object of names and paths";
            return Err(TrainerError::data(path.display().to_string(), problem, mend));
        }
    }
    Ok(found.into_iter().map(|(name, path)| ImageEntry { name, path }).collect())
}

fn of_file(file: &Path, root: &Path, required: bool) -> Result<(Vec<ImageEntry>, Vec<Complaint>)> {
    let paths: BTreeMap<String, String> = json_rows::whole(file)?;
    let beside = file.parent().unwrap_or(Path::new(""));
    let bases = [beside, &beside.join(".."), root].map(|base| ["", "img_raw", "images"].map(|inner| base.join(inner)));
    let mut files = Finder::new(bases.concat(), &[""]);
    let (mut images, mut complaints) = (Vec::new(), Vec::new());
    for (name, path) in paths {
        let mut left_out = |problem: String| {
            let problem = format!("image '{name}': {problem}; left out");
            complaints.push(Complaint { place: file.display().to_string(), problem });
        };
        if !inside(&path) {
            left_out("its path leads out of the folders that are looked in".into());
            continue;
        }
        match files.find(&path) {
            (path, there) if there || !required => images.push(ImageEntry { name, path }),
            (path, _) => left_out(format!("there is no file {}", path.display())),
        }
    }
    Ok((images, complaints))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_and_a_split_file_give_images() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("cirr");
        let options = LoadOptions::default();
        for name in
            ["nlvr2/train/1/train-1-0-img0.png", "nlvr2/dev/dev-2-0-img1.JPG", "nlvr2/notes.txt", "cirr/img_raw/x.png"]
        {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        let names = |images: &[ImageEntry]| images.iter().map(|i| i.name.clone()).collect::<Vec<_>>();
        let folder = root.path().join("nlvr2");
        let (found, complaints) = images(&folder, &data, &options).unwrap();
        assert_eq!((names(&found), complaints.len()), (vec!["dev-2-0-img1".into(), "train-1-0-img0".into()], 0));
        let file = folder.join("used.json");
        let split = r#"{"train-1-0-img0": "./train/1/train-1-0-img0.png", "x": "./x.png", "gone": "./gone.png"}"#;
        std::fs::write(&file, split).unwrap();
        let (found, complaints) = images(&file, &data, &options).unwrap();
        assert_eq!(names(&found), ["train-1-0-img0", "x"]);
        assert!(found.iter().all(|image| image.path.is_file()));
        assert!(complaints.len() == 1 && complaints[0].to_string().contains("image 'gone'"), "{complaints:?}");
        let lax = LoadOptions { images_required: false, ..options };
        assert_eq!(images(&file, &data, &lax).unwrap().0.len(), 3, "a dry run needs no pictures");
        let outside = root.path().join("nlvr2/notes.txt").display().to_string();
        for path in ["../cirr/img_raw/x.png", "./train/../../cirr/img_raw/x.png", &outside] {
            std::fs::write(&file, serde_json::json!({ "x": "./x.png", "other": path }).to_string()).unwrap();
            let (found, complaints) = images(&file, &data, &options).unwrap();
            assert_eq!(names(&found), ["x"], "{path}");
            assert!(complaints[0].to_string().contains("image 'other': its path leads out"), "{complaints:?}");
        }
        std::fs::write(folder.join("dev/train-1-0-img0.webp"), b"x").unwrap();
        let problem = images(&folder, &data, &options).unwrap_err().to_string();
        assert!(problem.contains("has the name 'train-1-0-img0' as"), "{problem}");
        std::fs::write(&file, r#"{"gone": "./gone.png"}"#).unwrap();
        assert!(images(&file, &data, &options).unwrap_err().to_string().contains("has no image ("));
        assert!(images(&root.path().join("none.json"), &data, &options).is_err());
    }
}
