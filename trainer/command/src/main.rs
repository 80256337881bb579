//! The `thisbut` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    thisbut_trainer::allocator::keep_freed_memory();
    let cli = cli::Cli::read();
    if let Err(e) = thisbut_trainer::partial::remove_on_stop() {
        eprintln!("thisbut: an interrupt will leave unfinished files behind: {e}");
    }
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("thisbut: {}", thisbut_trainer::terminal::message(&cli::said(&error)));
            ExitCode::FAILURE
        }
    }
}
