//! One step's gradients, for batches of any size on any number of devices.
//!
//! The contrastive losses look at a batch only through its representations, so their gradient takes three parts: encode
//! every piece of the batch; compute the losses and their gradients for the representations, all pieces of all devices
//! together; lead those gradients back through each piece (GradCache: Gao et al., 2021). With one piece a device its graph
//! is kept in between; with more, each is encoded first without a graph and a second time, with the same dropout masks,
//! for its way back. What is left in memory then is one piece's graph, whatever the batch.

use super::forward::{Bank, Context, Dropout, Encoded};
use super::gradients::{ParameterGradients, flat};
use super::losses;
use super::peers::{self, AllReduce};
use super::settings::{Precision, Recipe, Settings};
use crate::embed;
use crate::error::Result;
use burn::tensor::{Device, FloatDType, Gradients, Int, Tensor, TensorData};
use std::ops::Range;
use thisbut_model::method::{TwoPass, similarity};

/// The losses of one step, for the metrics file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Losses {
    /// What is minimised.
    pub total: f64,
    /// Query to target.
    pub q2t: f64,
    /// Text to target.
    pub t2t: f64,
    /// Prototype to prototype, or SPRC's align.
    pub p2p: f64,
}

/// The name of τ among the parameters.
const TEMPERATURE: &str = "temperature";

/// Gradients and losses of `batch` (triplets of the context's table) in `step`. All devices call this with the same batch;
/// each computes its share and gets the sum. `device` is the one that `model` lives on, under autodiff.
///
/// # Errors
/// When images, texts or another device fail.
pub fn gradients(
    context: &Context,
    bank: Option<&Bank>,
    model: &TwoPass,
    batch: &[u32],
    step: usize,
    peers: &dyn AllReduce,
    device: &Device,
) -> Result<(ParameterGradients, Losses)> {
    let settings = context.settings;
    // A batch's order means nothing; by length, each part of it is as short as its texts allow.
    let mut batch = batch.to_vec();
    batch.sort_by_key(|t| context.texts.length(*t));
    let batch = batch.as_slice();
    let share = peers.share(batch.len());
    let size = if settings.sub_batch > 0 { settings.sub_batch } else { share.len().max(1) };
    let pieces: Vec<Range<usize>> = share.clone().step_by(size).map(|at| at..(at + size).min(share.end)).collect();
    let dropout = Dropout::new(settings, context.config, step);
    let encode = |model: &TwoPass, rows: &Range<usize>, p2p: bool, device: &Device| {
        context.encode(model, batch, rows.clone(), &dropout, p2p, device)
    };

    let mut kept = None;
    let mut encoded = Vec::with_capacity(pieces.len());
    match &pieces[..] {
        [only] => {
            let piece = encode(&computing(model, settings), only, true, device)?;
            encoded.push(piece.clone().inner());
            kept = Some(piece);
        }
        several => {
            let plain = device.clone().inner();
            let model = embed::without_gradient(&computing(model, settings));
            for rows in several {
                encoded.push(encode(&model, rows, false, &plain)?);
            }
        }
    }
    let leaves = Leaves::new(encoded, model, peers, batch.len())?;
    let right: Vec<Vec<u32>> = batch.iter().map(|t| context.triplet(*t).targets.clone()).collect();
    let (loss, q2t, t2t) = leaves.loss(settings, bank, &right, device);
    let cached = leaves.gradients(&loss.backward());

    let mut found = ParameterGradients::default();
    let mut p2p = Tensor::<1>::zeros([1], &device.clone().inner());
    for rows in &pieces {
        let piece = match kept.take() {
            Some(piece) => piece,
            None => encode(&computing(model, settings), rows, true, device)?,
        };
        let own = piece.p2p.clone();
        if let Some(part) = &own {
            p2p = p2p + part.clone().inner();
        }
        let way_back = cached.along(piece, rows).into_iter().chain(own.map(|x| x * settings.p2p));
        if let Some(sum) = way_back.reduce(|sum, more| sum + more).filter(Tensor::is_tracked) {
            found.add(ParameterGradients::of(model, &sum.backward()));
        }
    }
    if let Some(temperature) = cached.temperature.filter(|_| model.temperature.is_require_grad()) {
        // Every device has the whole of it.
        let own = if peers.rank() == 0 { temperature } else { temperature.zeros_like() };
        found.add_to(TEMPERATURE, own);
    }
    if peers.count() > 1 {
        let mut sums = peers.sum(found.iter().map(|(_, g)| g.clone()).chain([p2p]).collect())?;
        p2p = sums.pop().unwrap_or_else(|| Tensor::zeros([1], device));
        found = found.with_values(sums);
    }
    let read = embed::read(Tensor::cat(vec![q2t.inner(), t2t.inner(), p2p], 0))?;
    let [q2t, t2t, p2p] = [0, 1, 2].map(|i| f64::from(read.get(i).copied().unwrap_or_default()));
    let total = match settings.recipe {
        Recipe::Captions => t2t,
        _ => q2t + settings.t2t * t2t + settings.p2p * p2p,
    };
    Ok((found, Losses { total, q2t, t2t, p2p }))
}

/// The model that the passes compute with; its gradients arrive at `master`. Made anew for each backward pass, which uses
/// its casts up.
fn computing(master: &TwoPass, settings: &Settings) -> TwoPass {
    match settings.precision {
        Precision::F32 => master.clone(),
        Precision::Bf16 => master.in_precision(FloatDType::BF16),
    }
}

/// A batch's representations as the start of a graph that ends in the losses.
struct Leaves {
    queries: Option<Tensor<2>>,
    text_only: Option<Tensor<2>>,
    targets: Option<Tensor<3>>,
    temperature: Tensor<1>,
}

/// The losses' gradients for the representations, `[B, …]`, and for τ.
struct Cached {
    queries: Option<Tensor<2>>,
    text_only: Option<Tensor<2>>,
    targets: Option<Tensor<3>>,
    temperature: Option<Tensor<1>>,
}

impl Leaves {
    /// All devices' representations of a batch of `all`, from this device's pieces.
    fn new(pieces: Vec<Encoded>, model: &TwoPass, peers: &dyn AllReduce, all: usize) -> Result<Self> {
        let join = |parts: Vec<Tensor<2>>| -> Result<Option<Tensor<2>>> {
            match parts.is_empty() {
                true => Ok(None),
                false => Ok(Some(leaf(peers::gather(peers, Tensor::cat(parts, 0), all)?))),
            }
        };
        let queries = join(pieces.iter().filter_map(|p| p.queries.clone()).collect())?;
        let text_only = join(pieces.iter().filter_map(|p| p.text_only.clone()).collect())?;
        let targets: Vec<Tensor<3>> = pieces.into_iter().filter_map(|p| p.targets).collect();
        let targets = match targets.is_empty() {
            true => None,
            false => Some(leaf(peers::gather(peers, Tensor::cat(targets, 0), all)?)),
        };
        Ok(Self { queries, text_only, targets, temperature: leaf(model.temperature.val().inner()) })
    }

    /// q2t + λ·t2t (captions: t2t both ways), and the two.
    fn loss(
        &self,
        settings: &Settings,
        bank: Option<&Bank>,
        right: &[Vec<u32>],
        device: &Device,
    ) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        let (own, ignored) = match bank {
            Some(bank) => bank.places(right),
            None => ((0..right.len()).collect(), losses::false_negatives(right)),
        };
        let ignored = Tensor::<2>::from_data(ignored, device);
        let ignored = if settings.keep_false_negatives { ignored.zeros_like() } else { ignored };
        let own: Vec<i32> = own.into_iter().map(|at| at as i32).collect();
        let own = Tensor::<1, Int>::from_data(TensorData::new(own, [right.len()]), device);
        let both_ways = settings.recipe == Recipe::Captions;
        let contrast = |queries: &Option<Tensor<2>>, smoothing: f64| {
            let targets = bank.map(Bank::targets).or_else(|| self.targets.clone());
            let (Some(queries), Some(targets)) = (queries, targets) else { return Tensor::zeros([1], device) };
            let scores = similarity(queries.clone(), targets);
            let tau = self.temperature.clone();
            let forward =
                losses::contrastive_among(scores.clone(), tau.clone(), ignored.clone(), smoothing, own.clone());
            if !both_ways {
                return forward;
            }
            (forward + losses::contrastive(scores.transpose(), tau, ignored.clone().transpose(), smoothing)) / 2.0
        };
        let q2t = contrast(&self.queries, settings.label_smoothing);
        let t2t = contrast(&self.text_only, 0.0);
        let weight = if both_ways { 1.0 } else { settings.t2t };
        (q2t.clone() + t2t.clone() * weight, q2t, t2t)
    }

    fn gradients(&self, gradients: &Gradients) -> Cached {
        Cached {
            queries: self.queries.as_ref().and_then(|x| x.grad(gradients)),
            text_only: self.text_only.as_ref().and_then(|x| x.grad(gradients)),
            targets: self.targets.as_ref().and_then(|x| x.grad(gradients)),
            temperature: self.temperature.grad(gradients),
        }
    }
}

impl Cached {
    /// Numbers whose gradients, for what `piece` (rows `rows` of the batch) was computed from, are the losses'.
    fn along(&self, piece: Encoded, rows: &Range<usize>) -> Vec<Tensor<1>> {
        let mut out = Vec::new();
        for (x, gradient) in [(piece.queries, &self.queries), (piece.text_only, &self.text_only)] {
            if let (Some(x), Some(gradient)) = (x, gradient) {
                out.push(along(x, gradient.clone().slice([rows.clone()])));
            }
        }
        if let (Some(x), Some(gradient)) = (piece.targets, &self.targets) {
            out.push(along(x, gradient.clone().slice([rows.clone()])));
        }
        out
    }
}

/// Σ x·gradient, `[1]`.
fn along<const D: usize>(x: Tensor<D>, gradient: Tensor<D>) -> Tensor<1> {
    flat(x * Tensor::from_inner(gradient)).sum()
}

/// A tensor that a graph starts from.
fn leaf<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    Tensor::from_inner(x).require_grad()
}
