//! `thisbut finetune --dry-run`: what the run would take.

use super::finetune::ON_THE_FLY;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::time::Duration;
use thisbut_model::RetrievalConfig;
use thisbut_model::number::NumberFormat;
use thisbut_model::text::TextReader;
use thisbut_trainer::data::Table;
use thisbut_trainer::device::{DeviceKind, choose};
use thisbut_trainer::embed::Tokenized;
use thisbut_trainer::features::{Features, STORES, Store};
use thisbut_trainer::train::estimate::memory::{memory, readable};
use thisbut_trainer::train::estimate::{Load, flops, measure, parameters};
use thisbut_trainer::train::settings::Settings;

/// Memory that a measured step may take without asking.
const SMALL: usize = 4_000_000_000;

/// Says what the run needs and is not there yet: a dry run needs none of it.
pub fn say_missing(tables: [&Table; 2], files: &[PathBuf]) {
    for file in files.iter().filter(|file| *file != Path::new(ON_THE_FLY) && !file.exists()) {
        super::note(format_args!("not there yet, and the run needs it: {}", file.display()));
    }
    let missing = |table: &Table| table.images.iter().filter(|image| !image.path.is_file()).count();
    let (all, missing) = (tables.map(|t| t.images.len()), tables.map(missing));
    if missing != [0, 0] {
        let [train, validation] = missing;
        super::note(format_args!(
            "not there yet: {train} of {} images to train on, {validation} of {} to validate on",
            all[0], all[1]
        ));
    }
}

/// Prints parameters, memory and time of a run on `train`. Nothing but a small step's memory is taken, and that only where
/// it is known to fit.
pub fn dry_run(
    settings: &Settings,
    config: &RetrievalConfig,
    train: &Table,
    texts: Option<&TextReader>,
    features: Option<&Path>,
) -> Result<()> {
    let counts = parameters(settings, config)?;
    let millions = |n: usize| format!("{:.2} M", n as f64 / 1e6);
    super::print(format_args!(
        "{} rows, {} steps of {} ({:.1} times each row), {} device(s) {:?}, {:?}",
        train.triplets.len(),
        settings.steps,
        settings.batch,
        (settings.steps * settings.batch) as f64 / train.triplets.len().max(1) as f64,
        settings.devices,
        settings.device,
        settings.precision,
    ))?;
    super::print(format_args!(
        "parameters: {} trained, {} frozen (without the image encoder)",
        millions(counts.trained),
        millions(counts.frozen)
    ))?;
    if let Some((weight, temperature)) = settings.objective.family().teacher() {
        super::print(format_args!("teacher: a loss of weight {weight} at temperature {temperature}"))?;
    }
    let texts = texts.map(|texts| Tokenized::new(texts, train));
    let load = match &texts {
        Some(texts) => Load::of(settings, config, train, texts),
        None => Load::longest(settings, config),
    };
    let fused = settings.device == DeviceKind::Cpu;
    let of = |settings: &Settings, load| memory(settings, config, counts, load, fused, train.images.len());
    let full = of(settings, load)?;
    super::print(format_args!(
        "memory of each device, {} triplets at a time (an estimate, within a factor of 1.3 on a CPU):\n{full}",
        load.rows
    ))?;
    let cache = features.filter(|path| path.exists());
    match cache.map(|path| Features::open(path).map(|cache| (path, cache))).transpose()? {
        Some((path, cache)) => super::print(format_args!(
            "feature cache: {}, {:?}, {} of the file system's cache (not in the sum)",
            path.display(),
            cache.store(),
            readable(cache.bytes())
        ))?,
        None => {
            let (tokens, width) = (config.image_tokens(), config.image_width());
            let size = |format: &NumberFormat| -> Result<String> {
                let bytes = train.images.len() * Store::try_from(*format)?.record(tokens, width);
                Ok(format!("{} as {format}", readable(bytes)))
            };
            let sizes = STORES.0.iter().map(|(format, _)| size(format)).collect::<Result<Vec<_>>>()?;
            super::print(format_args!("feature cache of these images: {}", sizes.join(", ")))?;
        }
    }
    let work = flops::step(settings, config, load)?;
    super::print(format_args!(
        "arithmetic: {:.3} TFLOP a step, {:.1} PFLOP in all",
        work / 1e12,
        work * settings.steps as f64 / 1e15
    ))?;
    let few = Settings { batch: settings.batch.min(8), sub_batch: 0, devices: 1, ..settings.clone() };
    let small = of(&few, Load::longest(&few, config))?;
    let device = choose(settings.device);
    match (device, texts) {
        (Ok(device), Some(texts)) if small.total() < SMALL => {
            let found = measure(settings, config, train, &texts, load, &device)?;
            super::print(format_args!(
                "time: a step of {} triplets took {:.0} ms here ({:.3} TFLOP/s); at that rate {:.1} s a step, {} in all \
                 without validations (large batches use a device better: rather an upper bound)",
                found.rows,
                found.step.as_secs_f64() * 1e3,
                found.rate / 1e12,
                found.full.as_secs_f64(),
                long(found.full * settings.steps as u32)
            ))
        }
        (device, _) => {
            let why = match device {
                Err(e) => e.to_string(),
                Ok(_) => "a step was not measured".into(),
            };
            let all = Duration::from_secs_f64(work * settings.steps as f64 / 100e12 / settings.devices as f64);
            super::print(format_args!("time: {why}; at 100 TFLOP/s a device, {}", long(all)))
        }
    }
}

/// A time for people.
pub fn long(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{:.0} s", time.as_secs_f64()),
        120..7200 => format!("{:.0} min", time.as_secs_f64() / 60.0),
        _ => format!("{:.1} h", time.as_secs_f64() / 3600.0),
    }
}
