//! A decoder whose linear maps are in 8 bits, for answers and for training around it on the CPU. Norms, rotation, attention and
//! its cache are as in [`Llama`].

use super::adapters::{Adapters, Frozen, Which};
use super::decode::Decoder;
use super::llama::{Attention, Block, Cache, Llama, Maps, RmsNorm, flat, unflat};
use super::names::Published;
use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};
use thisbut_kernels::int8::frozen::FrozenMap;
use thisbut_kernels::int8::{Int8Matrix, Order, linear, swiglu, three};
use thisbut_model::error::{ModelError, Result};

/// A block.
struct QuantizedBlock {
    attention_norm: RmsNorm,
    /// Query, key and value.
    attended: [Int8Matrix; 3],
    output: Int8Matrix,
    mlp_norm: RmsNorm,
    gate: Int8Matrix,
    up: Int8Matrix,
    down: Int8Matrix,
}

/// A decoder in 8 bits; see [`thisbut_kernels::int8`].
pub struct QuantizedLlama {
    /// Token table `[V, W]`, and the output map where there is no other.
    tokens: Int8Matrix,
    blocks: Vec<QuantizedBlock>,
    norm: RmsNorm,
    head: Option<Int8Matrix>,
    attention: Attention,
    device: Device,
}

/// A parameter's dimensions and values; the parameter is gone then.
#[allow(clippy::disallowed_methods, reason = "texts are generated natively, where reading back may block")]
fn values(param: Param<Tensor<2>>) -> Result<([usize; 2], Vec<f32>)> {
    let value = param.into_value();
    let dims = value.dims();
    let values = value.into_data().convert::<f32>().try_into_vec::<f32>().map_err(|e| ModelError::Device {
        place: "the language model".into(),
        problem: format!("its weights cannot be read back ({e:?})"),
        mend: "try another device".into(),
    })?;
    Ok((dims, values))
}

fn on_cpu(model: &Llama) -> Result<Device> {
    let device = model.tokens.lazy_device();
    if matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_)) {
        return Ok(device);
    }
    Err(ModelError::Device {
        place: "the language model".into(),
        problem: "its 8-bit form is for the CPU".into(),
        mend: "compute on the CPU, or in f32".into(),
    })
}

fn quantized(map: Linear) -> Result<Int8Matrix> {
    let ([inputs, outputs], values) = values(map.weight)?;
    Ok(Int8Matrix::new(&values, inputs, outputs, Order::InputsFirst))
}

impl QuantizedBlock {
    fn new(block: Block) -> Result<Self> {
        Ok(Self {
            attention_norm: block.attention_norm,
            // Positions that say nothing are attended to most (attention's sinks): an error in their values, which are small
            // beside what they come from, is added to every other position.
            attended: [quantized(block.query)?, quantized(block.key)?, quantized(block.value)?.fine()],
            output: quantized(block.output)?,
            mlp_norm: block.mlp_norm,
            gate: quantized(block.gate)?,
            up: quantized(block.up)?,
            down: quantized(block.down)?,
        })
    }

    fn matrices(&self) -> impl Iterator<Item = &Int8Matrix> {
        self.attended.iter().chain([&self.output, &self.gate, &self.up, &self.down])
    }
}

impl Maps for QuantizedBlock {
    fn attended(&self, x: &Tensor<3>) -> [Tensor<3>; 3] {
        let (rows, x) = flat(self.attention_norm.forward(x.clone()));
        let [query, key, value] = &self.attended;
        three(x, [query, key, value]).map(|y| unflat(rows, y))
    }

    fn output(&self, x: Tensor<3>) -> Tensor<3> {
        let (rows, x) = flat(x);
        unflat(rows, linear(x, &self.output))
    }

    fn feed_forward(&self, x: &Tensor<3>) -> Tensor<3> {
        let (rows, x) = flat(self.mlp_norm.forward(x.clone()));
        unflat(rows, linear(swiglu(x, &self.gate, &self.up), &self.down))
    }
}

/// Gives each part of a decoder its weights.
trait Parts<E> {
    /// The part at `path` with its weights, in f32.
    fn part<M: Module>(&mut self, part: M, path: &str) -> Result<M, E>;
}

/// A decoder that has its weights.
struct Loaded;

impl Parts<ModelError> for Loaded {
    fn part<M: Module>(&mut self, part: M, _: &str) -> Result<M> {
        Ok(part)
    }
}

impl<E: From<ModelError>> Parts<E> for Published<'_, '_, E> {
    fn part<M: Module>(&mut self, part: M, path: &str) -> Result<M, E> {
        self.part(part, path, FloatDType::F32)
    }
}

impl QuantizedLlama {
    /// Quantizes a decoder's matrices, each one's f32 values going as its codes come.
    ///
    /// # Errors
    /// [`ModelError::Device`] for a decoder that is not on the CPU.
    pub fn new(model: Llama) -> Result<Self> {
        Self::of(model, &mut Loaded, None)
    }

    /// A published decoder with `changes` in its weights. No more than a block of it is ever in f32.
    ///
    /// # Errors
    /// As [`Published::load`], and [`ModelError::Device`] for another device than the CPU.
    pub fn load<E: From<ModelError>>(
        mut published: Published<'_, '_, E>,
        changes: Option<&Adapters>,
        device: &Device,
    ) -> Result<Self, E> {
        let model = Llama::new(published.config, device);
        Self::of(model, &mut published, changes)
    }

    /// As [`QuantizedLlama::new`], where `parts` gives each part its weights just before; with `changes` in the weights.
    fn of<E: From<ModelError>>(model: Llama, parts: &mut impl Parts<E>, changes: Option<&Adapters>) -> Result<Self, E> {
        let device = on_cpu(&model)?;
        let attention = model.heads();
        let ([vocabulary, width], table) = values(parts.part(model.tokens, "tokens")?)?;
        let tokens = Int8Matrix::new(&table, width, vocabulary, Order::OutputsFirst);
        drop(table);
        let mut blocks = Vec::with_capacity(model.blocks.len());
        for (at, block) in model.blocks.into_iter().enumerate() {
            let mut block = parts.part(block, &format!("blocks.{at}"))?;
            if let Some(changes) = changes.and_then(|changes| changes.blocks.get(at)) {
                block = changes.merge(block);
            }
            blocks.push(QuantizedBlock::new(block)?);
        }
        let norm = parts.part(model.norm, "norm")?;
        let head = match model.head {
            Some(head) => Some(quantized(parts.part(head, "head")?)?),
            None => None,
        };
        Ok(Self { tokens, blocks, norm, head, attention, device })
    }

    /// Bytes of all matrices.
    pub fn bytes(&self) -> usize {
        let matrices = self.blocks.iter().flat_map(QuantizedBlock::matrices);
        matrices.chain([&self.tokens]).chain(&self.head).map(Int8Matrix::bytes).sum()
    }
}

impl Decoder for QuantizedLlama {
    fn embed(&self, rows: &[Vec<u32>]) -> Tensor<3> {
        let (b, n, w) = (rows.len(), rows.first().map_or(0, Vec::len), self.tokens.inputs());
        assert!(rows.iter().all(|row| row.len() == n), "rows of tokens have one length");
        let values: Vec<f32> = rows.iter().flatten().flat_map(|id| self.tokens.weights_of(*id as usize)).collect();
        Tensor::from_data(TensorData::new(values, [b, n, w]), &self.device)
    }

    fn forward(&self, x: Tensor<3>, real: &[Vec<bool>], cache: Option<&mut Cache>) -> Tensor<3> {
        self.norm.forward(self.attention.run(&self.blocks, x, real, cache))
    }

    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        linear(hidden, self.head.as_ref().unwrap_or(&self.tokens))
    }
}

/// A block in 8 bits that gradients pass.
pub struct FrozenBlock {
    norms: [RmsNorm; 2],
    /// In the order of [`Which::ALL`].
    maps: Vec<FrozenMap>,
}

impl FrozenBlock {
    /// The blocks of a decoder; `norms` are inside the gradient's graph.
    ///
    /// # Errors
    /// [`ModelError::Device`] for a decoder that is not on the CPU.
    pub fn of(model: &Llama, norms: &Llama) -> Result<Vec<Self>> {
        on_cpu(model)?;
        let blocks = model.blocks.iter().zip(&norms.blocks);
        let each = blocks.map(|(block, norms)| {
            let map = |which: Which| {
                let (dims, values) = values(block.linear(which).weight.clone())?;
                Ok(FrozenMap::new(&values, dims, which == Which::Value))
            };
            let maps = Which::ALL.into_iter().map(map).collect::<Result<_>>()?;
            Ok(Self { norms: norms.norms().map(RmsNorm::clone), maps })
        });
        each.collect()
    }
}

impl Frozen for FrozenBlock {
    fn norms(&self) -> [&RmsNorm; 2] {
        self.norms.each_ref()
    }

    fn map(&self, which: Which, x: Tensor<2>) -> Tensor<2> {
        self.maps[which as usize].forward(x)
    }
}
