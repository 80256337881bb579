//! `thisbut fetch`: published checkpoints, from a Hugging Face-style hub or by their address.

use anyhow::Result;
use std::path::PathBuf;
use thisbut_trainer::fetch::{self, Event, KNOWN, Settings, fetch, folder_name};

/// Download a published checkpoint; a download that was stopped goes on where it ended.
///
/// MODEL is a short name (--list shows them), `owner/name` on the hub, or the address of one file. HF_ENDPOINT names another
/// hub than https://huggingface.co, HF_TOKEN a token for models that ask for one. Every size and hash that the server
/// states is checked before a file gets its name.
#[derive(clap::Args)]
pub struct Args {
    /// What to download.
    #[arg(required_unless_present = "list")]
    model: Option<String>,
    /// Where the files go (default: `data/checkpoints/MODEL`).
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The hub's branch, tag or commit.
    #[arg(long, default_value = "main")]
    revision: String,
    /// Only files of this name, `*` for any part, `?` for any character; may be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Seconds without a byte after which a connection counts as broken.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    stall: u64,
    /// Show the short names.
    #[arg(long)]
    list: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let Some(model) = self.model.filter(|_| !self.list) else {
            for known in KNOWN {
                super::print(format_args!("{:<22}{}", known.name, known.about))?;
            }
            return Ok(());
        };
        let dir = self.dir.unwrap_or_else(|| PathBuf::from("data/checkpoints").join(folder_name(&model)));
        let patience = fetch::Patience { stall: std::time::Duration::from_secs(self.stall), ..Default::default() };
        let settings = Settings { revision: self.revision, only: self.only, patience, ..Settings::from_env() };
        let bar = super::progress_bytes();
        let mut current = PathBuf::new();
        let paths = fetch(&model, &dir, &settings, &mut |event| match event {
            Event::Note(line) => bar.suspend(|| super::note(line)),
            Event::Progress { path, done, all } => {
                bar.set_length(all.unwrap_or(done));
                bar.set_position(done);
                if current != path {
                    // What an earlier run brought does not count into this one's rate.
                    bar.reset_eta();
                    bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
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
