//! Keeps the kinds of triplets in their shares while they are drawn.

/// How often a draw may fail in a row before the kind counts as used up.
pub const PATIENCE: usize = 20_000;

/// Kinds with their shares, what was drawn of each, and how often each failed in a row.
pub struct Mix {
    shares: Vec<f64>,
    done: Vec<usize>,
    misses: Vec<usize>,
    patience: usize,
}

impl Mix {
    /// Of kinds by number; shares need not sum to one, and a kind without a share is never drawn.
    pub fn new(shares: Vec<f64>, patience: usize) -> Self {
        let kinds = shares.len();
        let misses = shares.iter().map(|share| if *share > 0.0 { 0 } else { patience }).collect();
        Self { shares, done: vec![0; kinds], misses, patience }
    }

    /// The kind that lags most behind its share; none when no kind finds anything new any more.
    pub fn next(&self) -> Option<usize> {
        let open = (0..self.shares.len()).filter(|k| self.misses[*k] < self.patience);
        let filled = |k: usize| self.done[k] as f64 / self.shares[k];
        open.min_by(|a, b| filled(*a).total_cmp(&filled(*b)))
    }

    /// Kind `k` found one.
    pub fn hit(&mut self, k: usize) {
        self.misses[k] = 0;
        self.done[k] += 1;
    }

    /// Kind `k` failed.
    pub fn miss(&mut self, k: usize) {
        self.misses[k] += 1;
    }
}
