//! What a recipe file or the command line may choose about a run: one list for both. What neither chooses gets a default.

use super::groups::Group;
use super::objective::ObjectiveSettings;
use super::objective::two_pass::{Losses, TwoPassSettings};
use super::settings::{Precision, Schedule, Selection, Settings, pytorch_div_factor};
use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{ReadOut, SecondPassMask};

/// Choices; each is an option of `thisbut finetune` and, by the same name, a key of a recipe file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, clap::Args)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Choices {
    /// A preset or a configuration file [default: web-s].
    #[arg(long)]
    pub preset: Option<String>,
    /// How the query is read from the second pass: cls or mean-prompt-cls [default: the preset's].
    #[arg(long, value_parser = word::<ReadOut>)]
    pub read_out: Option<ReadOut>,
    /// What the second pass attends to: padding (hides it) or all-ones [default: the preset's].
    #[arg(long, value_parser = word::<SecondPassMask>)]
    pub second_pass_mask: Option<SecondPassMask>,
    /// Give the second pass a Q-Former of its own, which starts as a copy of the first's.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub own_second_pass: Option<bool>,
    /// Dropout during training [default: the preset's].
    #[arg(long)]
    pub dropout: Option<f64>,
    /// τ at the start, whatever the starting weights say [default: theirs].
    #[arg(long)]
    pub temperature: Option<f64>,
    /// Which losses [default: ptha].
    #[arg(long, value_enum)]
    pub losses: Option<Losses>,
    /// Seed of everything random [default: 1].
    #[arg(long)]
    pub seed: Option<u64>,
    /// What to compute on [default: cpu].
    #[arg(long, value_enum)]
    pub device: Option<DeviceKind>,
    /// Devices that share each batch: CUDA cards, or threads of the processor [default: 1].
    #[arg(long)]
    pub devices: Option<usize>,
    /// What the passes compute in; master weights stay f32 [default: f32].
    #[arg(long, value_enum)]
    pub precision: Option<Precision>,
    /// Triplets a step, over all devices [default: 128].
    #[arg(long)]
    pub batch: Option<usize>,
    /// Encode a batch in pieces of so many triplets, each twice: the same gradients in less memory; 0: all at once [default: 0].
    #[arg(long)]
    pub sub_batch: Option<usize>,
    /// Steps in all [default: 1500].
    #[arg(long)]
    pub steps: Option<usize>,
    /// Epochs in all, instead of --steps.
    #[arg(long, conflicts_with = "steps")]
    pub epochs: Option<f64>,
    /// Peak learning rate [default: 8e-4].
    #[arg(long)]
    pub learning_rate: Option<f64>,
    /// Steps of warm-up [default: 100].
    #[arg(long)]
    pub warmup: Option<usize>,
    /// Epochs of warm-up, instead of --warmup.
    #[arg(long, conflicts_with = "warmup")]
    pub warmup_epochs: Option<f64>,
    /// How the rate goes [default: cosine].
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Steps that the schedule is made for, where the run stops before its end [default: the run's].
    #[arg(long)]
    pub schedule_steps: Option<usize>,
    /// The same in epochs.
    #[arg(long, conflicts_with = "schedule_steps")]
    pub schedule_epochs: Option<f64>,
    /// One-cycle: the peak rate divided by the first [default: 25].
    #[arg(long)]
    pub div_factor: Option<f64>,
    /// Weight decay on matrices [default: 0.05].
    #[arg(long)]
    pub weight_decay: Option<f64>,
    /// Largest global gradient norm; 0: any [default: 1].
    #[arg(long)]
    pub clip: Option<f64>,
    /// Label smoothing of q2t (MTST_PTHA's code: 0.1) [default: 0].
    #[arg(long)]
    pub label_smoothing: Option<f64>,
    /// λ, weight of t2t (SPRC: 0.4 for CIRR) [default: 0.4].
    #[arg(long)]
    pub t2t: Option<f64>,
    /// α, weight of p2p (paper: 0.5), or of SPRC's align [default: 0.5].
    #[arg(long)]
    pub p2p: Option<f64>,
    /// Triplets with similar targets that share a batch; 1 shuffles freely [default: 4].
    #[arg(long)]
    pub group: Option<usize>,
    /// Share of rows whose text changes nothing ("the same") and whose target is the reference [default: 0].
    #[arg(long)]
    pub unchanged: Option<f64>,
    /// Every training target is a negative, embedded once by the starting weights; its side must be frozen.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub bank: Option<bool>,
    /// Count other right targets in a batch as negatives, as the published code does.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub keep_false_negatives: Option<bool>,
    /// Train the word embeddings too.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub train_words: Option<bool>,
    /// Parameters with rates and decays of their own.
    #[arg(skip)]
    pub groups: Option<Vec<Group>>,
    /// Steps between validations [default: 200].
    #[arg(long)]
    pub validate_every: Option<usize>,
    /// Epochs between validations, instead of --validate-every.
    #[arg(long, conflicts_with = "validate_every")]
    pub validate_epochs: Option<f64>,
    /// Validation queries used on the way; 0: all [default: 600].
    #[arg(long)]
    pub validate_queries: Option<usize>,
    /// Which figure chooses the best checkpoint [default: own].
    #[arg(long, value_enum)]
    pub selection: Option<Selection>,
    /// Steps between checkpoints [default: 50].
    #[arg(long)]
    pub checkpoint_every: Option<usize>,
}

/// A word of an enum of the model's configuration.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
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
        macro_rules! each {
            ($($field:ident)*) => { Self { $($field: self.$field.or(base.$field)),* } };
        }
        each! {
            preset read_out second_pass_mask own_second_pass dropout temperature losses seed device devices precision
            batch sub_batch steps epochs learning_rate warmup warmup_epochs schedule schedule_steps schedule_epochs
            div_factor weight_decay clip label_smoothing t2t p2p group unchanged bank keep_false_negatives train_words
            groups validate_every validate_epochs validate_queries selection checkpoint_every
        }
    }

    /// The preset's configuration with what was chosen otherwise.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn configure(&self, mut config: RetrievalConfig) -> Result<RetrievalConfig> {
        let own = config.two_pass_mut()?;
        own.read_out = self.read_out.unwrap_or(own.read_out);
        own.second_pass_mask = self.second_pass_mask.unwrap_or(own.second_pass_mask);
        own.own_second_pass = self.own_second_pass.unwrap_or(own.own_second_pass);
        own.qformer.dropout = self.dropout.unwrap_or(own.qformer.dropout);
        own.temperature = self.temperature.unwrap_or(own.temperature);
        config.check("the run's configuration")?;
        Ok(config)
    }

    /// What is trained towards.
    fn objective(&self) -> ObjectiveSettings {
        ObjectiveSettings::TwoPass(TwoPassSettings {
            losses: self.losses.unwrap_or_default(),
            label_smoothing: self.label_smoothing.unwrap_or(0.0),
            t2t: self.t2t.unwrap_or(0.4),
            p2p: self.p2p.unwrap_or(0.5),
            bank: self.bank.unwrap_or(false),
            keep_false_negatives: self.keep_false_negatives.unwrap_or(false),
        })
    }

    /// The settings of a run over `triplets` triplets, by which epochs are counted: a published epoch sees each of them
    /// once, whatever training adds to them.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] that names the option.
    pub fn settings(&self, triplets: usize) -> Result<Settings> {
        let batch = self.batch.unwrap_or(128);
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
            objective: self.objective(),
            seed: self.seed.unwrap_or(1),
            device: self.device.unwrap_or_default(),
            precision: self.precision.unwrap_or_default(),
            batch,
            sub_batch: self.sub_batch.unwrap_or(0),
            devices: self.devices.unwrap_or(1),
            steps: length(self.steps, self.epochs, "--epochs")?.unwrap_or(1500),
            learning_rate: self.learning_rate.unwrap_or(8e-4),
            warmup: length(self.warmup, self.warmup_epochs, "--warmup-epochs")?.unwrap_or(100),
            schedule: self.schedule.unwrap_or_default(),
            schedule_steps: length(self.schedule_steps, self.schedule_epochs, "--schedule-epochs")?.unwrap_or(0),
            div_factor: self.div_factor.unwrap_or_else(pytorch_div_factor),
            groups: self.groups.clone().unwrap_or_default(),
            betas: (0.9, 0.98),
            epsilon: 1e-7,
            weight_decay: self.weight_decay.unwrap_or(0.05),
            clip: self.clip.unwrap_or(1.0),
            unchanged: self.unchanged.unwrap_or(0.0),
            group: self.group.unwrap_or(4),
            freeze_words: !self.train_words.unwrap_or(false),
            validate_every: length(self.validate_every, self.validate_epochs, "--validate-epochs")?.unwrap_or(200),
            validate_queries: self.validate_queries.unwrap_or(600),
            selection: self.selection.unwrap_or_default(),
            checkpoint_every: self.checkpoint_every.unwrap_or(50),
        };
        settings.check()?;
        Ok(settings)
    }
}
