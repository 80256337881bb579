//! What a model that only answers has of its own in WebAssembly: operators without a way back, in fixed point where they multiply.

use super::extension::{Primitive, dims, elements, primitive};
use super::{cpu, fixed};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, Flex, backend_extension};
use burn::tensor::Tensor;
#[cfg(not(feature = "cube"))]
use burn::tensor::{Device, Int, TensorData};

/// The operators of a backend.
#[backend_extension(Flex)]
pub trait Answering: Backend {
    /// See [`super::resident`].
    fn tb_resident(weight: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::pointwise`].
    fn tb_pointwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        relu6: bool,
    ) -> FloatTensor<Self>;
    /// See [`super::relu6`].
    fn tb_relu6(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// See [`super::arc`].
    fn tb_arc(cosine: FloatTensor<Self>, share: f32, parallel: f32) -> FloatTensor<Self>;
}

impl Answering for Flex {
    fn tb_resident(weight: Primitive) -> Primitive {
        fixed::resident(weight)
    }

    fn tb_pointwise(x: Primitive, weight: Primitive, bias: Primitive, relu6: bool) -> Primitive {
        let shape = dims(&x);
        let (sizes, outputs) = ([shape[1], shape[2] * shape[3]], dims(&weight)[0]);
        elements!(x);
        elements!(bias);
        let values = fixed::pointwise(x, sizes, weight, bias, relu6);
        primitive(values, [shape[0], outputs, shape[2], shape[3]])
    }

    fn tb_relu6(x: Primitive) -> Primitive {
        let shape = dims(&x);
        elements!(x);
        primitive(cpu::map(x, |v| v.clamp(0.0, 6.0)), shape)
    }

    fn tb_arc(cosine: Primitive, share: f32, parallel: f32) -> Primitive {
        let shape = dims(&cosine);
        elements!(cosine);
        let part = |v: f32| if v.abs() > parallel { share } else { (v.acos() * share).sin() };
        primitive(cosine.iter().map(|v| part(*v)).collect(), shape)
    }
}

/// [`super::from_values`] on the CPU.
#[cfg(not(feature = "cube"))]
pub fn from_values<const R: usize>(values: Vec<f32>, shape: [usize; R], _: &Device) -> Tensor<R> {
    Tensor::from_primitive::<Flex>(Primitive::from_data(TensorData::new(values, shape)))
}

/// [`super::from_ids`] on the CPU.
#[cfg(not(feature = "cube"))]
pub fn from_ids<const R: usize>(ids: Vec<i32>, shape: [usize; R], _: &Device) -> Tensor<R, Int> {
    Tensor::from_primitive::<Flex>(Primitive::from_data(TensorData::new(ids, shape)))
}

/// [`super::resident`] on the CPU.
pub fn resident<const R: usize>(weight: Tensor<R>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Answering>::tb_resident(weight.into_dispatch()))
}

/// [`super::pointwise`] on the CPU.
pub fn pointwise(x: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, relu6: bool) -> Tensor<4> {
    let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(<Dispatch as Answering>::tb_pointwise(x, weight, bias, relu6))
}

/// [`super::arc`] on the CPU.
pub fn arc<const R: usize>(cosine: Tensor<R>, share: f32, parallel: f32) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Answering>::tb_arc(cosine.into_dispatch(), share, parallel))
}

/// [`super::relu6`] on the CPU.
pub fn relu6<const R: usize>(x: Tensor<R>) -> Tensor<R> {
    Tensor::from_dispatch(<Dispatch as Answering>::tb_relu6(x.into_dispatch()))
}
