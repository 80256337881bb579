//! `thisbut query`: "this, but …" on the command line.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::query::{Asker, Reference, remark};

/// Find the images of a bundle's gallery that match an image and a text.
#[derive(clap::Args)]
pub struct Args {
    /// The bundle's folder.
    #[arg(long, default_value = "exported")]
    bundle: PathBuf,
    /// The image to start from.
    #[arg(long)]
    image: Option<PathBuf>,
    /// Start from the gallery image with this id instead.
    #[arg(long, visible_alias = "gallery-item", conflicts_with = "image")]
    like: Option<String>,
    /// What should be different, such as "but with a red hat".
    #[arg(long)]
    text: Option<String>,
    /// How many answers.
    #[arg(short, default_value_t = 10)]
    k: usize,
    /// Print JSON.
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
        if let Some(remark) = self.text.as_deref().and_then(remark) {
            super::note(remark);
        }
        let asker = Asker::open(&self.bundle, &choose(self.device)?)?;
        let answers = asker.ask(reference, self.text.as_deref(), self.k)?;
        if self.json {
            return super::print(serde_json::to_string_pretty(&answers)?);
        }
        let lines: Vec<String> =
            answers.iter().map(|a| format!("{:>4}  {:>6.3}  {}  [{}]", a.rank, a.score, a.title, a.id)).collect();
        super::print(lines.join("\n"))
    }
}
