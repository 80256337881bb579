//! What becomes of a published checkpoint's tensors, before one of them is read, and the two files that are made of it: an image
//! encoder's and a checkpoint to start from. Both are read and written tensor by tensor.

use super::pickle::shown;
use super::source::Source;
use crate::device::DeviceKind;
use crate::error::{Result, TrainerError};
use crate::tensor_file::{self, Planned};
use crate::train::checkpoint::{self, Header};
use crate::train::objective::ObjectiveSettings;
use crate::train::objective::concept::ConceptSettings;
use crate::train::objective::matching::MatchingSettings;
use crate::train::objective::pseudo_word::PseudoWordSettings;
use crate::train::settings::Settings;
use rand::{RngCore, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use thisbut_model::config::{AdapterConfig, MethodConfig, RetrievalConfig};
use thisbut_model::method::AnyMethod;
use thisbut_model::nn::ImageEncoder;
use thisbut_model::nn::adapter;
use thisbut_model::nn::fusion::starts_at_zero;
use thisbut_model::number::NumberFormat;
use thisbut_model::retrieval::{ENCODER_PREFIX, MODEL_PREFIX};
use thisbut_model::upstream::{self, Piece, Rule};
use thisbut_model::weights::{Tensors, shapes};

/// BERT's initial spread of weights.
const SPREAD: f32 = 0.02;

/// What would be made of a checkpoint.
pub struct Plan {
    /// Our parameter: the upstream tensor that makes it, and how.
    pub(super) made: BTreeMap<String, (String, Rule)>,
    encoder: BTreeMap<String, Vec<usize>>,
    model: BTreeMap<String, Vec<usize>>,
    /// Upstream tensors that are used.
    pub used: Vec<String>,
    /// Upstream tensors that have no place here.
    pub left: Vec<String>,
    /// Our parameters that nothing makes and that a checkpoint of this kind should have.
    pub missing: Vec<String>,
    /// Our parameters that start afresh because the checkpoint's kind does not have them.
    pub fresh: Vec<String>,
    /// What the checkpoint says of the model for people, where that is known.
    pub understands: Option<String>,
}

impl Plan {
    /// Matches the tensors of `source` with the parameters of `config`, without reading one. `pieces` says what an upstream tensor is
    /// made into; `fresh` names parameters that checkpoints of the kind do not have.
    ///
    /// # Errors
    /// When a shape does not fit, two tensors claim one parameter, or parameters overlap in the file.
    pub(super) fn new(
        source: &Source,
        config: &RetrievalConfig,
        pieces: &dyn Fn(&str) -> Vec<Piece>,
        fresh: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let device = crate::device::choose(DeviceKind::Cpu)?;
        // Adapters are nobody's published ones; they begin as the identity wherever they are read.
        let mut encoder = shapes(&ImageEncoder::new(config, &device), "");
        encoder.retain(|name, _| !AdapterConfig::owns(name));
        let model = AnyMethod::new(config, &device)?.shapes("");
        let (made, used, left) = (BTreeMap::new(), Vec::new(), Vec::new());
        let mut plan =
            Self { made, encoder, model, used, left, missing: Vec::new(), fresh: Vec::new(), understands: None };
        for (key, entry) in source.entries() {
            let mut taken = false;
            for piece in pieces(key) {
                let Some(wanted) = plan.encoder.get(&piece.name).or_else(|| plan.model.get(&piece.name)) else {
                    continue;
                };
                let path = source.path(entry).display();
                if !piece.rule.fits(&entry.dims, wanted) {
                    return Err(upstream::misfit(&format!("{path}, {}", shown(key)), &entry.dims, wanted).into());
                }
                taken = true;
                if let Some((other, _)) = plan.made.insert(piece.name.clone(), (key.clone(), piece.rule)) {
                    return Err(TrainerError::checkpoint(
                        path.to_string(),
                        format!("{} and {} both make {}", shown(&other), shown(key), piece.name),
                        "leave out one of the files",
                    ));
                }
            }
            if taken { &mut plan.used } else { &mut plan.left }.push(key.clone());
        }
        for name in plan.encoder.keys().chain(plan.model.keys()) {
            if !plan.made.contains_key(name) {
                if fresh(name) { &mut plan.fresh } else { &mut plan.missing }.push(name.clone());
            }
        }
        source.check_overlaps(plan.used.iter().map(String::as_str))?;
        Ok(plan)
    }

    /// Refuses a plan with missing parameters.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] that counts them and names the first.
    pub fn check_whole(&self, place: &str) -> Result<()> {
        let Some(first) = self.missing.first() else { return Ok(()) };
        let mend = if first.starts_with("vit.") && !self.has_encoder() {
            "give the image encoder's file too (LAVIS keeps it in eva_vit_g.pth or clip_vit_L.pth), or load with --partial"
        } else {
            "choose the preset that the checkpoint was made for, or load what there is with --partial"
        };
        let count = self.missing.len();
        Err(TrainerError::checkpoint(place, format!("{count} parameters are missing, the first is {first}"), mend))
    }

    /// Whether any of the image encoder's parameters are made.
    pub fn has_encoder(&self) -> bool {
        self.encoder.keys().any(|name| self.made.contains_key(name))
    }

    /// What keeps the image encoder's tensors as they are in the checkpoint: their format, or f32 where they have several.
    pub fn encoder_format(&self, source: &Source) -> NumberFormat {
        let keys = self.made.iter().filter(|(name, _)| self.encoder.contains_key(*name)).map(|(_, (key, _))| key);
        let mut formats = keys.filter_map(|key| source.entries().get(key)).map(|entry| entry.kind.kept_as());
        let first = formats.next().unwrap_or(NumberFormat::F32);
        if formats.all(|other| other == first) { first } else { NumberFormat::F32 }
    }

    /// The values of one of our parameters; what nothing makes starts as in BERT, drawn from its name.
    fn value(&self, source: &mut Source, name: &str, wanted: &[usize], config: &RetrievalConfig) -> Result<Vec<f32>> {
        match self.made.get(name) {
            Some((key, rule)) => {
                let (dims, values) = source.read(key)?;
                if *rule == Rule::Same && values.len() == wanted.iter().product::<usize>() {
                    return Ok(values);
                }
                Ok(rule.apply(key, &dims, &values, wanted)?)
            }
            None => Ok(start(name, wanted, temperature(config))),
        }
    }

    /// Writes the image encoder to `path` as safetensors under our names, one tensor in memory at a time. `progress` is told
    /// bytes done and bytes in all.
    ///
    /// # Errors
    /// When a tensor cannot be read, does not fit `precision`, or the file cannot be written; then there is no file.
    pub fn write_encoder(
        &self,
        source: &mut Source,
        config: &RetrievalConfig,
        precision: NumberFormat,
        path: &Path,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<()> {
        let planned: Vec<Planned> = self
            .encoder
            .iter()
            .map(|(name, dims)| Planned { name: name.clone(), dims: dims.clone(), precision })
            .collect();
        let mut read = |at: usize| self.value(source, &planned[at].name, &planned[at].dims, config);
        tensor_file::write(path, &planned, &BTreeMap::new(), &mut read, progress)
    }

    /// The whole model: image encoder and method, each name behind its prefix.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn tensors(&self, source: &mut Source, config: &RetrievalConfig) -> Result<Tensors> {
        let all = [(ENCODER_PREFIX, &self.encoder), (MODEL_PREFIX, &self.model)];
        let named = all.into_iter().flat_map(|(prefix, shapes)| shapes.iter().map(move |shape| (prefix, shape)));
        let read = |(prefix, (name, dims)): (&str, (&String, &Vec<usize>))| {
            let values = self.value(source, name, dims, config)?;
            Ok((format!("{prefix}.{name}"), (dims.clone(), values)))
        };
        let mut tensors: Tensors = named.map(read).collect::<Result<_>>()?;
        let adapters = adapters(config)?.into_iter();
        tensors.extend(adapters.map(|(name, value)| (format!("{ENCODER_PREFIX}.{name}"), value)));
        Ok(tensors)
    }

    /// Writes what trains to `path` as a checkpoint (f32).
    ///
    /// # Errors
    /// When a tensor cannot be read or the file cannot be written.
    pub fn write_checkpoint(&self, source: &mut Source, config: &RetrievalConfig, path: &Path) -> Result<()> {
        let mut header = Header::new(settings(config), config.clone(), String::new());
        header.understands.clone_from(&self.understands);
        let mut read = |name: &str| {
            let dims = self.model.get(name).ok_or_else(|| {
                TrainerError::checkpoint(name, "the model has no such tensor", "report it as an error of this program")
            })?;
            self.value(source, name, dims, config)
        };
        checkpoint::save_from(path, &header, &self.model, &mut read)
    }
}

/// τ at the start.
fn temperature(config: &RetrievalConfig) -> f64 {
    match &config.method {
        MethodConfig::TwoPass(method) => method.temperature,
        MethodConfig::PseudoWord(method) => method.temperature,
        MethodConfig::Concept(method) => method.temperature,
        MethodConfig::Matching(method) => method.temperature,
    }
}

/// A checkpoint carries settings, and an imported one was trained by nobody here: its family's own.
pub(super) fn settings(config: &RetrievalConfig) -> Settings {
    match config.method {
        MethodConfig::TwoPass(_) => Settings::sprc(),
        MethodConfig::PseudoWord(_) => {
            Settings { objective: ObjectiveSettings::PseudoWord(PseudoWordSettings::hycir()), ..Settings::sprc() }
        }
        MethodConfig::Concept(_) => {
            Settings { objective: ObjectiveSettings::Concept(ConceptSettings::context_cir()), ..Settings::sprc() }
        }
        MethodConfig::Matching(_) => {
            Settings { objective: ObjectiveSettings::Matching(MatchingSettings::fashion_blip2()), ..Settings::sprc() }
        }
    }
}

/// The start of the adapters of `config`, by their names in the image encoder: each begins as the identity.
pub(super) fn adapters(config: &RetrievalConfig) -> Result<Tensors> {
    let mut names = shapes(&ImageEncoder::new(config, &crate::device::choose(DeviceKind::Cpu)?), "");
    names.retain(|name, _| AdapterConfig::owns(name));
    let started = |(name, dims): (String, Vec<usize>)| {
        let values = start(&name, &dims, 1.0);
        (name, (dims, values))
    };
    Ok(names.into_iter().map(started).collect())
}

/// The start of a parameter that no checkpoint gives: norms and biases neutral, the rest normal with BERT's spread.
fn start(name: &str, dims: &[usize], temperature: f64) -> Vec<f32> {
    let count = dims.iter().product();
    let leaf = name.rsplit('.').next().unwrap_or(name);
    match leaf {
        _ if starts_at_zero(name) || adapter::starts_at_zero(name) => vec![0.0; count],
        "temperature" | "tau" => vec![temperature as f32; count],
        "logit_scale" => vec![-(temperature.ln()) as f32; count],
        "gamma" => vec![1.0; count],
        "beta" | "bias" => vec![0.0; count],
        _ => {
            let seed =
                name.bytes().fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
            let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
            let mut uniform = move || (f64::from(random.next_u32()) + 0.5) / (f64::from(u32::MAX) + 1.0);
            // Box–Muller.
            let normal = || ((-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32;
            std::iter::repeat_with(normal).take(count).map(|v| v * SPREAD).collect()
        }
    }
}

/// Names with their numbers taken out, each with how often it came: `blocks.*.norm1.bias (39)`.
pub fn grouped(names: &[String]) -> Vec<String> {
    let mut groups: BTreeMap<String, usize> = BTreeMap::new();
    for name in names {
        let parts = name.split('.').map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "*" } else { part });
        *groups.entry(shown(&parts.collect::<Vec<_>>().join("."))).or_default() += 1;
    }
    let written = |(name, count): (String, usize)| if count == 1 { name } else { format!("{name} ({count})") };
    groups.into_iter().map(written).collect::<BTreeSet<_>>().into_iter().collect()
}
