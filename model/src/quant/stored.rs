//! Weights as their files hold them, unpacked one tensor at a time.

use super::block::QuantizedTensor;
use super::file::{WeightMap, read_stored};
use crate::error::Result;
use std::collections::BTreeMap;

/// A tensor as its file holds it.
#[derive(Debug)]
pub(super) enum Stored {
    /// Dimensions and row-major values.
    Plain(Vec<usize>, Vec<f32>),
    /// Codes and scales.
    Codes(QuantizedTensor),
}

impl Stored {
    /// Dimensions and row-major values.
    pub(super) fn unpacked(self) -> (Vec<usize>, Vec<f32>) {
        match self {
            Self::Plain(dims, values) => (dims, values),
            Self::Codes(tensor) => (tensor.dims().to_vec(), tensor.dequantize()),
        }
    }
}

/// The tensors of a model's weights files. Codes stay codes until a tensor is taken: the values of a whole model take four
/// times as much memory as its codes of 8 bits, and a browser never gives memory back that a module has once had.
#[derive(Debug, Default)]
pub struct StoredWeights(BTreeMap<String, Stored>);

impl StoredWeights {
    /// Adds the tensors of one more file of [`super::write_weights`].
    ///
    /// # Errors
    /// As [`super::read_weights`].
    pub fn add(&mut self, file: &[u8]) -> Result<()> {
        self.0.extend(read_stored(file)?);
        Ok(())
    }

    /// The names of the tensors that were not taken yet.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Takes a tensor out: dimensions and row-major values, or `None` when there is none of this name.
    pub fn take(&mut self, name: &str) -> Option<(Vec<usize>, Vec<f32>)> {
        self.0.remove(name).map(Stored::unpacked)
    }
}

impl From<WeightMap> for StoredWeights {
    fn from(tensors: WeightMap) -> Self {
        Self(tensors.into_iter().map(|(name, (dims, values))| (name, Stored::Plain(dims, values))).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::{CodeWidth, read_weights, write_weights};
    use super::*;

    #[test]
    fn tensors_of_several_files_are_those_that_are_read_at_once() {
        let tensor = |n: usize| (vec![n, 64], (0..n * 64).map(|i| (i * 37 % 101) as f32 / 64.0 - 0.7).collect());
        let one: WeightMap = [("a".to_owned(), tensor(40)), ("bias".to_owned(), tensor(1))].into();
        let two: WeightMap = [("b".to_owned(), tensor(33))].into();
        let files = [&one, &two].map(|map| write_weights(map, |_, _| Some(CodeWidth::Q8), &BTreeMap::new()).unwrap());
        let mut stored = StoredWeights::default();
        let mut expected = WeightMap::new();
        for file in &files {
            stored.add(file).unwrap();
            expected.extend(read_weights(file).unwrap());
        }
        assert_eq!(stored.names().collect::<Vec<_>>(), ["a", "b", "bias"]);
        for (name, tensor) in expected {
            assert_eq!(stored.take(&name), Some(tensor), "{name}");
            assert_eq!(stored.take(&name), None, "{name} is taken once");
        }
        assert!(stored.add(&files[0][..20]).is_err());
    }
}
