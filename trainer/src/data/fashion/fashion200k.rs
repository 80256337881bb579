//! Fashion200k's release: `women/KIND/KIND/ITEM/ITEM_VIEW.jpeg`, and a label file for each category and split with lines of image,
//! detection score and description, separated by tabs.

use super::Garment;
use crate::data::json_rows::At;
use crate::data::table::{Complaint, Split};
use crate::error::Result;
use crate::fsx;
use std::path::{Path, PathBuf};

/// How a label file's name ends.
const ENDING: &str = "_detect_all.txt";

/// The label files of a folder: path, category, split.
fn labels(folder: &Path) -> Vec<(PathBuf, String, Split)> {
    let entries = folder.join("labels").read_dir().into_iter().flatten().flatten();
    let label = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?.to_owned();
        let (category, split) = name.rsplit_once('_')?;
        let split = [Split::Train, Split::Test].into_iter().find(|known| known.name() == split)?;
        Some((path, category.to_owned(), split))
    };
    let mut found: Vec<_> = entries.filter_map(|entry| label(entry.path())).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

pub(super) fn is_at(folder: &Path) -> bool {
    !labels(folder).is_empty()
}

pub(super) fn splits(folder: &Path) -> Vec<Split> {
    let labels = labels(folder);
    [Split::Train, Split::Test].into_iter().filter(|split| labels.iter().any(|label| label.2 == *split)).collect()
}

pub(super) fn read(folder: &Path, split: Split, complaints: &mut Vec<Complaint>) -> Result<Vec<Garment>> {
    let mut found = Vec::new();
    for (path, category, _) in labels(folder).into_iter().filter(|label| label.2 == split) {
        let text = fsx::read_text(&path, fsx::TABLE)?;
        for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let at = At::line(number);
            match garment(line, &category) {
                Ok(garment) => {
                    let place = format!("{}, {at}", path.display());
                    if garment.description.is_empty() {
                        let problem = format!("image '{}' has no description; kept without it", garment.name);
                        complaints.push(Complaint { place: place.clone(), problem });
                    }
                    found.push(Garment { place, ..garment });
                }
                Err(problem) => complaints.push(Complaint::left_out(&path, at, problem)),
            }
        }
    }
    Ok(found)
}

/// A line: image, detection score, description.
fn garment(line: &str, category: &str) -> Result<Garment, String> {
    let mut fields = line.split('\t').map(str::trim);
    let name = fields.next().unwrap_or_default().trim_start_matches("./");
    // The score says how sure a detector was of the box; nothing here asks for it.
    let description = fields.nth(1).unwrap_or_default();
    if name.is_empty() {
        return Err("has no image; a line is image, detection score and description, separated by tabs".into());
    }
    let mut folders = name.rsplit('/').skip(1);
    let item = folders.next().and_then(|_| name.rsplit_once('/')).map(|(folder, _)| folder);
    let kind = folders.next().filter(|kind| *kind != category).map(|kind| kind.replace('_', " "));
    Ok(Garment {
        name: name.to_owned(),
        category: category.replace('_', " "),
        // An image that lies in no item's folder is an item of its own.
        product: item.filter(|item| item.contains('/')).unwrap_or(name).to_owned(),
        description: description.to_owned(),
        attributes: kind.into_iter().collect(),
        ..Garment::default()
    })
}
