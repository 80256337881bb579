//! Colour profiles: pixels as a picture's ICC profile means them, in sRGB, as a browser shows them.

use image::{ImageFormat, RgbaImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformExecutor, TransformOptions};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Pixels that are converted together.
const PART: usize = 4096;

/// What a profile must fit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The file's format.
    pub format: ImageFormat,
    /// Whether the file has one channel of colour.
    pub grey: bool,
    /// Whether the file has four inks.
    pub inks: bool,
}

impl Kind {
    /// Browsers leave a profile aside that is for another number of channels; a grey JPEG may have one of three.
    fn fits(self, space: DataColorSpace) -> bool {
        match space {
            DataColorSpace::Rgb => !self.inks && (!self.grey || self.format == ImageFormat::Jpeg),
            DataColorSpace::Gray => self.grey,
            DataColorSpace::Cmyk => self.inks,
            _ => false,
        }
    }
}

/// From four channels to red, green, blue and a fourth that nobody looks at.
type Transform = Arc<dyn TransformExecutor<u8> + Send + Sync>;

/// Converts `picture` from its profile to sRGB; the alpha channel stays.
///
/// A profile that is broken, or for another kind of picture, is left aside, as browsers do; so is one that is sRGB itself
/// to within one step of 255.
pub(super) fn to_srgb(picture: &mut RgbaImage, icc: &[u8], kind: Kind) {
    let Some(profile) = parse(icc).filter(|profile| kind.fits(profile.color_space)) else { return };
    match profile.color_space {
        DataColorSpace::Gray => {
            let Some(table) = greys(&profile) else { return };
            for pixel in picture.pixels_mut() {
                let value = table[usize::from(pixel.0[0])];
                pixel.0[..3].fill(value);
            }
        }
        // The decoder has multiplied the inks. As Chromium does, what is left is read as three inks without black.
        DataColorSpace::Cmyk => {
            let Some(transform) = transform(&profile, Layout::Rgba) else { return };
            let inks =
                |part: &[u8]| part.chunks_exact(4).flat_map(|p| [255 - p[0], 255 - p[1], 255 - p[2], 0]).collect();
            apply(picture, &transform, inks);
        }
        _ => convert(picture, &profile),
    }
}

/// Converts `picture` from a profile of three colours to sRGB; the alpha channel stays.
pub(super) fn convert(picture: &mut RgbaImage, profile: &ColorProfile) {
    if let Some(transform) = transform(profile, Layout::Rgba).filter(|t| !is_srgb(t)) {
        apply(picture, &transform, <[u8]>::to_vec);
    }
}

/// Puts what `transform` makes of `read` pixels in the place of their colours.
fn apply(picture: &mut RgbaImage, transform: &Transform, read: impl Fn(&[u8]) -> Vec<u8>) {
    for part in picture.chunks_mut(4 * PART) {
        let Some(converted) = converted(transform, &read(part)) else { return };
        for (pixel, new) in part.chunks_exact_mut(4).zip(converted.chunks_exact(4)) {
            pixel[..3].copy_from_slice(&new[..3]);
        }
    }
}

/// The profile in `icc`, unless it is broken.
pub(super) fn parse(icc: &[u8]) -> Option<ColorProfile> {
    // Other people's code meets hostile bytes here; the picture is worth more than its profile.
    catch_unwind(AssertUnwindSafe(|| ColorProfile::new_from_slice(icc).ok())).ok().flatten()
}

/// A way from `profile` to sRGB.
fn transform(profile: &ColorProfile, layout: Layout) -> Option<Transform> {
    let made = || {
        let (srgb, options) =
            (ColorProfile::new_srgb(), TransformOptions { prefer_fixed_point: false, ..Default::default() });
        profile.create_transform_8bit(layout, &srgb, Layout::Rgba, options).ok()
    };
    catch_unwind(AssertUnwindSafe(made)).ok().flatten()
}

/// Pixels of four channels, converted.
fn converted(transform: &Transform, pixels: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0; pixels.len()];
    let done = catch_unwind(AssertUnwindSafe(|| transform.transform(pixels, &mut out).is_ok())).unwrap_or_default();
    done.then_some(out)
}

/// What each value of a grey picture becomes.
fn greys(profile: &ColorProfile) -> Option<Vec<u8>> {
    let transform = transform(profile, Layout::Gray)?;
    let values: Vec<u8> = (0..=255).collect();
    let mut out = vec![0; 4 * 256];
    let done = catch_unwind(AssertUnwindSafe(|| transform.transform(&values, &mut out).is_ok())).unwrap_or_default();
    done.then(|| out.chunks_exact(4).map(|pixel| pixel[0]).collect())
}

/// Whether nine steps a channel stay where they are.
fn is_srgb(transform: &Transform) -> bool {
    let level = |n: usize| (n % 9 * 32).min(255) as u8;
    let probe: Vec<u8> = (0..729).flat_map(|n| [level(n), level(n / 9), level(n / 81), 255]).collect();
    converted(transform, &probe).is_some_and(|out| out.iter().zip(&probe).all(|(a, b)| a.abs_diff(*b) <= 1))
}
