//! Training: batches, losses, the optimiser, checkpoints and the loop.

pub mod batches;
pub mod checkpoint;
pub mod finetune;
pub mod losses;
pub mod optimizer;
pub mod schedule;
pub mod settings;
