//! Where a generator's Q-Former and FC_llm start from: a checkpoint of this project, or a published one.

use crate::error::{Result, TrainerError};
use crate::import::source::Source;
use crate::train::checkpoint;
use burn::tensor::Device;
use std::path::Path;
use thisbut_model::CirConfig;
use thisbut_model::generator::names::head_pieces;
use thisbut_model::generator::{Mtst, MtstForm};
use thisbut_model::weights::{Tensors, shapes};

/// The starting weights in `path`: a checkpoint of `thisbut finetune` or `generator train`, or the files of an InstructBLIP,
/// BLIP-2 or MTST_PTHA generator checkpoint, of which Q-Former, query tokens, `ln_vision` and FC_llm are taken. `width` is the
/// language model's.
///
/// # Errors
/// When the file cannot be read, a tensor has another shape, or nothing in it has a place here.
pub fn weights(path: &Path, config: &CirConfig, width: usize) -> Result<Tensors> {
    if path.is_file()
        && let Ok(mut ours) = checkpoint::open(path)
    {
        return ours.model();
    }
    let mut source = Source::open(&[path.to_path_buf()])?;
    // The forms have the same parameters.
    let wanted = shapes(&Mtst::new(config, MtstForm::Paper, width, &Device::flex()), "");
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
