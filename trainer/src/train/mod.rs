//! Training: batches, losses, the optimiser, checkpoints and the loop.

pub mod batches;
pub mod checkpoint;
pub mod choices;
pub mod defaults;
pub mod estimate;
pub mod event;
pub mod finetune;
pub mod forward;
pub mod gradients;
pub mod groups;
pub(crate) mod journal;
pub mod losses;
pub mod optimizer;
pub mod peers;
pub mod recipes;
pub mod schedule;
pub mod settings;
pub(crate) mod start;
pub mod step;
pub mod validation;

#[cfg(test)]
mod tests;
