//! Where dropout's randomness comes from.

use crate::kernels;
use burn::tensor::Tensor;
use std::cell::Cell;

/// Dropout for one forward pass: a probability and a stream of seeds, so that a step's masks depend on its seed alone.
#[derive(Debug)]
pub struct Noise {
    p: f64,
    next: Cell<u64>,
}

impl Noise {
    /// No dropout: inference.
    pub fn off() -> Self {
        Self { p: 0.0, next: Cell::new(0) }
    }

    /// Dropout with probability `p`, its masks drawn from `seed`.
    pub fn new(p: f64, seed: u64) -> Self {
        Self { p, next: Cell::new(seed) }
    }

    /// Applies the next mask.
    pub fn apply<const R: usize>(&self, x: Tensor<R>) -> Tensor<R> {
        if self.p <= 0.0 {
            return x;
        }
        // SplitMix64: consecutive seeds give unrelated masks.
        let state = self.next.get().wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.next.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        kernels::dropout(x, self.p, mixed ^ (mixed >> 31))
    }
}
