//! `thisbut check`: a data set's counts and complaints.

use anyhow::{Result, bail};
use rayon::prelude::*;
use std::path::PathBuf;
use thisbut::data::{LoadOptions, Split, Table, cirr};
use thisbut::images;

/// Load a data set in CIRR's layout and print its counts and everything that is wrong with it.
#[derive(clap::Args)]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// Only this split (default: each that is there).
    #[arg(long)]
    split: Option<Split>,
    /// Don't ask for the image files.
    #[arg(long)]
    no_images: bool,
    /// Also decode every image (slow).
    #[arg(long, conflicts_with = "no_images")]
    decode: bool,
    /// Fail when there is any complaint.
    #[arg(long)]
    strict: bool,
    /// Complaints to print for each split.
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let splits = match self.split {
            Some(split) => vec![split],
            None => cirr::splits(&self.dataset),
        };
        // Without any split the loader's own message says what is missing.
        let splits = if splits.is_empty() { vec![Split::Train] } else { splits };
        let options = LoadOptions { images_required: !self.no_images, strict: false };
        let (mut total, mut answers) = (0, serde_json::Map::new());
        for split in splits {
            let (table, complaints) = cirr::load(&self.dataset, split, &options)?;
            let mut complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            if self.decode {
                complaints.extend(undecodable(&table));
            }
            let counts = table.statistics();
            if self.json {
                let mut value = serde_json::to_value(&counts)?;
                value["complaints"] = complaints.len().into();
                answers.insert(split.name().to_owned(), value);
            } else {
                super::print(format_args!(
                    "{}: {} triplets, {} images, gallery of {}\n  {} unique words, {:.1} words a text\n  {} with several right targets, {} with a subset, {} with a reverse text, {} between people, {} without a target",
                    split.name(),
                    counts.triplets,
                    counts.images,
                    counts.gallery,
                    counts.unique_words,
                    counts.mean_words,
                    counts.several_targets,
                    counts.with_subset,
                    counts.with_reverse,
                    counts.people,
                    counts.without_targets
                ))?;
                for (what, named) in [("groups", &counts.groups), ("kinds", &counts.kinds)] {
                    if !named.is_empty() {
                        let list: Vec<String> = named.iter().map(|(name, n)| format!("{name} {n}")).collect();
                        super::print(format_args!("  {what}: {}", list.join(", ")))?;
                    }
                }
                super::print(format_args!("  {} complaints", complaints.len()))?;
            }
            super::complain(&complaints, self.limit);
            total += complaints.len();
        }
        if self.json {
            super::print(serde_json::to_string_pretty(&answers)?)?;
        }
        if self.strict && total > 0 {
            bail!(
                "{}: {total} complaints; mend what is named above, or check without --strict",
                self.dataset.display()
            );
        }
        Ok(())
    }
}

fn undecodable(table: &Table) -> Vec<String> {
    table.images.par_iter().filter_map(|image| images::decode_file(&image.path).err()).map(|e| e.to_string()).collect()
}
