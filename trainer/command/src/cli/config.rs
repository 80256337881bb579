//! `thisbut config`: the architecture presets.

use anyhow::Result;
use thisbut_model::RetrievalConfig;

/// Show the architecture presets
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut config list
  thisbut config show web-s > mine.json")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Name every preset with its main sizes
    #[command(after_help = "Example:
  thisbut config list")]
    List,
    /// Print a preset's JSON, to copy and change
    #[command(after_help = "Example:
  thisbut config show web-s")]
    Show {
        /// The preset's name.
        name: String,
    },
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::List => {
                for (name, _) in RetrievalConfig::PRESETS {
                    let c = RetrievalConfig::preset(name)?;
                    super::print(format_args!(
                        "{name:<12} {}: {}, N = {}, P = {}, {} image tokens of {}, {} text tokens",
                        c.method.family().name(),
                        c.method.family().summary(),
                        c.target_tokens,
                        c.projection,
                        c.image_tokens(),
                        c.image_width(),
                        c.text.length()
                    ))?;
                }
                Ok(())
            }
            Command::Show { name } => super::print(serde_json::to_string_pretty(&RetrievalConfig::preset(&name)?)?),
        }
    }
}
