//! The fine-tuning loop: PTHA, or SPRC with a switch.

use super::settings::{Precision, Recipe, Settings};
use super::{batches, checkpoint, losses, optimizer::AdamW, schedule};
use crate::data::table::{Table, Triplet};
use crate::device;
use crate::embed::{self, Tokenized};
use crate::error::{Result, TrainerError};
use crate::features::Features;
use crate::fsx;
use crate::metrics::Accumulator;
use burn::tensor::{DType, Device, FloatDType, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use thisbut_model::CirConfig;
use thisbut_model::cir::{Cir, similarity};
use thisbut_model::nn::Noise;
use thisbut_model::text::WordPiece;
use thisbut_model::weights::{self, Tensors};

/// Triplets of a batch that go through the text passes together.
const PART: usize = 64;

/// Where τ stays (BLIP's own limits): an easy batch drives it to zero and beyond, where the ranking turns round.
const TEMPERATURES: std::ops::Range<f64> = 0.001..0.5;

/// Checkpoints that a run keeps.
const KEPT: usize = 2;

/// What a run reads and where it writes.
pub struct Inputs<'a> {
    /// The architecture.
    pub config: &'a CirConfig,
    /// Training triplets.
    pub train: &'a Table,
    /// Validation queries and their gallery.
    pub validation: &'a Table,
    /// Image tokens of both.
    pub features: &'a Features,
    /// The tokenizer.
    pub words: &'a WordPiece,
    /// Starting weights by name; parameters that are missing start at random.
    pub start: Tensors,
    /// The run's folder.
    pub run: &'a Path,
    /// Stop after this step, although the schedule goes on; a later call resumes there.
    pub until: Option<usize>,
}

/// What the loop tells while it runs.
pub enum Event {
    /// A step is done.
    Step {
        /// Steps done.
        step: usize,
        /// Steps in all.
        steps: usize,
        /// Its loss.
        loss: f64,
        /// Triplets a second since this process began.
        triplets_per_second: f64,
        /// Time that the rest will take.
        left: Duration,
    },
    /// A validation is done.
    Validation {
        /// Steps done.
        step: usize,
        /// R@1 in percent.
        r1: f64,
        /// R@10 in percent.
        r10: f64,
        /// Both, of each group of queries.
        groups: BTreeMap<String, (f64, f64)>,
    },
    /// Something worth a line.
    Note(String),
}

/// The losses of one step, for the metrics file.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    total: f64,
    q2t: f64,
    t2t: f64,
    p2p: f64,
}

/// Trains until `settings.steps`, resuming from the newest checkpoint in the run folder. Returns the final weights' file.
///
/// # Errors
/// When data, settings or files do not fit.
pub fn finetune(settings: &Settings, mut inputs: Inputs, tell: &mut dyn FnMut(Event)) -> Result<PathBuf> {
    settings.check()?;
    fsx::create_dir(inputs.run)?;
    if settings.batch > inputs.train.triplets.len() {
        return Err(TrainerError::settings(
            "--batch",
            format!("{} is more than the {} training triplets", settings.batch, inputs.train.triplets.len()),
            "choose a smaller batch",
        ));
    }
    let plain = device::choose(settings.device)?;
    let device = plain.clone().autodiff();
    if settings.precision == Precision::Bf16 && !plain.supports_dtype(DType::BF16) {
        let problem = "the device does not compute in bfloat16";
        return Err(TrainerError::settings("--precision", problem, "use f32, or another --device"));
    }
    let data = fingerprint(inputs.train);
    let mut header = checkpoint::Header::new(settings.clone(), inputs.config.clone(), data);
    let mut optimizer = AdamW::new(settings);
    let mut model = Cir::new(inputs.config, &device);
    plain.seed(settings.seed);
    let mut notes = Vec::new();
    if let Some((path, found)) = checkpoint::newest(inputs.run, &mut |note| notes.push(note)) {
        same_run(&path, &found.header, &header)?;
        let mut tensors = found.model;
        model = weights::load(model, "", &mut tensors)?;
        optimizer.restore(found.optimizer, found.header.optimizer_steps, &plain);
        header = found.header;
        notes.push(format!("resumed from step {} ({})", header.step, path.display()));
    } else {
        let mut start = Tensors::new();
        start.extend(initial(inputs.config, settings.seed));
        start.append(&mut inputs.start);
        model = weights::load(model, "", &mut start)?;
    }
    notes.into_iter().for_each(|note| tell(Event::Note(note)));
    if settings.freeze_words {
        model.qformer.word = model.qformer.word.set_require_grad(false);
    }
    let rows = embed::rows(inputs.train, inputs.features)?;
    let texts = Tokenized::new(inputs.words, inputs.train, inputs.config.text_length);
    let mut metrics = Metrics::open(&inputs.run.join("metrics.jsonl"), header.step)?;
    let per_epoch = inputs.train.triplets.len() / settings.batch;
    let mut order = (u64::MAX, Vec::new());
    let started = Instant::now();
    let first = header.step;
    let end = inputs.until.unwrap_or(settings.steps).min(settings.steps);
    for step in header.step..end {
        let epoch = (step / per_epoch) as u64;
        if order.0 != epoch {
            order = (epoch, batches::epoch_order(inputs.train, settings.seed, epoch, settings.group));
        }
        let at = (step % per_epoch) * settings.batch;
        let batch = &order.1[at..at + settings.batch];
        // Devices that draw dropout masks themselves draw the same ones in a resumed run.
        plain.seed(settings.seed ^ (step as u64).wrapping_mul(0x2545_F491_4F6C_DD1D));
        let rate = schedule::learning_rate(settings, step);
        let (updated, values, norm) =
            train_step(settings, &inputs, &rows, &texts, model, &mut optimizer, batch, step, rate, &device)?;
        model = updated;
        header.step = step + 1;
        metrics.write(&json!({
            "step": header.step, "epoch": header.step as f64 / per_epoch as f64, "loss": values.total, "q2t": values.q2t,
            "t2t": values.t2t, "p2p": values.p2p, "lr": rate, "gradient_norm": norm,
        }))?;
        let elapsed = started.elapsed().as_secs_f64();
        let speed = (header.step - first) as f64 / elapsed.max(1e-9);
        tell(Event::Step {
            step: header.step,
            steps: settings.steps,
            loss: values.total,
            triplets_per_second: speed * settings.batch as f64,
            left: Duration::from_secs_f64((settings.steps - header.step) as f64 / speed),
        });
        let last = header.step == end;
        if header.step.is_multiple_of(settings.validate_every) || last {
            let (r1, r10, groups) = validate(&model, settings, &inputs, &plain)?;
            let by_group: serde_json::Map<_, _> =
                groups.iter().map(|(name, (r1, r10))| (name.clone(), json!({"r1": r1, "r10": r10}))).collect();
            metrics.write(&json!({"step": header.step, "val": {"r1": r1, "r10": r10, "groups": by_group}}))?;
            tell(Event::Validation { step: header.step, r1, r10, groups });
            if header.best.is_none_or(|(best, _)| r1 + r10 > best) {
                header.best = Some((r1 + r10, header.step));
                checkpoint::save(
                    &inputs.run.join("best.safetensors"),
                    &header,
                    &weights::collect(&model, "")?,
                    &Tensors::new(),
                )?;
            }
        }
        if header.step.is_multiple_of(settings.checkpoint_every) || last {
            let (state, steps) = optimizer.state()?;
            header.optimizer_steps = steps;
            let path = inputs.run.join(format!("step-{:08}.safetensors", header.step));
            checkpoint::save(&path, &header, &weights::collect(&model, "")?, &state)?;
            checkpoint::prune(inputs.run, KEPT);
        }
    }
    if end < settings.steps {
        return Ok(inputs.run.join(format!("step-{:08}.safetensors", header.step)));
    }
    let path = inputs.run.join("final.safetensors");
    checkpoint::save(&path, &header, &weights::collect(&model, "")?, &Tensors::new())?;
    Ok(path)
}

/// A seeded random start for every parameter, independent of the device's own generator.
///
/// Linear maps follow Glorot (`std = √(2 / (d_in + d_out))`). BERT's fixed 0.02 suits its width of 768; in a narrow
/// Q-Former it leaves attention uniform for hundreds of steps. Tables are normalised right after the look-up and keep 0.02.
fn initial(config: &CirConfig, seed: u64) -> Tensors {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = Tensors::new();
    let model = Cir::new(config, &Device::flex());
    for (name, (dims, mut values)) in weights::collect(&model, "").unwrap_or_default() {
        if let [rows, columns] = dims[..] {
            let spread = match name.ends_with(".weight") {
                true => (2.0 / (rows + columns) as f64).sqrt(),
                false => 0.02,
            };
            // Normal, by Box and Muller.
            for value in &mut values {
                let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
                *value = (spread * (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32;
            }
        }
        tensors.insert(name, (dims, values));
    }
    tensors
}

fn same_run(path: &Path, found: &checkpoint::Header, wanted: &checkpoint::Header) -> Result<()> {
    let same = found.config == wanted.config && found.data == wanted.data && found.settings == wanted.settings;
    if same {
        return Ok(());
    }
    Err(TrainerError::checkpoint(
        path.display().to_string(),
        "this run was started with other settings, another architecture or other data",
        "use the same ones to resume, or another --out to start anew",
    ))
}

/// A short text that changes with the training data.
fn fingerprint(table: &Table) -> String {
    let mut text = String::new();
    for t in &table.triplets {
        text.push_str(&format!("{}|{}|{:?}|{}\n", t.id, t.reference, t.targets, t.text));
    }
    fsx::sha256_hex(text.as_bytes()).chars().take(32).collect()
}

#[allow(clippy::too_many_arguments)] // one call site; a struct of these would only rename them
fn train_step(
    settings: &Settings,
    inputs: &Inputs,
    rows: &[usize],
    texts: &Tokenized,
    model: Cir,
    optimizer: &mut AdamW,
    batch: &[u32],
    step: usize,
    rate: f64,
    device: &Device,
) -> Result<(Cir, Losses, f64)> {
    // A batch's order means nothing; by length, each part of it is as short as its texts allow.
    let mut batch = batch.to_vec();
    batch.sort_by_key(|t| texts.length(*t));
    let triplets: Vec<&Triplet> = batch.iter().map(|t| &inputs.train.triplets[*t as usize]).collect();
    let b = triplets.len();
    let noise = Noise::new(inputs.config.qformer.dropout, settings.seed.wrapping_add((step as u64) << 20));
    let references = triplets.iter().map(|t| rows[t.reference as usize]);
    let targets = triplets.iter().map(|t| rows[t.targets[0] as usize]);
    let composed = settings.recipe != Recipe::Captions;
    let images: Vec<usize> = references.filter(|_| composed).chain(targets).collect();
    let tokens = inputs.features.tokens(&images, device);
    let master = model;
    let model = match settings.precision {
        Precision::F32 => master.clone(),
        Precision::Bf16 => master.in_precision(FloatDType::BF16),
    };
    let keys = model.image_keys(tokens);
    let (reference, target) = match composed {
        true => (keys.slice(0..b), keys.slice(b..2 * b)),
        false => (keys.clone(), keys),
    };
    let embedded = model.target(&target, b, &noise);
    let frozen = embed::without_gradient(&model);
    let zero = || Tensor::<1>::zeros([1], device);
    let (mut queries, mut text_only, mut p2p) = (Vec::new(), Vec::new(), zero());
    for (at, part) in batch.chunks(PART).enumerate() {
        let range = at * PART..at * PART + part.len();
        let text = texts.batch(part, inputs.config, device);
        if !composed {
            text_only.push(model.text_only(&text, &noise));
            continue;
        }
        let prompt = model.fuse(&reference.slice(range.clone()), &text, &noise);
        queries.push(model.compose(prompt.clone(), &text, &noise));
        if settings.t2t > 0.0 {
            text_only.push(model.text_only(&text, &noise));
        }
        if settings.p2p > 0.0 {
            let distance = match settings.recipe {
                Recipe::Sprc => losses::align(prompt, model.prompt_tokens.val()),
                Recipe::Ptha | Recipe::Captions => {
                    let reverse = texts.reverse_batch(part, inputs.config, &device.clone().inner())?;
                    // The reverse side gets no gradient (eq. 8), so its graph is never built.
                    let towards = frozen.fuse(&target.slice(range).inner(), &reverse, &noise);
                    losses::prototype(prompt, Tensor::from_inner(towards))
                }
            };
            p2p = p2p + distance * (part.len() as f64 / b as f64);
        }
    }
    let right: Vec<Vec<u32>> = triplets.iter().map(|t| t.targets.clone()).collect();
    let ignored = if settings.keep_false_negatives {
        Tensor::zeros([b, b], device)
    } else {
        Tensor::from_data(losses::false_negatives(&right), device)
    };
    let tau = model.temperature.val();
    let contrast = |queries: Vec<Tensor<2>>, smoothing: f64| {
        let scores = similarity(Tensor::cat(queries, 0), embedded.clone());
        let forward = losses::contrastive(scores.clone(), tau.clone(), ignored.clone(), smoothing);
        match composed {
            true => forward,
            false => {
                (forward + losses::contrastive(scores.transpose(), tau.clone(), ignored.clone().transpose(), smoothing))
                    / 2.0
            }
        }
    };
    let q2t = if queries.is_empty() { zero() } else { contrast(queries, settings.label_smoothing) };
    let t2t = if text_only.is_empty() { zero() } else { contrast(text_only, 0.0) };
    let total = match composed {
        true => q2t.clone() + t2t.clone() * settings.t2t + p2p.clone() * settings.p2p,
        false => t2t.clone(),
    };
    let mut values = Losses::default();
    let mut parts = vec![q2t, t2t, p2p];
    let grads = total.backward();
    parts.push(total);
    let read = Tensor::cat(parts, 0).into_data().convert::<f32>().try_to_vec::<f32>().unwrap_or_default();
    if let [q2t, t2t, p2p, total] = read[..] {
        values = Losses { total: total.into(), q2t: q2t.into(), t2t: t2t.into(), p2p: p2p.into() };
    }
    drop(model);
    let (mut model, norm) = optimizer.step(master, &grads, rate)?;
    model.temperature = model
        .temperature
        .map(|tau| Tensor::from_inner(tau.inner().clamp(TEMPERATURES.start, TEMPERATURES.end)).require_grad());
    Ok((model, values, norm))
}

/// R@1 and R@10 (percent) over the whole validation gallery: of all chosen queries, and of each group.
type Validated = (f64, f64, BTreeMap<String, (f64, f64)>);

fn validate(model: &Cir, settings: &Settings, inputs: &Inputs, device: &Device) -> Result<Validated> {
    let table = inputs.validation;
    let model = embed::without_gradient(model);
    let rows = embed::rows(table, inputs.features)?;
    let gallery = embed::gallery(&model, inputs.features, &table.gallery, &rows, device);
    let texts = Tokenized::new(inputs.words, table, inputs.config.text_length);
    // Every n-th query: the file is ordered by group.
    let every = table.triplets.len().div_ceil(settings.validate_queries.max(1)).max(1);
    let chosen: Vec<u32> = (0..table.triplets.len() as u32).step_by(every).collect();
    let positions = table.gallery_positions();
    let mut ranks = Accumulator::new();
    // Hits at 1, hits at 10, queries; the whole under the empty name.
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for batch in chosen.chunks(128) {
        let queries = match settings.recipe {
            Recipe::Captions => model.text_only(&texts.batch(batch, inputs.config, device), &Noise::off()),
            _ => embed::queries(&model, inputs.config, inputs.features, table, &rows, &texts, batch, device),
        };
        let scores = embed::read(similarity(queries, gallery.clone()))?;
        for (scores, triplet) in scores.chunks(table.gallery.len()).zip(batch) {
            let triplet = &table.triplets[*triplet as usize];
            // A query without a right target in the gallery is a miss.
            let mut query = table.query(&positions, triplet, false);
            if triplet.targets == [triplet.reference] {
                query.exclude = None;
            }
            let rank = ranks.add(scores, &query)?.unwrap_or(usize::MAX);
            for name in ["", triplet.group.as_deref().unwrap_or("other")] {
                let [first, tenth, all] = counts.entry(name).or_default();
                *first += usize::from(rank < 1);
                *tenth += usize::from(rank < 10);
                *all += 1;
            }
        }
    }
    let share = |[first, tenth, all]: [usize; 3]| {
        let n = all.max(1) as f64;
        (100.0 * first as f64 / n, 100.0 * tenth as f64 / n)
    };
    let (r1, r10) = share(counts.remove("").unwrap_or_default());
    Ok((r1, r10, counts.into_iter().map(|(name, c)| (name.to_owned(), share(c))).collect()))
}

/// The metrics file; lines after the step that a run resumes from are dropped.
struct Metrics {
    file: std::fs::File,
    path: PathBuf,
}

impl Metrics {
    fn open(path: &Path, step: usize) -> Result<Self> {
        let mend = "check the run folder";
        let kept: String = match std::fs::read_to_string(path) {
            Ok(text) => text
                .lines()
                .filter(|line| {
                    serde_json::from_str::<serde_json::Value>(line)
                        .is_ok_and(|v| v["step"].as_u64().is_some_and(|s| s as usize <= step))
                })
                .flat_map(|line| [line, "\n"])
                .collect(),
            Err(_) => String::new(),
        };
        fsx::write_atomic(path, kept.as_bytes())?;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(|e| TrainerError::io(path, "write", e, mend))?;
        Ok(Self { file, path: path.to_path_buf() })
    }

    fn write(&mut self, line: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{line}").map_err(|e| TrainerError::io(&self.path, "write", e, "check free space"))
    }
}
