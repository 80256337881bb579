//! The Q-Former in the four call patterns of SPRC and PTHA.
//!
//! One BERT with cross-attention in every other block and two feed-forward networks a block, one for query tokens and
//! one for text. The second pass (prompt and text, no image) sends *every* position through the text network: the
//! reference code branches on "is there an image", so stock BLIP-2 cannot run this pattern.

use super::basic::{Attention, FeedForward, Norm, apply, fold, linear, table};
use super::noise::Noise;
use crate::config::QFormerConfig;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Int, Tensor, TensorData};
use std::ops::Range;
use thisbut_kernels as kernels;

/// Epsilon of `ln_vision`, the norm over image tokens before the Q-Former.
pub const IMAGE_NORM_EPS: f64 = 1e-5;
/// Added to the scores of hidden positions, as in BERT.
pub(super) const HIDDEN: f32 = -10_000.0;

/// A batch of tokenised texts.
#[derive(Clone, Debug)]
pub struct TextBatch {
    /// WordPiece ids `[B, L]`, `[CLS] … [SEP]`, padded.
    pub ids: Tensor<2, Int>,
    /// `[B, L]`: 0 for a token, −10000 for padding.
    pub bias: Tensor<2>,
    /// `[B]`: the place of each text's last token, its end mark, among the B · L positions of all.
    pub ends: Tensor<1, Int>,
    /// Places that an image's pseudo-words take in every row, where the texts have such.
    pub slots: Option<Range<usize>>,
}

impl TextBatch {
    /// A batch on `device` from rows of ids and their masks (true: a token), of one length. Rows are cut to the longest text of the
    /// batch: hidden padding changes nothing but the time taken.
    pub fn new(rows: &[(Vec<u32>, Vec<bool>)], device: &Device) -> Self {
        let longest = rows.iter().map(|(_, mask)| mask.iter().filter(|m| **m).count()).max().unwrap_or(1).max(1);
        Self::padded(rows, longest, device)
    }

    /// As [`TextBatch::new`], with every row `longest` long: for a second pass that attends to padding.
    pub fn padded(rows: &[(Vec<u32>, Vec<bool>)], longest: usize, device: &Device) -> Self {
        let mut ids = Vec::with_capacity(rows.len() * longest);
        let mut bias = Vec::with_capacity(rows.len() * longest);
        let mut ends = Vec::with_capacity(rows.len());
        for (at, (row, mask)) in rows.iter().enumerate() {
            assert_eq!(row.len(), mask.len(), "each id has its place in the mask");
            // Rows may be shorter than the longest of the batch: the rest is hidden.
            ids.extend((0..longest).map(|i| row.get(i).map_or(0, |id| *id as i32)));
            bias.extend((0..longest).map(|i| if mask.get(i).is_some_and(|real| *real) { 0.0 } else { HIDDEN }));
            let end = mask.iter().take(longest).rposition(|real| *real).unwrap_or(0);
            ends.push((at * longest + end) as i32);
        }
        Self {
            ids: kernels::from_ids(ids, [rows.len(), longest], device),
            bias: kernels::from_values(bias, [rows.len(), longest], device),
            ends: kernels::from_ids(ends, [rows.len()], device),
            slots: None,
        }
    }
}

#[cfg(feature = "autodiff")]
impl TextBatch {
    /// The same batch outside the gradient's graph.
    pub fn inner(&self) -> Self {
        let Self { ids, bias, ends, slots } = self.clone();
        Self { ids: ids.inner(), bias: bias.inner(), ends: ends.inner(), slots }
    }
}

/// Keys and values of one image batch for each block that looks at the image; computed once, used by several passes.
#[derive(Clone, Debug)]
pub struct ImageKeys(Vec<(Tensor<3>, Tensor<3>)>);

impl ImageKeys {
    /// The keys of images `range` of the batch.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        Self(self.0.iter().map(|(k, v)| (k.clone().slice([range.clone()]), v.clone().slice([range.clone()]))).collect())
    }

    /// These images' keys followed by another batch's, row by row: the keys of both images' tokens side by side.
    pub fn join(&self, other: &Self) -> Self {
        let side_by_side = |a: &Tensor<3>, b: &Tensor<3>| Tensor::cat(vec![a.clone(), b.clone()], 1);
        Self(self.0.iter().zip(&other.0).map(|(a, b)| (side_by_side(&a.0, &b.0), side_by_side(&a.1, &b.1))).collect())
    }

    /// The keys of images `rows` of the batch, in that order.
    pub fn select(&self, rows: &[usize]) -> Self {
        let chosen = |x: &Tensor<3>| {
            let index: Vec<i32> = rows.iter().map(|r| *r as i32).collect();
            x.clone().select(0, Tensor::from_data(TensorData::new(index, [rows.len()]), &x.device()))
        };
        Self(self.0.iter().map(|(k, v)| (chosen(k), chosen(v))).collect())
    }

    /// The same keys outside the gradient's graph.
    #[cfg(feature = "autodiff")]
    pub fn inner(&self) -> Self {
        Self(self.0.iter().map(|(k, v)| (k.clone().inner(), v.clone().inner())).collect())
    }
}

/// What the positions of one block looked at: attention's weights, the mean over the heads, in f32.
#[derive(Clone, Debug)]
pub struct Looked {
    /// `[B, n, n]`: each position at all of them.
    pub own: Tensor<3>,
    /// `[B, N, T]`: the query tokens at the image tokens, in a block that looks at the image.
    pub image: Option<Tensor<3>>,
}

fn heads_mean(weights: Tensor<4>) -> Tensor<3> {
    let [b, _, n, m] = weights.dims();
    weights.mean_dim(1).reshape([b, n, m])
}

/// One block.
#[derive(Module, Debug)]
pub struct Block {
    /// Checkpoint key `attention`.
    pub attention: Attention,
    /// Checkpoint key `crossattention`; in every `cross_attention_every`-th block.
    pub cross: Option<Attention>,
    /// Checkpoint keys `intermediate`, `output`.
    pub text: FeedForward,
    /// Checkpoint keys `intermediate_query`, `output_query`.
    pub query: FeedForward,
}

/// The Q-Former.
#[derive(Module, Debug)]
pub struct QFormer {
    /// `[vocabulary, word width]`; checkpoint key `embeddings.word_embeddings`.
    pub word: Param<Tensor<2>>,
    /// Word width → D, where they differ.
    pub word_projection: Option<Linear>,
    /// `[positions, D]`; checkpoint key `embeddings.position_embeddings`.
    pub position: Param<Tensor<2>>,
    /// Checkpoint key `embeddings.LayerNorm`.
    pub norm: Norm,
    /// C → image width, where the configuration has one.
    pub image_projection: Option<Linear>,
    /// Checkpoint key `encoder.layer`.
    pub blocks: Vec<Block>,
}

/// Which feed-forward network the positions go through.
enum Paths<'a> {
    /// The first `N` are queries (own network, cross-attention), the rest text.
    Image { keys: &'a ImageKeys, queries: usize },
    /// All are text.
    Text,
}

impl QFormer {
    /// A randomly initialised Q-Former with `vocabulary` word embeddings, over image tokens of width `image_width` (C).
    pub fn new(q: &QFormerConfig, vocabulary: usize, image_width: usize, device: &Device) -> Self {
        let words = q.word_width.unwrap_or(q.width);
        let source = q.image_width.unwrap_or(image_width);
        Self {
            word: table(vocabulary, words, device),
            word_projection: (words != q.width).then(|| linear(words, q.width, device)),
            position: table(q.positions, q.width, device),
            norm: Norm::new(q.width, q.layer_norm_eps, device),
            image_projection: q.image_width.map(|width| linear(image_width, width, device)),
            blocks: (0..q.layers)
                .map(|i| Block {
                    attention: Attention::new(q.width, q.width, q.heads, q.layer_norm_eps, device),
                    cross: (i % q.cross_attention_every == 0)
                        .then(|| Attention::new(q.width, source, q.heads, q.layer_norm_eps, device)),
                    text: FeedForward::new(q.width, q.intermediate, q.layer_norm_eps, device),
                    query: FeedForward::new(q.width, q.intermediate, q.layer_norm_eps, device),
                })
                .collect(),
        }
    }

    /// Keys and values of image tokens `[B, T, C]` (after `ln_vision`).
    pub fn image_keys(&self, tokens: Tensor<3>) -> ImageKeys {
        let tokens = match &self.image_projection {
            Some(map) => fold(map, tokens),
            None => tokens,
        };
        ImageKeys(self.blocks.iter().filter_map(|b| b.cross.as_ref()).map(|c| c.keys(tokens.clone())).collect())
    }

    /// Pattern 1, fusion: queries `[B, N, D]` and text look at each other, the queries also at the image.
    /// Returns every position, `[B, N + L, D]`; the first N are the prompt f_r2t.
    pub fn fuse(
        &self,
        queries: Tensor<3>,
        text: &TextBatch,
        keys: &ImageKeys,
        noise: &Noise,
        trace: Trace,
    ) -> Tensor<3> {
        let [b, n, _] = queries.dims();
        let x = Tensor::cat(vec![queries.clone(), self.embed_text(text, 0)], 1);
        let bias = Tensor::cat(vec![Tensor::zeros([b, n], &queries.device()), text.bias.clone()], 1);
        self.run(x, bias, Paths::Image { keys, queries: n }, noise, trace)
    }

    /// Pattern 2, image only: queries `[B, N, D]` look at the image. Returns `[B, N, D]`.
    pub fn look(&self, queries: Tensor<3>, keys: &ImageKeys, noise: &Noise, trace: Trace) -> Tensor<3> {
        let [b, n, _] = queries.dims();
        let bias = Tensor::zeros([b, n], &queries.device());
        self.run(queries, bias, Paths::Image { keys, queries: n }, noise, trace)
    }

    /// Pattern 3, the second pass: the prompt `[B, N, D]` before the text, no image, text networks for all.
    /// `bias` `[B, L]` is the text's own, or zeros to attend to padding too. Returns `[B, N + L, D]`.
    pub fn prompt(
        &self,
        prompt: Tensor<3>,
        text: &TextBatch,
        bias: Tensor<2>,
        noise: &Noise,
        trace: Trace,
    ) -> Tensor<3> {
        let [b, n, _] = prompt.dims();
        let zeros = Tensor::zeros([b, n], &prompt.device());
        let x = Tensor::cat(vec![prompt, self.embed_text(text, 0)], 1);
        self.run(x, Tensor::cat(vec![zeros, bias], 1), Paths::Text, noise, trace)
    }

    /// Pattern 4, text only: `[CLS]`, then the learned prompt tokens `[N, D]`, then the rest of the text, with positions
    /// for all. With no prompt tokens this is plain BERT. Returns `[B, N + L, D]`; position 0 is `[CLS]`.
    pub fn read(&self, prompt: Option<Tensor<2>>, text: &TextBatch, noise: &Noise, trace: Trace) -> Tensor<3> {
        let [b, l] = text.ids.dims();
        let words = self.embed_words(text);
        let (x, bias) = match prompt {
            None => (words, text.bias.clone()),
            Some(prompt) => {
                let [n, d] = prompt.dims();
                let prompt = prompt.unsqueeze::<3>().expand([b, n, d]);
                let split = |x: Tensor<3>| (x.clone().slice([0..b, 0..1]), x.slice([0..b, 1..l]));
                let (first, rest) = split(words);
                let bias = text.bias.clone();
                let zeros = Tensor::zeros([b, n], &bias.device());
                let bias = Tensor::cat(vec![bias.clone().slice([0..b, 0..1]), zeros, bias.slice([0..b, 1..l])], 1);
                (Tensor::cat(vec![first, prompt, rest], 1), bias)
            }
        };
        let n = x.dims()[1];
        let x = x + self.position.val().narrow(0, 0, n).unsqueeze::<3>();
        self.run(x, bias, Paths::Text, noise, trace)
    }

    /// What each block's positions looked at, from the hidden states that a pass has left in its trace. `bias` `[B, n]` is that
    /// pass's, over all of its positions; `image` its keys with the number of query tokens N, where it had an image.
    pub fn looked(&self, states: &[Tensor<3>], bias: &Tensor<2>, image: Option<(&ImageKeys, usize)>) -> Vec<Looked> {
        let mut keys = image.iter().flat_map(|(keys, _)| keys.0.iter());
        let queries = image.map_or(0, |(_, queries)| queries);
        let look = |(block, x): (&Block, &Tensor<3>)| {
            let own = block.attention.keys(x.clone());
            let weights = heads_mean(block.attention.weights(x.clone(), own.0.clone(), bias.clone()));
            let image =
                block.cross.as_ref().zip(block.cross.as_ref().and_then(|_| keys.next())).map(|(cross, keys)| {
                    let [b, t, _] = keys.0.dims();
                    let attended = block.attention.forward(x.clone(), own, bias.clone(), &Noise::off());
                    let seen = Tensor::zeros([b, t], &x.device());
                    heads_mean(cross.weights(attended.slice([0..b, 0..queries]), keys.0.clone(), seen))
                });
            Looked { own: weights, image }
        };
        self.blocks.iter().zip(states).map(look).collect()
    }

    /// Word embeddings `[B, L, D]`.
    fn embed_words(&self, text: &TextBatch) -> Tensor<3> {
        let [b, l] = text.ids.dims();
        let words = self.word.val().select(0, text.ids.clone().reshape([b * l]));
        let words = match &self.word_projection {
            Some(map) => apply(map, words),
            None => words,
        };
        let d = words.dims()[1];
        words.reshape([b, l, d])
    }

    /// Word and position embeddings, positions from `first`.
    fn embed_text(&self, text: &TextBatch, first: usize) -> Tensor<3> {
        let l = text.ids.dims()[1];
        self.embed_words(text) + self.position.val().narrow(0, first, l).unsqueeze::<3>()
    }

    fn run(&self, x: Tensor<3>, bias: Tensor<2>, paths: Paths, noise: &Noise, mut trace: Trace) -> Tensor<3> {
        let mut x = noise.apply(self.norm.forward(x));
        let mut keys = match &paths {
            Paths::Image { keys, .. } => keys.0.iter(),
            Paths::Text => [].iter(),
        };
        let [b, n, _] = x.dims();
        if let Some(trace) = trace.as_deref_mut() {
            trace.push(x.clone());
        }
        for block in &self.blocks {
            let own = block.attention.keys(x.clone());
            let attended = block.attention.forward(x, own, bias.clone(), noise);
            x = match &paths {
                Paths::Text => block.text.forward(attended, noise),
                Paths::Image { queries, .. } => {
                    let queries = *queries;
                    let mut q = attended.clone().slice([0..b, 0..queries]);
                    if let (Some(cross), Some(keys)) = (&block.cross, block.cross.as_ref().and_then(|_| keys.next())) {
                        let seen = Tensor::zeros([b, keys.0.dims()[1]], &q.device());
                        q = cross.forward(q, keys.clone(), seen, noise);
                    }
                    let q = block.query.forward(q, noise);
                    if n == queries {
                        q
                    } else {
                        Tensor::cat(vec![q, block.text.forward(attended.slice([0..b, queries..n]), noise)], 1)
                    }
                }
            };
            if let Some(trace) = trace.as_deref_mut() {
                trace.push(x.clone());
            }
        }
        x
    }
}

/// Where a forward pass leaves its hidden states, embeddings first, for comparison with the reference.
pub type Trace<'a> = Option<&'a mut Vec<Tensor<3>>>;
