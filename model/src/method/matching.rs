//! The matching family: query and candidate are the Q-Former's outputs, mixed to twelve rows that are compared pair by pair
//! (FashionBLIP-2).
//!
//! FashionBLIP-2: FACap: A Large-scale Fashion Dataset for Fine-grained Composed Image Retrieval, section 4. A query is one pass
//! over image and text, a candidate one over the image; there is no second pass. Adapters stand in the image encoder
//! ([`crate::nn::adapter`]).

use super::{Attention, EncodedImage, Method};
use crate::config::{MatchingScore, RetrievalConfig, TextForm};
use crate::error::Result;
use crate::nn::basic::{Norm, apply, fold, for_each, in_precision, linear, normalise, table};
use crate::nn::qformer::IMAGE_NORM_EPS;
use crate::nn::rollout::{Flow, pairs};
use crate::nn::{ImageKeys, Noise, QFormer, TextBatch};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};

/// Everything beside the image encoder.
#[derive(Module, Debug)]
pub struct Matching {
    /// Checkpoint key `ln_vision`.
    pub image_norm: Norm,
    /// Checkpoint key `Qformer.bert`.
    pub qformer: QFormer,
    /// `[n_q, D]`; checkpoint key `query_tokens`.
    pub query_tokens: Param<Tensor<2>>,
    /// W_tm, as `[n_q, n_t]` without a bias (eq. 2); shared by query and candidate.
    pub token_mixing: Option<Linear>,
    /// W_cm, `[D, d_c]` without a bias (eq. 3); shared by query and candidate.
    pub channel_mixing: Option<Linear>,
    /// `[n_t · d_c, P]` without a bias: the directions of a row that are kept of it, where that is not all of it.
    pub axes: Option<Linear>,
    /// τ `[1]`, a divisor of the paper's score.
    pub tau: Param<Tensor<1>>,
    #[module(skip)]
    text_form: TextForm,
}

impl Matching {
    /// A randomly initialised model.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the configuration is another family's.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Result<Self> {
        let (own, c) = (config.matching()?, config.image_width());
        let q = &own.qformer;
        let mixer =
            |from, to| (own.score == MatchingScore::Heads).then(|| Linear { bias: None, ..linear(from, to, device) });
        Ok(Self {
            image_norm: Norm::new(config.image_encoder.own_width(), IMAGE_NORM_EPS, device),
            qformer: QFormer::new(q, config.text.vocabulary(), c, device),
            query_tokens: table(q.query_tokens, q.width, device),
            token_mixing: mixer(q.query_tokens, own.heads),
            channel_mixing: mixer(q.width, own.head_width),
            axes: own.axes.map(|kept| Linear { bias: None, ..linear(own.row(), kept, device) }),
            tau: Param::from_tensor(Tensor::full([1], own.temperature, device)),
            text_form: own.text_form,
        })
    }

    /// The same model computing in `precision`, τ apart. Under autodiff the gradients arrive at this model's own f32
    /// parameters.
    pub fn in_precision(&self, precision: FloatDType) -> Self {
        Self { tau: self.tau.clone(), ..in_precision(self, precision) }
    }

    /// Keys and values of image tokens `[B, T, C]`, straight from E_I.
    pub fn image_keys(&self, tokens: Tensor<3>) -> ImageKeys {
        self.qformer.image_keys(self.image_norm.forward_first(tokens))
    }

    /// x_q `[B, n_q, D]` of images with texts.
    pub fn fuse(&self, image: &ImageKeys, text: &TextBatch, noise: &Noise) -> Tensor<3> {
        let queries = for_each(&self.query_tokens, text.ids.dims()[0]);
        let [b, n, _] = queries.dims();
        self.qformer.fuse(queries, text, image, noise, None).slice([0..b, 0..n])
    }

    /// x_c `[B, n_q, D]` of `count` images.
    pub fn look(&self, image: &ImageKeys, count: usize, noise: &Noise) -> Tensor<3> {
        self.qformer.look(for_each(&self.query_tokens, count), image, noise, None)
    }

    /// The row `[B, P]` of outputs `[B, n_q, D]`, L2-normalised: the dot product of two is the mean of their heads' cosines, the
    /// paper's score divided by n_t (eq. 4).
    pub fn matched(&self, outputs: Tensor<3>) -> Tensor<2> {
        let [b, _, d] = outputs.dims();
        let (Some(tokens), Some(_)) = (&self.token_mixing, &self.channel_mixing) else {
            return self.narrowed(normalise(outputs.mean_dim(1).reshape([b, d])));
        };
        self.heads(fold(tokens, outputs.swap_dims(1, 2)).swap_dims(1, 2))
    }

    /// Channel mixing of rows `[B, n_t, D]`, each then of length 1/√n_t, behind each other: `[B, P]`.
    fn heads(&self, rows: Tensor<3>) -> Tensor<2> {
        let [b, heads, _] = rows.dims();
        let mixed = match &self.channel_mixing {
            Some(map) => fold(map, rows),
            None => rows,
        };
        let width = mixed.dims()[2];
        let rows = normalise(mixed.reshape([b * heads, width])).reshape([b, heads * width]) / (heads as f64).sqrt();
        self.narrowed(rows)
    }

    /// Whole rows `[B, n_t · d_c]` along the axes that are kept, L2-normalised again.
    fn narrowed(&self, rows: Tensor<2>) -> Tensor<2> {
        match &self.axes {
            Some(axes) => normalise(apply(axes, rows)),
            None => rows,
        }
    }

    /// What queries looked at, by attention rollout ([`crate::nn::rollout`]) to the mean of the query tokens, as pairs too.
    pub fn looked(&self, image: &ImageKeys, text: &TextBatch) -> Attention {
        let queries = for_each(&self.query_tokens, text.ids.dims()[0]);
        let [b, n, _] = queries.dims();
        let bias = Tensor::cat(vec![Tensor::zeros([b, n], &queries.device()), text.bias.clone()], 1);
        let mut states = Vec::new();
        self.qformer.fuse(queries, text, image, &Noise::off(), Some(&mut states));
        let looked = self.qformer.looked(&states, &bias, Some((image, n)));
        let (image, text) = Flow::through(&looked, n).of(0..n);
        Attention { image, text, pairs: pairs(&looked, n) }
    }

    /// Texts alone, `[B, P]`, L2-normalised.
    pub fn text_only(&self, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let b = text.ids.dims()[0];
        match self.text_form {
            TextForm::Queries => {
                let queries = for_each(&self.query_tokens, b);
                let n = queries.dims()[1];
                let hidden = self.qformer.prompt(queries, text, text.bias.clone(), noise, None);
                self.matched(hidden.slice([0..b, 0..n]))
            }
            TextForm::Cls => {
                let hidden = self.qformer.read(None, text, noise, None);
                let (first, d) = (hidden.clone().slice([0..b, 0..1]), hidden.dims()[2]);
                let heads = self.token_mixing.as_ref().map_or(1, |map| map.weight.dims()[1]);
                self.heads(first.expand([b, heads, d]))
            }
        }
    }
}

impl Method for Matching {
    type Image = ImageKeys;

    fn image(&self, encoded: EncodedImage) -> ImageKeys {
        self.image_keys(encoded.tokens)
    }

    fn query(&self, image: Option<&ImageKeys>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        match image {
            Some(image) => self.matched(self.fuse(image, text, noise)),
            None => self.text_only(text, noise),
        }
    }

    fn target(&self, image: &ImageKeys, count: usize, _: &TextBatch, noise: &Noise) -> Tensor<3> {
        let rows = self.matched(self.look(image, count, noise));
        let p = rows.dims()[1];
        rows.reshape([count, 1, p])
    }

    fn attention(&self, image: &ImageKeys, text: &TextBatch) -> Option<Attention> {
        Some(self.looked(image, text))
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::{Distribution, Tolerance};

    fn model(score: MatchingScore, form: TextForm) -> (Matching, RetrievalConfig) {
        let device = Device::flex();
        device.seed(7);
        let mut config = RetrievalConfig::preset("tiny-fashion").unwrap();
        let own = config.matching_mut().unwrap();
        (own.score, own.text_form) = (score, form);
        config.projection = own.projection();
        config.check("the test").unwrap();
        (Matching::new(&config, &device).unwrap(), config)
    }

    #[test]
    fn the_dot_product_of_two_rows_is_the_papers_score() {
        let (model, config) = model(MatchingScore::Heads, TextForm::Queries);
        let (own, device) = (config.matching().unwrap(), Device::flex());
        let shape = [3, own.qformer.query_tokens, own.qformer.width];
        let [x, y] = [1.0, 2.0].map(|spread| Tensor::<3>::random(shape, Distribution::Normal(0.1, spread), &device));
        let score = (model.matched(x.clone()) * model.matched(y.clone())).sum_dim(1) * own.heads as f64;
        // As the paper writes it: W_tm × x × W_cm, then a cosine for each of the n_t rows.
        let mixed = |x: Tensor<3>| {
            let tokens = model.token_mixing.as_ref().unwrap().weight.val().transpose().unsqueeze::<3>();
            let channels = model.channel_mixing.as_ref().unwrap().weight.val().unsqueeze::<3>();
            tokens.expand([3, own.heads, own.qformer.query_tokens]).matmul(x).matmul(channels.expand([
                3,
                own.qformer.width,
                own.head_width,
            ]))
        };
        let (x, y) = (mixed(x), mixed(y));
        let length = |x: &Tensor<3>| (x.clone() * x.clone()).sum_dim(2).sqrt();
        let cosines = (x.clone() * y.clone()).sum_dim(2) / (length(&x) * length(&y));
        let expected = cosines.sum_dim(1).reshape([3, 1]);
        score.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn rows_of_every_form_are_normalised_and_padding_changes_nothing() {
        let device = Device::flex();
        for score in [MatchingScore::Heads, MatchingScore::Global] {
            for form in [TextForm::Queries, TextForm::Cls] {
                let (model, config) = model(score, form);
                let shape = [2, config.image_tokens(), config.image_width()];
                let tokens = Tensor::<3>::random(shape, Distribution::Normal(0.0, 1.0), &device);
                let image = model.image_keys(tokens);
                let row = |mask: usize| (vec![2, 9, 5, 3, 0, 0], (0..6).map(|at| at < mask).collect::<Vec<_>>());
                let short = TextBatch::new(&[row(4), row(4)], &device);
                let long = TextBatch::padded(&[row(4), row(4)], 6, &device);
                let off = Noise::off();
                let targets = model.target(&image, 2, &short, &off);
                assert_eq!(targets.dims(), [2, 1, config.projection]);
                let rows = [
                    targets.reshape([2, config.projection]),
                    model.query(Some(&image), &short, &off),
                    model.query(None, &short, &off),
                ];
                for rows in rows {
                    let lengths = (rows.clone() * rows).sum_dim(1);
                    let ones = Tensor::<2>::ones([2, 1], &device).into_data();
                    lengths.into_data().assert_approx_eq::<f32>(&ones, Tolerance::absolute(1e-5));
                }
                for image in [Some(&image), None] {
                    let [a, b] = [&short, &long].map(|text| model.query(image, text, &off).into_data());
                    a.assert_approx_eq::<f32>(&b, Tolerance::absolute(1e-5));
                }
            }
        }
    }
}
