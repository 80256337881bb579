//! Attention whose two products are in fixed point.

use super::super::attention::{Attention, UNSEEN, softmax};
use super::super::cpu::LANES;
use super::{Matrix, Out, Rows, Strides};

/// Queries whose scores are held at a time.
const QUERIES: usize = 16;

impl Attention {
    /// As [`Attention::forward`], without dropout.
    pub fn forward_fixed(&self, [q, k, v, bias]: [&[f32]; 4]) -> Vec<f32> {
        let Self { batch, n, m, d, heads, key_heads, .. } = *self;
        let (width, kd, group) = (d / heads, self.key_width(), heads / key_heads);
        let padded = m.next_multiple_of(LANES);
        let (mut keys, mut values) = (Matrix::default(), Matrix::default());
        let (mut queries, mut weights) = (Rows::default(), Rows::default());
        let mut scores = vec![0.0; QUERIES * padded];
        let mut padded_bias = vec![UNSEEN; padded];
        let mut out = vec![0.0; q.len()];
        for b in 0..batch {
            padded_bias[..m].copy_from_slice(&bias[b * m..(b + 1) * m]);
            for h in 0..heads {
                let offset = b * m * kd + h / group * width;
                if h % group == 0 {
                    keys.refill(&k[offset..], [width, m], Strides { input: 1, output: kd });
                    values.refill(&v[offset..], [m, width], Strides { input: kd, output: 1 });
                }
                let own = b * n * d + h * width..(b * n + n - 1) * d + (h + 1) * width;
                queries.refill(&q[own.clone()], [n, width], d);
                let out = &mut out[own];
                for first in (0..n).step_by(QUERIES) {
                    let count = QUERIES.min(n - first);
                    let scores = &mut scores[..count * padded];
                    keys.multiply(&queries, first, None, Out { values: &mut *scores, stride: padded });
                    for (row, scores) in scores.chunks_exact_mut(padded).enumerate() {
                        scores[self.seen(first + row)..].fill(UNSEEN);
                        softmax(scores, &padded_bias, 1.0 / (width as f32).sqrt());
                    }
                    weights.refill(scores, [count, m], padded);
                    let values_out = &mut out[first * d..(first + count - 1) * d + width];
                    values.multiply(&weights, 0, None, Out { values: values_out, stride: d });
                }
            }
        }
        out
    }
}
