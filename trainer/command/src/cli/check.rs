//! `thisbut check`: a data set's counts, beside the published ones, and complaints.

use anyhow::{Result, bail};
use rayon::prelude::*;
use std::path::PathBuf;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, Table, published};
use thisbut_trainer::images;
use thisbut_trainer::terminal::line;

/// Count a data set's triplets and images, and say what is wrong with it
///
/// The counts stand beside the published ones. Complaints are about missing and unreadable images, double ids, empty captions,
/// and rows that cannot be used.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut check data/fluent --strict")]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Which split [default: each that is there].
    #[arg(long, value_enum)]
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
    #[arg(long, value_name = "N", alias = "limit", default_value_t = 20)]
    complaints: usize,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let data = DataSet::open(&self.dataset, self.format)?;
        let splits = match self.split {
            Some(split) => vec![split],
            None => data.splits(),
        };
        // A format that was told may find no split; the loader's own message then says what is missing.
        let splits = if splits.is_empty() { vec![Split::Train] } else { splits };
        let options = LoadOptions { images_required: !self.no_images, strict: false };
        let (mut total, mut answers) = (0, serde_json::Map::new());
        for split in splits {
            let (table, complaints) = data.load(split, &options)?;
            let mut complaints: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            if self.decode {
                complaints.extend(undecodable(&table));
            }
            let published = published::counts(data.format, split, &table);
            for count in published.iter().filter(|count| count.loaded != count.published) {
                complaints.push(format!(
                    "{} {}: {} are published for {}, {} were loaded",
                    data.format.name(),
                    split.name(),
                    count.published,
                    count.what,
                    count.loaded
                ));
            }
            let counts = table.statistics();
            if self.json {
                let mut value = serde_json::to_value(&counts)?;
                value["complaints"] = complaints.len().into();
                value["format"] = data.format.name().into();
                value["published"] = serde_json::to_value(&published)?;
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
                for (what, named) in [
                    ("groups", &counts.groups),
                    ("images a group is ranked against", &counts.pools),
                    ("kinds", &counts.kinds),
                ] {
                    if !named.is_empty() {
                        let list: Vec<String> = named.iter().map(|(name, n)| format!("{} {n}", line(name))).collect();
                        super::print(format_args!("  {what}: {}", list.join(", ")))?;
                    }
                }
                if !published.is_empty() {
                    let list: Vec<String> = published.iter().map(|c| format!("{} {}", c.what, c.published)).collect();
                    super::print(format_args!("  published ({}): {}", data.format.name(), list.join(", ")))?;
                }
                super::print(format_args!("  {} complaints", complaints.len()))?;
            }
            super::complain(&complaints, self.complaints);
            total += complaints.len();
        }
        if self.json {
            super::print(serde_json::to_string_pretty(&answers)?)?;
        }
        if self.strict && total > 0 {
            let count = if total == 1 { "1 complaint".to_owned() } else { format!("{total} complaints") };
            bail!(
                "{}: {count}, and --strict allows none; mend what is named above, or check without --strict",
                self.dataset.display()
            );
        }
        Ok(())
    }
}

fn undecodable(table: &Table) -> Vec<String> {
    table.images.par_iter().filter_map(|image| images::decode_file(&image.path).err()).map(|e| e.to_string()).collect()
}
