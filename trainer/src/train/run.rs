//! The one training loop: resumes, steps, writes metrics and checkpoints, validates, keeps the best, stops where it is told.

use super::board::Board;
use super::checkpoint::{self, Checkpoint, Header};
use super::event::Event;
use super::journal::Journal;
use super::objective::loss::Figures;
use super::optimizer::AdamW;
use super::settings::Settings;
use super::start::SameGenerator;
use super::{schedule, start};
use crate::error::Result;
use crate::process;
use burn::tensor::Device;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thisbut_model::weights::Tensors;

/// Checkpoints that a run keeps.
const KEPT: usize = 2;

/// What is trained: the part of a run that differs between retrieval models and text generators.
pub trait Trainee: Sized {
    /// What a validation finds.
    type Found;

    /// Takes step `step` (from 0).
    ///
    /// # Errors
    /// When data or the device fail.
    fn step(self, step: usize) -> Result<(Self, Stepped)>;

    /// Validates after `step` steps.
    ///
    /// # Errors
    /// When data or the device fail.
    fn validate(&mut self, step: usize) -> Result<Validation<Self::Found>>;

    /// The weights that go into checkpoints, by name.
    ///
    /// # Errors
    /// When the device does not give them back.
    fn weights(&self) -> Result<Tensors>;

    /// The optimiser, whose state goes into checkpoints too.
    fn optimizer(&self) -> &AdamW;
}

/// What a step says.
pub struct Stepped {
    /// Its losses.
    pub losses: Figures,
    /// The gradient's norm before clipping.
    pub norm: f64,
}

/// What a step took of the machine.
struct Taken {
    seconds: f64,
    /// Bytes that the process holds, where the system says.
    memory: Option<u64>,
}

/// What a validation says.
pub struct Validation<F> {
    /// What was found.
    pub found: F,
    /// By which the best checkpoint is chosen: the largest.
    pub score: f64,
    /// Its keys in the metrics file.
    pub line: serde_json::Map<String, Value>,
}

/// A run, apart from what it trains.
pub struct Run<'a> {
    /// Its settings.
    pub settings: &'a Settings,
    /// Its folder.
    pub folder: &'a Path,
    /// Stop after this step, although the schedule goes on; a later call resumes there.
    pub until: Option<usize>,
    /// Steps of an epoch.
    pub per_epoch: usize,
}

/// Where a run stands: the newest checkpoint of `folder`, or the beginning with `wanted` as its header.
///
/// # Errors
/// When the run in `folder` was started otherwise than `wanted`.
pub fn resume(
    folder: &Path,
    wanted: Header,
    same_generator: SameGenerator,
    note: &mut dyn FnMut(String),
) -> Result<(Header, Option<(Tensors, Tensors)>)> {
    let Some((path, Checkpoint { header, model, optimizer })) = checkpoint::newest(folder, note) else {
        return Ok((wanted, None));
    };
    start::same_run(&path, &header, &wanted, same_generator)?;
    note(format!("resumed from step {} ({})", header.step, path.display()));
    Ok((header.renewed(wanted), Some((model, optimizer))))
}

/// Seeds `device` for `step`: devices that draw dropout masks themselves draw the same ones in a resumed run.
pub fn seed(device: &Device, settings: &Settings, step: usize) {
    device.seed(settings.seed ^ (step as u64).wrapping_mul(0x2545_F491_4F6C_DD1D));
}

impl Run<'_> {
    /// The steps that are to be taken from `header` on.
    pub fn steps(&self, header: &Header) -> std::ops::Range<usize> {
        header.step..self.until.unwrap_or(self.settings.steps).min(self.settings.steps)
    }

    /// Trains from `header` on. Returns the final weights' file, or the last checkpoint where the run stops before its end.
    ///
    /// # Errors
    /// When a step or a validation fails, or a file cannot be written.
    pub fn go<T: Trainee>(
        &self,
        mut trainee: T,
        header: &mut Header,
        tell: &mut dyn FnMut(Event<T::Found>),
    ) -> Result<PathBuf> {
        let Self { settings, folder, .. } = *self;
        let mut journal = Journal::open(&folder.join("metrics.jsonl"), header.step)?;
        let mut board = Board::open(folder, header.step)?;
        let (started, first, steps) = (Instant::now(), header.step, self.steps(header));
        let end = steps.end;
        for step in steps {
            let began = Instant::now();
            let (next, stepped) = trainee.step(step)?;
            trainee = next;
            header.step = step + 1;
            let taken = Taken { seconds: began.elapsed().as_secs_f64(), memory: process::resident() };
            let line = self.line(step, &stepped, &taken);
            journal.write(&line)?;
            board.scalars(header.step, &line)?;
            let speed = (header.step - first) as f64 / started.elapsed().as_secs_f64().max(1e-9);
            tell(Event::Step {
                step: header.step,
                steps: settings.steps,
                losses: stepped.losses,
                triplets_per_second: speed * settings.batch as f64,
                remaining: Duration::from_secs_f64((end - header.step) as f64 / speed.max(1e-9)),
                memory: taken.memory,
            });
            let last = header.step == end;
            if header.step.is_multiple_of(settings.validate_every) || last {
                self.validate(&mut trainee, header, (&mut journal, &mut board), tell)?;
            }
            if header.step.is_multiple_of(settings.checkpoint_every) || last {
                let (state, steps) = trainee.optimizer().state()?;
                header.optimizer_steps = steps;
                checkpoint::save(&self.checkpoint(header), header, &trainee.weights()?, &state)?;
                checkpoint::prune(folder, KEPT);
            }
        }
        if end < settings.steps {
            return Ok(self.checkpoint(header));
        }
        let path = folder.join("final.safetensors");
        checkpoint::save(&path, header, &trainee.weights()?, &Tensors::new())?;
        Ok(path)
    }

    fn validate<T: Trainee>(
        &self,
        trainee: &mut T,
        header: &mut Header,
        (journal, board): (&mut Journal, &mut Board),
        tell: &mut dyn FnMut(Event<T::Found>),
    ) -> Result<()> {
        let Validation { found, score, mut line } = trainee.validate(header.step)?;
        line.insert("step".into(), header.step.into());
        line.insert("wall_time".into(), process::now().into());
        let line = line.into();
        journal.write(&line)?;
        board.scalars(header.step, &line)?;
        tell(Event::Validation { step: header.step, found });
        if header.best.is_none_or(|(best, _)| score > best) {
            header.best = Some((score, header.step));
            let path = self.folder.join("best.safetensors");
            checkpoint::save(&path, header, &trainee.weights()?, &Tensors::new())?;
        }
        Ok(())
    }

    /// The metrics file's line of `step`.
    fn line(&self, step: usize, stepped: &Stepped, taken: &Taken) -> Value {
        let done = step + 1;
        let mut line = json!({
            "step": done, "epoch": done as f64 / self.per_epoch as f64, "loss": stepped.losses.total,
            "lr": schedule::point(self.settings, step).rate, "gradient_norm": stepped.norm,
        });
        for (name, value) in &stepped.losses.parts {
            line[*name] = (*value).into();
        }
        line["wall_time"] = process::now().into();
        line["step_seconds"] = taken.seconds.into();
        if let Some(bytes) = taken.memory {
            line["memory_bytes"] = bytes.into();
        }
        line
    }

    fn checkpoint(&self, header: &Header) -> PathBuf {
        self.folder.join(format!("step-{:08}.safetensors", header.step))
    }
}
