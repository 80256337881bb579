//! Where dropout's randomness comes from.

use burn::tensor::Tensor;
use std::cell::Cell;
use thisbut_kernels::{self as kernels, Mask};

/// Dropout for one forward pass: a probability and a stream of seeds, so that a step's masks depend on its seed alone.
#[derive(Debug)]
pub struct Noise {
    p: f64,
    of_weights: f64,
    next: Cell<u64>,
    first_row: u32,
    by_row: bool,
}

impl Noise {
    /// No dropout: inference.
    pub fn off() -> Self {
        Self::new(0.0, 0)
    }

    /// Dropout with probability `p`, its masks drawn from `seed`.
    pub fn new(p: f64, seed: u64) -> Self {
        Self { p, of_weights: 0.0, next: Cell::new(seed), first_row: 0, by_row: false }
    }

    /// For what is row `first` and on of a batch that is computed in pieces: the masks that these rows would get in the
    /// whole. So it is on the CPU; other devices need [`Noise::by_row`] too.
    pub fn starting_at(self, first: usize) -> Self {
        Self { first_row: first as u32, ..self }
    }

    /// The CPU's masks on every device, which costs more than a device's own generator.
    pub fn by_row(self) -> Self {
        Self { by_row: true, ..self }
    }

    /// With dropout on attention's weights too, of probability `p`.
    pub fn on_weights(self, p: f64) -> Self {
        Self { of_weights: p, ..self }
    }

    /// Applies the next mask.
    pub fn apply<const R: usize>(&self, x: Tensor<R>) -> Tensor<R> {
        if self.p <= 0.0 {
            return x;
        }
        kernels::dropout(x, self.p, self.mask())
    }

    /// The share and the next mask of attention's weights; none where they are all kept.
    pub fn for_weights(&self) -> Option<(f64, Mask)> {
        (self.of_weights > 0.0).then(|| (self.of_weights, self.mask()))
    }

    fn mask(&self) -> Mask {
        // SplitMix64: consecutive seeds give unrelated masks.
        let state = self.next.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.next.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let seed = mixed ^ (mixed >> 31);
        Mask { seed, first_row: self.first_row, by_row: self.by_row }
    }
}
