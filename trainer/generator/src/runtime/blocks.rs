//! GGUF's number formats: plain floats and the block codes that are dequantized on load.

use half::{bf16, f16};

/// Values in a block of a quantized format.
const BLOCK: usize = 32;

/// A number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    F32,
    F16,
    Bf16,
    /// `(q − 8) · d`, 4 bits.
    Q4_0,
    /// `q · d + m`, 4 bits.
    Q4_1,
    /// `q · d`, 8 bits.
    Q8_0,
}

impl Kind {
    /// The format of that number, or its name and why not.
    pub fn of(number: u32) -> Result<Self, String> {
        const OTHERS: [(u32, &str); 14] = [
            (6, "Q5_0"),
            (7, "Q5_1"),
            (9, "Q8_1"),
            (10, "Q2_K"),
            (11, "Q3_K"),
            (12, "Q4_K"),
            (13, "Q5_K"),
            (14, "Q6_K"),
            (15, "Q8_K"),
            (16, "IQ2_XXS"),
            (20, "IQ4_NL"),
            (23, "IQ4_XS"),
            (26, "I32"),
            (28, "F64"),
        ];
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            8 => Self::Q8_0,
            30 => Self::Bf16,
            _ => {
                let name = OTHERS.iter().find(|(n, _)| *n == number).map_or("unknown", |(_, name)| name);
                return Err(format!("its quantization, {name} (number {number}), is not supported"));
            }
        })
    }

    /// Values and bytes of a block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (BLOCK, 2 + BLOCK / 2),
            Self::Q4_1 => (BLOCK, 4 + BLOCK / 2),
            Self::Q8_0 => (BLOCK, 2 + BLOCK),
        }
    }

    /// Bytes of a tensor; nothing when blocks do not divide its rows or the number is too large.
    pub fn bytes(self, dims: &[usize]) -> Option<usize> {
        let (values, bytes) = self.block();
        if !dims.last().copied().unwrap_or(1).is_multiple_of(values) {
            return None;
        }
        // Four bytes a value is what it becomes.
        let count = dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).filter(|n| n.checked_mul(4).is_some())?;
        (count / values).checked_mul(bytes)
    }

    /// The values of a tensor's bytes.
    pub fn values(self, bytes: &[u8]) -> Vec<f32> {
        let (values, size) = self.block();
        let mut out = Vec::with_capacity(bytes.len() / size * values);
        let half = |b: &[u8], at: usize| f16::from_le_bytes([b[at], b[at + 1]]).to_f32();
        match self {
            Self::F32 => out.extend(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))),
            Self::F16 => out.extend(bytes.chunks_exact(2).map(|b| half(b, 0))),
            Self::Bf16 => out.extend(bytes.chunks_exact(2).map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32())),
            Self::Q4_0 => {
                for b in bytes.chunks_exact(size) {
                    let d = half(b, 0);
                    out.extend(b[2..].iter().map(|q| (f32::from(q & 15) - 8.0) * d));
                    out.extend(b[2..].iter().map(|q| (f32::from(q >> 4) - 8.0) * d));
                }
            }
            Self::Q4_1 => {
                for b in bytes.chunks_exact(size) {
                    let (d, m) = (half(b, 0), half(b, 2));
                    out.extend(b[4..].iter().map(|q| f32::from(q & 15) * d + m));
                    out.extend(b[4..].iter().map(|q| f32::from(q >> 4) * d + m));
                }
            }
            Self::Q8_0 => {
                for b in bytes.chunks_exact(size) {
                    let d = half(b, 0);
                    out.extend(b[2..].iter().map(|q| f32::from(*q as i8) * d));
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_become_their_values() {
        let half = |x: f32| f16::from_f32(x).to_le_bytes().to_vec();
        let mut q4 = half(0.5);
        q4.extend((0..16u8).map(|i| i | (15 - i) << 4));
        let values = Kind::Q4_0.values(&q4);
        assert_eq!((values.len(), values[0], values[3], values[16], values[31]), (32, -4.0, -2.5, 3.5, -4.0));
        let mut q41 = [half(0.5), half(-1.0)].concat();
        q41.extend([0xF0; 16]);
        let values = Kind::Q4_1.values(&q41);
        assert_eq!((values[0], values[15], values[16]), (-1.0, -1.0, 6.5));
        let mut q8 = half(2.0);
        q8.extend((0..32).map(|i| (i as i8 - 16) as u8));
        let values = Kind::Q8_0.values(&q8);
        assert_eq!((values[0], values[16], values[31]), (-32.0, 0.0, 30.0));
        assert_eq!(Kind::Bf16.values(&[0x80, 0x3f]), [1.0]);
    }
}
