//! Data sets: one internal triplet table ([`table::Table`]), a loader for each published layout, and [`detect`], which
//! tells the layouts apart.

mod builder;
pub mod captions;
pub mod circo;
pub mod cirr;
pub mod derive;
pub mod described;
pub mod extended;
pub mod extra;
pub mod fashion;
pub mod fashioniq;
pub mod foreign;
pub mod genecis;
pub mod good4cir;
pub mod json_rows;
pub mod lasco;
pub mod mix;
pub mod pictures;
pub mod published;
pub mod synthetic;
pub mod table;
pub mod triplets;
pub mod unlabelled;

use crate::error::{Result, TrainerError};
use crate::fsx;
use std::path::{Path, PathBuf};
pub use table::{Complaint, ImageEntry, LoadOptions, Split, Table, Triplet};

/// A data set's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// CIRR, and the built-in collection.
    Cirr,
    /// FashionIQ: dress, shirt and toptee.
    Fashioniq,
    /// CIRCO over COCO's unlabelled images.
    Circo,
    /// LaSCo over COCO 2014.
    Lasco,
    /// Rows with difference captions: Hotel-CIR, CIRR_R.
    Good4cir,
    /// GeneCIS, object tasks.
    Genecis,
    /// JSON lines, JSON or CSV of your own, and MTST's pretraining rows.
    Triplets,
    /// Fashion200k and DeepFashion-MultiModal: images with a category and attributes.
    Fashion,
    /// A folder of pictures without labels.
    Pictures,
}

impl Format {
    /// Those that are told by files of their own.
    pub const ALL: [Self; 7] =
        [Self::Cirr, Self::Fashioniq, Self::Circo, Self::Lasco, Self::Good4cir, Self::Genecis, Self::Triplets];

    /// The word for `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cirr => "cirr",
            Self::Fashioniq => "fashioniq",
            Self::Circo => "circo",
            Self::Lasco => "lasco",
            Self::Good4cir => "good4cir",
            Self::Genecis => "genecis",
            Self::Triplets => "triplets",
            Self::Fashion => "fashion",
            Self::Pictures => "pictures",
        }
    }

    /// The splits that a folder has in this layout; none when it is not in this layout.
    pub fn splits(self, root: &Path) -> Vec<Split> {
        match self {
            Self::Cirr => cirr::splits(root),
            Self::Fashioniq => fashioniq::splits(root),
            Self::Circo => circo::splits(root),
            Self::Lasco => lasco::splits(root),
            Self::Good4cir => good4cir::splits(root),
            Self::Genecis => genecis::splits(root),
            Self::Triplets => triplets::splits(root),
            Self::Fashion => fashion::splits(root),
            Self::Pictures => unlabelled::splits(root),
        }
    }
}

/// A folder and its layout.
#[derive(Clone, Debug)]
pub struct DataSet {
    /// The folder.
    pub root: PathBuf,
    /// Its layout.
    pub format: Format,
}

impl DataSet {
    /// The data set in `root`, in the layout that it is told or [`detect`]s.
    ///
    /// # Errors
    /// When `root` is no folder, and when its layout is not told and not recognised.
    pub fn open(root: &Path, format: Option<Format>) -> Result<Self> {
        if !root.is_dir() {
            return Err(TrainerError::data(
                root.display().to_string(),
                "is not a folder",
                "give the data set's folder",
            ));
        }
        let format = format.map_or_else(|| detect(root), Ok)?;
        Ok(Self { root: root.to_path_buf(), format })
    }

    /// The splits that are there.
    pub fn splits(&self) -> Vec<Split> {
        self.format.splits(&self.root)
    }

    /// Loads one split. Rows that cannot be used are left out and named in the complaints, never silently.
    ///
    /// # Errors
    /// When a file is missing or broken, when nothing usable is left, and in strict mode on any complaint.
    pub fn load(&self, split: Split, options: &LoadOptions) -> Result<(Table, Vec<Complaint>)> {
        let load = match self.format {
            Format::Cirr => cirr::load,
            Format::Fashioniq => fashioniq::load,
            Format::Circo => circo::load,
            Format::Lasco => lasco::load,
            Format::Good4cir => good4cir::load,
            Format::Genecis => genecis::load,
            Format::Triplets => triplets::load,
            Format::Fashion => fashion::load,
            Format::Pictures => unlabelled::load,
        };
        load(&self.root, split, options)
    }
}

/// The layout of the data set in `root`.
///
/// # Errors
/// When it has the files of no layout, or of several.
pub fn detect(root: &Path) -> Result<Format> {
    let found: Vec<Format> = Format::ALL.into_iter().filter(|format| !format.splits(root).is_empty()).collect();
    let place = root.display().to_string();
    match found.as_slice() {
        [one] => Ok(*one),
        // Triplets that were made over these images lie beside them, and say more.
        [] if !fashion::splits(root).is_empty() => Ok(Format::Fashion),
        [] if !unlabelled::splits(root).is_empty() => Ok(Format::Pictures),
        [] => Err(TrainerError::data(
            place,
            "is in no layout that is known here: it has neither captions/cap.rc2.*.json (CIRR), captions/cap.dress.*.json \
             (FashionIQ), annotations/val.json (CIRCO), lasco_*.json, *_object.json (GeneCIS), {train,val,test}.{jsonl,json,csv}, labels/*_detect_all.txt (Fashion200k) nor a picture",
            "give the folder that holds these files",
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|format| format.name()).collect();
            let problem = format!("has the files of several layouts ({})", names.join(", "));
            Err(TrainerError::data(place, problem, "choose one with --format"))
        }
    }
}

/// Whether the beginning of a file holds `text`; false when it cannot be read.
fn mentions(path: &Path, text: &str) -> bool {
    let head = fsx::start(path, 64 << 10);
    head.is_ok_and(|head| head.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[cfg(test)]
mod tests;
