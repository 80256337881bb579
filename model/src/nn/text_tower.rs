//! Text towers of dual encoders: CLIP's (causal, pre-norm, read at the end token) and BERT (BLIP's, MiniLM's).
//!
//! A tower starts from word embeddings, not from ids, so that learned pseudo-words can stand between real ones.
//! Neither normalises its row. Sources: CLIP's `model.py` (`encode_text`), BLIP's `med.py` and `blip_retrieval.py`.

use super::Noise;
use super::basic::{Attention, FeedForward, Norm, apply, linear, table};
use super::pre_norm::{BlockShape, PreNormBlock};
use super::qformer::{HIDDEN, Trace};
use crate::config::text_tower::CLIP_EPS;
use crate::config::{BertTowerConfig, ClipTowerConfig, TextReadOut, TextTowerConfig};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor};

/// One post-norm block of BERT.
#[derive(Module, Debug)]
pub struct BertBlock {
    /// Checkpoint key `attention`.
    pub attention: Attention,
    /// Checkpoint keys `intermediate`, `output`.
    pub feed: FeedForward,
}

/// What a tower reads as a text's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReadAt {
    End,
    First,
    Mean,
}

/// A text encoder from word embeddings to one row `[P]`.
#[derive(Module, Debug)]
pub struct TextTower {
    /// `[vocabulary, word width]`; checkpoint keys `token_embedding`, `embeddings.word_embeddings`.
    pub word: Param<Tensor<2>>,
    /// Word width → D, where they differ.
    pub word_projection: Option<Linear>,
    /// `[positions, D]`; checkpoint keys `positional_embedding`, `embeddings.position_embeddings`.
    pub position: Param<Tensor<2>>,
    /// CLIP's `ln_final`, after the blocks; BERT's `embeddings.LayerNorm`, before them.
    pub norm: Norm,
    /// CLIP's; checkpoint keys `transformer.resblocks`, `encoder.layers`.
    pub blocks: Vec<PreNormBlock>,
    /// BERT's; checkpoint key `encoder.layer`.
    pub layers: Vec<BertBlock>,
    /// `[D, P]`, where texts are read as one row; checkpoint keys `text_projection`, without a bias, and BLIP's `text_proj`.
    pub projection: Option<Linear>,
    #[module(skip)]
    read_at: ReadAt,
}

impl TextTower {
    /// A randomly initialised tower with `vocabulary` word embeddings, to rows of width `projection` (P); without one for a
    /// method that reads its tokens alone.
    pub fn new(config: &TextTowerConfig, vocabulary: usize, projection: Option<usize>, device: &Device) -> Self {
        match config {
            TextTowerConfig::Clip(tower) => Self::clip(tower, vocabulary, projection, device),
            TextTowerConfig::Bert(tower) => Self::bert(tower, vocabulary, projection, device),
        }
    }

    fn clip(config: &ClipTowerConfig, vocabulary: usize, projection: Option<usize>, device: &Device) -> Self {
        let d = config.width;
        let shape = BlockShape {
            width: d,
            heads: config.heads,
            intermediate: config.intermediate,
            eps: CLIP_EPS,
            activation: config.activation,
            key_bias: true,
            causal: true,
            adapters: None,
        };
        let map = |projection| Linear { bias: None, ..linear(d, projection, device) };
        Self {
            word: table(vocabulary, d, device),
            word_projection: None,
            position: table(config.positions, d, device),
            norm: Norm::new(d, CLIP_EPS, device),
            blocks: (0..config.layers).map(|_| PreNormBlock::new(&shape, device)).collect(),
            layers: Vec::new(),
            projection: projection.map(map),
            read_at: ReadAt::End,
        }
    }

    fn bert(config: &BertTowerConfig, vocabulary: usize, projection: Option<usize>, device: &Device) -> Self {
        let (d, eps) = (config.width, config.layer_norm_eps);
        let words = config.word_width.unwrap_or(d);
        let layer = || BertBlock {
            attention: Attention::new(d, d, config.heads, eps, device),
            feed: FeedForward::new(d, config.intermediate, eps, device),
        };
        Self {
            word: table(vocabulary, words, device),
            word_projection: (words != d).then(|| linear(words, d, device)),
            position: table(config.positions, d, device),
            norm: Norm::new(d, eps, device),
            blocks: Vec::new(),
            layers: (0..config.layers).map(|_| layer()).collect(),
            projection: projection.map(|projection| linear(d, projection, device)),
            read_at: match config.read_out {
                TextReadOut::Cls => ReadAt::First,
                TextReadOut::Mean => ReadAt::Mean,
            },
        }
    }

    /// Word embeddings `[B, L, D]` of ids `[B, L]`, without positions: what [`TextTower::forward`] starts from.
    pub fn words(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [b, l] = ids.dims();
        let words = self.word.val().select(0, ids.reshape([b * l]));
        let words = match &self.word_projection {
            Some(map) => apply(map, words),
            None => words,
        };
        let d = words.dims()[1];
        words.reshape([b, l, d])
    }

    /// Texts `[B, P]` (`[B, D]` without a projection), not normalised, of word embeddings `[B, L, D]`. `bias` `[B, L]` is 0 for a token and −10000 for
    /// padding, which is all that stands after the end token; `ends` `[B]` is the place of each text's end token among the B · L. Of `noise`, BERT
    /// takes dropout; CLIP's tower has none.
    pub fn forward(&self, words: Tensor<3>, bias: Tensor<2>, ends: Tensor<1, Int>, noise: &Noise) -> Tensor<2> {
        let row = match self.read_at {
            ReadAt::End => self.read_end(words, bias, ends),
            ReadAt::Mean => mean(self.hidden(words, bias.clone(), noise, None), bias),
            ReadAt::First => {
                let x = self.hidden(words, bias, noise, None);
                let [b, _, d] = x.dims();
                x.slice([0..b, 0..1, 0..d]).reshape([b, d])
            }
        };
        match &self.projection {
            Some(map) => apply(map, row),
            None => row,
        }
    }

    /// CLIP's row `[B, D]`. The last block is computed for the end tokens alone: they see everything that is not padding.
    fn read_end(&self, words: Tensor<3>, bias: Tensor<2>, ends: Tensor<1, Int>) -> Tensor<2> {
        let mut x = self.embed(words, &Noise::off());
        let [b, l, d] = x.dims();
        let at_ends = |x: &Tensor<3>| x.clone().reshape([b * l, d]).select(0, ends.clone()).reshape([b, 1, d]);
        let read = match self.blocks.split_last() {
            None => at_ends(&x),
            Some((last, before)) => {
                for block in before {
                    x = block.forward(x, bias.clone());
                }
                let at = at_ends(&x);
                last.forward_at(x, at, bias)
            }
        };
        self.norm.forward(read).reshape([b, d])
    }

    /// Every position after the last norm, `[B, L, D]`, as [`TextTower::forward`] sees them before it reads one out. `trace`
    /// receives what enters the first block, then every block's output.
    pub fn forward_tokens(&self, words: Tensor<3>, bias: Tensor<2>, noise: &Noise, trace: Trace) -> Tensor<3> {
        let x = self.hidden(words, bias, noise, trace);
        match self.read_at {
            ReadAt::End => self.norm.forward(x),
            ReadAt::First | ReadAt::Mean => x,
        }
    }

    /// What enters the first block.
    fn embed(&self, words: Tensor<3>, noise: &Noise) -> Tensor<3> {
        let l = words.dims()[1];
        let x = words + self.position.val().narrow(0, 0, l).unsqueeze::<3>();
        match self.read_at {
            ReadAt::End => x,
            ReadAt::First | ReadAt::Mean => noise.apply(self.norm.forward(x)),
        }
    }

    /// After the last block, before CLIP's last norm.
    fn hidden(&self, words: Tensor<3>, bias: Tensor<2>, noise: &Noise, mut trace: Trace) -> Tensor<3> {
        let mut x = self.embed(words, noise);
        let mut see = |x: &Tensor<3>| {
            if let Some(trace) = trace.as_deref_mut() {
                trace.push(x.clone());
            }
        };
        see(&x);
        for block in &self.blocks {
            x = block.forward(x, bias.clone());
            see(&x);
        }
        for layer in &self.layers {
            let keys = layer.attention.keys(x.clone());
            x = layer.feed.forward(layer.attention.forward(x, keys, bias.clone(), noise), noise);
            see(&x);
        }
        x
    }
}

/// The mean `[B, D]` of the positions of x `[B, L, D]` that `bias` `[B, L]` does not hide.
fn mean(x: Tensor<3>, bias: Tensor<2>) -> Tensor<2> {
    let [b, l, d] = x.dims();
    let seen = bias * (-1.0 / f64::from(HIDDEN)) + 1.0;
    let seen = seen.cast(burn::tensor::FloatDType::from(x.dtype())).reshape([b, l, 1]);
    let count = seen.clone().sum_dim(1).clamp_min(1.0);
    ((x * seen).sum_dim(1) / count).reshape([b, d])
}

#[cfg(all(test, feature = "flex", feature = "autodiff"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::Activation;
    use crate::nn::TextBatch;
    use burn::tensor::{Distribution, Tolerance};

    fn clip() -> TextTowerConfig {
        let activation = Activation::QuickGelu;
        TextTowerConfig::Clip(ClipTowerConfig {
            layers: 2,
            width: 16,
            heads: 2,
            intermediate: 32,
            activation,
            positions: 9,
        })
    }

    fn bert(read_out: TextReadOut) -> TextTowerConfig {
        let (layers, width, heads, intermediate, positions) = (2, 16, 2, 32, 9);
        let (word_width, layer_norm_eps) = (Some(8), 1e-12);
        TextTowerConfig::Bert(BertTowerConfig {
            layers,
            width,
            heads,
            intermediate,
            word_width,
            positions,
            read_out,
            layer_norm_eps,
        })
    }

    /// Two texts, of five and three tokens.
    fn texts(device: &Device) -> (TextBatch, Tensor<1, Int>) {
        let rows = [(vec![2, 9, 5, 6, 3], vec![true; 5]), (vec![2, 7, 3, 0, 0], vec![true, true, true, false, false])];
        (TextBatch::new(&rows, device), Tensor::from_data([4, 5 + 2], device))
    }

    #[test]
    fn padding_changes_nothing_and_the_count_is_the_modules() {
        let device = Device::flex();
        device.seed(3);
        for config in [clip(), bert(TextReadOut::Cls), bert(TextReadOut::Mean)] {
            config.check("x.json", "text_tower", 9).unwrap();
            assert!(config.check("x.json", "text_tower", 10).unwrap_err().to_string().contains("text_tower.positions"));
            let tower = TextTower::new(&config, 11, Some(6), &device);
            let shapes = crate::weights::shapes(&tower, "");
            let sum = |all: bool| {
                let of = shapes.values().filter(|dims| all || dims.len() == 1);
                of.map(|dims| dims.iter().product::<usize>() as u64).sum::<u64>()
            };
            let size = config.size(11, Some(6));
            assert_eq!([size.parameters, size.standing], [sum(true), sum(false)]);

            let (batch, ends) = texts(&device);
            let together = tower.forward(tower.words(batch.ids), batch.bias, ends, &Noise::off());
            assert_eq!(together.dims(), [2, 6]);
            let alone = TextBatch::new(&[(vec![2, 7, 3], vec![true; 3])], &device);
            let ends = Tensor::from_data([2], &device);
            let alone = tower.forward(tower.words(alone.ids), alone.bias, ends, &Noise::off());
            let second = together.slice([1..2, 0..6]).into_data();
            second.assert_approx_eq::<f32>(&alone.into_data(), Tolerance::absolute(1e-6));
        }
    }

    /// The gradient of a sum of rows, along one direction of the word embeddings, is the difference quotient.
    #[test]
    fn gradients_reach_the_words() {
        let plain = Device::flex();
        plain.seed(4);
        let device = plain.clone().autodiff();
        for config in [clip(), bert(TextReadOut::Cls), bert(TextReadOut::Mean)] {
            let tower = TextTower::new(&config, 11, Some(6), &device);
            let (batch, ends) = texts(&device);
            let words = Tensor::<3>::random([2, 5, 16], Distribution::Normal(0.0, 1.0), &plain);
            let direction = Tensor::<3>::random([2, 5, 16], Distribution::Normal(0.0, 1.0), &plain);
            let weigh = Tensor::<2>::random([2, 6], Distribution::Normal(0.0, 1.0), &plain);
            let value = |words: Tensor<3>| {
                let rows = tower.forward(words, batch.bias.clone(), ends.clone(), &Noise::off());
                (rows * Tensor::from_inner(weigh.clone())).sum()
            };
            let start = Tensor::from_inner(words.clone()).require_grad();
            let grads = value(start.clone()).backward();
            let along: f32 = (start.grad(&grads).unwrap() * direction.clone()).sum().into_scalar();
            let step = 1e-3;
            let at = |sign: f64| {
                value(Tensor::from_inner(words.clone() + direction.clone() * (sign * step))).into_scalar::<f32>()
            };
            let quotient = (at(1.0) - at(-1.0)) / (2.0 * step as f32);
            assert!((along - quotient).abs() < 1e-2 * along.abs().max(0.01), "{along} {quotient}");
            let table = tower.projection.as_ref().unwrap().weight.val().grad(&grads).unwrap();
            assert!(table.abs().sum().into_scalar::<f32>() > 0.0);
        }
    }
}
