//! One tensor as codes and block scales.
//!
//! A tensor of shape `dims` is read as `[R, C]`, R = `dims[0]`, C = the product of the rest. Each row is cut into
//! blocks of [`BLOCK`] values along C (the last may be shorter); each block has one f16 scale, and a value is
//! `code · scale`. A scale is rounded to f16 *before* the codes are chosen, so that its rounding costs nothing.

use half::f16;

use crate::error::{ModelError, Result};
use crate::number::NumberFormat;

/// Values that share a scale.
pub const BLOCK: usize = 32;

/// Tensors of fewer values aren't quantized: they save nothing and are often the sensitive ones.
pub const MIN_QUANTIZED: usize = 1024;

/// Number formats of a weights file's large tensors: plain, or codes.
pub const WEIGHT_FORMATS: [NumberFormat; 3] = [NumberFormat::F32, NumberFormat::Q8, NumberFormat::Q4];

/// Bits of a code: one of the two number formats that are codes with block scales. Nothing makes it of another, so
/// nothing that quantizes has to refuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeWidth(NumberFormat);

impl CodeWidth {
    /// Codes −127..=127, one a byte; 8.5 bits a value with its scale.
    pub const Q8: Self = Self(NumberFormat::Q8);
    /// Codes −8..=7, two a byte; 4.5 bits a value with its scale.
    pub const Q4: Self = Self(NumberFormat::Q4);

    /// The codes of weights that are stored as `format`; `None` for plain f32.
    ///
    /// # Errors
    /// [`ModelError::NumberFormat`] for a format that is none of [`WEIGHT_FORMATS`].
    pub fn of(format: NumberFormat) -> Result<Option<Self>> {
        format.among("the weights", &WEIGHT_FORMATS)?;
        Ok((format != NumberFormat::F32).then_some(Self(format)))
    }

    /// The number format.
    pub fn format(self) -> NumberFormat {
        self.0
    }

    /// Bytes of a row of `columns` codes.
    pub(super) fn row_bytes(self, columns: usize) -> usize {
        self.0.row_bytes(columns)
    }
}

/// True for tensors that are never quantized: one-dimensional ones (biases, norms) and small ones.
pub fn stays_plain(dims: &[usize]) -> bool {
    dims.len() < 2 || dims.iter().product::<usize>() < MIN_QUANTIZED
}

/// Codes and scales of one tensor; the parts fit each other by construction.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedTensor {
    dims: Vec<usize>,
    width: CodeWidth,
    codes: Vec<u8>,
    scales: Vec<f16>,
}

impl QuantizedTensor {
    /// Quantizes `values`, row-major of shape `dims`. `name` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when the length isn't the shape's, or a value isn't finite.
    pub fn quantize(name: &str, values: &[f32], dims: &[usize], width: CodeWidth) -> Result<Self> {
        let (rows, columns) = matrix(name, dims)?;
        if rows.checked_mul(columns) != Some(values.len()) {
            let problem = format!("the shape {dims:?} doesn't hold {} values", values.len());
            return Err(error(name, problem, "give the tensor with its own shape"));
        }
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let problem = format!("value {at} is {}", values.get(at).copied().unwrap_or(f32::NAN));
            return Err(error(name, problem, "quantize only weights whose training stayed finite"));
        }
        let mut codes = Vec::with_capacity(rows * width.row_bytes(columns));
        let mut scales = Vec::with_capacity(rows * columns.div_ceil(BLOCK));
        for block in values.chunks_exact(columns).flat_map(|row| row.chunks(BLOCK)) {
            let mut block_codes = [0_i8; BLOCK];
            if width == CodeWidth::Q4 {
                scales.push(choose_q4(block, &mut block_codes));
                // An odd last code leaves a high nibble of code 0.
                codes.extend(block_codes[..block.len()].chunks(2).map(|pair| {
                    let nibble = |i: usize| (pair.get(i).copied().unwrap_or(0) + 8) as u8;
                    nibble(0) | nibble(1) << 4
                }));
            } else {
                scales.push(choose_q8(block, &mut block_codes));
                codes.extend(block_codes[..block.len()].iter().map(|&c| c as u8));
            }
        }
        Ok(Self { dims: dims.to_vec(), width, codes, scales })
    }

    /// Puts parts read from elsewhere together.
    ///
    /// # Errors
    /// [`ModelError::Weights`] when the parts don't fit each other or a scale isn't finite.
    pub fn from_parts(
        name: &str,
        dims: Vec<usize>,
        width: CodeWidth,
        codes: Vec<u8>,
        scales: Vec<f16>,
    ) -> Result<Self> {
        let (rows, columns) = matrix(name, &dims)?;
        let lengths = rows.checked_mul(width.row_bytes(columns)).zip(rows.checked_mul(columns.div_ceil(BLOCK)));
        if lengths != Some((codes.len(), scales.len())) {
            let problem = format!("{} codes and {} scales don't make the shape {dims:?}", codes.len(), scales.len());
            return Err(error(name, problem, "export the weights again"));
        }
        if scales.iter().any(|s| !s.is_finite()) {
            return Err(error(name, "a scale isn't finite".into(), "export the weights again"));
        }
        Ok(Self { dims, width, codes, scales })
    }

    /// The tensor's shape.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Bits of a code.
    pub fn width(&self) -> CodeWidth {
        self.width
    }

    /// Q8: `[R, C]` as i8 bits. Q4: `[R, ceil(C/2)]`, a byte holds `code + 8` of two columns, the even one low.
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// `[R, ceil(C / BLOCK)]`.
    pub fn scales(&self) -> &[f16] {
        &self.scales
    }

    /// The values, row-major of shape `dims`.
    pub fn dequantize(&self) -> Vec<f32> {
        let columns: usize = self.dims.iter().skip(1).product();
        let rows = self.dims.first().copied().unwrap_or(0);
        let mut out = vec![0.0; rows * columns];
        if columns == 0 {
            return out;
        }
        let code_rows = self.codes.chunks_exact(self.width.row_bytes(columns));
        let scale_rows = self.scales.chunks_exact(columns.div_ceil(BLOCK));
        for ((row, codes), scales) in out.chunks_exact_mut(columns).zip(code_rows).zip(scale_rows) {
            let block_codes = codes.chunks(self.width.row_bytes(BLOCK));
            for ((out, codes), scale) in row.chunks_mut(BLOCK).zip(block_codes).zip(scales) {
                let scale = scale.to_f32();
                if self.width == CodeWidth::Q4 {
                    for (pair, &byte) in out.chunks_mut(2).zip(codes) {
                        for (out, nibble) in pair.iter_mut().zip([byte & 15, byte >> 4]) {
                            *out = f32::from(nibble as i8 - 8) * scale;
                        }
                    }
                } else {
                    for (out, &code) in out.iter_mut().zip(codes) {
                        *out = f32::from(code as i8) * scale;
                    }
                }
            }
        }
        out
    }
}

/// (R, C) of a shape without an empty dimension.
fn matrix(name: &str, dims: &[usize]) -> Result<(usize, usize)> {
    let columns = dims.iter().skip(1).try_fold(1_usize, |product, &d| product.checked_mul(d));
    match (dims.first(), columns) {
        (Some(&rows), Some(columns)) if rows > 0 && columns > 0 => Ok((rows, columns)),
        _ => Err(error(name, format!("{dims:?} is no shape to quantize"), "use dimensions of at least 1")),
    }
}

fn error(name: &str, problem: String, mend: &str) -> ModelError {
    ModelError::Weights { place: name.into(), problem, mend: mend.into() }
}

/// The nearest f16, held inside f16's range.
fn to_scale(scale: f32) -> f16 {
    f16::from_f32(scale.clamp(f16::MIN.to_f32(), f16::MAX.to_f32()))
}

/// Rounds half to even without a library call: adding 1.5 · 2²³ leaves no fraction bits. For |x| < 2²².
fn round(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0;
    (x + SHIFT) - SHIFT
}

fn inverse(scale: f16) -> f32 {
    let scale = scale.to_f32();
    if scale == 0.0 { 0.0 } else { 1.0 / scale }
}

fn choose_q8(block: &[f32], codes: &mut [i8; BLOCK]) -> f16 {
    let largest = block.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let scale = to_scale(largest / 127.0);
    let inverse = inverse(scale);
    for (code, v) in codes.iter_mut().zip(block) {
        *code = round((v * inverse).clamp(-127.0, 127.0)) as i8;
    }
    scale
}

/// Tries scales that map the value of largest magnitude to about −8, each with its least-squares refinement, and
/// keeps the one of smallest squared error. The asymmetric range makes the sign of the scale matter.
fn choose_q4(block: &[f32], codes: &mut [i8; BLOCK]) -> f16 {
    let extreme = block.iter().fold(0.0_f32, |m, &v| if v.abs() > m.abs() { v } else { m });
    let mut best = (f32::INFINITY, f16::ZERO);
    let mut consider = |scale: f16| -> f32 {
        let (inverse, scale_f32) = (inverse(scale), scale.to_f32());
        let (mut squared, mut dot, mut norm) = (0.0_f32, 0.0_f32, 0.0_f32);
        for &v in block {
            let code = round((v * inverse).clamp(-8.0, 7.0));
            let miss = v - code * scale_f32;
            squared += miss * miss;
            dot += v * code;
            norm += code * code;
        }
        if squared < best.0 {
            best = (squared, scale);
        }
        if norm > 0.0 { dot / norm } else { 0.0 }
    };
    for divisor in [-9.0, -8.5, -8.0, -7.6, -7.2, -6.8, -6.4, -6.0, -5.5, -5.0, 7.5, 7.0, 6.5, 6.0] {
        let refined = consider(to_scale(extreme / divisor));
        consider(to_scale(refined));
    }
    let (_, scale) = best;
    let inverse = inverse(scale);
    for (code, v) in codes.iter_mut().zip(block) {
        *code = round((v * inverse).clamp(-8.0, 7.0)) as i8;
    }
    scale
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Roughly normal values.
    fn values(len: usize, spread: f32) -> Vec<f32> {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(|_| (0..6).map(|_| uniform()).sum::<f32>() * spread).collect()
    }

    fn relative_error(values: &[f32], back: &[f32]) -> f32 {
        let miss: f32 = values.iter().zip(back).map(|(a, b)| (a - b).powi(2)).sum();
        (miss / values.iter().map(|v| v * v).sum::<f32>()).sqrt()
    }

    #[test]
    fn errors_are_small() {
        for dims in [vec![64, 384], vec![3, 7, 5], vec![5, 33], vec![2, 1], vec![32, 1, 3, 3], vec![1, 31]] {
            let values = values(dims.iter().product(), 0.07);
            let q8 = QuantizedTensor::quantize("w", &values, &dims, CodeWidth::Q8).unwrap();
            let back = q8.dequantize();
            assert_eq!(back.len(), values.len());
            assert!(relative_error(&values, &back) < 0.007, "{dims:?}");
            let q4 = QuantizedTensor::quantize("w", &values, &dims, CodeWidth::Q4).unwrap();
            let back = q4.dequantize();
            assert_eq!(back.len(), values.len());
            assert!(relative_error(&values, &back) < 0.09, "{dims:?} {}", relative_error(&values, &back));
        }
    }

    #[test]
    fn the_search_beats_the_plain_scale() {
        let values = values(32 * 1000, 1.0);
        let searched = QuantizedTensor::quantize("w", &values, &[1000, 32], CodeWidth::Q4).unwrap().dequantize();
        let plain: Vec<f32> = values
            .chunks(32)
            .flat_map(|block| {
                let scale = block.iter().fold(0.0_f32, |m, v| m.max(v.abs())) / 7.0;
                block.iter().map(move |v| (v / scale).round() * scale)
            })
            .collect();
        let (searched, plain) = (relative_error(&values, &searched), relative_error(&values, &plain));
        assert!(searched < 0.9 * plain, "{searched} {plain}");
    }

    #[test]
    fn extremes_survive() {
        for width in [CodeWidth::Q8, CodeWidth::Q4] {
            for value in [0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-8, -1.0] {
                let back = QuantizedTensor::quantize("w", &[value; 40], &[1, 40], width).unwrap().dequantize();
                assert!(back.iter().all(|v| v.is_finite()), "{value} {back:?}");
                if value.abs() == 1.0 {
                    assert!((back[39] - value).abs() < 1e-3);
                }
            }
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let (q4, q8) = (CodeWidth::Q4, CodeWidth::Q8);
        assert!(QuantizedTensor::quantize("w", &[1.0; 5], &[2, 3], q8).is_err());
        assert!(QuantizedTensor::quantize("w", &[], &[0, 3], q8).is_err());
        assert!(QuantizedTensor::quantize("w", &[1.0], &[], q8).is_err());
        assert!(QuantizedTensor::quantize("w", &[1.0], &[1, usize::MAX, 3], q4).is_err());
        let message = QuantizedTensor::quantize("w", &[1.0, f32::NAN], &[2], q4).unwrap_err().to_string();
        assert!(message.contains("w: value 1"), "{message}");
        assert!(QuantizedTensor::from_parts("w", vec![1, 3], q4, vec![0; 3], vec![f16::ONE]).is_err());
        assert!(QuantizedTensor::from_parts("w", vec![1, 3], q4, vec![0; 2], vec![f16::NAN]).is_err());
        assert!(QuantizedTensor::from_parts("w", vec![usize::MAX, 3], q8, vec![0; 2], vec![]).is_err());
        assert!(QuantizedTensor::from_parts("w", vec![1, 3], q4, vec![0; 2], vec![f16::ONE]).is_ok());
    }

    #[test]
    fn codes_are_of_two_formats_alone() {
        use NumberFormat::{Bf16, F16, F32, F64, Int8, Q4, Q8};
        let found = WEIGHT_FORMATS.map(|format| CodeWidth::of(format).unwrap());
        assert_eq!(found, [None, Some(CodeWidth::Q8), Some(CodeWidth::Q4)]);
        assert_eq!(found.map(|width| width.map_or(F32, CodeWidth::format)), [F32, Q8, Q4]);
        for format in [F64, F16, Bf16, Int8] {
            let message = CodeWidth::of(format).unwrap_err().to_string();
            assert!(message.contains(format.name()) && message.ends_with("choose f32, q8 or q4"), "{message}");
        }
    }
}
