//! Where a generator's Q-Former and FC_llm start from: a checkpoint of this project, or a published one.

use crate::Setup;
use crate::mtst::{InstructionForm, Mtst, MtstForm, head_pieces};
use crate::runtime::{Llama, LlamaConfig};
use burn::tensor::Device;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::weights::{Tensors, shapes};
use thisbut_trainer::embed::read;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::import::source::Source;
use thisbut_trainer::train::{self, checkpoint};

/// A seeded random start. FC_llm's spread is such that what it gives for the Q-Former's normed outputs is as large as the decoder's own
/// token embeddings: next to vectors many times theirs, a decoder cannot read the instruction, and its gradients are as many times
/// too large.
///
/// # Errors
/// When the token table cannot be read from its device.
pub fn random(head: &Mtst, decoder: &Llama, seed: u64) -> Result<Tensors> {
    let mut tensors = train::start::random(head, seed)?;
    let table = decoder.tokens.val();
    let mean = read(table.square().mean())?;
    assert_eq!(mean.len(), 1, "a mean is one number");
    let spread = mean[0].sqrt();
    if let Some((dims, values)) = tensors.get_mut("projection.weight")
        && spread > 0.0
    {
        assert_eq!(dims.len(), 2, "projection.weight is a matrix");
        let inputs = dims[0] as f32;
        let own = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
        let scale = spread / (own * inputs.sqrt());
        values.iter_mut().for_each(|v| *v *= scale);
    }
    let unchanged = tensors.iter_mut().filter(|(name, _)| name.starts_with("adapters.") && name.ends_with(".b"));
    unchanged.for_each(|(_, (_, values))| values.fill(0.0));
    Ok(tensors)
}

/// Where FC_llm lies in the published checkpoints that have one.
const PUBLISHED_PROJECTIONS: [&str; 2] = ["llm_proj.", "language_projection."];

/// The form of the instruction that the weights in `path` were trained with: a generator's own of this project; LAVIS's where a
/// published checkpoint has FC_llm, so InstructBLIP's and MTST_PTHA's; else the default.
///
/// # Errors
/// When the file cannot be read.
pub fn instruction_form(path: &Path) -> Result<InstructionForm> {
    if path.is_file()
        && let Ok(ours) = checkpoint::open(path)
    {
        let setup = ours.header.generator.as_ref().map(|described| Setup::read(described, path)).transpose()?;
        return Ok(setup.map(|setup| setup.mtst.instruction_form).unwrap_or_default());
    }
    let source = Source::open(&[path.to_path_buf()])?;
    let of_llm = |key: &String| {
        let key = key.strip_prefix("module.").unwrap_or(key);
        PUBLISHED_PROJECTIONS.iter().any(|projection| key.starts_with(projection))
    };
    Ok(if source.entries().keys().any(of_llm) { InstructionForm::Lavis } else { InstructionForm::Line })
}

/// The starting weights in `path`: a checkpoint of `thisbut finetune` or `generator train`, or the files of an InstructBLIP,
/// BLIP-2 or MTST_PTHA generator checkpoint, of which Q-Former, query tokens, `ln_vision` and FC_llm are taken. `decoder` is the
/// language model's.
///
/// # Errors
/// When the file cannot be read, a tensor has another shape, or nothing in it has a place here.
pub fn weights(path: &Path, config: &RetrievalConfig, decoder: &LlamaConfig) -> Result<Tensors> {
    if path.is_file()
        && let Ok(mut ours) = checkpoint::open(path)
    {
        train::start::check_start(path, &ours.header, config)?;
        return ours.model();
    }
    let mut source = Source::open(&[path.to_path_buf()])?;
    // The forms have the same parameters.
    let wanted = shapes(&Mtst::new(config, MtstForm::Paper, decoder, &Device::flex())?, "");
    let names: Vec<String> = source.entries().keys().cloned().collect();
    let mut tensors = Tensors::new();
    for name in names {
        for piece in head_pieces(&name) {
            let Some(dims) = wanted.get(&piece.name) else { continue };
            let (found, values) = source.read(&name)?;
            let values = piece.rule.apply(&name, &found, &values, dims)?;
            tensors.insert(piece.name, (dims.clone(), values));
        }
    }
    if tensors.is_empty() {
        let problem = "it has no Q-Former";
        let mend = "give a checkpoint of this project, of InstructBLIP, BLIP-2 or MTST_PTHA";
        return Err(TrainerError::checkpoint(path.display().to_string(), problem, mend));
    }
    Ok(tensors)
}
