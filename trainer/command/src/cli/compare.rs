//! `thisbut compare`: runs and seeds side by side, with paired tests.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_trainer::compare::{Group, compare};
use thisbut_trainer::fsx;

/// Compare runs on the same queries: mean and deviation over seeds, paired tests
///
/// Files that have the same name before the equals sign are one run's seeds. Every run is compared with the first one, query
/// by query: exact two-sided sign test, and a bootstrap interval of the difference.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut evaluate data/fluent --checkpoint runs/a1/final.safetensors --per-query a1.jsonl
  thisbut compare base=a1.jsonl base=a2.jsonl ours=b1.jsonl ours=b2.jsonl")]
pub struct Args {
    /// Files of `thisbut evaluate --per-query`, each as NAME=FILE, or FILE alone.
    #[arg(required = true, value_name = "NAME=FILE")]
    runs: Vec<String>,
    /// Write the figures here as JSON.
    #[arg(long, value_name = "FILE")]
    figures: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut groups: Vec<Group> = Vec::new();
        for given in &self.runs {
            let (name, file) = given.split_once('=').unwrap_or((given, given));
            if name.is_empty() || file.is_empty() {
                bail!("{given}: is not NAME=FILE");
            }
            match groups.iter_mut().find(|group| group.name == name) {
                Some(group) if group.files.iter().any(|known| known.as_os_str() == file) => {
                    bail!("{file}: is given twice for {name}");
                }
                Some(group) => group.files.push(file.into()),
                None => groups.push(Group { name: name.to_owned(), files: vec![file.into()] }),
            }
        }
        let found = compare(&groups)?;
        if let Some(path) = &self.figures {
            fsx::write_atomic(path, serde_json::to_string_pretty(&found)?.as_bytes())?;
        }
        super::print(found)
    }
}
