//! A checkpoint in the layouts of others: LAVIS and SPRC (`.pth`, `.pt`), ConText-CIR (`.ckpt`), Hugging Face (`Blip2ForImageTextRetrieval`, `CLIPModel`,
//! `BlipForImageTextRetrieval`).
//!
//! Tensors are read, turned and written one at a time. Heads that this tool does not train are not there (LAVIS's loads allow
//! for that), or zero where a class insists on them (Hugging Face's `itm_head`).

mod dual;
mod hugging_face;
mod torch;

#[cfg(test)]
mod tests;

use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use crate::import::{self, source::Source};
use crate::tensor_file::{FORMATS, Planned};
use crate::train::checkpoint;
use crate::train::learner::IMAGE_ENCODER;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_model::config::{MethodConfig, RetrievalConfig};
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::number::NumberFormat;
use thisbut_model::upstream::{
    Layout, Outgoing, Part, context_copies, context_outgoing, dual_outgoing, outgoing, part_values,
};
use thisbut_model::weights::shapes;
pub use torch::check_class;

/// Largest file of a Hugging Face model, in bytes.
pub const SHARD: u64 = 5_000_000_000;

/// Whose layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// A folder that `from_pretrained` of `Blip2ForImageTextRetrieval`, `CLIPModel` or `BlipForImageTextRetrieval` loads.
    Hf,
    /// One `.pth` with the state dict under "model".
    Lavis,
    /// One `.pt` with an epoch and the state dict under the class's name, as SPRC and MTST_PTHA save theirs.
    Sprc,
    /// One `.ckpt` as ConText-CIR's published code saves it by PyTorch Lightning.
    Context,
}

/// What to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whose layout.
    pub form: Form,
    /// The class whose state dict a `.pt` says it is.
    pub class: String,
    /// How numbers are stored; `None`: as they are in the files at hand.
    pub precision: Option<NumberFormat>,
    /// Whether the image encoder goes along. LAVIS keeps it in a file of its own.
    pub encoder: bool,
    /// Largest file of a Hugging Face model, in bytes.
    pub shard: u64,
}

/// The checkpoint and the encoder's file, read tensor by tensor.
struct Weights {
    model: checkpoint::Reader,
    encoder: Option<Source>,
    shapes: BTreeMap<String, Vec<usize>>,
}

/// A tensor and what it is made of.
struct Job {
    planned: Planned,
    made: Outgoing,
}

impl Weights {
    fn open(checkpoint: &Path, weights_dir: &Path, with_encoder: bool) -> Result<Self> {
        let mut model = checkpoint::open(checkpoint)?;
        if !with_encoder && !model.image_encoder()?.is_empty() {
            let problem = "a part of its image encoder was trained, and would be left out";
            let place = checkpoint.display().to_string();
            return Err(TrainerError::checkpoint(place, problem, "take the image encoder along"));
        }
        let device = crate::device::choose(DeviceKind::Cpu)?;
        let config = &model.header.config;
        let mut table = AnyMethod::new(config, &device)?.shapes("");
        let encoder = if with_encoder {
            table.extend(shapes(&ImageEncoder::new(config, &device), ""));
            Some(import::open_encoder(config, weights_dir)?)
        } else {
            None
        };
        Ok(Self { model, encoder, shapes: table })
    }

    /// How one of our tensors is stored.
    fn precision(&self, name: &str) -> NumberFormat {
        let found = self.encoder.as_ref().filter(|_| name.starts_with("vit.")).and_then(|e| e.entries().get(name));
        found.map_or(NumberFormat::F32, |entry| entry.kind.kept_as())
    }

    fn job(&self, made: Outgoing, precision: Option<NumberFormat>) -> Job {
        let first = made.parts.iter().find_map(|part| match part {
            Part::Ours(name) => Some(self.precision(name)),
            Part::Zeros(_) => None,
        });
        let precision = precision.or(first).unwrap_or(NumberFormat::F32);
        Job { planned: Planned { name: made.key.clone(), dims: made.dims.clone(), precision }, made }
    }

    fn read(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>)> {
        // Where a part of the image encoder was trained, the checkpoint has all of it.
        let trained = self.model.read(&format!("{IMAGE_ENCODER}{name}"))?;
        let found = match &mut self.encoder {
            _ if trained.is_some() => trained,
            Some(encoder) if encoder.entries().contains_key(name) => Some(encoder.read(name)?),
            _ => self.model.read(name)?,
        };
        let wanted = self.shapes.get(name);
        found.filter(|(dims, _)| wanted == Some(dims)).ok_or_else(|| {
            TrainerError::checkpoint(
                name,
                format!("there is no such tensor of the shape {wanted:?}"),
                "use a checkpoint and an image encoder of one import",
            )
        })
    }

    fn values(&mut self, job: &Job) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        for part in &job.made.parts {
            match part {
                Part::Zeros(count) => out.resize(out.len() + count, 0.0),
                Part::Ours(name) => {
                    let (dims, values) = self.read(name)?;
                    let values = part_values(&dims, values, job.made.turned);
                    if out.is_empty() { out = values } else { out.extend(values) }
                }
            }
        }
        Ok(out)
    }
}

/// Every tensor of the form, and those that it has no place for.
fn tensors(
    config: &RetrievalConfig,
    shapes: &BTreeMap<String, Vec<usize>>,
    form: Form,
) -> Result<(Vec<Outgoing>, Vec<Outgoing>)> {
    let made = match (&config.method, form) {
        (MethodConfig::TwoPass(_), Form::Hf) => outgoing(config, shapes, Layout::HuggingFace),
        (MethodConfig::TwoPass(_), Form::Lavis | Form::Sprc) => outgoing(config, shapes, Layout::Lavis),
        (MethodConfig::PseudoWord(method), Form::Hf) => {
            let (layout, patch) = dual::layout(config, method)?;
            dual_outgoing(shapes, patch, layout)
        }
        (MethodConfig::Concept(method), Form::Context) => {
            context_outgoing(shapes, import::context::patch(config, method)?).map(|mut made| {
                made.extend(context_copies(&made));
                (made, Vec::new())
            })
        }
        (MethodConfig::Concept(_), _) => {
            return Err(TrainerError::settings(
                &config.name,
                "that layout holds no towers with the cross-attention of a concept model",
                "choose --to context, which has the published code's form, or export it with `thisbut export`",
            ));
        }
        (_, Form::Context) => {
            return Err(TrainerError::settings(
                &config.name,
                "ConText-CIR's published class holds a concept model alone",
                "choose --to hf, or lavis or sprc for BLIP-2's architectures",
            ));
        }
        (MethodConfig::Matching(_), _) => {
            return Err(TrainerError::settings(
                &config.name,
                "no published class holds a Q-Former with matching and adapters",
                "export it with `thisbut export`, or hand on the checkpoint itself",
            ));
        }
        (MethodConfig::PseudoWord(_), Form::Lavis | Form::Sprc) => {
            return Err(TrainerError::settings(
                &config.name,
                "a dual encoder has no place in the layout of LAVIS or SPRC",
                "choose --to hf",
            ));
        }
    };
    Ok(made?)
}

/// Writes `checkpoint`, with the image encoder of `weights_dir`, to `out` (a folder for Hugging Face's form, else a file), and
/// gives the files. `progress` is told bytes done and bytes in all.
///
/// # Errors
/// When a file cannot be read, the architecture has no place in the layout, or a file cannot be written; then nothing new lies
/// at `out`.
pub fn publish(
    checkpoint: &Path,
    weights_dir: &Path,
    out: &Path,
    options: &Options,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<PathBuf>> {
    if let Some(precision) = options.precision {
        FORMATS.check("--store", precision)?;
    }
    let mut weights = Weights::open(checkpoint, weights_dir, options.encoder)?;
    let config = weights.model.header.config.clone();
    let (made, beside) = tensors(&config, &weights.shapes, options.form)?;
    let job = |made: Outgoing| weights.job(made, options.precision);
    let mut jobs: Vec<Job> = made.into_iter().map(job).collect();
    let beside: Vec<Job> = beside.into_iter().map(job).collect();
    jobs.sort_by(|a, b| a.planned.name.cmp(&b.planned.name));
    match options.form {
        Form::Hf => hugging_face::write(out, &config, &mut weights, &jobs, &beside, options.shard, progress),
        Form::Lavis | Form::Sprc | Form::Context => {
            if out.is_dir() {
                let place = out.display().to_string();
                return Err(TrainerError::settings(
                    place,
                    "is a folder",
                    "give --out the name of a file, as model.pth",
                ));
            }
            let kept_in = match options.form {
                Form::Sprc => torch::KeptIn::Class(&options.class),
                Form::Context => torch::KeptIn::Lightning,
                _ => torch::KeptIn::Model,
            };
            torch::write(out, kept_in, &mut weights, &jobs, progress)?;
            Ok(vec![out.to_path_buf()])
        }
    }
}
