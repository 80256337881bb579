//! `thisbut report`: per-query results as an HTML page with pictures.

use anyhow::Result;
use std::collections::HashMap;
use std::path::PathBuf;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::fsx;
use thisbut_trainer::page::{Options, Reasons, Run, page, shown};
use thisbut_trainer::why::heat::{self, Heat};
use thisbut_trainer::{ranges, why};

const WHY: &str = "What counted";
/// Phrases of a query that get a picture, and a picture's longest side in pixels.
const PHRASES: usize = 5;
const SIDE: u32 = 144;

/// Images of a ranking that a per-query file has.
const TOP: usize = 10;

/// Write the queries of an evaluation as one HTML page with pictures
///
/// Of one run the worst and the best queries, of two runs the queries that the second answers better and worse than the first.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut evaluate data/fluent --bundle exported --per-query runs/queries.jsonl
  thisbut report runs/queries.jsonl --dataset data/fluent --bundle exported --out report.html")]
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
    /// Show what counted in each query, by the attention of this bundle's model.
    #[arg(long, value_name = "FOLDER", help_heading = WHY, conflicts_with = "checkpoint")]
    bundle: Option<PathBuf>,
    /// The same by the attention of this checkpoint's model.
    #[arg(long, value_name = "FILE", help_heading = WHY)]
    checkpoint: Option<PathBuf>,
    /// The folder of base weights, for a checkpoint's image encoder and vocabulary.
    #[arg(long, default_value = "data/weights", help_heading = WHY, hide_short_help = true)]
    weights: PathBuf,
    /// What the attention is computed on.
    #[arg(long, value_enum, default_value_t, help_heading = WHY)]
    device: DeviceKind,
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
        let reasons = self.reasons(&runs, &files)?;
        let options = Options { title: &title, count: self.count, top: self.top, reasons: reasons.as_ref() };
        let html = page(&runs, &files, &options)?;
        fsx::write_atomic(&self.out, html.as_bytes())?;
        super::print(self.out.display())
    }

    /// What counted in the queries that the page shows, where a model is given; nothing of a text without words or a
    /// reference without a file.
    fn reasons(&self, runs: &[Run], files: &HashMap<String, PathBuf>) -> Result<Option<HashMap<u64, Reasons>>> {
        let retrieval = match (&self.bundle, &self.checkpoint) {
            (Some(root), _) => why::of_bundle(root, &choose(self.device)?)?,
            (None, Some(path)) => why::of_checkpoint(path, &self.weights, &choose(self.device)?)?,
            (None, None) => return Ok(None),
        };
        let mut reasons = HashMap::new();
        for answer in shown(runs, self.count)? {
            let silent = retrieval.texts().tokens(&answer.text).is_empty();
            let Some(path) = files.get(&answer.reference).filter(|path| path.is_file() && !silent) else { continue };
            let (image, picture) = why::encoded(&retrieval, path)?;
            let found = why::explain(&retrieval, &image, (picture.width, picture.height), &answer.text)?;
            let (cols, frame) = (found.cols, found.frame);
            let png = |grid: &[f32]| heat::png(path, SIDE, &Heat { grid, cols, frame });
            let mut pictures = vec![("the whole query".to_owned(), png(&found.grid)?)];
            for phrase in found.phrases.iter().take(PHRASES) {
                pictures.push((format!("“{}”", phrase.text), png(&phrase.grid)?));
            }
            reasons.insert(answer.id, Reasons { words: why::words(&found.words), pictures });
        }
        Ok(Some(reasons))
    }
}
