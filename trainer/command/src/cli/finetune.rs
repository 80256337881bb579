//! `thisbut finetune`: training by a recipe, on triplets or captions.

mod files;

use super::beside::{self, Beside};
use super::{StepLog, captions};
use anyhow::{Result, bail};
use clap::Command;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use thisbut_model::number::NumberFormat;
use thisbut_trainer::data::{DataSet, Format, ImageEntry, LoadOptions, Split, derive, described, extended, synthetic};
use thisbut_trainer::features::{Features, ImageTokens};
use thisbut_trainer::import;
use thisbut_trainer::report::Incomplete;
use thisbut_trainer::tensor_file::FORMATS;
use thisbut_trainer::terminal::line;
use thisbut_trainer::train::choices::Choices;
use thisbut_trainer::train::defaults::{self, DEFAULTS};
use thisbut_trainer::train::event::Event;
use thisbut_trainer::train::finetune::{Inputs, check_plan, finetune};
use thisbut_trainer::train::objective::Read;
use thisbut_trainer::train::recipes;
use thisbut_trainer::train::unlabelled::readable_rows;

/// Heading of what is read, in the help.
const DATA: &str = "Data and images";

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
    #[arg(long, value_enum, hide_short_help = true, help_heading = DATA)]
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
    #[arg(long, value_name = "FILE", help_heading = DATA)]
    features: Option<PathBuf>,
    /// The folder of base weights.
    #[arg(long, default_value = "data/weights", hide_short_help = true, help_heading = DATA)]
    weights: PathBuf,
    /// What the image encoder computes in, where it is a vision transformer and runs on the fly.
    #[arg(long, value_name = "PRECISION", value_parser = FORMATS.parser(), default_value = "f32", hide_short_help = true)]
    #[arg(help_heading = DATA)]
    encoder_precision: NumberFormat,
    /// Generated triplets to train on, in the place of the data set's own.
    ///
    /// Generated triplets to train on, a file of `thisbut generator generate`, in the place of the data set's training split.
    #[arg(long, value_name = "FILE", help_heading = DATA)]
    triplets: Option<PathBuf>,
    /// With --triplets: their images that are in no split of the data set.
    ///
    /// With --triplets: images that are in no split of the data set, such as NLVR2's beside CIRR. A folder, or a split file
    /// (JSON: name to path). `thisbut features` takes the same.
    #[arg(long, value_name = "FOLDER", requires = "triplets", hide_short_help = true, help_heading = DATA)]
    images: Vec<PathBuf>,
    /// Images without labels, for losses that read some beside the triplets [default: the training images].
    ///
    /// Images without labels, for losses that read some beside the triplets: a folder, or a split file (JSON: name to path).
    /// Those that cannot be read are left out and counted. [default: the data set's training images]
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    unlabelled: Option<PathBuf>,
    /// The cache of --unlabelled, or on-the-fly [default: PRESET.features in its folder].
    #[arg(long, value_name = "FILE", requires = "unlabelled", hide_short_help = true)]
    unlabelled_features: Option<PathBuf>,
    /// The teacher's vectors, for --teacher-weight [default: teacher.features in the data set's folder].
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = DATA)]
    teacher_features: Option<PathBuf>,
    /// Reverse texts from a generator in the place of the data set's own.
    ///
    /// Reverse texts from a generator in the place of the data set's own: a file of `thisbut generator generate` for the pairs
    /// of `thisbut generator pairs --annotated FOLDER --split train`.
    #[arg(long, value_name = "FILE", conflicts_with = "triplets", hide_short_help = true, help_heading = DATA)]
    reverse: Option<PathBuf>,
    /// Further triplets beside the data set's own: SPN4CIR's extended captions.
    ///
    /// Further triplets beside the data set's own: SPN4CIR's extended captions, cap.rc2.train.extend_*.json (CIRR) or
    /// cap.extend_*.train.json (FashionIQ). An epoch reads them too.
    #[arg(long, value_name = "FILE", conflicts_with = "triplets", hide_short_help = true, help_heading = DATA)]
    extended: Option<PathBuf>,
    /// A further data set whose training triplets are read too, or a share of them; may be given several times.
    ///
    /// A further data set whose training triplets are read too. With =SHARE a part of them (0.5: half, drawn), or each several
    /// times (2). Its images come from its own cache, PRESET.features in its folder. Validation is the first data set's.
    #[arg(long, value_name = "FOLDER[=SHARE]", value_parser = Beside::parse, hide_short_help = true, help_heading = DATA)]
    beside: Vec<Beside>,
    /// Noun phrases of the texts, for concept consistency [default: found by rules].
    ///
    /// Noun phrases of the texts, for concept consistency: a file of `thisbut phrases --out`, or one made elsewhere. [default:
    /// found by rules]
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = DATA)]
    phrases: Option<PathBuf>,
    /// Captions of the images, for losses that compare queries with their targets' captions.
    ///
    /// Captions of the images, for losses that compare queries with their targets' captions: a file of `thisbut describe`, or one of
    /// lines {"image": NAME, "caption": TEXT}. A column target_caption of the triplets comes before it. [default: captions.jsonl
    /// in the data set's folder, else the titles of images.json]
    #[arg(long, value_name = "FILE", hide_short_help = true, help_heading = DATA)]
    captions: Option<PathBuf>,
    /// Train on the first so many triplets only; 0: all.
    #[arg(long, value_name = "N", default_value_t = 0, hide_short_help = true, help_heading = DATA)]
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

/// Images without labels, and their tokens.
type Unlabelled = (Vec<ImageEntry>, Box<dyn ImageTokens>);

/// Says how many images were left out.
fn say_left_out(count: usize, of: &Path) {
    if count > 0 {
        let what = if count == 1 { "image" } else { "images" };
        super::note(format_args!(
            "{}: {count} {what} could not be read when the cache was made; left out",
            of.display()
        ));
    }
}

/// In the place of a cache's path: compute the tokens when they are asked for.
pub(super) const ON_THE_FLY: &str = "on-the-fly";

impl Args {
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
        for beside in &self.beside {
            beside.add(&mut train, choices.seed.unwrap_or(DEFAULTS.seed), &options)?;
        }
        let (mut validation, complaints) = data.load(Split::Val, &options)?;
        super::complain(&complaints, 20);
        let objective = choices.objective(&config)?;
        let reads = objective.family().reads();
        if reads != Read::Triplets && !self.beside.is_empty() {
            bail!("--beside: these losses read no triplets; leave it out");
        }
        match reads {
            Read::Captions => {
                let described = described::needed(&self.dataset)?;
                train = derive::captions(&train, &described)?;
                validation = derive::captions(&validation, &described)?;
            }
            Read::Images => train = derive::images(&train)?,
            Read::Triplets => {}
        }
        let settings = choices.settings(&config, train.triplets.len())?;
        if reads == Read::Triplets {
            derive::spread_wordings(&mut train);
            if settings.unchanged > 0.0 {
                derive::add_unchanged(&mut train, settings.unchanged, settings.seed);
            }
        }
        self.add_phrases(&settings, &mut train)?;
        captions::add(&settings, &mut train, &self.dataset, self.captions.as_deref())?;
        let vocabulary = self.weights.join(config.text.vocabulary_file());
        for (name, table) in [("training", &train), ("validation", &validation)] {
            if let Some(incomplete) = Incomplete::of(table) {
                super::note(format_args!("{name}: {incomplete}"));
            }
        }
        check_plan(&settings, &config, &train, &validation)?;
        if self.dry_run {
            let texts = match vocabulary.exists() {
                true => Some(import::texts(&config, &self.weights)?),
                false => None,
            };
            self.check_files(&settings, &config, [&train, &validation], texts.as_ref())?;
            let cache = self.cache(&config);
            let mut files = vec![vocabulary, cache.clone()];
            files.extend(self.teacher_places(&settings)?.into_iter().map(|(path, _)| path));
            files.extend(import::encoder_file(&config, &self.weights));
            if settings.objective.family().image_batch() > 0 {
                let more = self.unlabelled_places(&config);
                files.extend(more.into_iter().flat_map(|(source, cache)| [source.to_path_buf(), cache]));
            }
            super::dry_run::say_missing([&train, &validation], &files);
            return super::dry_run::dry_run(&settings, &config, &train, texts.as_ref(), Some(&cache));
        }
        let Some(out) = self.out.clone() else { bail!("--out is missing; name the run's folder") };
        let images = train.images.iter().chain(&validation.images);
        let cache = self.cache(&config);
        let features = match self.beside.is_empty() || cache == Path::new(ON_THE_FLY) {
            true => self.features(&config, settings.device, images, &cache)?,
            false => {
                let expected = self.encoder(&config).fingerprint()?;
                let open = |cache: &Path| Ok(Features::of_encoder(cache, &config, &expected)?);
                beside::cached(&cache, &self.beside, &config, &open)?
            }
        };
        let unlabelled = self.unlabelled(&settings, &config)?;
        for table in [&mut train, &mut validation] {
            let left_out;
            (*table, left_out) = readable_rows(std::mem::take(table), &*features)?;
            say_left_out(left_out, &self.dataset);
        }
        let teacher = self.teacher(&settings, &train)?;
        let texts = import::texts(&config, &self.weights)?;
        captions::say_cut(&settings, &train, &texts, config.text.length());
        let (mut start, understands) = match &self.start {
            Some(path) => {
                let mut from = self.starting(path, &config, Some(&texts))?;
                (from.model()?, from.header.understands)
            }
            None => (objective.family().weights(&config, &self.weights)?, None),
        };
        let base_encoder = self.encoder(&config).add(&settings, &mut start)?;
        if let Some(temperature) = choices.temperature {
            let (name, value) = objective.family().temperature(temperature);
            start.insert(name.into(), (vec![1], vec![value as f32]));
        }
        let inputs = Inputs {
            config: &config,
            train: &train,
            validation: &validation,
            features: &*features,
            unlabelled: unlabelled.as_ref().map(|(images, features)| (&images[..], &**features)),
            teacher: teacher.as_ref(),
            texts: &texts,
            start,
            understands,
            base_encoder,
            run: &out,
            until: self.until.map(NonZeroUsize::get),
        };
        let bar = super::progress("steps").silent();
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
                    found.groups.iter().map(|(name, r)| format!("{} {:.1} / {:.1}", line(name), r.r1, r.r10)).collect();
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
