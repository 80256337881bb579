//! `thisbut prepare catalogue`, and its instances `clothing` and `grocery`.

use super::super::{advance, complain, note, print, progress};
use super::SHOWN;
use anyhow::Result;
use std::path::PathBuf;
use thisbut_catalogue::measure::Measure;
use thisbut_catalogue::shops::{clothing, grocery};
use thisbut_catalogue::source::{self, Reading, Source};
use thisbut_catalogue::splits::Shares;
use thisbut_catalogue::words::Words;
use thisbut_catalogue::{Options, Told, prepare};
use thisbut_trainer::ranges;

/// Pictures of your own with attributes, from a CSV or from the names of folders, in CIRR's layout
///
/// The CSV has a column `file` and a column for each attribute; several values are separated by a bar. Columns named title,
/// description, split (train, val, test) and item (pictures of one thing) have their own meaning.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare catalogue PHOTOS --csv products.csv --out data/shop
  thisbut prepare catalogue PHOTOS --out data/shop")]
pub struct Catalogue {
    /// The folder of pictures.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// The table of attributes; without it the names of folders are the attribute.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "data/catalogue")]
    out: PathBuf,
    /// The columns to take as attributes, separated by commas; without it every one that can be. For folders: a name for each
    /// level.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Attributes to measure from the pictures where the table lacks them, separated by commas: colour, pattern, none.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = wanted, default_value = "none")]
    measure: Vec<Wanted>,
    #[command(flatten)]
    how: How,
}

/// Photographs of clothes of the public clothing-dataset-small, in CIRR's layout
///
/// The photographs come with `git clone https://github.com/alexeygrigorev/clothing-dataset-small`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare clothing --from clothing-dataset-small")]
pub struct Clothing {
    /// The folder that holds train, validation and test.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "data/clothing")]
    out: PathBuf,
    /// Attributes to measure from the pictures, separated by commas: colour, pattern, none.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = wanted, default_value = "colour")]
    measure: Vec<Wanted>,
    #[command(flatten)]
    how: How,
}

/// Photographs of groceries of the public GroceryStoreDataset, in CIRR's layout
///
/// The photographs come with `git clone https://github.com/marcusklasson/GroceryStoreDataset`.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare grocery --from GroceryStoreDataset/dataset")]
pub struct Grocery {
    /// The folder that holds classes.csv, train.txt, val.txt and test.txt.
    #[arg(long, value_name = "FOLDER")]
    from: PathBuf,
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "data/grocery")]
    out: PathBuf,
    #[command(flatten)]
    how: How,
}

/// What every builder from attributes takes.
#[derive(clap::Args)]
struct How {
    /// A file of words beside the built-in ones (TOML).
    #[arg(long, value_name = "FILE")]
    words: Option<PathBuf>,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Training triplets to draw [default: 20 a picture, at most 60000].
    #[arg(long, value_name = "N", value_parser = ranges::count)]
    train: Option<usize>,
    /// Validation queries to draw [default: 6 a picture, at most 2000].
    #[arg(long, value_name = "N", value_parser = ranges::count)]
    val: Option<usize>,
    /// Test queries to draw [default: 6 a picture, at most 2000].
    #[arg(long, value_name = "N", value_parser = ranges::count)]
    test: Option<usize>,
    /// Share of the things that validate, and of those that test, where no split is given.
    #[arg(long, value_name = "SHARE", default_value_t = Shares::default().drawn, value_parser = ranges::PART.parser::<f64>())]
    held_out: f64,
    /// Share of an attribute's values that training never sees, for validation and again for the test [default: 0.05; 0 where
    /// splits are given].
    #[arg(long, value_name = "SHARE", value_parser = ranges::PART.parser::<f64>())]
    held_out_values: Option<f64>,
    /// Share of the combinations of values that training never sees, for validation and again for the test [default: 0.05; 0
    /// where splits are given].
    #[arg(long, value_name = "SHARE", value_parser = ranges::PART.parser::<f64>())]
    held_out_combinations: Option<f64>,
    /// A table of corrected measurements, as check.html in the data set's folder saves it.
    #[arg(long, value_name = "FILE")]
    corrections: Option<PathBuf>,
    /// Fail on what cannot be used, instead of leaving it out.
    #[arg(long)]
    strict: bool,
}

/// What is to be measured: an attribute, or none.
#[derive(Clone, Copy)]
struct Wanted(Option<Measure>);

fn wanted(name: &str) -> Result<Wanted, String> {
    let found = [Measure::Colour, Measure::Pattern].into_iter().find(|known| known.name() == name);
    match found.is_some() || name == "none" {
        true => Ok(Wanted(found)),
        false => Err(format!("'{name}' is not measured; give colour, pattern or none")),
    }
}

impl How {
    fn make(self, source: Source, out: PathBuf, measures: &[Wanted], chosen: bool) -> Result<()> {
        let options = Options {
            out,
            words: self.words,
            seed: self.seed,
            train: self.train,
            val: self.val,
            test: self.test,
            shares: Shares {
                drawn: self.held_out,
                values: self.held_out_values,
                combinations: self.held_out_combinations,
            },
            chosen,
            strict: self.strict,
            measures: measures.iter().filter_map(|wanted| wanted.0).collect(),
            corrections: self.corrections,
        };
        let bar = progress("pictures looked at");
        let made = prepare(source, &options, &mut |told| match told {
            Told::Line(said) => bar.suspend(|| note(said)),
            Told::Looked(done, all) => advance(&bar, done, all),
        });
        bar.finish_and_clear();
        let report = made?;
        complain(&report.left_out, SHOWN);
        report.notes.iter().chain(&report.at_odds).take(SHOWN).for_each(note);
        print(report.table())
    }

    fn words(&self) -> Result<Words> {
        Ok(Words::load(self.words.as_deref())?)
    }
}

impl Catalogue {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let chosen = !self.attributes.is_empty();
        let reading =
            Reading { folder: self.folder, table: self.csv, attributes: self.attributes, out: self.out.clone() };
        let source = source::read(&reading, &self.how.words()?)?;
        self.how.make(source, self.out, &self.measure, chosen)
    }
}

impl Clothing {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let source = clothing::read_from(&self.from, &self.out, &self.how.words()?)?;
        self.how.make(source, self.out, &self.measure, true)
    }
}

impl Grocery {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let source = grocery::read_from(&self.from)?;
        self.how.make(source, self.out, &[], true)
    }
}
