//! The command line: one module a command, each a clap `Args` with `run`.
//!
//! Errors are printed once, in `main`. What a command answers goes to standard output, what it says on the way to
//! standard error.

mod check;
mod config;
mod dry_run;
mod evaluate;
mod export;
mod features;
mod fetch;
mod fetch_weights;
mod finetune;
mod generate;
mod generator;
mod import;
mod index;
mod pairs;
mod plot;
mod prepare;
mod query;
mod report;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::Write;

/// Search by "this, but …": composed image retrieval.
#[derive(Parser)]
#[command(name = "thisbut", version, propagate_version = true, args_override_self = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(prepare::Args),
    Check(check::Args),
    FetchWeights(fetch_weights::Args),
    Fetch(fetch::Args),
    Features(features::Args),
    Import(import::Args),
    Finetune(finetune::Args),
    Evaluate(evaluate::Args),
    Report(report::Args),
    Export(export::Args),
    Index(index::Args),
    Query(query::Args),
    Pairs(pairs::Args),
    Generator(generator::Args),
    /// Pretrain on generated triplets, q2t alone; otherwise as finetune.
    Pretrain(finetune::Args),
    Generate(generate::Args),
    Plot(plot::Args),
    Config(config::Args),
}

impl Cli {
    /// Runs the chosen command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Prepare(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::FetchWeights(args) => args.run(),
            Command::Fetch(args) => args.run(),
            Command::Features(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Finetune(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Index(args) => args.run(),
            Command::Query(args) => args.run(),
            Command::Pairs(args) => args.run(),
            Command::Generator(args) => args.run(),
            Command::Pretrain(args) => args.pretrain(),
            Command::Generate(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Config(args) => args.run(),
        }
    }
}

/// A preset by its name, or a configuration file by its path.
pub fn preset(name: &str) -> Result<thisbut_model::RetrievalConfig> {
    let path = std::path::Path::new(name);
    if path.extension().is_some_and(|e| e == "json") {
        return Ok(thisbut_model::RetrievalConfig::parse(&thisbut_trainer::fsx::read_text(path)?, name)?);
    }
    Ok(thisbut_model::RetrievalConfig::preset(name)?)
}

/// Where the feature cache of a data set lies unless told otherwise.
pub fn features_path(dataset: &std::path::Path, config: &thisbut_model::RetrievalConfig) -> std::path::PathBuf {
    dataset.join(format!("{}.features", config.name))
}

/// A progress bar on standard error with rate and remaining time.
pub fn progress(unit: &str) -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(0);
    let template = format!("{{bar:30}} {{pos}}/{{len}} {unit}  {{per_sec}}  {{eta}} left  {{msg}}");
    if let Ok(style) = indicatif::ProgressStyle::with_template(&template) {
        bar.set_style(style);
    }
    bar
}

/// A progress bar on standard error for bytes.
pub fn progress_bytes() -> indicatif::ProgressBar {
    let bar = indicatif::ProgressBar::new(0);
    let template = "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
    if let Ok(style) = indicatif::ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Moves a progress bar.
pub fn advance(bar: &indicatif::ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done.min(all) as u64);
}

/// Prints an answer on standard output. A reader that went away (`thisbut … | head`) is not an error.
pub fn print(text: impl std::fmt::Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Says something on the way, on standard error.
pub fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Lists complaints on standard error: the first `limit`, then how many more there are.
pub fn complain<T: std::fmt::Display>(complaints: &[T], limit: usize) {
    for complaint in complaints.iter().take(limit) {
        note(format_args!("  {complaint}"));
    }
    if complaints.len() > limit {
        note(format_args!("  … and {} more", complaints.len() - limit));
    }
}
