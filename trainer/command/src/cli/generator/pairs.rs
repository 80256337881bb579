//! `thisbut generator pairs`: which two images a modification text should connect.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::{DataSet, LoadOptions, Split, Triplet};
use thisbut_trainer::features::Features;
use thisbut_trainer::fsx;
use thisbut_trainer::pairs::Pairs;
use thisbut_trainer::pairs::near::{Item, Reading, neighbours, nine, subgroups, unpaired};
use thisbut_trainer::pairs::nlvr2::{self, PUBLISHED_SETS, own_sets, recurring_sets, synsets, unordered};
use thisbut_trainer::pairs::rules::{all_ordered, capped, generator, sets_of};
use thisbut_trainer::pairs::sources::{self, Row};
use thisbut_trainer::ranges;

/// Choose the pairs of images that get modification texts
///
/// Each rule that is given a file names pairs; repeats are removed across rules. `thisbut rewrite` writes texts for them from
/// captions, `thisbut generator generate` from the images. `--subgroups captions.jsonl` is SynCir's rule over the images
/// that `thisbut describe` has captioned, `--neighbours` FACap's.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut pairs --subgroups captions.jsonl --features photos/web-s.features --out pairs.jsonl
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
    /// Which split of --annotated [default: val], and of a data set of --neighbours [default: every one].
    #[arg(long, value_enum, help_heading = RULES)]
    split: Option<Split>,
    /// With --annotated: the pairs of the first so many triplets, those that `finetune --first` reads; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "annotated", help_heading = RULES)]
    first: usize,
    /// Images that share a label in a FashionIQ attribute file, at most --cap times the label's images (MTST).
    #[arg(long, value_name = "JSON", help_heading = RULES)]
    labels: Vec<PathBuf>,
    /// New sets of six from the images of one category, all ordered pairs of each (MTST): a CSV with image, category.
    #[arg(long, value_name = "CSV", help_heading = RULES)]
    categories: Vec<PathBuf>,
    /// Images of NLVR2's published files, by --nlvr2-sets (MTST).
    #[arg(long, value_name = "JSON", help_heading = RULES)]
    nlvr2: Vec<PathBuf>,
    /// Which sets of NLVR2's images: its own, or new ones of one synset.
    ///
    /// Which sets of NLVR2's images: `own`: those that one search found, up to eight images, all ordered pairs of each;
    /// `recurring`: --sets new sets of six of one synset, in which images recur and no two meet twice, 15 pairs of each.
    #[arg(long, value_enum, default_value_t, requires = "nlvr2", help_heading = RULES, hide_short_help = true)]
    nlvr2_sets: Nlvr2Sets,
    /// With --nlvr2-sets recurring: how many; the paper's 707,745 pairs are 15 of each of 47,183.
    #[arg(long, value_name = "N", default_value_t = PUBLISHED_SETS, help_heading = RULES, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    sets: usize,
    /// Write where the NLVR2 images of the pairs lie, for --images of `features` and `pretrain`.
    #[arg(long, value_name = "JSON", requires = "nlvr2", help_heading = RULES, hide_short_help = true)]
    split_file: Option<PathBuf>,
    /// Images of one group of a CSV (image, category), at most --cap times the group's images.
    #[arg(long, value_name = "CSV", help_heading = RULES)]
    groups: Vec<PathBuf>,
    /// Pairs a label or group at most, as a multiple of its images.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = ranges::count, help_heading = RULES)]
    cap: usize,
    /// One of the 20 nearest of the same category and source (FACap): image, category, source, product of each.
    ///
    /// One of the 20 nearest of the same category and source, other views of the product left out (FACap): a CSV with
    /// image, category, source, product, a .jsonl file of captions that has them, or the folder of Fashion200k,
    /// DeepFashion-MultiModal or FashionIQ. Needs --features.
    #[arg(long, value_name = "FILE", requires = "features", help_heading = RULES)]
    neighbours: Vec<PathBuf>,
    /// Subgroups of six by feature distance, nine pairs each (SynCir), of the images of a file of captions, or of a CSV.
    ///
    /// Subgroups of six by feature distance, one begun at each image, nine pairs each (SynCir): a .jsonl file of captions
    /// (`thisbut describe`), or a CSV with image, category. Needs --features.
    #[arg(long, value_name = "FILE", requires = "features", help_heading = RULES)]
    subgroups: Vec<PathBuf>,
    /// How the subgroups' 0.94 and 0.002 are read.
    #[arg(long, value_enum, default_value_t, requires = "subgroups", help_heading = RULES, hide_short_help = true)]
    subgroups_by: Reading,
}

/// Sets of NLVR2's images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Nlvr2Sets {
    /// Its own.
    #[default]
    Own,
    /// New ones.
    Recurring,
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
            let (table, complaints) = DataSet::open(folder, None)?.load(self.split.unwrap_or(Split::Val), &options)?;
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
        let places = self.nlvr2(&mut pairs)?;
        for file in &self.groups {
            for (group, images) in by_category(sources::table(file)?) {
                pairs.add("groups", capped(&images, self.cap, &mut generator(self.seed, &group)));
            }
        }
        if let Some(cache) = &self.features {
            self.by_features(&Features::open(cache)?, &mut pairs)?;
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
        if let Some(file) = &self.split_file {
            let used = pairs.pairs().iter().flat_map(|pair| [&pair.reference, &pair.target]);
            let used: BTreeMap<&String, &String> =
                used.filter_map(|name| Some((name, &places.get(name)?.path))).collect();
            fsx::write_atomic(file, &serde_json::to_vec_pretty(&used)?)?;
        }
        crate::cli::print(format_args!("{:<12} {:>9} {:>9} {:>9}", "rule", "groups", "pairs", "new"))?;
        for (rule, count) in pairs.counts() {
            crate::cli::print(format_args!("{rule:<12} {:>9} {:>9} {:>9}", count.groups, count.named, count.new))?;
        }
        let drawn = if self.limit.is_some() { ", drawn from the new ones" } else { "" };
        crate::cli::print(format_args!("{}: {} pairs{drawn}", self.out.display(), pairs.pairs().len()))
    }
}

impl Args {
    /// The pairs of NLVR2's images; returns these by name.
    fn nlvr2(&self, pairs: &mut Pairs) -> Result<nlvr2::Images> {
        let mut images = nlvr2::Images::new();
        for file in &self.nlvr2 {
            let (found, complaints) = nlvr2::read(file)?;
            crate::cli::complain(&complaints, 20);
            images.extend(found);
        }
        match self.nlvr2_sets {
            _ if self.nlvr2.is_empty() => {}
            Nlvr2Sets::Own => own_sets(&images).iter().for_each(|set| pairs.add("nlvr2-own", all_ordered(set))),
            Nlvr2Sets::Recurring => {
                for set in recurring_sets(&synsets(&images), self.sets, self.seed)? {
                    pairs.add("nlvr2-recurring", unordered(&set));
                }
            }
        }
        Ok(images)
    }

    /// The images of a file of --neighbours, or of a data set whose files name their categories.
    fn rows(&self, place: &Path, features: &Features) -> Result<Vec<Row>> {
        if !place.is_dir() {
            return Ok(sources::table(place)?);
        }
        let rows = sources::of_data_set(place, self.split)?;
        let (rows, complaints) = sources::usable(rows, features, place);
        crate::cli::complain(&complaints, 20);
        if rows.is_empty() {
            bail!("{}: no image has a category and features; give the cache of this data set", place.display());
        }
        Ok(rows)
    }

    /// The pairs that hang on features.
    fn by_features(&self, features: &Features, pairs: &mut Pairs) -> Result<()> {
        let named = |items: &[Item], (a, b): (usize, usize)| (items[a].name.clone(), items[b].name.clone());
        for file in &self.neighbours {
            let items = sources::items(&self.rows(file, features)?, features)?;
            let found = neighbours(&items, &mut generator(self.seed, "neighbours"))?;
            for pair in &found {
                pairs.add("neighbours", [named(&items, *pair)]);
            }
            say_unpaired(file, items.len(), &unpaired(&items, &found));
        }
        for file in &self.subgroups {
            let items = sources::items(&sources::table(file)?, features)?;
            let groups = subgroups(&items, self.subgroups_by)?;
            for group in &groups {
                pairs.add("subgroups", nine(group).into_iter().map(|pair| named(&items, pair)));
            }
            let without = items.len() - groups.len();
            if without > 0 {
                crate::cli::note(format_args!(
                    "{}: {without} of {} images begin no subgroup: too few neighbours keep the distances",
                    file.display(),
                    items.len()
                ));
            }
        }
        Ok(())
    }
}

/// Says which categories have images without a pair.
fn say_unpaired(file: &Path, all: usize, unpaired: &BTreeMap<&str, usize>) {
    let count: usize = unpaired.values().sum();
    if count == 0 {
        return;
    }
    let first: Vec<String> = unpaired.iter().take(5).map(|(category, count)| format!("{category} ({count})")).collect();
    let more = if unpaired.len() > first.len() { ", …" } else { "" };
    crate::cli::note(format_args!(
        "{}: {count} of {all} images have no pair, as no other product is of their category and source: {}{more}",
        file.display(),
        first.join(", ")
    ));
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
