//! `thisbut plot`: a run's curves as SVG.

use anyhow::Result;
use std::path::PathBuf;

/// Draw the curves of a training run as one SVG
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut plot runs/finetune")]
pub struct Args {
    /// The run's folder, or its metrics.jsonl.
    run: PathBuf,
    /// The file to write [default: curves.svg in the run's folder].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let (file, complaints) = thisbut_trainer::plot::plot(&self.run, self.out.as_deref())?;
        super::complain(&complaints, 20);
        super::print(file.display())
    }
}
