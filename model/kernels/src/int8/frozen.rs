//! Frozen maps in 8 bits that gradients pass: the gradient for the input is itself a product in 8 bits, with the transposed
//! weights.

use super::super::extension::Primitive;
use super::{Int8Matrix, Order, mapped};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
use std::sync::Arc;

/// A map's weights and their transpose.
#[derive(Clone)]
pub struct FrozenMap(Arc<[Int8Matrix; 2]>);

impl FrozenMap {
    /// Quantizes `values` `[inputs, outputs]`, along the inputs for the way there and along the outputs for the way back. `fine`:
    /// activations are in 16 bits on the way there; see [`Int8Matrix::fine`].
    pub fn new(values: &[f32], [inputs, outputs]: [usize; 2], fine: bool) -> Self {
        let there = Int8Matrix::new(values, inputs, outputs, Order::InputsFirst);
        let back = Int8Matrix::new(values, outputs, inputs, Order::OutputsFirst);
        Self(Arc::new([if fine { there.fine() } else { there }, back]))
    }

    /// x `[R, inputs]` → `[R, outputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        Tensor::from_dispatch(<Dispatch as Frozen>::tb_frozen(x.into_dispatch(), self))
    }
}

impl core::fmt::Debug for FrozenMap {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        write!(f, "FrozenMap({} → {})", self.0[0].inputs(), self.0[0].outputs())
    }
}

/// The operators of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Frozen: Backend {
    /// See [`FrozenMap::forward`].
    fn tb_frozen(x: FloatTensor<Self>, map: &FrozenMap) -> FloatTensor<Self>;
    /// The gradient for x.
    fn tb_frozen_backward(grad: FloatTensor<Self>, map: &FrozenMap) -> FloatTensor<Self>;
}

fn through(x: Primitive, matrix: &Int8Matrix) -> Primitive {
    let [y] = mapped(x, [[Some(matrix), None]]);
    y
}

impl Frozen for Flex {
    fn tb_frozen(x: Primitive, map: &FrozenMap) -> Primitive {
        through(x, &map.0[0])
    }

    fn tb_frozen_backward(grad: Primitive, map: &FrozenMap) -> Primitive {
        through(grad, &map.0[1])
    }
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::{Frozen, FrozenMap};
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend};

    #[derive(Debug)]
    struct Through;
    impl<B: Frozen> Backward<B, 1> for Through {
        type State = FrozenMap;
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            if let [Some(node)] = ops.parents {
                grads.register::<B>(node.id, B::tb_frozen_backward(grad, &ops.state));
            }
        }
    }

    impl<B: Frozen, C: CheckpointStrategy> Frozen for Autodiff<B, C> {
        fn tb_frozen(x: FloatTensor<Self>, map: &FrozenMap) -> FloatTensor<Self> {
            match Through.prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish(map.clone(), B::tb_frozen(x.into_primitive(), map)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_frozen(x.into_primitive(), map)),
            }
        }

        // First-order only, as in the other kernels.
        fn tb_frozen_backward(grad: FloatTensor<Self>, map: &FrozenMap) -> FloatTensor<Self> {
            Self::from_inner(B::tb_frozen_backward(grad.into_primitive(), map))
        }
    }
}
