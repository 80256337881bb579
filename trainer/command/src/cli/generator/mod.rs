//! `thisbut generator`: the modification-text generator, from its training to what its texts are worth.

pub mod generate;
mod pages;
pub mod pairs;
mod quality;
pub mod recipe;
mod train;

use anyhow::Result;
use clap::Subcommand;
use thisbut_generator::texts::Complaints;

/// Train the modification-text generator (MTST), write texts with it, and look at them
///
/// The order: train, pairs, generate, `thisbut filter`; then quality, and compare, check and score for people's answers.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator train data/fluent --out runs/generator
  thisbut generator pairs --annotated data/fluent --out runs/pairs.jsonl
  thisbut generator generate --pairs runs/pairs.jsonl --generator runs/generator/final.safetensors \\
    --features data/fluent/web-s.features --out runs/triplets.jsonl")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Args>),
    Pairs(pairs::Args),
    Generate(Box<generate::Args>),
    // Yesterday's spelling of `thisbut filter`.
    #[command(hide = true)]
    Filter(crate::cli::filter::Args),
    Quality(quality::Args),
    Compare(pages::Compare),
    Check(pages::Check),
    Score(pages::Score),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(args) => args.run(),
            Command::Pairs(args) => args.run(),
            Command::Generate(args) => args.run(),
            Command::Filter(args) => args.run(),
            Command::Quality(args) => args.run(),
            Command::Compare(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Score(args) => args.run(),
        }
    }
}

/// Where `thisbut fetch smollm2` puts the language model.
const LLM: &str = "data/weights/SmolLM2-135M-Instruct.Q4_1.gguf";

/// Lists what is wrong with a file of triplets: the first lines, then how many more there are.
pub fn complain(complaints: &Complaints) {
    const SHOWN: usize = 20;
    for complaint in complaints.first.iter().take(SHOWN) {
        super::note(format_args!("  {complaint}"));
    }
    if complaints.count > SHOWN {
        super::note(format_args!("  … and {} more", complaints.count - SHOWN));
    }
}
