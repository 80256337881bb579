//! Antialiased separable resize with Pillow's 8-bit arithmetic (`src/libImaging/Resample.c`), so that results are
//! the same to the last bit: 22-bit fixed-point weights, horizontal pass first, rounding to u8 after each pass.
//! (Pillow up to version 12; from 13 on some shapes get the vertical pass first, at most one level away.)
//!
//! Margins are never materialised, and only the pixels of the crop are computed.

use super::Filter;
use super::rows::Rows;

/// Fraction bits of a weight: 32 − 8 bits a pixel − 2 bits of head room.
const BITS: u32 = 32 - 8 - 2;
const HALF: i32 = 1 << (BITS - 1);

/// How one axis is padded, resized and cropped.
pub(super) struct Axis {
    /// Pixels of the source.
    pub source: usize,
    /// Margin on each side.
    pub pad: usize,
    /// Length that the padded axis is resized to.
    pub resized: usize,
    /// First resized pixel of the crop.
    pub first: usize,
    /// Pixels of the crop.
    pub count: usize,
}

/// The weights of every pixel of the crop along one axis.
struct Taps {
    pixels: Vec<Tap>,
    weights: Vec<i32>,
}

/// The weights of one output pixel: `weights[at..at + len]` for the source pixels `start..start + len`.
struct Tap {
    start: usize,
    at: usize,
    len: usize,
    /// Sum of the weights that fall on the margins.
    margin: i32,
}

impl Taps {
    fn new(axis: &Axis, filter: Filter) -> Self {
        let padded = axis.source + 2 * axis.pad;
        let scale = padded as f64 / axis.resized as f64;
        let filter_scale = scale.max(1.0);
        let support = filter.support() * filter_scale;
        let inverse = 1.0 / filter_scale;
        let mut taps = Self { pixels: Vec::with_capacity(axis.count), weights: Vec::new() };
        let mut exact = Vec::new();
        for x in axis.first..axis.first + axis.count {
            let center = (x as f64 + 0.5) * scale;
            // Casts cut towards zero and saturate, as upstream's do after its clamp.
            let low = (center - support + 0.5) as usize;
            let high = ((center + support + 0.5) as usize).min(padded);
            exact.clear();
            exact.extend((low..high).map(|i| filter.at((i as f64 - center + 0.5) * inverse)));
            let sum: f64 = exact.iter().sum();
            let at = taps.weights.len();
            let (mut margin, mut start) = (0, None);
            for (i, &weight) in (low..high).zip(&exact) {
                let weight = if sum == 0.0 { weight } else { weight / sum };
                let fixed = (weight * f64::from(1 << BITS) + if weight < 0.0 { -0.5 } else { 0.5 }) as i32;
                match i.checked_sub(axis.pad) {
                    Some(i) if i < axis.source => {
                        start.get_or_insert(i);
                        taps.weights.push(fixed);
                    }
                    _ => margin += fixed,
                }
            }
            let len = taps.weights.len() - at;
            taps.pixels.push(Tap { start: start.unwrap_or(0), at, len, margin });
        }
        taps
    }

    fn weights(&self, tap: &Tap) -> &[i32] {
        &self.weights[tap.at..tap.at + tap.len]
    }
}

/// Resizes and crops an RGBA image. Returns `[vertical.count, horizontal.count, 4]` bytes; the fourth channel means
/// nothing.
pub(super) fn resize_crop(
    source: &Rows<'_>,
    horizontal: &Axis,
    vertical: &Axis,
    filter: Filter,
    fill: [u8; 3],
) -> Vec<u8> {
    let across = Taps::new(horizontal, filter);
    let down = Taps::new(vertical, filter);
    let fill = [fill[0], fill[1], fill[2], 0].map(i32::from);
    let stride = horizontal.count * 4;

    // A row of nothing but margin, after the horizontal pass.
    let mut margin_row = vec![0; stride];
    for (out, tap) in margin_row.chunks_exact_mut(4).zip(&across.pixels) {
        let all: i32 = across.weights(tap).iter().sum::<i32>() + tap.margin;
        store(out, fill.map(|c| HALF + c * all));
    }

    let first = down.pixels.iter().filter(|t| t.len > 0).map(|t| t.start).min().unwrap_or(0);
    let last = down.pixels.iter().filter(|t| t.len > 0).map(|t| t.start + t.len).max().unwrap_or(first);
    let mut rows = vec![0; (last - first) * stride];
    let mut scratch = Vec::new();
    for (y, out) in (first..last).zip(rows.chunks_exact_mut(stride)) {
        horizontal_pass(source.row(y, &mut scratch), &across, fill, out);
    }

    let mut result = vec![0; vertical.count * stride];
    let mut sums = vec![0; stride];
    for (out, tap) in result.chunks_exact_mut(stride).zip(&down.pixels) {
        for (sum, &c) in sums.iter_mut().zip(&margin_row) {
            *sum = HALF + i32::from(c) * tap.margin;
        }
        let at = tap.start.saturating_sub(first) * stride;
        let taken = rows[at..].chunks_exact(stride);
        for (source, &weight) in taken.zip(down.weights(tap)) {
            for (sum, &c) in sums.iter_mut().zip(source) {
                *sum += i32::from(c) * weight;
            }
        }
        for (out, &sum) in out.iter_mut().zip(&sums) {
            *out = clip(sum);
        }
    }
    result
}

/// One RGBA row to `taps.pixels.len()` RGBA pixels. Four lanes a pixel, so that one vector holds a whole pixel; two
/// running sums, so that a multiplication needn't wait for the one before.
fn horizontal_pass(row: &[u8], taps: &Taps, fill: [i32; 4], out: &mut [u8]) {
    for (out, tap) in out.chunks_exact_mut(4).zip(&taps.pixels) {
        let weights = taps.weights(tap);
        let pixels = &row[tap.start * 4..(tap.start + tap.len) * 4];
        let mut even = fill.map(|c| HALF + c * tap.margin);
        let mut odd = [0; 4];
        let mut pairs = weights.chunks_exact(2);
        let mut pixel_pairs = pixels.chunks_exact(8);
        for (pair, weight) in pixel_pairs.by_ref().zip(pairs.by_ref()) {
            for c in 0..4 {
                even[c] += i32::from(pair[c]) * weight[0];
                odd[c] += i32::from(pair[c + 4]) * weight[1];
            }
        }
        if let ([weight], [r, g, b, a]) = (pairs.remainder(), pixel_pairs.remainder()) {
            for (sum, c) in odd.iter_mut().zip([r, g, b, a]) {
                *sum += i32::from(*c) * weight;
            }
        }
        for (sum, odd) in even.iter_mut().zip(odd) {
            *sum += odd;
        }
        store(out, even);
    }
}

fn store(out: &mut [u8], sums: [i32; 4]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out = clip(sum);
    }
}

fn clip(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

impl Filter {
    /// Half the filter's width at scale 1, in pixels.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
        }
    }

    fn at(self, x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        match self {
            Self::Bilinear if x < 1.0 => 1.0 - x,
            Self::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
            Self::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
            _ => 0.0,
        }
    }
}
