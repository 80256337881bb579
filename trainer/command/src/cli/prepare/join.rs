//! `thisbut prepare join`: several data sets as one.

use super::super::{complain, print};
use super::SHOWN;
use anyhow::Result;
use std::path::PathBuf;
use thisbut_catalogue::join::{self, Part};
use thisbut_trainer::ranges;

/// Several data sets of CIRR's layout as one, to train a model that knows the pictures of all
///
/// Every image and every group of rows bears the name of its data set's folder.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare join data/fluent data/clothing=30000 data/grocery=30000 --out data/mixed")]
pub struct Join {
    /// The data sets' folders; with `=N` at most N of its training triplets, drawn.
    #[arg(required = true, value_name = "FOLDER[=N]", value_parser = part)]
    parts: Vec<Part>,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "data/joined")]
    out: PathBuf,
    /// Seed of the draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn part(text: &str) -> Result<Part, String> {
    match text.rsplit_once('=') {
        Some((folder, most)) => Ok(Part { folder: folder.into(), most: Some(ranges::count(most)?) }),
        None => Ok(Part { folder: text.into(), most: None }),
    }
}

impl Join {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let joined = join::join(&self.parts, &self.out, self.seed)?;
        complain(&joined.left_out, SHOWN);
        print(joined.table())
    }
}
