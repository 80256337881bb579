//! Linear maps on the CPU, forward and backward: burn's own matrix product, without the zeroed and copied buffers around it.
//! In WebAssembly the way forward is in fixed point; see [`super::fixed`].

use super::cpu::{over_rows, sum_of_parts, vectorised};
use super::extension::{Primitive, elements, primitive};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use core::mem::MaybeUninit;

/// The linear map's operators of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Linear: Backend {
    /// x · W for x `[R, inputs]`, W `[inputs, outputs]`.
    fn tb_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// x · W + b, b `[outputs]`.
    fn tb_affine(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient for x: grad · Wᵀ.
    fn tb_linear_backward_x(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient for W: xᵀ · grad.
    fn tb_linear_backward_weight(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Gradient for b: grad's columns' sums.
    fn tb_column_sums(grad: FloatTensor<Self>) -> FloatTensor<Self>;
}

/// Products of fewer multiplications are not spread over cores (burn's bound).
const SPREAD: usize = 192 * 192 * 192;
/// Rows from which on groups of rows are tasks: with fewer, the product's own way of cutting keeps cores better busy.
const MANY: usize = 1024;
/// Rows of such a task, about: each lays out the right factor anew.
const ROWS: usize = 256;
/// Tasks of a product at most. Not the number of threads: a result must not depend on that.
const TASKS: usize = 32;

/// A matrix over a slice: element (i, j) lies at `i · rows + j · columns`.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    shape: [usize; 2],
    strides: [usize; 2],
}

impl<'a> Matrix<'a> {
    /// `values` row after row.
    fn new(values: &'a [f32], shape: [usize; 2]) -> Self {
        Self { values, shape, strides: [shape[1], 1] }
    }

    /// Whether every element is there.
    fn is_whole(&self) -> bool {
        let ([m, n], [rows, columns]) = (self.shape, self.strides);
        m * n == 0 || (m - 1) * rows + (n - 1) * columns < self.values.len()
    }

    fn transposed(self) -> Self {
        let ([m, n], [i, j]) = (self.shape, self.strides);
        Self { shape: [n, m], strides: [j, i], ..self }
    }

    /// Rows `from..from + count`, which there must be.
    fn rows(self, from: usize, count: usize) -> Self {
        let shape = [count, self.shape[1]];
        // One without elements has no place where they begin.
        let values = if shape.contains(&0) { &[] } else { &self.values[from * self.strides[0]..] };
        Self { values, shape, ..self }
    }
}

/// `out = left · right`.
fn multiply(out: &mut [MaybeUninit<f32>], left: Matrix, right: Matrix, threads: gemm::Parallelism) {
    let ([m, k], [inner, n]) = (left.shape, right.shape);
    assert!(k == inner && out.len() == m * n && left.is_whole() && right.is_whole());
    if k == 0 {
        out.fill(MaybeUninit::new(0.0));
        return;
    }
    let strides = |matrix: &Matrix| matrix.strides.map(|stride| stride as isize);
    let ([left_rows, left_columns], [right_rows, right_columns]) = (strides(&left), strides(&right));
    // SAFETY: the assertion bounds every element that is read and written; what `out` holds before is not read.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr().cast::<f32>(),
            1,
            n as isize,
            false,
            left.values.as_ptr(),
            left_columns,
            left_rows,
            right.values.as_ptr(),
            right_columns,
            right_rows,
            0.0,
            1.0,
            false,
            false,
            false,
            threads,
        );
    }
}

/// `count` values that `fill` writes.
///
/// # Safety
/// `fill` writes every one.
unsafe fn filled(count: usize, fill: impl FnOnce(&mut [MaybeUninit<f32>])) -> Vec<f32> {
    let mut out = Vec::with_capacity(count);
    fill(&mut out.spare_capacity_mut()[..count]);
    // SAFETY: there is room for `count`, and the caller's promise.
    unsafe { out.set_len(count) };
    out
}

/// left · right, cut into tasks by what the product's crate thinks best.
fn product(left: Matrix, right: Matrix) -> Vec<f32> {
    let ([m, k], n) = (left.shape, right.shape[1]);
    let threads = if m * n * k < SPREAD { gemm::Parallelism::None } else { every_core() };
    // SAFETY: a product writes its whole result.
    unsafe { filled(m * n, |out| multiply(out, left, right, threads)) }
}

/// left · right + bias, or without where there is none. Many rows are cut into groups, to each of which the bias is added while it is near.
fn product_and_bias(left: Matrix, right: Matrix, bias: Option<&[f32]>) -> Vec<f32> {
    let ([m, _], n) = (left.shape, right.shape[1]);
    if m < MANY {
        let mut out = product(left, right);
        if let Some(bias) = bias {
            over_rows(&mut out, n, |_, rows| add(rows, bias));
        }
        return out;
    }
    // Groups of one size, so that no core is left with the longest.
    let rows = m.div_ceil(m.div_ceil(ROWS).next_multiple_of(4).min(TASKS));
    let task = |at: usize, out: &mut [MaybeUninit<f32>]| {
        multiply(out, left.rows(at * rows, out.len() / n.max(1)), right, gemm::Parallelism::None);
        if let Some(bias) = bias {
            // SAFETY: the product wrote these.
            add(unsafe { out.assume_init_mut() }, bias);
        }
    };
    let each = (rows * n).max(1);
    let fill = |out: &mut [MaybeUninit<f32>]| {
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            out.par_chunks_mut(each).enumerate().with_max_len(1).for_each(|(at, out)| task(at, out));
        }
        #[cfg(not(feature = "rayon"))]
        out.chunks_mut(each).enumerate().for_each(|(at, out)| task(at, out));
    };
    // SAFETY: the tasks' rows are all rows, and each product writes its whole result.
    unsafe { filled(m * n, fill) }
}

/// Adds `bias` to each of `rows`.
fn add(rows: &mut [f32], bias: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for row in rows.chunks_exact_mut(bias.len().max(1)) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        },
    );
}

fn every_core() -> gemm::Parallelism {
    #[cfg(feature = "rayon")]
    return gemm::Parallelism::Rayon(0);
    #[cfg(not(feature = "rayon"))]
    gemm::Parallelism::None
}

/// Sums of the columns of x, rows of `width`.
fn column_sums(x: &[f32], width: usize) -> Vec<f32> {
    let width = width.max(1);
    sum_of_parts(x.len() / width, width, |rows| {
        let mut sums = vec![0.0f32; width];
        vectorised(
            #[inline(always)]
            || {
                for row in x[rows.start * width..rows.end * width].chunks_exact(width) {
                    sums.iter_mut().zip(row).for_each(|(s, v)| *s += v);
                }
            },
        );
        sums
    })
}

/// x · W + bias, or without where there is none.
fn forward(x: Primitive, weight: Primitive, bias: Option<Primitive>) -> Primitive {
    let (count, outputs) = (x.shape()[0], weight.shape()[1]);
    elements!(x);
    let product = |bias: Option<&[f32]>| {
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        return super::fixed::linear(x, count, weight, bias);
        #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
        {
            let inputs = weight.shape()[0];
            elements!(weight);
            product_and_bias(Matrix::new(x, [count, inputs]), Matrix::new(weight, [inputs, outputs]), bias)
        }
    };
    let values = match bias {
        Some(bias) => {
            elements!(bias);
            product(Some(bias))
        }
        None => product(None),
    };
    primitive(values, [count, outputs])
}

impl Linear for Flex {
    fn tb_linear(x: Primitive, weight: Primitive) -> Primitive {
        forward(x, weight, None)
    }

    fn tb_affine(x: Primitive, weight: Primitive, bias: Primitive) -> Primitive {
        forward(x, weight, Some(bias))
    }

    fn tb_linear_backward_x(grad: Primitive, weight: Primitive) -> Primitive {
        let ([count, outputs], inputs) = ([grad.shape()[0], grad.shape()[1]], weight.shape()[0]);
        elements!(grad);
        elements!(weight);
        let (grad, weight) = (Matrix::new(grad, [count, outputs]), Matrix::new(weight, [inputs, outputs]));
        primitive(product_and_bias(grad, weight.transposed(), None), [count, inputs])
    }

    fn tb_linear_backward_weight(x: Primitive, grad: Primitive) -> Primitive {
        let ([count, inputs], outputs) = ([x.shape()[0], x.shape()[1]], grad.shape()[1]);
        elements!(x);
        elements!(grad);
        let (x, grad) = (Matrix::new(x, [count, inputs]), Matrix::new(grad, [count, outputs]));
        primitive(product(x.transposed(), grad), [inputs, outputs])
    }

    fn tb_column_sums(grad: Primitive) -> Primitive {
        let outputs = grad.shape()[1];
        elements!(grad);
        primitive(column_sums(grad, outputs), [outputs])
    }
}

/// [`super::linear`] on the CPU.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
    Tensor::from_dispatch(match bias {
        Some(bias) => <Dispatch as Linear>::tb_affine(x, weight, bias.into_dispatch()),
        None => <Dispatch as Linear>::tb_linear(x, weight),
    })
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::Linear;
    use burn::backend::autodiff::NodeId;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend};

    /// Registers the gradients for x and W.
    fn both<B: Linear>(
        (x, weight): (FloatTensor<B>, FloatTensor<B>),
        nodes: [Option<NodeId>; 2],
        grad: FloatTensor<B>,
        grads: &mut Gradients,
    ) {
        if let Some(node) = nodes[1] {
            grads.register::<B>(node, B::tb_linear_backward_weight(x, grad.clone()));
        }
        if let Some(node) = nodes[0] {
            grads.register::<B>(node, B::tb_linear_backward_x(grad, weight));
        }
    }

    #[derive(Debug)]
    struct Plain;
    impl<B: Linear> Backward<B, 2> for Plain {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let nodes = ops.parents.map(|node| node.map(|node| node.id));
            both::<B>(ops.state, nodes, grad, grads);
        }
    }

    #[derive(Debug)]
    struct Affine;
    impl<B: Linear> Backward<B, 3> for Affine {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let [x, weight, bias] = ops.parents.map(|node| node.map(|node| node.id));
            if let Some(node) = bias {
                grads.register::<B>(node, B::tb_column_sums(grad.clone()));
            }
            both::<B>(ops.state, [x, weight], grad, grads);
        }
    }

    impl<B: Linear, C: CheckpointStrategy> Linear for Autodiff<B, C> {
        fn tb_linear(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
            let prep = Plain.prepare::<C>([x.node(), weight.node()]).compute_bound().stateful();
            let (x, weight) = (x.into_primitive(), weight.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => prep.finish((x.clone(), weight.clone()), B::tb_linear(x, weight)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_linear(x, weight)),
            }
        }

        fn tb_affine(x: FloatTensor<Self>, weight: FloatTensor<Self>, bias: FloatTensor<Self>) -> FloatTensor<Self> {
            let prep = Affine.prepare::<C>([x.node(), weight.node(), bias.node()]).compute_bound().stateful();
            let (x, weight, bias) = (x.into_primitive(), weight.into_primitive(), bias.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => prep.finish((x.clone(), weight.clone()), B::tb_affine(x, weight, bias)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_affine(x, weight, bias)),
            }
        }

        // First-order only, as in the other kernels.
        fn tb_linear_backward_x(grad: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::from_inner(B::tb_linear_backward_x(grad.into_primitive(), weight.into_primitive()))
        }
        fn tb_linear_backward_weight(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::from_inner(B::tb_linear_backward_weight(x.into_primitive(), grad.into_primitive()))
        }
        fn tb_column_sums(grad: FloatTensor<Self>) -> FloatTensor<Self> {
            Self::from_inner(B::tb_column_sums(grad.into_primitive()))
        }
    }
}
