//! Where a run starts from: random weights from its seed, and what tells one run from another.

use super::checkpoint::Header;
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::fsx;
use burn::module::Module;
use std::path::Path;
use thisbut_model::weights::{self, Tensors};

/// A seeded random start for every parameter, independent of the device's own generator.
///
/// Linear maps follow Glorot (`std = √(2 / (d_in + d_out))`). BERT's fixed 0.02 suits its width of 768; in a narrow
/// Q-Former it leaves attention uniform for hundreds of steps. Tables are normalised right after the look-up and keep 0.02.
///
/// # Errors
/// When the device does not give the model's values back.
pub fn random<M: Module>(model: &M, seed: u64) -> Result<Tensors> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut tensors = Tensors::new();
    for (name, (dims, mut values)) in weights::collect(model, "")? {
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
    Ok(tensors)
}

/// Says whether two descriptions of a generator, of a checkpoint and of the run that is asked for, are of the same one.
pub type SameGenerator = fn(&serde_json::Value, &serde_json::Value) -> bool;

/// Whether a checkpoint belongs to the run that is asked for.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when it was started otherwise.
pub fn same_run(path: &Path, found: &Header, wanted: &Header, same_generator: SameGenerator) -> Result<()> {
    let settings = wanted.settings.continuing(&found.settings);
    let same = found.config == wanted.config && found.data == wanted.data && found.settings == settings;
    let same_generator = match (&found.generator, &wanted.generator) {
        (Some(found), Some(wanted)) => same_generator(found, wanted),
        (None, None) => true,
        _ => false,
    };
    if same && same_generator {
        return Ok(());
    }
    if same {
        let problem = "this run was started with another form, instruction or language model";
        let mend = "use the same ones to resume, or another --out to start anew";
        return Err(TrainerError::checkpoint(path.display().to_string(), problem, mend));
    }
    Err(TrainerError::checkpoint(
        path.display().to_string(),
        "this run was started with other settings, another architecture or other data",
        "use the same ones to resume, or another --out to start anew",
    ))
}

/// A short text that changes with the training data.
pub fn fingerprint(table: &Table) -> String {
    let mut text = String::new();
    for t in &table.triplets {
        text.push_str(&format!("{}|{}|{:?}|{}\n", t.id, t.reference, t.targets, t.text));
    }
    fsx::sha256_hex(text.as_bytes()).chars().take(32).collect()
}
