//! `thisbut generator compare`, `check` and `score`: what people say of generated texts.

use anyhow::{Result, bail};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use thisbut_generator::texts::{self, Complaints, Text};
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split};
use thisbut_trainer::fsx;
use thisbut_trainer::page::judge::score::score;
use thisbut_trainer::page::judge::{Draw, Drawn, Filled, Key, Kind, page, pictured};

/// Pairs drawn beyond those that the page shows, for pictures that cannot be read.
const SPARE: usize = 64;

/// What both pages need.
#[derive(clap::Args)]
struct Sheet {
    /// The data set's folder, for the pictures.
    #[arg(long)]
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Pairs on the page.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = thisbut_trainer::ranges::count)]
    count: usize,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The page to write. Its key lies beside it, ending in `.key.json`.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Title of what is written: the page's heading [default: what is asked].
    #[arg(long)]
    title: Option<String>,
}

/// Write a page for a blind comparison of two texts for each pair
///
/// Each pair's pictures and two texts stand in a random order: a person's and the generated one, or two generators'. The page is one file without any word about whose texts they are; that stands in the key beside it, for `score`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator compare runs/triplets.jsonl --dataset data/fluent --out compare.html")]
pub struct Compare {
    /// Generated triplets: a file of `thisbut generator generate`.
    triplets: PathBuf,
    /// Another generator's texts for the same pairs [default: the data set's own texts].
    other: Option<PathBuf>,
    /// Which split's texts, without a second file.
    #[arg(long, value_enum, default_value = "val")]
    split: Split,
    #[command(flatten)]
    sheet: Sheet,
}

/// Write a page for a reader's check: random triplets with pictures, and buttons for their errors or three scales
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator check runs/triplets.jsonl --dataset data/fluent --count 50 --out check.html
  thisbut generator check runs/triplets.jsonl --dataset data/facap --scales \\
    --out rate.html")]
pub struct Check {
    /// Generated triplets: a file of `thisbut generator generate` or `thisbut rewrite` [default: the data set's own texts].
    triplets: Option<PathBuf>,
    /// Check the texts that lead back.
    #[arg(long, requires = "triplets")]
    reversed: bool,
    /// Ask for numbers from 1 to 5 on faithfulness, details and saliency (FACap), instead of right or wrong.
    #[arg(long)]
    scales: bool,
    /// Which split's texts, without a file.
    #[arg(long, value_enum, default_value = "val")]
    split: Split,
    #[command(flatten)]
    sheet: Sheet,
}

/// Count what people saved from a page of compare or check
///
/// Wins, ties and a sign test for a page of compare, the error rate for a page of check, each with 95 % intervals; for a page of
/// scales means, deviations and how far readers agree.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator score answers-1.json answers-2.json --key compare.key.json")]
pub struct Score {
    /// The files that the page saved, JSON or CSV, one a reader.
    #[arg(required = true)]
    results: Vec<PathBuf>,
    /// The page's key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Write the figures here as JSON.
    #[arg(long, value_name = "FILE", alias = "json")]
    figures: Option<PathBuf>,
}

fn name(path: &Path) -> String {
    path.file_stem().map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned())
}

impl Sheet {
    /// Image files of every split, by name.
    fn files(&self, data: &DataSet) -> Result<HashMap<String, PathBuf>> {
        let mut files = HashMap::new();
        for split in data.splits() {
            let (table, complaints) = data.load(split, &LoadOptions::default())?;
            crate::cli::complain(&complaints, 5);
            files.extend(table.images.into_iter().map(|image| (image.name, image.path)));
        }
        Ok(files)
    }

    fn draw(&self) -> Result<Draw> {
        if self.count == 0 {
            bail!("--count 0: a page needs a pair; give at least 1");
        }
        Ok(Draw::new(self.seed, self.count.saturating_add(SPARE)))
    }

    fn write(
        &self,
        kind: Kind,
        sources: Vec<String>,
        drawn: Vec<Drawn>,
        files: &HashMap<String, PathBuf>,
        title: &str,
    ) -> Result<()> {
        let drawn = pictured(drawn, files, self.count, &mut |problem| crate::cli::note(problem));
        let key = Key::new(kind, self.seed, sources, drawn, self.count)?;
        if key.items.len() < self.count {
            crate::cli::note(format_args!("{} pairs of {}: there are no more", key.items.len(), self.count));
        }
        let path = fsx::beside(&self.out, "key.json");
        let html = page(&key, self.title.as_deref().unwrap_or(title), files);
        // The key first: a page without one could not be counted.
        key.write(&path)?;
        fsx::write_atomic(&self.out, html.as_bytes())?;
        crate::cli::print(format_args!(
            "{}: {} pairs; keep {} to yourself, for `thisbut generator score`",
            self.out.display(),
            key.items.len(),
            path.display()
        ))
    }
}

/// Offers the file's pairs whose images are known; the rest become complaints.
fn offer(
    path: &Path,
    files: &HashMap<String, PathBuf>,
    take: &mut dyn FnMut(Text) -> Result<(), String>,
) -> Result<Complaints> {
    let (mut complaints, mut usable) = (Complaints::default(), 0);
    texts::each(path, &mut |at, _, row| {
        let known = row.and_then(|text| {
            if let Some(name) = [&text.reference, &text.target].into_iter().find(|name| !files.contains_key(*name)) {
                return Err(format!("the data set has no picture of '{name}'"));
            }
            take(text)
        });
        match known {
            Ok(()) => usable += 1,
            Err(problem) => complaints.push(format!("{}, {at}", path.display()), format!("{problem}; left out")),
        }
        Ok(())
    })?;
    complaints.refuse_all(path, usable, "check that the triplets and the data set belong together")?;
    Ok(complaints)
}

impl Compare {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let data = DataSet::open(&self.sheet.dataset, self.sheet.format)?;
        let files = self.sheet.files(&data)?;
        let (sources, others) = match &self.other {
            Some(path) => {
                let names = [name(&self.triplets), name(path)];
                let whole = || [&self.triplets, path].map(|p| p.display().to_string()).to_vec();
                (if names[0] == names[1] { whole() } else { names.to_vec() }, texts_of_file(path, &files)?)
            }
            None => {
                let (table, complaints) = data.load(self.split, &LoadOptions::default())?;
                crate::cli::complain(&complaints, 5);
                let person = format!("a person ({})", self.split.name());
                (vec![name(&self.triplets), person], annotated(&table))
            }
        };
        let (mut draw, mut alike) = (self.sheet.draw()?, 0);
        let complaints = offer(&self.triplets, &files, &mut |text| {
            let Some(other) = others.get(&pair(&text.reference, &text.target)) else { return Ok(()) };
            if other.trim() == text.modifier_generated.trim() {
                alike += 1;
                return Ok(());
            }
            // The other source is the first, so that `score` gives the share of those that prefer the triplets' text.
            draw.offer(&text.reference, &text.target, || vec![other.clone(), text.modifier_generated]);
            Ok(())
        })?;
        super::complain(&complaints);
        if alike > 0 {
            crate::cli::note(format_args!("{alike} pairs have the same text twice and are not drawn"));
        }
        let sources = sources.into_iter().rev().collect();
        self.sheet.write(Kind::Compare, sources, draw.finish(), &files, "Which text is better?")
    }
}

/// A pair as a key of a map.
fn pair(reference: &str, target: &str) -> (String, String) {
    (reference.to_owned(), target.to_owned())
}

/// A person's text for each pair, the first where there are several.
fn annotated(table: &thisbut_trainer::data::Table) -> HashMap<(String, String), String> {
    let image = |at: u32| table.images.get(at as usize).map_or("", |image| image.name.as_str());
    let mut found = HashMap::new();
    for triplet in &table.triplets {
        for target in &triplet.targets {
            found.entry(pair(image(triplet.reference), image(*target))).or_insert_with(|| triplet.text.clone());
        }
    }
    found
}

fn texts_of_file(path: &Path, files: &HashMap<String, PathBuf>) -> Result<HashMap<(String, String), String>> {
    let mut found = HashMap::new();
    let complaints = offer(path, files, &mut |text| {
        found.entry((text.reference, text.target)).or_insert(text.modifier_generated);
        Ok(())
    })?;
    super::complain(&complaints);
    Ok(found)
}

impl Check {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let data = DataSet::open(&self.sheet.dataset, self.sheet.format)?;
        let files = self.sheet.files(&data)?;
        let mut draw = self.sheet.draw()?;
        let source = match &self.triplets {
            Some(path) => {
                self.generated(path, &files, &mut draw)?;
                format!("{}{}", name(path), if self.reversed { ", the way back" } else { "" })
            }
            None => {
                let (table, complaints) = data.load(self.split, &LoadOptions::default())?;
                crate::cli::complain(&complaints, 5);
                for ((reference, target), text) in annotated(&table) {
                    if !text.trim().is_empty() && reference != target {
                        draw.offer(&reference, &target, || vec![text]);
                    }
                }
                format!("a person ({})", self.split.name())
            }
        };
        let (kind, title) = match self.scales {
            true => (Kind::Rate, "How good is the text?"),
            false => (Kind::Check, "Is the text right?"),
        };
        self.sheet.write(kind, vec![source], draw.finish(), &files, title)
    }

    /// Offers the texts of a file, or those that lead back.
    fn generated(&self, path: &Path, files: &HashMap<String, PathBuf>, draw: &mut Draw) -> Result<()> {
        let complaints = offer(path, files, &mut |text| {
            if self.reversed {
                let back = text.modifier_reversed.ok_or("there is no modifier_reversed")?;
                draw.offer(&text.target, &text.reference, || vec![back]);
            } else {
                draw.offer(&text.reference, &text.target, || vec![text.modifier_generated]);
            }
            Ok(())
        })?;
        super::complain(&complaints);
        Ok(())
    }
}

impl Score {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let key = Key::read(&self.key)?;
        let filled = self.results.iter().map(|path| Filled::read(path, &key)).collect::<Result<Vec<_>, _>>()?;
        let found = score(&key, &filled)?;
        if let Some(path) = &self.figures {
            fsx::write_atomic(path, serde_json::to_string_pretty(&found)?.as_bytes())?;
        }
        crate::cli::print(&found)
    }
}
