//! The concept family: ConText-CIR's contrast with the query's own reference among the negatives, and concept consistency.

mod choices;
mod consistency;
mod cost;
mod phrases;
mod settings;

pub use choices::ConceptChoices;
pub use settings::{ConceptSettings, Consistency, Losses, References};

use super::loss::Loss;
use super::representations::Representations;
use super::{Encoded, Objective};
use crate::error::{Result, TrainerError};
use crate::train::estimate::{Cost, Load};
use crate::train::groups::{self, Group};
use crate::train::piece::{BatchFacts, Context, PassNoise, Piece};
use crate::train::{losses, start};
use burn::module::Param;
use burn::tensor::{Device, FloatDType, Int, Tensor};
use consistency::Comparison;
use phrases::Phrases;
use std::ops::Range;
use std::sync::Arc;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{ConceptConfig, TextTowerConfig};
use thisbut_model::method::Concept;
use thisbut_model::nn::fusion::starts_at_zero;
use thisbut_model::weights::Tensors;

/// Where ln(1/τ) stays where it trains: CLIP's own limit on the scale of the scores is 100.
const SCALES: Range<f64> = 0.0..std::f64::consts::LN_10 * 2.0;
/// The name of ln(1/τ) among the parameters.
const SCALE: &str = "logit_scale";
/// What published training begins as PyTorch fills a linear map.
const NEW: [&str; 4] = ["image_map.", "fusion.", "pool.", "head."];
/// A parameter of every text tower: with it the tower was given.
const TOWER: &str = "text.position";

/// The losses' names.
pub mod names {
    /// L_cont: query to target.
    pub const CONTRAST: &str = "q2t";
    /// L_cc.
    pub const CONSISTENCY: &str = "cc";
}
/// Every one.
pub const LOSSES: [&str; 2] = [names::CONTRAST, names::CONSISTENCY];

/// f(I_q, T), `[B, P]`.
const QUERY: &str = "query";
/// Targets' rows, `[B, P]`.
const TARGET: &str = "target";
/// References' rows, `[B, P]`.
const REFERENCE: &str = "reference";

/// The call pattern with dropout, as a stream of masks.
const QUERIES: u64 = 1;

/// The objective.
#[derive(Clone)]
pub struct ConceptObjective {
    settings: ConceptSettings,
    config: RetrievalConfig,
    /// The family's part of the configuration.
    method: ConceptConfig,
    /// The texts' phrases, once they are located.
    phrases: Option<Arc<Phrases>>,
}

impl ConceptObjective {
    /// For a model of `config`.
    ///
    /// # Errors
    /// When the configuration is another family's.
    pub fn new(settings: &ConceptSettings, config: &RetrievalConfig) -> Result<Self> {
        let method = config.concept()?.clone();
        Ok(Self { settings: settings.clone(), config: config.clone(), method, phrases: None })
    }

    /// The phrases, where L_cc is asked for.
    fn located(&self, piece: &Piece) -> Result<Option<&Phrases>> {
        if !(piece.own_losses && self.settings.reads_weights()) {
            return Ok(None);
        }
        match &self.phrases {
            Some(phrases) => Ok(Some(phrases)),
            None => Err(TrainerError::checkpoint("the objective", "has not located its phrases", "report this")),
        }
    }

    /// Queries of a piece, and its part of L_cc where `phrases` are given.
    fn queries(
        &self,
        model: &Concept,
        piece: &Piece,
        noise: &PassNoise,
        (images, phrases): (&Tensor<3>, Option<&Phrases>),
    ) -> (Tensor<2>, Option<Tensor<1>>) {
        let comparison = phrases.map(|phrases| Comparison::new(&self.settings, phrases, model));
        let (mut queries, mut shares) = (Vec::new(), Vec::new());
        for part in piece.parts() {
            let image = images.clone().slice([part.rows.clone()]);
            let text = model.read(&piece.text(&part), &noise.of(QUERIES, piece.rows.start + part.rows.start));
            let Some(comparison) = &comparison else {
                queries.push(model.pooled(model.fuse(image, &text, None)));
                continue;
            };
            let (query, weights) = model.query_with_weights(image.clone(), &text);
            queries.push(query);
            shares.extend(comparison.share(piece, &part, image, weights));
        }
        (Tensor::cat(queries, 0), shares.into_iter().reduce(|sum, more| sum + more))
    }

    /// Reference rows among the candidates, their scores and which of them are right answers: `[B, ·]` each.
    fn references(
        &self,
        of: &Representations,
        queries: &Tensor<2>,
        batch: &BatchFacts,
    ) -> Result<Option<(Tensor<2>, Tensor<2>)>> {
        Ok(match self.settings.references {
            References::None => None,
            References::Own => {
                let scores = (queries.clone() * of.vectors(REFERENCE)?).sum_dim(1);
                let own = batch.right.iter().zip(batch.references);
                let right: Vec<f32> = own.map(|(right, image)| f32::from(u8::from(right.contains(image)))).collect();
                let right = Tensor::<1>::from_floats(right.as_slice(), batch.device).reshape([batch.right.len(), 1]);
                Some((scores, right))
            }
            References::All => {
                let scores = queries.clone().matmul(of.vectors(REFERENCE)?.transpose());
                // No reference is in its query's own place, so each that is a right answer counts.
                let none = vec![usize::MAX; batch.right.len()];
                let images: Vec<Option<u32>> = batch.references.iter().copied().map(Some).collect();
                let right = losses::false_negatives_among(batch.right, &none, &images);
                Some((scores, Tensor::from_data(right, batch.device)))
            }
        })
    }

    /// L_cont, `[1]`.
    fn contrast(&self, of: &Representations, batch: &BatchFacts) -> Result<Tensor<1>> {
        let (queries, targets) = (of.vectors(QUERY)?, of.vectors(TARGET)?);
        let temperature = of.parameter(SCALE)?.neg().exp();
        let scores = queries.clone().matmul(targets.transpose());
        let kept = |ignored: Tensor<2>| if self.settings.keep_false_negatives { ignored.zeros_like() } else { ignored };
        let ignored = kept(Tensor::<2>::from_data(losses::false_negatives(batch.right), batch.device));
        let (all, all_ignored) = match self.references(of, &queries, batch)? {
            None => (scores.clone(), ignored.clone()),
            Some((more, right)) => {
                (Tensor::cat(vec![scores.clone(), more], 1), Tensor::cat(vec![ignored.clone(), kept(right)], 1))
            }
        };
        let own = Tensor::<1, Int>::arange(0..batch.right.len() as i64, batch.device);
        let forward = losses::contrastive_among(all, temperature.clone(), all_ignored, 0.0, own);
        if !self.settings.both_ways {
            return Ok(forward);
        }
        let back = losses::contrastive(scores.transpose(), temperature, ignored.transpose(), 0.0);
        Ok((forward + back) / 2.0)
    }
}

impl Objective for ConceptObjective {
    type Model = Concept;

    fn model(&self, device: &Device) -> Result<Concept> {
        Ok(Concept::new(&self.config, device)?)
    }

    fn in_precision(&self, model: &Concept, precision: FloatDType) -> Concept {
        match precision {
            FloatDType::F32 => model.clone(),
            other => model.in_precision(other),
        }
    }

    fn start(&self, mut given: Tensors, seed: u64) -> Result<Tensors> {
        let clip = matches!(self.method.text_tower, TextTowerConfig::Clip(_));
        if clip && !given.contains_key(TOWER) {
            return Err(TrainerError::settings(
                "--start",
                "the text tower is CLIP's, and nothing gives its weights",
                format!("give a checkpoint of `thisbut import --preset {}`", self.config.name),
            ));
        }
        let mut tensors = start::random(&self.model(&Device::flex())?, seed)?;
        NEW.iter().for_each(|prefix| start::uniform(&mut tensors, prefix, seed));
        if let Some((dims, values)) = tensors.get_mut("pool.seed") {
            // Drawn with a table's spread of 0.02; published: 1/√C.
            let scale = 1.0 / (0.02 * (dims.last().copied().unwrap_or(1) as f32).sqrt());
            values.iter_mut().for_each(|value| *value *= scale);
        }
        tensors.iter_mut().filter(|(name, _)| starts_at_zero(name)).for_each(|(_, (_, values))| values.fill(0.0));
        // A dual encoder's checkpoint may hold parts that this method does not have.
        let own: Vec<String> = tensors.keys().cloned().collect();
        let known =
            |name: &str| name.starts_with(crate::train::learner::IMAGE_ENCODER) || own.iter().any(|n| n == name);
        given.retain(|name, _| known(name));
        tensors.append(&mut given);
        Ok(tensors)
    }

    fn check(&self, groups: &[Group], names: &[&str]) -> Result<()> {
        match names.iter().any(|name| !groups::is_frozen(groups, name)) {
            true => Ok(()),
            false => {
                Err(TrainerError::settings("groups", "every parameter is frozen", "leave one group a rate above 0"))
            }
        }
    }

    fn prepare(&mut self, _: &Concept, context: &Context, _: &Device) -> Result<()> {
        if self.settings.reads_weights() {
            let reader = context.texts.reader();
            let phrases = Phrases::new(context.train, reader, self.settings.most_phrases);
            let triplets = &context.train.triplets;
            let entries: Vec<u32> = (0..triplets.len() as u32).collect();
            let given = triplets.iter().any(|triplet| !triplet.phrases.is_empty());
            if given && phrases.count(&entries) == 0 {
                return Err(TrainerError::data(
                    "the training texts' noun phrases",
                    format!("none stands whole among the {} tokens of its text", self.config.text.length()),
                    "give phrases as the texts have them with --phrases, or --consistency-weight 0",
                ));
            }
            self.phrases = Some(Arc::new(phrases));
        }
        Ok(())
    }

    fn parameters<'a>(&self, model: &'a Concept) -> Vec<(&'static str, &'a Param<Tensor<1>>)> {
        vec![(SCALE, &model.logit_scale)]
    }

    fn encode(&self, model: &Concept, piece: &Piece, noise: &PassNoise) -> Result<Encoded> {
        let n = piece.rows.len();
        let images = piece.tokens(piece.references().chain(piece.targets()))?;
        let (reference, target) = (images.clone().narrow(0, 0, n), images.clone().narrow(0, n, n));
        let phrases = self.located(piece)?;
        let (queries, own) = self.queries(model, piece, noise, (&reference, phrases));
        let reader = piece.context.texts.reader();
        let silence = reader.batch([&reader.tokens("")], piece.device);
        let mut representations = Representations::default();
        representations.insert(QUERY, queries);
        match self.settings.references {
            References::None => representations.insert(TARGET, model.target_rows(target, &silence)),
            References::Own | References::All => {
                let rows = model.target_rows(images, &silence);
                representations.insert(REFERENCE, rows.clone().narrow(0, 0, n));
                representations.insert(TARGET, rows.narrow(0, n, n));
            }
        }
        // Every device and every piece has the loss, also where its rows have no phrases.
        let nothing = || Tensor::zeros([1], piece.device);
        let own = phrases.map(|_| Loss {
            name: names::CONSISTENCY,
            weight: self.settings.consistency_weight,
            value: own.unwrap_or_else(nothing),
        });
        Ok(Encoded { representations, losses: own.into_iter().collect() })
    }

    fn losses(&self, of: &Representations, batch: &BatchFacts) -> Result<Vec<Loss>> {
        Ok(vec![Loss { name: names::CONTRAST, weight: 1.0, value: self.contrast(of, batch)? }])
    }

    fn bounded(&self, mut model: Concept) -> Concept {
        if model.logit_scale.is_require_grad() {
            let within =
                |scale: Tensor<1>| Tensor::from_inner(scale.inner().clamp(SCALES.start, SCALES.end)).require_grad();
            model.logit_scale = model.logit_scale.map(within);
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
