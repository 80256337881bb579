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
}

impl Kind {
    /// Browsers leave a profile aside that is for another number of channels; a grey JPEG may have one of three.
    fn fits(self, space: DataColorSpace) -> bool {
        match space {
            DataColorSpace::Rgb => !self.grey || self.format == ImageFormat::Jpeg,
            DataColorSpace::Gray => self.grey,
            _ => false,
        }
    }
}

/// From four channels to red, green, blue and a fourth that nobody looks at.
pub(super) type Transform = Arc<dyn TransformExecutor<u8> + Send + Sync>;

/// Converts `picture` from its profile to sRGB; the alpha channel stays.
///
/// A profile that is broken, or for another kind of picture, is left aside, as browsers do; so is one that is sRGB itself
/// to within one step of 255.
pub(super) fn to_srgb(picture: &mut RgbaImage, icc: &[u8], kind: Kind) {
    let Some(profile) = parse(icc).filter(|profile| kind.fits(profile.color_space)) else { return };
    if profile.color_space == DataColorSpace::Gray {
        if let Some(table) = greys(&profile) {
            for pixel in picture.pixels_mut() {
                let value = table[usize::from(pixel.0[0])];
                pixel.0[..3].fill(value);
            }
        }
    } else if let Some(transform) = transform(&profile, Layout::Rgba).filter(|t| !is_srgb(t)) {
        for part in picture.chunks_mut(4 * PART) {
            let Some(converted) = converted(&transform, part) else { return };
            for (pixel, new) in part.chunks_exact_mut(4).zip(converted.chunks_exact(4)) {
                pixel[..3].copy_from_slice(&new[..3]);
            }
        }
    }
}

/// The profile in `icc`, unless it is broken.
pub(super) fn parse(icc: &[u8]) -> Option<ColorProfile> {
    // Other people's code meets hostile bytes here; the picture is worth more than its profile.
    catch_unwind(AssertUnwindSafe(|| ColorProfile::new_from_slice(icc).ok())).ok().flatten()
}

/// A way from `profile` to sRGB.
pub(super) fn transform(profile: &ColorProfile, layout: Layout) -> Option<Transform> {
    let made = || {
        let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
        profile.create_transform_8bit(layout, &srgb, Layout::Rgba, options).ok()
    };
    catch_unwind(AssertUnwindSafe(made)).ok().flatten()
}

/// Pixels of four channels, converted.
pub(super) fn converted(transform: &Transform, pixels: &[u8]) -> Option<Vec<u8>> {
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
