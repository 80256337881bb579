//! `thisbut query`: "this, but …" on the command line.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::query::{Asker, Reference};
use thisbut_trainer::ranges;
use thisbut_trainer::terminal::line;

/// Search a bundle's gallery with an image, a text, or both
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut query --image hat.jpg --text 'but in red'")]
pub struct Args {
    /// A bundle: its model and its gallery.
    #[arg(long, value_name = "FOLDER", default_value = "exported")]
    bundle: PathBuf,
    /// The image to start from.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Start from the gallery image with this id instead.
    #[arg(long, value_name = "ID", alias = "gallery-item", conflicts_with = "image")]
    like: Option<String>,
    /// What should be different, such as "but with a red hat".
    #[arg(long)]
    text: Option<String>,
    /// Images of a ranking.
    #[arg(short = 'k', long, value_name = "N", default_value_t = 10, value_parser = ranges::count)]
    top: usize,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let reference = match (&self.image, &self.like) {
            (Some(path), _) => Some(Reference::File(path)),
            (None, Some(id)) => Some(Reference::Gallery(id)),
            (None, None) if self.text.is_none() => bail!("nothing to look for; give --image, --text, or both"),
            (None, None) => None,
        };
        let asker = Asker::open(&self.bundle, &choose(self.device)?)?;
        if let Some(remark) = self.text.as_deref().and_then(|text| asker.remark(text)) {
            super::note(remark);
        }
        let answers = asker.ask(reference, self.text.as_deref(), self.top)?;
        if self.json {
            return super::print(serde_json::to_string_pretty(&answers)?);
        }
        let lines: Vec<String> = answers
            .iter()
            .map(|a| format!("{:>4}  {:>6.3}  {}  [{}]", a.rank, a.score, line(&a.title), line(&a.id)))
            .collect();
        super::print(lines.join("\n"))
    }
}
