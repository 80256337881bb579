//! Linear maps in 8 bits on the CPU, for a frozen decoder's texts.
//!
//! Weights and activations are cut into blocks of `BLOCK` along the input; each block is `code · scale`, its codes whole
//! numbers of −127…127 and its scale the largest value over 127. Block sums are exact in 32 bits, and scaled sums are added in
//! one order, so every path gives the same bits; a row's result depends on nothing but that row. A weight block that a file
//! has in `Q8_0` keeps its codes.

pub mod frozen;
mod portable;
mod rows;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::cpu::vectorised;
use super::decoder::gated;
use super::extension::{Primitive, elements, primitive};
#[cfg(target_arch = "x86_64")]
use super::features;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use core::mem::MaybeUninit;
use core::ops::Range;
use rows::{Rows, quantize};

/// Inputs that share a scale.
const BLOCK: usize = 32;
/// Inputs that the processor's instruction sums at once.
const QUAD: usize = 4;
/// Outputs of a panel: two vectors of sixteen.
const PANEL: usize = 32;
/// Rows of a tile: 12 vectors of sums and 12 of results fill AVX-512's registers.
const TILE: usize = 6;
/// Lines of a panel's block.
const LINES: usize = BLOCK / QUAD * 2;
/// Added to weights: the instruction multiplies unsigned by signed numbers.
const OFFSET: i32 = 128;

/// A cache line, sixteen outputs' codes for four inputs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Results of up to [`TILE`] rows for a panel's outputs.
type Tile = [[f32; PANEL]; TILE];

/// A linear map's weights in 8 bits, in the order that the kernels read them.
pub struct Int8Matrix {
    inputs: usize,
    outputs: usize,
    fine: bool,
    /// Panel by panel, block by block, four inputs by four inputs: two lines.
    codes: Vec<Line>,
    /// Panel by panel, block by block.
    scales: Vec<[f32; PANEL]>,
}

/// How the values of a matrix lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// `[inputs, outputs]`, as burn's linear maps.
    InputsFirst,
    /// `[outputs, inputs]`, as a token table.
    OutputsFirst,
}

/// One panel of a matrix.
struct Panel<'a> {
    codes: &'a [Line],
    scales: &'a [[f32; PANEL]],
}

impl Int8Matrix {
    /// Quantizes `values`, of which there are `inputs · outputs`.
    ///
    /// # Panics
    /// When there are more or fewer.
    pub fn new(values: &[f32], inputs: usize, outputs: usize, order: Order) -> Self {
        assert_eq!(values.len(), inputs * outputs, "a matrix of {inputs} inputs and {outputs} outputs");
        let (blocks, panels) = (inputs.div_ceil(BLOCK), outputs.div_ceil(PANEL));
        let (across, along) = match order {
            Order::InputsFirst => (1, outputs),
            Order::OutputsFirst => (inputs, 1),
        };
        let mut codes = vec![Line([OFFSET as u8; 64]); panels * blocks * LINES];
        let mut scales = vec![[0.0; PANEL]; panels * blocks];
        let fill = |at: usize, lines: &mut [Line], scales: &mut [f32; PANEL]| {
            let (panel, block) = (at / blocks, at % blocks);
            for (o, scale) in scales.iter_mut().enumerate().take(outputs - panel * PANEL) {
                let (mut own, mut own_codes) = ([0.0; BLOCK], [0; BLOCK]);
                for (i, value) in own.iter_mut().enumerate().take(inputs - block * BLOCK) {
                    *value = values[(panel * PANEL + o) * across + (block * BLOCK + i) * along];
                }
                *scale = quantize(&own, &mut own_codes).0;
                for (i, code) in own_codes.iter().enumerate() {
                    let line = i / QUAD * 2 + o / 16;
                    lines[line].0[o % 16 * QUAD + i % QUAD] = (i32::from(*code) + OFFSET) as u8;
                }
            }
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            let both = codes.par_chunks_mut(LINES).zip(scales.par_iter_mut());
            both.enumerate().for_each(|(at, (lines, scales))| fill(at, lines, scales));
        }
        #[cfg(not(feature = "rayon"))]
        for (at, (lines, scales)) in codes.chunks_mut(LINES).zip(scales.iter_mut()).enumerate() {
            fill(at, lines, scales);
        }
        Self { inputs, outputs, fine: false, codes, scales }
    }

    /// The same for activations in 16 bits: what 8 leave over is quantized again. It costs the products twice and no more
    /// memory.
    #[must_use]
    pub fn fine(self) -> Self {
        Self { fine: true, ..self }
    }

    /// Width of what it reads.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width of what it makes.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(self.codes.as_slice()) + size_of_val(self.scales.as_slice())
    }

    /// One output's weights, `[inputs]`; zeros for an output that there is not.
    pub fn weights_of(&self, output: usize) -> Vec<f32> {
        if output >= self.outputs {
            return vec![0.0; self.inputs];
        }
        let (Panel { codes, scales }, o) = (self.panel(output / PANEL), output % PANEL);
        let value = |i: usize| {
            let code = codes[i / QUAD * 2 + o / 16].0[o % 16 * QUAD + i % QUAD];
            (i32::from(code) - OFFSET) as f32 * scales[i / BLOCK][o]
        };
        (0..self.inputs).map(value).collect()
    }

    fn panel(&self, at: usize) -> Panel<'_> {
        let blocks = self.inputs.div_ceil(BLOCK);
        Panel {
            codes: &self.codes[at * blocks * LINES..(at + 1) * blocks * LINES],
            scales: &self.scales[at * blocks..(at + 1) * blocks],
        }
    }
}

/// How a tile is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// AVX2.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor can.
    Portable,
}

impl Path {
    /// What this processor can, fastest first.
    fn all() -> Vec<Self> {
        vec![
            #[cfg(target_arch = "x86_64")]
            features::vnni().then_some(Self::Vnni),
            #[cfg(target_arch = "x86_64")]
            features::avx2().then_some(Self::Avx2),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn best() -> Self {
        static BEST: std::sync::OnceLock<Path> = std::sync::OnceLock::new();
        *BEST.get_or_init(|| Self::all()[0])
    }

    /// Results of rows `first..first + count` for a panel.
    fn tile(self, panel: &Panel, rows: &Rows, first: usize, count: usize, out: &mut Tile) {
        assert!(count <= TILE && first + count <= rows.count && panel.scales.len() == rows.blocks);
        match self {
            // SAFETY: `all` gave this path, so the processor has its instructions; the sizes were checked above.
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => unsafe { x86::vnni(panel, rows, first, count, out) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { x86::avx2(panel, rows, first, count, out) },
            Self::Portable => portable::tile(panel, rows, first, count, out),
        }
    }
}

/// Some of a map's outputs, for every row.
struct Task<'a> {
    matrices: Map<'a>,
    panels: Range<usize>,
    /// For each row, the place of these panels' outputs, every one of which is written.
    out: Vec<&'a mut [MaybeUninit<f32>]>,
}

impl Task<'_> {
    fn run(mut self, path: Path, [rows, rest]: [&Rows; 2]) {
        let (mut one, mut two) = ([[0.0; PANEL]; TILE], [[0.0; PANEL]; TILE]);
        for (at, panel) in self.panels.enumerate() {
            // The panel stays in the cache nearest while the rows go by.
            for first in (0..rows.count).step_by(TILE) {
                let count = TILE.min(rows.count - first);
                if let Some(matrix) = self.matrices[0] {
                    path.tile(&matrix.panel(panel), rows, first, count, &mut one);
                    if matrix.fine {
                        path.tile(&matrix.panel(panel), rest, first, count, &mut two);
                        one.as_flattened_mut().iter_mut().zip(two.as_flattened()).for_each(|(a, b)| *a += b);
                    }
                }
                if let Some(matrix) = self.matrices[1] {
                    path.tile(&matrix.panel(panel), rows, first, count, &mut two);
                    vectorised(
                        #[inline(always)]
                        || {
                            let pairs = one.as_flattened_mut().iter_mut().zip(two.as_flattened());
                            pairs.take(count * PANEL).for_each(|(gate, up)| *gate = gated(*gate, *up));
                        },
                    );
                }
                for (row, values) in self.out[first..first + count].iter_mut().zip(&one) {
                    let place = &mut row[at * PANEL..];
                    let width = place.len().min(PANEL);
                    place[..width].write_copy_of_slice(&values[..width]);
                }
            }
        }
    }
}

/// A map: one matrix, or gate and up.
type Map<'a> = [Option<&'a Int8Matrix>; 2];

/// The results of maps of the rows of x `[·, width]`.
fn apply<const N: usize>(path: Path, x: &[f32], width: usize, maps: [Map; N]) -> [Vec<f32>; N] {
    let rows = &Rows::new(x, width);
    let fine = maps.as_flattened().iter().flatten().any(|matrix| matrix.fine);
    let rest = &if fine { rows.rest(x, width) } else { Rows::new(&[], width) };
    let outputs = |map: &Map| map[0].map_or(0, Int8Matrix::outputs);
    let mut results = maps.map(|map| Vec::with_capacity(rows.count * outputs(&map)));
    let panels: usize = maps.iter().map(|map| outputs(map).div_ceil(PANEL)).sum();
    // With few rows, reading the weights is the work, and long tasks do it best; with many, a thread that is held up should
    // be helped out.
    #[cfg(feature = "rayon")]
    let parts = rayon::current_num_threads() * if rows.count > 2 * TILE { 4 } else { 1 };
    #[cfg(not(feature = "rayon"))]
    let parts = 1;
    let each = panels.div_ceil(parts).max(1);
    let mut tasks = Vec::new();
    for (matrices, result) in maps.iter().zip(&mut results) {
        let outputs = outputs(matrices);
        let panels = outputs.div_ceil(PANEL);
        let room = &mut result.spare_capacity_mut()[..rows.count * outputs];
        let mut own: Vec<Task> = (0..panels)
            .step_by(each)
            .map(|from| Task {
                matrices: *matrices,
                panels: from..(from + each).min(panels),
                out: Vec::with_capacity(rows.count),
            })
            .collect();
        for row in room.chunks_exact_mut(outputs.max(1)) {
            own.iter_mut().zip(row.chunks_mut(each * PANEL)).for_each(|(task, part)| task.out.push(part));
        }
        tasks.append(&mut own);
    }
    #[cfg(feature = "rayon")]
    {
        use rayon::prelude::*;
        tasks.into_par_iter().with_max_len(1).for_each(|task| task.run(path, [rows, rest]));
    }
    #[cfg(not(feature = "rayon"))]
    tasks.into_iter().for_each(|task| task.run(path, [rows, rest]));
    for (map, result) in maps.iter().zip(&mut results) {
        // SAFETY: there is room for so many, and the tasks have written every panel of every row.
        unsafe { result.set_len(rows.count * outputs(map)) };
    }
    results
}

/// The operators of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Int8: Backend {
    /// See [`linear`].
    fn tb_int8_linear(x: FloatTensor<Self>, map: &Int8Matrix) -> FloatTensor<Self>;
    /// See [`three`].
    fn tb_int8_three(
        x: FloatTensor<Self>,
        maps: [&Int8Matrix; 3],
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// See [`swiglu`].
    fn tb_int8_swiglu(x: FloatTensor<Self>, gate: &Int8Matrix, up: &Int8Matrix) -> FloatTensor<Self>;
}

/// The results of maps of x `[R, inputs]` as tensors `[R, outputs]`.
fn mapped<const N: usize>(x: Primitive, maps: [Map; N]) -> [Primitive; N] {
    let (count, width) = (x.shape()[0], x.shape()[1]);
    elements!(x);
    apply(Path::best(), x, width, maps).map(|values| {
        let outputs = values.len() / count.max(1);
        primitive(values, [count, outputs])
    })
}

impl Int8 for Flex {
    fn tb_int8_linear(x: Primitive, map: &Int8Matrix) -> Primitive {
        let [y] = mapped(x, [[Some(map), None]]);
        y
    }

    fn tb_int8_three(x: Primitive, maps: [&Int8Matrix; 3]) -> (Primitive, Primitive, Primitive) {
        let [a, b, c] = mapped(x, maps.map(|map| [Some(map), None]));
        (a, b, c)
    }

    fn tb_int8_swiglu(x: Primitive, gate: &Int8Matrix, up: &Int8Matrix) -> Primitive {
        let [y] = mapped(x, [[Some(gate), Some(up)]]);
        y
    }
}

/// A map without a bias of x `[R, inputs]`: `[R, outputs]`. For tensors of the CPU; it has no gradient.
pub fn linear(x: Tensor<2>, map: &Int8Matrix) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Int8>::tb_int8_linear(x.into_dispatch(), map))
}

/// Three maps of the same x, which is quantized once; see [`linear`].
pub fn three(x: Tensor<2>, maps: [&Int8Matrix; 3]) -> [Tensor<2>; 3] {
    let (a, b, c) = <Dispatch as Int8>::tb_int8_three(x.into_dispatch(), maps);
    [a, b, c].map(Tensor::from_dispatch)
}

/// `silu(gate · x) · (up · x)` for x `[R, inputs]`: `[R, outputs]`; see [`linear`].
pub fn swiglu(x: Tensor<2>, gate: &Int8Matrix, up: &Int8Matrix) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Int8>::tb_int8_swiglu(x.into_dispatch(), gate, up))
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::{Int8, Int8Matrix};
    use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend};

    // Never trained through: the routing that burn generates needs them to exist.
    impl<B: Int8, C: CheckpointStrategy> Int8 for Autodiff<B, C> {
        fn tb_int8_linear(x: FloatTensor<Self>, map: &Int8Matrix) -> FloatTensor<Self> {
            Self::from_inner(B::tb_int8_linear(x.into_primitive(), map))
        }
        fn tb_int8_three(
            x: FloatTensor<Self>,
            maps: [&Int8Matrix; 3],
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let (a, b, c) = B::tb_int8_three(x.into_primitive(), maps);
            (Self::from_inner(a), Self::from_inner(b), Self::from_inner(c))
        }
        fn tb_int8_swiglu(x: FloatTensor<Self>, gate: &Int8Matrix, up: &Int8Matrix) -> FloatTensor<Self> {
            Self::from_inner(B::tb_int8_swiglu(x.into_primitive(), gate, up))
        }
    }
}

#[cfg(test)]
mod tests;
