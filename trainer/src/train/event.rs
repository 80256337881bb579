//! What a training loop tells while it runs.

use super::objective::loss::Figures;
use std::time::Duration;

/// `V`: what a validation finds.
pub enum Event<V> {
    /// A step is done.
    Step {
        /// Steps done.
        step: usize,
        /// Steps in all.
        steps: usize,
        /// Its losses; a generator's in nats a token.
        losses: Figures,
        /// Triplets a second since this process began.
        triplets_per_second: f64,
        /// Time that the steps up to where this process stops will take at the rate so far.
        remaining: Duration,
        /// Bytes that the process holds, where the system says.
        memory: Option<u64>,
    },
    /// A validation is done.
    Validation {
        /// Steps done.
        step: usize,
        /// What it found.
        found: V,
    },
    /// Something worth a line.
    Note(String),
}
