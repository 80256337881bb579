//! `thisbut generator train`: training the modification-text generator.

use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use thisbut_generator::mtst::{InstructionForm, MtstConfig, MtstForm};
use thisbut_generator::train::{Inputs, train};
use thisbut_generator::{Language, PRECISIONS, Setup, check_precision, start};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, derive, described};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::Features;
use thisbut_trainer::train::event::Event;
use thisbut_trainer::train::settings::{Schedule, Settings, Wordings};
use thisbut_trainer::{import, ranges};

/// Other images that each image is paired with under `--titles`.
const PARTNERS: usize = 8;
/// Steps of warm-up where none are chosen.
const WARMUP: usize = 50;
/// AdamW's β₁, which every source has.
const BETA1: f64 = 0.9;

/// What the composed feature q_c is made from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Composed {
    /// The instruction with both images' query features (paper).
    #[default]
    Paper,
    /// The instruction with both images' own tokens (published code).
    Code,
}

/// How the instruction stands between images and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Instructed {
    /// The token that begins a text, the instruction, a new line.
    Line,
    /// As LAVIS has it: the token that ends an answer, the instruction, nothing more.
    Lavis,
}

/// Train the generator on annotated triplets
///
/// A run that was stopped goes on where its newest checkpoint stands.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut generator train data/fluent --titles --out runs/titles --steps 500
  thisbut generator train data/fluent --start runs/titles/final.safetensors --out runs/generator")]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// The run's folder: checkpoints, metrics, samples.html.
    #[arg(long)]
    out: PathBuf,
    /// A recipe's name (mtst), or a recipe file: options that stand before those given here.
    #[arg(long)]
    recipe: Option<String>,
    /// The cache of `thisbut features` [default: PRESET.features in the data set's folder].
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    features: Option<PathBuf>,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights", hide_short_help = true)]
    weights: PathBuf,
    /// Start from this checkpoint's Q-Former.
    ///
    /// Start from this checkpoint's Q-Former, and FC_llm where it has one, instead of MiniLM's words: one of this project, or
    /// the files of InstructBLIP, BLIP-2 or MTST_PTHA.
    #[arg(long, value_name = "CHECKPOINT")]
    start: Option<PathBuf>,
    /// Train on the titles of images.json instead of triplets.
    ///
    /// Train on the titles of images.json instead of triplets: "from … to …" for random pairs. A Q-Former that has never
    /// stood before the language model learns there to tell it what an image shows.
    #[arg(long)]
    titles: bool,
    /// Train on the first so many triplets only; 0: all.
    #[arg(long, value_name = "N", alias = "triplets", default_value_t = 0, hide_short_help = true)]
    first: usize,
    /// Stop after this step; the same command without it goes on from there.
    #[arg(long, value_name = "STEP", hide_short_help = true)]
    until: Option<NonZeroUsize>,
    /// A preset or a configuration file: image encoder and Q-Former.
    #[arg(long, default_value = "web-s", help_heading = MODEL)]
    preset: String,
    /// The frozen language model: a GGUF file, or a Hugging Face folder.
    #[arg(long, value_name = "MODEL", default_value = super::LLM, help_heading = MODEL)]
    llm: PathBuf,
    /// What the composed feature q_c is made from.
    #[arg(long, value_name = "FORM", alias = "form", value_enum, default_value_t, help_heading = MODEL)]
    composed_feature: Composed,
    /// What the model is asked [default: the form's own].
    #[arg(long, value_name = "TEXT", help_heading = MODEL, hide_short_help = true)]
    instruction: Option<String>,
    /// How the instruction stands before the answer [default: as --start's weights were trained].
    ///
    /// How the instruction stands before the answer. [default: as the weights of --start were trained: `lavis` for
    /// InstructBLIP's and MTST_PTHA's, a generator's own for one of this project, else `line`]
    #[arg(long, value_name = "FORM", value_enum, help_heading = MODEL, hide_short_help = true)]
    instruction_form: Option<Instructed>,
    /// Put images and instruction into the language model's chat template.
    #[arg(long, help_heading = MODEL, hide_short_help = true)]
    chat: bool,
    /// Train low-rank changes of the language model's maps too, of this rank (LoRA); 0: none, as the paper.
    #[arg(long, value_name = "RANK", alias = "rank", default_value_t = 0, help_heading = MODEL)]
    lora_rank: usize,
    /// Tokens of a text that are trained on [default: 64; with --instruction-form lavis 256].
    #[arg(long, value_name = "N", help_heading = MODEL, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    answer_length: Option<usize>,
    /// Let every answer first say what both images show.
    ///
    /// Let every answer first say what both images show, on a line of its own, as --titles does: what to change is then told
    /// from words. Texts come without that line.
    #[arg(long, conflicts_with = "titles", help_heading = MODEL)]
    describe: bool,
    /// This share of the rows names two random images and stops there, so that images without a triplet are known too.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, requires = "describe", value_parser = ranges::TITLES.parser::<f64>())]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    title_share: f64,
    /// Train the Q-Former's word embeddings too [default: with --instruction-form lavis, as its code].
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    #[arg(help_heading = MODEL, hide_short_help = true)]
    train_words: Option<bool>,
    /// Dropout on the weights of the Q-Former's attention (BERT, and so the published code: 0.1) [default: the preset's].
    #[arg(long, value_name = "SHARE", value_parser = ranges::PART.parser::<f64>(), help_heading = MODEL, hide_short_help = true)]
    attention_dropout: Option<f64>,
    /// Steps in all.
    #[arg(long, value_name = "N", default_value_t = 1000, help_heading = SCHEDULE)]
    #[arg(value_parser = ranges::count)]
    steps: usize,
    /// Peak learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 5e-4, help_heading = SCHEDULE)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    learning_rate: f64,
    /// Steps of linear warm-up [default: 50, or all of a shorter run].
    #[arg(long, value_name = "N", help_heading = SCHEDULE, hide_short_help = true)]
    warmup: Option<usize>,
    /// How the rate goes.
    #[arg(long, value_enum, default_value_t, help_heading = SCHEDULE, hide_short_help = true)]
    schedule: Schedule,
    /// AdamW's β₂, the decay of the mean of the gradients' squares.
    #[arg(long, value_name = "SHARE", default_value_t = 0.98, help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::PART.parser::<f64>())]
    beta2: f64,
    /// AdamW's ε.
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-7, help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::POSITIVE.parser::<f64>())]
    epsilon: f64,
    /// Weight decay on matrices.
    #[arg(long, value_name = "DECAY", default_value_t = 0.05, help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::NOT_NEGATIVE.parser::<f64>())]
    weight_decay: f64,
    /// Largest global gradient norm; 0: any.
    #[arg(long, value_name = "NORM", default_value_t = 1.0, help_heading = SCHEDULE, hide_short_help = true)]
    #[arg(value_parser = ranges::NOT_NEGATIVE.parser::<f64>())]
    clip: f64,
    /// Triplets a step.
    #[arg(long, value_name = "N", default_value_t = 32, help_heading = BATCHES)]
    #[arg(value_parser = ranges::count)]
    batch: usize,
    /// Triplets that go through the model together, for less memory; 0: the whole batch.
    ///
    /// Triplets that go through the model together, for batches that do not fit in memory; 0: the whole batch. A CPU works
    /// at two such parts, or halves of the batch, at the same time.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = BATCHES)]
    sub_batch: usize,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1, help_heading = BATCHES)]
    seed: u64,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t, help_heading = BATCHES)]
    device: DeviceKind,
    /// What the passes compute in; int8: the language model's maps in 8 bits, on a CPU in half the time.
    #[arg(long, alias = "llm-precision", value_parser = PRECISIONS.parser(), default_value = "f32")]
    #[arg(help_heading = BATCHES)]
    precision: NumberFormat,
    /// Steps between validations.
    #[arg(long, value_name = "N", default_value_t = 100, help_heading = VALIDATION)]
    #[arg(value_parser = ranges::count)]
    validate_every: usize,
    /// Held-out triplets whose perplexity is measured; 0: all.
    #[arg(long, value_name = "N", default_value_t = 400, help_heading = VALIDATION, hide_short_help = true)]
    validate_queries: usize,
    /// Held-out pairs that get a text at each validation.
    #[arg(long, value_name = "N", default_value_t = 64, help_heading = VALIDATION, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    samples: usize,
    /// Steps between checkpoints.
    #[arg(long, value_name = "N", default_value_t = 50, help_heading = VALIDATION, hide_short_help = true)]
    #[arg(value_parser = ranges::count)]
    checkpoint_every: usize,
}

const MODEL: &str = "Model";
const SCHEDULE: &str = "Schedule and optimiser";
const BATCHES: &str = "Batches and device";
const VALIDATION: &str = "Validation and checkpoints";

impl Args {
    /// The form of the instruction: the option's, or that of the weights to start from.
    fn form(&self) -> Result<InstructionForm> {
        Ok(match (self.instruction_form, &self.start) {
            (Some(Instructed::Line), _) => InstructionForm::Line,
            (Some(Instructed::Lavis), _) => InstructionForm::Lavis,
            (None, Some(path)) => start::instruction_form(path)?,
            (None, None) => InstructionForm::default(),
        })
    }

    fn settings(&self, form: InstructionForm) -> Settings {
        Settings {
            seed: self.seed,
            device: self.device,
            // 8 bits are the language model's alone; all else is computed in f32 beside it.
            precision: if self.precision == NumberFormat::Int8 { NumberFormat::F32 } else { self.precision },
            batch: self.batch,
            sub_batch: self.sub_batch,
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: self.warmup.unwrap_or(WARMUP),
            schedule: self.schedule,
            betas: (BETA1, self.beta2),
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
            decay_vectors: false,
            // Rows of one pair are no negatives of each other here.
            wordings: Some(Wordings::Spread),
            clip: self.clip,
            // Published: all but image encoder and language model trains.
            freeze_words: !self.train_words.unwrap_or(form == InstructionForm::Lavis),
            validate_every: self.validate_every,
            validate_queries: self.validate_queries,
            checkpoint_every: self.checkpoint_every,
            ..Settings::sprc()
        }
    }

    /// Runs the command.
    pub fn run(self: Box<Self>) -> Result<()> {
        let mut config = crate::cli::preset(&self.preset)?;
        let qformer = &mut config.two_pass_mut()?.qformer;
        qformer.attention_dropout = self.attention_dropout.unwrap_or(qformer.attention_dropout);
        let instruction_form = self.form()?;
        let settings = self.settings(instruction_form);
        settings.check()?;
        if let Some(warmup) = self.warmup.filter(|warmup| *warmup > self.steps) {
            bail!("--warmup: {warmup} steps are more than the run's {}; give 0 to as many", self.steps);
        }
        let form = match self.composed_feature {
            Composed::Paper => MtstForm::Paper,
            Composed::Code => MtstForm::Code,
        };
        let mut mtst = MtstConfig {
            instruction_form,
            chat: self.chat,
            answer_length: self.answer_length.unwrap_or(instruction_form.answer_length()),
            rank: self.lora_rank,
            describe: self.describe,
            ..MtstConfig::new(form)
        };
        let device = choose(self.device)?;
        check_precision(self.precision, self.device, &device)?;
        if let Some(instruction) = &self.instruction {
            mtst.instruction.clone_from(instruction);
        }
        mtst.check(&config)?;
        let data = DataSet::open(&self.dataset, self.format)?;
        let (mut training, complaints) = data.load(Split::Train, &LoadOptions::default())?;
        crate::cli::complain(&complaints, 20);
        let (mut validation, complaints) = data.load(Split::Val, &LoadOptions::default())?;
        crate::cli::complain(&complaints, 20);
        let described = match self.titles || self.describe {
            true => described::load(&self.dataset)?.unwrap_or_default(),
            false => BTreeMap::new(),
        };
        if self.titles {
            training = derive::titled_pairs(&training, &described, PARTNERS, self.seed)?;
            validation = derive::titled_pairs(&validation, &described, 1, self.seed)?;
        }
        if self.first > 0 {
            training.triplets.truncate(self.first);
        }
        derive::spread_wordings(&mut training);
        if self.describe {
            derive::describe_first(&mut training, &described)?;
            derive::describe_first(&mut validation, &described)?;
            if self.title_share > 0.0 {
                derive::add_titled_pairs(&mut training, &described, self.title_share, self.seed)?;
            }
        }
        let expected = import::encoder_fingerprint(&config, &self.weights)?;
        let path = self.features.clone().unwrap_or_else(|| crate::cli::features_path(&self.dataset, &config));
        let features = Features::of_encoder(&path, &config, &expected)?;
        let texts = import::texts(&config, &self.weights)?;
        let language = Language::load(&self.llm, settings.precision.float()?, &device)?;
        let start = match &self.start {
            Some(path) => start::weights(path, &config, &language.config)?,
            None => import::language_start(&config, &self.weights)?,
        };
        let setup = Setup {
            mtst,
            language: language.config.clone(),
            fingerprint: language.fingerprint.clone(),
            arithmetic: if self.precision == NumberFormat::Int8 { NumberFormat::Int8 } else { NumberFormat::F32 },
        };
        let inputs = Inputs {
            config: &config,
            setup: &setup,
            train: &training,
            validation: &validation,
            features: &features,
            texts: &texts,
            language: &language,
            start,
            samples: self.samples,
            run: &self.out,
            until: self.until.map(NonZeroUsize::get),
        };
        let bar = crate::cli::progress("steps").silent();
        let mut log = crate::cli::StepLog::default();
        let path = train(&settings, inputs, &mut |event| match event {
            Event::Step { step, steps, losses, triplets_per_second, remaining, memory } => {
                crate::cli::advance(&bar, step, steps);
                let said = format!("{losses}, {triplets_per_second:.1} triplets/s");
                log.step(&bar, (step, steps), &said, (remaining, memory));
                bar.set_message(said);
            }
            Event::Validation { step, found } => bar.suspend(|| {
                crate::cli::note(format_args!(
                    "step {step}: loss {:.3} a token, perplexity {:.2}, ROUGE-1 {:.3}, METEOR (exact match) {:.3}",
                    found.loss, found.perplexity, found.rouge1, found.meteor_exact
                ));
            }),
            Event::Note(note) => bar.suspend(|| crate::cli::note(note)),
        })?;
        bar.finish_and_clear();
        crate::cli::print(path.display())
    }
}
