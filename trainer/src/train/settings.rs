//! What a training run is asked to do; written into its checkpoints, so that a resumed run is the same run.

use super::groups::Group;
use super::learner::IMAGE_ENCODER;
use super::objective::ObjectiveSettings;
use super::objective::two_pass::TwoPassSettings;
use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use crate::formats::Formats;
use crate::metrics::RightTargets;
use crate::ranges;
use burn::tensor::{DType, Device};
use serde::{Deserialize, Deserializer, Serialize};
use thisbut_model::number::NumberFormat;

/// What the forward and backward passes may compute in. Master weights and the optimiser's moments are f32 always.
pub const PRECISIONS: Formats =
    Formats(&[(NumberFormat::F32, "32 bits"), (NumberFormat::Bf16, "bfloat16; norms, softmax and losses in f32")]);

/// Reads one of [`PRECISIONS`] from a file.
pub(super) fn precision<'de, D: Deserializer<'de>, T: From<NumberFormat>>(from: D) -> Result<T, D::Error> {
    PRECISIONS.read(from)
}

/// Checks that passes on the device can compute in `precision`.
///
/// # Errors
/// [`TrainerError::Settings`] for bfloat16 on a device that does not compute in it, and for what is none of
/// [`PRECISIONS`].
pub fn check_precision(precision: NumberFormat, device: &Device) -> Result<()> {
    PRECISIONS.check("--precision", precision)?;
    if precision == NumberFormat::F32 || device.supports_dtype(DType::BF16) {
        return Ok(());
    }
    let problem = "the device does not compute in bfloat16";
    Err(TrainerError::settings("--precision bf16", problem, "use f32, or another --device"))
}

/// How the learning rate goes over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Linear warm-up, then half a cosine down to a hundredth.
    #[default]
    Cosine,
    /// The same down to nothing (OpenCLIP's code, and so Pic2Word's).
    CosineToZero,
    /// PyTorch's OneCycleLR, which SPRC and MTST_PTHA use.
    OneCycle,
    /// Linear warm-up, then half a cosine down to a hundredth again and again (ConText-CIR's paper: from 2e-5 to 2e-7), as
    /// PyTorch's CosineAnnealingWarmRestarts.
    CosineRestarts,
    /// The same down to nothing (ConText-CIR's code).
    CosineRestartsToZero,
    /// Linear warm-up, then the same rate to the end (SPN4CIR's second stage, without a warm-up).
    Constant,
}

/// By which figure of a validation the best checkpoint is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The data set's own leading mean: CIRR (R@5 + R_subset@1) / 2, FashionIQ (R@10 + R@50) / 2 over the categories, CIRCO
    /// mAP@5, GeneCIS R@1.
    #[default]
    Own,
    /// The mean of CIRR's seven figures (SPRC's code); elsewhere as `own`.
    Mean,
}

/// How training reads a pair that has several wordings (FashionIQ).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Wordings {
    /// An epoch reads each pair once, in a wording drawn from the seed (published code). So two wordings of a pair never meet in
    /// a batch, where each would be the other's negative.
    #[default]
    Drawn,
    /// Each wording is a row of its own, as in runs of version 0.1.
    Spread,
}

/// All settings of a fine-tuning run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// What is trained towards.
    #[serde(flatten)]
    pub objective: ObjectiveSettings,
    /// Seed of everything random.
    pub seed: u64,
    /// Where it runs.
    pub device: DeviceKind,
    /// What it computes in, one of [`PRECISIONS`].
    #[serde(default, deserialize_with = "precision")]
    pub precision: NumberFormat,
    /// Triplets a step, over all devices.
    pub batch: usize,
    /// Triplets encoded together, for batches that do not fit in memory: every piece is encoded twice, the gradients are
    /// those of the whole batch. 0: all at once.
    #[serde(default)]
    pub sub_batch: usize,
    /// Devices that share each batch.
    #[serde(default = "one")]
    pub devices: usize,
    /// Steps in all; the schedule ends there.
    pub steps: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// How the rate goes.
    #[serde(default)]
    pub schedule: Schedule,
    /// Steps that the schedule is made for, where the run stops before its end; 0: `steps`.
    #[serde(default)]
    pub schedule_steps: usize,
    /// One-cycle: the first rate is the peak divided by this (PyTorch: 25).
    #[serde(default = "pytorch_div_factor")]
    pub div_factor: f64,
    /// Steps of the first cycle of a schedule with restarts (ConText-CIR's code: 2,500).
    #[serde(default = "cycle")]
    pub cycle: usize,
    /// How many times as long as the one before each further cycle is (ConText-CIR's code: 2).
    #[serde(default = "cycle_factor")]
    pub cycle_factor: usize,
    /// Parameters with rates and decays of their own; the first that matches counts.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// AdamW's β₁, β₂.
    pub betas: (f64, f64),
    /// AdamW's ε.
    pub epsilon: f64,
    /// Decoupled weight decay on matrices.
    pub weight_decay: f64,
    /// Whether vectors decay too: norms, biases and τ (SPRC, MTST_PTHA and SPN4CIR decay every parameter).
    #[serde(default)]
    pub decay_vectors: bool,
    /// Largest global gradient norm; 0: any.
    pub clip: f64,
    /// Share of rows whose text changes nothing and whose target is the reference.
    #[serde(default)]
    pub unchanged: f64,
    /// Triplets with similar targets that go into one batch together; 1 shuffles freely.
    pub group: usize,
    /// How pairs with several wordings are read; `None`: not chosen, so as the run began, else [`Wordings::Drawn`].
    #[serde(default = "spread")]
    pub wordings: Option<Wordings>,
    /// Whether the word embeddings stay as they were loaded.
    pub freeze_words: bool,
    /// Steps between validations.
    pub validate_every: usize,
    /// Validation queries used during training; 0: all.
    pub validate_queries: usize,
    /// Which targets validation counts as right; `None`: not chosen, so as the run began, else as the data set counts.
    #[serde(default = "all_targets")]
    pub right_targets: Option<RightTargets>,
    /// Which figure chooses the best checkpoint.
    #[serde(default)]
    pub selection: Selection,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
}

/// What a run of version 0.1 did.
fn spread() -> Option<Wordings> {
    Some(Wordings::Spread)
}

/// What a run of version 0.1 did.
fn all_targets() -> Option<RightTargets> {
    Some(RightTargets::All)
}

/// ConText-CIR's code: `cosine_t0`.
pub(super) fn cycle() -> usize {
    2500
}

/// ConText-CIR's code: `T_mult`.
pub(super) fn cycle_factor() -> usize {
    2
}

fn one() -> usize {
    1
}

/// PyTorch's default `div_factor`.
pub fn pytorch_div_factor() -> f64 {
    25.0
}

impl Settings {
    /// SPRC's published settings for CIRR, one step long: where an imported checkpoint, a test or a benchmark starts from.
    pub fn sprc() -> Self {
        Self {
            objective: ObjectiveSettings::TwoPass(TwoPassSettings::sprc()),
            seed: 0,
            device: DeviceKind::Cpu,
            batch: 128,
            sub_batch: 0,
            devices: 1,
            steps: 1,
            learning_rate: 1e-5,
            warmup: 0,
            schedule: Schedule::Cosine,
            schedule_steps: 0,
            div_factor: pytorch_div_factor(),
            cycle: cycle(),
            cycle_factor: cycle_factor(),
            groups: Vec::new(),
            betas: (0.9, 0.98),
            epsilon: 1e-7,
            weight_decay: 0.05,
            decay_vectors: true,
            clip: 1.0,
            unchanged: 0.0,
            precision: NumberFormat::F32,
            group: 1,
            wordings: None,
            freeze_words: false,
            validate_every: 1,
            validate_queries: 1,
            right_targets: None,
            selection: Selection::Own,
            checkpoint_every: 1,
        }
    }

    /// These settings, with what they leave open as `began`, the settings that the run began with, says.
    pub fn continuing(&self, began: &Self) -> Self {
        Self {
            wordings: self.wordings.or(began.wordings),
            right_targets: self.right_targets.or(began.right_targets),
            ..self.clone()
        }
    }

    /// Which parameters train and how: the run's own groups, the word embeddings where they are frozen, the image encoder, of
    /// which only what a group names by [`IMAGE_ENCODER`] trains, and behind them what the losses leave as it is.
    pub fn groups_in_force(&self) -> Vec<Group> {
        let of_encoder = |group: &&Group| group.pattern.starts_with(IMAGE_ENCODER);
        let words = self.freeze_words.then(|| Group::frozen(self.objective.family().words()));
        let adapters = self.objective.family().trains_adapters().then(Group::adapters);
        let encoder =
            self.groups.iter().filter(of_encoder).cloned().chain(adapters).chain([Group::frozen(IMAGE_ENCODER)]);
        let rest = self.groups.iter().filter(|group| !of_encoder(group)).cloned();
        words.into_iter().chain(encoder).chain(rest).chain(self.objective.family().groups()).collect()
    }

    /// Whether a part of the image encoder trains.
    pub fn trains_image_encoder(&self) -> bool {
        self.objective.family().trains_adapters()
            || self.groups.iter().any(|group| group.pattern.starts_with(IMAGE_ENCODER) && group.rate > 0.0)
    }

    /// Steps of the schedule, of which the run may take fewer.
    pub fn schedule_length(&self) -> usize {
        if self.schedule_steps > 0 { self.schedule_steps } else { self.steps }
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] that names the option.
    pub fn check(&self) -> Result<()> {
        let wrong = |option: &str, problem: String, range: String| {
            Err(TrainerError::settings(option, problem, format!("give {range}")))
        };
        if self.batch < 2 {
            return wrong("--batch", format!("{} leaves no negatives", self.batch), "at least 2".into());
        }
        if !(1..=self.batch).contains(&self.devices) {
            let problem = format!("{} for a batch of {}", self.devices, self.batch);
            return wrong("--devices", problem, format!("1 to {}", self.batch));
        }
        if self.schedule_steps > 0 && self.schedule_steps < self.steps {
            let problem = format!("{} is shorter than the run's {} steps", self.schedule_steps, self.steps);
            return wrong("--schedule-steps", problem, format!("0, or at least {}", self.steps));
        }
        for (option, count) in [
            ("--steps", self.steps),
            ("--group", self.group),
            ("--cycle", self.cycle),
            ("--cycle-factor", self.cycle_factor),
            ("--checkpoint-every", self.checkpoint_every),
            ("--validate-every", self.validate_every),
        ] {
            if count == 0 {
                return Err(TrainerError::settings(option, "0 is out of range", "give at least 1"));
            }
        }
        ranges::POSITIVE.check("--learning-rate", self.learning_rate)?;
        ranges::AT_LEAST_ONE.check("--div-factor", self.div_factor)?;
        ranges::NOT_NEGATIVE.check("--weight-decay", self.weight_decay)?;
        ranges::NOT_NEGATIVE.check("--clip", self.clip)?;
        ranges::ADDED.check("--unchanged", self.unchanged)?;
        ranges::PART.check("--beta1", self.betas.0)?;
        ranges::PART.check("--beta2", self.betas.1)?;
        ranges::POSITIVE.check("--epsilon", self.epsilon)?;
        PRECISIONS.check("--precision", self.precision)?;
        let images = self.objective.family().image_batch();
        if images > 0 && self.devices > images {
            let problem = format!("{} for {images} unlabelled images a step", self.devices);
            return wrong("--devices", problem, format!("1 to {images}"));
        }
        self.objective.family().check()
    }
}
