//! `thisbut report`: per-query results as an HTML page with pictures.

use anyhow::Result;
use std::collections::HashMap;
use std::path::PathBuf;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::fsx;
use thisbut_trainer::page::{Options, Run, page};
use thisbut_trainer::ranges;

/// Images of a ranking that a per-query file has.
const TOP: usize = 10;

/// Write the queries of an evaluation as one HTML page with pictures
///
/// Of one run the worst and the best queries, of two runs the queries that the second answers better and worse than the first.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut evaluate data/fluent --bundle exported --per-query runs/queries.jsonl
  thisbut report runs/queries.jsonl --dataset data/fluent --out report.html")]
pub struct Args {
    /// What a run found: a file of `thisbut evaluate --per-query`.
    run: PathBuf,
    /// What a second run found on the same queries.
    other: Option<PathBuf>,
    /// The data set's folder, for the pictures.
    #[arg(long)]
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Which split's queries.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// The page to write.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Queries in each list.
    #[arg(long, value_name = "N", default_value_t = 24, value_parser = ranges::count)]
    count: usize,
    /// Images of a ranking, at most 10.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = |text: &str| ranges::counted(text, TOP))]
    top: usize,
    /// Title of what is written: the page's heading [default: the runs and the data set].
    #[arg(long)]
    title: Option<String>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut runs = Vec::new();
        for path in [Some(&self.run), self.other.as_ref()].into_iter().flatten() {
            let (run, complaints) = Run::read(path)?;
            super::complain(&complaints, 20);
            runs.push(run);
        }
        if let [first, second] = runs.as_mut_slice()
            && first.name == second.name
        {
            // Files of the same name in two runs' folders.
            for (run, path) in
                [first, second].into_iter().zip([Some(&self.run), self.other.as_ref()].into_iter().flatten())
            {
                run.name = path.display().to_string();
            }
        }
        let options = LoadOptions { images_required: false, strict: false };
        let (table, complaints) = DataSet::open(&self.dataset, self.format)?.load(self.split, &options)?;
        super::complain(&complaints, 20);
        let place = format!("{}, split '{}'", self.dataset.display(), self.split.name());
        for run in &runs {
            run.check(&table, &place)?;
        }
        let files: HashMap<String, PathBuf> = table.images.into_iter().map(|image| (image.name, image.path)).collect();
        let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
        let title = self
            .title
            .clone()
            .unwrap_or_else(|| format!("{} on {} {}", names.join(" and "), self.dataset.display(), self.split.name()));
        let html = page(&runs, &files, &Options { title: &title, count: self.count, top: self.top })?;
        fsx::write_atomic(&self.out, html.as_bytes())?;
        super::print(self.out.display())
    }
}
