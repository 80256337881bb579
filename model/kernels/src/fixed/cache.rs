//! Weights in fixed point, made once for each tensor that lives.

use super::super::extension::{Primitive, elements, primitive};
use super::{Matrix, Out, Rows, Strides};
use burn::backend::{Flex, TensorMetadata, ops::FloatTensorOps};
use burn::tensor::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What was made of a tensor's values. While this holds the weak pointer, no other tensor's values can have their address,
/// and these can't change in place: whoever writes to values that others point at moves or copies them first.
struct Entry<T> {
    of: Weak<Bytes>,
    made: Arc<T>,
}

/// Address of the values, offset, and shape and strides of the first two dimensions.
type Key = (usize, usize, [usize; 2], [isize; 2]);

fn key(weight: &Primitive, values: &Arc<Bytes>) -> Key {
    let layout = weight.layout();
    let (shape, strides) = (layout.shape(), layout.strides());
    (Arc::as_ptr(values) as usize, layout.start_offset(), [shape[0], shape[1]], [strides[0], strides[1]])
}

/// What was made of the weights that live.
struct Held<T>(Mutex<Option<HashMap<Key, Entry<T>>>>);

/// Right factors.
static MATRICES: Held<Matrix> = Held(Mutex::new(None));
/// Left factors.
static ROWS: Held<Rows> = Held(Mutex::new(None));

impl<T> Held<T> {
    fn with<R>(&self, work: impl FnOnce(&mut HashMap<Key, Entry<T>>) -> R) -> R {
        work(self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }

    /// Holds what was made of `values` for as long as something holds those; what is gone makes room for what comes.
    fn hold(&self, key: Key, values: &Arc<Bytes>, made: &Arc<T>) {
        self.with(|held| {
            held.retain(|_, entry| entry.of.strong_count() > 0);
            held.insert(key, Entry { of: Arc::downgrade(values), made: made.clone() });
        });
    }

    /// What is held of a weight, or what `make` makes of its elements in row-major order.
    fn of(&self, weight: Primitive, make: impl FnOnce(&[f32]) -> T) -> Arc<T> {
        let values = weight.data_arc();
        let key = key(&weight, &values);
        let live = |held: &mut HashMap<Key, Entry<T>>| {
            held.get(&key).filter(|entry| entry.of.strong_count() > 0).map(|entry| entry.made.clone())
        };
        if let Some(made) = self.with(live) {
            return made;
        }
        let lasts = weight.is_contiguous();
        elements!(weight);
        let made = Arc::new(make(weight));
        if lasts {
            self.hold(key, &values, &made);
        }
        made
    }
}

/// x · W + bias for x `[count, inputs]`, W `[inputs, outputs]`: `[count, outputs]`.
pub fn linear(x: &[f32], count: usize, weight: Primitive, bias: Option<&[f32]>) -> Vec<f32> {
    let shape = weight.shape();
    let (inputs, outputs) = (shape[0], shape[1]);
    let matrix = MATRICES.of(weight, |values| Matrix::new(values, inputs, outputs));
    let mut values = vec![0.0; count * outputs];
    matrix.multiply(&Rows::new(x, [count, inputs]), 0, bias, Out { values: &mut values, stride: outputs });
    values
}

/// A tensor of the shape of a weight that [`linear`] takes for it, with one value of its own, NaN: the weight's are in fixed
/// point alone from now on.
pub fn resident(weight: Primitive) -> Primitive {
    let shape = weight.shape();
    elements!(weight);
    let matrix = Arc::new(Matrix::new(weight, shape[0], shape[1]));
    let place = Flex::float_expand(primitive(vec![f32::NAN], [1, 1]), shape);
    let values = place.data_arc();
    MATRICES.hold(key(&place, &values), &values, &matrix);
    place
}

/// W · x + bias for each image x `[inputs, pixels]`, W `[outputs, inputs, 1, 1]`: `[outputs, pixels]` for each. `relu6` holds the
/// results between 0 and 6.
pub fn pointwise(x: &[f32], [inputs, pixels]: [usize; 2], weight: Primitive, bias: &[f32], relu6: bool) -> Vec<f32> {
    let outputs = bias.len();
    let rows = ROWS.of(weight, |values| Rows::new(values, [outputs, inputs]));
    let (each, made) = ((inputs * pixels).max(1), outputs * pixels);
    let mut out = vec![0.0; x.len() / each * made];
    let mut matrix = Matrix::default();
    for (x, out) in x.chunks_exact(each).zip(out.chunks_exact_mut(made.max(1))) {
        matrix.refill(x, [inputs, pixels], Strides { input: pixels, output: 1 });
        matrix.multiply(&rows, 0, None, Out { values: &mut *out, stride: pixels });
        for (row, bias) in out.chunks_exact_mut(pixels).zip(bias) {
            match relu6 {
                true => row.iter_mut().for_each(|v| *v = (*v + bias).clamp(0.0, 6.0)),
                false => row.iter_mut().for_each(|v| *v += bias),
            }
        }
    }
    out
}

/// How many matrices are held.
#[cfg(test)]
pub(super) fn count() -> usize {
    MATRICES.with(|held| held.len())
}
