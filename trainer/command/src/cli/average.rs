//! `thisbut average`: the mean of two checkpoints.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::{average, ranges};

/// Write the weighted mean of two checkpoints of one architecture
///
/// A model that was trained further on new data forgets some of the old; the mean of before and after often keeps most of both
/// (Robust fine-tuning of zero-shot models, arXiv 2109.01903). Choose the weight on a validation split.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut average old.safetensors runs/new/final.safetensors --weight 0.6 --out mean.safetensors")]
pub struct Args {
    /// The checkpoint before.
    first: PathBuf,
    /// The checkpoint after, whose settings the mean keeps.
    second: PathBuf,
    /// The share of the second.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = ranges::SHARE.parser::<f64>())]
    weight: f64,
    /// The checkpoint to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        average::write(&self.first, &self.second, self.weight, &self.out)?;
        super::print(self.out.display())
    }
}
