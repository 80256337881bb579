//! The concept family: image tokens look at a text's tokens, and a learned seed pools them to one row (ConText-CIR).
//!
//! ConText-CIR: Xing et al., CVPR 2025, section 3.2; its `src/Models.py`, `ConText`. Both towers train with the rest. A target is
//! f(I, ""), the same network with an empty text, or CLIP's own pooled row.

use super::{Attention, EncodedImage, Method};
use crate::config::{ImageEncoderConfig, RetrievalConfig};
use crate::error::Result;
use crate::nn::basic::{Norm, apply, fold, in_precision, linear, normalise};
use crate::nn::fusion::{AttentionPool, FusionBlock, Seen};
use crate::nn::image_head::{ImageHead, mean_token};
use crate::nn::{Noise, TextBatch, TextTower};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};

/// Every token of a batch of texts.
#[derive(Clone, Debug)]
pub struct ReadText {
    /// `[B, L, D]`.
    pub tokens: Tensor<3>,
    /// `[B, L]`: 0 for a token, −10000 for padding.
    pub bias: Tensor<2>,
}

impl ReadText {
    /// The first text, `count` times.
    fn repeated(&self, count: usize) -> Self {
        let ([_, l, d], bias) = (self.tokens.dims(), self.bias.clone());
        Self {
            tokens: self.tokens.clone().narrow(0, 0, 1).expand([count, l, d]),
            bias: bias.narrow(0, 0, 1).expand([count, l]),
        }
    }
}

/// Everything beside the image encoder.
#[derive(Module, Debug)]
pub struct Concept {
    /// E_T; checkpoint key `text_encoder.model`.
    pub text: TextTower,
    /// C → the fused tokens' width, where that is another.
    pub image_map: Option<Linear>,
    /// φ_A.
    pub fusion: Vec<FusionBlock>,
    /// φ_P.
    pub pool: AttentionPool,
    /// From a fused token's width (C) to P; checkpoint key `query_projection`.
    pub head: Linear,
    /// CLIP's norm of the class token, for pooled targets; checkpoint key `post_layernorm`.
    pub image_norm: Option<Norm>,
    /// C → P without a bias, CLIP's, for pooled targets; checkpoint key `visual_projection`.
    pub image_projection: Option<Linear>,
    /// From the mean of the image tokens to P, for pooled targets of another encoder.
    pub image_head: Option<ImageHead>,
    /// ln(1/τ) `[1]`; checkpoint key `logit_scale`.
    pub logit_scale: Param<Tensor<1>>,
    class_token: bool,
}

impl Concept {
    /// A randomly initialised model.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the configuration is another family's.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Result<Self> {
        let (own, c, p) = (config.concept()?, config.image_width(), config.projection);
        let (d, fusion) = (own.text_tower.width(), &own.fusion);
        let clip = own.pools_clip(&config.image_encoder);
        let map = |_| Linear { bias: None, ..linear(c, p, device) };
        let width = fusion.width(c);
        Ok(Self {
            text: TextTower::new(&own.text_tower, config.text.vocabulary(), own.text_projection(p), device),
            image_map: fusion.width.map(|width| linear(c, width, device)),
            fusion: (0..fusion.blocks).map(|_| FusionBlock::new(fusion, width, d, device)).collect(),
            pool: AttentionPool::new(own.pooling, width, fusion.heads, device),
            head: linear(width, p, device),
            image_norm: clip.map(|eps| Norm::new(c, eps, device)),
            image_projection: clip.map(map),
            image_head: own.image_head.as_ref().map(|head| ImageHead::new(head, c, p, device)),
            logit_scale: Param::from_tensor(Tensor::full([1], -own.temperature.ln(), device)),
            class_token: matches!(config.image_encoder, ImageEncoderConfig::Vit(_)),
        })
    }

    /// The same model computing in `precision`, the scale of its scores apart. Under autodiff the gradients arrive at this
    /// model's own f32 parameters.
    pub fn in_precision(&self, precision: FloatDType) -> Self {
        Self { logit_scale: self.logit_scale.clone(), ..in_precision(self, precision) }
    }

    /// Whether the first image token is a class token, which has no place in the picture.
    pub fn has_class_token(&self) -> bool {
        self.class_token
    }

    /// Every token of texts.
    pub fn read(&self, text: &TextBatch, noise: &Noise) -> ReadText {
        let words = self.text.words(text.ids.clone());
        ReadText { tokens: self.text.forward_tokens(words, text.bias.clone(), noise, None), bias: text.bias.clone() }
    }

    /// CrossAttn(I, T): image tokens `[B, T, C]` after a look at texts. Where `seen` is there, it receives each block's attention
    /// weights `[B, T, L]`, the mean over the heads.
    pub fn fuse(&self, image: Tensor<3>, text: &ReadText, seen: Seen) -> Tensor<3> {
        let image = self.mapped(image.cast(FloatDType::from(self.pool.seed.val().dtype())));
        self.fused(image, text, seen)
    }

    /// Image tokens `[B, T, C]` in the width in which they are fused.
    fn mapped(&self, image: Tensor<3>) -> Tensor<3> {
        match &self.image_map {
            Some(map) => fold(map, image),
            None => image,
        }
    }

    /// [`Concept::fuse`] after the map.
    fn fused(&self, image: Tensor<3>, text: &ReadText, mut seen: Seen) -> Tensor<3> {
        let look =
            |x, block: &FusionBlock| block.forward(x, text.tokens.clone(), text.bias.clone(), seen.as_deref_mut());
        self.fusion.iter().fold(image, look)
    }

    /// The row `[B, P]` of fused tokens `[B, T, C]`, L2-normalised.
    pub fn pooled(&self, fused: Tensor<3>) -> Tensor<2> {
        normalise(apply(&self.head, self.pool.forward(fused)))
    }

    /// Attention's weights `[B, T, L]`, the mean over blocks and heads, in f32; and the queries `[B, P]`.
    pub fn query_with_weights(&self, image: Tensor<3>, text: &ReadText) -> (Tensor<2>, Tensor<3>) {
        let mut seen = Vec::new();
        let fused = self.fuse(image, text, Some(&mut seen));
        (self.pooled(fused), mean(seen))
    }

    /// Only the weights of [`Concept::query_with_weights`].
    pub fn weights(&self, image: Tensor<3>, text: &ReadText) -> Tensor<3> {
        let mut seen = Vec::new();
        self.fuse(image, text, Some(&mut seen));
        mean(seen)
    }

    /// What queries looked at. An image token's share w_t is the pooling seed's weight for it; A_tl, the mean over blocks and heads,
    /// is what it gave to text token l; a text token's share is Σ_t w_t · A_tl. Pairs are A, the weights of L_cc.
    pub fn looked(&self, image: Tensor<3>, text: &ReadText) -> Attention {
        let mut seen = Vec::new();
        let fused = self.fuse(image, text, Some(&mut seen));
        let (pairs, image) = (mean(seen), self.pool.weights(fused));
        let [b, _, l] = pairs.dims();
        let text = image.clone().unsqueeze_dim::<3>(1).matmul(pairs.clone()).reshape([b, l]);
        Attention { image, text, pairs }
    }

    /// Rows `[B, P]` of images for the gallery, L2-normalised; `silence` is the empty text, read once.
    pub fn target_rows(&self, image: Tensor<3>, silence: &TextBatch) -> Tensor<2> {
        let [b, _, c] = image.dims();
        match (&self.image_norm, &self.image_projection, &self.image_head) {
            (Some(norm), Some(map), _) => {
                let class = image.slice([0..b, 0..1]).cast(FloatDType::from(map.weight.val().dtype()));
                normalise(apply(map, norm.forward(class).reshape([b, c])))
            }
            (_, _, Some(head)) => normalise(head.forward(mean_token(image))),
            // The empty text is the same in every row and every step: no dropout.
            _ => self.pooled(self.fuse(image, &self.read(silence, &Noise::off()).repeated(b), None)),
        }
    }

    /// Texts alone, `[B, P]`, L2-normalised: the text tower's own row where targets are pooled; else what the network makes of
    /// them without an image, which is one token of zeros.
    fn alone(&self, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        if self.text.projection.is_some() {
            let words = self.text.words(text.ids.clone());
            return normalise(self.text.forward(words, text.bias.clone(), text.ends.clone(), noise));
        }
        let (seed, [b, _]) = (self.pool.seed.val(), text.ids.dims());
        let blank = Tensor::zeros([b, 1, seed.dims()[1]], &seed.device());
        self.pooled(self.fused(blank, &self.read(text, noise), None))
    }
}

/// The mean of the blocks' weights. A configuration has one block at least.
fn mean(seen: Vec<Tensor<3>>) -> Tensor<3> {
    let count = seen.len() as f64;
    let sum = seen.into_iter().reduce(|sum, more| sum + more);
    match sum {
        Some(sum) => sum / count,
        None => panic!("a fusion without blocks"),
    }
}

impl Method for Concept {
    type Image = Tensor<3>;

    fn image(&self, encoded: EncodedImage) -> Tensor<3> {
        encoded.tokens
    }

    fn query(&self, image: Option<&Tensor<3>>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        match image {
            Some(image) => self.pooled(self.fuse(image.clone(), &self.read(text, noise), None)),
            None => self.alone(text, noise),
        }
    }

    fn target(&self, image: &Tensor<3>, count: usize, silence: &TextBatch, _: &Noise) -> Tensor<3> {
        let rows = self.target_rows(image.clone(), silence);
        let p = rows.dims()[1];
        rows.reshape([count, 1, p])
    }

    fn attention(&self, image: &Tensor<3>, text: &TextBatch) -> Option<Attention> {
        Some(self.looked(image.clone(), &self.read(text, &Noise::off())))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::{FusionForm, ImageHeadConfig, Pooling, TargetForm};
    use crate::text::TextReader;
    use burn::tensor::{TensorData, Tolerance};

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nphoto\nof\nred\nblue\n,\nsleeves\n";

    fn config(form: FusionForm, pooling: Pooling, target: TargetForm) -> RetrievalConfig {
        let mut config = RetrievalConfig::preset("tiny-context").unwrap();
        let own = config.concept_mut().unwrap();
        (own.fusion.form, own.pooling, own.target) = (form, pooling, target);
        own.image_head = (target == TargetForm::Pooled).then(ImageHeadConfig::default);
        config.check("x").unwrap();
        config
    }

    fn image(config: &RetrievalConfig, count: usize, device: &Device) -> Tensor<3> {
        let shape = [count, config.image_tokens(), config.image_width()];
        let values: Vec<f32> =
            (0..shape.iter().product::<usize>()).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
        x.into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_weights_are_those_of_the_fused_kernel_and_padding_gets_none() {
        let device = Device::flex();
        device.seed(4);
        for (form, pooling) in
            [(FusionForm::Attention, Pooling::SetTransformer), (FusionForm::Transformer, Pooling::Attention)]
        {
            let config = config(form, pooling, TargetForm::Fused);
            let (model, reader) = (Concept::new(&config, &device).unwrap(), TextReader::new(&config, WORDS).unwrap());
            let texts = ["red", "a photo of blue sleeves"].map(|text| reader.tokens(text));
            let text = model.read(&reader.batch(&texts, &device), &Noise::off());
            let image = image(&config, 2, &device);
            let (query, weights) = model.query_with_weights(image.clone(), &text);
            let plain = model.pooled(model.fuse(image, &text, None));
            query.into_data().assert_approx_eq::<f32>(&plain.into_data(), Tolerance::absolute(1e-5));
            let [b, t, l] = weights.dims();
            assert_eq!([b, t, l], [2, config.image_tokens(), 7]);
            assert!(values(weights.clone().sum_dim(2)).iter().all(|sum| (sum - 1.0).abs() < 1e-5));
            let hidden: f32 = weights.slice([0..1, 0..t, 3..l]).sum().into_scalar();
            assert_eq!(hidden, 0.0);
        }
    }

    #[test]
    fn a_fused_target_is_the_query_with_an_empty_text_and_a_pooled_one_is_not() {
        let device = Device::flex();
        device.seed(6);
        for target in [TargetForm::Fused, TargetForm::Pooled] {
            let config = config(FusionForm::Attention, Pooling::SetTransformer, target);
            let (mut model, reader) =
                (Concept::new(&config, &device).unwrap(), TextReader::new(&config, WORDS).unwrap());
            // BERT's spread is small: without this a text changes next to nothing.
            for block in &mut model.fusion {
                block.attention.output.weight = block.attention.output.weight.clone().map(|weight| weight * 50.0);
            }
            let (silence, red) = (reader.tokens(""), reader.tokens("red"));
            let (image, off) = (image(&config, 3, &device), Noise::off());
            let rows = model.target(&image, 3, &reader.batch([&silence], &device), &off);
            assert_eq!(rows.dims(), [3, 1, config.projection]);
            let rows = values(rows);
            let asked = |text| values(model.query(Some(&image), &reader.batch([text; 3], &device), &off));
            let apart = |other: &[f32]| rows.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!(apart(&asked(&silence)) < 1e-6, target == TargetForm::Fused);
            assert!(apart(&asked(&red)) > 1e-3);
            let alone = values(model.query(None, &reader.batch([&red, &silence], &device), &off));
            let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
            assert!(alone.chunks(config.projection).all(|row| (norm(row) - 1.0).abs() < 1e-5));
            assert_eq!(model.text.projection.is_some(), config.method.family().is_dual_encoder());
        }
    }
}
