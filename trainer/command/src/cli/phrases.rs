//! `thisbut phrases`: the noun phrases of texts.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, Table, Triplet, derive};
use thisbut_trainer::phrases::Rule;
use thisbut_trainer::phrases::file::{Phrased, fill, write};
use thisbut_trainer::ranges;

/// Show the noun phrases of texts, which concept consistency compares
///
/// Those that hold others come first, as ConText-CIR keeps them. A file of --out is one that `thisbut finetune --phrases` reads,
/// after it was corrected, say.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut phrases --text 'a red dog with longer sleeves'
  thisbut phrases data/fluent --split train --out runs/phrases.jsonl")]
pub struct Args {
    /// The data set's folder.
    #[arg(required_unless_present = "text")]
    dataset: Option<PathBuf>,
    /// A text in the place of a data set's.
    #[arg(long, conflicts_with = "dataset")]
    text: Vec<String>,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Which split.
    #[arg(long, value_enum, default_value = "train")]
    split: Split,
    /// Only the first so many triplets; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: usize,
    /// Most phrases of a text.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = ranges::count)]
    most_phrases: usize,
    /// Leave out the phrases that hold others.
    #[arg(long)]
    leaf_phrases: bool,
    /// A file of phrases in the place of the rules.
    #[arg(long, value_name = "FILE")]
    phrases: Option<PathBuf>,
    /// Write texts and phrases here, as JSON lines.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut table = self.table()?;
        if self.first > 0 {
            table.triplets.truncate(self.first);
        }
        let rule = Rule { most: self.most_phrases, leaves_only: self.leaf_phrases };
        let filled = fill(&mut table, rule, self.phrases.as_deref())?;
        super::complain(&filled.complaints, 20);
        super::note(format_args!("{} texts, {} without a noun phrase", filled.texts, filled.without));
        let rows: Vec<Phrased> =
            table.triplets.into_iter().map(|t| Phrased { text: t.text, phrases: t.phrases }).collect();
        if let Some(out) = &self.out {
            write(out, &rows)?;
            return super::print(out.display());
        }
        for Phrased { text, phrases } in rows {
            super::print(text)?;
            phrases.iter().try_for_each(|phrase| super::print(format_args!("  {phrase}")))?;
        }
        Ok(())
    }

    fn table(&self) -> Result<Table> {
        let Some(dataset) = &self.dataset else {
            let triplet = |text: &String| Triplet { text: text.clone(), ..Triplet::default() };
            return Ok(Table { triplets: self.text.iter().map(triplet).collect(), ..Table::default() });
        };
        let options = LoadOptions { images_required: false, strict: false };
        let (mut table, complaints) = DataSet::open(dataset, self.format)?.load(self.split, &options)?;
        super::complain(&complaints, 20);
        derive::spread_wordings(&mut table);
        if table.triplets.is_empty() {
            bail!("{}: its {} split has no texts; give another --split", dataset.display(), self.split.name());
        }
        Ok(table)
    }
}
