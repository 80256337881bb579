//! Matrix products in 13-bit fixed point, for WebAssembly.
//!
//! WebAssembly's 128-bit vectors have no fused multiply-add: a product and its sum of four f32 are two instructions. The
//! 16-bit product with pairwise sums multiplies eight numbers in the same two. Both factors are cut into chunks of
//! [`CHUNK`] along the inputs; a chunk of a row, or of an output's weights, is `code · scale`, its codes whole numbers of
//! −4095…4095 and its scale the largest value over 4095. A chunk's sum is exact in 32 bits, and scaled sums are added in one
//! order: every form gives the same bits, and a row's result depends on nothing but that row.

mod attention;
mod cache;
mod tile;

pub use cache::{linear, pointwise, resident};

/// Inputs that share a scale: `CHUNK · TOP²` fits 31 bits.
const CHUNK: usize = 128;
/// The largest code.
const TOP: f32 = 4095.0;
/// Outputs of a panel: two vectors of four sums.
const PANEL: usize = 8;
/// Rows of a tile: 8 vectors of sums, 2 of weights and one of a row's codes fit sixteen registers.
const TILE: usize = 4;

/// Adding it rounds to an integer in the low mantissa bits: 1.5 · 2^23.
const ROUND: f32 = 12_582_912.0;

/// `v · inverse`, rounded.
#[inline(always)]
fn code(v: f32, inverse: f32) -> i32 {
    ((v * inverse + ROUND).to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32)
}

/// Scale and its inverse for codes of values up to `largest`. Values too small to be divided by count as 0.
#[inline(always)]
fn scale(largest: f32) -> [f32; 2] {
    [largest / TOP, if largest > 1e-30 { TOP / largest } else { 0.0 }]
}

/// Two codes of neighbouring inputs in one word.
#[inline(always)]
fn pair(first: i32, second: i32) -> i32 {
    (first & 0xFFFF) | (second << 16)
}

/// How many words a row of `inputs` takes.
fn pairs(inputs: usize) -> usize {
    inputs.div_ceil(2)
}

/// Where a matrix's values lie.
#[derive(Clone, Copy, Debug)]
struct Strides {
    /// From an input to the next.
    input: usize,
    /// From an output to the next.
    output: usize,
}

/// Where a product's results go: rows that begin `stride` elements apart; the last may end with its last result.
struct Out<'a> {
    values: &'a mut [f32],
    stride: usize,
}

/// The right factor of a product, in the order that tiles read it.
#[derive(Debug, Default)]
struct Matrix {
    inputs: usize,
    outputs: usize,
    /// Panel by panel, two inputs by two inputs.
    words: Vec<[i32; PANEL]>,
    /// Panel by panel, chunk by chunk.
    scales: Vec<[f32; PANEL]>,
}

impl Matrix {
    /// Of `values` `[inputs, outputs]`.
    fn new(values: &[f32], inputs: usize, outputs: usize) -> Self {
        let mut matrix = Self::default();
        matrix.refill(values, [inputs, outputs], Strides { input: outputs, output: 1 });
        matrix
    }

    /// Makes it the matrix of `values`, which have all elements that the shape names.
    fn refill(&mut self, values: &[f32], [inputs, outputs]: [usize; 2], strides: Strides) {
        (self.inputs, self.outputs) = (inputs, outputs);
        let (panels, chunks, words) = (outputs.div_ceil(PANEL), inputs.div_ceil(CHUNK), pairs(inputs));
        self.words.clear();
        self.words.resize(panels * words, [0; PANEL]);
        self.scales.clear();
        self.scales.resize(panels * chunks, [0.0; PANEL]);
        if inputs == 0 {
            return;
        }
        let scales = self.scales.chunks_exact_mut(chunks);
        for (panel, (words, scales)) in self.words.chunks_exact_mut(words).zip(scales).enumerate() {
            let there = PANEL.min(outputs - panel * PANEL);
            for (chunk, (words, scales)) in words.chunks_mut(CHUNK / 2).zip(scales).enumerate() {
                let mut block = [[0.0; PANEL]; CHUNK];
                let rows = CHUNK.min(inputs - chunk * CHUNK);
                let from = &values[panel * PANEL * strides.output + chunk * CHUNK * strides.input..];
                gather(&mut block[..rows], from, there, strides);
                *scales = encode(words, &block);
            }
        }
    }

    /// `out[r] = rows[first + r] · self + bias` for every row of `out`.
    fn multiply(&self, rows: &Rows, first: usize, bias: Option<&[f32]>, out: Out) {
        let Out { values: out, stride } = out;
        if self.outputs == 0 || out.is_empty() {
            return;
        }
        let (words, chunks) = (pairs(self.inputs), self.inputs.div_ceil(CHUNK));
        assert!(rows.inputs == self.inputs && stride >= self.outputs);
        let count = (out.len() + stride - self.outputs) / stride;
        let mut results = [[0.0; PANEL]; TILE];
        for panel in 0..self.outputs.div_ceil(PANEL) {
            let part = tile::Panel {
                words: &self.words[panel * words..(panel + 1) * words],
                scales: &self.scales[panel * chunks..(panel + 1) * chunks],
            };
            let (at, there) = (panel * PANEL, PANEL.min(self.outputs - panel * PANEL));
            let mut begin = [0.0; PANEL];
            if let Some(bias) = bias {
                begin[..there].copy_from_slice(&bias[at..at + there]);
            }
            // The panel stays in the cache nearest while the rows go by.
            let mut row = 0;
            while row < count {
                let together = if count - row >= TILE { TILE } else { 1 };
                tile::tile(&part, rows, first + row, &mut results[..together]);
                for (r, result) in results[..together].iter_mut().enumerate() {
                    result.iter_mut().zip(&begin).for_each(|(v, b)| *v += b);
                    let place = &mut out[(row + r) * stride + at..];
                    match place.first_chunk_mut::<PANEL>().filter(|_| there == PANEL) {
                        Some(place) => *place = *result,
                        None => place[..there].copy_from_slice(&result[..there]),
                    }
                }
                row += together;
            }
        }
    }
}

/// `block[i][o]` from where it lies, for `outputs` outputs.
#[inline(always)]
fn gather(block: &mut [[f32; PANEL]], values: &[f32], outputs: usize, strides: Strides) {
    if strides.output == 1 && outputs == PANEL {
        for (i, row) in block.iter_mut().enumerate() {
            row.copy_from_slice(&values[i * strides.input..i * strides.input + PANEL]);
        }
        return;
    }
    for o in 0..outputs {
        let values = &values[o * strides.output..];
        for (i, row) in block.iter_mut().enumerate() {
            row[o] = values[i * strides.input];
        }
    }
}

/// The codes of `block`'s columns; gives their scales. What is not finite makes the scale so.
#[allow(clippy::eq_op, reason = "the difference is 0, but for what is not finite")]
#[inline(always)]
fn encode(words: &mut [[i32; PANEL]], block: &[[f32; PANEL]; CHUNK]) -> [f32; PANEL] {
    let (mut largest, mut strange) = ([0.0f32; PANEL], [0.0f32; PANEL]);
    for row in block {
        for ((m, s), v) in largest.iter_mut().zip(&mut strange).zip(row) {
            *m = if v.abs() > *m { v.abs() } else { *m };
            *s += v - v;
        }
    }
    let (mut scales, mut inverses) = ([0.0; PANEL], [0.0; PANEL]);
    for o in 0..PANEL {
        [scales[o], inverses[o]] = scale(largest[o]);
        scales[o] += strange[o];
    }
    let (pairs, _) = block.as_chunks::<2>();
    for (word, [first, second]) in words.iter_mut().zip(pairs) {
        for o in 0..PANEL {
            word[o] = pair(code(first[o], inverses[o]), code(second[o], inverses[o]));
        }
    }
    scales
}

/// The left factor of a product.
#[derive(Debug, Default)]
struct Rows {
    count: usize,
    inputs: usize,
    /// `[count, pairs]`.
    words: Vec<i32>,
    /// `[count, chunks]`.
    scales: Vec<f32>,
}

impl Rows {
    /// Of x `[count, inputs]`.
    fn new(x: &[f32], shape: [usize; 2]) -> Self {
        let mut rows = Self::default();
        rows.refill(x, shape, shape[1]);
        rows
    }

    /// Makes it the first `inputs` of each of the rows of `x`, which begin `stride` elements apart.
    fn refill(&mut self, x: &[f32], [count, inputs]: [usize; 2], stride: usize) {
        let (words, chunks) = (pairs(inputs), inputs.div_ceil(CHUNK));
        (self.count, self.inputs) = (count, inputs);
        self.words.resize(count * words, 0);
        self.scales.resize(count * chunks, 0.0);
        if inputs == 0 {
            return;
        }
        let rows = self.words.chunks_exact_mut(words).zip(self.scales.chunks_exact_mut(chunks));
        for (row, (words, scales)) in rows.enumerate() {
            let x = &x[row * stride..row * stride + inputs];
            for ((x, words), scale) in x.chunks(CHUNK).zip(words.chunks_mut(CHUNK / 2)).zip(scales) {
                *scale = encode_row(words, x);
            }
        }
    }
}

/// The codes of `x`; gives their scale.
#[allow(clippy::eq_op, reason = "the difference is 0, but for what is not finite")]
#[inline(always)]
fn encode_row(words: &mut [i32], x: &[f32]) -> f32 {
    let (mut largest, mut strange) = ([0.0f32; 8], [0.0f32; 8]);
    let (whole, rest) = x.as_chunks::<8>();
    let mut last = [0.0; 8];
    last[..rest.len()].copy_from_slice(rest);
    for eight in whole.iter().chain([&last]) {
        for ((m, s), v) in largest.iter_mut().zip(&mut strange).zip(eight) {
            *m = if v.abs() > *m { v.abs() } else { *m };
            *s += v - v;
        }
    }
    let [scale, inverse] = scale(largest.iter().fold(0.0, |a, b| if *b > a { *b } else { a }));
    let (of_whole, of_rest) = words.split_at_mut(4 * whole.len());
    let encode = |words: &mut [i32], eight: &[f32; 8]| {
        for (word, [first, second]) in words.iter_mut().zip(eight.as_chunks::<2>().0) {
            *word = pair(code(*first, inverse), code(*second, inverse));
        }
    };
    for (words, eight) in of_whole.as_chunks_mut::<4>().0.iter_mut().zip(whole) {
        encode(words, eight);
    }
    encode(of_rest, &last);
    scale + strange.iter().sum::<f32>()
}

#[cfg(test)]
mod tests;
