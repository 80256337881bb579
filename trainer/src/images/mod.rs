//! Image files to RGBA bytes: JPEG, PNG, WebP and a GIF's first frame, recognised by content, turned upright
//! by their EXIF orientation, brought to sRGB by their colour profile, and refused with one clear sentence when they cannot
//! be used.
//!
//! The page gives the same pixels, and refuses the same files. Resizing, normalisation, and whether a JPEG is whole are the
//! model crate's; this module only decodes.

pub mod inline;
mod png;
mod profile;
mod whole;

use crate::error::{Result, TrainerError};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use profile::Kind;
use std::borrow::Cow;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use thisbut_model::image::jpeg::{self, Extent};

/// Images of more pixels are refused before any memory is taken for them: the model's own limit.
pub use thisbut_model::image::MAX_PIXELS;
/// Files larger than this are refused before they are read.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// What a decoder may allocate for one image.
const MAX_ALLOC: u64 = 1 << 30;
/// A JPEG's end mark.
const END: [u8; 2] = [0xff, 0xd9];
const CUT: &str = "the image data breaks off before its end";
const AGAIN: &str = "copy it again from its source";
const RESAVE: &str = "save it again as JPEG, PNG, WebP or GIF, or leave it out";

/// A decoded image: eight bits a channel, not premultiplied, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbaImage {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `height × width × 4` bytes: red, green, blue, alpha.
    pub data: Vec<u8>,
}

impl RgbaImage {
    /// True when no pixel is transparent.
    pub fn is_opaque(&self) -> bool {
        self.data.chunks_exact(4).all(|pixel| pixel.get(3) == Some(&255))
    }
}

/// Reads and decodes one file; see [`decode_bytes`].
pub fn decode_file(path: &Path) -> Result<RgbaImage> {
    decode_bytes(&read_file(path)?, &path.display().to_string())
}

/// Reads an image file's bytes, after a look at its kind and size (a pipe would hang, a huge file would fill the memory).
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    crate::fsx::read(path, MAX_FILE_BYTES).map_err(|e| match e {
        TrainerError::Data { place, problem, .. } => {
            refuse(&place, problem, "give an image file, a smaller copy if it is one")
        }
        other => other,
    })
}

/// Decodes an image of any supported format to RGBA, upright.
///
/// `place` names the image in messages. Fails with [`TrainerError::Image`] for: zero bytes, content that is no image or
/// of another format, damaged or truncated content, and more than [`MAX_PIXELS`].
pub fn decode_bytes(bytes: &[u8], place: &str) -> Result<RgbaImage> {
    let format = sniff(bytes, place)?;
    // Decoders are other people's code and meet hostile files here: a panic in one must cost one image, not the run.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes, format, place)))
        .unwrap_or_else(|_| Err(refuse(place, "the image decoder gave up on it", RESAVE)))?;
    Ok(decoded)
}

fn refuse(place: &str, problem: impl Into<String>, mend: &str) -> TrainerError {
    TrainerError::Image { place: place.to_owned(), problem: problem.into(), mend: mend.to_owned() }
}

/// Names the format from the first bytes, or says what the file is instead.
fn sniff(bytes: &[u8], place: &str) -> Result<ImageFormat> {
    if bytes.is_empty() {
        return Err(refuse(place, "the file has zero bytes", "copy it again from its source, or leave it out"));
    }
    match image::guess_format(bytes) {
        Ok(f @ (ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::WebP | ImageFormat::Gif)) => Ok(f),
        Ok(other) => {
            let name = other.extensions_str().first().copied().unwrap_or("other").to_uppercase();
            Err(refuse(place, format!("this is a {name} image, which is not read"), RESAVE))
        }
        Err(_) => {
            let head = bytes.get(..64.min(bytes.len())).unwrap_or(bytes);
            let is = |tag: &[u8]| head.windows(tag.len()).any(|w| w == tag);
            let problem = if is(b"ftypheic") || is(b"ftypheix") || is(b"ftypmif1") {
                "this is a HEIC image, which is not read"
            } else if is(b"<svg") {
                "this is an SVG drawing, which is not read"
            } else {
                "this is not an image"
            };
            Err(refuse(place, problem, "give a JPEG, PNG, WebP or GIF file"))
        }
    }
}

fn decode(bytes: &[u8], format: ImageFormat, place: &str) -> Result<RgbaImage> {
    let broken = |e: ImageError| explain(place, &e);
    let bytes = if format == ImageFormat::Png { png::without_bombs(bytes) } else { Cow::Borrowed(bytes) };
    let bytes = &*bytes;
    check_size(reader(bytes, format).map_err(broken)?.dimensions(), place)?;
    let bytes = match format {
        ImageFormat::Jpeg => picture_of(bytes, place)?,
        ImageFormat::WebP if !whole::webp(bytes) => return Err(refuse(place, CUT, AGAIN)),
        ImageFormat::Gif if !whole::gif(bytes) => return Err(refuse(place, CUT, AGAIN)),
        _ => Cow::Borrowed(bytes),
    };
    let mut decoder = reader(&bytes, format).map_err(broken)?;
    // A broken EXIF block or profile is no reason to refuse the picture: browsers show it without.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let icc = decoder.icc_profile().ok().flatten().unwrap_or_default();
    let inks = format == ImageFormat::Jpeg && jpeg::channels(&bytes) == Some(4);
    let kind = Kind { format, grey: !decoder.color_type().has_color(), inks };
    let mut rgba = DynamicImage::from_decoder(decoder).map_err(broken)?.into_rgba8();
    let named = if format == ImageFormat::Png { png::colours(&bytes, &icc) } else { None };
    match named {
        Some(profile) => profile::convert(&mut rgba, &profile),
        None => profile::to_srgb(&mut rgba, &icc, kind),
    }
    if orientation != Orientation::NoTransforms {
        let mut picture = DynamicImage::from(rgba);
        picture.apply_orientation(orientation);
        rgba = picture.into_rgba8();
    }
    Ok(RgbaImage { width: rgba.width(), height: rgba.height(), data: rgba.into_raw() })
}

/// A decoder that has read the header.
fn reader(bytes: &[u8], format: ImageFormat) -> Result<impl ImageDecoder, ImageError> {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.into_decoder()
}

fn check_size((width, height): (u32, u32), place: &str) -> Result<()> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        let problem = format!("{width} × {height} pixels are {} megapixels", pixels / 1_000_000);
        let limit = MAX_PIXELS / 1_000_000;
        let mend = format!("save a copy of at most {limit} megapixels; 1000 pixels a side are plenty");
        return Err(refuse(place, problem, &mend));
    }
    if pixels == 0 {
        return Err(refuse(place, format!("the image is empty ({width} × {height} pixels)"), RESAVE));
    }
    Ok(())
}

/// A JPEG without what stands behind its picture (a phone's video, a second picture), and with an end mark.
///
/// Fails when a part of the picture is missing: a decoder would fill it with grey and say nothing.
fn picture_of<'a>(bytes: &'a [u8], place: &str) -> Result<Cow<'a, [u8]>> {
    match jpeg::extent(bytes) {
        Extent::Unknown => Ok(Cow::Borrowed(bytes)),
        Extent::Broken(problem) => Err(refuse(place, problem, AGAIN)),
        Extent::Whole(end) if bytes.get(end..) == Some(&END) => Ok(Cow::Borrowed(bytes)),
        Extent::Whole(end) => Ok(Cow::Owned([bytes.get(..end).unwrap_or(bytes), &END].concat())),
    }
}

/// True when a file has more in it than its picture: bytes behind the end, which may be anything.
pub fn carries_more(bytes: &[u8]) -> bool {
    match image::guess_format(bytes) {
        Ok(ImageFormat::Jpeg) => match jpeg::extent(bytes) {
            Extent::Whole(end) => bytes.get(end..) != Some(&END),
            _ => true,
        },
        Ok(ImageFormat::Png) => png::end(bytes) != Some(bytes.len()),
        Ok(ImageFormat::WebP) => {
            let size = bytes.get(4..8).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes);
            size.map(|size| u64::from(size) + 8) != Some(bytes.len() as u64)
        }
        _ => true,
    }
}

fn explain(place: &str, error: &ImageError) -> TrainerError {
    match error {
        ImageError::Limits(_) => refuse(place, "the image needs too much memory", "save a smaller copy"),
        ImageError::Unsupported(e) => refuse(place, format!("a kind of image that is not read ({e})"), RESAVE),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => refuse(place, CUT, AGAIN),
        e => {
            // Decoders' messages may span lines; ours are one sentence.
            let said = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            refuse(place, format!("the image is damaged ({said})"), RESAVE)
        }
    }
}

#[cfg(test)]
mod shown;
#[cfg(test)]
mod tests;
