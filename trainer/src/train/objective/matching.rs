//! The matching family: FashionBLIP-2's contrast of queries with target images, and with the captions of these.

mod choices;
mod cost;
mod settings;

pub use choices::MatchingChoices;
pub use settings::{Losses, MatchingSettings};

use super::loss::Loss;
use super::representations::Representations;
use super::{Encoded, Objective};
use crate::error::{Result, TrainerError};
use crate::train::estimate::{Cost, Load};
use crate::train::groups::{self, Group};
use crate::train::piece::{BatchFacts, Context, PassNoise, Piece};
use crate::train::{losses, start};
use burn::module::Param;
use burn::tensor::{Device, FloatDType, Tensor};
use std::ops::Range;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::MatchingConfig;
use thisbut_model::method::Matching;
use thisbut_model::weights::Tensors;

/// Where τ stays where it trains: an easy batch drives it to zero and beyond, where the ranking turns round.
const TEMPERATURES: Range<f64> = 0.001..100.0;
/// The name of τ among the parameters.
const TAU: &str = "tau";

/// The losses' names.
pub mod names {
    /// L_CIR: query to target image.
    pub const CIR: &str = "cir";
    /// L_CTR: query to the target's caption.
    pub const CTR: &str = "ctr";
}
/// Every one.
pub const LOSSES: [&str; 2] = [names::CIR, names::CTR];

/// Queries, `[B, P]`.
const QUERY: &str = "query";
/// Target images, `[B, P]`.
const TARGET: &str = "target";
/// The captions of target images, `[B, P]`.
const CAPTION: &str = "caption";

/// The call patterns, as streams of dropout masks.
#[derive(Clone, Copy)]
enum Pass {
    Target = 1,
    Fuse,
    Caption,
}

/// The objective.
#[derive(Clone)]
pub struct MatchingObjective {
    settings: MatchingSettings,
    config: RetrievalConfig,
    /// The family's part of the configuration.
    method: MatchingConfig,
}

impl MatchingObjective {
    /// For a model of `config`.
    ///
    /// # Errors
    /// When the configuration is another family's.
    pub fn new(settings: &MatchingSettings, config: &RetrievalConfig) -> Result<Self> {
        let method = config.matching()?.clone();
        Ok(Self { settings: settings.clone(), config: config.clone(), method })
    }

    /// The contrast (eq. 5) of the batch's queries with the rows called `with`, of which each has its own, `[1]`.
    fn contrast(&self, of: &Representations, with: &str, ignored: &Tensor<2>) -> Result<Tensor<1>> {
        // A dot product is the mean of the heads' cosines; the paper's score is their sum.
        let scores = of.vectors(QUERY)?.matmul(of.vectors(with)?.transpose()) * self.method.cosines() as f64;
        Ok(losses::contrastive(scores, of.parameter(TAU)?, ignored.clone(), 0.0))
    }
}

impl Objective for MatchingObjective {
    type Model = Matching;

    fn model(&self, device: &Device) -> Result<Matching> {
        Ok(Matching::new(&self.config, device)?)
    }

    fn in_precision(&self, model: &Matching, precision: FloatDType) -> Matching {
        match precision {
            FloatDType::F32 => model.clone(),
            other => model.in_precision(other),
        }
    }

    fn start(&self, mut given: Tensors, seed: u64) -> Result<Tensors> {
        let mut tensors = start::random(&self.model(&Device::flex())?, seed)?;
        tensors.append(&mut given);
        Ok(tensors)
    }

    fn check(&self, groups: &[Group], names: &[&str]) -> Result<()> {
        if self.settings.train_adapters && self.config.image_encoder.adapters().is_none() {
            return Err(TrainerError::settings(
                "--train-adapters",
                "the image encoder has no adapters",
                "give --adapters both, or --train-adapters=false",
            ));
        }
        match names.iter().any(|name| !groups::is_frozen(groups, name)) {
            true => Ok(()),
            false => {
                Err(TrainerError::settings("groups", "every parameter is frozen", "leave one group a rate above 0"))
            }
        }
    }

    fn prepare(&mut self, _: &Matching, _: &Context, _: &Device) -> Result<()> {
        Ok(())
    }

    fn parameters<'a>(&self, model: &'a Matching) -> Vec<(&'static str, &'a Param<Tensor<1>>)> {
        vec![(TAU, &model.tau)]
    }

    fn encode(&self, model: &Matching, piece: &Piece, noise: &PassNoise) -> Result<Encoded> {
        let (first, n) = (piece.rows.start, piece.rows.len());
        let keys = model.image_keys(piece.tokens(piece.references().chain(piece.targets()))?);
        let (reference, target) = (keys.slice(0..n), keys.slice(n..2 * n));
        let targets = model.matched(model.look(&target, n, &noise.of(Pass::Target as u64, first)));
        let (mut queries, mut captions) = (Vec::new(), Vec::new());
        for part in piece.parts() {
            let noise = |pass: Pass| noise.of(pass as u64, first + part.rows.start);
            let image = reference.slice(part.rows.clone());
            queries.push(model.matched(model.fuse(&image, &piece.text(&part), &noise(Pass::Fuse))));
            if self.settings.reads_captions_of_targets() {
                captions.push(model.text_only(&piece.captions(&part)?, &noise(Pass::Caption)));
            }
        }
        let mut representations = Representations::default();
        representations.insert(QUERY, Tensor::cat(queries, 0));
        representations.insert(TARGET, targets);
        if !captions.is_empty() {
            representations.insert(CAPTION, Tensor::cat(captions, 0));
        }
        Ok(Encoded { representations, losses: Vec::new() })
    }

    fn losses(&self, of: &Representations, batch: &BatchFacts) -> Result<Vec<Loss>> {
        let ignored = Tensor::<2>::from_data(losses::false_negatives(batch.right), batch.device);
        let ignored = if self.settings.keep_false_negatives { ignored.zeros_like() } else { ignored };
        let mut found = vec![Loss { name: names::CIR, weight: 1.0, value: self.contrast(of, TARGET, &ignored)? }];
        if self.settings.reads_captions_of_targets() {
            let value = self.contrast(of, CAPTION, &ignored)?;
            found.push(Loss { name: names::CTR, weight: self.settings.ctr, value });
        }
        Ok(found)
    }

    fn bounded(&self, mut model: Matching) -> Matching {
        if model.tau.is_require_grad() {
            let within = |tau: Tensor<1>| {
                Tensor::from_inner(tau.inner().clamp(TEMPERATURES.start, TEMPERATURES.end)).require_grad()
            };
            model.tau = model.tau.map(within);
        }
        model
    }

    fn composes(&self) -> bool {
        true
    }

    fn cost(&self, load: Load, fused: bool) -> Cost {
        cost::of(&self.settings, (&self.config, &self.method), load, fused)
    }
}
