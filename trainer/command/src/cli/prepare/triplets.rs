//! `thisbut prepare triplets`: triplets and captions in anyone's field names.

use super::super::{complain, note, print};
use super::SHOWN;
use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::data::foreign::{Reading, take};
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};

/// Triplets and captions in anyone's field names (FACap's), as a data set that training reads
///
/// Rows are a JSON list, JSON lines or a CSV. Usual names of fields are found; others are told with --field. What is written are
/// train.jsonl and captions.jsonl; the images stay where they are.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare triplets facap.json --captions captions.json --out data/facap
  thisbut prepare triplets rows.csv --field reference=from --field text=words --out data/own")]
pub struct Triplets {
    /// The file of triplets.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Captions of the images, in a file of their own: rows, or one JSON object of image names and texts.
    #[arg(long, value_name = "FILE")]
    captions: Option<PathBuf>,
    /// A field's name in these files: reference, target, text, target_caption, reference_caption, group; of captions: image.
    ///
    /// A field's name in these files, as OURS=THEIRS. Ours are reference, target, text, target_caption, reference_caption and
    /// group of a triplet, image and caption of a caption. Dots lead into objects: target=pair.to. It may be given several times.
    #[arg(long, value_name = "OURS=THEIRS", value_parser = field)]
    field: Vec<(String, String)>,
    /// Which split the triplets are.
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// The folder to write into: the one that has the images.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
}

fn field(text: &str) -> Result<(String, String), String> {
    match text.split_once('=').map(|(ours, theirs)| (ours.trim(), theirs.trim())) {
        Some((ours, theirs)) if !ours.is_empty() && !theirs.is_empty() => Ok((ours.to_owned(), theirs.to_owned())),
        _ => Err(format!("'{text}' is no pair of names; give OURS=THEIRS, such as reference=from")),
    }
}

impl Triplets {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let reading = Reading {
            triplets: self.file,
            captions: self.captions,
            names: self.field.into_iter().collect(),
            split: self.split,
            out: self.out,
        };
        let taken = take(&reading)?;
        complain(&taken.complaints, SHOWN);
        let fields: Vec<String> = taken.fields.iter().map(|(ours, theirs)| format!("{ours} from {theirs}")).collect();
        note(format_args!("read: {}", fields.join(", ")));
        let data = DataSet { root: reading.out.clone(), format: Format::Triplets };
        match data.load(reading.split, &LoadOptions::default()) {
            Ok((table, complaints)) => {
                complain(&complaints, SHOWN);
                note(format_args!("{} triplets have both their images", table.triplets.len()));
            }
            Err(e) => note(format_args!("no triplet has both its images yet: {e}")),
        }
        let files: Vec<String> = taken.files.iter().map(|path| path.display().to_string()).collect();
        print(format_args!("{}: {} triplets, {} captions", files.join(", "), taken.triplets, taken.captions))
    }
}
