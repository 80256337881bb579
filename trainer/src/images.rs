//! Image files to RGBA bytes: JPEG, PNG, WebP and a GIF's first frame, recognised by content, turned upright
//! by their EXIF orientation, and refused with one clear sentence when they cannot be used.
//!
//! Resizing and normalisation are the model crate's; this module only decodes.

use crate::error::{Result, TrainerError};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Images of more pixels are refused before any memory is taken for them: the model's own limit.
pub use thisbut_model::image::MAX_PIXELS;
/// Files larger than this are refused before they are read.
pub const MAX_FILE_BYTES: u64 = 512 << 20;
/// What a decoder may allocate for one image.
const MAX_ALLOC: u64 = 1 << 30;
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
    // A decoder would fill the missing part of a cut-off JPEG with grey and say nothing.
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err(refuse(place, "the JPEG data breaks off before its end", "copy it again from its source"));
    }
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_ALLOC);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (width, height) = decoder.dimensions();
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
    // A broken EXIF block is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(broken)?;
    picture.apply_orientation(orientation);
    let rgba = picture.into_rgba8();
    Ok(RgbaImage { width: rgba.width(), height: rgba.height(), data: rgba.into_raw() })
}

/// True when an end-of-image marker follows the last start of scan.
fn jpeg_is_whole(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().find(|w| matches!(w, [0xff, 0xd9 | 0xda])).is_some_and(|w| w == [0xff, 0xd9])
}

fn explain(place: &str, error: &ImageError) -> TrainerError {
    match error {
        ImageError::Limits(_) => refuse(place, "the image needs too much memory", "save a smaller copy"),
        ImageError::Unsupported(e) => refuse(place, format!("a kind of image that is not read ({e})"), RESAVE),
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            refuse(place, "the image data breaks off before its end", "copy it again from its source")
        }
        e => {
            // Decoders' messages may span lines; ours are one sentence.
            let said = e.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
            refuse(place, format!("the image is damaged ({said})"), RESAVE)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgba, RgbaImage as Buffer};

    fn sample() -> Buffer {
        Buffer::from_fn(8, 4, |x, y| Rgba([x as u8 * 30, y as u8 * 60, 99, if x < 4 { 255 } else { 128 }]))
    }

    fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
    }

    fn message(bytes: &[u8]) -> String {
        decode_bytes(bytes, "a.jpg").unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_png_and_webp_keeps_its_pixels() {
        let rgba = DynamicImage::from(sample());
        for format in [ImageFormat::Png, ImageFormat::WebP] {
            let got = decode_bytes(&encoded(&rgba, format), "x").unwrap();
            assert_eq!((got.width, got.height), (8, 4));
            assert_eq!(got.data, *sample().as_raw(), "{format:?}");
            assert!(!got.is_opaque());
        }
        for kind in [DynamicImage::from(rgba.to_rgba16()), DynamicImage::from(rgba.to_rgb16())] {
            let got = decode_bytes(&encoded(&kind, ImageFormat::Png), "x").unwrap();
            assert_eq!(got.data[..3], sample().as_raw()[..3]);
        }
        for kind in [DynamicImage::from(rgba.to_luma8()), DynamicImage::from(rgba.to_luma_alpha16())] {
            let got = decode_bytes(&encoded(&kind, ImageFormat::Png), "x").unwrap();
            assert_eq!(got.data[20], got.data[21], "grey has equal channels");
        }
    }

    #[test]
    fn fixtures_made_by_another_encoder() {
        // Left half red, right half blue, 32 × 16; see tests/fixtures/make.py.
        for name in ["cmyk.jpg", "progressive.jpg", "grey.jpg", "palette.png", "animated.gif", "animated.webp"] {
            let got = decode_bytes(&fixture(name), name).unwrap();
            assert_eq!((got.width, got.height), (32, 16), "{name}");
            if name != "grey.jpg" {
                let at = |x: usize| &got.data[(8 * 32 + x) * 4..][..3];
                assert!(at(6)[0] > 180 && at(6)[2] < 80, "{name}: left is red, got {:?}", at(6));
                assert!(at(26)[0] < 80 && at(26)[2] > 180, "{name}: right is blue, got {:?}", at(26));
            }
        }
    }

    #[test]
    fn exif_orientation_turns_the_picture_upright() {
        // Stored as 32 × 16 with orientation 6 (turn by 90° clockwise): the left half ends on top.
        let got = decode_bytes(&fixture("turned.jpg"), "turned.jpg").unwrap();
        assert_eq!((got.width, got.height), (16, 32));
        assert!(got.data[(4 * 16 + 8) * 4] > 180, "red on top");
        assert!(got.data[(28 * 16 + 8) * 4 + 2] > 180, "blue below");
    }

    #[test]
    fn bad_files_get_one_clear_sentence() {
        assert!(message(b"").contains("zero bytes"));
        assert!(message(b"hello, this is text").contains("not an image"));
        assert!(message(b"<svg xmlns='x'>").contains("SVG"));
        assert!(message(b"BM\0\0\0\0\0\0\0\0").contains("BMP"));
        let jpeg = fixture("progressive.jpg");
        assert!(message(&jpeg[..jpeg.len() / 2]).contains("breaks off"));
        for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif] {
            let whole = encoded(&DynamicImage::from(sample()), format);
            for cut in [whole.len() / 2, 20] {
                let text = message(&whole[..cut]);
                assert!(text.starts_with("a.jpg: ") && text.matches("; ").count() == 1, "{format:?} {cut}: {text}");
                assert!(!text.contains('\n'));
            }
        }
    }

    #[test]
    fn a_hundred_megapixels_are_refused_from_the_header() {
        // A PNG header that promises 10000 × 10000, with no data behind it.
        let mut png = encoded(&DynamicImage::from(sample()), ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0x27, 0x10, 0, 0, 0x27, 0x10]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(message(&png).contains("100 megapixels"), "{}", message(&png));
        let one = DynamicImage::from(Buffer::from_pixel(1, 1, Rgba([1, 2, 3, 255])));
        assert_eq!(decode_bytes(&encoded(&one, ImageFormat::Png), "x").unwrap().data, [1, 2, 3, 255]);
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 })
        })
    }

    #[test]
    fn altered_files_are_decoded_or_refused_in_one_line() {
        let names = ["cmyk.jpg", "progressive.jpg", "turned.jpg", "palette.png", "animated.gif", "animated.webp"];
        for name in names {
            let whole = fixture(name);
            for at in 0..whole.len() {
                for change in [0x01, 0x80, 0xff] {
                    let mut bytes = whole.clone();
                    bytes[at] ^= change;
                    if let Err(e) = decode_bytes(&bytes, "x") {
                        let text = e.to_string();
                        assert!(!text.contains('\n') && !text.contains("gave up"), "{name} {at}: {text}");
                    }
                }
                // Near its end a file may lack nothing but a closing mark.
                if at < whole.len() / 2 && !name.ends_with("gif") && !name.ends_with("webp") {
                    assert!(decode_bytes(&whole[..at], "x").is_err(), "{name} {at}");
                }
            }
        }
    }

    #[test]
    fn folders_and_missing_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        assert!(decode_file(folder.path()).unwrap_err().to_string().contains("is not a file"));
        let gone = folder.path().join("gone.png");
        assert!(decode_file(&gone).unwrap_err().to_string().contains("gone.png: cannot read"));
    }
}
