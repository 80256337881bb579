//! The two-pass family: PTHA, SPRC, SPN4CIR's second stage, and captions before them.

mod bank;
mod choices;
mod cost;
mod settings;
mod teacher;

pub use choices::TwoPassChoices;
pub use settings::{Losses, TwoPassSettings};

use super::loss::Loss;
use super::representations::Representations;
use super::{Encoded, Objective};
use crate::embed;
use crate::error::{Result, TrainerError};
use crate::train::estimate::{Cost, Load};
use crate::train::groups::{self, Group};
use crate::train::piece::{BatchFacts, Context, PassNoise, Piece};
use crate::train::{losses, start};
use bank::Bank;
use burn::module::Param;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use std::ops::Range;
use std::sync::Arc;
use teacher::Teacher;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::TwoPassConfig;
use thisbut_model::method::{TwoPass, similarity};
use thisbut_model::nn::Noise;
use thisbut_model::weights::Tensors;

/// Where τ stays unless it is free (BLIP's own limits): an easy batch drives it to zero and beyond, where the ranking turns
/// round.
const TEMPERATURES: Range<f64> = 0.001..0.5;
/// The name of τ among the parameters.
const TEMPERATURE: &str = "temperature";
/// The parameters of a second pass of its own begin with this.
const SECOND: &str = "second.";
/// Beginnings of the parameters that may train while a bank holds the targets.
const BESIDE_BANK: [&str; 3] = [SECOND, "text_projection.", TEMPERATURE];

/// The losses' names.
pub mod names {
    /// Query to target.
    pub const Q2T: &str = "q2t";
    /// Text-only query to target.
    pub const T2T: &str = "t2t";
    /// Prototype to prototype, or SPRC's align, which takes its place.
    pub const P2P: &str = "p2p";
    /// The relations between target images, as a teacher has them.
    pub const TEACHER: &str = "teacher";
}
/// Every one.
pub const LOSSES: [&str; 4] = [names::Q2T, names::T2T, names::P2P, names::TEACHER];

/// f_q, `[B, P]`.
const QUERY: &str = "query";
/// f_m, `[B, P]`.
const TEXT: &str = "text";
/// f_t, `[B, N, P]`.
const TARGET: &str = "target";

/// The call patterns, as streams of dropout masks.
#[derive(Clone, Copy)]
enum Pass {
    Target = 1,
    Fuse,
    Compose,
    TextOnly,
    Reverse,
}

/// The objective.
#[derive(Clone)]
pub struct TwoPassObjective {
    settings: TwoPassSettings,
    config: RetrievalConfig,
    /// The family's part of the configuration.
    method: TwoPassConfig,
    /// Target embeddings that stay, where the settings ask for them.
    bank: Option<Arc<Bank>>,
    /// Who says how alike images are, where the settings ask for it.
    teacher: Option<Teacher>,
}

impl TwoPassObjective {
    /// For a model of `config`.
    ///
    /// # Errors
    /// When the configuration is another family's.
    pub fn new(settings: &TwoPassSettings, config: &RetrievalConfig) -> Result<Self> {
        let method = config.two_pass()?.clone();
        Ok(Self { settings: settings.clone(), config: config.clone(), method, bank: None, teacher: None })
    }

    /// The loss of a part's own rows: p2p, whose reverse side `towards` gives, or SPRC's align.
    fn own_loss(
        &self,
        model: &TwoPass,
        prompt: Tensor<3>,
        towards: impl FnOnce() -> Result<Tensor<3>>,
    ) -> Result<Tensor<1>> {
        Ok(match self.settings.losses {
            Losses::Sprc => losses::align(prompt, model.prompt_tokens.val()),
            Losses::Ptha | Losses::Captions => losses::prototype(prompt, Tensor::from_inner(towards()?)),
        })
    }

    /// What the queries of a batch are compared with.
    fn candidates(&self, of: &Representations, batch: &BatchFacts) -> Result<Candidates> {
        let (right, ignored) = match &self.bank {
            Some(bank) => bank.places(batch.right)?,
            None => ((0..batch.right.len()).collect(), losses::false_negatives(batch.right)),
        };
        let ignored = Tensor::<2>::from_data(ignored, batch.device);
        let right: Vec<i32> = right.into_iter().map(|at: usize| at as i32).collect();
        Ok(Candidates {
            targets: match &self.bank {
                Some(bank) => bank.targets(),
                None => of.tokens(TARGET)?,
            },
            ignored: if self.settings.keep_false_negatives { ignored.zeros_like() } else { ignored },
            right: Tensor::from_data(TensorData::new(right, [batch.right.len()]), batch.device),
            temperature: of.parameter(TEMPERATURE)?,
            both_ways: !self.settings.composes(),
        })
    }
}

/// The targets of a batch, or of the bank, and what their contrast with queries needs.
struct Candidates {
    /// `[M, N, P]`.
    targets: Tensor<3>,
    /// `[B, M]`, 1: leave out.
    ignored: Tensor<2>,
    /// The right target of each query, `[B]`.
    right: Tensor<1, Int>,
    /// τ `[1]`.
    temperature: Tensor<1>,
    /// Whether targets look for their queries too.
    both_ways: bool,
}

impl Candidates {
    /// The contrast of `queries` `[B, P]` with the targets, `[1]`.
    fn contrast(&self, queries: Tensor<2>, smoothing: f64) -> Tensor<1> {
        let scores = similarity(queries, self.targets.clone());
        let (tau, ignored) = (&self.temperature, &self.ignored);
        let forward =
            losses::contrastive_among(scores.clone(), tau.clone(), ignored.clone(), smoothing, self.right.clone());
        if !self.both_ways {
            return forward;
        }
        let back = losses::contrastive(scores.transpose(), tau.clone(), ignored.clone().transpose(), smoothing);
        (forward + back) / 2.0
    }
}

impl Objective for TwoPassObjective {
    type Model = TwoPass;

    fn model(&self, device: &Device) -> Result<TwoPass> {
        Ok(TwoPass::new(&self.config, device)?)
    }

    fn in_precision(&self, model: &TwoPass, precision: FloatDType) -> TwoPass {
        match precision {
            FloatDType::F32 => model.clone(),
            other => model.in_precision(other),
        }
    }

    fn start(&self, mut given: Tensors, seed: u64) -> Result<Tensors> {
        let own_second = given.keys().any(|name| name.starts_with(SECOND));
        let mut tensors = start::random(&self.model(&Device::flex())?, seed)?;
        tensors.append(&mut given);
        if self.method.own_second_pass && !own_second {
            copy_second_pass(&mut tensors);
        }
        Ok(tensors)
    }

    fn check(&self, groups: &[Group], names: &[&str]) -> Result<()> {
        let may_train = |name: &str| BESIDE_BANK.iter().any(|beginning| name.starts_with(beginning));
        let moves = |name: &&&str| !groups::is_frozen(groups, name) && !may_train(name);
        match names.iter().find(moves) {
            Some(name) if self.settings.bank => {
                let problem = format!("{name} is trained, but what the bank holds must stay as it is");
                let mend = "train only `second.`, `text_projection.` and τ, as recipe spn4cir-stage2 does";
                Err(TrainerError::settings("--bank", problem, mend))
            }
            _ => Ok(()),
        }
    }

    fn prepare(&mut self, model: &TwoPass, context: &Context, device: &Device) -> Result<()> {
        if self.settings.bank {
            self.bank = Some(Arc::new(Bank::new(context, model, device, self.settings.bank_references)?));
        }
        if self.settings.teacher_weight > 0.0 {
            self.teacher = Some(Teacher::new(context.teacher)?);
        }
        Ok(())
    }

    fn parameters<'a>(&self, model: &'a TwoPass) -> Vec<(&'static str, &'a Param<Tensor<1>>)> {
        vec![(TEMPERATURE, &model.temperature)]
    }

    fn encode(&self, model: &TwoPass, piece: &Piece, noise: &PassNoise) -> Result<Encoded> {
        let TwoPassSettings { p2p, bank, .. } = self.settings;
        let (composed, first, n) = (self.settings.composes(), piece.rows.start, piece.rows.len());
        let images = piece.references().filter(|_| composed).chain(piece.targets().filter(|_| !bank));
        let keys = model.image_keys(piece.tokens(images)?);
        let (reference, target) = match composed && !bank {
            true => (keys.slice(0..n), keys.slice(n..2 * n)),
            false => (keys.clone(), keys),
        };
        let targets = (!bank).then(|| model.target(&target, n, &noise.of(Pass::Target as u64, first)));
        // The reverse side gets no gradient (eq. 8), so its graph is never built.
        let frozen = (piece.own_losses && composed && p2p > 0.0).then(|| embed::without_gradient(model));
        let (mut queries, mut text_only, mut distance) = (Vec::new(), Vec::new(), None::<Tensor<1>>);
        for part in piece.parts() {
            let noise = |pass: Pass| noise.of(pass as u64, first + part.rows.start);
            let text = piece.text(&part);
            if self.settings.reads_texts() {
                text_only.push(model.text_only(&text, &noise(Pass::TextOnly)));
            }
            if !composed {
                continue;
            }
            let fusing = if bank { Noise::off() } else { noise(Pass::Fuse) };
            let fused_with = match &self.bank {
                Some(bank) if self.settings.fuse_by_image => &bank.texts(piece, &part)?,
                _ => &text,
            };
            let prompt = model.fuse(&reference.slice(part.rows.clone()), fused_with, &fusing);
            queries.push(model.compose(prompt.clone(), &text, &noise(Pass::Compose)));
            let Some(frozen) = &frozen else { continue };
            let towards = || -> Result<Tensor<3>> {
                let target = target.slice(part.rows.clone()).inner();
                Ok(frozen.fuse(&target, &piece.reverse(&part)?, &noise(Pass::Reverse)))
            };
            let own = self.own_loss(model, prompt, towards)? * piece.share(&part);
            distance = Some(match distance {
                Some(sum) => sum + own,
                None => own,
            });
        }
        let mut representations = Representations::default();
        for (name, parts) in [(QUERY, queries), (TEXT, text_only)] {
            if !parts.is_empty() {
                representations.insert(name, Tensor::cat(parts, 0));
            }
        }
        if let Some(targets) = targets {
            representations.insert(TARGET, targets);
        }
        let own = distance.map(|value| Loss { name: names::P2P, weight: p2p, value });
        Ok(Encoded { representations, losses: own.into_iter().collect() })
    }

    fn losses(&self, of: &Representations, batch: &BatchFacts) -> Result<Vec<Loss>> {
        let (settings, candidates) = (&self.settings, self.candidates(of, batch)?);
        let mut found = Vec::new();
        if settings.composes() {
            let value = candidates.contrast(of.vectors(QUERY)?, settings.label_smoothing);
            found.push(Loss { name: names::Q2T, weight: 1.0, value });
        }
        if settings.reads_texts() {
            let weight = if settings.composes() { settings.t2t } else { 1.0 };
            found.push(Loss { name: names::T2T, weight, value: candidates.contrast(of.vectors(TEXT)?, 0.0) });
        }
        if let Some(teacher) = &self.teacher {
            let value = teacher.loss(of.tokens(TARGET)?, batch, settings.teacher_temperature)?;
            found.push(Loss { name: names::TEACHER, weight: settings.teacher_weight, value });
        }
        Ok(found)
    }

    fn bounded(&self, mut model: TwoPass) -> TwoPass {
        if model.temperature.is_require_grad() && !self.settings.free_temperature {
            model.temperature = model
                .temperature
                .map(|tau| Tensor::from_inner(tau.inner().clamp(TEMPERATURES.start, TEMPERATURES.end)).require_grad());
        }
        model
    }

    fn composes(&self) -> bool {
        self.settings.composes()
    }

    fn cost(&self, load: Load, fused: bool) -> Cost {
        cost::of(&self.settings, (&self.config, &self.method), load, fused)
    }
}

/// Gives a second pass of its own the first one's weights.
fn copy_second_pass(tensors: &mut Tensors) {
    let copy = |(name, value): (&String, &(Vec<usize>, Vec<f32>))| {
        Some((format!("{SECOND}{}", name.strip_prefix("qformer.")?), value.clone()))
    };
    let copies: Vec<_> = tensors.iter().filter_map(copy).collect();
    tensors.extend(copies);
}
