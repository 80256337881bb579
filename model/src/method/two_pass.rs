//! The two-pass Q-Former of SPRC, PTHA and SPN4CIR: fuse image and modifier, read the result before the modifier again.

use super::{Attention, EncodedImage, Method};
use crate::config::{ReadOut, RetrievalConfig, SecondPassMask};
use crate::error::Result;
use crate::nn::basic::{Norm, apply, fold, for_each, in_precision, linear, normalise, table};
use crate::nn::qformer::IMAGE_NORM_EPS;
use crate::nn::rollout::{Flow, pairs};
use crate::nn::{ImageKeys, Noise, QFormer, TextBatch};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};

/// Everything that trains: all but the frozen image encoder.
#[derive(Module, Debug)]
pub struct TwoPass {
    /// Checkpoint key `ln_vision`.
    pub image_norm: Norm,
    /// Checkpoint key `Qformer.bert`.
    pub qformer: QFormer,
    /// The second pass's own Q-Former, where the configuration has one.
    pub second: Option<QFormer>,
    /// `[N, D]`; checkpoint key `query_tokens`.
    pub query_tokens: Param<Tensor<2>>,
    /// `[N, D]`; checkpoint key `prompt_tokens`.
    pub prompt_tokens: Param<Tensor<2>>,
    /// D → P for targets; checkpoint key `vision_proj`.
    pub vision_projection: Linear,
    /// D → P for queries; checkpoint key `text_proj`.
    pub text_projection: Linear,
    /// τ `[1]`, a divisor; checkpoint key `temp`.
    pub temperature: Param<Tensor<1>>,
    #[module(skip)]
    read_out: ReadOut,
    attend_padding: bool,
}

impl TwoPass {
    /// A randomly initialised model.
    ///
    /// # Errors
    /// [`ModelError::Config`](crate::ModelError::Config) when the configuration is another family's.
    pub fn new(config: &RetrievalConfig, device: &Device) -> Result<Self> {
        let own = config.two_pass()?;
        let q = &own.qformer;
        let qformer = || QFormer::new(q, config.text.vocabulary(), config.image_width(), device);
        Ok(Self {
            image_norm: Norm::new(config.image_encoder.own_width(), IMAGE_NORM_EPS, device),
            qformer: qformer(),
            second: own.own_second_pass.then(qformer),
            query_tokens: table(q.query_tokens, q.width, device),
            prompt_tokens: table(q.query_tokens, q.width, device),
            vision_projection: linear(q.width, config.projection, device),
            text_projection: linear(q.width, config.projection, device),
            temperature: Param::from_tensor(Tensor::full([1], own.temperature, device)),
            read_out: own.read_out,
            attend_padding: own.second_pass_mask == SecondPassMask::AllOnes,
        })
    }

    /// The same model computing in `precision`, τ apart. Under autodiff the gradients arrive at this model's own f32
    /// parameters: mixed precision with f32 master weights. Norms, softmax and everything after the projections stay in
    /// f32.
    pub fn in_precision(&self, precision: FloatDType) -> Self {
        Self { temperature: self.temperature.clone(), ..in_precision(self, precision) }
    }

    /// Keys and values of image tokens `[B, T, C]`, straight from E_I.
    pub fn image_keys(&self, tokens: Tensor<3>) -> ImageKeys {
        self.qformer.image_keys(self.image_norm.forward_first(tokens))
    }

    fn queries(&self, batch: usize) -> Tensor<3> {
        for_each(&self.query_tokens, batch)
    }

    /// f_r2t = E_M(image, text), the implicit prototype (eq. 3): `[B, N, D]`.
    pub fn fuse(&self, image: &ImageKeys, text: &TextBatch, noise: &Noise) -> Tensor<3> {
        let [b, _] = text.ids.dims();
        let queries = self.queries(b);
        let n = queries.dims()[1];
        self.qformer.fuse(queries, text, image, noise, None).slice([0..b, 0..n])
    }

    /// f_q = E_T(f_r2t, text) (eq. 4), read out, projected and L2-normalised: `[B, P]`. With
    /// [`ReadOut::Prototype`] the prompt is read out as it is.
    pub fn compose(&self, prompt: Tensor<3>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let [b, n, d] = prompt.dims();
        if self.read_out == ReadOut::Prototype {
            return normalise(apply(&self.text_projection, prompt.mean_dim(1).reshape([b, d])));
        }
        let hidden = self.reading().prompt(prompt, text, self.second_bias(text), noise, None);
        let read = if self.read_out == ReadOut::MeanPromptCls {
            hidden.slice([0..b, 0..n + 1]).mean_dim(1).reshape([b, d])
        } else {
            hidden.slice([0..b, n..n + 1]).reshape([b, d])
        };
        normalise(apply(&self.text_projection, read))
    }

    /// E_T of the second pass.
    fn reading(&self) -> &QFormer {
        self.second.as_ref().unwrap_or(&self.qformer)
    }

    /// What the second pass hides of texts, `[B, L]`.
    fn second_bias(&self, text: &TextBatch) -> Tensor<2> {
        if self.attend_padding { text.bias.zeros_like() } else { text.bias.clone() }
    }

    /// What queries looked at, by attention rollout ([`crate::nn::rollout`]) through both passes to the position that is read out.
    /// Pairs are the first pass's: what the query tokens that read a text token look at in the same block.
    pub fn looked(&self, image: &ImageKeys, text: &TextBatch) -> Attention {
        let (b, off) = (text.ids.dims()[0], Noise::off());
        let queries = self.queries(b);
        let n = queries.dims()[1];
        let before = |bias| Tensor::cat(vec![Tensor::zeros([b, n], &text.bias.device()), bias], 1);
        let mut states = Vec::new();
        let hidden = self.qformer.fuse(queries, text, image, &off, Some(&mut states));
        let first = self.qformer.looked(&states, &before(text.bias.clone()), Some((image, n)));
        let flow = Flow::through(&first, n);
        let told = |(image, text)| Attention { image, text, pairs: pairs(&first, n) };
        if self.read_out == ReadOut::Prototype {
            return told(flow.of(0..n));
        }
        let (prompt, bias) = (hidden.slice([0..b, 0..n]), self.second_bias(text));
        let mut states = Vec::new();
        self.reading().prompt(prompt, text, bias.clone(), &off, Some(&mut states));
        let flow = flow.with_fresh_texts(n).on(&self.reading().looked(&states, &before(bias), None));
        let read = if self.read_out == ReadOut::MeanPromptCls { 0..n + 1 } else { n..n + 1 };
        told(flow.of(read))
    }

    /// f_t = E_M(image) (eq. 5), projected and L2-normalised: `[B, N, P]`.
    pub fn target(&self, image: &ImageKeys, batch: usize, noise: &Noise) -> Tensor<3> {
        let hidden = self.qformer.look(self.queries(batch), image, noise, None);
        let projected = fold(&self.vision_projection, hidden);
        let [b, n, p] = projected.dims();
        normalise(projected.reshape([b * n, p])).reshape([b, n, p])
    }

    /// f_m, the text-only feature: `[CLS]` of the text with the learned prompt tokens, `[B, P]`.
    pub fn text_only(&self, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let [b, _] = text.ids.dims();
        let hidden = self.qformer.read(Some(self.prompt_tokens.val()), text, noise, None);
        let d = hidden.dims()[2];
        normalise(apply(&self.text_projection, hidden.slice([0..b, 0..1]).reshape([b, d])))
    }
}

impl Method for TwoPass {
    type Image = ImageKeys;

    fn image(&self, encoded: EncodedImage) -> ImageKeys {
        self.image_keys(encoded.tokens)
    }

    fn query(&self, image: Option<&ImageKeys>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        match image {
            Some(image) => self.compose(self.fuse(image, text, noise), text, noise),
            None => self.text_only(text, noise),
        }
    }

    fn target(&self, image: &ImageKeys, count: usize, _: &TextBatch, noise: &Noise) -> Tensor<3> {
        TwoPass::target(self, image, count, noise)
    }

    fn attention(&self, image: &ImageKeys, text: &TextBatch) -> Option<Attention> {
        Some(self.looked(image, text))
    }
}

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use burn::tensor::{DType, TensorData};

    #[test]
    fn the_prototype_is_read_without_a_second_pass() {
        let device = Device::flex();
        device.seed(5);
        let mut config = RetrievalConfig::preset("tiny").unwrap();
        config.two_pass_mut().unwrap().read_out = ReadOut::Prototype;
        let model = TwoPass::new(&config, &device).unwrap();
        let q = &config.two_pass().unwrap().qformer;
        let shape = [3, q.query_tokens, q.width];
        let prompt = Tensor::<3>::random(shape, burn::tensor::Distribution::Normal(0.0, 1.0), &device);
        let mean = prompt.clone().mean_dim(1).reshape([3, q.width]);
        let expected = normalise(apply(&model.text_projection, mean));
        let text = |ids: [u32; 3]| TextBatch::new(&vec![(ids.to_vec(), vec![true; 3]); 3], &device);
        for text in [text([2, 9, 3]), text([2, 7, 3])] {
            let query = model.compose(prompt.clone(), &text, &Noise::off());
            query.into_data().assert_eq(&expected.clone().into_data(), true);
        }
    }

    #[test]
    fn bfloat16_passes_give_f32_gradients_of_the_same_direction() {
        let config = RetrievalConfig::preset("tiny").unwrap();
        let device = Device::flex();
        device.seed(3);
        let device = device.autodiff();
        let model = TwoPass::new(&config, &device).unwrap();
        let count = 2 * config.image_tokens() * config.image_width();
        let pixels: Vec<f32> = (0..count).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
        let tokens = TensorData::new(pixels, [2, config.image_tokens(), config.image_width()]);
        let rows = [(vec![2, 9, 5, 3], vec![true; 4]), (vec![2, 7, 3, 0], vec![true, true, true, false])];
        let text = TextBatch::new(&rows, &device);
        let run = |computing: &TwoPass| {
            let keys = computing.image_keys(Tensor::from_data(tokens.clone(), &device));
            let noise = Noise::off();
            let query = computing.compose(computing.fuse(&keys, &text, &noise), &text, &noise);
            assert_eq!(query.dtype(), DType::F32);
            let targets = computing.target(&keys, 2, &noise);
            assert_eq!(targets.dtype(), DType::F32);
            let weigh = Tensor::<1, burn::tensor::Int>::arange(0..config.projection as i64, &device)
                .float()
                .sin()
                .unsqueeze::<2>();
            let loss = (query * weigh).sum() + targets.slice([0..1, 0..1, 0..1]).sum();
            let grads = loss.clone().backward();
            let grad = model.text_projection.weight.val().grad(&grads).unwrap();
            assert_eq!(grad.dtype(), DType::F32, "master weights get f32 gradients");
            (loss.into_scalar::<f32>(), grad.into_data().try_to_vec::<f32>().unwrap())
        };
        let (exact, rough) = (run(&model), run(&model.in_precision(FloatDType::BF16)));
        assert_ne!(exact.1, rough.1, "the passes did run in another precision");
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
        let cosine = dot(&exact.1, &rough.1) / (dot(&exact.1, &exact.1) * dot(&rough.1, &rough.1)).sqrt();
        assert!((exact.0 - rough.0).abs() < 0.02 && cosine > 0.99, "loss {} {}, cosine {cosine}", exact.0, rough.0);
    }
}
