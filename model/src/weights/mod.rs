//! Named f32 tensors into and out of modules, and ([`published`]) the names that BERT's and EfficientNet's checkpoints use.
//!
//! Our names are the modules' field paths ([`named`]). A linear weight is
//! `[d_in, d_out]` here and `[d_out, d_in]` in PyTorch.

pub mod named;
pub mod published;

use crate::error::{ModelError, Result};
use burn::module::{Module, Param};
use burn::tensor::{FloatDType, Tensor};
use named::{Mapper, Visitor};
use std::collections::BTreeMap;
use thisbut_kernels as kernels;

/// Tensors by name: dimensions and row-major values.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The kind of burn's linear maps, whose weights nothing but `thisbut_kernels::linear` reads.
const LINEAR: &str = "Struct:Linear";

/// Names and dimensions of the module's parameters, each name behind `prefix`. Parameters that were not given values yet
/// stay so: a model of any size costs no memory here.
pub fn shapes<M: Module>(module: &M, prefix: &str) -> BTreeMap<String, Vec<usize>> {
    struct Shapes(BTreeMap<String, Vec<usize>>);
    impl Visitor for Shapes {
        fn see<const D: usize>(&mut self, name: String, param: &Param<Tensor<D>>) {
            self.0.insert(name, param.lazy_shape().iter().copied().collect());
        }
    }
    named::visit(module, prefix, Shapes(BTreeMap::new())).0
}

/// The module's parameters under their paths, each name behind `prefix`.
///
/// # Errors
/// [`ModelError::Weights`] when the device does not give its values back.
pub fn collect<M: Module>(module: &M, prefix: &str) -> Result<Tensors> {
    struct Collect {
        tensors: Tensors,
        problem: Option<ModelError>,
    }
    impl Visitor for Collect {
        #[allow(clippy::disallowed_methods, reason = "only training and export collect weights, and they may block")]
        fn see<const D: usize>(&mut self, name: String, param: &Param<Tensor<D>>) {
            let value = param.val();
            let dims = value.dims().to_vec();
            match value.into_data().convert::<f32>().try_to_vec::<f32>() {
                Ok(values) => drop(self.tensors.insert(name, (dims, values))),
                Err(e) => {
                    self.problem = Some(ModelError::Weights {
                        place: name,
                        problem: format!("its values cannot be read back ({e:?})"),
                        mend: "try another device".into(),
                    });
                }
            }
        }
    }
    let collect = named::visit(module, prefix, Collect { tensors: Tensors::new(), problem: None });
    match collect.problem {
        Some(problem) => Err(problem),
        None => Ok(collect.tensors),
    }
}

/// The module with every parameter taken out of `tensors`, each name behind `prefix`. What the module does not use stays
/// in `tensors`.
///
/// # Errors
/// [`ModelError::Weights`] that names the first tensor that is missing or has another shape.
pub fn load<M: Module>(module: M, prefix: &str, tensors: &mut Tensors) -> Result<M> {
    load_from(module, prefix, &mut |name| Ok(tensors.remove(name)))
}

/// As [`load`], one tensor at a time from `fetch`, so that the values are never all in memory beside the module.
///
/// # Errors
/// As [`load`], and what `fetch` fails with.
pub fn load_from<M: Module, E: From<ModelError>>(module: M, prefix: &str, fetch: &mut Fetch<E>) -> Result<M, E> {
    load_in(module, prefix, FloatDType::F32, fetch)
}

/// As [`load_from`], into a module that holds its parameters in `precision`.
///
/// # Errors
/// As [`load_from`].
pub fn load_in<M: Module, E: From<ModelError>>(
    module: M,
    prefix: &str,
    precision: FloatDType,
    fetch: &mut Fetch<E>,
) -> Result<M, E> {
    load_where(module, prefix, precision, fetch, |name| {
        Err(ModelError::Weights {
            place: name.to_owned(),
            problem: "the tensor is missing".into(),
            mend: "use weights made for this architecture".into(),
        })
    })
}

/// Gives a tensor by its name: dimensions and row-major values, or `None` when there is none.
pub type Fetch<'a, E> = dyn FnMut(&str) -> Result<Option<(Vec<usize>, Vec<f32>)>, E> + 'a;

/// As [`load`], but parameters that are not in `tensors` keep their values.
///
/// # Errors
/// [`ModelError::Weights`] that names the first tensor that has another shape.
pub fn load_partial<M: Module>(module: M, prefix: &str, tensors: &mut Tensors) -> Result<M> {
    load_where(module, prefix, FloatDType::F32, &mut |name| Ok(tensors.remove(name)), |_| Ok(()))
}

fn load_where<M: Module, E: From<ModelError>>(
    module: M,
    prefix: &str,
    precision: FloatDType,
    fetch: &mut Fetch<E>,
    missing: impl Fn(&str) -> Result<()>,
) -> Result<M, E> {
    struct Load<'a, 'b, F, E> {
        precision: FloatDType,
        fetch: &'a mut Fetch<'b, E>,
        missing: F,
        problem: Option<E>,
        linear: bool,
    }
    impl<F: Fn(&str) -> Result<()>, E: From<ModelError>> Mapper for Load<'_, '_, F, E> {
        fn inside(&mut self, kind: &str) {
            self.linear = kind == LINEAR;
        }

        fn change<const D: usize>(&mut self, name: String, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if self.problem.is_some() {
                return param;
            }
            let wanted: Vec<usize> = param.lazy_shape().iter().copied().collect();
            let found = match (self.fetch)(&name) {
                Ok(found) => found,
                Err(e) => {
                    self.problem = Some(e);
                    return param;
                }
            };
            match found {
                Some((dims, values)) if dims == wanted && values.len() == dims.iter().product::<usize>() => {
                    let shape = std::array::from_fn(|at| dims.get(at).copied().unwrap_or(1));
                    let mut value = kernels::from_values::<D>(values, shape, &param.lazy_device());
                    if self.precision != FloatDType::F32 {
                        value = value.cast(self.precision);
                    }
                    if self.linear && D == 2 {
                        value = kernels::resident(value);
                    }
                    // The parameter's own way in: it keeps its identity and gradient setting, and a lazy one is
                    // never filled with random numbers first.
                    let id = param.id;
                    param.transform_for_load(value, id)
                }
                found => {
                    let problem = match found {
                        Some((dims, _)) => Err(ModelError::Weights {
                            place: name,
                            problem: format!("its shape is {dims:?}, the architecture's is {wanted:?}"),
                            mend: "use weights made for this architecture".into(),
                        }),
                        None => (self.missing)(&name),
                    };
                    self.problem = problem.err().map(E::from);
                    param
                }
            }
        }
    }
    let mut load = Load { precision, fetch, missing, problem: None, linear: false };
    let module = named::map(module, prefix, &mut load);
    match load.problem {
        Some(problem) => Err(problem),
        None => Ok(module),
    }
}

/// PyTorch's `[out, in]` to ours, `[in, out]`.
///
/// # Panics
/// When there are not as many values as the dimensions say.
pub fn transpose((dims, values): (Vec<usize>, Vec<f32>)) -> (Vec<usize>, Vec<f32>) {
    match dims[..] {
        [rows, columns] => {
            let mut out = Vec::with_capacity(values.len());
            for c in 0..columns {
                out.extend((0..rows).map(|r| values[r * columns + c]));
            }
            (vec![columns, rows], out)
        }
        _ => (dims, values),
    }
}

/// Reads float tensors (F32, F16, BF16) of a safetensors file; others are left out.
///
/// # Errors
/// [`ModelError::Format`] when the bytes are not a safetensors file.
pub fn read_safetensors(bytes: &[u8], place: &str) -> Result<Tensors> {
    use safetensors::{Dtype, SafeTensors};
    let file = SafeTensors::deserialize(bytes).map_err(|e| ModelError::Format {
        place: place.to_owned(),
        problem: format!("it is not a readable safetensors file ({e})"),
        mend: "download or export it again".into(),
    })?;
    let mut out = Tensors::new();
    for (name, view) in file.tensors() {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            _ => continue,
        };
        out.insert(name, (view.shape().to_vec(), values));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_moves_rows_to_columns() {
        let (dims, values) = transpose((vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        assert_eq!((dims, values), (vec![3, 2], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }
}
