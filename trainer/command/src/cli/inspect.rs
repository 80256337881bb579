//! `thisbut inspect`: what a file or folder is.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::inspect::{inspect, lines};

/// Show what a checkpoint, feature cache, bundle, run or data set is
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut inspect runs/finetune/final.safetensors
  thisbut inspect data/fluent/web-s.features
  thisbut inspect exported")]
pub struct Args {
    /// The file or folder.
    path: PathBuf,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let found = inspect(&self.path)?;
        match self.json {
            true => super::print(serde_json::to_string_pretty(&found)?),
            false => super::print(lines(&found)),
        }
    }
}
