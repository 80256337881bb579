//! The `thisbut` command.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thisbut: {error:#}");
            ExitCode::FAILURE
        }
    }
}
