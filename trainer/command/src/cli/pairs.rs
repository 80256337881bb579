//! `thisbut pairs`: which two images a modification text should connect.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{DataSet, LoadOptions, Split, Triplet};
use thisbut_trainer::features::Features;
use thisbut_trainer::pairs::Pairs;
use thisbut_trainer::pairs::near::{Item, neighbours, nine, subgroups};
use thisbut_trainer::pairs::rules::{all_ordered, capped, generator, sets_of};
use thisbut_trainer::pairs::sources::{self, Row};

/// Mine image pairs for the modification-text generator: each rule that is given a file, repeats removed across rules.
#[derive(clap::Args)]
pub struct Args {
    /// The file to write: one {"reference", "target", "rule"} a line.
    #[arg(long)]
    out: PathBuf,
    /// All ordered pairs of the image sets in a CIRR captions file (MTST).
    #[arg(long, value_name = "JSON")]
    cirr_sets: Vec<PathBuf>,
    /// The pairs that a data set has texts for: to compare generated texts with a person's, or to write the reverse ones.
    #[arg(long, value_name = "FOLDER")]
    annotated: Vec<PathBuf>,
    /// With --annotated: which pairs.
    #[arg(long, value_enum, default_value = "val", requires = "annotated")]
    split: Split,
    /// With --annotated: the pairs of the first so many triplets, those that `finetune --first` reads (0: all).
    #[arg(long, default_value_t = 0, requires = "annotated")]
    first: usize,
    /// Images that share a label in a FashionIQ attribute file, at most --cap times the label's images (MTST).
    #[arg(long, value_name = "JSON")]
    labels: Vec<PathBuf>,
    /// New sets of six from the images of one category, all ordered pairs of each (MTST): a CSV with image, category.
    #[arg(long, value_name = "CSV")]
    categories: Vec<PathBuf>,
    /// Images of one group of a CSV (image, category), at most --cap times the group's images.
    #[arg(long, value_name = "CSV")]
    groups: Vec<PathBuf>,
    /// One of the 20 nearest of the same category and source, other views of the product left out (FACap): a CSV with
    /// image, category, source, product. Needs --features.
    #[arg(long, value_name = "CSV", requires = "features")]
    neighbours: Vec<PathBuf>,
    /// Subgroups of six by feature distance, nine pairs each (SynCir): a CSV with image, category. Needs --features.
    #[arg(long, value_name = "CSV", requires = "features")]
    subgroups: Vec<PathBuf>,
    /// The cache of `thisbut features`.
    #[arg(long)]
    features: Option<PathBuf>,
    /// Pairs a label or group at most, as a multiple of its images.
    #[arg(long, default_value_t = 3)]
    cap: usize,
    /// Leave out the pairs that the --cirr-sets files have texts for.
    #[arg(long)]
    without_annotated: bool,
    /// Keep so many pairs at most, drawn at random; a pair and its swapped twin stay or go together.
    #[arg(long)]
    most: Option<usize>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

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
            super::complain(&complaints, 20);
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
            bail!("no rule was given a file; see `thisbut pairs --help`");
        }
        if let Some(most) = self.most {
            pairs.sample(most, &mut generator(self.seed, "most"));
        }
        if pairs.pairs().is_empty() {
            bail!("{}: no pair is left to write; check the files, and that --most is at least 2", self.out.display());
        }
        pairs.write(&self.out)?;
        super::print(format_args!("{:<12} {:>9} {:>9} {:>9}", "rule", "groups", "pairs", "new"))?;
        for (rule, count) in pairs.counts() {
            super::print(format_args!("{rule:<12} {:>9} {:>9} {:>9}", count.groups, count.named, count.new))?;
        }
        let drawn = if self.most.is_some() { ", drawn from the new ones" } else { "" };
        super::print(format_args!("{}: {} pairs{drawn}", self.out.display(), pairs.pairs().len()))
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
