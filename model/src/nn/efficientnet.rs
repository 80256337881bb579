//! EfficientNet-Lite 0–2 as image tokens: the last feature grid, one token a cell.
//!
//! Adapters may stand behind its last blocks (FashionBLIP-2's, which the paper has in a vision transformer): each takes a block's
//! output, and its maps are 1×1 convolutions, linear maps of a cell's channels.
//!
//! Batch norms are folded into the convolutions when weights are imported, so each convolution here has a bias.
//! Source: Apache-2.0 `efficientnet_lite_pytorch` (`extract_features`), TensorFlow "SAME" padding, ReLU6.

use super::adapter::Adapter;
use super::basic::normal;
use crate::config::AdapterConfig;
use burn::module::{Module, Param};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use thisbut_kernels as kernels;

/// Channels of the stem; not scaled in the Lite family.
const STEM_WIDTH: usize = 32;
/// C, channels of the last grid; not scaled in the Lite family.
pub const HEAD_WIDTH: usize = 1280;

/// A convolution with its batch norm folded in.
#[derive(Module, Debug)]
pub struct Conv {
    /// `[out, in / groups, k, k]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    stride: usize,
    depthwise: bool,
}

impl Conv {
    /// A randomly initialised convolution.
    pub fn new(input: usize, output: usize, kernel: usize, stride: usize, depthwise: bool, device: &Device) -> Self {
        let fan = if depthwise { 1 } else { input };
        let std = (2.0 / (fan * kernel * kernel) as f64).sqrt();
        Self {
            weight: normal([output, fan, kernel, kernel], std, device),
            bias: Param::from_tensor(Tensor::zeros([output], device)),
            stride,
            depthwise,
        }
    }

    /// `[B, in, h, w]` → `[B, out, ⌈h/stride⌉, ⌈w/stride⌉]`; `relu6` holds what it gives between 0 and 6.
    pub fn forward(&self, x: Tensor<4>, relu6: bool) -> Tensor<4> {
        let weight = self.weight.val();
        let [output, _, kernel, _] = weight.dims();
        if kernel == 1 && self.stride == 1 && !self.depthwise {
            return kernels::pointwise(x, weight, self.bias.val(), relu6);
        }
        let [_, _, h, w] = x.dims();
        // TensorFlow's SAME: the odd pixel of padding goes to the end.
        let same = |size: usize| {
            let total = ((size.div_ceil(self.stride) - 1) * self.stride + kernel).saturating_sub(size);
            (total / 2, total - total / 2)
        };
        let groups = if self.depthwise { output } else { 1 };
        let options = ConvOptions::new_with_padding([self.stride; 2], [same(h), same(w)], [1, 1], groups);
        let y = conv2d(x, weight, Some(self.bias.val()), options);
        if relu6 { kernels::relu6(y) } else { y }
    }
}

/// An inverted residual block.
#[derive(Module, Debug)]
pub struct Block {
    /// 1×1; checkpoint keys `_expand_conv`, `_bn0`. Absent where the ratio is 1.
    pub expand: Option<Conv>,
    /// Checkpoint keys `_depthwise_conv`, `_bn1`.
    pub depthwise: Conv,
    /// 1×1; checkpoint keys `_project_conv`, `_bn2`.
    pub project: Conv,
    /// What trains behind the block while the rest of it is frozen, where the configuration has it.
    pub adapters: Option<Adapter>,
    residual: bool,
}

impl Block {
    fn new(shape: &BlockShape, adapters: Option<&AdapterConfig>, device: &Device) -> Self {
        let BlockShape { kernel, stride, input, inner, output } = *shape;
        Self {
            expand: (inner > input).then(|| Conv::new(input, inner, 1, 1, false, device)),
            depthwise: Conv::new(inner, inner, kernel, stride, true, device),
            project: Conv::new(inner, output, 1, 1, false, device),
            adapters: adapters.map(|adapters| Adapter::new(adapters, output, device)),
            residual: stride == 1 && input == output,
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = match &self.expand {
            Some(expand) => expand.forward(x.clone(), true),
            None => x.clone(),
        };
        let y = self.project.forward(self.depthwise.forward(y, true), false);
        let y = if self.residual { x + y } else { y };
        match &self.adapters {
            Some(adapter) => adapted(adapter, y),
            None => y,
        }
    }
}

/// A grid whose cells pass an adapter one by one.
fn adapted(adapter: &Adapter, grid: Tensor<4>) -> Tensor<4> {
    let [b, c, h, w] = grid.dims();
    let cells = grid.reshape([b, c, h * w]).swap_dims(1, 2);
    adapter.forward(cells).swap_dims(1, 2).reshape([b, c, h, w])
}

/// The network up to its last feature grid.
#[derive(Module, Debug)]
pub struct EfficientNetLite {
    /// Checkpoint keys `_conv_stem`, `_bn0`.
    pub stem: Conv,
    /// Checkpoint key `_blocks`.
    pub blocks: Vec<Block>,
    /// Checkpoint keys `_conv_head`, `_bn1`.
    pub head: Conv,
}

/// Stages of EfficientNet-B0: repeats, kernel, stride, expansion, output channels.
const STAGES: [(usize, usize, usize, usize, usize); 7] = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
];

/// The measures of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Side of the depthwise kernel.
    pub kernel: usize,
    /// Of the depthwise convolution.
    pub stride: usize,
    /// Channels that come in.
    pub input: usize,
    /// Channels between the two 1×1 convolutions.
    pub inner: usize,
    /// Channels that go out.
    pub output: usize,
}

/// The blocks of a variant, 0, 1 or 2.
///
/// # Panics
/// For another variant, which a checked configuration does not have.
pub fn blocks(variant: usize) -> Vec<BlockShape> {
    let (width, depth): (f64, f64) = [(1.0, 1.0), (1.0, 1.1), (1.1, 1.2)][variant];
    // Channels are rounded to multiples of 8, never more than a tenth down.
    let channels = |c: usize| {
        let scaled = c as f64 * width;
        let rounded = (((scaled + 4.0) / 8.0) as usize * 8).max(8);
        if (rounded as f64) < 0.9 * scaled { rounded + 8 } else { rounded }
    };
    let mut input = STEM_WIDTH;
    let mut blocks = Vec::new();
    for (stage, &(repeats, kernel, stride, ratio, output)) in STAGES.iter().enumerate() {
        // The Lite family keeps the first and the last stage at one block.
        let fixed = stage == 0 || stage == STAGES.len() - 1;
        let repeats = if fixed { repeats } else { (repeats as f64 * depth).ceil() as usize };
        let output = channels(output);
        for i in 0..repeats {
            let stride = if i == 0 { stride } else { 1 };
            blocks.push(BlockShape { kernel, stride, input, inner: input * ratio, output });
            input = output;
        }
    }
    blocks
}

impl EfficientNetLite {
    /// A randomly initialised network; `variant` 0, 1 or 2. Its adapters are the identity.
    ///
    /// # Panics
    /// As [`blocks`].
    pub fn new(variant: usize, adapters: Option<&AdapterConfig>, device: &Device) -> Self {
        let shapes = blocks(variant);
        let last = shapes.last().map_or(STEM_WIDTH, |block| block.output);
        let behind = |at: usize| adapters.filter(|adapters| adapters.stand_in(at));
        Self {
            stem: Conv::new(3, STEM_WIDTH, 3, 2, false, device),
            blocks: shapes.iter().enumerate().map(|(at, shape)| Block::new(shape, behind(at), device)).collect(),
            head: Conv::new(last, HEAD_WIDTH, 1, 1, false, device),
        }
    }

    /// Normalised pixels `[B, 3, S, S]` → feature grid `[B, 1280, S/32, S/32]`. `trace` receives the stem's and every
    /// block's output.
    pub fn forward(&self, pixels: Tensor<4>, mut trace: Option<&mut Vec<Tensor<4>>>) -> Tensor<4> {
        let mut x = self.stem.forward(pixels, true);
        for block in &self.blocks {
            if let Some(trace) = trace.as_deref_mut() {
                trace.push(x.clone());
            }
            x = block.forward(x);
        }
        if let Some(trace) = trace {
            trace.push(x.clone());
        }
        self.head.forward(x, true)
    }

    /// Blocks before the first adapter.
    pub fn front_blocks(&self) -> usize {
        self.blocks.iter().position(|block| block.adapters.is_some()).unwrap_or(self.blocks.len())
    }

    /// What no adapter changes: normalised pixels `[B, 3, S, S]` after the stem and the blocks before the first adapter.
    pub fn front(&self, pixels: Tensor<4>) -> Tensor<4> {
        self.blocks[..self.front_blocks()].iter().fold(self.stem.forward(pixels, true), |x, block| block.forward(x))
    }

    /// The feature grid of what [`EfficientNetLite::front`] gives.
    pub fn behind(&self, front: Tensor<4>) -> Tensor<4> {
        let grid = self.blocks[self.front_blocks()..].iter().fold(front, |x, block| block.forward(x));
        self.head.forward(grid, true)
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::AdapterPlace;
    use crate::weights::{Tensors, collect, load, shapes};
    use burn::tensor::TensorData;

    fn pixels(side: usize, device: &Device) -> Tensor<4> {
        let values: Vec<f32> = (0..2 * 3 * side * side).map(|i| (i * 7919 % 1013) as f32 / 500.0 - 1.0).collect();
        Tensor::from_data(TensorData::new(values, [2, 3, side, side]), device)
    }

    fn bits(grid: Tensor<4>) -> Vec<u32> {
        grid.into_data().try_to_vec::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
    }

    fn adapters(from: usize, bias: bool) -> AdapterConfig {
        AdapterConfig { factor: 4, after: AdapterPlace::Block, bias, from }
    }

    /// W_u = 0: not one bit of the grid is another, wherever the first adapter stands; and each adapter has an effect.
    #[test]
    fn adapters_begin_as_the_identity() {
        let device = Device::flex();
        device.seed(8);
        let plain = EfficientNetLite::new(0, None, &device);
        let (tensors, pixels) = (collect(&plain, "").unwrap(), pixels(32, &device));
        let wanted = bits(plain.forward(pixels.clone(), None));
        assert!(wanted.iter().any(|bits| *bits != 0), "the grid is empty");
        for (from, bias, count) in [(0, true, 64), (8, true, 32), (15, false, 2)] {
            let build = |all: &Tensors| {
                let network = EfficientNetLite::new(0, Some(&adapters(from, bias)), &device);
                load(network, "", &mut all.clone()).unwrap()
            };
            let mut all = collect(&EfficientNetLite::new(0, Some(&adapters(from, bias)), &device), "").unwrap();
            assert_eq!(all.keys().filter(|name| AdapterConfig::owns(name)).count(), count, "from {from}");
            all.extend(tensors.clone());
            let network = build(&all);
            assert_eq!(bits(network.forward(pixels.clone(), None)), wanted, "from {from}");
            assert_eq!(network.front_blocks(), from);
            assert_eq!(bits(network.behind(network.front(pixels.clone()))), wanted, "from {from}");
            let ups: Vec<String> = all.keys().filter(|name| name.ends_with(".up.weight")).cloned().collect();
            for up in ups {
                let mut changed = all.clone();
                changed.get_mut(&up).unwrap().1.fill(0.5);
                assert_ne!(bits(build(&changed).forward(pixels.clone(), None)), wanted, "{up}");
            }
        }
    }

    #[test]
    fn the_shapes_are_counted_as_they_are_built() {
        let device = Device::flex();
        for variant in 0..3 {
            let with = shapes(&EfficientNetLite::new(variant, Some(&adapters(8, true)), &device), "");
            let own: usize = with
                .iter()
                .filter(|(name, _)| AdapterConfig::owns(name))
                .map(|(_, dims)| dims.iter().product::<usize>())
                .sum();
            let counted = blocks(variant).into_iter().skip(8).map(|block| {
                let inner = block.output / 4;
                2 * inner * block.output + inner + block.output
            });
            assert_eq!(own, counted.sum::<usize>(), "variant {variant}");
        }
    }
}
