//! JPEGs of four inks (CMYK, YCCK) that bring a profile: converted by it, which needs the inks themselves.

use super::profile::{converted, parse, transform};
use image::RgbaImage;
use moxcms::{DataColorSpace, Layout};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The picture in sRGB; `None` for one without inks or without a profile for them, which is decoded as every other: the
/// inks are then multiplied, as browsers do.
pub(super) fn decode(bytes: &[u8], icc: &[u8]) -> Option<RgbaImage> {
    let profile = parse(icc).filter(|profile| profile.color_space == DataColorSpace::Cmyk)?;
    let options = DecoderOptions::default().set_strict_mode(false).set_max_width(65535).set_max_height(65535);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().ok()?;
    let space = decoder.input_colorspace().filter(|space| matches!(space, ColorSpace::CMYK | ColorSpace::YCCK))?;
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let (width, height) = decoder.dimensions()?;
    let mut pixels = decoder.decode().ok()?;
    let transform = transform(&profile, Layout::Rgba)?;
    for part in pixels.chunks_mut(4 * 4096) {
        for pixel in part.chunks_exact_mut(4) {
            let inks = if space == ColorSpace::YCCK { uncoupled(pixel) } else { [pixel[0], pixel[1], pixel[2]] };
            // Files hold what is left of the paper's white; a profile speaks of ink.
            let ink = [inks[0], inks[1], inks[2], pixel[3]].map(|value| 255 - value);
            pixel.copy_from_slice(&ink);
        }
        part.copy_from_slice(&converted(&transform, part)?);
        part.chunks_exact_mut(4).for_each(|pixel| pixel[3] = 255);
    }
    RgbaImage::from_raw(width as u32, height as u32, pixels)
}

/// The inks of a YCCK pixel: those of YCbCr's red, green and blue, turned round.
fn uncoupled(pixel: &[u8]) -> [u8; 3] {
    let [y, b, r] = [f32::from(pixel[0]), f32::from(pixel[1]) - 128.0, f32::from(pixel[2]) - 128.0];
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b].map(|value| 255 - value.round() as u8)
}
