//! The weighted mean of two checkpoints of one architecture.
//!
//! A model that was fine-tuned on new data forgets some of the old. The mean of both often keeps most of each
//! ([Robust fine-tuning of zero-shot models](https://arxiv.org/abs/2109.01903), section 3).

use crate::error::{Result, TrainerError};
use crate::train::checkpoint::{self, Reader};
use std::collections::BTreeMap;
use std::path::Path;

/// Writes (1 − `weight`) · `first` + `weight` · `second` as the checkpoint `out`, tensor by tensor.
///
/// The header is that of `second`, without what holds for its own weights alone: the best validation and the optimiser's state.
///
/// # Errors
/// When `weight` is not between 0 and 1, when the two differ in architecture, vocabulary or names of tensors, and when a file cannot
/// be read or written.
pub fn write(first: &Path, second: &Path, weight: f64, out: &Path) -> Result<()> {
    if !(0.0..=1.0).contains(&weight) {
        return Err(TrainerError::settings("--weight", format!("{weight} is not a share"), "give 0 to 1"));
    }
    let (mut a, mut b) = (checkpoint::open(first)?, checkpoint::open(second)?);
    check_alike(&a, &b, first, second)?;
    let mut header = b.header.clone();
    (header.step, header.optimizer_steps, header.best) = (0, 0, None);
    checkpoint::save_from(out, &header, &model_shapes(&b), &mut |name| {
        let (old, new) = (tensor(&mut a, first, name)?, tensor(&mut b, second, name)?);
        let mean = |(x, y): (f32, f32)| ((1.0 - weight) * f64::from(x) + weight * f64::from(y)) as f32;
        Ok(old.into_iter().zip(new).map(mean).collect())
    })
}

/// Names and dimensions of the model's tensors, as [`Reader::read`] takes them.
fn model_shapes(reader: &Reader) -> BTreeMap<String, Vec<usize>> {
    let own = |(name, dims): (String, Vec<usize>)| name.strip_prefix("model.").map(|name| (name.to_owned(), dims));
    reader.shapes().into_iter().filter_map(own).collect()
}

fn tensor(reader: &mut Reader, path: &Path, name: &str) -> Result<Vec<f32>> {
    let found = reader.read(name)?;
    found.map(|(_, values)| values).ok_or_else(|| misfit(path, format!("the tensor {name} is missing")))
}

fn misfit(path: &Path, problem: String) -> TrainerError {
    TrainerError::checkpoint(path.display().to_string(), problem, "average two checkpoints of one architecture")
}

fn check_alike(a: &Reader, b: &Reader, first: &Path, second: &Path) -> Result<()> {
    let other = |what: &str| misfit(second, format!("{what} differs from that of {}", first.display()));
    if a.header.generator != b.header.generator {
        return Err(other("its text generator"));
    }
    if let (Some(x), Some(y)) = (&a.header.vocabulary, &b.header.vocabulary)
        && x != y
    {
        return Err(other("its vocabulary"));
    }
    if let (Some(x), Some(y)) = (&a.header.base_encoder, &b.header.base_encoder)
        && x != y
    {
        return Err(other("the image encoder that its adapters belong in"));
    }
    let (old, new) = (model_shapes(a), model_shapes(b));
    let differs = old
        .iter()
        .find(|(name, dims)| new.get(*name) != Some(*dims))
        .or_else(|| new.iter().find(|(name, _)| !old.contains_key(*name)));
    match differs {
        Some((name, _)) => Err(other(&format!("the tensor {name}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::checkpoint::Header;
    use crate::train::settings::Settings;
    use thisbut_model::RetrievalConfig;
    use thisbut_model::weights::Tensors;

    fn save(path: &Path, tensors: &[(&str, Vec<f32>)]) {
        let config = RetrievalConfig::preset("tiny").unwrap();
        let header = Header::new(Settings::sprc(), config, String::new());
        let model: Tensors = tensors.iter().map(|(n, v)| ((*n).to_owned(), (vec![v.len()], v.clone()))).collect();
        checkpoint::save(path, &header, &model, &Tensors::new()).unwrap();
    }

    #[test]
    fn the_mean_lies_between_and_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        save(&path("a"), &[("w", vec![0.0, 2.0])]);
        save(&path("b"), &[("w", vec![4.0, -2.0])]);
        write(&path("a"), &path("b"), 0.25, &path("mean")).unwrap();
        assert_eq!(checkpoint::load(&path("mean")).unwrap().model["w"].1, [1.0, 1.0]);

        let refused = |weight, second: &str| {
            let error = write(&path("a"), &path(second), weight, &path("none")).unwrap_err().to_string();
            assert!(!path("none").exists());
            error
        };
        assert!(refused(1.5, "b").contains("--weight"));
        assert!(refused(f64::NAN, "b").contains("--weight"));
        save(&path("c"), &[("w", vec![1.0])]);
        assert!(refused(0.5, "c").contains("the tensor w differs"));
        save(&path("d"), &[("w", vec![1.0, 1.0]), ("x", vec![1.0])]);
        assert!(refused(0.5, "d").contains("the tensor x differs"));
    }
}
