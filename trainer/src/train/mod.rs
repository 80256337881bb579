//! Training: batches, losses, the optimiser, checkpoints and the loop.

pub mod batches;
pub mod board;
pub mod checkpoint;
pub mod choices;
pub mod defaults;
pub mod estimate;
pub mod event;
pub mod finetune;
pub mod gradients;
pub mod groups;
pub mod journal;
pub mod learner;
pub mod losses;
pub mod objective;
pub mod optimizer;
pub mod peers;
pub mod piece;
pub mod recipes;
pub mod run;
pub mod schedule;
pub mod settings;
pub mod start;
pub mod step;
pub mod unlabelled;
pub mod validation;

#[cfg(test)]
mod tests;
