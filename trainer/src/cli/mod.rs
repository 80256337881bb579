//! The command line: one module a command, each a clap `Args` with `run`.
//!
//! Errors are printed once, in `main`. What a command answers goes to standard output, what it says on the way to
//! standard error.

mod check;
mod config;
mod fetch_weights;
mod index;
mod plot;
mod prepare;
mod query;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::io::Write;

/// Search by "this, but …": composed image retrieval.
#[derive(Parser)]
#[command(name = "thisbut", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Prepare(prepare::Args),
    Check(check::Args),
    FetchWeights(fetch_weights::Args),
    Index(index::Args),
    Query(query::Args),
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
            Command::Index(args) => args.run(),
            Command::Query(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Config(args) => args.run(),
        }
    }
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
