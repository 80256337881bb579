//! Small pictures inside a text: JPEG on white, as data URLs have them.

use super::decode_file;
use crate::error::{Result, TrainerError};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use std::path::Path;

/// A JPEG of an image file on white, its longest side at most `side` pixels.
///
/// # Errors
/// When the file is no image that can be read.
pub fn jpeg(path: &Path, side: u32, quality: u8) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let encoded = JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&on_white(path, side)?);
    encoded.map(|()| bytes).map_err(|e| failed(path, e.to_string()))
}

/// An image file's pixels on white, its longest side at most `side` pixels.
///
/// # Errors
/// When the file is no image that can be read.
pub fn on_white(path: &Path, side: u32) -> Result<image::RgbImage> {
    let picture = decode_file(path)?;
    let buffer = image::RgbaImage::from_raw(picture.width, picture.height, picture.data);
    let mut buffer = buffer.ok_or_else(|| failed(path, "the pixels don't fill the picture".to_owned()))?;
    for pixel in buffer.pixels_mut() {
        let alpha = u32::from(pixel.0[3]);
        for channel in pixel.0.iter_mut().take(3) {
            *channel = ((u32::from(*channel) * alpha + 255 * (255 - alpha)) / 255) as u8;
        }
        pixel.0[3] = 255;
    }
    let mut scaled = image::DynamicImage::from(buffer);
    if scaled.width().max(scaled.height()) > side {
        if scaled.width().max(scaled.height()) > 4 * side {
            scaled = scaled.thumbnail(2 * side, 2 * side);
        }
        scaled = scaled.resize(side, side, FilterType::Triangle);
    }
    Ok(scaled.into_rgb8())
}

fn failed(path: &Path, problem: String) -> TrainerError {
    TrainerError::Image {
        place: path.display().to_string(),
        problem,
        mend: "save it again, or leave it out".to_owned(),
    }
}

/// Base64 as data URLs have it.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for i in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        let pairs = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        pairs.iter().for_each(|(text, code)| assert_eq!(base64(text.as_bytes()), *code));
    }
}
