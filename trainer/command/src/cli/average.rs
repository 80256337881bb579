//! `thisbut average`: the mean of two checkpoints.

use anyhow::Result;
use std::path::PathBuf;

/// Write the weighted mean of two checkpoints of one architecture
///
/// A model that was trained further on new data forgets some of the old; the mean of before and after often keeps most of both
/// (https://arxiv.org/abs/2109.01903). Choose the weight on a validation split.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut average runs/shipped.safetensors runs/photographs/final.safetensors --weight 0.5 --out runs/mean.safetensors")]
pub struct Args {
    /// The checkpoint before.
    first: PathBuf,
    /// The checkpoint after, whose settings the mean keeps.
    second: PathBuf,
    /// The share of the second, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    weight: f64,
    /// The checkpoint to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        thisbut_trainer::average::write(&self.first, &self.second, self.weight, &self.out)?;
        super::print(self.out.display())
    }
}
