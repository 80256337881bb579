//! What a recipe file or the command line may choose about a run: one list for both. What neither chooses gets its value
//! in [`DEFAULTS`].

use super::defaults::DEFAULTS;
use super::groups::Group;
use super::objective::{ObjectiveSettings, OwnChoices};
use super::settings::{PRECISIONS, Schedule, Selection, Settings, Wordings, precision};
use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use crate::metrics::RightTargets;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;

/// Headings of the options in the help.
pub(super) const MODEL: &str = "Model";
/// See [`MODEL`].
pub(super) const LOSSES: &str = "Losses";
const SCHEDULE: &str = "Schedule and optimiser";
const BATCHES: &str = "Batches and device";
const VALIDATION: &str = "Validation and checkpoints";

/// Choices; each is an option of `thisbut finetune` and, by the same name, a key of a recipe file. The help of an option
/// shows its default by `defaults::shown`, not in its text.
///
/// A recipe is read by [`super::recipes::parse`], which refuses keys that are none of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(rename_all = "kebab-case")]
pub struct Choices {
    /// A preset or a configuration file.
    #[arg(long, help_heading = MODEL)]
    pub preset: Option<String>,
    /// Dropout during training.
    #[arg(long, value_name = "SHARE", help_heading = MODEL, hide_short_help = true)]
    pub dropout: Option<f64>,
    /// τ at the start, whatever the starting weights say.
    #[arg(long, value_name = "T", help_heading = MODEL, hide_short_help = true)]
    pub temperature: Option<f64>,
    /// Those of the method's family.
    #[command(flatten)]
    #[serde(skip)]
    pub own: OwnChoices,
    /// Steps in all.
    #[arg(long, value_name = "N", help_heading = SCHEDULE)]
    pub steps: Option<usize>,
    /// Epochs in all, instead of --steps.
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = SCHEDULE)]
    pub epochs: Option<f64>,
    /// Peak learning rate.
    #[arg(long, value_name = "RATE", help_heading = SCHEDULE)]
    pub learning_rate: Option<f64>,
    /// Steps of warm-up.
    #[arg(long, value_name = "N", help_heading = SCHEDULE)]
    pub warmup: Option<usize>,
    /// Epochs of warm-up, instead of --warmup.
    #[arg(long, value_name = "N", conflicts_with = "warmup", help_heading = SCHEDULE, hide_short_help = true)]
    pub warmup_epochs: Option<f64>,
    /// How the learning rate goes.
    #[arg(long, value_enum, help_heading = SCHEDULE)]
    pub schedule: Option<Schedule>,
    /// Steps that the schedule is made for, where the run stops before its end.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    pub schedule_steps: Option<usize>,
    /// Epochs that the schedule is made for, instead of --schedule-steps.
    #[arg(long, value_name = "N", conflicts_with = "schedule_steps", help_heading = SCHEDULE, hide_short_help = true)]
    pub schedule_epochs: Option<f64>,
    /// One-cycle: the peak rate divided by the first.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    pub div_factor: Option<f64>,
    /// Weight decay on matrices.
    #[arg(long, value_name = "DECAY", help_heading = SCHEDULE, hide_short_help = true)]
    pub weight_decay: Option<f64>,
    /// Let norms, biases and τ decay too, as SPRC's code does.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = SCHEDULE, hide_short_help = true)]
    pub decay_vectors: Option<bool>,
    /// Largest global gradient norm; 0: any.
    #[arg(long, value_name = "NORM", help_heading = SCHEDULE, hide_short_help = true)]
    pub clip: Option<f64>,
    /// Train the word embeddings too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = SCHEDULE, hide_short_help = true)]
    pub train_words: Option<bool>,
    /// Parameters with rates and decays of their own.
    #[arg(skip)]
    pub groups: Option<Vec<Group>>,
    /// Triplets a step, over all devices.
    #[arg(long, value_name = "N", help_heading = BATCHES)]
    pub batch: Option<usize>,
    /// Triplets encoded together, for less memory; 0: the whole batch.
    ///
    /// Triplets encoded together, for batches that do not fit in memory; 0: the whole batch. Each piece is encoded twice,
    /// and the gradients are those of the whole batch.
    #[arg(long, value_name = "N", help_heading = BATCHES)]
    pub sub_batch: Option<usize>,
    /// Triplets with similar targets that share a batch; 1 shuffles freely.
    #[arg(long, value_name = "N", help_heading = BATCHES, hide_short_help = true)]
    pub group: Option<usize>,
    /// Share of rows whose text changes nothing ("the same") and whose target is the reference.
    #[arg(long, value_name = "SHARE", help_heading = BATCHES, hide_short_help = true)]
    pub unchanged: Option<f64>,
    /// How a pair with several wordings is read (FashionIQ): one drawn an epoch, or each as a row of its own.
    #[arg(long, value_enum, help_heading = BATCHES, hide_short_help = true)]
    pub wordings: Option<Wordings>,
    /// Seed of every draw.
    #[arg(long, help_heading = BATCHES)]
    pub seed: Option<u64>,
    /// What to compute on.
    #[arg(long, value_enum, help_heading = BATCHES)]
    pub device: Option<DeviceKind>,
    /// Devices that share each batch: CUDA cards, or threads of the processor.
    #[arg(long, value_name = "N", help_heading = BATCHES, hide_short_help = true)]
    pub devices: Option<usize>,
    /// What the passes compute in; master weights stay f32.
    #[serde(default, deserialize_with = "precision")]
    #[arg(long, value_parser = PRECISIONS.parser(), help_heading = BATCHES)]
    pub precision: Option<NumberFormat>,
    /// Steps between validations.
    #[arg(long, value_name = "N", help_heading = VALIDATION)]
    pub validate_every: Option<usize>,
    /// Epochs between validations, instead of --validate-every.
    #[arg(long, value_name = "N", conflicts_with = "validate_every", help_heading = VALIDATION, hide_short_help = true)]
    pub validate_epochs: Option<f64>,
    /// Validation queries used on the way; 0: all.
    #[arg(long, value_name = "N", help_heading = VALIDATION, hide_short_help = true)]
    pub validate_queries: Option<usize>,
    /// Which targets validation counts as right: hard (CIRR's server), or all, soft ones too.
    #[arg(long, value_name = "WHICH", value_enum, help_heading = VALIDATION, hide_short_help = true)]
    pub right_targets: Option<RightTargets>,
    /// Which figure chooses the best checkpoint.
    #[arg(long, value_enum, help_heading = VALIDATION, hide_short_help = true)]
    pub selection: Option<Selection>,
    /// Steps between checkpoints.
    #[arg(long, value_name = "N", help_heading = VALIDATION, hide_short_help = true)]
    pub checkpoint_every: Option<usize>,
    /// Whether what was not chosen is as the family pretrains.
    #[arg(skip)]
    #[serde(skip)]
    pub pretraining: bool,
}

/// `or_each!(one, base, fields…)`: a struct of options, each from `one` where it has it, else from `base`.
macro_rules! or_each {
    ($one:ident, $base:ident, $($field:ident)* $(; $($rest:ident: $value:expr),*)?) => {
        Self { $($field: $one.$field.or($base.$field),)* $($($rest: $value,)*)? }
    };
}
pub(super) use or_each;

/// A word of an enum of the model's configuration.
///
/// # Errors
/// When there is no such word, with those that there are.
pub fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|e| e.to_string())
}

impl Choices {
    /// These choices where they are made, else those of `base`.
    pub fn over(self, mut base: Self) -> Self {
        // A length in steps takes the place of one in epochs, and the other way round.
        macro_rules! instead {
            ($($steps:ident, $epochs:ident;)*) => {$(
                if self.$steps.is_some() { base.$epochs = None; }
                if self.$epochs.is_some() { base.$steps = None; }
            )*};
        }
        instead! {
            steps, epochs;
            warmup, warmup_epochs;
            schedule_steps, schedule_epochs;
            validate_every, validate_epochs;
        }
        or_each!(self, base,
            preset dropout temperature seed device devices precision batch sub_batch steps epochs learning_rate warmup
            warmup_epochs schedule schedule_steps schedule_epochs div_factor weight_decay decay_vectors clip group wordings unchanged train_words
            groups validate_every validate_epochs validate_queries right_targets selection checkpoint_every;
            own: self.own.over(base.own), pretraining: self.pretraining || base.pretraining)
    }

    /// The preset's name, or a configuration file's path.
    pub fn preset(&self) -> &str {
        self.preset.as_deref().unwrap_or(DEFAULTS.preset)
    }

    /// The preset's configuration with what was chosen otherwise.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn configure(&self, mut config: RetrievalConfig) -> Result<RetrievalConfig> {
        self.own.configure(&mut config)?;
        let family = config.method.family_mut();
        if let Some(share) = self.dropout {
            family.set_dropout(share);
        }
        if let Some(temperature) = self.temperature {
            family.set_temperature(temperature);
        }
        config.check("the run's configuration")?;
        Ok(config)
    }

    /// What a model of `config` is trained towards.
    pub fn objective(&self, config: &RetrievalConfig) -> ObjectiveSettings {
        self.own.objective(config, self.pretraining)
    }

    /// The settings of a run of a model of `config` over `triplets` triplets, by which epochs are counted: a published epoch sees each of them
    /// once, whatever training adds to them.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] that names the option.
    pub fn settings(&self, config: &RetrievalConfig, triplets: usize) -> Result<Settings> {
        let batch = self.batch.unwrap_or(DEFAULTS.batch);
        let per_epoch = triplets as f64 / batch.max(1) as f64;
        let length = |steps: Option<usize>, epochs: Option<f64>, option: &str| match (steps, epochs) {
            (Some(steps), _) => Ok(Some(steps)),
            (None, Some(epochs)) if epochs > 0.0 && epochs.is_finite() => {
                // Whole batches only, as with PyTorch's `drop_last`.
                Ok(Some(((epochs * per_epoch.floor()).round() as usize).max(1)))
            }
            (None, Some(epochs)) => Err(TrainerError::settings(
                option,
                format!("{epochs} is not a positive number"),
                "choose another value",
            )),
            (None, None) => Ok(None),
        };
        let settings = Settings {
            objective: self.objective(config),
            seed: self.seed.unwrap_or(DEFAULTS.seed),
            device: self.device.unwrap_or(DEFAULTS.device),
            precision: self.precision.unwrap_or(DEFAULTS.precision),
            batch,
            sub_batch: self.sub_batch.unwrap_or(DEFAULTS.sub_batch),
            devices: self.devices.unwrap_or(DEFAULTS.devices),
            steps: length(self.steps, self.epochs, "--epochs")?.unwrap_or(DEFAULTS.steps),
            learning_rate: self.learning_rate.unwrap_or(DEFAULTS.learning_rate),
            warmup: length(self.warmup, self.warmup_epochs, "--warmup-epochs")?.unwrap_or(DEFAULTS.warmup),
            schedule: self.schedule.unwrap_or(DEFAULTS.schedule),
            schedule_steps: length(self.schedule_steps, self.schedule_epochs, "--schedule-epochs")?.unwrap_or(0),
            div_factor: self.div_factor.unwrap_or(DEFAULTS.div_factor),
            groups: self.groups.clone().unwrap_or_default(),
            betas: (0.9, 0.98),
            epsilon: 1e-7,
            weight_decay: self.weight_decay.unwrap_or(DEFAULTS.weight_decay),
            decay_vectors: self.decay_vectors.unwrap_or(DEFAULTS.decay_vectors),
            clip: self.clip.unwrap_or(DEFAULTS.clip),
            unchanged: self.unchanged.unwrap_or(DEFAULTS.unchanged),
            group: self.group.unwrap_or(DEFAULTS.group),
            wordings: self.wordings,
            freeze_words: !self.train_words.unwrap_or(DEFAULTS.train_words),
            validate_every: length(self.validate_every, self.validate_epochs, "--validate-epochs")?
                .unwrap_or(DEFAULTS.validate_every),
            validate_queries: self.validate_queries.unwrap_or(DEFAULTS.validate_queries),
            right_targets: self.right_targets,
            selection: self.selection.unwrap_or(DEFAULTS.selection),
            checkpoint_every: self.checkpoint_every.unwrap_or(DEFAULTS.checkpoint_every),
        };
        settings.check()?;
        Ok(settings)
    }
}
