//! EfficientNet-Lite 0–2 as image tokens: the last feature grid, one token a cell.
//!
//! Batch norms are folded into the convolutions when weights are imported, so each convolution here has a bias.
//! Source: Apache-2.0 `efficientnet_lite_pytorch` (`extract_features`), TensorFlow "SAME" padding, ReLU6.

use super::basic::normal;
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
    residual: bool,
}

impl Block {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = match &self.expand {
            Some(expand) => expand.forward(x.clone(), true),
            None => x.clone(),
        };
        let y = self.project.forward(self.depthwise.forward(y, true), false);
        if self.residual { x + y } else { y }
    }
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

impl EfficientNetLite {
    /// A randomly initialised network; `variant` 0, 1 or 2.
    ///
    /// # Panics
    /// For another variant, which a checked configuration does not have.
    pub fn new(variant: usize, device: &Device) -> Self {
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
                let inner = input * ratio;
                blocks.push(Block {
                    expand: (ratio > 1).then(|| Conv::new(input, inner, 1, 1, false, device)),
                    depthwise: Conv::new(inner, inner, kernel, stride, true, device),
                    project: Conv::new(inner, output, 1, 1, false, device),
                    residual: stride == 1 && input == output,
                });
                input = output;
            }
        }
        Self {
            stem: Conv::new(3, STEM_WIDTH, 3, 2, false, device),
            blocks,
            head: Conv::new(input, HEAD_WIDTH, 1, 1, false, device),
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
}
