//! `thisbut prepare`: data sets that this tool can make by itself.

mod catalogue;
mod join;
mod triplets;

use anyhow::Result;
use std::path::PathBuf;
use thisbut_fluent::FluentOptions;
use thisbut_trainer::ranges;

/// Complaints that are printed.
const SHOWN: usize = 10;

/// Make a data set that this command can make by itself
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare fluent
  thisbut prepare catalogue PHOTOS --csv products.csv --out data/shop")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Catalogue(catalogue::Catalogue),
    Clothing(catalogue::Clothing),
    Grocery(catalogue::Grocery),
    Join(join::Join),
    Triplets(triplets::Triplets),
    /// The built-in collection: 3D Fluent emoji with annotations, fetched with npm, in CIRR's layout
    Fluent(Fluent),
}

#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut prepare fluent --out data/fluent")]
struct Fluent {
    /// The folder to write.
    #[arg(long, value_name = "FOLDER", default_value = "data/fluent")]
    out: PathBuf,
    /// A folder that already has what would be downloaded: a node_modules with both packages.
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    /// Where npm installs.
    #[arg(long, value_name = "FOLDER", default_value = "data/cache/npm")]
    cache: PathBuf,
    /// Seed of every draw.
    #[arg(long, default_value_t = FluentOptions::default().seed)]
    seed: u64,
    /// Training triplets to draw.
    #[arg(long, value_name = "N", default_value_t = FluentOptions::default().train_triplets, value_parser = ranges::count)]
    train: usize,
    /// Validation queries to draw.
    #[arg(long, value_name = "N", default_value_t = FluentOptions::default().val_queries, value_parser = ranges::count)]
    val: usize,
    /// Test queries to draw.
    #[arg(long, value_name = "N", default_value_t = FluentOptions::default().test_queries, value_parser = ranges::count)]
    test: usize,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let args = match self.command {
            Command::Catalogue(args) => return args.run(),
            Command::Clothing(args) => return args.run(),
            Command::Grocery(args) => return args.run(),
            Command::Join(args) => return args.run(),
            Command::Triplets(args) => return args.run(),
            Command::Fluent(args) => args,
        };
        let options = FluentOptions {
            out: args.out,
            from: args.from,
            cache: args.cache,
            seed: args.seed,
            train_triplets: args.train,
            val_queries: args.val,
            test_queries: args.test,
        };
        let report = thisbut_fluent::prepare(&options, &mut |line| super::note(line))?;
        super::print(report.table())
    }
}
