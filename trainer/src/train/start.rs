//! Where a run starts from: random weights from its seed, and what tells one run from another.

use super::checkpoint::Header;
use super::settings::Settings;
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use crate::fsx;
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::method::TwoPass;
use thisbut_model::weights::{self, Tensors};

/// [`random`] weights for the whole model.
///
/// # Errors
/// When the method refuses the configuration.
pub fn initial(config: &RetrievalConfig, seed: u64) -> Result<Tensors> {
    random(&TwoPass::new(config, &Device::flex())?, seed)
}

/// A seeded random start for every parameter, independent of the device's own generator.
///
/// Linear maps follow Glorot (`std = √(2 / (d_in + d_out))`). BERT's fixed 0.02 suits its width of 768; in a narrow
/// Q-Former it leaves attention uniform for hundreds of steps. Tables are normalised right after the look-up and keep 0.02.
///
/// # Errors
/// When the device does not give the model's shapes back.
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

/// The parameters of a second pass of its own begin with this.
pub const SECOND: &str = "second.";

/// Gives a second pass of its own, if the architecture has one, the first one's weights.
///
/// # Errors
/// When the configuration is another family's.
pub fn copy_second_pass(tensors: &mut Tensors, config: &RetrievalConfig) -> Result<()> {
    let own = config.two_pass()?.own_second_pass;
    let copy = |(name, value): (&String, &(Vec<usize>, Vec<f32>))| {
        Some((format!("{SECOND}{}", name.strip_prefix("qformer.")?), value.clone()))
    };
    let copies: Vec<_> = tensors.iter().filter(|_| own).filter_map(copy).collect();
    tensors.extend(copies);
    Ok(())
}

/// The model with what the settings leave as it is outside the gradient.
pub fn freeze(model: TwoPass, settings: &Settings) -> TwoPass {
    struct Freeze<'a>(Vec<String>, &'a Settings);
    impl ModuleMapper for Freeze<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.to_owned());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.1.freezes(&self.0.join(".")) { param.set_require_grad(false) } else { param }
        }
    }
    model.map(&mut Freeze(Vec::new(), settings))
}

/// Whether a checkpoint belongs to the run that is asked for.
///
/// # Errors
/// [`TrainerError::Checkpoint`] when it was started otherwise.
pub fn same_run(path: &Path, found: &Header, wanted: &Header) -> Result<()> {
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
pub fn fingerprint(table: &Table) -> String {
    let mut text = String::new();
    for t in &table.triplets {
        text.push_str(&format!("{}|{}|{:?}|{}\n", t.id, t.reference, t.targets, t.text));
    }
    fsx::sha256_hex(text.as_bytes()).chars().take(32).collect()
}
