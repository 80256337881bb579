//! Training a retrieval model, by any objective: on one device or several.

use super::batches::{Batches, ImageBatches};
use super::checkpoint::Header;
use super::event::Event;
use super::journal::Journal;
use super::learner::{IMAGE_ENCODER, Learner};
use super::objective::{Objective, Use};
use super::optimizer::AdamW;
use super::peers::{self, AllReduce};
use super::piece::{Context, Unlabelled};
use super::run::{self, Run, Stepped, Trainee, Validation};
use super::settings::{Settings, check_precision};
use super::step::{Batch, Step};
use super::validation::{self, Validated};
use super::{groups, schedule, start};
use crate::data::table::{ImageEntry, Table};
use crate::data::{DataSet, Format};
use crate::embed::{self, Tokenized};
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use crate::fsx;
use crate::lock::{self, Lock};
use crate::teacher::vectors::Vectors;
use burn::tensor::Device;
use std::ops::Range;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::config::AdapterConfig;
use thisbut_model::text::TextReader;
use thisbut_model::weights::Tensors;

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
    /// Images without labels and where their tokens are, for an objective that reads some beside the triplets. `None`: the
    /// training table's own.
    pub unlabelled: Option<(&'a [ImageEntry], &'a dyn ImageTokens)>,
    /// What a teacher says of the target images, for an objective that has one; others do not look at it.
    pub teacher: Option<&'a Vectors>,
    /// The tokenizer.
    pub texts: &'a TextReader,
    /// Starting weights by name; parameters of the model that are missing start at random. Where a part of the image encoder
    /// trains, all of it is here, its names behind [`IMAGE_ENCODER`].
    pub start: Tensors,
    /// What the model that it starts from understands, for people, where that is known.
    pub understands: Option<String>,
    /// Fingerprint of the image encoder without its adapters, where `start` holds adapters: checkpoints hold them alone.
    pub base_encoder: Option<String>,
    /// The run's folder.
    pub run: &'a Path,
    /// Stop after this step, although the schedule goes on; a later call resumes there.
    pub until: Option<usize>,
}

impl<'a> Inputs<'a> {
    /// The images without labels that a run of `settings` reads, and where their tokens are; none where it reads none.
    fn unlabelled(&self, settings: &Settings) -> (&'a [ImageEntry], &'a dyn ImageTokens) {
        match (settings.objective.family().image_batch(), self.unlabelled) {
            (0, _) => (&[], self.features),
            (_, Some(more)) => more,
            (_, None) => (&self.train.images, self.features),
        }
    }
}

/// One device's copy of what is trained. All copies take the same steps, so they stay equal.
struct Replica<'a, O: Objective> {
    context: &'a Context<'a>,
    objective: O,
    learner: Learner<O::Model>,
    optimizer: AdamW,
    batches: Batches<'a>,
    images: ImageBatches,
    /// Adapters that the run started from and does not train: they go into its checkpoints as they are.
    carried: Tensors,
    /// Outside autodiff.
    device: Device,
}

impl<O: Objective> Replica<'_, O> {
    /// One step on this device's share of the batch. Returns the replica and what the step says.
    fn step(mut self, step: usize, peers: &dyn AllReduce) -> Result<(Self, Stepped)> {
        let settings = self.context.settings;
        run::seed(&self.device, settings, step);
        let autodiff = self.device.clone().autodiff();
        let task = Step { context: self.context, objective: &self.objective, peers, device: &autodiff };
        let batch = Batch { triplets: self.batches.of(step), images: self.images.of(step) };
        let (found, losses) = task.gradients(&self.learner, batch, step)?;
        let (learner, norm) = self.learner.update(&mut self.optimizer, &found, schedule::point(settings, step))?;
        let learner = learner.map(|model| self.objective.bounded(model));
        Ok((Self { learner, ..self }, Stepped { losses, norm }))
    }
}

/// Trains until `settings.steps`, resuming from the newest checkpoint in the run folder. Returns the final weights' file.
///
/// # Errors
/// When data, settings or files do not fit.
pub fn finetune(settings: &Settings, inputs: Inputs, tell: &mut dyn FnMut(Event<Validated>)) -> Result<PathBuf> {
    check_plan(settings, inputs.config, inputs.train, inputs.validation)?;
    check_folder(inputs.run)?;
    fsx::create_dir(inputs.run)?;
    let _lock = Lock::take(&inputs.run.join(lock::RUN), inputs.run)?;
    settings.objective.apply(inputs.config, Finetuning { settings, inputs, tell })
}

struct Finetuning<'a> {
    settings: &'a Settings,
    inputs: Inputs<'a>,
    tell: &'a mut dyn FnMut(Event<Validated>),
}

impl Use for Finetuning<'_> {
    type Out = PathBuf;

    fn with<O: Objective>(self, objective: O) -> Result<PathBuf> {
        let Self { settings, mut inputs, tell } = self;
        let devices = peers::devices(settings.device, settings.devices)?;
        for device in &devices {
            check_precision(settings.precision, device)?;
            device.seed(settings.seed);
        }
        check(settings, &inputs, &objective)?;
        let (more, more_features) = inputs.unlabelled(settings);
        let tables = [inputs.train, inputs.validation];
        let teacher = inputs.teacher.filter(|_| settings.objective.family().teacher().is_some());
        let wanted = header(settings, inputs.config, tables, Some(inputs.texts));
        let mut wanted = wanted.with_images(more).with_teacher(teacher);
        wanted.understands = inputs.understands.take();
        wanted.base_encoder = inputs.base_encoder.take();
        let (mut header, stored) = run::resume(inputs.run, wanted, PartialEq::eq, &mut |note| tell(Event::Note(note)))?;
        let settings = &settings.continuing(&header.settings);
        let batches = Batches::new(settings, inputs.train)?;
        let start = std::mem::take(&mut inputs.start);
        let (weights, state) = match stored {
            Some((weights, state)) => (with_base(weights, start), Some(state)),
            None => (objective.start(start, settings.seed)?, None),
        };
        let images = ImageBatches::new(settings.seed, settings.objective.family().image_batch(), more.len())?;
        let rows = embed::rows(inputs.train, inputs.features)?;
        let more_rows = more.iter().map(|image| more_features.row(&image.name)).collect::<Result<Vec<_>>>()?;
        let unlabelled = Unlabelled { images: more, features: more_features, rows: &more_rows };
        let unlabelled = Some(unlabelled).filter(|_| !more.is_empty());
        let texts = Tokenized::new(inputs.texts, inputs.train);
        let Inputs { config, train, features, .. } = inputs;
        let context = Context { settings, config, train, features, rows: &rows, texts: &texts, unlabelled, teacher };
        let replica = |device: &Device| -> Result<Replica<O>> {
            let autodiff = device.clone().autodiff();
            let groups = settings.groups_in_force();
            let learner = Learner::new(objective.model(&autodiff)?, config, &groups, &autodiff);
            let mut given = weights.clone();
            let learner = learner.load(&mut given)?.freeze(&groups);
            given.retain(|name, _| learner.image_encoder.is_none() && is_adapter(name));
            let mut optimizer = AdamW::new(settings);
            if let Some(state) = &state {
                optimizer.restore(state.clone(), header.optimizer_steps, device)?;
            }
            let mut objective = objective.clone();
            objective.prepare(&learner.model, &context, device)?;
            let (batches, images, device) = (batches.clone(), images.clone(), device.clone());
            Ok(Replica { context: &context, objective, learner, optimizer, batches, images, carried: given, device })
        };
        let replicas = devices.iter().map(replica).collect::<Result<Vec<_>>>()?;
        drop((weights, state));
        let run = Run { settings, folder: inputs.run, until: inputs.until, per_epoch: batches.per_epoch() };
        together(replicas, peers::on(&devices, settings.device), &run, &inputs, &mut header, tell)
    }
}

/// A checkpoint's weights with what it leaves to the run's `start`: the image encoder that its adapters stand in.
fn with_base(mut weights: Tensors, start: Tensors) -> Tensors {
    for (name, value) in start.into_iter().filter(|(name, _)| name.starts_with(IMAGE_ENCODER)) {
        weights.entry(name).or_insert(value);
    }
    weights
}

/// Whether the parameter `name` is an adapter's in the image encoder.
fn is_adapter(name: &str) -> bool {
    name.strip_prefix(IMAGE_ENCODER).is_some_and(AdapterConfig::owns)
}

/// What the checkpoints of a run say of it.
pub fn header(
    settings: &Settings,
    config: &RetrievalConfig,
    tables: [&Table; 2],
    texts: Option<&TextReader>,
) -> Header {
    let [train, validation] = tables;
    let mut header = Header::new(settings.clone(), config.clone(), start::fingerprint(train));
    header.parts = start::parts(train, validation);
    header.vocabulary = texts.map(|texts| texts.fingerprint().to_owned());
    header
}

/// Whether a run can write to `folder`: it or the nearest folder that is there is one, no other run writes to it, and its
/// metrics are a run's. Nothing is made.
///
/// # Errors
/// With what is in the way.
pub fn check_folder(folder: &Path) -> Result<()> {
    let nearest = folder.ancestors().find(|place| place.symlink_metadata().is_ok());
    if let Some(file) = nearest.filter(|place| !place.is_dir()) {
        let problem = format!("{} is not a folder", file.display());
        return Err(TrainerError::settings(format!("--out {}", folder.display()), problem, "give another folder"));
    }
    if folder.is_dir() && matches!(DataSet::open(folder, None), Ok(data) if data.format != Format::Pictures) {
        let mend = "give a folder of the run's own";
        return Err(TrainerError::settings(format!("--out {}", folder.display()), "it holds a data set", mend));
    }
    let lock = folder.join(lock::RUN);
    if lock.symlink_metadata().is_ok() {
        drop(Lock::take(&lock, folder)?);
    }
    Journal::check(&folder.join("metrics.jsonl"), usize::MAX).map(drop)
}

/// Whether the newest checkpoint of `folder` belongs to the run of `wanted`; a folder without any does.
///
/// # Errors
/// [`TrainerError::Checkpoint`] with what differs.
pub fn check_resume(folder: &Path, wanted: Header) -> Result<()> {
    run::resume(folder, wanted, PartialEq::eq, &mut |_| ()).map(drop)
}

/// Checks a run before anything of it is computed: its settings, and that what trains fits the data and the objective. Images,
/// weights and devices are looked at later.
///
/// # Errors
/// What [`finetune`] would refuse.
pub fn check_plan(settings: &Settings, config: &RetrievalConfig, train: &Table, validation: &Table) -> Result<()> {
    struct Plan<'a>(&'a Settings, &'a RetrievalConfig);
    impl Use for Plan<'_> {
        type Out = ();
        fn with<O: Objective>(self, objective: O) -> Result<()> {
            fits(self.0, self.1, &objective).map(drop)
        }
    }
    settings.check()?;
    Batches::new(settings, train)?;
    if validation.triplets.is_empty() {
        return Err(TrainerError::data(
            "the validation split",
            "has no queries",
            "add some, or train on another data set",
        ));
    }
    if let Some(option) = settings.objective.family().reads_reverse() {
        let without = train.triplets.iter().filter(|triplet| triplet.reverse.is_none()).count();
        if without > 0 {
            let problem = format!("{without} of {} training triplets have no reverse text", train.triplets.len());
            let mend = format!("bring the reverse texts, give --reverse, or set {option} 0");
            return Err(TrainerError::settings(option, problem, mend));
        }
    }
    if let Some(option) = settings.objective.family().reads_captions() {
        check_captions(train, option)?;
    }
    let phrased = train.triplets.iter().any(|triplet| !triplet.phrases.is_empty());
    if settings.objective.family().reads_phrases().is_some() && !phrased {
        let problem = format!("none of {} training texts has a noun phrase", train.triplets.len());
        let mend = "give phrases with --phrases, or --consistency-weight 0";
        return Err(TrainerError::settings("--consistency-weight", problem, mend));
    }
    settings.objective.apply(config, Plan(settings, config))
}

/// Checks that every target has a caption, where a loss with the weight `option` reads them.
fn check_captions(train: &Table, option: &str) -> Result<()> {
    let mut without = train.triplets.iter().filter(|triplet| triplet.caption.is_none()).peekable();
    let Some(first) = without.peek().and_then(|triplet| triplet.targets.first()) else { return Ok(()) };
    let name = train.image_name(*first).to_owned();
    let problem = format!(
        "{} of {} training triplets have a target without a caption, the first of them {name}",
        without.count(),
        train.triplets.len()
    );
    let mend = format!("give the captions with --captions FILE, or set {option} 0");
    Err(TrainerError::settings(option, problem, mend))
}

/// Checks that groups and objective fit a model of `config`; it comes back without weights.
fn fits<O: Objective>(settings: &Settings, config: &RetrievalConfig, objective: &O) -> Result<Learner<O::Model>> {
    let (device, groups) = (Device::flex(), settings.groups_in_force());
    let learner = Learner::new(objective.model(&device)?, config, &groups, &device);
    let shapes = learner.shapes();
    groups::check(&settings.groups, shapes.keys().map(String::as_str))?;
    objective.check(&groups, &shapes.keys().map(String::as_str).collect::<Vec<_>>())?;
    Ok(learner)
}

/// Checks that starting weights and image tokens fit what trains.
fn check<O: Objective>(settings: &Settings, inputs: &Inputs, objective: &O) -> Result<()> {
    let learner = fits(settings, inputs.config, objective)?;
    // Adapters that stay are carried along.
    let given = inputs.start.keys().any(|name| name.starts_with(IMAGE_ENCODER) && !is_adapter(name));
    if given && learner.image_encoder.is_none() {
        let problem = "holds an image encoder that was trained, and no group of this run trains it on";
        return Err(TrainerError::settings(
            "--start",
            problem,
            "add a group whose match begins with \"image_encoder.\"",
        ));
    }
    if let (Some(_), Some(image)) = (&learner.image_encoder, inputs.train.images.first()) {
        // Asked for before anything is written: a cache has no pixels.
        inputs.features.pixels(&[inputs.features.row(&image.name)?], &Device::flex())?;
    }
    Ok(())
}

/// Runs the first replica through the loop, with the others beside it, each on a thread of its own.
fn together<O: Objective>(
    replicas: Vec<Replica<O>>,
    peers: Vec<Box<dyn AllReduce>>,
    run: &Run,
    inputs: &Inputs,
    header: &mut Header,
    tell: &mut dyn FnMut(Event<Validated>),
) -> Result<PathBuf> {
    let steps = run.steps(header);
    let mut members = peers.into_iter().zip(replicas);
    let Some((first, replica)) = members.next() else {
        return Err(TrainerError::settings("--devices", "there is none", "use at least one"));
    };
    std::thread::scope(|scope| {
        for (member, replica) in members {
            let steps = steps.clone();
            scope.spawn(move || {
                // The first device's thread reports it.
                if let Err(problem) = follow(replica, steps, &*member) {
                    member.fail(&problem.to_string());
                }
            });
        }
        let led = run.go(Leader { replica, inputs, peers: &*first }, header, tell);
        if let Err(problem) = &led {
            first.fail(&problem.to_string());
        }
        led
    })
}

/// Another device's part: its share of every step.
fn follow<O: Objective>(mut replica: Replica<O>, steps: Range<usize>, peers: &dyn AllReduce) -> Result<()> {
    for step in steps {
        (replica, _) = replica.step(step, peers)?;
    }
    Ok(())
}

/// The first device's part: steps like every device's, and all that is read and written.
struct Leader<'a, O: Objective> {
    replica: Replica<'a, O>,
    inputs: &'a Inputs<'a>,
    peers: &'a dyn AllReduce,
}

impl<O: Objective> Trainee for Leader<'_, O> {
    type Found = Validated;

    fn step(self, step: usize) -> Result<(Self, Stepped)> {
        let (replica, stepped) = self.replica.step(step, self.peers)?;
        Ok((Self { replica, ..self }, stepped))
    }

    fn validate(&mut self, step: usize) -> Result<Validation<Validated>> {
        let Replica { context, objective, learner, device, .. } = &self.replica;
        let found = validation::validate(objective, (learner, step), context.settings, self.inputs, device)?;
        Ok(Validation { score: found.selection.1, line: found.line(), found })
    }

    fn weights(&self) -> Result<Tensors> {
        let mut tensors = self.replica.learner.collect()?;
        tensors.extend(self.replica.carried.clone());
        Ok(tensors)
    }

    fn optimizer(&self) -> &AdamW {
        &self.replica.optimizer
    }
}
