//! Registers the fused CPU kernels with burn: routing from tensors to slices, and backward steps under autodiff.

use super::attention::Attention;
use super::{Dropped, Heads, cpu, math};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

/// What attention is computed by, beside its tensors.
#[derive(Clone, Copy, Debug)]
pub struct Form {
    pub heads: Heads,
    pub dropout: Option<Dropped>,
}

/// The fused operators of a backend.
#[backend_extension(Flex: cfg(feature = "flex"), Autodiff: cfg(feature = "autodiff"))]
pub trait Fused: Backend {
    /// Exact GELU, or QuickGELU.
    fn tb_gelu(x: FloatTensor<Self>, quick: bool) -> FloatTensor<Self>;
    /// `grad · gelu'(x)`.
    fn tb_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, quick: bool) -> FloatTensor<Self>;
    /// Layer norm of x `[R, D]`.
    fn tb_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self>;
    /// Gradient for x.
    fn tb_layer_norm_backward_x(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        eps: f32,
    ) -> FloatTensor<Self>;
    /// Gradients for gamma and beta, stacked: `[2, D]`.
    fn tb_layer_norm_backward_affine(x: FloatTensor<Self>, grad: FloatTensor<Self>, eps: f32) -> FloatTensor<Self>;
    /// Multi-head attention; see [`super::causal_attention`].
    fn tb_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        form: Form,
    ) -> FloatTensor<Self>;
    /// Gradients for query, key and value.
    fn tb_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
    /// Seeded dropout of rows `first…`.
    fn tb_dropout(x: FloatTensor<Self>, p: f32, seed: u32, first: u32) -> FloatTensor<Self>;
}

pub(super) type Primitive = FloatTensor<Flex>;

/// Makes a tensor's name stand for its elements in row-major order.
macro_rules! elements {
    ($name:ident) => {
        let $name =
            if $name.is_contiguous() && $name.as_slice::<f32>().is_some() { $name } else { $name.to_contiguous() };
        let Some($name) = $name.as_slice::<f32>() else { unreachable!("the CPU's fused operators compute in f32") };
    };
}
pub(super) use elements;

pub(super) fn primitive(values: Vec<f32>, shape: impl Into<Vec<usize>>) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape.into()))
}

pub(super) fn dims(x: &Primitive) -> Vec<usize> {
    x.shape().iter().copied().collect()
}

fn attention_sizes(query: &Primitive, key: &Primitive, form: Form) -> Attention {
    let (q, k) = (query.shape(), key.shape());
    let Form { heads: Heads { query: heads, key: key_heads, past }, dropout } = form;
    Attention { batch: q[0], n: q[1], m: k[1], d: q[2], heads, key_heads, past, dropout }
}

impl Fused for Flex {
    fn tb_gelu(x: Primitive, quick: bool) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        let values = if quick { cpu::map(x, math::quick_gelu) } else { cpu::map(x, math::gelu) };
        primitive(values, shape)
    }

    fn tb_gelu_backward(x: Primitive, grad: Primitive, quick: bool) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        elements!(grad);
        let values = if quick {
            cpu::map2(
                x,
                grad,
                #[inline(always)]
                |x, g| g * math::quick_gelu_derivative(x),
            )
        } else {
            cpu::map2(
                x,
                grad,
                #[inline(always)]
                |x, g| g * math::gelu_derivative(x),
            )
        };
        primitive(values, shape)
    }

    fn tb_layer_norm(x: Primitive, gamma: Primitive, beta: Primitive, eps: f32) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        elements!(gamma);
        elements!(beta);
        primitive(cpu::layer_norm(x, gamma, beta, eps), shape)
    }

    fn tb_layer_norm_backward_x(x: Primitive, gamma: Primitive, grad: Primitive, eps: f32) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        elements!(gamma);
        elements!(grad);
        primitive(cpu::layer_norm_backward_x(x, gamma, grad, eps), shape)
    }

    fn tb_layer_norm_backward_affine(x: Primitive, grad: Primitive, eps: f32) -> Primitive {
        let d = x.shape()[1];
        elements!(x);
        elements!(grad);
        primitive(cpu::layer_norm_backward_affine(x, grad, d, eps), [2, d])
    }

    fn tb_attention(query: Primitive, key: Primitive, value: Primitive, bias: Primitive, form: Form) -> Primitive {
        let shape = dims(&query);
        let sizes = attention_sizes(&query, &key, form);
        elements!(query);
        elements!(key);
        elements!(value);
        elements!(bias);
        primitive(sizes.forward(query, key, value, bias), shape)
    }

    fn tb_attention_backward(
        query: Primitive,
        key: Primitive,
        value: Primitive,
        bias: Primitive,
        grad: Primitive,
        form: Form,
    ) -> (Primitive, Primitive, Primitive) {
        let sizes = attention_sizes(&query, &key, form);
        let (queries, keys) = (dims(&query), dims(&key));
        elements!(query);
        elements!(key);
        elements!(value);
        elements!(bias);
        elements!(grad);
        let [q, k, v] = sizes.backward(query, key, value, bias, grad);
        (primitive(q, queries), primitive(k, keys.clone()), primitive(v, keys))
    }

    fn tb_dropout(x: Primitive, p: f32, seed: u32, first: u32) -> Primitive {
        let shape = dims(&x);
        let row = shape.iter().skip(1).product();
        elements!(x);
        primitive(cpu::dropout(x, row, p, seed, first), shape)
    }
}

/// [`super::gelu`] on the CPU.
pub fn gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Fused>::tb_gelu(x.into_dispatch(), false))
}

/// [`super::quick_gelu`] on the CPU.
pub fn quick_gelu<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Fused>::tb_gelu(x.into_dispatch(), true))
}

/// [`super::layer_norm`] on the CPU.
pub fn layer_norm(x: Tensor<2>, gamma: Tensor<1>, beta: Tensor<1>, eps: f32) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Fused>::tb_layer_norm(
        x.into_dispatch(),
        gamma.into_dispatch(),
        beta.into_dispatch(),
        eps,
    ))
}

/// [`super::attention`] on the CPU.
pub fn attention(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, bias: Tensor<2>, form: Form) -> Tensor<3> {
    Tensor::from_dispatch(<Dispatch as Fused>::tb_attention(
        query.into_dispatch(),
        key.into_dispatch(),
        value.into_dispatch(),
        bias.into_dispatch(),
        form,
    ))
}

/// [`super::dropout`] on the CPU.
pub fn dropout<const R: usize>(x: Tensor<R>, p: f32, seed: u32, first: u32) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Fused>::tb_dropout(x.into_dispatch(), p, seed, first))
}

#[cfg(feature = "autodiff")]
mod backward {
    use super::{Form, Fused};
    use burn::backend::Autodiff;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::FloatTensor;
    use burn::backend::{AutodiffBackend, Slice, TensorMetadata};

    #[derive(Debug)]
    struct Gelu(bool);
    impl<B: Fused> Backward<B, 1> for Gelu {
        type State = FloatTensor<B>;
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            if let [Some(node)] = ops.parents {
                grads.register::<B>(node.id, B::tb_gelu_backward(ops.state, grad, self.0));
            }
        }
    }

    #[derive(Debug)]
    struct LayerNorm(f32);
    impl<B: Fused> Backward<B, 3> for LayerNorm {
        type State = (FloatTensor<B>, FloatTensor<B>);
        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let ((x, gamma), [node_x, node_gamma, node_beta]) = (ops.state, ops.parents);
            if node_gamma.is_some() || node_beta.is_some() {
                let d = x.shape()[1];
                let both = B::tb_layer_norm_backward_affine(x.clone(), grad.clone(), self.0);
                for (row, node) in [node_gamma, node_beta].into_iter().enumerate() {
                    if let Some(node) = node {
                        let range = [Slice::from(row..row + 1), Slice::from(0..d)];
                        let one = B::float_reshape(B::float_slice(both.clone(), &range), [d].into());
                        grads.register::<B>(node.id, one);
                    }
                }
            }
            if let Some(node) = node_x {
                grads.register::<B>(node.id, B::tb_layer_norm_backward_x(x, gamma, grad, self.0));
            }
        }
    }

    #[derive(Debug)]
    struct Attend(Form);
    impl<B: Fused> Backward<B, 3> for Attend {
        type State = [FloatTensor<B>; 4];
        fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            let [query, key, value, bias] = ops.state;
            let (query, key, value) = B::tb_attention_backward(query, key, value, bias, grad, self.0);
            for (found, node) in [query, key, value].into_iter().zip(ops.parents) {
                if let Some(node) = node {
                    grads.register::<B>(node.id, found);
                }
            }
        }
    }

    #[derive(Debug)]
    struct Dropout(f32, u32, u32);
    impl<B: Fused> Backward<B, 1> for Dropout {
        type State = ();
        fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
            let grad = grads.consume::<B>(&ops.node);
            if let [Some(node)] = ops.parents {
                grads.register::<B>(node.id, B::tb_dropout(grad, self.0, self.1, self.2));
            }
        }
    }

    impl<B: Fused, C: CheckpointStrategy> Fused for Autodiff<B, C> {
        fn tb_gelu(x: FloatTensor<Self>, quick: bool) -> FloatTensor<Self> {
            match Gelu(quick).prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => {
                    let x = x.into_primitive();
                    prep.finish(x.clone(), B::tb_gelu(x, quick))
                }
                OpsKind::UnTracked(prep) => prep.finish(B::tb_gelu(x.into_primitive(), quick)),
            }
        }

        fn tb_layer_norm(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            beta: FloatTensor<Self>,
            eps: f32,
        ) -> FloatTensor<Self> {
            let prep = LayerNorm(eps).prepare::<C>([x.node(), gamma.node(), beta.node()]).compute_bound().stateful();
            let (x, gamma, beta) = (x.into_primitive(), gamma.into_primitive(), beta.into_primitive());
            match prep {
                OpsKind::Tracked(prep) => {
                    prep.finish((x.clone(), gamma.clone()), B::tb_layer_norm(x, gamma, beta, eps))
                }
                OpsKind::UnTracked(prep) => prep.finish(B::tb_layer_norm(x, gamma, beta, eps)),
            }
        }

        fn tb_attention(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            form: Form,
        ) -> FloatTensor<Self> {
            let prep = Attend(form).prepare::<C>([query.node(), key.node(), value.node()]).compute_bound().stateful();
            let inputs = [query, key, value, bias].map(|x| x.into_primitive());
            let [q, k, v, b] = inputs.clone();
            let output = B::tb_attention(q, k, v, b, form);
            match prep {
                OpsKind::Tracked(prep) => prep.finish(inputs, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            }
        }

        fn tb_dropout(x: FloatTensor<Self>, p: f32, seed: u32, first: u32) -> FloatTensor<Self> {
            match Dropout(p, seed, first).prepare::<C>([x.node()]).compute_bound().stateful() {
                OpsKind::Tracked(prep) => prep.finish((), B::tb_dropout(x.into_primitive(), p, seed, first)),
                OpsKind::UnTracked(prep) => prep.finish(B::tb_dropout(x.into_primitive(), p, seed, first)),
            }
        }

        // First-order only: the backward operators are called on the inner backend, never recorded themselves. The
        // routing that burn generates needs them to exist here too.
        fn tb_gelu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>, quick: bool) -> FloatTensor<Self> {
            Self::from_inner(B::tb_gelu_backward(x.into_primitive(), grad.into_primitive(), quick))
        }
        fn tb_layer_norm_backward_x(
            x: FloatTensor<Self>,
            gamma: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            eps: f32,
        ) -> FloatTensor<Self> {
            let inner =
                B::tb_layer_norm_backward_x(x.into_primitive(), gamma.into_primitive(), grad.into_primitive(), eps);
            Self::from_inner(inner)
        }
        fn tb_layer_norm_backward_affine(x: FloatTensor<Self>, grad: FloatTensor<Self>, eps: f32) -> FloatTensor<Self> {
            Self::from_inner(B::tb_layer_norm_backward_affine(x.into_primitive(), grad.into_primitive(), eps))
        }
        fn tb_attention_backward(
            query: FloatTensor<Self>,
            key: FloatTensor<Self>,
            value: FloatTensor<Self>,
            bias: FloatTensor<Self>,
            grad: FloatTensor<Self>,
            form: Form,
        ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
            let [q, k, v, b, g] = [query, key, value, bias, grad].map(|x| x.into_primitive());
            let (q, k, v) = B::tb_attention_backward(q, k, v, b, g, form);
            (Self::from_inner(q), Self::from_inner(k), Self::from_inner(v))
        }
    }
}
