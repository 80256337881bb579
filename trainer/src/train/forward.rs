//! From rows of a batch to what the losses compare.

use super::losses;
use super::settings::{Recipe, Settings};
use crate::data::table::{Table, Triplet};
use crate::embed::{self, Tokenized};
use crate::error::Result;
use crate::features::ImageTokens;
use burn::tensor::{Device, Tensor, TensorData};
use std::ops::Range;
use thisbut_model::method::TwoPass;
use thisbut_model::nn::Noise;
use thisbut_model::{Retrieval, RetrievalConfig};

/// Triplets of a batch that go through the text passes together.
pub(super) const PART: usize = 64;

/// What every step of a run reads.
pub struct Context<'a> {
    /// The run's settings.
    pub settings: &'a Settings,
    /// The architecture.
    pub config: &'a RetrievalConfig,
    /// Training triplets.
    pub train: &'a Table,
    /// Their images' tokens.
    pub features: &'a dyn ImageTokens,
    /// The row in `features` of each of the table's images.
    pub rows: &'a [usize],
    /// The triplets' texts.
    pub texts: &'a Tokenized,
}

/// Target embeddings of every image that is a target of a training triplet, computed once.
pub struct Bank {
    /// The images, as indices into the table.
    images: Vec<Option<u32>>,
    /// `[images, N, P]`, outside the gradient's graph.
    targets: Tensor<3>,
}

impl Bank {
    /// Embeds them with `model` on `device`, which is outside autodiff.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub fn new(context: &Context, model: &TwoPass, device: &Device) -> Result<Self> {
        let mut images: Vec<u32> = context.train.triplets.iter().filter_map(|t| t.targets.first().copied()).collect();
        images.sort_unstable();
        images.dedup();
        let retrieval = context.retrieval(embed::without_gradient(model), device);
        let targets = embed::gallery(&retrieval, context.features, &images, context.rows)?;
        Ok(Self { images: images.into_iter().map(Some).collect(), targets })
    }

    /// The place of each of `targets`' first image, and which other places are right answers too, `[B, images]`.
    pub(super) fn places(&self, targets: &[Vec<u32>]) -> (Vec<usize>, TensorData) {
        let place = |right: &Vec<u32>| self.images.binary_search(&right.first().copied()).unwrap_or_default();
        let own: Vec<usize> = targets.iter().map(place).collect();
        let ignored = losses::false_negatives_among(targets, &own, &self.images);
        (own, ignored)
    }

    /// The embeddings under autodiff, where they are constants.
    pub(super) fn targets(&self) -> Tensor<3> {
        Tensor::from_inner(self.targets.clone())
    }
}

/// What the losses compare, for some rows of a batch.
#[derive(Clone)]
pub(super) struct Encoded {
    /// f_q `[rows, P]`; none when training on captions.
    pub queries: Option<Tensor<2>>,
    /// f_m `[rows, P]`, where a loss asks for it.
    pub text_only: Option<Tensor<2>>,
    /// f_t `[rows, N, P]`; none where a bank has them.
    pub targets: Option<Tensor<3>>,
    /// These rows' part of the batch's mean p2p (or align) loss, `[1]`.
    pub p2p: Option<Tensor<1>>,
}

impl Encoded {
    /// The same values outside the gradient's graph, without p2p.
    pub fn inner(self) -> Self {
        Self {
            queries: self.queries.map(Tensor::inner),
            text_only: self.text_only.map(Tensor::inner),
            targets: self.targets.map(Tensor::inner),
            p2p: None,
        }
    }
}

/// Dropout of one step. Each call pattern draws masks of its own, and each row its own part of them, so that they depend
/// neither on how the batch is cut into pieces nor on which device has which rows.
pub(super) struct Dropout {
    p: f64,
    seed: u64,
    by_row: bool,
}

/// The call patterns, as streams of masks.
#[derive(Clone, Copy)]
enum Pass {
    Target = 1,
    Fuse,
    Compose,
    TextOnly,
    Reverse,
}

impl Dropout {
    /// Dropout of `step`.
    pub fn new(settings: &Settings, config: &RetrievalConfig, step: usize) -> Self {
        Self {
            p: config.method.dropout(),
            seed: settings.seed.wrapping_add((step as u64) << 20),
            by_row: settings.sub_batch > 0 || settings.devices > 1,
        }
    }

    fn noise(&self, pass: Pass, first: usize) -> Noise {
        let seed = self.seed.wrapping_add((pass as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let noise = Noise::new(self.p, seed).starting_at(first);
        if self.by_row { noise.by_row() } else { noise }
    }
}

impl Context<'_> {
    /// The model of this run as it answers, on `device`.
    fn retrieval(&self, model: TwoPass, device: &Device) -> Retrieval {
        Retrieval::new(self.config.clone(), None, model, self.texts.reader().clone(), device)
    }

    /// The triplet behind an entry of a batch.
    pub(super) fn triplet(&self, entry: u32) -> &Triplet {
        &self.train.triplets[entry as usize]
    }

    /// Encodes rows `range` of `batch` on `device`, which is that of `model`, under autodiff or not; `p2p` also computes
    /// that loss, for which it must be.
    pub(super) fn encode(
        &self,
        model: &TwoPass,
        batch: &[u32],
        range: Range<usize>,
        dropout: &Dropout,
        p2p: bool,
        device: &Device,
    ) -> Result<Encoded> {
        let settings = self.settings;
        let (all, start, n) = (batch.len(), range.start, range.len());
        let batch = &batch[range];
        let composed = settings.recipe != Recipe::Captions;
        let banked = settings.bank;
        let references = batch.iter().map(|t| self.rows[self.triplet(*t).reference as usize]);
        let targets = batch.iter().map(|t| self.rows[self.triplet(*t).targets[0] as usize]);
        let images: Vec<usize> = references.filter(|_| composed).chain(targets.filter(|_| !banked)).collect();
        let keys = model.image_keys(self.features.tokens(&images, device)?);
        let (reference, target) = match composed && !banked {
            true => (keys.slice(0..n), keys.slice(n..2 * n)),
            false => (keys.clone(), keys),
        };
        let targets = (!banked).then(|| model.target(&target, n, &dropout.noise(Pass::Target, start)));
        // The reverse side gets no gradient (eq. 8), so its graph is never built.
        let p2p = (p2p && composed && settings.p2p > 0.0).then(|| embed::without_gradient(model));
        let (mut queries, mut text_only, mut distances) = (Vec::new(), Vec::new(), Vec::new());
        for (at, part) in batch.chunks(PART).enumerate() {
            let local = at * PART..at * PART + part.len();
            let noise = |pass| dropout.noise(pass, start + local.start);
            let text = self.texts.batch(part, device);
            if !composed || settings.t2t > 0.0 {
                text_only.push(model.text_only(&text, &noise(Pass::TextOnly)));
            }
            if !composed {
                continue;
            }
            let fusing = if banked { Noise::off() } else { noise(Pass::Fuse) };
            let prompt = model.fuse(&reference.slice(local.clone()), &text, &fusing);
            queries.push(model.compose(prompt.clone(), &text, &noise(Pass::Compose)));
            let Some(frozen) = &p2p else { continue };
            let distance = match settings.recipe {
                Recipe::Sprc => losses::align(prompt, model.prompt_tokens.val()),
                Recipe::Ptha | Recipe::Captions => {
                    let reverse = self.texts.reverse_batch(part, &device.clone().inner())?;
                    let towards = frozen.fuse(&target.slice(local.clone()).inner(), &reverse, &noise(Pass::Reverse));
                    losses::prototype(prompt, Tensor::from_inner(towards))
                }
            };
            distances.push(distance * (part.len() as f64 / all as f64));
        }
        let joined = |parts: Vec<Tensor<2>>| (!parts.is_empty()).then(|| Tensor::cat(parts, 0));
        let p2p = distances.into_iter().reduce(|sum, more| sum + more);
        Ok(Encoded { queries: joined(queries), text_only: joined(text_only), targets, p2p })
    }
}
