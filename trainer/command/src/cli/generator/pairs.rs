//! `thisbut generator pairs`: which two images a modification text should connect.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{DataSet, LoadOptions, Split, Triplet};
use thisbut_trainer::features::Features;
use thisbut_trainer::pairs::Pairs;
use thisbut_trainer::pairs::near::{Item, neighbours, nine, subgroups};
use thisbut_trainer::pairs::rules::{all_ordered, capped, generator, sets_of};
use thisbut_trainer::pairs::sources::{self, Row};
use thisbut_trainer::ranges;

/// Choose the pairs of images that the generator writes texts for
///
/// Each rule that is given a file names pairs; repeats are removed across rules.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator pairs --annotated data/fluent --split train --limit 2000 --out runs/pairs.jsonl")]
pub struct Args {
    /// The file to write: one {"reference", "target", "rule"} a line.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// At most so many pairs, drawn at random; a pair and its swapped twin stay or go together.
    #[arg(long, value_name = "N", alias = "most", value_parser = ranges::count)]
    limit: Option<usize>,
    /// The cache of `thisbut features`.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// All ordered pairs of the image sets in a CIRR captions file (MTST).
    #[arg(long, value_name = "JSON", help_heading = RULES)]
    cirr_sets: Vec<PathBuf>,
    /// Leave out the pairs that the --cirr-sets files have texts for.
    #[arg(long, help_heading = RULES)]
    without_annotated: bool,
    /// The pairs that a data set has texts for: to compare generated texts with a person's, or to write the reverse ones.
    #[arg(long, value_name = "FOLDER", help_heading = RULES)]
    annotated: Vec<PathBuf>,
    /// With --annotated: which split.
    #[arg(long, value_enum, default_value = "val", requires = "annotated", help_heading = RULES)]
    split: Split,
    /// With --annotated: the pairs of the first so many triplets, those that `finetune --first` reads; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "annotated", help_heading = RULES)]
    first: usize,
    /// Images that share a label in a FashionIQ attribute file, at most --cap times the label's images (MTST).
    #[arg(long, value_name = "JSON", help_heading = RULES)]
    labels: Vec<PathBuf>,
    /// New sets of six from the images of one category, all ordered pairs of each (MTST): a CSV with image, category.
    #[arg(long, value_name = "CSV", help_heading = RULES)]
    categories: Vec<PathBuf>,
    /// Images of one group of a CSV (image, category), at most --cap times the group's images.
    #[arg(long, value_name = "CSV", help_heading = RULES)]
    groups: Vec<PathBuf>,
    /// Pairs a label or group at most, as a multiple of its images.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = ranges::count, help_heading = RULES)]
    cap: usize,
    /// One of the 20 nearest of the same category and source (FACap): a CSV with image, category, source, product.
    ///
    /// One of the 20 nearest of the same category and source, other views of the product left out (FACap): a CSV with
    /// image, category, source, product. Needs --features.
    #[arg(long, value_name = "CSV", requires = "features", help_heading = RULES)]
    neighbours: Vec<PathBuf>,
    /// Subgroups of six by feature distance, nine pairs each (SynCir): a CSV with image, category.
    ///
    /// Subgroups of six by feature distance, nine pairs each (SynCir): a CSV with image, category. Needs --features.
    #[arg(long, value_name = "CSV", requires = "features", help_heading = RULES)]
    subgroups: Vec<PathBuf>,
}

const RULES: &str = "Rules";

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut pairs = Pairs::new();
        for file in &self.cirr_sets {
            let (sets, annotated) = sources::cirr_sets(file)?;
            if self.without_annotated {
                pairs.exclude(annotated);
            }
            sets.values().for_each(|set| pairs.add("cirr-sets", all_ordered(set)));
        }
        for folder in &self.annotated {
            let options = LoadOptions { images_required: false, strict: false };
            let (table, complaints) = DataSet::open(folder, None)?.load(self.split, &options)?;
            crate::cli::complain(&complaints, 20);
            let name = |at: u32| table.images.get(at as usize).map(|image| image.name.clone());
            let pair = |t: &Triplet| Some((name(t.reference)?, name(*t.targets.first()?)?));
            let first = if self.first == 0 { usize::MAX } else { self.first };
            pairs.add("annotated", table.triplets.iter().take(first).filter_map(pair));
        }
        for file in &self.labels {
            for (label, images) in sources::labels(file)? {
                let mut rng = generator(self.seed, &format!("{} {label}", name(file)));
                pairs.add("labels", capped(&images, self.cap, &mut rng));
            }
        }
        for file in &self.categories {
            for (category, images) in by_category(sources::table(file)?) {
                for set in sets_of(&images, &mut generator(self.seed, &category)) {
                    pairs.add("categories", all_ordered(&set));
                }
            }
        }
        for file in &self.groups {
            for (group, images) in by_category(sources::table(file)?) {
                pairs.add("groups", capped(&images, self.cap, &mut generator(self.seed, &group)));
            }
        }
        if let Some(cache) = &self.features {
            let features = Features::open(cache, None)?;
            let named = |items: &[Item], (a, b): (usize, usize)| (items[a].name.clone(), items[b].name.clone());
            for file in &self.neighbours {
                let items = sources::items(&sources::table(file)?, &features)?;
                for pair in neighbours(&items, &mut generator(self.seed, "neighbours")) {
                    pairs.add("neighbours", [named(&items, pair)]);
                }
            }
            for file in &self.subgroups {
                let items = sources::items(&sources::table(file)?, &features)?;
                for group in subgroups(&items) {
                    pairs.add("subgroups", nine(&group).into_iter().map(|pair| named(&items, pair)));
                }
            }
        }
        if pairs.counts().is_empty() {
            bail!("no rule was given a file; see `thisbut generator pairs --help`");
        }
        if let Some(limit) = self.limit {
            pairs.sample(limit, &mut generator(self.seed, "most"));
        }
        if pairs.pairs().is_empty() {
            bail!("{}: no pair is left to write; check the files, and that --limit is at least 2", self.out.display());
        }
        pairs.write(&self.out)?;
        crate::cli::print(format_args!("{:<12} {:>9} {:>9} {:>9}", "rule", "groups", "pairs", "new"))?;
        for (rule, count) in pairs.counts() {
            crate::cli::print(format_args!("{rule:<12} {:>9} {:>9} {:>9}", count.groups, count.named, count.new))?;
        }
        let drawn = if self.limit.is_some() { ", drawn from the new ones" } else { "" };
        crate::cli::print(format_args!("{}: {} pairs{drawn}", self.out.display(), pairs.pairs().len()))
    }
}

fn by_category(rows: Vec<Row>) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in rows {
        found.entry(row.category).or_default().push(row.image);
    }
    found
}

/// A file's own name: the draw must not hang on where the file lies.
fn name(file: &Path) -> String {
    file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}
