//! The pseudo-word family: a dual encoder's contrast of images and captions, Pic2Word, and HyCIR's hybrid of unlabelled images
//! and triplets.

mod choices;
mod cost;
mod pooled;
mod settings;

pub use choices::PseudoWordChoices;
pub use settings::{Losses, PseudoWordSettings};

use super::loss::Loss;
use super::representations::Representations;
use super::{Encoded, Objective};
use crate::error::{Result, TrainerError};
use crate::train::estimate::{Cost, Load};
use crate::train::groups::{self, Group};
use crate::train::learner::IMAGE_ENCODER;
use crate::train::piece::{BatchFacts, Context, Part, PassNoise, Piece};
use crate::train::{losses, start};
use burn::module::Param;
use burn::tensor::{Device, FloatDType, Tensor};
use pooled::Pooled;
use std::ops::Range;
use std::sync::Arc;
use thisbut_model::RetrievalConfig;
use thisbut_model::config::{Composition, MethodConfig, PseudoWordConfig};
use thisbut_model::method::PseudoWord;
use thisbut_model::method::pseudo_word::ImageEmbedding;
use thisbut_model::nn::basic::normalise;
use thisbut_model::weights::Tensors;

/// Where ln(1/τ) stays: CLIP's own limit on the scale of the scores is 100.
const SCALES: Range<f64> = 0.0..std::f64::consts::LN_10 * 2.0;
/// The name of ln(1/τ) among the parameters.
const SCALE: &str = "logit_scale";
/// The mapping network's parameters begin with this.
const MAPPING: &str = "mapping.";
/// A parameter of every text tower: with it the tower was given.
const TOWER: &str = "text.projection.weight";

/// The losses' names.
pub mod names {
    /// Image to caption and back.
    pub const CONTRAST: &str = "contrast";
    /// L_ZS-CIR: an image to its own pseudo-words and back.
    pub const ZS: &str = "zs";
    /// L_triplet: a composed query to its target and back.
    pub const TRIPLET: &str = "triplet";
}
/// Every one.
pub const LOSSES: [&str; 3] = [names::CONTRAST, names::ZS, names::TRIPLET];

/// Image embeddings of unlabelled images or of captions' images, `[B, P]`.
const IMAGE: &str = "image";
/// Captions, `[B, P]`.
const TEXT: &str = "text";
/// Texts of an image's own pseudo-words, `[B, P]`.
const PSEUDO: &str = "pseudo-words";
/// f_composed, `[B, P]`.
const QUERY: &str = "query";
/// Target images' embeddings, `[B, P]`.
const TARGET: &str = "target";

/// The call patterns, as streams of dropout masks.
#[derive(Clone, Copy)]
enum Pass {
    Text = 1,
    Pseudo,
    Query,
}

/// The objective.
#[derive(Clone)]
pub struct PseudoWordObjective {
    settings: PseudoWordSettings,
    config: RetrievalConfig,
    /// The family's part of the configuration.
    method: PseudoWordConfig,
    /// The images' pooled tokens, where they stay the same and an image has several.
    pooled: Option<Arc<Pooled>>,
}

impl PseudoWordObjective {
    /// For a model of `config`.
    ///
    /// # Errors
    /// When the configuration is another family's, or has no mapping network that the losses train. Contrast asks of a model
    /// what it can already do: it is composed without the mapping network while it trains.
    pub fn new(settings: &PseudoWordSettings, config: &RetrievalConfig) -> Result<Self> {
        let (method, mut config) = (config.pseudo_word()?.clone(), config.clone());
        let composes = method.composition == Composition::PseudoWords;
        match settings.losses {
            Losses::Contrast if composes => {
                if let MethodConfig::PseudoWord(own) = &mut config.method {
                    own.composition = Composition::default();
                }
            }
            Losses::Contrast => {}
            _ if composes => {}
            _ => {
                let problem =
                    format!("the model composes by {}, and these losses train pseudo-words", method.composition.name());
                return Err(TrainerError::settings(
                    "--losses",
                    problem,
                    "add --pseudo-words 4, or give --losses contrast",
                ));
            }
        }
        Ok(Self { settings: settings.clone(), config, method, pooled: None })
    }

    /// Embeddings of a piece's images: `images` are indices into its stream's images.
    fn embeddings(&self, model: &PseudoWord, piece: &Piece, images: &[u32]) -> Result<ImageEmbedding> {
        let pooled = match &self.pooled {
            Some(pooled) => pooled.of(piece.stream, images, piece.device)?,
            None => model.pooled(piece.tokens(images.iter().copied())?),
        };
        Ok(model.embedding(pooled))
    }

    /// Images and the texts of their own pseudo-words.
    fn pseudo_words(&self, model: &PseudoWord, piece: &Piece, noise: &PassNoise) -> Result<Representations> {
        let (images, first) = (piece.images(), piece.rows.start);
        let image = self.embeddings(model, piece, &images)?;
        let silence = piece.context.texts.reader().tokens("");
        let read = |part: Range<usize>| {
            let texts = std::iter::repeat_n(&silence, part.len());
            let text = piece.context.texts.reader().composed_batch(texts, piece.device);
            let image = ImageEmbedding(image.0.clone().slice([part.clone()]));
            model.read_with(&image, &text, &noise.of(Pass::Pseudo as u64, first + part.start))
        };
        let texts = piece.parts().map(|part| read(part.rows)).collect();
        let mut found = Representations::default();
        found.insert(PSEUDO, Tensor::cat(texts, 0));
        found.insert(IMAGE, normalise(image.0));
        Ok(found)
    }

    /// Captions and their images.
    fn captions(&self, model: &PseudoWord, piece: &Piece, noise: &PassNoise) -> Result<Representations> {
        let first = piece.rows.start;
        let read = |part: Part| model.read(&piece.text(&part), &noise.of(Pass::Text as u64, first + part.rows.start));
        let images: Vec<u32> = piece.targets().collect();
        let image = self.embeddings(model, piece, &images)?;
        let mut found = Representations::default();
        found.insert(TEXT, Tensor::cat(piece.parts().map(read).collect(), 0));
        found.insert(IMAGE, normalise(image.0));
        Ok(found)
    }

    /// Composed queries and their targets.
    fn triplets(&self, model: &PseudoWord, piece: &Piece, noise: &PassNoise) -> Result<Representations> {
        let (n, first) = (piece.rows.len(), piece.rows.start);
        let images: Vec<u32> = piece.references().chain(piece.targets()).collect();
        let image = self.embeddings(model, piece, &images)?.0;
        let read = |part: Part| {
            let reference = ImageEmbedding(image.clone().slice([part.rows.clone()]));
            let text = piece.composed_text(&part);
            model.read_with(&reference, &text, &noise.of(Pass::Query as u64, first + part.rows.start))
        };
        let mut found = Representations::default();
        found.insert(QUERY, Tensor::cat(piece.parts().map(read).collect(), 0));
        found.insert(TARGET, normalise(image.narrow(0, n, n)));
        Ok(found)
    }

    /// The contrast of rows `[B, P]` with the rows at their own places, in both directions or one, `[1]`; `right` as in
    /// [`BatchFacts`], none where each row is right for itself alone.
    fn contrast(
        &self,
        of: &Representations,
        pair: [&str; 2],
        right: Option<&BatchFacts>,
        one_way: bool,
    ) -> Result<Tensor<1>> {
        let [rows, others] = [of.vectors(pair[0])?, of.vectors(pair[1])?];
        let temperature = of.parameter(SCALE)?.neg().exp();
        let scores = rows.matmul(others.transpose());
        let ignored = match right.filter(|_| !self.settings.keep_false_negatives) {
            Some(batch) => Tensor::<2>::from_data(losses::false_negatives(batch.right), batch.device),
            None => scores.zeros_like().detach(),
        };
        let forward = losses::contrastive(scores.clone(), temperature.clone(), ignored.clone(), 0.0);
        if one_way {
            return Ok(forward);
        }
        let back = losses::contrastive(scores.transpose(), temperature, ignored.transpose(), 0.0);
        Ok((forward + back) / 2.0)
    }
}

impl Objective for PseudoWordObjective {
    type Model = PseudoWord;

    fn model(&self, device: &Device) -> Result<PseudoWord> {
        Ok(PseudoWord::new(&self.config, device)?)
    }

    fn in_precision(&self, model: &PseudoWord, precision: FloatDType) -> PseudoWord {
        match precision {
            FloatDType::F32 => model.clone(),
            other => model.in_precision(other),
        }
    }

    fn start(&self, mut given: Tensors, seed: u64) -> Result<Tensors> {
        if self.settings.losses != Losses::Contrast && !given.contains_key(TOWER) {
            let problem = "the text tower stays as it is, and nothing gives its weights";
            return Err(TrainerError::settings(
                "--start",
                problem,
                "give a checkpoint of `thisbut import` or of --losses contrast",
            ));
        }
        let mut tensors = start::random(&self.model(&Device::flex())?, seed)?;
        start::uniform(&mut tensors, MAPPING, seed);
        tensors.append(&mut given);
        Ok(tensors)
    }

    fn check(&self, groups: &[Group], names: &[&str]) -> Result<()> {
        let trains = |name: &&&str| !groups::is_frozen(groups, name);
        let encoder = names.iter().filter(trains).any(|name| name.starts_with(IMAGE_ENCODER));
        if encoder && self.settings.losses != Losses::Contrast {
            let mend = "take the groups that begin with \"image_encoder.\" out, or give --losses contrast";
            return Err(TrainerError::settings("--losses", "these are for a frozen image encoder", mend));
        }
        match names.iter().any(|name| trains(&name)) {
            true => Ok(()),
            false => {
                Err(TrainerError::settings("groups", "every parameter is frozen", "leave one group a rate above 0"))
            }
        }
    }

    fn prepare(&mut self, model: &PseudoWord, context: &Context, device: &Device) -> Result<()> {
        let moves = context.settings.trains_image_encoder();
        if self.config.image_tokens() > 1 && !moves {
            self.pooled = Some(Arc::new(Pooled::new(context, model, device)?));
        }
        Ok(())
    }

    fn parameters<'a>(&self, model: &'a PseudoWord) -> Vec<(&'static str, &'a Param<Tensor<1>>)> {
        vec![(SCALE, &model.logit_scale)]
    }

    fn encode(&self, model: &PseudoWord, piece: &Piece, noise: &PassNoise) -> Result<Encoded> {
        let representations = match self.settings.losses {
            _ if self.settings.reads_pseudo_words(piece.stream) => self.pseudo_words(model, piece, noise)?,
            Losses::Contrast => self.captions(model, piece, noise)?,
            _ => self.triplets(model, piece, noise)?,
        };
        Ok(Encoded { representations, losses: Vec::new() })
    }

    fn losses(&self, of: &Representations, batch: &BatchFacts) -> Result<Vec<Loss>> {
        let PseudoWordSettings { losses, zs_weight, triplet_weight, one_way, .. } = self.settings;
        let mut found = Vec::new();
        let mut add = |name, weight, value| found.push(Loss { name, weight, value });
        if losses == Losses::Contrast {
            add(names::CONTRAST, 1.0, self.contrast(of, [IMAGE, TEXT], Some(batch), false)?);
        }
        if matches!(losses, Losses::Pic2word | Losses::Hybrid) {
            add(names::ZS, zs_weight, self.contrast(of, [IMAGE, PSEUDO], None, false)?);
        }
        if matches!(losses, Losses::Triplet | Losses::Hybrid) {
            add(names::TRIPLET, triplet_weight, self.contrast(of, [QUERY, TARGET], Some(batch), one_way)?);
        }
        Ok(found)
    }

    fn bounded(&self, mut model: PseudoWord) -> PseudoWord {
        if model.logit_scale.is_require_grad() {
            let within =
                |scale: Tensor<1>| Tensor::from_inner(scale.inner().clamp(SCALES.start, SCALES.end)).require_grad();
            model.logit_scale = model.logit_scale.map(within);
        }
        model
    }

    fn composes(&self) -> bool {
        self.settings.losses != Losses::Contrast
    }

    fn cost(&self, load: Load, fused: bool) -> Cost {
        cost::of(&self.settings, (&self.config, &self.method), load, fused)
    }
}
