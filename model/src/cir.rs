//! The model of SPRC and PTHA behind one interface: encode an image, fuse it with a modifier, embed a target, embed a
//! text, score.

use crate::config::{CirConfig, ReadOut, SecondPassMask};
use crate::nn::basic::{Norm, fold, linear, table};
use crate::nn::{ImageKeys, Noise, QFormer, TextBatch};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};

/// Epsilon of `ln_vision`.
const IMAGE_NORM_EPS: f64 = 1e-5;
/// Keeps the norm of a zero vector from dividing by zero (PyTorch's `F.normalize`).
const NORMALISE_EPS: f64 = 1e-12;

/// Everything that trains: all but the frozen image encoder.
#[derive(Module, Debug)]
pub struct Cir {
    /// Checkpoint key `ln_vision`.
    pub image_norm: Norm,
    /// Checkpoint key `Qformer.bert`.
    pub qformer: QFormer,
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
    mean_read_out: bool,
    attend_padding: bool,
}

impl Cir {
    /// A randomly initialised model.
    pub fn new(config: &CirConfig, device: &Device) -> Self {
        let q = &config.qformer;
        Self {
            image_norm: Norm::new(config.image_width(), IMAGE_NORM_EPS, device),
            qformer: QFormer::new(config, device),
            query_tokens: table(q.query_tokens, q.width, device),
            prompt_tokens: table(q.query_tokens, q.width, device),
            vision_projection: linear(q.width, config.projection, device),
            text_projection: linear(q.width, config.projection, device),
            temperature: Param::from_tensor(Tensor::full([1], config.temperature, device)),
            mean_read_out: config.read_out == ReadOut::MeanPromptCls,
            attend_padding: config.second_pass_mask == SecondPassMask::AllOnes,
        }
    }

    /// Keys and values of image tokens `[B, T, C]`, straight from E_I.
    pub fn image_keys(&self, tokens: Tensor<3>) -> ImageKeys {
        self.qformer.image_keys(self.image_norm.forward(tokens))
    }

    fn queries(&self, batch: usize) -> Tensor<3> {
        let tokens = self.query_tokens.val();
        let [n, d] = tokens.dims();
        tokens.unsqueeze::<3>().expand([batch, n, d])
    }

    /// f_r2t = E_M(image, text), the implicit prototype (eq. 3): `[B, N, D]`.
    pub fn fuse(&self, image: &ImageKeys, text: &TextBatch, noise: &Noise) -> Tensor<3> {
        let [b, _] = text.ids.dims();
        let queries = self.queries(b);
        let n = queries.dims()[1];
        self.qformer.fuse(queries, text, image, noise, None).slice([0..b, 0..n])
    }

    /// f_q = E_T(f_r2t, text) (eq. 4), read out, projected and L2-normalised: `[B, P]`.
    pub fn compose(&self, prompt: Tensor<3>, text: &TextBatch, noise: &Noise) -> Tensor<2> {
        let [b, n, d] = prompt.dims();
        let bias = if self.attend_padding { text.bias.zeros_like() } else { text.bias.clone() };
        let hidden = self.qformer.prompt(prompt, text, bias, noise, None);
        let read = if self.mean_read_out {
            hidden.slice([0..b, 0..n + 1]).mean_dim(1).reshape([b, d])
        } else {
            hidden.slice([0..b, n..n + 1]).reshape([b, d])
        };
        normalise(self.text_projection.forward(read))
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
        normalise(self.text_projection.forward(hidden.slice([0..b, 0..1]).reshape([b, d])))
    }
}

/// L2-normalises the rows of `[R, P]`.
pub fn normalise(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt().clamp_min(NORMALISE_EPS);
    x / norm
}

/// Maximum over the N target tokens of the cosine (eq. 7): query `[B, P]`, targets `[M, N, P]`, both normalised →
/// `[B, M]`.
pub fn similarity(query: Tensor<2>, targets: Tensor<3>) -> Tensor<2> {
    let [m, n, p] = targets.dims();
    let b = query.dims()[0];
    query.matmul(targets.reshape([m * n, p]).transpose()).reshape([b, m, n]).max_dim(2).reshape([b, m])
}
