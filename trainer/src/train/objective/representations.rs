//! A batch's representations by name, whatever they are: put together from pieces and devices, the start of a graph that
//! ends in the losses, and the way back from there into each piece.

use crate::error::{Result, TrainerError};
use crate::train::gradients::flat;
use crate::train::peers::{self, AllReduce};
use burn::module::Param;
use burn::tensor::{Gradients, Tensor};
use std::ops::Range;

/// One representation of some rows of a batch; the first dimension counts the rows.
#[derive(Clone, Debug)]
pub enum Rows {
    /// `[rows, P]`: a vector a row.
    Vectors(Tensor<2>),
    /// `[rows, N, P]`: several vectors a row.
    Tokens(Tensor<3>),
}

impl From<Tensor<2>> for Rows {
    fn from(x: Tensor<2>) -> Self {
        Self::Vectors(x)
    }
}

impl From<Tensor<3>> for Rows {
    fn from(x: Tensor<3>) -> Self {
        Self::Tokens(x)
    }
}

impl Rows {
    /// The same values outside the gradient's graph.
    fn inner(self) -> Self {
        match self {
            Self::Vectors(x) => Self::Vectors(x.inner()),
            Self::Tokens(x) => Self::Tokens(x.inner()),
        }
    }

    /// The rows of all `parts` in their order; none when they are of different ranks.
    fn joined(parts: Vec<Self>) -> Option<Self> {
        let (mut vectors, mut tokens) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Self::Vectors(x) => vectors.push(x),
                Self::Tokens(x) => tokens.push(x),
            }
        }
        match (vectors.is_empty(), tokens.is_empty()) {
            (false, true) => Some(Self::Vectors(Tensor::cat(vectors, 0))),
            (true, false) => Some(Self::Tokens(Tensor::cat(tokens, 0))),
            _ => None,
        }
    }

    /// All devices' rows, as a leaf of a graph.
    fn gathered(self, peers: &dyn AllReduce, all: usize) -> Result<Self> {
        Ok(match self {
            Self::Vectors(x) => Self::Vectors(leaf(peers::gather(peers, x, all)?)),
            Self::Tokens(x) => Self::Tokens(leaf(peers::gather(peers, x, all)?)),
        })
    }

    fn gradient(&self, gradients: &Gradients) -> Option<Self> {
        match self {
            Self::Vectors(x) => x.grad(gradients).map(Self::Vectors),
            Self::Tokens(x) => x.grad(gradients).map(Self::Tokens),
        }
    }

    /// Σ x·gradient, `[1]`, with the gradient's rows `rows`; none when they are of different ranks.
    fn along(self, gradient: Self, rows: Range<usize>) -> Option<Tensor<1>> {
        match (self, gradient) {
            (Self::Vectors(x), Self::Vectors(gradient)) => Some(along(x, gradient.slice([rows]))),
            (Self::Tokens(x), Self::Tokens(gradient)) => Some(along(x, gradient.slice([rows]))),
            _ => None,
        }
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

/// Representations of some rows of a batch, by name, and the parameters that losses over a whole batch read.
#[derive(Clone, Debug, Default)]
pub struct Representations {
    rows: Vec<(&'static str, Rows)>,
    parameters: Vec<(&'static str, Tensor<1>)>,
}

/// The losses' gradients for the representations of a whole batch, and for the parameters that they read.
pub(crate) struct Cached(Representations);

impl Representations {
    /// Adds one.
    pub fn insert(&mut self, name: &'static str, rows: impl Into<Rows>) {
        self.rows.push((name, rows.into()));
    }

    /// A representation with one vector a row, `[rows, P]`.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`] when the objective did not encode it.
    pub fn vectors(&self, name: &str) -> Result<Tensor<2>> {
        match self.rows.iter().find(|(known, _)| *known == name) {
            Some((_, Rows::Vectors(x))) => Ok(x.clone()),
            _ => Err(missing(name, "with one vector a row")),
        }
    }

    /// A representation with several vectors a row, `[rows, N, P]`.
    ///
    /// # Errors
    /// As [`Representations::vectors`].
    pub fn tokens(&self, name: &str) -> Result<Tensor<3>> {
        match self.rows.iter().find(|(known, _)| *known == name) {
            Some((_, Rows::Tokens(x))) => Ok(x.clone()),
            _ => Err(missing(name, "with several vectors a row")),
        }
    }

    /// A parameter that the losses read, `[n]`.
    ///
    /// # Errors
    /// As [`Representations::vectors`].
    pub fn parameter(&self, name: &str) -> Result<Tensor<1>> {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map(|(_, x)| x.clone()).ok_or_else(|| missing(name, "among the parameters of the losses"))
    }

    /// The same values outside the gradient's graph.
    pub(crate) fn inner(self) -> Self {
        let rows = self.rows.into_iter().map(|(name, x)| (name, x.inner())).collect();
        let parameters = self.parameters.into_iter().map(|(name, x)| (name, x.inner())).collect();
        Self { rows, parameters }
    }

    /// None yet, with `parameters` as leaves of a graph.
    pub(crate) fn reading(parameters: &[(&'static str, &Param<Tensor<1>>)]) -> Self {
        let parameters = parameters.iter().map(|(name, x)| (*name, leaf(x.val().inner()))).collect();
        Self { rows: Vec::new(), parameters }
    }

    /// These leaves of a graph, and as further ones all devices' representations of a stream's batch of `all` rows, from this
    /// device's `pieces`. No two streams use one name.
    pub(crate) fn with(mut self, pieces: Vec<Self>, peers: &dyn AllReduce, all: usize) -> Result<Self> {
        let names: Vec<&'static str> = pieces.first().iter().flat_map(|p| &p.rows).map(|(name, _)| *name).collect();
        let mut parts: Vec<Vec<Rows>> = names.iter().map(|_| Vec::new()).collect();
        for piece in pieces {
            assert!(piece.rows.iter().map(|(name, _)| *name).eq(names.iter().copied()), "pieces of one batch differ");
            piece.rows.into_iter().zip(&mut parts).for_each(|((_, x), parts)| parts.push(x));
        }
        for (name, parts) in names.into_iter().zip(parts) {
            assert!(self.rows.iter().all(|(known, _)| *known != name), "two streams have a {name:?}");
            let joined = Rows::joined(parts).ok_or_else(|| missing(name, "of one rank in every piece"))?;
            self.rows.push((name, joined.gathered(peers, all)?));
        }
        Ok(self)
    }

    /// What a backward pass left for these leaves.
    pub(crate) fn gradients(&self, gradients: &Gradients) -> Cached {
        let rows = self.rows.iter().filter_map(|(name, x)| Some((*name, x.gradient(gradients)?))).collect();
        let parameters = self.parameters.iter().filter_map(|(name, x)| Some((*name, x.grad(gradients)?))).collect();
        Cached(Self { rows, parameters })
    }
}

impl Cached {
    /// Numbers whose gradients, for what `piece` (rows `rows` of the batch) was computed from, are the losses'.
    pub(crate) fn along(&self, piece: Representations, rows: &Range<usize>) -> Result<Vec<Tensor<1>>> {
        let mut out = Vec::new();
        for (name, x) in piece.rows {
            let Some((_, gradient)) = self.0.rows.iter().find(|(known, _)| *known == name) else { continue };
            let along = x.along(gradient.clone(), rows.clone());
            out.push(along.ok_or_else(|| missing(name, "of one rank in every piece"))?);
        }
        Ok(out)
    }

    /// The gradient of a parameter that the losses read.
    pub(crate) fn parameter(&self, name: &str) -> Option<Tensor<1>> {
        self.0.parameters.iter().find(|(known, _)| *known == name).map(|(_, x)| x.clone())
    }
}

fn missing(name: &str, what: &str) -> TrainerError {
    TrainerError::checkpoint("the objective", format!("has no {name:?} {what}"), "report this")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::train::peers::Alone;
    use burn::tensor::Device;

    #[test]
    fn pieces_join_by_name_and_a_missing_name_is_said() {
        let device = Device::flex();
        let piece = |rows: usize| {
            let mut piece = Representations::default();
            piece.insert("pseudo-word", Tensor::<2>::ones([rows, 3], &device));
            piece.insert("target", Tensor::<3>::ones([rows, 2, 3], &device));
            piece
        };
        let autodiff = device.clone().autodiff();
        let scale = Param::from_tensor(Tensor::<1>::ones([1], &autodiff));
        let leaves = Representations::reading(&[("scale", &scale)]);
        let leaves = leaves.with(vec![piece(2), piece(3)], &Alone, 5).unwrap();
        assert_eq!(leaves.vectors("pseudo-word").unwrap().dims(), [5, 3]);
        assert_eq!(leaves.tokens("target").unwrap().dims(), [5, 2, 3]);
        let loss = leaves.vectors("pseudo-word").unwrap().sum() * leaves.parameter("scale").unwrap();
        let cached = leaves.gradients(&loss.backward());
        assert!(cached.parameter("scale").is_some());
        // The target is in no loss, so only one way leads back.
        assert_eq!(cached.along(piece(2), &(0..2)).unwrap().len(), 1);
        assert!(leaves.vectors("target").unwrap_err().to_string().contains("\"target\""));
        assert!(leaves.tokens("query").unwrap_err().to_string().contains("\"query\""));
    }
}
