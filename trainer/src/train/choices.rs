//! What a recipe file or the command line may choose about a run: one list for both. What neither chooses gets its value
//! in [`DEFAULTS`].

use super::defaults::DEFAULTS;
use super::groups::Group;
use super::objective::{ObjectiveSettings, OwnChoices};
use super::settings::{PRECISIONS, Schedule, Selection, Settings, Wordings, precision};
use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use crate::metrics::RightTargets;
use crate::ranges;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;

/// Headings of the options in the help.
pub(super) const MODEL: &str = "Model";
/// See [`MODEL`].
pub(super) const LOSSES: &str = "Losses";
const SCHEDULE: &str = "Schedule and optimiser";
/// See [`MODEL`].
pub(super) const BATCHES: &str = "Batches and device";
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
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    pub dropout: Option<f64>,
    /// τ at the start, whatever the starting weights say.
    #[arg(long, value_name = "T", help_heading = MODEL, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub temperature: Option<f64>,
    /// Those of the method's family.
    #[command(flatten)]
    #[serde(skip)]
    pub own: OwnChoices,
    /// Steps in all.
    #[arg(long, value_name = "N", help_heading = SCHEDULE)]
    #[arg(value_parser = ranges::count)]
    pub steps: Option<usize>,
    /// Epochs in all, instead of --steps.
    #[arg(long, value_name = "N", conflicts_with = "steps", help_heading = SCHEDULE)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub epochs: Option<f64>,
    /// Peak learning rate.
    #[arg(long, value_parser = ranges::POSITIVE.parser::<f64>(), value_name = "RATE", help_heading = SCHEDULE)]
    pub learning_rate: Option<f64>,
    /// Steps of warm-up.
    #[arg(long, value_name = "N", help_heading = SCHEDULE)]
    pub warmup: Option<usize>,
    /// Epochs of warm-up, instead of --warmup.
    #[arg(long, value_name = "N", conflicts_with = "warmup", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub warmup_epochs: Option<f64>,
    /// How the learning rate goes.
    #[arg(long, value_enum, help_heading = SCHEDULE)]
    pub schedule: Option<Schedule>,
    /// Steps that the schedule is made for, where the run stops before its end.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    pub schedule_steps: Option<usize>,
    /// Epochs that the schedule is made for, instead of --schedule-steps.
    #[arg(long, value_name = "N", conflicts_with = "schedule_steps", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub schedule_epochs: Option<f64>,
    /// One-cycle: the peak rate divided by the first.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::AT_LEAST_ONE.parser::<f64>())]
    pub div_factor: Option<f64>,
    /// Steps of the first cycle of a schedule with restarts.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    pub cycle: Option<usize>,
    /// How many times as long as the one before each further cycle is.
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    pub cycle_factor: Option<usize>,
    /// Weight decay on matrices.
    #[arg(long, value_name = "DECAY", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::NOT_NEGATIVE.parser::<f64>())]
    pub weight_decay: Option<f64>,
    /// AdamW's β₁, the share of the gradients' mean that a step keeps.
    #[arg(long, value_name = "SHARE", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    pub beta1: Option<f64>,
    /// AdamW's β₂, the same of their squares.
    #[arg(long, value_name = "SHARE", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    pub beta2: Option<f64>,
    /// AdamW's ε.
    #[arg(long, value_name = "NUMBER", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    pub epsilon: Option<f64>,
    /// Let norms, biases and τ decay too, as SPRC's code does.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = SCHEDULE, hide_short_help = true)]
    pub decay_vectors: Option<bool>,
    /// Largest global gradient norm; 0: any.
    #[arg(long, value_name = "NORM", help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::NOT_NEGATIVE.parser::<f64>())]
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
    #[arg(value_parser = ranges::count)]
    pub batch: Option<usize>,
    /// Triplets encoded together, for less memory; 0: the whole batch.
    ///
    /// Triplets encoded together, for batches that do not fit in memory; 0: the whole batch. Each piece is encoded twice,
    /// and the gradients are those of the whole batch.
    #[arg(long, value_name = "N", help_heading = BATCHES)]
    pub sub_batch: Option<usize>,
    /// Triplets with similar targets that share a batch; 1 shuffles freely.
    #[arg(long, value_name = "N", help_heading = BATCHES, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    pub group: Option<usize>,
    /// Share of rows whose text changes nothing ("the same") and whose target is the reference.
    #[arg(long, value_name = "SHARE", help_heading = BATCHES, hide_short_help = true)]
    #[arg(value_parser = ranges::ADDED.parser::<f64>())]
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
    #[arg(value_parser = ranges::count)]
    pub devices: Option<usize>,
    /// What the passes compute in; master weights stay f32.
    #[serde(default, deserialize_with = "precision")]
    #[arg(long, value_parser = PRECISIONS.parser(), help_heading = BATCHES, hide_short_help = true)]
    pub precision: Option<NumberFormat>,
    /// Steps between validations.
    #[arg(long, value_name = "N", help_heading = VALIDATION)]
    #[arg(value_parser = ranges::count)]
    pub validate_every: Option<usize>,
    /// Epochs between validations, instead of --validate-every.
    #[arg(long, value_name = "N", conflicts_with = "validate_every", help_heading = VALIDATION, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
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
    #[arg(value_parser = ranges::count)]
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
            warmup_epochs schedule schedule_steps schedule_epochs div_factor cycle cycle_factor weight_decay beta1 beta2 epsilon decay_vectors clip group wordings unchanged train_words
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
            ranges::PART.check("--dropout", share)?;
            family.set_dropout(share);
        }
        if let Some(temperature) = self.temperature {
            ranges::POSITIVE.check("--temperature", temperature)?;
            family.set_temperature(temperature);
        }
        config.check("the run's configuration")?;
        Ok(config)
    }

    /// What a model of `config` is trained towards.
    ///
    /// # Errors
    /// When the losses are another family's.
    pub fn objective(&self, config: &RetrievalConfig) -> Result<ObjectiveSettings> {
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
        let length = |steps: Option<usize>, epochs: Option<f64>, option: &str| -> Result<Option<usize>> {
            match (steps, epochs) {
                (Some(steps), _) => Ok(Some(steps)),
                (None, Some(epochs)) => {
                    ranges::POSITIVE.check(option, epochs)?;
                    // Whole batches only, as with PyTorch's `drop_last`.
                    Ok(Some(((epochs * per_epoch.floor()).round() as usize).max(1)))
                }
                (None, None) => Ok(None),
            }
        };
        let settings = Settings {
            objective: self.objective(config)?,
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
            cycle: self.cycle.unwrap_or(DEFAULTS.cycle),
            cycle_factor: self.cycle_factor.unwrap_or(DEFAULTS.cycle_factor),
            groups: self.groups.clone().unwrap_or_default(),
            betas: (self.beta1.unwrap_or(DEFAULTS.beta1), self.beta2.unwrap_or(DEFAULTS.beta2)),
            epsilon: self.epsilon.unwrap_or(DEFAULTS.epsilon),
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
        self.check_warmup(&settings)?;
        Ok(settings)
    }

    /// A warm-up that was chosen ends within the schedule; the default's is cut short by a short run.
    fn check_warmup(&self, settings: &Settings) -> Result<()> {
        let chosen = self.warmup.is_some() || self.warmup_epochs.is_some();
        let (warmup, all) = (settings.warmup, settings.schedule_length());
        if !chosen || warmup <= all {
            return Ok(());
        }
        let option = if self.warmup.is_some() { "--warmup" } else { "--warmup-epochs" };
        let length = if settings.schedule_steps > 0 { "--schedule-steps" } else { "--steps" };
        let problem = format!("a warm-up of {warmup} steps is longer than the {all} steps of {length}");
        let mend = format!("give --warmup 0 to {all}, or {length} {warmup} or more");
        Err(TrainerError::settings(option, problem, mend))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::recipes;
    use super::*;
    use clap::Args;
    use std::any::TypeId;

    /// The long names of the choices that are numbers of a type.
    fn options<T: 'static>() -> Vec<String> {
        let command = Choices::augment_args(clap::Command::new("finetune"));
        let wanted = |arg: &&clap::Arg| arg.get_value_parser().type_id() == TypeId::of::<T>();
        command.get_arguments().filter(wanted).filter_map(|arg| arg.get_long().map(str::to_owned)).collect()
    }

    fn settings(recipe: &str) -> Result<Settings> {
        of_preset("tiny", recipe)
    }

    fn of_preset(preset: &str, recipe: &str) -> Result<Settings> {
        let choices = recipes::parse(&format!("preset = \"{preset}\"\n{recipe}\n"), "mine.toml")?;
        let config = choices.configure(RetrievalConfig::preset(preset).unwrap())?;
        choices.settings(&config, 1000)
    }

    #[test]
    fn no_recipe_gets_a_number_past_its_range() {
        settings("").unwrap();
        let names = options::<f64>();
        assert!(names.len() > 12, "{names:?}");
        for name in names {
            let preset = match name.as_str() {
                "composition-weight" | "zs-weight" | "triplet-weight" => "tiny-dual",
                "consistency-weight" | "slack" => "tiny-context",
                "ctr" => "tiny-fashion",
                _ => "tiny",
            };
            for value in ["nan", "inf", "-inf", "-1.0", "1e30"] {
                let problem = of_preset(preset, &format!("{name} = {value}")).unwrap_err().to_string();
                assert!(
                    problem.contains(&format!("--{name}")) && problem.contains("give "),
                    "{name} = {value}: {problem}"
                );
            }
        }
        for name in ["temperature", "epochs", "warmup-epochs", "schedule-epochs", "validate-epochs", "learning-rate"] {
            let problem = settings(&format!("{name} = 0.0")).unwrap_err().to_string();
            assert!(problem.contains(&format!("--{name}")) && problem.contains("above 0"), "{name}: {problem}");
        }
        for name in ["steps", "batch", "group", "devices", "validate-every", "checkpoint-every"] {
            let problem = settings(&format!("{name} = 0")).unwrap_err().to_string();
            assert!(problem.contains(&format!("--{name}")), "{name}: {problem}");
        }
    }

    #[test]
    fn a_warm_up_that_is_chosen_ends_within_the_schedule() {
        let problem = settings("steps = 50\nwarmup = 51").unwrap_err().to_string();
        assert_eq!(
            problem,
            "--warmup: a warm-up of 51 steps is longer than the 50 steps of --steps; give --warmup 0 to 50, or --steps 51 or more"
        );
        let problem = settings("steps = 50\nwarmup = 80\nschedule-steps = 70").unwrap_err().to_string();
        assert!(problem.contains("80 steps is longer than the 70 steps of --schedule-steps"), "{problem}");
        assert!(settings("steps = 50\nwarmup-epochs = 30").unwrap_err().to_string().contains("--warmup-epochs"));
        settings("steps = 50\nwarmup = 50").unwrap();
        settings("steps = 50\nwarmup = 80\nschedule-steps = 100").unwrap();
        // The default's hundred steps are no choice.
        assert_eq!(settings("steps = 50").unwrap().warmup, DEFAULTS.warmup);
    }
}
