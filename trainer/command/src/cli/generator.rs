//! `thisbut generator`: training the modification-text generator, and what its texts are worth.

mod filter;
mod pages;
mod quality;

use anyhow::{Result, bail};
use clap::Subcommand;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use thisbut_generator::mtst::{MtstConfig, MtstForm};
use thisbut_generator::texts::Complaints;
use thisbut_generator::train::{Inputs, train};
use thisbut_generator::{Arithmetic, Language, Setup, start};
use thisbut_model::text::TextReader;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, derive, described};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::Features;
use thisbut_trainer::train::event::Event;
use thisbut_trainer::train::settings::{Precision, Settings};
use thisbut_trainer::{fsx, import};

/// The modification-text generator (MTST).
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<Train>),
    Filter(filter::Args),
    Quality(quality::Args),
    Compare(pages::Compare),
    Check(pages::Check),
    Score(pages::Score),
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(args) => args.run(),
            Command::Filter(args) => args.run(),
            Command::Quality(args) => args.run(),
            Command::Compare(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Score(args) => args.run(),
        }
    }
}

/// Lists what is wrong with a file of triplets: the first lines, then how many more there are.
fn complain(complaints: &Complaints) {
    const SHOWN: usize = 20;
    for complaint in complaints.first.iter().take(SHOWN) {
        super::note(format_args!("  {complaint}"));
    }
    if complaints.count > SHOWN {
        super::note(format_args!("  … and {} more", complaints.count - SHOWN));
    }
}

/// Other images that each image is paired with under `--titles`.
const PARTNERS: usize = 8;

/// Which form of q_c.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// The instruction with both images' query features (paper).
    #[default]
    Paper,
    /// The instruction with both images' own tokens (published code).
    Code,
}

/// Train the generator on annotated triplets; a run that was stopped goes on where its newest checkpoint stands.
#[derive(clap::Args)]
struct Train {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout (default: told from its files).
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// A preset or a configuration file: image encoder and Q-Former.
    #[arg(long, default_value = "web-s")]
    preset: String,
    /// The frozen language model: a GGUF file, or a Hugging Face folder.
    #[arg(long, default_value = "data/weights/SmolLM2-135M-Instruct.Q4_1.gguf")]
    llm: PathBuf,
    /// The run's folder: checkpoints, metrics, samples.html.
    #[arg(long)]
    out: PathBuf,
    /// The cache of `thisbut features` (default: `<preset>.features` in the data set's folder).
    #[arg(long)]
    features: Option<PathBuf>,
    /// The folder of `fetch-weights`.
    #[arg(long, default_value = "data/weights")]
    weights: PathBuf,
    /// Start from this checkpoint's Q-Former, and FC_llm where it has one, instead of MiniLM's words: one of this project, or
    /// the files of InstructBLIP, BLIP-2 or MTST_PTHA.
    #[arg(long)]
    start: Option<PathBuf>,
    /// What the composed feature q_c is made from.
    #[arg(long, value_enum, default_value_t)]
    form: Form,
    /// What the model is asked (default: the form's own).
    #[arg(long)]
    instruction: Option<String>,
    /// Put images and instruction into the language model's chat template.
    #[arg(long)]
    chat: bool,
    /// What the language model's maps are computed in: int8 takes about half the time on a CPU.
    #[arg(long, value_enum, default_value_t)]
    llm_precision: Arithmetic,
    /// Train low-rank changes of the language model's maps too, of this rank (LoRA; 0: leave it as it is, the paper's way).
    #[arg(long, default_value_t = 0)]
    rank: usize,
    /// Tokens of a text that are trained on.
    #[arg(long, default_value_t = 64)]
    answer_length: usize,
    /// Train on the titles of images.json instead of triplets: "from … to …" for random pairs. A Q-Former that has never stood
    /// before the language model learns there to tell it what an image shows.
    #[arg(long)]
    titles: bool,
    /// Let every answer first say what both images show, on a line of its own, as --titles does: what to change is then told from
    /// words. Texts come without that line.
    #[arg(long, conflicts_with = "titles")]
    describe: bool,
    /// This share of the rows names two random images and stops there, so that images without a triplet are known too.
    #[arg(long, default_value_t = 0.0, requires = "describe", value_parser = share)]
    title_share: f64,
    /// Train on the first so many triplets only (0: all).
    #[arg(long, default_value_t = 0)]
    triplets: usize,
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
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Triplets that go through the model together, for batches that do not fit in memory (0: all of them). A CPU works at two such
    /// parts, or halves of the batch, at the same time.
    #[arg(long, default_value_t = 0)]
    sub_batch: usize,
    /// Steps in all.
    #[arg(long, default_value_t = 1000)]
    steps: usize,
    /// Stop after this step; the same command without it goes on from there.
    #[arg(long)]
    until: Option<NonZeroUsize>,
    /// Peak learning rate.
    #[arg(long, default_value_t = 5e-4)]
    learning_rate: f64,
    /// Steps of linear warm-up.
    #[arg(long, default_value_t = 50)]
    warmup: usize,
    /// Weight decay on matrices.
    #[arg(long, default_value_t = 0.05)]
    weight_decay: f64,
    /// Largest global gradient norm.
    #[arg(long, default_value_t = 1.0)]
    clip: f64,
    /// Train the Q-Former's word embeddings too.
    #[arg(long)]
    train_words: bool,
    /// Steps between validations.
    #[arg(long, default_value_t = 100)]
    validate_every: usize,
    /// Held-out triplets whose perplexity is measured (0: all).
    #[arg(long, default_value_t = 400)]
    validate_queries: usize,
    /// Held-out pairs that get a text at each validation.
    #[arg(long, default_value_t = 64)]
    samples: usize,
    /// Steps between checkpoints.
    #[arg(long, default_value_t = 50)]
    checkpoint_every: usize,
}

fn share(text: &str) -> std::result::Result<f64, String> {
    let found = text.parse().ok().filter(|share| (0.0..=0.95).contains(share));
    found.ok_or_else(|| format!("'{text}' is no share between 0 and 0.95"))
}

impl Train {
    fn settings(&self) -> Settings {
        Settings {
            seed: self.seed,
            device: self.device,
            precision: self.precision,
            batch: self.batch,
            sub_batch: self.sub_batch,
            steps: self.steps,
            learning_rate: self.learning_rate,
            warmup: self.warmup,
            weight_decay: self.weight_decay,
            clip: self.clip,
            freeze_words: !self.train_words,
            validate_every: self.validate_every,
            validate_queries: self.validate_queries,
            checkpoint_every: self.checkpoint_every,
            ..Settings::sprc()
        }
    }

    fn run(self: Box<Self>) -> Result<()> {
        let config = super::preset(&self.preset)?;
        let settings = self.settings();
        settings.check()?;
        let form = match self.form {
            Form::Paper => MtstForm::Paper,
            Form::Code => MtstForm::Code,
        };
        let mut mtst = MtstConfig {
            chat: self.chat,
            answer_length: self.answer_length,
            rank: self.rank,
            describe: self.describe,
            ..MtstConfig::new(form)
        };
        let device = choose(self.device)?;
        if self.llm_precision == Arithmetic::Bf16 {
            bail!("--llm-precision bf16: is --precision bf16's, for the whole generator");
        }
        self.llm_precision.check(self.device, &device)?;
        if self.llm_precision == Arithmetic::Int8 && settings.precision == Precision::Bf16 {
            bail!("--llm-precision int8: computes beside f32 alone; leave out --precision bf16");
        }
        if let Some(instruction) = &self.instruction {
            mtst.instruction.clone_from(instruction);
        }
        mtst.check(&config)?;
        let data = DataSet::open(&self.dataset, self.format)?;
        let (mut training, complaints) = data.load(Split::Train, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let (mut validation, complaints) = data.load(Split::Val, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        let described = match self.titles || self.describe {
            true => described::load(&self.dataset)?.unwrap_or_default(),
            false => BTreeMap::new(),
        };
        if self.titles {
            training = derive::titled_pairs(&training, &described, PARTNERS, self.seed)?;
            validation = derive::titled_pairs(&validation, &described, 1, self.seed)?;
        }
        if self.triplets > 0 {
            training.triplets.truncate(self.triplets);
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
        let path = self.features.clone().unwrap_or_else(|| super::features_path(&self.dataset, &config));
        let features = Features::open(&path, Some(&expected))?;
        let texts = TextReader::new(&config, &fsx::read_text(&self.weights.join("vocab.txt"))?)?;
        let language = Language::load(&self.llm, settings.precision.float(), &device)?;
        let start = match &self.start {
            Some(path) => start::weights(path, &config, &language.config)?,
            None => import::language_start(&config, &self.weights)?,
        };
        let setup = Setup {
            mtst,
            language: language.config.clone(),
            fingerprint: language.fingerprint.clone(),
            arithmetic: self.llm_precision,
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
        let bar = super::progress("steps");
        let path = train(&settings, inputs, &mut |event| match event {
            Event::Step { step, steps, losses, triplets_per_second } => {
                super::advance(&bar, step, steps);
                bar.set_message(format!("{losses}, {triplets_per_second:.1} triplets/s"));
            }
            Event::Validation { step, found } => bar.suspend(|| {
                super::note(format_args!(
                    "step {step}: loss {:.3} a token, perplexity {:.2}, ROUGE-1 {:.3}, METEOR {:.3}",
                    found.loss, found.perplexity, found.rouge1, found.meteor
                ));
            }),
            Event::Note(note) => bar.suspend(|| super::note(note)),
        })?;
        bar.finish_and_clear();
        super::print(path.display())
    }
}
