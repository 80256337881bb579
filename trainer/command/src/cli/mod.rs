//! The command line: one module a command, each a clap `Args` with `run`.
//!
//! Errors are printed once, in `main`. What a command answers goes to standard output, what it says on the way to
//! standard error.

mod adapted;
mod average;
mod bar;
mod beside;
mod captions;
mod check;
mod compare;
mod config;
mod convert;
mod dry_run;
mod evaluate;
mod export;
mod features;
mod fetch;
mod fetch_weights;
mod filter;
mod finetune;
mod footprint;
mod generator;
mod import;
mod index;
mod inspect;
mod looks_like;
mod phrases;
mod plot;
mod prepare;
mod query;
mod report;
mod serve;
mod suggest;
mod synthesis;
#[cfg(test)]
mod tests;

use anyhow::Result;
use bar::{StepLog, advance, progress, progress_bytes};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::Write;
use thisbut_trainer::terminal;

/// Search by "this, but …": composed image retrieval
#[derive(Parser)]
#[command(name = "thisbut", version, args_override_self = true)]
#[command(
    disable_help_subcommand = true,
    after_help = "Example:
  thisbut fetch small
  thisbut prepare fluent
  thisbut features data/fluent
  thisbut finetune data/fluent --out runs/first"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(prepare::Args),
    Check(check::Args),
    Phrases(phrases::Args),
    Fetch(fetch::Args),
    Import(import::Args),
    Convert(convert::Args),
    Config(config::Args),
    Features(features::Args),
    /// Train on generated triplets, before finetune
    ///
    /// The loss is q2t alone, unless a recipe says otherwise. All else is as with `thisbut finetune`.
    #[command(after_help = "Example:
  thisbut pretrain data/fluent --triplets runs/triplets.jsonl --out runs/pretrain")]
    Pretrain(Box<finetune::Args>),
    Finetune(Box<finetune::Args>),
    Plot(plot::Args),
    Average(average::Args),
    Evaluate(evaluate::Args),
    Report(report::Args),
    Compare(compare::Args),
    Inspect(inspect::Args),
    LooksLike(looks_like::Args),
    Footprint(footprint::Args),
    Export(export::Args),
    Index(index::Args),
    Suggest(suggest::Args),
    Query(query::Args),
    Serve(serve::Args),
    Describe(Box<synthesis::describe::Args>),
    Pairs(generator::pairs::Args),
    Rewrite(Box<synthesis::rewrite::Args>),
    Filter(filter::Args),
    Generator(generator::Args),
    // Yesterday's spellings.
    #[command(hide = true)]
    FetchWeights(fetch_weights::Args),
    #[command(hide = true)]
    Generate(Box<generator::generate::Args>),
}

/// The commands in groups, each in the order of use.
const GROUPS: [(&str, &[&str]); 6] = [
    ("Data", &["prepare", "check", "phrases"]),
    ("Weights", &["fetch", "import", "convert"]),
    ("Train", &["config", "features", "pretrain", "finetune", "plot", "average"]),
    ("Evaluate", &["evaluate", "report", "compare", "inspect", "looks-like"]),
    ("Bundle", &["footprint", "export", "index", "suggest", "query", "serve"]),
    ("Synthetic triplets", &["describe", "pairs", "rewrite", "filter", "generator"]),
];

/// The whole command line, with what its help shows beyond what is derived.
fn command() -> clap::Command {
    let command = Cli::command()
        .mut_subcommand("finetune", finetune::show_defaults)
        .mut_subcommand("pretrain", finetune::show_pretraining_defaults);
    let mut groups = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(groups, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let _ = writeln!(groups, "  {name:<12}{}", about.map(ToString::to_string).unwrap_or_default());
        }
    }
    // Headings stand out by themselves: blank lines between the groups would not fit a screen.
    groups.push('\n');
    command.help_template(format!(
        "{{about}}\n\n{{usage-heading}} {{usage}}; `COMMAND -h` shows its usual options, `--help` all of them, \
         `-V` the version\n\n{groups}{{after-help}}"
    ))
}

impl Cli {
    /// Reads the command line; on a mistake, and for `--help`, it prints and ends the process.
    pub fn read() -> Self {
        let args: Vec<OsString> = std::env::args_os().collect();
        let mut matches = command().get_matches_from(&args);
        if let Some(name) = generator::recipe::named(&matches) {
            matches = match generator::recipe::expand(&args, &name) {
                Ok(args) => command().get_matches_from(args),
                Err(e) => command().error(ErrorKind::ValueValidation, format!("{e:#}")).exit(),
            };
        }
        Self::from_arg_matches(&matches).unwrap_or_else(|e| e.exit())
    }

    /// Runs the chosen command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Prepare(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Phrases(args) => args.run(),
            Command::Fetch(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Convert(args) => args.run(),
            Command::Config(args) => args.run(),
            Command::Features(args) => args.run(),
            Command::Pretrain(args) => args.pretrain(),
            Command::Finetune(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Average(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Compare(args) => args.run(),
            Command::Inspect(args) => args.run(),
            Command::LooksLike(args) => args.run(),
            Command::Footprint(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Index(args) => args.run(),
            Command::Suggest(args) => args.run(),
            Command::Query(args) => args.run(),
            Command::Serve(args) => args.run(),
            Command::Describe(args) => args.run(),
            Command::Pairs(args) => args.run(),
            Command::Rewrite(args) => args.run(),
            Command::Filter(args) => args.run(),
            Command::Generator(args) => args.run(),
            Command::FetchWeights(args) => args.run(),
            Command::Generate(args) => args.run(),
        }
    }
}

/// An error with its causes, each once: messages of this project name their cause themselves.
pub fn said(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.contains(&cause) {
        true => said,
        false if said.is_empty() => cause,
        false => format!("{said}: {cause}"),
    })
}

/// A preset by its name, or a configuration file by its path.
pub fn preset(name: &str) -> Result<thisbut_model::RetrievalConfig> {
    let path = std::path::Path::new(name);
    if path.extension().is_some_and(|e| e == "json") {
        return Ok(thisbut_model::RetrievalConfig::parse(
            &thisbut_trainer::fsx::read_text(path, thisbut_trainer::fsx::SMALL)?,
            name,
        )?);
    }
    Ok(thisbut_model::RetrievalConfig::preset(name)?)
}

/// Where the feature cache of a data set lies unless told otherwise.
pub fn features_path(dataset: &std::path::Path, config: &thisbut_model::RetrievalConfig) -> std::path::PathBuf {
    dataset.join(format!("{}.features", config.name))
}

/// Prints an answer on standard output, with what steers a terminal made visible. A reader that went away (`thisbut … | head`) is not an error.
pub fn print(text: impl std::fmt::Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", terminal::text(&text.to_string())).and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Says something on the way, on standard error.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{}", terminal::message(&text.to_string()));
}

/// Lists complaints on standard error: the first `limit`, then how many more there are.
pub fn complain<T: std::fmt::Display>(complaints: &[T], limit: usize) {
    for complaint in complaints.iter().take(limit) {
        note(format_args!("  {}", terminal::line(&complaint.to_string())));
    }
    if complaints.len() > limit {
        note(format_args!("  … and {} more", complaints.len() - limit));
    }
}
