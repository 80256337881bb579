//! One gallery image's tokens as a file, so that a page without the image encoder can start a search from it.
//!
//! The file is a weights file ([`crate::quant::write_weights`]) with one tensor, the encoder's output `[T, C]`, at eight
//! bits. Not the cross-attention keys and values that are made from it: with BLIP-2 these are 2 · 6 · 768 values a token,
//! the token has 1408. A scale for each block of 32 values, not one a token: a few channels of a vision transformer are
//! very much larger than the rest, and would leave the others in the same scale no bits.

use crate::error::{ModelError, Result};
use crate::quant::{CodeWidth, file_bytes, read_weights, write_weights};
use std::collections::BTreeMap;

/// The tensor's name.
const NAME: &str = "tokens";

/// Writes one image's tokens `[count, width]`, straight from the encoder.
///
/// # Errors
/// [`ModelError::Weights`] for values that aren't finite or don't have this shape.
pub fn encode_reference(tokens: &[f32], count: usize, width: usize) -> Result<Vec<u8>> {
    let tensors = BTreeMap::from([(NAME.to_owned(), (vec![count, width], tokens.to_vec()))]);
    write_weights(&tensors, |_, _| Some(CodeWidth::Q8), &BTreeMap::new())
}

/// Bytes of such a file.
pub fn reference_bytes(count: usize, width: usize) -> u64 {
    file_bytes([(NAME, [count, width].as_slice())], |_, _| Some(CodeWidth::Q8), &BTreeMap::new())
}

/// More bytes than these no file of an image's tokens has: those of plain numbers, and a header.
pub fn largest_reference(count: usize, width: usize) -> u64 {
    4_u64.saturating_mul(count as u64).saturating_mul(width as u64).saturating_add(64 << 10)
}

/// Reads the tokens back, `[count, width]`.
///
/// # Errors
/// [`ModelError::Format`] or [`ModelError::Version`] for another file, and for tokens of another shape.
pub fn parse_reference(bytes: &[u8], count: usize, width: usize) -> Result<Vec<f32>> {
    let wrong = |problem: String| ModelError::Format {
        place: "the image's tokens".into(),
        problem,
        mend: "fetch the file again, or index the gallery again".into(),
    };
    // Before anything is unpacked.
    if bytes.len() as u64 > largest_reference(count, width) {
        return Err(wrong(format!("{} bytes are too many for {count} tokens of {width}", bytes.len())));
    }
    match read_weights(bytes)?.remove(NAME) {
        Some((dims, values)) if dims == [count, width] => Ok(values),
        Some((dims, _)) => Err(wrong(format!("they have the shape {dims:?}, the model reads [{count}, {width}]"))),
        None => Err(wrong("they are not in the file".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens as vision transformers make them: a channel a hundred times as large as the others.
    fn tokens(count: usize, width: usize) -> Vec<f32> {
        (0..count * width)
            .map(|i| {
                let value = (i * 7919 % 2003) as f32 / 1001.0 - 1.0;
                if i % width == 5 { 100.0 * value } else { value }
            })
            .collect()
    }

    #[test]
    fn tokens_come_back_though_one_channel_is_large() {
        for (count, width) in [(17, 64), (5, 1408), (2, 40)] {
            let tokens = tokens(count, width);
            let bytes = encode_reference(&tokens, count, width).unwrap();
            assert_eq!(bytes.len() as u64, reference_bytes(count, width));
            assert!(bytes.len() as u64 <= largest_reference(count, width));
            let back = parse_reference(&bytes, count, width).unwrap();
            for (i, (a, b)) in tokens.iter().zip(&back).enumerate() {
                // Half a step of the block: it is large only where the large channel lives.
                let most = if i % width < 32 { 100.0 } else { 1.0 };
                assert!((a - b).abs() <= most / 250.0, "{count} × {width}, value {i}: {a} became {b}");
            }
        }
        assert_eq!(reference_bytes(257, 1408), 384_688, "about what a photograph takes");
    }

    #[test]
    fn other_files_are_errors() {
        let bytes = encode_reference(&tokens(17, 64), 17, 64).unwrap();
        let message = parse_reference(&bytes, 16, 64).unwrap_err().to_string();
        assert!(message.contains("[17, 64]") && message.contains("[16, 64]"), "{message}");
        let other = BTreeMap::from([("x".to_owned(), (vec![17, 64], vec![0.5; 17 * 64]))]);
        let other = write_weights(&other, |_, _| Some(CodeWidth::Q8), &BTreeMap::new()).unwrap();
        assert!(parse_reference(&other, 17, 64).unwrap_err().to_string().contains("not in the file"));
        assert!(parse_reference(&vec![0; 1 << 20], 17, 64).unwrap_err().to_string().contains("too many"));
        for cut in 0..bytes.len() {
            assert!(parse_reference(&bytes[..cut], 17, 64).is_err());
        }
        assert!(parse_reference(&bytes, usize::MAX, usize::MAX).is_err());
        assert!(encode_reference(&[f32::NAN; 4096], 64, 64).is_err());
        assert!(encode_reference(&[0.0; 7], 2, 4).is_err());
    }
}
