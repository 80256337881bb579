//! Thumbnails: at most 256 pixels a side, JPEG for opaque pictures, lossless WebP where something is transparent.

use crate::error::{Result, TrainerError};
use crate::images::{RgbaImage, carries_more};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ExtendedColorType, ImageEncoder, ImageFormat};

/// Longest side of a thumbnail in pixels.
pub const MAX_SIDE: u32 = 256;
/// Small pictures of at most so many bytes are kept as they are.
const KEEP_BYTES: usize = 12 << 10;
const QUALITY: u8 = 82;

/// An encoded thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumb {
    /// Its file's ending.
    pub ext: &'static str,
    /// Its file's content.
    pub bytes: Vec<u8>,
}

/// The thumbnail of a picture; `original` is the content of its file.
pub fn make(original: &[u8], picture: RgbaImage) -> Result<Thumb> {
    let small = picture.width.max(picture.height) <= MAX_SIDE;
    if small
        && original.len() <= KEEP_BYTES
        && let Some(ext) = keepable(original)
    {
        return Ok(Thumb { ext, bytes: original.to_vec() });
    }
    let opaque = picture.is_opaque();
    let (width, height) = (picture.width, picture.height);
    let failed = |what: String| TrainerError::Image {
        place: format!("thumbnail of a {width} × {height} image"),
        problem: what,
        mend: "leave the image out".to_owned(),
    };
    let buffer = image::RgbaImage::from_raw(width, height, picture.data)
        .ok_or_else(|| failed("the pixels don't fill the picture".to_owned()))?;
    let mut scaled = DynamicImage::from(buffer);
    if !small {
        // Fast averaging first, so that the fine filter meets few pixels whatever the size of the photo.
        if width.max(height) > 4 * MAX_SIDE {
            scaled = scaled.thumbnail(2 * MAX_SIDE, 2 * MAX_SIDE);
        }
        scaled = scaled.resize(MAX_SIDE, MAX_SIDE, FilterType::Lanczos3);
    }
    let mut bytes = Vec::new();
    let (ext, done) = if opaque {
        let rgb = scaled.into_rgb8();
        let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
        ("jpg", encoder.write_image(rgb.as_raw(), rgb.width(), rgb.height(), ExtendedColorType::Rgb8))
    } else {
        let rgba = scaled.into_rgba8();
        let encoder = WebPEncoder::new_lossless(&mut bytes);
        ("webp", encoder.write_image(rgba.as_raw(), rgba.width(), rgba.height(), ExtendedColorType::Rgba8))
    };
    done.map_err(|e| failed(e.to_string()))?;
    Ok(Thumb { ext, bytes })
}

/// The ending under which `original` may be published as it is: a still picture of the web's formats without EXIF, which
/// could turn it, or tell where it was taken, and without more than its picture: a phone.s video, a preview.
fn keepable(original: &[u8]) -> Option<&'static str> {
    let has = |tag: &[u8]| original.windows(tag.len()).any(|w| w == tag);
    if has(b"Exif") || has(b"EXIF") || has(b"eXIf") || has(b"ANIM") || has(b"acTL") || carries_more(original) {
        return None;
    }
    match image::guess_format(original).ok()? {
        ImageFormat::Jpeg => Some("jpg"),
        ImageFormat::Png => Some("png"),
        ImageFormat::WebP => Some("webp"),
        _ => None,
    }
}
