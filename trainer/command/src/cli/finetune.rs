//! `thisbut finetune`: training by a recipe, on triplets or captions.

use super::StepLog;
use anyhow::{Result, bail};
use clap::Command;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_model::text::TextReader;
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, Table, derive, described, extended, synthetic};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::features::{Features, ImageTokens, Live};
use thisbut_trainer::report::Incomplete;
use thisbut_trainer::tensor_file::FORMATS;
use thisbut_trainer::train::checkpoint::{self, Reader};
use thisbut_trainer::train::choices::Choices;
use thisbut_trainer::train::defaults;
use thisbut_trainer::train::event::Event;
use thisbut_trainer::train::finetune::{Inputs, check_plan, check_resume, finetune, header};
use thisbut_trainer::train::learner::IMAGE_ENCODER;
use thisbut_trainer::train::settings::Settings;
use thisbut_trainer::train::{recipes, start};
use thisbut_trainer::{embed, fsx, import};

/// Train on triplets or captions
///
/// A run that was stopped goes on where its newest checkpoint stands. A recipe's values stand in the place of the defaults that
/// are shown here, and options in the place of both.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut finetune data/fluent --recipe fluent-captions --out runs/words
  thisbut finetune data/fluent --recipe fluent --start runs/words/final.safetensors --out runs/main")]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// The run's folder: checkpoints and metrics.
    #[arg(long, required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// A built-in recipe or a recipe file.
    ///
    /// A recipe file, or the name of a built-in recipe: a file of recipes/ without its ending.
    #[arg(long)]
    recipe: Option<String>,
    /// Start from this checkpoint's weights [default: the language model's].
    #[arg(long, value_name = "CHECKPOINT")]
    start: Option<PathBuf>,
    /// The cache of `thisbut features`, or on-the-fly [default: PRESET.features in the data set's folder].
    ///
    /// The cache of `thisbut features`, or `on-the-fly`: encode the images in every step. [default: PRESET.features in the
    /// data set's folder]
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights", hide_short_help = true)]
    weights: PathBuf,
    /// What the image encoder computes in, where it is a vision transformer and runs on the fly.
    #[arg(long, value_name = "PRECISION", value_parser = FORMATS.parser(), default_value = "f32", hide_short_help = true)]
    encoder_precision: NumberFormat,
    /// Generated triplets to train on, in the place of the data set's own.
    ///
    /// Generated triplets to train on, a file of `thisbut generator generate`, in the place of the data set's training split.
    #[arg(long, value_name = "FILE")]
    triplets: Option<PathBuf>,
    /// With --triplets: their images that are in no split of the data set.
    ///
    /// With --triplets: images that are in no split of the data set, such as NLVR2's beside CIRR. A folder, or a split file
    /// (JSON: name to path). `thisbut features` takes the same.
    #[arg(long, value_name = "FOLDER", requires = "triplets", hide_short_help = true)]
    images: Vec<PathBuf>,
    /// Reverse texts from a generator in the place of the data set's own.
    ///
    /// Reverse texts from a generator in the place of the data set's own: a file of `thisbut generator generate` for the pairs
    /// of `thisbut generator pairs --annotated FOLDER --split train`.
    #[arg(long, value_name = "FILE", conflicts_with = "triplets", hide_short_help = true)]
    reverse: Option<PathBuf>,
    /// Further triplets beside the data set's own: SPN4CIR's extended captions.
    ///
    /// Further triplets beside the data set's own: SPN4CIR's extended captions, cap.rc2.train.extend_*.json (CIRR) or
    /// cap.extend_*.train.json (FashionIQ). An epoch reads them too.
    #[arg(long, value_name = "FILE", conflicts_with = "triplets", hide_short_help = true)]
    extended: Option<PathBuf>,
    /// Train on the first so many triplets only; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true)]
    first: usize,
    /// Stop after this step; the same command without it goes on from there.
    #[arg(long, value_name = "STEP", hide_short_help = true)]
    until: Option<NonZeroUsize>,
    /// Only say what the run would take: parameters, memory, time.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    choices: Choices,
}

/// Shows the defaults of the choices in the help of `thisbut finetune`.
pub fn show_defaults(command: Command) -> Command {
    shown(command, false)
}

/// Shows the defaults of the choices in the help of `thisbut pretrain`.
pub fn show_pretraining_defaults(command: Command) -> Command {
    shown(command, true)
}

fn shown(command: Command, pretraining: bool) -> Command {
    command.mut_args(|arg| match defaults::shown(arg.get_id().as_str(), pretraining) {
        Some(value) => defaults::show(arg, &value),
        None => arg,
    })
}

/// In the place of a cache's path: compute the tokens when they are asked for.
const ON_THE_FLY: &str = "on-the-fly";

impl Args {
    /// The image tokens of the tables' images, from the cache or the encoder.
    fn features(
        &self,
        config: &RetrievalConfig,
        device: DeviceKind,
        tables: [&Table; 2],
    ) -> Result<Box<dyn ImageTokens>> {
        if self.features.as_deref().is_some_and(|path| path == Path::new(ON_THE_FLY)) {
            let device = choose(device)?;
            let encoder = import::load_image_encoder_in(config, &self.weights, self.encoder_precision, &device)?;
            let images = tables.into_iter().flat_map(|table| &table.images);
            let images = images.map(|image| (image.name.clone(), image.path.clone())).collect();
            return Ok(Box::new(Live::new(encoder, config, &device, images)));
        }
        let expected = import::encoder_fingerprint(config, &self.weights)?;
        let path = self.features.clone().unwrap_or_else(|| super::features_path(&self.dataset, config));
        Ok(Box::new(Features::of_encoder(&path, config, &expected)?))
    }

    /// Opens the checkpoint to start from, which must be of a model like this one.
    fn starting(&self, path: &Path, config: &RetrievalConfig, texts: Option<&TextReader>) -> Result<Reader> {
        let reader = checkpoint::open(path)?;
        if reader.header.generator.is_some() {
            bail!("--start {}: it is a generator's; give a retrieval model's checkpoint", path.display());
        }
        start::check_start(path, &reader.header, config)?;
        if let Some(texts) = texts {
            reader.header.check_vocabulary(path, texts.fingerprint())?;
        }
        Ok(reader)
    }

    /// The run's checks of the files that are there: what a dry run looks at. What is missing may come before the run.
    fn check_files(
        &self,
        settings: &Settings,
        config: &RetrievalConfig,
        tables: [&Table; 2],
        texts: Option<&TextReader>,
    ) -> Result<()> {
        if let Some(path) = &self.start {
            self.starting(path, config, texts)?;
        }
        // A dry run without the pictures sees rows that the run may leave out.
        if tables.iter().any(|table| table.images.iter().any(|image| !image.path.is_file())) {
            return Ok(());
        }
        if let Some(out) = self.out.as_ref().filter(|out| out.is_dir()) {
            check_resume(out, header(settings, config, tables, texts))?;
        }
        let on_the_fly = self.features.as_deref() == Some(Path::new(ON_THE_FLY));
        let cache = self.features.clone().unwrap_or_else(|| super::features_path(&self.dataset, config));
        if on_the_fly || !cache.exists() {
            return Ok(());
        }
        if settings.trains_image_encoder() {
            bail!("--features {}: a part of the image encoder trains; use --features {ON_THE_FLY}", cache.display());
        }
        // Without the encoder's weights here nobody can say whose cache it is.
        let features = match import::encoder_fingerprint(config, &self.weights) {
            Ok(expected) => Features::of_encoder(&cache, config, &expected)?,
            Err(_) => Features::open(&cache)?,
        };
        for table in tables {
            embed::rows(table, &features)?;
        }
        Ok(())
    }

    /// Runs `thisbut pretrain`: with the family's values for it, unless a recipe says otherwise.
    pub fn pretrain(mut self) -> Result<()> {
        if self.triplets.is_none() {
            bail!("--triplets: pretraining needs generated triplets; give a file of `thisbut generator generate`");
        }
        self.choices.pretraining = self.recipe.is_none();
        self.run()
    }

    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let recipe = self.recipe.as_deref().map(recipes::find).transpose()?.unwrap_or_default();
        let choices = self.choices.clone().over(recipe);
        let config = choices.configure(super::preset(choices.preset())?)?;
        let data = DataSet::open(&self.dataset, self.format)?;
        // A dry run needs no pictures.
        let options = LoadOptions { images_required: !self.dry_run, ..LoadOptions::default() };
        let (mut train, complaints) = match &self.triplets {
            Some(file) => {
                let sources = synthetic::Sources { data: data.clone(), more: self.images.clone() };
                synthetic::load(file, &sources, &options)?
            }
            None => data.load(Split::Train, &options)?,
        };
        super::complain(&complaints, 20);
        if let Some(file) = &self.extended {
            super::complain(&extended::add(file, &mut train, &options)?, 20);
        }
        if self.first > 0 {
            train.triplets.truncate(self.first);
        }
        if let Some(file) = &self.reverse {
            let (missing, complaints) = synthetic::reverse_texts(file, &mut train)?;
            super::complain(&complaints, 20);
            super::note(format_args!("{}: no text for {missing} triplets, which keep their own", file.display()));
        }
        let (mut validation, complaints) = data.load(Split::Val, &options)?;
        super::complain(&complaints, 20);
        let objective = choices.objective(&config);
        let captions = objective.family().reads_captions();
        if captions {
            let described = described::load(&self.dataset)?.unwrap_or_default();
            train = derive::captions(&train, &described)?;
            validation = derive::captions(&validation, &described)?;
        }
        let settings = choices.settings(&config, train.triplets.len())?;
        if !captions {
            derive::spread_wordings(&mut train);
            if settings.unchanged > 0.0 {
                derive::add_unchanged(&mut train, settings.unchanged, settings.seed);
            }
        }
        let vocabulary = self.weights.join("vocab.txt");
        for (name, table) in [("training", &train), ("validation", &validation)] {
            if let Some(incomplete) = Incomplete::of(table) {
                super::note(format_args!("{name}: {incomplete}"));
            }
        }
        check_plan(&settings, &config, &train, &validation)?;
        if self.dry_run {
            let texts = match vocabulary.exists() {
                true => Some(TextReader::new(&config, &fsx::read_text(&vocabulary, fsx::SMALL)?)?),
                false => None,
            };
            self.check_files(&settings, &config, [&train, &validation], texts.as_ref())?;
            let cache = self.features.unwrap_or_else(|| super::features_path(&self.dataset, &config));
            return super::dry_run::dry_run(&settings, &config, &train, texts.as_ref(), Some(&cache));
        }
        let Some(out) = self.out.clone() else { bail!("--out is missing; name the run's folder") };
        let features = self.features(&config, settings.device, [&train, &validation])?;
        let texts = TextReader::new(&config, &fsx::read_text(&vocabulary, fsx::SMALL)?)?;
        let mut start = match &self.start {
            Some(path) => self.starting(path, &config, Some(&texts))?.model()?,
            None => objective.family().weights(&config, &self.weights)?,
        };
        if settings.trains_image_encoder() && !start.keys().any(|name| name.starts_with(IMAGE_ENCODER)) {
            let encoder = import::image_encoder(&config, &self.weights)?;
            start.extend(encoder.into_iter().map(|(name, value)| (format!("{IMAGE_ENCODER}{name}"), value)));
        }
        if let Some(temperature) = choices.temperature {
            start.insert(objective.family().temperature().into(), (vec![1], vec![temperature as f32]));
        }
        let inputs = Inputs {
            config: &config,
            train: &train,
            validation: &validation,
            features: &*features,
            texts: &texts,
            start,
            run: &out,
            until: self.until.map(NonZeroUsize::get),
        };
        let bar = super::progress("steps");
        let mut log = StepLog::default();
        let path = finetune(&settings, inputs, &mut |event| match event {
            Event::Step { step, steps, losses, triplets_per_second, remaining, memory } => {
                super::advance(&bar, step, steps);
                let said = format!("{losses}, {triplets_per_second:.0} triplets/s");
                log.step(&bar, (step, steps), &said, (remaining, memory));
                bar.set_message(said);
            }
            Event::Validation { step, found } => {
                let groups: Vec<String> =
                    found.groups.iter().map(|(name, r)| format!("{name} {:.1} / {:.1}", r.r1, r.r10)).collect();
                let (total, (rule, value)) = (&found.total, found.selection);
                bar.suspend(|| {
                    super::note(format_args!(
                        "step {step}: R@1 {:.1}, R@10 {:.1} ({}); {rule}: {value:.2}",
                        total.r1,
                        total.r10,
                        groups.join(", ")
                    ));
                });
            }
            Event::Note(note) => bar.suspend(|| super::note(note)),
        })?;
        bar.finish_and_clear();
        super::print(path.display())
    }
}
