//! Small pictures inside the page: each image once, as a style class that any number of boxes can wear.

use crate::images;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use rayon::prelude::*;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Longest side in pixels of pictures that are looked over by the dozen.
const SIDE: u32 = 144;
const QUALITY: u8 = 80;

/// The pictures of a page, by image name.
pub(super) struct Pictures {
    classes: HashMap<String, usize>,
    styles: String,
}

impl Pictures {
    /// Makes the small pictures; images without a usable file get none.
    pub fn new(names: &[&str], files: &HashMap<String, PathBuf>) -> Self {
        Self::sized(names, files, SIDE)
    }

    /// As [`Pictures::new`], with a longest side of `side` pixels.
    pub fn sized(names: &[&str], files: &HashMap<String, PathBuf>, side: u32) -> Self {
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        let wanted: Vec<&str> = distinct.into_iter().collect();
        let made: Vec<Option<Vec<u8>>> =
            wanted.par_iter().map(|name| files.get(*name).and_then(|path| small(path, side))).collect();
        let (mut classes, mut styles) = (HashMap::new(), String::new());
        for (number, (name, bytes)) in wanted.into_iter().zip(made).enumerate() {
            let Some(bytes) = bytes else { continue };
            let _ = writeln!(styles, ".p{number}{{background-image:url(data:image/jpeg;base64,{})}}", base64(&bytes));
            classes.insert(name.to_owned(), number);
        }
        Self { classes, styles }
    }

    /// The class of an image's picture.
    pub fn class(&self, name: &str) -> Option<String> {
        self.classes.get(name).map(|number| format!("p{number}"))
    }

    /// The rules that give the classes their pictures.
    pub fn styles(&self) -> &str {
        &self.styles
    }
}

/// A JPEG of the picture on white.
fn small(path: &Path, side: u32) -> Option<Vec<u8>> {
    let picture = images::decode_file(path).ok()?;
    let mut buffer = image::RgbaImage::from_raw(picture.width, picture.height, picture.data)?;
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
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&scaled.into_rgb8()).ok()?;
    Some(bytes)
}

/// Base64 as data URLs have it.
pub(super) fn base64(bytes: &[u8]) -> String {
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
