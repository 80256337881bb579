//! The Llama architecture: rotary positions, RMSNorm, SwiGLU, grouped-query attention, and a cache of keys and values.

use super::config::LlamaConfig;
use super::decode::Decoder;
use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use rayon::prelude::*;
use thisbut_kernels as kernels;
use thisbut_model::nn::basic::{apply, fold, table};

/// Added to the scores of hidden positions.
const HIDDEN: f32 = -10_000.0;
/// Positions by which a cache grows; on a device that compiles for shapes, each size is one more.
const PAGE: usize = 64;

/// A linear map without a bias.
fn linear(d_in: usize, d_out: usize, device: &Device) -> Linear {
    LinearConfig::new(d_in, d_out).with_bias(false).init(device)
}

/// Root-mean-square norm over the last dimension.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[W]`.
    pub gamma: Param<Tensor<1>>,
    eps: f64,
}

impl RmsNorm {
    fn new(width: usize, eps: f64, device: &Device) -> Self {
        Self { gamma: Param::from_tensor(Tensor::ones([width], device)), eps }
    }

    /// `[B, n, W]` → `[B, n, W]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [b, n, w] = x.dims();
        kernels::rms_norm(x.reshape([b * n, w]), self.gamma.val(), self.eps).reshape([b, n, w])
    }
}

/// One block.
#[derive(Module, Debug)]
pub struct Block {
    /// Before attention.
    pub attention_norm: RmsNorm,
    /// W → heads · head width.
    pub query: Linear,
    /// W → key heads · head width.
    pub key: Linear,
    /// W → key heads · head width.
    pub value: Linear,
    /// heads · head width → W.
    pub output: Linear,
    /// Before the feed-forward network.
    pub mlp_norm: RmsNorm,
    /// W → intermediate, through SiLU.
    pub gate: Linear,
    /// W → intermediate.
    pub up: Linear,
    /// intermediate → W.
    pub down: Linear,
}

/// A decoder.
#[derive(Module, Debug)]
pub struct Llama {
    /// Token table `[V, W]`.
    pub tokens: Param<Tensor<2>>,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// After the last block.
    pub norm: RmsNorm,
    /// W → V, where the token table is not used for it.
    pub head: Option<Linear>,
    heads: usize,
    key_heads: usize,
    head_width: usize,
    rope_base: f64,
}

/// Keys and values of the positions seen so far, for a batch.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    /// Per block, keys and values `[B, capacity, key heads · head width]`.
    layers: Vec<Option<(Tensor<3>, Tensor<3>)>>,
    /// Per row, which of the positions so far are real.
    real: Vec<Vec<bool>>,
    capacity: usize,
}

impl Cache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// Positions so far.
    pub fn len(&self) -> usize {
        self.real.first().map_or(0, Vec::len)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Positions that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// B.
    pub fn rows(&self) -> usize {
        self.real.len()
    }

    /// The cache whose row i is this one's row `rows[i]`.
    #[must_use]
    pub fn select(mut self, rows: &[usize]) -> Self {
        let chosen = |x: Tensor<3>| {
            let index: Vec<i32> = rows.iter().map(|r| *r as i32).collect();
            let index = Tensor::<1, Int>::from_data(TensorData::new(index, [rows.len()]), &x.device());
            x.select(0, index)
        };
        let both = |layer: Option<(Tensor<3>, Tensor<3>)>| layer.map(|(k, v)| (chosen(k), chosen(v)));
        self.layers = self.layers.into_par_iter().map(both).collect();
        self.real = rows.iter().map(|r| self.real[*r].clone()).collect();
        self
    }

    /// Room for `count` more positions in every layer.
    fn reserve(&mut self, layers: usize, count: usize) {
        self.layers.resize(layers, None);
        let needed = self.len() + count;
        if needed > self.capacity {
            // By halves, so that a long answer is copied a bounded number of times a position.
            self.capacity = needed.max(self.capacity * 3 / 2).div_ceil(PAGE) * PAGE;
        }
    }

    /// Puts keys and values `[B, n, ·]` after the `past` positions of a layer and gives all of them, `[B, capacity, ·]`.
    fn append(&mut self, layer: usize, past: usize, keys: Tensor<3>, values: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        let Some(slot) = self.layers.get_mut(layer) else { return (keys, values) };
        let capacity = self.capacity;
        let [b, n, d] = keys.dims();
        let place = |old: Option<Tensor<3>>, new: Tensor<3>| {
            let room = match old {
                Some(old) if old.dims()[1] == capacity => old,
                old => {
                    let room = Tensor::<3>::zeros([b, capacity, d], &new.device()).cast(FloatDType::from(new.dtype()));
                    match old {
                        Some(old) => room.slice_assign([0..b, 0..past], old.slice([0..b, 0..past])),
                        None => room,
                    }
                }
            };
            // In place where nothing else holds the room.
            room.slice_assign([0..b, past..past + n], new)
        };
        let (old_keys, old_values) = slot.take().unzip();
        let both = (place(old_keys, keys), place(old_values, values));
        *slot = Some(both.clone());
        both
    }
}

impl Llama {
    /// A randomly initialised decoder. Its matrices take no memory before they are used or loaded.
    pub fn new(config: &LlamaConfig, device: &Device) -> Self {
        let (w, f) = (config.width, config.intermediate);
        let (q, k) = (config.heads * config.head_width, config.key_heads * config.head_width);
        let norm = || RmsNorm::new(w, config.norm_eps.into(), device);
        Self {
            tokens: table(config.vocabulary, w, device),
            blocks: (0..config.layers)
                .map(|_| Block {
                    attention_norm: norm(),
                    query: linear(w, q, device),
                    key: linear(w, k, device),
                    value: linear(w, k, device),
                    output: linear(q, w, device),
                    mlp_norm: norm(),
                    gate: linear(w, f, device),
                    up: linear(w, f, device),
                    down: linear(f, w, device),
                })
                .collect(),
            norm: norm(),
            head: (!config.tied).then(|| linear(w, config.vocabulary, device)),
            heads: config.heads,
            key_heads: config.key_heads,
            head_width: config.head_width,
            rope_base: config.rope_base.into(),
        }
    }

    /// Embeddings `[B, n, W]` of tokens, every row of one length.
    pub fn embed(&self, rows: &[Vec<u32>]) -> Tensor<3> {
        let table = self.tokens.val();
        let (b, n) = (rows.len(), rows.first().map_or(0, Vec::len));
        assert!(rows.iter().all(|row| row.len() == n), "rows of tokens have one length");
        let ids: Vec<i32> = rows.iter().flatten().map(|id| *id as i32).collect();
        let ids = Tensor::<1, Int>::from_data(TensorData::new(ids, [b * n]), &table.device());
        let w = table.dims()[1];
        table.select(0, ids).reshape([b, n, w])
    }

    /// Hidden states `[B, n, W]` after the last norm, for embeddings x `[B, n, W]` of the next n positions; see
    /// [`Decoder::forward`].
    pub fn forward(&self, x: Tensor<3>, real: &[Vec<bool>], cache: Option<&mut Cache>) -> Tensor<3> {
        self.norm.forward(self.heads().run(&self.blocks, x, real, cache))
    }

    /// How attention is cut.
    pub(super) fn heads(&self) -> Attention {
        let Self { heads, key_heads, head_width, rope_base, .. } = *self;
        Attention { heads, key_heads, head_width, rope_base }
    }

    /// Logits `[R, V]` of hidden states `[R, W]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => apply(head, hidden),
            None => hidden.matmul(self.tokens.val().transpose()),
        }
    }
}

impl Decoder for Llama {
    fn embed(&self, rows: &[Vec<u32>]) -> Tensor<3> {
        self.embed(rows)
    }

    fn forward(&self, x: Tensor<3>, real: &[Vec<bool>], cache: Option<&mut Cache>) -> Tensor<3> {
        self.forward(x, real, cache)
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.logits(hidden)
    }
}

/// The linear maps of a block with what stands directly before or between them.
pub(super) trait Maps {
    /// Query, key and value of hidden states `[B, n, W]`, before rotation.
    fn attended(&self, x: &Tensor<3>) -> [Tensor<3>; 3];
    /// What attention found, `[B, n, heads · head width]` → `[B, n, W]`.
    fn output(&self, x: Tensor<3>) -> Tensor<3>;
    /// The feed-forward network, `[B, n, W]` → `[B, n, W]`.
    fn feed_forward(&self, x: &Tensor<3>) -> Tensor<3>;
}

/// x `[B, n, W]` as one matrix `[B · n, W]`, and its B and n.
pub(super) fn flat(x: Tensor<3>) -> ([usize; 2], Tensor<2>) {
    let [b, n, w] = x.dims();
    ([b, n], x.reshape([b * n, w]))
}

/// [`flat`] undone.
pub(super) fn unflat([b, n]: [usize; 2], x: Tensor<2>) -> Tensor<3> {
    let w = x.dims()[1];
    x.reshape([b, n, w])
}

impl Maps for Block {
    fn attended(&self, x: &Tensor<3>) -> [Tensor<3>; 3] {
        let normed = self.attention_norm.forward(x.clone());
        [&self.query, &self.key, &self.value].map(|map| fold(map, normed.clone()))
    }

    fn output(&self, x: Tensor<3>) -> Tensor<3> {
        fold(&self.output, x)
    }

    fn feed_forward(&self, x: &Tensor<3>) -> Tensor<3> {
        let normed = self.mlp_norm.forward(x.clone());
        fold(&self.down, kernels::swiglu(fold(&self.gate, normed.clone()), fold(&self.up, normed)))
    }
}

/// What a decoder does besides its linear maps, whatever those are computed in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attention {
    heads: usize,
    key_heads: usize,
    head_width: usize,
    rope_base: f64,
}

impl Attention {
    /// Hidden states after the last block; see [`Decoder::forward`].
    pub fn run<M: Maps>(
        &self,
        blocks: &[M],
        x: Tensor<3>,
        real: &[Vec<bool>],
        mut cache: Option<&mut Cache>,
    ) -> Tensor<3> {
        let device = x.device();
        let [b, n, _] = x.dims();
        let past = cache.as_ref().map_or(0, |c| c.len());
        let mut all: Vec<Vec<bool>> = cache.as_ref().map_or_else(Vec::new, |c| c.real.clone());
        all.resize(b, Vec::new());
        for (row, real) in all.iter_mut().zip(real) {
            row.extend(real);
        }
        if let Some(cache) = cache.as_deref_mut() {
            cache.reserve(blocks.len(), n);
            cache.real.clone_from(&all);
        }
        let m = cache.as_ref().map_or(n, |c| c.capacity);
        let bias = self.bias(&all, m, &device);
        let (cos, sin) = self.angles(&all, past, n, &device);
        let mut x = x;
        for (layer, block) in blocks.iter().enumerate() {
            let [query, key, value] = block.attended(&x);
            let query = kernels::rotate(query, cos.clone(), sin.clone(), self.heads);
            let key = kernels::rotate(key, cos.clone(), sin.clone(), self.key_heads);
            let (key, value) = match cache.as_deref_mut() {
                Some(cache) => cache.append(layer, past, key, value),
                None => (key, value),
            };
            let heads = kernels::Heads { query: self.heads, key: self.key_heads, past: Some(past) };
            x = x + block.output(kernels::causal_attention(query, key, value, bias.clone(), heads));
            let more = block.feed_forward(&x);
            x = x + more;
        }
        x
    }

    /// What hides padding and the cache's empty room: `[B, m]`.
    fn bias(&self, real: &[Vec<bool>], m: usize, device: &Device) -> Tensor<2> {
        let hidden = |row: &Vec<bool>, at: usize| if row.get(at) == Some(&true) { 0.0 } else { HIDDEN };
        let values: Vec<f32> = real.iter().flat_map(|row| (0..m).map(move |at| hidden(row, at))).collect();
        Tensor::from_data(TensorData::new(values, [real.len(), m]), device)
    }

    /// Cosines and sines of the rotary angles of n positions after `past`: `[B, n, head width / 2]`, or `[1, n, ·]` when
    /// all rows agree.
    fn angles(&self, real: &[Vec<bool>], past: usize, n: usize, device: &Device) -> (Tensor<3>, Tensor<3>) {
        let half = self.head_width / 2;
        let positions: Vec<Vec<usize>> = real
            .iter()
            .map(|row| {
                let mut next = row.iter().take(past).filter(|r| **r).count();
                let step = |r: &bool| {
                    let at = next;
                    next += usize::from(*r);
                    at
                };
                row.iter().skip(past).take(n).map(step).collect()
            })
            .collect();
        let rows = if positions.windows(2).all(|w| w[0] == w[1]) { 1 } else { positions.len() };
        let frequencies: Vec<f32> =
            (0..half).map(|i| (1.0 / self.rope_base.powf(2.0 * i as f64 / self.head_width as f64)) as f32).collect();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in positions.iter().take(rows).flatten() {
            for frequency in &frequencies {
                // Rounded to f32 before the cosine, as upstream's table is.
                let angle = f64::from(*position as f32 * frequency);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let tensor = |values: Vec<f32>| Tensor::from_data(TensorData::new(values, [rows, n, half]), device);
        (tensor(cos), tensor(sin))
    }
}
