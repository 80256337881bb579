//! Fashion200k and DeepFashion-MultiModal, the sources of FACap: images with a category, a description and attributes, and no
//! triplets yet.
//!
//! Each lies in the data set's folder or in a folder inside it, which may be a link; an image's name is its path from the data
//! set's folder. A table of them is as that of pictures alone: each image is a query without a text whose answer is itself.
//!
//! | source | told by | category | product: images of one are views of it |
//! |---|---|---|---|
//! | Fashion200k | `labels/{dress,jacket,pants,skirt,top}_{train,test}_detect_all.txt` | the label file's | the image's folder |
//! | DeepFashion-MultiModal | `labels/shape`, `labels/texture`, or `captions.json` with its image names | in the image's name | in the image's name |

mod deepfashion;
mod fashion200k;

use super::builder::{Builder, Finder, lacks};
use super::derive;
use super::table::{Complaint, LoadOptions, Split, Table};
use crate::error::Result;
use crate::metrics::Protocol;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// What the files of a source say of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Garment {
    /// Its path from the data set's folder.
    pub name: String,
    /// Where the line that names it first stands.
    place: String,
    /// What it is sold as; empty where nothing says it.
    pub category: String,
    /// The item that it shows; other images of the item are views of it. Empty where nothing says it.
    pub product: String,
    /// What the shop says of it.
    pub description: String,
    /// What is known of it beside these.
    pub attributes: Vec<String>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Fashion200k,
    DeepFashion,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Fashion200k => "fashion200k",
            Self::DeepFashion => "deepfashion-multimodal",
        }
    }

    fn is_at(self, folder: &Path) -> bool {
        match self {
            Self::Fashion200k => fashion200k::is_at(folder),
            Self::DeepFashion => deepfashion::is_at(folder),
        }
    }

    /// The splits of the source in `folder`.
    fn splits(self, folder: &Path) -> Vec<Split> {
        match self {
            Self::Fashion200k => fashion200k::splits(folder),
            Self::DeepFashion => vec![Split::Train],
        }
    }
}

/// A source and where it lies.
struct Place {
    source: Source,
    folder: PathBuf,
    /// What stands before the names of its images: its folder's name, or nothing.
    prefix: String,
}

/// The sources in `root`: it is one itself, or folders inside it are.
fn places(root: &Path) -> Vec<Place> {
    let of = |folder: &Path, prefix: &str| {
        let found = [Source::Fashion200k, Source::DeepFashion].into_iter().filter(|source| source.is_at(folder));
        found
            .map(|source| Place { source, folder: folder.to_path_buf(), prefix: prefix.to_owned() })
            .collect::<Vec<_>>()
    };
    let own = of(root, "");
    if !own.is_empty() {
        return own;
    }
    let entries = root.read_dir().into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    names.iter().flat_map(|name| of(&root.join(name), &format!("{name}/"))).collect()
}

/// The splits that the sources in `root` have.
pub fn splits(root: &Path) -> Vec<Split> {
    let found: Vec<Split> = places(root).iter().flat_map(|place| place.source.splits(&place.folder)).collect();
    Split::ALL.into_iter().filter(|split| found.contains(split)).collect()
}

/// Loads one split's images.
///
/// # Errors
/// When a file is missing or broken, when no image is left, and in strict mode on any complaint.
pub fn load(root: &Path, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
    let (garments, mut complaints) = read(root, &[split])?;
    let mut out = Builder::new(split, Protocol::Cirr, options);
    out.complaints.append(&mut complaints);
    let mut files = Finder::new(vec![root.to_path_buf()], &[""]);
    for garment in garments.iter().map(|(_, garment)| garment) {
        out.add_to_gallery(&garment.place, &garment.name, &mut files, &garment.name);
    }
    let (table, complaints) = out.finish_images(root)?;
    Ok((derive::images(&table)?, complaints))
}

/// Every image of the given splits with its source, in the order of their names, and what is wrong with the files.
fn read(root: &Path, wanted: &[Split]) -> Result<(Vec<(Source, Garment)>, Vec<Complaint>)> {
    const LAYOUT: &str = "Fashion200k has labels/*_{train,test}_detect_all.txt, DeepFashion-MultiModal labels/shape, \
                          labels/texture and captions.json; give the folder that holds one of them, or both in folders";
    let (mut found, mut complaints) = (Vec::new(), Vec::new());
    let mut any = false;
    for place in places(root) {
        for split in place.source.splits(&place.folder).into_iter().filter(|split| wanted.contains(split)) {
            any = true;
            let garments = match place.source {
                Source::Fashion200k => fashion200k::read(&place.folder, split, &mut complaints)?,
                Source::DeepFashion => deepfashion::read(&place.folder, &mut complaints)?,
            };
            found.extend(garments.into_iter().map(|garment| {
                let named = |name: &str| format!("{}{name}", place.prefix);
                (place.source, Garment { name: named(&garment.name), product: product(&place, &garment), ..garment })
            }));
        }
    }
    if !any {
        let words: Vec<&str> = wanted.iter().map(|split| split.name()).collect();
        return Err(lacks(root, &format!("images of the split {}", words.join(", ")), LAYOUT));
    }
    found.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let mut known = BTreeSet::new();
    found.retain(|(_, garment)| {
        let new = known.insert(garment.name.clone());
        if !new {
            let problem = format!("image '{}' stands there again; what was said first counts", garment.name);
            complaints.push(Complaint { place: garment.place.clone(), problem });
        }
        new
    });
    Ok((found, complaints))
}

/// A product's name among those of all sources.
fn product(place: &Place, garment: &Garment) -> String {
    match garment.product.is_empty() {
        true => String::new(),
        false => format!("{}{}", place.prefix, garment.product),
    }
}

/// What is known of each image, under the names that prompts and pairs read: `category`, `source`, `product`, `description`,
/// `attributes`. Empty fields are left out.
pub type Known = BTreeMap<String, BTreeMap<String, String>>;

/// What the sources in `root` say of every image, or of those of one split.
///
/// # Errors
/// As [`load`].
pub fn known(root: &Path, split: Option<Split>) -> Result<Known> {
    let splits = split.map_or_else(|| splits(root), |split| vec![split]);
    let (garments, _) = read(root, &splits)?;
    let fields = |(source, garment): (Source, Garment)| {
        let attributes = garment.attributes.join(", ");
        let all = [
            ("category", garment.category),
            ("source", source.name().to_owned()),
            ("product", garment.product),
            ("description", garment.description),
            ("attributes", attributes),
        ];
        let all = all.into_iter().filter(|(_, value)| !value.is_empty());
        (garment.name, all.map(|(name, value)| (name.to_owned(), value)).collect())
    };
    Ok(garments.into_iter().map(fields).collect())
}

#[cfg(test)]
mod tests;
