//! Low-rank changes of a frozen decoder's linear maps (LoRA: Hu et al., arXiv 2106.09685): `y = x·W + (x·A)·B`. The paper's
//! decoder has none; a small one needs them to take up a collection's manner of speaking.

use super::config::LlamaConfig;
use super::decode::Decoder;
use super::llama::{Block, Cache, Llama, Maps, RmsNorm, flat, unflat};
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor};
use thisbut_kernels as kernels;
use thisbut_model::nn::basic::{apply, table};

/// A map's change, of rank r.
#[derive(Module, Debug)]
pub struct LowRank {
    /// `[d_in, r]`; PEFT's `lora_A`, transposed.
    pub a: Param<Tensor<2>>,
    /// `[r, d_out]`; PEFT's `lora_B`, transposed. 0 at the start.
    pub b: Param<Tensor<2>>,
}

impl LowRank {
    fn new(d_in: usize, rank: usize, d_out: usize, device: &Device) -> Self {
        Self { a: table(d_in, rank, device), b: Param::from_tensor(Tensor::zeros([rank, d_out], device)) }
    }

    /// x `[R, d_in]` → `[R, d_out]`.
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        kernels::linear(kernels::linear(x, self.a.val(), None), self.b.val(), None)
    }

    fn merge(&self, map: Linear) -> Linear {
        let change = self.a.val().matmul(self.b.val());
        let changed = |weight: Tensor<2>| {
            let precision = FloatDType::from(weight.dtype());
            (weight.cast(FloatDType::F32) + change.cast(FloatDType::F32)).cast(precision)
        };
        Linear { weight: map.weight.map(changed), ..map }
    }
}

/// The changes of a block.
#[derive(Module, Debug)]
pub struct BlockAdapters {
    /// Of [`Block::query`].
    pub query: LowRank,
    /// Of [`Block::key`].
    pub key: LowRank,
    /// Of [`Block::value`].
    pub value: LowRank,
    /// Of [`Block::output`].
    pub output: LowRank,
    /// Of [`Block::gate`].
    pub gate: LowRank,
    /// Of [`Block::up`].
    pub up: LowRank,
    /// Of [`Block::down`].
    pub down: LowRank,
}

impl BlockAdapters {
    fn of(&self, which: Which) -> &LowRank {
        which.of([&self.query, &self.key, &self.value, &self.output, &self.gate, &self.up, &self.down])
    }

    /// The block with the changes in its weights.
    pub(super) fn merge(&self, block: Block) -> Block {
        Block {
            query: self.query.merge(block.query),
            key: self.key.merge(block.key),
            value: self.value.merge(block.value),
            output: self.output.merge(block.output),
            gate: self.gate.merge(block.gate),
            up: self.up.merge(block.up),
            down: self.down.merge(block.down),
            ..block
        }
    }
}

/// The changes of a decoder.
#[derive(Module, Debug)]
pub struct Adapters {
    /// Block by block.
    pub blocks: Vec<BlockAdapters>,
}

impl Adapters {
    /// Changes of rank `rank` that change nothing yet.
    pub fn new(config: &LlamaConfig, rank: usize, device: &Device) -> Self {
        let (w, f) = (config.width, config.intermediate);
        let (q, k) = (config.heads * config.head_width, config.key_heads * config.head_width);
        let low = |d_in: usize, d_out: usize| LowRank::new(d_in, rank, d_out, device);
        let block = |_| BlockAdapters {
            query: low(w, q),
            key: low(w, k),
            value: low(w, k),
            output: low(q, w),
            gate: low(w, f),
            up: low(w, f),
            down: low(f, w),
        };
        Self { blocks: (0..config.layers).map(block).collect() }
    }

    /// The decoder with the changes in its weights.
    #[must_use]
    pub fn merge(&self, mut decoder: Llama) -> Llama {
        let blocks = decoder.blocks.into_iter().zip(&self.blocks);
        decoder.blocks = blocks.map(|(block, changes)| changes.merge(block)).collect();
        decoder
    }
}

/// A linear map of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// [`Block::query`].
    Query,
    /// [`Block::key`].
    Key,
    /// [`Block::value`].
    Value,
    /// [`Block::output`].
    Output,
    /// [`Block::gate`].
    Gate,
    /// [`Block::up`].
    Up,
    /// [`Block::down`].
    Down,
}

impl Which {
    /// Every map; each one's place is its number.
    pub const ALL: [Self; 7] = [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// Its own of seven, which stand in the order of [`Which::ALL`].
    fn of<T>(self, all: [&T; 7]) -> &T {
        all[self as usize]
    }
}

impl Block {
    /// One of its maps.
    pub(super) fn linear(&self, which: Which) -> &Linear {
        which.of([&self.query, &self.key, &self.value, &self.output, &self.gate, &self.up, &self.down])
    }
}

/// A block that does not train, whatever its maps are computed in.
pub trait Frozen: Sync {
    /// The norms before attention and before the feed-forward network.
    fn norms(&self) -> [&RmsNorm; 2];
    /// One of its maps, x `[R, d_in]` → `[R, d_out]`.
    fn map(&self, which: Which, x: Tensor<2>) -> Tensor<2>;
}

impl Frozen for Block {
    fn norms(&self) -> [&RmsNorm; 2] {
        [&self.attention_norm, &self.mlp_norm]
    }

    fn map(&self, which: Which, x: Tensor<2>) -> Tensor<2> {
        apply(self.linear(which), x)
    }
}

/// A frozen block with its changes beside it.
struct Pair<'a, F> {
    frozen: &'a F,
    adapters: Option<&'a BlockAdapters>,
}

impl<F: Frozen> Pair<'_, F> {
    /// One of the maps, x `[R, d_in]` → `[R, d_out]`.
    fn map(&self, which: Which, x: &Tensor<2>) -> Tensor<2> {
        let plain = self.frozen.map(which, x.clone());
        match self.adapters {
            Some(adapters) => plain + adapters.of(which).forward(x.clone()),
            None => plain,
        }
    }
}

impl<F: Frozen> Maps for Pair<'_, F> {
    fn attended(&self, x: &Tensor<3>) -> [Tensor<3>; 3] {
        let [norm, _] = self.frozen.norms();
        let (rows, x) = flat(norm.forward(x.clone()));
        [Which::Query, Which::Key, Which::Value].map(|which| unflat(rows, self.map(which, &x)))
    }

    fn output(&self, x: Tensor<3>) -> Tensor<3> {
        let (rows, x) = flat(x);
        unflat(rows, self.map(Which::Output, &x))
    }

    fn feed_forward(&self, x: &Tensor<3>) -> Tensor<3> {
        let [_, norm] = self.frozen.norms();
        let (rows, x) = flat(norm.forward(x.clone()));
        let hidden = kernels::swiglu(self.map(Which::Gate, &x), self.map(Which::Up, &x));
        unflat(rows, self.map(Which::Down, &hidden))
    }
}

/// A frozen decoder with its changes beside it, for training.
pub struct Adapted<'a, F = Block> {
    decoder: &'a Llama,
    blocks: Vec<Pair<'a, F>>,
}

impl<'a, F: Frozen> Adapted<'a, F> {
    /// `blocks` are those of `decoder`, in whatever they are computed in.
    pub fn new(decoder: &'a Llama, blocks: &'a [F], adapters: Option<&'a Adapters>) -> Self {
        let adapters = |i: usize| adapters.and_then(|all| all.blocks.get(i));
        let pair = |(i, frozen)| Pair { frozen, adapters: adapters(i) };
        Self { decoder, blocks: blocks.iter().enumerate().map(pair).collect() }
    }
}

impl<F: Frozen> Decoder for Adapted<'_, F> {
    fn embed(&self, rows: &[Vec<u32>]) -> Tensor<3> {
        self.decoder.embed(rows)
    }

    fn forward(&self, x: Tensor<3>, real: &[Vec<bool>], cache: Option<&mut Cache>) -> Tensor<3> {
        self.decoder.norm.forward(self.decoder.heads().run(&self.blocks, x, real, cache))
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.decoder.logits(hidden)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::quantized::FrozenBlock;
    use super::*;
    use burn::module::{ModuleMapper, Param};
    use burn::tensor::TensorData;

    fn config() -> LlamaConfig {
        let json = r#"{ "model_type": "llama", "hidden_size": 96, "intermediate_size": 160, "num_hidden_layers": 2,
            "num_attention_heads": 6, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 64 }"#;
        LlamaConfig::from_hugging_face(json, "config.json").unwrap()
    }

    fn noise<const R: usize>(dims: [usize; R], seed: u32, size: f32, device: &Device) -> Tensor<R> {
        let count: usize = dims.iter().product();
        let mut state = u64::from(seed) << 32 | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) * size
        };
        let values: Vec<f32> = (0..count).map(|_| next()).collect();
        Tensor::from_data(TensorData::new(values, dims), device)
    }

    /// Inside the gradient's graph, with changes that change something.
    fn parts(device: &Device) -> (Llama, Adapters) {
        struct Fill<'a>(u32, &'a Device);
        impl ModuleMapper for Fill<'_> {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                self.0 += 1;
                let trained = param.is_require_grad();
                param.map(|x| match D {
                    1 => x,
                    _ => noise(x.dims(), self.0, 0.2, self.1).set_require_grad(trained),
                })
            }
        }
        let config = config();
        let decoder = Llama::new(&config, device).map(&mut Fill(0, device));
        (decoder.no_grad(), Adapters::new(&config, 3, device).map(&mut Fill(100, device)))
    }

    fn values<const R: usize>(x: Tensor<R>) -> Vec<f32> {
        x.into_data().try_into_vec().unwrap()
    }

    fn furthest(a: &[f32], b: &[f32]) -> f32 {
        assert!(a.len() == b.len() && a.iter().any(|v| *v != 0.0));
        let largest = a.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        a.iter().zip(b).fold(0.0f32, |m, (x, y)| m.max((x - y).abs())) / largest
    }

    #[test]
    fn changes_beside_a_decoder_and_in_its_weights_say_the_same() {
        let device = Device::flex();
        let (decoder, adapters) = parts(&device);
        let x = noise([2, 5, 96], 7, 1.0, &device);
        let real = vec![vec![true; 5]; 2];
        let beside = values(Adapted::new(&decoder, &decoder.blocks, Some(&adapters)).forward(x.clone(), &real, None));
        let plain = values(decoder.forward(x.clone(), &real, None));
        let none = values(Adapted::new(&decoder, &decoder.blocks, None).forward(x.clone(), &real, None));
        assert_eq!(plain, none);
        assert!(furthest(&plain, &beside) > 0.05);
        let fresh = Adapters::new(&config(), 3, &device);
        let fresh = Adapted::new(&decoder, &decoder.blocks, Some(&fresh)).forward(x.clone(), &real, None);
        assert_eq!(plain, values(fresh));
        assert!(furthest(&values(adapters.merge(decoder).forward(x, &real, None)), &beside) < 2e-6);
    }

    #[test]
    fn gradients_through_8_bits_point_where_those_in_32_do() {
        let device = Device::flex();
        let inside = device.clone().autodiff();
        let (decoder, adapters) = parts(&inside);
        let blocks = FrozenBlock::of(&parts(&device).0, &decoder).unwrap();
        let x = noise([2, 5, 96], 7, 1.0, &inside).require_grad();
        let weights = noise([2, 5, 96], 8, 1.0, &inside);
        let real = vec![vec![true; 5]; 2];
        let gradients = |y: Tensor<3>| {
            let found = (y * weights.clone()).sum().backward();
            let low = &adapters.blocks[0];
            let own =
                [&low.query.a, &low.value.b, &low.down.a, &low.gate.b].map(|p| values(p.val().grad(&found).unwrap()));
            [vec![values(x.grad(&found).unwrap())], own.to_vec()].concat()
        };
        let exact = gradients(Adapted::new(&decoder, &decoder.blocks, Some(&adapters)).forward(x.clone(), &real, None));
        let rough = gradients(Adapted::new(&decoder, &blocks, Some(&adapters)).forward(x.clone(), &real, None));
        for (exact, rough) in exact.iter().zip(&rough) {
            assert_ne!(exact, rough);
            assert!(furthest(exact, rough) < 0.05, "{}", furthest(exact, rough));
        }
    }
}
