//! The negative log-likelihood of one class a row, over a vocabulary: log-softmax and its gradient would read and write the logits
//! a dozen times.

use super::cpu::{over_rows, sum_of, vectorised};
use super::extension::{Primitive, elements, primitive};
use super::math;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;
use std::sync::Arc;

/// The operator of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Likelihood: Backend {
    /// See [`super::negative_log_likelihood`].
    fn tb_likelihood(logits: FloatTensor<Self>, right: &Arc<[u32]>) -> FloatTensor<Self>;
    /// Gradient for the logits.
    fn tb_likelihood_backward(
        logits: FloatTensor<Self>,
        loss: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        right: &Arc<[u32]>,
    ) -> FloatTensor<Self>;
}

impl Likelihood for Flex {
    fn tb_likelihood(logits: Primitive, right: &Arc<[u32]>) -> Primitive {
        let (rows, width) = (logits.shape()[0], logits.shape()[1].max(1));
        elements!(logits);
        let mut out = vec![0.0; rows];
        let fill = |first: usize, out: &mut [f32]| {
            vectorised(
                #[inline(always)]
                || {
                    let own = logits[first * width..].chunks_exact(width).zip(&right[first..]);
                    for (o, (row, class)) in out.iter_mut().zip(own) {
                        let largest = row.iter().fold(f32::NEG_INFINITY, |m, &v| if v > m { v } else { m });
                        let sum = sum_of(
                            row,
                            #[inline(always)]
                            |v| math::exp(v - largest),
                        );
                        *o = largest + sum.ln() - row[*class as usize];
                    }
                },
            );
        };
        #[cfg(feature = "rayon")]
        {
            use rayon::prelude::*;
            out.par_chunks_mut(4).enumerate().for_each(|(i, part)| fill(i * 4, part));
        }
        #[cfg(not(feature = "rayon"))]
        fill(0, &mut out);
        primitive(out, [rows])
    }

    fn tb_likelihood_backward(logits: Primitive, loss: Primitive, grad: Primitive, right: &Arc<[u32]>) -> Primitive {
        let (rows, width) = (logits.shape()[0], logits.shape()[1].max(1));
        elements!(logits);
        elements!(loss);
        elements!(grad);
        let mut out = vec![0.0; rows * width];
        over_rows(&mut out, width, |first, part| {
            vectorised(
                #[inline(always)]
                || {
                    for (i, out) in part.chunks_exact_mut(width).enumerate() {
                        let row = &logits[(first + i) * width..(first + i + 1) * width];
                        let (class, g) = (right[first + i] as usize, grad[first + i]);
                        // softmax = e^(x − (loss + x_right))
                        let sum = loss[first + i] + row[class];
                        for (o, &v) in out.iter_mut().zip(row) {
                            *o = g * math::exp(v - sum);
                        }
                        out[class] -= g;
                    }
                },
            );
        });
        primitive(out, [rows, width])
    }
}

/// [`super::negative_log_likelihood`] on the CPU.
pub fn negative_log_likelihood(logits: Tensor<2>, right: &Arc<[u32]>) -> Tensor<1> {
    Tensor::from_dispatch(<Dispatch as Likelihood>::tb_likelihood(logits.into_dispatch(), right))
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::Likelihood;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{Autodiff, AutodiffBackend};
    use std::sync::Arc;

    #[derive(Debug)]
    struct Likely;
    impl<B: Likelihood> Backward<B, 1> for Likely {
        type State = (FloatTensor<B>, FloatTensor<B>, Arc<[u32]>);
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let ((logits, loss, right), [node]) = (ops.state, ops.parents);
            if let Some(node) = node {
                grads.register::<B>(node.id, B::tb_likelihood_backward(logits, loss, grad, &right));
            }
        }
    }

    impl<B: Likelihood, C: CheckpointStrategy> Likelihood for Autodiff<B, C> {
        fn tb_likelihood(logits: FloatTensor<Self>, right: &Arc<[u32]>) -> FloatTensor<Self> {
            let prep = Likely.prepare::<C>([logits.node()]).compute_bound().stateful();
            let logits = logits.into_primitive();
            let loss = B::tb_likelihood(logits.clone(), right);
            match prep {
                OpsKind::Tracked(prep) => prep.finish((logits, loss.clone(), right.clone()), loss),
                OpsKind::UnTracked(prep) => prep.finish(loss),
            }
        }

        // First-order only, as in the other kernels.
        fn tb_likelihood_backward(
            logits: FloatTensor<Self>,
            loss: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            right: &Arc<[u32]>,
        ) -> FloatTensor<Self> {
            let [logits, loss, grad] = [logits, loss, grad].map(|x| x.into_primitive());
            Self::from_inner(B::tb_likelihood_backward(logits, loss, grad, right))
        }
    }
}
