//! The fused CPU kernels of a Llama decoder besides attention: RMSNorm, SwiGLU and rotary positions, with their backward
//! passes.

use super::cpu::{dot, map2, over_rows, sum_of, vectorised};
use super::extension::{Primitive, dims, elements, primitive};
use super::math;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::Tensor;

/// The decoder's operators of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Decoder: Backend {
    /// RMSNorm of x `[R, D]`.
    fn tb_rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;
    /// Gradient for x.
    fn tb_rms_norm_backward_x(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self>;
    /// Gradient for gamma, `[D]`.
    fn tb_rms_norm_backward_gamma(x: FloatTensor<Self>, grad: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;
    /// `silu(gate) · up`.
    fn tb_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self>;
    /// `grad · up · silu'(gate)`.
    fn tb_swiglu_backward_gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// Rotary positions; see [`super::rotate`]. `back` turns the other way.
    fn tb_rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        heads: usize,
        back: bool,
    ) -> FloatTensor<Self>;
}

#[inline(always)]
fn scale_of(row: &[f32], eps: f32) -> f32 {
    let squares = sum_of(
        row,
        #[inline(always)]
        |v| v * v,
    );
    1.0 / (squares / row.len() as f32 + eps).sqrt()
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + math::exp(-x))
}

/// `silu(gate) · up`.
#[inline(always)]
pub(super) fn gated(gate: f32, up: f32) -> f32 {
    gate * sigmoid(gate) * up
}

impl Decoder for Flex {
    fn tb_rms_norm(x: Primitive, gamma: Primitive, eps: f32) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        elements!(gamma);
        let d = gamma.len().max(1);
        let mut out = vec![0.0; x.len()];
        over_rows(&mut out, d, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (i, o) in rows.chunks_exact_mut(d).enumerate() {
                        let row = &x[(first + i) * d..(first + i + 1) * d];
                        let scale = scale_of(row, eps);
                        for ((o, &v), &g) in o.iter_mut().zip(row).zip(gamma) {
                            *o = v * scale * g;
                        }
                    }
                },
            );
        });
        primitive(out, shape)
    }

    fn tb_rms_norm_backward_x(x: Primitive, gamma: Primitive, grad: Primitive, eps: f32) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        elements!(gamma);
        elements!(grad);
        let d = gamma.len().max(1);
        let mut out = vec![0.0; x.len()];
        over_rows(&mut out, d, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (i, dx) in rows.chunks_exact_mut(d).enumerate() {
                        let range = (first + i) * d..(first + i + 1) * d;
                        let (row, grad) = (&x[range.clone()], &grad[range]);
                        let scale = scale_of(row, eps);
                        // dx = scale · (g·γ − x · scale² · mean(g·γ·x)); dx holds g·γ first.
                        for ((o, &a), &b) in dx.iter_mut().zip(grad).zip(gamma) {
                            *o = a * b;
                        }
                        let mean = dot(dx, row) * scale * scale / d as f32;
                        for (o, &v) in dx.iter_mut().zip(row) {
                            *o = scale * (*o - v * mean);
                        }
                    }
                },
            );
        });
        primitive(out, shape)
    }

    fn tb_rms_norm_backward_gamma(x: Primitive, grad: Primitive, eps: f32) -> Primitive {
        let d = x.shape()[1];
        elements!(x);
        elements!(grad);
        let mut out = vec![0.0f32; d];
        vectorised(
            #[inline(always)]
            || {
                for (row, grad) in x.chunks_exact(d).zip(grad.chunks_exact(d)) {
                    let scale = scale_of(row, eps);
                    for ((o, &v), &g) in out.iter_mut().zip(row).zip(grad) {
                        *o += g * v * scale;
                    }
                }
            },
        );
        primitive(out, [d])
    }

    fn tb_swiglu(gate: Primitive, up: Primitive) -> Primitive {
        let shape = dims(&gate);
        elements!(gate);
        elements!(up);
        primitive(map2(gate, up, gated), shape)
    }

    fn tb_swiglu_backward_gate(gate: Primitive, up: Primitive, grad: Primitive) -> Primitive {
        let shape = dims(&gate);
        elements!(gate);
        elements!(up);
        elements!(grad);
        let mut out = map2(
            gate,
            up,
            #[inline(always)]
            |g, u| {
                let s = sigmoid(g);
                u * s * (1.0 + g * (1.0 - s))
            },
        );
        out.iter_mut().zip(grad).for_each(|(o, g)| *o *= g);
        primitive(out, shape)
    }

    fn tb_rotate(x: Primitive, cos: Primitive, sin: Primitive, heads: usize, back: bool) -> Primitive {
        let shape = dims(&x);
        let (n, d) = (shape[1], shape[2]);
        let shared = cos.shape()[0] == 1;
        elements!(x);
        elements!(cos);
        elements!(sin);
        let half = d / heads / 2;
        let sign = if back { -1.0 } else { 1.0 };
        let mut out = vec![0.0; x.len()];
        over_rows(&mut out, d, |first, rows| {
            vectorised(
                #[inline(always)]
                || {
                    for (i, o) in rows.chunks_exact_mut(d).enumerate() {
                        let row = first + i;
                        let angle = if shared { row % n } else { row } * half;
                        let (cos, sin) = (&cos[angle..angle + half], &sin[angle..angle + half]);
                        let x = &x[row * d..(row + 1) * d];
                        for (o, x) in o.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half)) {
                            let (first, second) = o.split_at_mut(half);
                            let (a, b) = x.split_at(half);
                            let out = first.iter_mut().zip(second);
                            let angles = cos.iter().zip(sin);
                            for (((first, second), (&a, &b)), (&c, &s)) in out.zip(a.iter().zip(b)).zip(angles) {
                                *first = a * c - b * s * sign;
                                *second = b * c + a * s * sign;
                            }
                        }
                    }
                },
            );
        });
        primitive(out, shape)
    }
}

/// [`super::rms_norm`] on the CPU.
pub fn rms_norm(x: Tensor<2>, gamma: Tensor<1>, eps: f32) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Decoder>::tb_rms_norm(x.into_dispatch(), gamma.into_dispatch(), eps))
}

/// [`super::swiglu`] on the CPU.
pub fn swiglu<const R: usize>(gate: Tensor<R>, up: Tensor<R>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Decoder>::tb_swiglu(gate.into_dispatch(), up.into_dispatch()))
}

/// [`super::rotate`] on the CPU.
pub fn rotate(x: Tensor<3>, cos: Tensor<3>, sin: Tensor<3>, heads: usize) -> Tensor<3> {
    let [x, cos, sin] = [x, cos, sin].map(Tensor::into_dispatch);
    Tensor::from_dispatch(<Dispatch as Decoder>::tb_rotate(x, cos, sin, heads, false))
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::Decoder;
    use burn::backend::Autodiff;
    use burn::backend::AutodiffBackend;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;

    #[derive(Debug)]
    struct RmsNorm(f32);
    impl<B: Decoder> Backward<B, 2> for RmsNorm {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let ((x, gamma), [node_x, node_gamma]) = (ops.state, ops.parents);
            if let Some(node) = node_gamma {
                grads.register::<B>(node.id, B::tb_rms_norm_backward_gamma(x.clone(), grad.clone(), self.0));
            }
            if let Some(node) = node_x {
                grads.register::<B>(node.id, B::tb_rms_norm_backward_x(x, gamma, grad, self.0));
            }
        }
    }

    #[derive(Debug)]
    struct SwiGlu;
    impl<B: Decoder> Backward<B, 2> for SwiGlu {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let ((gate, up), [node_gate, node_up]) = (ops.state, ops.parents);
            if let Some(node) = node_up {
                grads.register::<B>(node.id, B::tb_swiglu(gate.clone(), grad.clone()));
            }
            if let Some(node) = node_gate {
                grads.register::<B>(node.id, B::tb_swiglu_backward_gate(gate, up, grad));
            }
        }
    }

    #[derive(Debug)]
    struct Rotate(usize);
    impl<B: Decoder> Backward<B, 1> for Rotate {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let (cos, sin) = ops.state;
            if let [Some(node)] = ops.parents {
                grads.register::<B>(node.id, B::tb_rotate(grad, cos, sin, self.0, true));
            }
        }
    }

    impl<B: Decoder, C: CheckpointStrategy> Decoder for Autodiff<B, C> {
        fn tb_rms_norm(x: FloatTensor<Self>, gamma: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
            let prep = RmsNorm(eps).prepare::<C>([x.node(), gamma.node()]).compute_bound().stateful();
            let (x, gamma) = (x.into_primitive(), gamma.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => prep.finish((x.clone(), gamma.clone()), B::tb_rms_norm(x, gamma, eps)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_rms_norm(x, gamma, eps)),
            }
        }

        fn tb_swiglu(gate: FloatTensor<Self>, up: FloatTensor<Self>) -> FloatTensor<Self> {
            let prep = SwiGlu.prepare::<C>([gate.node(), up.node()]).compute_bound().stateful();
            let (gate, up) = (gate.into_primitive(), up.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => prep.finish((gate.clone(), up.clone()), B::tb_swiglu(gate, up)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_swiglu(gate, up)),
            }
        }

        fn tb_rotate(
            x: FloatTensor<Self>,
            cos: FloatTensor<Self>,
            sin: FloatTensor<Self>,
            heads: usize,
            back: bool,
        ) -> FloatTensor<Self> {
            let prep = Rotate(heads).prepare::<C>([x.node()]).compute_bound().stateful();
            let [x, cos, sin] = [x, cos, sin].map(|x| x.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => {
                    prep.finish((cos.clone(), sin.clone()), B::tb_rotate(x, cos, sin, heads, back))
                }
                OpsKind::UnTracked(prep) => prep.finish(B::tb_rotate(x, cos, sin, heads, back)),
            }
        }

        // First-order only, as in the other kernels.
        fn tb_rms_norm_backward_x(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            eps: f32,
        ) -> FloatTensor<Self> {
            let [x, gamma, grad] = [x, gamma, grad].map(|x| x.into_primitive());
            Self::from_inner(B::tb_rms_norm_backward_x(x, gamma, grad, eps))
        }
        fn tb_rms_norm_backward_gamma(x: FloatTensor<Self>, grad: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
            Self::from_inner(B::tb_rms_norm_backward_gamma(x.into_primitive(), grad.into_primitive(), eps))
        }
        fn tb_swiglu_backward_gate(
            gate: FloatTensor<Self>,
            up: FloatTensor<Self>,
            grad: FloatTensor<Self>,
        ) -> FloatTensor<Self> {
            let [gate, up, grad] = [gate, up, grad].map(|x| x.into_primitive());
            Self::from_inner(B::tb_swiglu_backward_gate(gate, up, grad))
        }
    }
}
