//! The pseudo-word family: a dual encoder whose mapping network φ turns an image into words of its text tower (Pic2Word,
//! HyCIR), and the compositions that need no training: weighted sum and spherical interpolation.
//!
//! Pic2Word: Saito et al., CVPR 2023; its `model/model.py`, `IM2TEXT` and `CLIP.encode_text_img`. Encoders are read in evaluation
//! mode: dropout is φ's alone wherever an image takes part.

use super::{EncodedImage, Method};
use crate::config::{Composition, MappingConfig, RetrievalConfig};
use crate::error::Result;
use crate::nn::basic::{apply, in_precision, linear, normalise};
use crate::nn::image_head::{ImageHead, mean_token};
use crate::nn::{Noise, TextBatch, TextTower};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor, activation};
use thisbut_kernels as kernels;

/// Cosine from which on two embeddings are taken for the same direction, or opposite ones: there the sine that divides is as
/// good as zero.
const PARALLEL: f64 = 1.0 - 1e-6;

/// The mapping network φ: two blocks of linear map, dropout and ReLU, then a linear map to k words of width D. Pic2Word's
/// `IM2TEXT`, whose keys stand beside each part.
#[derive(Module, Debug)]
pub struct Mapping {
    /// P → hidden; checkpoint key `layers.0.0`.
    pub first: Linear,
    /// hidden → hidden; checkpoint key `layers.1.0`.
    pub second: Linear,
    /// hidden → k·D; checkpoint key `fc_out`.
    pub output: Linear,
    tokens: usize,
}

impl Mapping {
    fn new(config: &MappingConfig, projection: usize, width: usize, device: &Device) -> Self {
        Self {
            first: linear(projection, config.hidden, device),
            second: linear(config.hidden, config.hidden, device),
            output: linear(config.hidden, config.tokens * width, device),
            tokens: config.tokens,
        }
    }

    /// Pseudo-words `[B, k, D]` of unnormalised image embeddings `[B, P]`, in the parameters' precision.
    pub fn forward(&self, image: Tensor<2>, noise: &Noise) -> Tensor<3> {
        let image = image.cast(FloatDType::from(self.first.weight.val().dtype()));
        let block = |map: &Linear, x| activation::relu(noise.apply(apply(map, x)));
        let words = apply(&self.output, block(&self.second, block(&self.first, image)));
        let [b, width] = words.dims();
        words.reshape([b, self.tokens, width / self.tokens])
    }
}

/// Unnormalised image embeddings `[B, P]`.
#[derive(Clone, Debug)]
pub struct ImageEmbedding(pub Tensor<2>);

/// Everything beside the image encoder.
#[derive(Module, Debug)]
pub struct PseudoWord {
    /// From the image encoder's tokens to P, where the encoder does not give the embedding itself.
    pub image_head: Option<ImageHead>,
    /// E_T.
    pub text: TextTower,
    /// φ.
    pub mapping: Option<Mapping>,
    /// ln(1/τ) `[1]`; checkpoint key `logit_scale`.
    pub logit_scale: Param<Tensor<1>>,
    #[module(skip)]
    composition: Composition,
}

impl PseudoWord {
    /// A randomly initialised model.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the configuration is another family's.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Result<Self> {
        let (own, p) = (config.pseudo_word()?, config.projection);
        let width = own.text_tower.width();
        Ok(Self {
            image_head: own.image_head.as_ref().map(|head| ImageHead::new(head, config.image_width(), p, device)),
            text: TextTower::new(&own.text_tower, config.text.vocabulary(), Some(p), device),
            mapping: own.mapping.as_ref().map(|mapping| Mapping::new(mapping, p, width, device)),
            logit_scale: Param::from_tensor(Tensor::full([1], -own.temperature.ln(), device)),
            composition: own.composition,
        })
    }

    /// The same model computing in `precision`, the scale of its scores apart. Under autodiff the gradients arrive at this
    /// model's own f32 parameters.
    pub fn in_precision(&self, precision: FloatDType) -> Self {
        Self { logit_scale: self.logit_scale.clone(), ..in_precision(self, precision) }
    }

    /// The mean `[B, C]` of image tokens `[B, T, C]`: all of an image that the rest reads.
    pub fn pooled(&self, tokens: Tensor<3>) -> Tensor<2> {
        mean_token(tokens)
    }

    /// Embeddings of what [`PseudoWord::pooled`] gives.
    pub fn embedding(&self, pooled: Tensor<2>) -> ImageEmbedding {
        ImageEmbedding(match &self.image_head {
            Some(head) => head.forward(pooled),
            None => pooled,
        })
    }

    /// Texts as they are, `[B, P]`, L2-normalised.
    pub fn read(&self, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let words = self.text.words(text.ids.clone());
        normalise(self.text.forward(words, text.bias.clone(), text.ends.clone(), noise))
    }

    /// Texts in whose slots stand the pseudo-words of the images, `[B, P]`, L2-normalised. `noise` is φ's.
    ///
    /// # Panics
    /// When the model has no mapping network or the texts have no slots: a configuration that composes so was checked.
    pub fn read_with(&self, image: &ImageEmbedding, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let (Some(mapping), Some(slots)) = (&self.mapping, text.slots.clone()) else {
            panic!("a text without slots, or a model without a mapping network, is composed with pseudo-words");
        };
        let words = self.text.words(text.ids.clone());
        let [b, l, d] = words.dims();
        let pseudo = mapping.forward(image.0.clone(), noise);
        let before = words.clone().slice([0..b, 0..slots.start, 0..d]);
        let after = words.slice([0..b, slots.end..l, 0..d]);
        let words = Tensor::cat(vec![before, pseudo, after], 1);
        normalise(self.text.forward(words, text.bias.clone(), text.ends.clone(), &Noise::off()))
    }
}

/// The point between embeddings `[B, P]`, both L2-normalised, at `weight` of the way from the text to the image along the great
/// circle, L2-normalised. Where the two point the same way, or opposite ways, it is the weighted sum.
pub fn slerp(image: Tensor<2>, text: Tensor<2>, weight: f64) -> Tensor<2> {
    let cosine = (image.clone() * text.clone()).sum_dim(1);
    let share = |weight: f64| kernels::arc(cosine.clone(), weight, PARALLEL);
    normalise(image * share(weight) + text * share(1.0 - weight))
}

/// weight · image + (1 − weight) · text, L2-normalised, of embeddings `[B, P]` that are.
pub fn weighted_sum(image: Tensor<2>, text: Tensor<2>, weight: f64) -> Tensor<2> {
    normalise(image * weight + text * (1.0 - weight))
}

impl Method for PseudoWord {
    type Image = ImageEmbedding;

    fn image(&self, encoded: EncodedImage) -> ImageEmbedding {
        self.embedding(self.pooled(encoded.tokens))
    }

    fn query(&self, image: Option<&ImageEmbedding>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let Some(image) = image else { return self.read(text, noise) };
        let alone = || (normalise(image.0.clone()), self.read(text, &Noise::off()));
        match self.composition {
            Composition::PseudoWords => self.read_with(image, text, noise),
            Composition::WeightedSum { weight } => {
                let (image, text) = alone();
                weighted_sum(image, text, weight)
            }
            Composition::Slerp { weight } => {
                let (image, text) = alone();
                slerp(image, text, weight)
            }
        }
    }

    fn target(&self, image: &ImageEmbedding, count: usize, _: &TextBatch, _: &Noise) -> Tensor<3> {
        let rows = normalise(image.0.clone());
        let p = rows.dims()[1];
        rows.reshape([count, 1, p])
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::MethodConfig;
    use crate::text::{TextReader, Tokens};
    use burn::tensor::{Distribution, TensorData, Tolerance};

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nphoto\nof\nred\nblue\n,\nsleeves\n";

    fn config(tokens: usize) -> RetrievalConfig {
        let mut config = RetrievalConfig::preset("tiny-dual").unwrap();
        let own = config.pseudo_word_mut().unwrap();
        own.mapping = Some(MappingConfig { tokens, ..MappingConfig::default() });
        own.composition = Composition::PseudoWords;
        config.check("x").unwrap();
        config
    }

    fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_composed_text_has_its_slots_where_the_prompt_says() {
        let device = Device::flex();
        let reader = TextReader::new(&config(2), WORDS).unwrap();
        let tokens: Vec<Tokens> = ["", "red sleeves"].map(|text| reader.tokens(text)).to_vec();
        let batch = reader.composed_batch(&tokens, &device);
        assert_eq!(batch.slots, Some(4..6));
        let ids: Vec<i64> = batch.ids.into_data().convert::<i64>().try_to_vec().unwrap();
        // [CLS] a photo of $ $ [SEP], and with a text: a comma, then the text.
        assert_eq!(ids, [2, 4, 5, 6, 0, 0, 3, 0, 0, 0, 2, 4, 5, 6, 0, 0, 9, 7, 10, 3]);
        let ends: Vec<i64> = batch.ends.into_data().convert::<i64>().try_to_vec().unwrap();
        assert_eq!(ends, [6, 10 + 9]);
        let bias = values(batch.bias);
        assert_eq!(bias[..10], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1e4, -1e4, -1e4]);
        // A text that is too long loses its last tokens, never the end mark.
        let long = reader.tokens(&"red ".repeat(40));
        let batch = reader.composed_batch([&long], &device);
        let ids: Vec<i64> = batch.ids.into_data().convert::<i64>().try_to_vec().unwrap();
        assert_eq!((ids.len(), ids[ids.len() - 1]), (16, 3));
    }

    #[test]
    fn a_prompt_that_leaves_no_room_for_a_text_is_refused() {
        let mut config = config(12);
        let said = TextReader::new(&config, WORDS).unwrap_err().to_string();
        assert!(said.contains("text.length") && said.contains("12"), "{said}");
        config.pseudo_word_mut().unwrap().prompt = "red ".repeat(80);
        assert!(config.check("x").unwrap_err().to_string().contains("prompt"));
        // Without slots nothing stands around a text.
        config.pseudo_word_mut().unwrap().composition = Composition::Slerp { weight: 0.5 };
        config.pseudo_word_mut().unwrap().prompt = "a photo of".into();
        let reader = TextReader::new(&config, WORDS).unwrap();
        let red = reader.tokens("red");
        let batch = reader.composed_batch([&red], &Device::flex());
        assert_eq!((batch.slots, batch.ids.dims()), (None, [1, 3]));
    }

    /// Embeddings are stored in f32, whatever the model computes in.
    #[test]
    fn a_model_in_half_precision_reads_embeddings_of_32_bits() {
        let device = Device::flex();
        device.seed(5);
        for head in [true, false] {
            let mut config = config(2);
            if !head {
                config.projection = config.image_width();
                config.image_encoder = serde_json::from_value(serde_json::json!({
                    "kind": "patch", "patch": config.preprocess.size, "width": config.projection
                }))
                .unwrap();
                config.pseudo_word_mut().unwrap().image_head = None;
                config.check("x").unwrap();
            }
            let model = PseudoWord::new(&config, &device).unwrap();
            let half = model.in_precision(FloatDType::BF16);
            let reader = TextReader::new(&config, WORDS).unwrap();
            let batch = reader.composed_batch([&reader.tokens("red")], &device);
            let shape = [1, config.image_tokens(), config.image_width()];
            let tokens = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
            let rows = |model: &PseudoWord| {
                let image = model.image(EncodedImage { tokens: tokens.clone() });
                let query = model.query(Some(&image), &batch, &Noise::off());
                [values(query), values(model.target(&image, 1, &batch, &Noise::off()))]
            };
            for (exact, rough) in rows(&model).iter().zip(rows(&half)) {
                let cosine: f32 = exact.iter().zip(rough).map(|(a, b)| a * b).sum();
                assert!(cosine > 0.999, "{head} {cosine}");
            }
        }
    }

    #[test]
    fn compositions_meet_at_their_ends_and_between() {
        let device = Device::flex();
        device.seed(3);
        let unit = |seed: f64| normalise(Tensor::<2>::random([3, 5], Distribution::Normal(seed, 1.0), &device));
        let (image, text) = (unit(0.0), unit(0.5));
        let near = |a: Tensor<2>, b: &Tensor<2>| {
            a.into_data().assert_approx_eq::<f32>(&b.clone().into_data(), Tolerance::absolute(1e-5));
        };
        for compose in [slerp, weighted_sum] {
            near(compose(image.clone(), text.clone(), 1.0), &image);
            near(compose(image.clone(), text.clone(), 0.0), &text);
            near(compose(image.clone(), image.clone(), 0.3), &image);
        }
        // Half of the way is the same for both; elsewhere the sum cuts the corner.
        near(slerp(image.clone(), text.clone(), 0.5), &weighted_sum(image.clone(), text.clone(), 0.5));
        let dot = |a: &Tensor<2>, b: &Tensor<2>| values((a.clone() * b.clone()).sum_dim(1));
        let quarter = slerp(image.clone(), text.clone(), 0.25);
        for (part, whole) in dot(&quarter, &text).iter().zip(dot(&image, &text)) {
            assert!((part.acos() - 0.25 * whole.acos()).abs() < 1e-4, "{part} {whole}");
        }
        // Opposite embeddings give no direction, but numbers.
        assert!(values(slerp(image.clone(), image.neg(), 0.3)).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn the_images_words_change_the_query_and_the_slots_alone_see_them() {
        let device = Device::flex();
        device.seed(7);
        let config = config(2);
        let model = PseudoWord::new(&config, &device).unwrap();
        let reader = TextReader::new(&config, WORDS).unwrap();
        let tokens = [reader.tokens("red"), reader.tokens("red")];
        let batch = reader.composed_batch(&tokens, &device);
        let shape = [2, config.image_tokens(), config.image_width()];
        let pixels: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
        let tokens = Tensor::<3>::from_data(TensorData::new(pixels, shape), &device);
        let image = model.image(EncodedImage { tokens });
        let query = model.query(Some(&image), &batch, &Noise::off());
        assert_eq!(query.dims(), [2, config.projection]);
        let rows = values(query.clone());
        let (one, other) = rows.split_at(config.projection);
        assert!(one.iter().zip(other).any(|(a, b)| (a - b).abs() > 1e-4), "two images, one text");
        let target = model.target(&image, 2, &batch, &Noise::off());
        assert_eq!(target.dims(), [2, 1, config.projection]);
        let norms = values(target.square().sum_dim(2));
        assert!(norms.iter().all(|norm| (norm - 1.0).abs() < 1e-5));
        // What stands in the slots of the text counts for nothing.
        let mut other = batch.clone();
        other.ids = batch.ids.slice_assign([0..2, 4..6], Tensor::from_data([[7, 8], [8, 7]], &device));
        let again = model.query(Some(&image), &other, &Noise::off());
        again.into_data().assert_eq(&query.into_data(), true);
        let MethodConfig::PseudoWord(_) = &config.method else { panic!("another family") };
    }
}
