//! `thisbut finetune`: PTHA, or SPRC with a switch.

use anyhow::Result;
use std::path::PathBuf;
use thisbut::data::{DataSet, Format, LoadOptions, Split, derive, described};
use thisbut::device::DeviceKind;
use thisbut::features::{self, Features};
use thisbut::train::finetune::{Event, Inputs, finetune};
use thisbut::train::settings::{Precision, Recipe, Settings};
use thisbut::{fsx, import};
use thisbut_model::text::WordPiece;

/// Fine-tune on triplets; a run that was stopped goes on where its newest checkpoint stands.
#[derive(clap::Args)]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout (default: told from its files).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// A preset or a configuration file.
    #[arg(long, default_value = "web-s")]
    preset: String,
    /// The run's folder: checkpoints and metrics.
    #[arg(long)]
    out: PathBuf,
    /// The cache of `thisbut features` (default: `<preset>.features` in the data set's folder).
    #[arg(long)]
    features: Option<PathBuf>,
    /// The folder of `fetch-weights`.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// Start from this checkpoint's weights instead of the language model's.
    #[arg(long)]
    start: Option<PathBuf>,
    /// Losses.
    #[arg(long, value_enum, default_value_t)]
    recipe: Recipe,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
    /// What the passes compute in; master weights stay f32.
    #[arg(long, value_enum, default_value_t)]
    precision: Precision,
    /// Triplets a step.
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Steps in all.
    #[arg(long, default_value_t = 1500)]
    steps: usize,
    /// Stop after this step; the same command without it goes on from there.
    #[arg(long)]
    until: Option<usize>,
    /// Dropout during training (default: the preset's).
    #[arg(long)]
    dropout: Option<f64>,
    /// Peak learning rate.
    #[arg(long, default_value_t = 8e-4)]
    learning_rate: f64,
    /// Steps of linear warm-up.
    #[arg(long, default_value_t = 100)]
    warmup: usize,
    /// Weight decay on matrices.
    #[arg(long, default_value_t = 0.05)]
    weight_decay: f64,
    /// Largest global gradient norm.
    #[arg(long, default_value_t = 1.0)]
    clip: f64,
    /// Label smoothing of q2t (MTST_PTHA's code: 0.1).
    #[arg(long, default_value_t = 0.0)]
    label_smoothing: f64,
    /// λ, weight of t2t (SPRC: 0.4 for CIRR).
    #[arg(long, default_value_t = 0.4)]
    t2t: f64,
    /// α, weight of p2p (paper: 0.5), or of SPRC's align.
    #[arg(long, default_value_t = 0.5)]
    p2p: f64,
    /// Triplets with similar targets that share a batch; 1 shuffles freely.
    #[arg(long, default_value_t = 4)]
    group: usize,
    /// Share of rows whose text changes nothing ("the same") and whose target is the reference.
    #[arg(long, default_value_t = 0.0)]
    unchanged: f64,
    /// Count other right targets in a batch as negatives, as the published code does.
    #[arg(long)]
    keep_false_negatives: bool,
    /// Train the word embeddings too.
    #[arg(long)]
    train_words: bool,
    /// Steps between validations.
    #[arg(long, default_value_t = 200)]
    validate_every: usize,
    /// Validation queries used on the way.
    #[arg(long, default_value_t = 600)]
    validate_queries: usize,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 50)]
    checkpoint_every: usize,
}

impl Args {
    fn settings(&self) -> Settings {
        Settings {
            recipe: self.recipe,
            seed: self.seed,
            device: self.device,
            precision: self.precision,
            batch: self.batch,
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            betas: (0.9, 0.98),
            epsilon: 1e-7,
            weight_decay: self.weight_decay,
            clip: self.clip,
            label_smoothing: self.label_smoothing,
            t2t: self.t2t,
            p2p: self.p2p,
            unchanged: self.unchanged,
            group: self.group,
            keep_false_negatives: self.keep_false_negatives,
            freeze_words: !self.train_words,
            validate_every: self.validate_every,
            validate_queries: self.validate_queries,
            checkpoint_every: self.checkpoint_every,
        }
    }

    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let mut config = super::preset(&self.preset)?;
        if let Some(dropout) = self.dropout {
            config.qformer.dropout = dropout;
            config.check("--dropout")?;
        }
        let settings = self.settings();
        settings.check()?;
        let data = DataSet::open(&self.dataset, self.format)?;
        let (mut train, complaints) = data.load(Split::Train, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let (mut validation, complaints) = data.load(Split::Val, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        if settings.recipe == Recipe::Captions {
            let described = described::load(&self.dataset)?.unwrap_or_default();
            train = derive::captions(&train, &described)?;
            validation = derive::captions(&validation, &described)?;
        } else {
            derive::spread_wordings(&mut train);
            if settings.unchanged > 0.0 {
                derive::add_unchanged(&mut train, settings.unchanged, settings.seed);
            }
        }
        let expected = features::fingerprint(&config, &import::image_encoder(&config, &self.weights)?)?;
        let path = self.features.unwrap_or_else(|| super::features_path(&self.dataset, &config));
        let features = Features::open(&path, Some(&expected))?;
        let words = WordPiece::from_vocab(&fsx::read_text(&self.weights.join("vocab.txt"))?)?;
        let start = match &self.start {
            Some(path) => thisbut::train::checkpoint::load(path)?.model,
            None => import::language_start(&config, &self.weights)?,
        };
        let inputs = Inputs {
            config: &config,
            train: &train,
            validation: &validation,
            features: &features,
            words: &words,
            start,
            run: &self.out,
            until: self.until,
        };
        let bar = super::progress("steps");
        let path = finetune(&settings, inputs, &mut |event| match event {
            Event::Step { step, steps, loss, triplets_per_second, .. } => {
                super::advance(&bar, step, steps);
                bar.set_message(format!("loss {loss:.3}, {triplets_per_second:.0} triplets/s"));
            }
            Event::Validation { step, r1, r10, groups } => {
                let groups: Vec<String> =
                    groups.iter().map(|(name, (r1, r10))| format!("{name} {r1:.1} / {r10:.1}")).collect();
                bar.suspend(|| {
                    super::note(format_args!("step {step}: R@1 {r1:.1}, R@10 {r10:.1} ({})", groups.join(", ")));
                });
            }
            Event::Note(note) => bar.suspend(|| super::note(note)),
        })?;
        bar.finish_and_clear();
        super::print(path.display())
    }
}
