//! The training loop: PTHA, SPRC or captions, on one device or several, resumed where its newest checkpoint stands.

use super::event::Event;
use super::forward::{Bank, Context};
use super::journal::Journal;
use super::peers::{self, AllReduce};
use super::settings::Settings;
use super::step::{Losses, gradients};
use super::validation::{Validated, validate};
use super::{batches, checkpoint, groups, optimizer::AdamW, schedule, start};
use crate::data::table::Table;
use crate::embed::{self, Tokenized};
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use crate::fsx;
use burn::tensor::{Device, Tensor};
use serde_json::json;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::text::TextReader;
use thisbut_model::weights::{self, Tensors};

/// Where τ stays (BLIP's own limits): an easy batch drives it to zero and beyond, where the ranking turns round.
const TEMPERATURES: Range<f64> = 0.001..0.5;

/// Checkpoints that a run keeps.
const KEPT: usize = 2;

/// What a run reads and where it writes.
pub struct Inputs<'a> {
    /// The architecture.
    pub config: &'a RetrievalConfig,
    /// Training triplets.
    pub train: &'a Table,
    /// Validation queries and their gallery.
    pub validation: &'a Table,
    /// Image tokens of both.
    pub features: &'a dyn ImageTokens,
    /// The tokenizer.
    pub texts: &'a TextReader,
    /// Starting weights by name; parameters that are missing start at random.
    pub start: Tensors,
    /// The run's folder.
    pub run: &'a Path,
    /// Stop after this step, although the schedule goes on; a later call resumes there.
    pub until: Option<usize>,
}

/// One device's copy of what is trained. All copies take the same steps, so they stay equal.
struct Replica {
    model: TwoPass,
    optimizer: AdamW,
    /// Target embeddings that stay, where the settings ask for them.
    bank: Option<Bank>,
    /// Outside autodiff.
    device: Device,
}

impl Replica {
    fn new(settings: &Settings, config: &RetrievalConfig, mut model: Tensors, device: Device) -> Result<Self> {
        let autodiff = device.clone().autodiff();
        let model = weights::load(TwoPass::new(config, &autodiff)?, "", &mut model)?;
        let model = start::freeze(model, settings);
        Ok(Self { model, optimizer: AdamW::new(settings), bank: None, device })
    }

    /// One step on this device's share of `batch`. Returns the replica, the losses and the gradient's norm.
    fn step(
        mut self,
        context: &Context,
        batch: &[u32],
        step: usize,
        peers: &dyn AllReduce,
    ) -> Result<(Self, Losses, f64)> {
        let settings = context.settings;
        // Devices that draw dropout masks themselves draw the same ones in a resumed run.
        self.device.seed(settings.seed ^ (step as u64).wrapping_mul(0x2545_F491_4F6C_DD1D));
        let autodiff = self.device.clone().autodiff();
        let (found, losses) = gradients(context, self.bank.as_ref(), &self.model, batch, step, peers, &autodiff)?;
        let (mut model, norm) = self.optimizer.update(self.model, &found, schedule::point(settings, step))?;
        if model.temperature.is_require_grad() {
            model.temperature = model
                .temperature
                .map(|tau| Tensor::from_inner(tau.inner().clamp(TEMPERATURES.start, TEMPERATURES.end)).require_grad());
        }
        Ok((Self { model, ..self }, losses, norm))
    }
}

/// The batches of a run, in the order of its steps.
struct Batches<'a> {
    settings: &'a Settings,
    table: &'a Table,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Batches<'a> {
    fn new(settings: &'a Settings, table: &'a Table) -> Self {
        Self { settings, table, epoch: None, order: Vec::new() }
    }

    fn per_epoch(&self) -> usize {
        self.table.triplets.len() / self.settings.batch
    }

    fn of(&mut self, step: usize) -> &[u32] {
        let Settings { seed, group, batch, .. } = *self.settings;
        let epoch = (step / self.per_epoch()) as u64;
        if self.epoch != Some(epoch) {
            self.order = batches::epoch_order(self.table, seed, epoch, group);
            self.epoch = Some(epoch);
        }
        let at = (step % self.per_epoch()) * batch;
        self.order.get(at..at + batch).unwrap_or_default()
    }
}

/// Trains until `settings.steps`, resuming from the newest checkpoint in the run folder. Returns the final weights' file.
///
/// # Errors
/// When data, settings or files do not fit.
pub fn finetune(settings: &Settings, mut inputs: Inputs, tell: &mut dyn FnMut(Event<Validated>)) -> Result<PathBuf> {
    settings.check()?;
    fsx::create_dir(inputs.run)?;
    if settings.batch > inputs.train.triplets.len() {
        return Err(TrainerError::settings(
            "--batch",
            format!("{} is more than the {} training triplets", settings.batch, inputs.train.triplets.len()),
            "choose a smaller batch",
        ));
    }
    let devices = peers::devices(settings.device, settings.devices)?;
    for device in &devices {
        settings.precision.check(device)?;
        device.seed(settings.seed);
    }
    let names = weights::shapes(&TwoPass::new(inputs.config, &Device::flex())?, "");
    groups::check(&settings.groups, names.keys().map(String::as_str))?;
    if settings.bank {
        let trained = |name: &&String| !settings.freezes(name);
        let moves = |name: &&String| !name.starts_with(start::SECOND) && !name.starts_with("text_projection.");
        if let Some(name) = names.keys().filter(trained).find(moves) {
            let problem = format!("{name} is trained, but what the bank holds must stay as it is");
            let mend = "train only `second.` and `text_projection.`, as recipe spn4cir-stage2 does";
            return Err(TrainerError::settings("--bank", problem, mend));
        }
    }

    let data = start::fingerprint(inputs.train);
    let mut header = checkpoint::Header::new(settings.clone(), inputs.config.clone(), data);
    let mut notes = Vec::new();
    let (mut tensors, mut state) = (Tensors::new(), None);
    if let Some((path, found)) = checkpoint::newest(inputs.run, &mut |note| notes.push(note)) {
        start::same_run(&path, &found.header, &header)?;
        header = found.header;
        tensors = found.model;
        state = Some(found.optimizer);
        notes.push(format!("resumed from step {} ({})", header.step, path.display()));
    } else {
        let own_second = inputs.start.keys().any(|name| name.starts_with(start::SECOND));
        tensors.extend(start::initial(inputs.config, settings.seed)?);
        tensors.append(&mut inputs.start);
        if !own_second {
            start::copy_second_pass(&mut tensors, inputs.config)?;
        }
    }
    notes.into_iter().for_each(|note| tell(Event::Note(note)));

    let rows = embed::rows(inputs.train, inputs.features)?;
    let texts = Tokenized::new(inputs.texts, inputs.train);
    let Inputs { config, train, features, .. } = inputs;
    let context = Context { settings, config, train, features, rows: &rows, texts: &texts };
    let end = inputs.until.unwrap_or(settings.steps).min(settings.steps);
    let steps = header.step..end;
    let mut replicas = Vec::with_capacity(devices.len());
    for device in devices {
        let mut replica = Replica::new(settings, config, tensors.clone(), device)?;
        if let Some(state) = &state {
            replica.optimizer.restore(state.clone(), header.optimizer_steps, &replica.device);
        }
        if settings.bank {
            replica.bank = Some(Bank::new(&context, &replica.model, &replica.device)?);
        }
        replicas.push(replica);
    }
    drop((tensors, state));
    let mut members = peers::on(&replicas.iter().map(|r| r.device.clone()).collect::<Vec<_>>(), settings.device)
        .into_iter()
        .zip(replicas);
    let Some((first, replica)) = members.next() else {
        return Err(TrainerError::settings("--devices", "there is none", "use at least one"));
    };
    std::thread::scope(|scope| {
        for (member, replica) in members {
            let (steps, context) = (steps.clone(), &context);
            scope.spawn(move || {
                // The first device's thread reports it.
                if let Err(problem) = follow(replica, context, steps, &*member) {
                    member.fail(&problem.to_string());
                }
            });
        }
        let led = lead(replica, &context, &inputs, &mut header, steps, &*first, tell);
        if let Err(problem) = &led {
            first.fail(&problem.to_string());
        }
        led
    })
}

/// Another device's part: its share of every step.
fn follow(mut replica: Replica, context: &Context, steps: Range<usize>, peers: &dyn AllReduce) -> Result<()> {
    let mut batches = Batches::new(context.settings, context.train);
    for step in steps {
        (replica, ..) = replica.step(context, batches.of(step), step, peers)?;
    }
    Ok(())
}

/// The first device's part: steps like every device's, and all that is read and written.
fn lead(
    mut replica: Replica,
    context: &Context,
    inputs: &Inputs,
    header: &mut checkpoint::Header,
    steps: Range<usize>,
    peers: &dyn AllReduce,
    tell: &mut dyn FnMut(Event<Validated>),
) -> Result<PathBuf> {
    let settings = context.settings;
    let mut journal = Journal::open(&inputs.run.join("metrics.jsonl"), header.step)?;
    let mut batches = Batches::new(settings, context.train);
    let per_epoch = batches.per_epoch();
    let (started, first, end) = (Instant::now(), header.step, steps.end);
    for step in steps {
        let (next, values, norm) = replica.step(context, batches.of(step), step, peers)?;
        replica = next;
        header.step = step + 1;
        journal.write(&json!({
            "step": header.step, "epoch": header.step as f64 / per_epoch as f64, "loss": values.total, "q2t": values.q2t,
            "t2t": values.t2t, "p2p": values.p2p, "lr": schedule::point(settings, step).rate, "gradient_norm": norm,
        }))?;
        let elapsed = started.elapsed().as_secs_f64();
        let speed = (header.step - first) as f64 / elapsed.max(1e-9);
        tell(Event::Step {
            step: header.step,
            steps: settings.steps,
            loss: values.total,
            triplets_per_second: speed * settings.batch as f64,
        });
        let last = header.step == end;
        if header.step.is_multiple_of(settings.validate_every) || last {
            let found = validate(&replica.model, settings, inputs, &replica.device)?;
            journal.write(&found.line(header.step))?;
            let (_, value) = found.selection;
            tell(Event::Validation { step: header.step, found });
            if header.best.is_none_or(|(best, _)| value > best) {
                header.best = Some((value, header.step));
                let path = inputs.run.join("best.safetensors");
                checkpoint::save(&path, header, &weights::collect(&replica.model, "")?, &Tensors::new())?;
            }
        }
        if header.step.is_multiple_of(settings.checkpoint_every) || last {
            let (state, steps) = replica.optimizer.state()?;
            header.optimizer_steps = steps;
            let path = inputs.run.join(format!("step-{:08}.safetensors", header.step));
            checkpoint::save(&path, header, &weights::collect(&replica.model, "")?, &state)?;
            checkpoint::prune(inputs.run, KEPT);
        }
    }
    if end < settings.steps {
        return Ok(inputs.run.join(format!("step-{:08}.safetensors", header.step)));
    }
    let path = inputs.run.join("final.safetensors");
    checkpoint::save(&path, header, &weights::collect(&replica.model, "")?, &Tensors::new())?;
    Ok(path)
}
