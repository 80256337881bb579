//! One step's gradients, for batches of any size on any number of devices.
//!
//! The contrastive losses look at a batch only through its representations, so their gradient takes three parts: encode
//! every piece of the batch; compute the losses and their gradients for the representations, all pieces of all devices
//! together; lead those gradients back through each piece (GradCache: Gao et al., 2021). With one piece a device its graph
//! is kept in between; with more, each is encoded first without a graph and a second time, with the same dropout masks,
//! for its way back. What is left in memory then is one piece's graph, whatever the batch.

use super::gradients::ParameterGradients;
use super::learner::Learner;
use super::objective::loss::{self, Figures, Loss};
use super::objective::representations::{Cached, Representations};
use super::objective::{Encoded, Objective};
use super::peers::AllReduce;
use super::piece::{BatchFacts, Context, PassNoise, Piece, Stream};
use crate::embed;
use crate::error::{Result, TrainerError};
use burn::tensor::{Device, Tensor};
use std::ops::Range;

/// What a device's steps need beside the weights that they change.
pub struct Step<'a, O: Objective> {
    /// The run's data.
    pub context: &'a Context<'a>,
    /// What is trained towards.
    pub objective: &'a O,
    /// The devices that share each batch.
    pub peers: &'a dyn AllReduce,
    /// Where the weights live, under autodiff.
    pub device: &'a Device,
}

/// What a step reads.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Triplets of the context's table.
    pub triplets: &'a [u32],
    /// Unlabelled images of the context beside them.
    pub images: &'a [u32],
}

impl<'a> From<&'a [u32]> for Batch<'a> {
    fn from(triplets: &'a [u32]) -> Self {
        Self { triplets, images: &[] }
    }
}

/// This device's share of a stream's batch, in pieces.
struct Share<'a> {
    stream: Stream,
    batch: &'a [u32],
    pieces: Vec<Range<usize>>,
    /// Its only piece with its graph, once it is encoded.
    kept: Option<Encoded>,
}

impl<O: Objective> Step<'_, O> {
    /// Gradients and losses of `batch` in `step`. All devices call this with the same batch; each computes its share and gets
    /// the sum.
    ///
    /// # Errors
    /// When images, texts or another device fail.
    pub fn gradients<'b>(
        &self,
        learner: &Learner<O::Model>,
        batch: impl Into<Batch<'b>>,
        step: usize,
    ) -> Result<(ParameterGradients, Figures)> {
        let (Context { settings, config, texts, .. }, all) = (*self.context, batch.into());
        // A batch's order means nothing; by length, each part of it is as short as its texts allow.
        let mut batch = all.triplets.to_vec();
        batch.sort_by_key(|t| texts.length(*t));
        let noise = PassNoise::new(config, settings, step);
        let streams = [(Stream::Triplets, &batch[..]), (Stream::Images, all.images)];
        let mut shares: Vec<Share> =
            streams.into_iter().filter(|(_, batch)| !batch.is_empty()).map(|s| self.share(s)).collect();
        let parameters = self.objective.parameters(&learner.model);
        let mut leaves = Representations::reading(&parameters);
        for share in &mut shares {
            let encoded = self.first_pass(learner, share, &noise)?;
            leaves = leaves.with(encoded, self.peers, share.batch.len())?;
        }
        let right: Vec<Vec<u32>> = batch.iter().map(|t| self.context.triplet(*t).targets.clone()).collect();
        let references: Vec<u32> = batch.iter().map(|t| self.context.triplet(*t).reference).collect();
        let facts = BatchFacts { right: &right, references: &references, device: self.device };
        let mut losses = self.objective.losses(&leaves, &facts)?;
        let minimised = loss::minimised(&losses).ok_or_else(|| {
            TrainerError::checkpoint("the objective", "has no loss over its batch", "choose losses with a weight")
        })?;
        let cached = leaves.gradients(&minimised.backward());
        losses.iter_mut().for_each(|loss| loss.value = loss.value.clone().inner());

        let (mut found, own) = self.way_back(learner, shares, &cached, &noise)?;
        for (name, parameter) in parameters {
            let Some(gradient) = cached.parameter(name).filter(|_| parameter.is_require_grad()) else { continue };
            // Every device has the whole of it.
            found.add_to(name, if self.peers.rank() == 0 { gradient } else { gradient.zeros_like() });
        }
        let (found, own) = self.summed(found, own)?;
        losses.extend(own);
        let values = embed::read(Tensor::cat(losses.iter().map(|loss| loss.value.clone()).collect(), 0))?;
        Ok((found, Figures::of(&losses, &values)))
    }

    /// This device's share of a stream's batch.
    fn share<'b>(&self, (stream, batch): (Stream, &'b [u32])) -> Share<'b> {
        let (own, sub_batch) = (self.peers.share(batch.len()), self.context.settings.sub_batch);
        let size = if sub_batch > 0 { sub_batch } else { own.len().max(1) };
        let pieces = own.clone().step_by(size).map(|at| at..(at + size).min(own.end)).collect();
        Share { stream, batch, pieces, kept: None }
    }

    /// Every piece's representations outside the graph; with one piece, that with its graph is kept.
    fn first_pass(
        &self,
        learner: &Learner<O::Model>,
        share: &mut Share,
        noise: &PassNoise,
    ) -> Result<Vec<Representations>> {
        if let [only] = &share.pieces[..] {
            let piece = self.encode(&self.computing(learner)?, (&*share, only), noise, true)?;
            let values = piece.representations.clone().inner();
            share.kept = Some(piece);
            return Ok(vec![values]);
        }
        let plain = self.computing(learner)?.valid();
        let values = |rows| Ok(self.encode(&plain, (&*share, rows), noise, false)?.representations);
        share.pieces.iter().map(values).collect()
    }

    /// Leads the gradients of the batch's losses back through each piece, together with those of the pieces' own losses.
    /// Returns the parameters' gradients and the sums of the own losses' values.
    fn way_back(
        &self,
        learner: &Learner<O::Model>,
        mut shares: Vec<Share>,
        cached: &Cached,
        noise: &PassNoise,
    ) -> Result<(ParameterGradients, Vec<Loss>)> {
        let mut found = ParameterGradients::default();
        let mut sums: Vec<Loss> = Vec::new();
        let kept: Vec<Option<Encoded>> = shares.iter_mut().map(|share| share.kept.take()).collect();
        let pieces = shares
            .iter()
            .zip(kept)
            .flat_map(|(share, mut kept)| share.pieces.iter().map(move |rows| (share, rows, kept.take())));
        for (share, rows, kept) in pieces {
            let piece = match kept {
                Some(piece) => piece,
                None => self.encode(&self.computing(learner)?, (share, rows), noise, true)?,
            };
            let own = loss::minimised(&piece.losses);
            let way_back = cached.along(piece.representations, rows)?.into_iter().chain(own);
            if let Some(sum) = way_back.reduce(|sum, more| sum + more).filter(Tensor::is_tracked) {
                found.add(learner.gradients(&sum.backward()));
            }
            for loss in piece.losses {
                let value = loss.value.inner();
                match sums.iter_mut().find(|sum| sum.name == loss.name) {
                    Some(sum) => sum.value = sum.value.clone() + value,
                    None => sums.push(Loss { value, ..loss }),
                }
            }
        }
        Ok((found, sums))
    }

    /// The sums over all devices.
    fn summed(&self, found: ParameterGradients, mut own: Vec<Loss>) -> Result<(ParameterGradients, Vec<Loss>)> {
        if self.peers.count() == 1 {
            return Ok((found, own));
        }
        let values = own.iter().map(|loss| loss.value.clone());
        let mut sums = self.peers.sum(found.iter().map(|(_, g)| g.clone()).chain(values).collect())?;
        let values = sums.split_off(sums.len() - own.len());
        own.iter_mut().zip(values).for_each(|(loss, value)| loss.value = value);
        Ok((found.with_values(sums), own))
    }

    /// Encodes rows `rows` of a share with the graph, or without one where `learner` is outside it.
    fn encode(
        &self,
        learner: &Learner<O::Model>,
        (share, rows): (&Share, &Range<usize>),
        noise: &PassNoise,
        graph: bool,
    ) -> Result<Encoded> {
        let images = learner.images(self.context.features);
        let context = Context { features: &images, ..*self.context };
        let device = if graph { self.device.clone() } else { self.device.clone().inner() };
        let (stream, batch, rows) = (share.stream, share.batch, rows.clone());
        let piece = Piece { context: &context, stream, batch, rows, device: &device, own_losses: graph };
        self.objective.encode(&learner.model, &piece, noise)
    }

    /// What the passes compute with; its gradients arrive at `master`. Made anew for each backward pass, which uses its casts up.
    fn computing(&self, master: &Learner<O::Model>) -> Result<Learner<O::Model>> {
        let precision = self.context.settings.precision.float()?;
        Ok(master.computing(self.objective.in_precision(&master.model, precision), precision))
    }
}
