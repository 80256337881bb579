//! How much of each colour a cell of the image has, as channels beside those of an image encoder.
//!
//! A classifier's last feature grid says what a thing is and little of its colour: a red and a blue skirt are both skirts to
//! ImageNet. These channels are read off the pixels, have no parameters and stay as they are. Each pixel belongs to the colours of
//! a fixed list by their nearness (a softmax of the negative squared distance, as in the soft assignment of
//! [NetVLAD](https://arxiv.org/abs/1511.07247), eq. 3); a cell has the mean of its pixels.

use crate::image::PreprocessConfig;
use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, FloatDType, Tensor, TensorData};

/// Colours that are told apart.
pub const COUNT: usize = 32;
/// Side of a cell of the encoder's grid, in pixels.
pub const CELL: usize = 32;
/// Side of the squares of pixels that are averaged first: cloth's threads and a photograph's noise are no colours.
const SQUARE: usize = 4;
/// Squares along a cell's side.
const SQUARES: usize = CELL / SQUARE;
/// A cell of one colour has this in its channel. The other channels have a variance of 1, and there are forty times as many: at this size a
/// step of an optimizer moves what the model makes of a colour by about as much as what it makes of them.
const FULL: f32 = 32.0;
/// Standard deviation of the nearness, where lightness and the opponents of sRGB reach from 0 to 1.
const SPREAD: f32 = 0.06;
/// Lightness, red against green, yellow against blue, of sRGB. Light and shadow change lightness most, so it counts least.
const OPPONENTS: [[f32; 3]; 3] = [[0.18, 0.36, 0.06], [0.6, -0.6, 0.0], [0.4, 0.4, -0.8]];
/// Greys, from black to white.
const GREYS: [f32; 5] = [0.04, 0.25, 0.5, 0.75, 0.98];
/// Hues, in degrees: red, orange, yellow, green, turquoise, sky, blue, purple, rose.
const HUES: [f32; 9] = [0.0, 28.0, 52.0, 110.0, 170.0, 205.0, 235.0, 280.0, 325.0];
/// Saturation and lightness of the tones of each hue: dark, vivid, pale.
const TONES: [[f32; 2]; 3] = [[0.5, 0.22], [0.7, 0.5], [0.5, 0.76]];

/// Pixels to shares of colours.
#[derive(Module, Debug)]
pub struct Colours {
    mean: [f32; 3],
    std: [f32; 3],
}

impl Colours {
    /// For pixels that were normalised as `preprocess` says.
    pub fn new(preprocess: &PreprocessConfig) -> Self {
        let unit = if preprocess.scale_to_unit { 1.0 } else { 255.0 };
        let [mean, std] = [preprocess.mean, preprocess.std].map(|values| values.map(|v| v / unit));
        Self { mean, std }
    }

    /// Normalised pixels `[B, 3, S, S]`, S a multiple of [`CELL`] → `[B, T, 32]`, row by row of the grid; each token's values
    /// sum to 32.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<3> {
        let [b, channels, h, w] = pixels.dims();
        let (rows, columns) = (h / CELL, w / CELL);
        let dtype = FloatDType::from(pixels.dtype());
        let squares = pixels.reshape([b * channels, h / SQUARE, SQUARE, w]).mean_dim(2);
        let squares = squares.reshape([b * channels, h / SQUARE, w / SQUARE, SQUARE]).mean_dim(3);
        let count = (h / SQUARE) * (w / SQUARE);
        let squares = squares.reshape([b, channels, count]).swap_dims(1, 2).reshape([b * count, channels]);
        let (map, bias) = self.nearness(&squares.device());
        let near = softmax(squares.cast(FloatDType::F32).matmul(map) + bias, 1);
        // The mean over a cell: over its rows of squares, then over the squares of a row.
        let line = columns * SQUARES * COUNT;
        let near = near.reshape([b * rows, SQUARES, line]).mean_dim(1);
        let near = near.reshape([b * rows * columns, SQUARES, COUNT]).mean_dim(1);
        near.reshape([b, rows * columns, COUNT]).mul_scalar(FULL).cast(dtype)
    }

    /// Of colour p and square x, −‖x − p‖² / 2σ² without the part that all colours of a square share, as a linear map of normalised
    /// pixels: `[3, 32]` and `[1, 32]`.
    fn nearness(&self, device: &Device) -> (Tensor<2>, Tensor<2>) {
        let variance = SPREAD * SPREAD;
        let (mut map, mut bias) = (vec![0.0; 3 * COUNT], vec![0.0; COUNT]);
        for (n, colour) in palette().into_iter().enumerate() {
            let point = opponents(colour);
            let own: f32 = point.iter().map(|v| v * v).sum();
            bias[n] = -own / (2.0 * variance);
            for channel in 0..3 {
                let slope: f32 = (0..3).map(|axis| OPPONENTS[axis][channel] * point[axis]).sum::<f32>() / variance;
                map[channel * COUNT + n] = slope * self.std[channel];
                bias[n] += slope * self.mean[channel];
            }
        }
        let map = Tensor::from_data(TensorData::new(map, [3, COUNT]), device);
        (map, Tensor::from_data(TensorData::new(bias, [1, COUNT]), device))
    }
}

fn opponents(colour: [f32; 3]) -> [f32; 3] {
    OPPONENTS.map(|axis| axis.iter().zip(colour).map(|(a, c)| a * c).sum())
}

/// The colours, in sRGB between 0 and 1.
pub fn palette() -> Vec<[f32; 3]> {
    let tones =
        HUES.into_iter().flat_map(|hue| TONES.map(|[saturation, lightness]| of_hsl(hue, saturation, lightness)));
    GREYS.into_iter().map(|grey| [grey; 3]).chain(tones).collect()
}

/// HSL → sRGB (CSS Color Module Level 4, section 7.1).
fn of_hsl(hue: f32, saturation: f32, lightness: f32) -> [f32; 3] {
    let reach = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|offset: f32| {
        let k = (offset + hue / 30.0).rem_euclid(12.0);
        lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RetrievalConfig;

    /// One cell left of another, each of one colour, normalised as `web-xs` does.
    fn shares(left: [f32; 3], right: [f32; 3]) -> Vec<f32> {
        let preprocess = RetrievalConfig::preset("web-xs").unwrap().preprocess;
        let mut pixels = Vec::new();
        for channel in 0..3 {
            for _ in 0..CELL {
                for colour in [left, right] {
                    let value = (colour[channel] * 255.0 - preprocess.mean[channel]) / preprocess.std[channel];
                    pixels.extend(vec![value; CELL]);
                }
            }
        }
        let device = Device::flex();
        let pixels = Tensor::from_data(TensorData::new(pixels, [1, 3, CELL, 2 * CELL]), &device);
        Colours::new(&preprocess).forward(pixels).into_data().try_to_vec().unwrap()
    }

    #[test]
    fn a_cell_of_a_listed_colour_has_it_most_and_shares_sum_to_the_whole() {
        let palette = palette();
        assert_eq!(palette.len(), COUNT);
        for (n, colour) in palette.iter().enumerate() {
            let other = (n + 7) % COUNT;
            let found = shares(*colour, palette[other]);
            for (cell, wanted) in found.chunks(COUNT).zip([n, other]) {
                assert!((cell.iter().sum::<f32>() - FULL).abs() < 1e-3);
                let most = (0..COUNT).max_by(|a, b| cell[*a].total_cmp(&cell[*b])).unwrap();
                assert_eq!(most, wanted, "{:?}", palette[wanted]);
                assert!(cell[wanted] > 0.3 * FULL, "{wanted}: {cell:?}");
            }
        }
    }

    /// The formula pixel by pixel, in f64 and without the linear form.
    #[test]
    fn shares_are_the_softmax_of_distances() {
        let x = [0.61, 0.33, 0.2];
        let found = shares(x, [1.0; 3]);
        let point = opponents(x).map(f64::from);
        let near: Vec<f64> = palette()
            .into_iter()
            .map(|colour| {
                let apart: f64 = opponents(colour).iter().zip(point).map(|(a, b)| (f64::from(*a) - b).powi(2)).sum();
                (-apart / (2.0 * f64::from(SPREAD).powi(2))).exp()
            })
            .collect();
        let all: f64 = near.iter().sum();
        for (value, near) in found.iter().zip(near) {
            assert!((f64::from(*value) - 32.0 * near / all).abs() < 1e-3, "{value} {near}");
        }
    }
}
