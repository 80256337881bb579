//! `thisbut generator quality`: the paper's Table I and Table IVc of generated texts.

use anyhow::{Result, bail};
use std::path::PathBuf;
use thisbut_generator::overlap::Overlap;
use thisbut_generator::quality::{TableFour, TableOne, both_texts, table_four, table_one, texts_of};
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, Table};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::embed;
use thisbut_trainer::evaluate::{Scorer, cached_tokens, target_tokens};
use thisbut_trainer::fsx;
use thisbut_trainer::retriever::Retriever;

/// Measure generated texts as the paper does
///
/// Different words and lengths of the texts and of the captions behind them (the MTST paper's Table I, FACap's Table 1); with --dataset beside a person's texts, with ROUGE-1 and METEOR
/// against these; with --checkpoint retrieval with the generated texts in the place of a person's (Table IVc).
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator quality runs/triplets.jsonl --dataset data/fluent \\
    --checkpoint runs/finetune/final.safetensors")]
pub struct Args {
    /// Generated triplets: a file of `thisbut generator generate`. For --checkpoint, of the data set's own pairs.
    triplets: PathBuf,
    /// Captions of the images: a file of `thisbut describe` [default: those in the triplets' own rows].
    #[arg(long, value_name = "FILE")]
    captions: Option<PathBuf>,
    /// The data set's folder, for a person's texts.
    #[arg(long)]
    dataset: Option<PathBuf>,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Which split's texts and queries.
    #[arg(long, value_enum, default_value = "val")]
    split: Split,
    /// A checkpoint of `thisbut finetune` or `thisbut pretrain`, which answers both texts.
    #[arg(long, requires = "dataset")]
    checkpoint: Option<PathBuf>,
    /// The cache of `thisbut features` [default: PRESET.features in the data set's folder].
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// Write the figures here as JSON.
    #[arg(long, value_name = "FILE", alias = "json")]
    figures: Option<PathBuf>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

#[derive(serde::Serialize)]
struct Answer {
    texts: TableOne,
    /// Of the generated texts with a person's of the same pairs.
    overlap: Option<Overlap>,
    retrieval: Option<TableFour>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let annotated = match &self.dataset {
            Some(root) => {
                // Words need no pictures; retrieval needs those of the cache only.
                let options = LoadOptions { images_required: false, strict: false };
                let (table, complaints) = DataSet::open(root, self.format)?.load(self.split, &options)?;
                crate::cli::complain(&complaints, 20);
                Some((format!("a person's, {}", self.split.name()), table))
            }
            None => None,
        };
        let beside = annotated.as_ref().map(|(name, table)| (name.as_str(), table));
        let (texts, complaints) = table_one(&self.triplets, beside, self.captions.as_deref())?;
        super::complain(&complaints);
        crate::cli::print(&texts)?;
        let overlap = annotated.as_ref().map(|(_, table)| self.overlap(table)).transpose()?;
        if let Some(overlap) = overlap.filter(|overlap| overlap.texts > 0) {
            crate::cli::print(format_args!("With a person's texts of the same pairs: {overlap}"))?;
        }
        let retrieval = match (&self.checkpoint, annotated) {
            (Some(path), Some((_, table))) => {
                let found = self.retrieval(path, table)?;
                crate::cli::print(&found)?;
                Some(found)
            }
            _ => None,
        };
        if let Some(path) = &self.figures {
            fsx::write_atomic(path, serde_json::to_string_pretty(&Answer { texts, overlap, retrieval })?.as_bytes())?;
        }
        Ok(())
    }

    /// ROUGE-1 and METEOR of every generated text whose pair a person has described, whole file.
    fn overlap(&self, table: &Table) -> Result<Overlap> {
        let found = texts_of(&self.triplets, table)?;
        let pairs = table.triplets.iter().filter_map(|triplet| {
            let generated = found.get(&(triplet.reference, *triplet.targets.first()?))?;
            Some((triplet.text.as_str(), generated.as_str()))
        });
        Ok(Overlap::of(pairs))
    }

    fn retrieval(&self, checkpoint: &std::path::Path, table: Table) -> Result<TableFour> {
        let all = table.triplets.len();
        let found = texts_of(&self.triplets, &table)?;
        let (original, generated) = both_texts(table, &found);
        if original.triplets.is_empty() {
            bail!(
                "{}: has no text for a pair of the split '{}'; generate with that split's pairs \
                 (docs/guides/text-generator.md)",
                self.triplets.display(),
                self.split.name()
            );
        }
        let device = choose(self.device)?;
        let retriever = Retriever::load(checkpoint, &self.weights, &device)?;
        let cache = match (&self.features, &self.dataset) {
            (Some(path), _) => path.clone(),
            (None, Some(root)) => crate::cli::features_path(root, retriever.config()),
            (None, None) => bail!("--features: give the cache of `thisbut features`"),
        };
        let features = retriever.features(&cache, &self.weights)?;
        let rows = embed::rows(&original, &features)?;
        let tokens = cached_tokens(&features, &rows, &device);
        let subject = retriever.subject(&tokens);
        let bar = crate::cli::progress("images");
        let targets = target_tokens(&subject, &original, &mut |done, all| crate::cli::advance(&bar, done, all))?;
        bar.finish_and_clear();
        let scorer = Scorer::Exact(targets, retriever.config().target_tokens, retriever.config().projection);
        let bar = crate::cli::progress("queries");
        let tables = (&original, &generated);
        let found = table_four(&subject, tables, all, &scorer, &mut |done, all| crate::cli::advance(&bar, done, all))?;
        bar.finish_and_clear();
        Ok(found)
    }
}
