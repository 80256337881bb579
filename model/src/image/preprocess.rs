//! From decoded RGBA pixels to the image encoder's input, the same for training, indexing and the browser.

use serde::{Deserialize, Serialize};

use super::pad::target_pad;
use super::resize::{Axis, resize_crop};
use super::rows::Rows;
use crate::error::{ModelError, Result};

/// Most pixels an image may have.
pub const MAX_PIXELS: u64 = 50_000_000;

/// Longest side an image may have, in pixels (JPEG's own limit).
pub const MAX_SIDE: u32 = 65_535;

/// Largest input side of an encoder, in pixels.
const MAX_SIZE: usize = 2048;

/// A decoded image: 8-bit sRGB with straight alpha, four bytes a pixel, rows from the top.
#[derive(Debug, Clone, Copy)]
pub struct Rgba<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `[height, width, 4]` bytes.
    pub data: &'a [u8],
}

impl<'a> Rgba<'a> {
    /// Checks the size before anything is computed.
    ///
    /// # Errors
    /// [`ModelError::Image`] when a side is zero, the image is too large, or `data` isn't `4 · width · height` bytes.
    pub fn new(width: u32, height: u32, data: &'a [u8]) -> Result<Self> {
        let image = Self { width, height, data };
        image.check()?;
        Ok(image)
    }

    fn check(&self) -> Result<()> {
        let Self { width, height, data } = self;
        check_size(*width, *height)?;
        let pixels = u64::from(*width) * u64::from(*height);
        if data.len() as u64 != pixels * 4 {
            let problem = format!("{width}×{height} pixels need {} bytes, it has {}", pixels * 4, data.len());
            return unusable(problem, "decode it to RGBA, four bytes a pixel");
        }
        Ok(())
    }
}

fn unusable(problem: String, mend: &str) -> Result<()> {
    Err(ModelError::Image { place: "the image".into(), problem, mend: mend.into() })
}

pub(super) fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        return unusable(format!("it is empty ({width}×{height} pixels)"), "use an image with at least one pixel");
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS || width.max(height) > MAX_SIDE {
        let limit = format!("use one of at most {} megapixels and {MAX_SIDE} pixels a side", MAX_PIXELS / 1_000_000);
        return unusable(format!("it is too large ({width}×{height} pixels)"), &limit);
    }
    Ok(())
}

/// How the image is resampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Cubic convolution with a = −0.5, Pillow's `BICUBIC`.
    Bicubic,
    /// Triangle filter, Pillow's `BILINEAR`.
    Bilinear,
}

/// How an image becomes a square of side S.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// Its short side is resized, its middle cut out, where half a pixel goes to the even neighbour: torchvision's `CenterCrop`, in
    /// OpenAI's and OpenCLIP's code and SPRC's.
    #[default]
    Crop,
    /// The same with half a pixel cut off: transformers' `center_crop`.
    CropDown,
    /// Both sides are resized to S (BLIP).
    Stretch,
}

impl Fit {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
    fn is_crop(&self) -> bool {
        *self == Self::Crop
    }
}

/// What the image encoder expects. Steps, in order: background, padding, resize, centre crop, normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreprocessConfig {
    /// Side S of the square input, in pixels.
    pub size: usize,
    /// Filter of the resize.
    pub resize: Filter,
    /// How the image becomes square (default: short side and middle).
    #[serde(default, skip_serializing_if = "Fit::is_crop")]
    pub fit: Fit,
    /// What the short side is resized to before the middle is cut out, in pixels: S or more (default: S).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_side: Option<usize>,
    /// TargetPad's ratio: an image whose long side is at least this many times its short side gets margins. `None`
    /// (`null`): never.
    pub pad_ratio: Option<f32>,
    /// Colour of the margins. Upstream: black.
    pub pad_fill: [u8; 3],
    /// Colour behind transparent pixels.
    pub background: [u8; 3],
    /// Subtracted from each channel, on the scale that `scale_to_unit` names.
    pub mean: [f32; 3],
    /// Divides each channel afterwards.
    pub std: [f32; 3],
    /// True: channels run 0..1 before `mean` and `std`; false: 0..255.
    pub scale_to_unit: bool,
}

impl PreprocessConfig {
    /// EfficientNet-Lite as in the web presets: (x − 127) / 128, margins in the background's white.
    pub const EFFICIENTNET_LITE: Self = Self {
        size: 224,
        resize: Filter::Bicubic,
        fit: Fit::Crop,
        short_side: None,
        pad_ratio: Some(1.25),
        pad_fill: [255; 3],
        background: [255; 3],
        mean: [127.0; 3],
        std: [128.0; 3],
        scale_to_unit: false,
    };

    /// CLIP's and EVA-CLIP's normalisation with SPRC's black TargetPad (`targetpad_transform`).
    pub const CLIP: Self = Self {
        size: 224,
        resize: Filter::Bicubic,
        fit: Fit::Crop,
        short_side: None,
        pad_ratio: Some(1.25),
        pad_fill: [0; 3],
        background: [255; 3],
        mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
        std: [0.268_629_54, 0.261_302_6, 0.275_777_1],
        scale_to_unit: true,
    };

    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self) -> Result<()> {
        let error = |field: &str, problem: String, mend: &str| {
            Err(ModelError::Config { place: format!("preprocess.{field}"), problem, mend: mend.into() })
        };
        if self.size == 0 || self.size > MAX_SIZE {
            return error("size", format!("{} is no input size", self.size), &format!("use 1 to {MAX_SIZE}"));
        }
        if let Some(short) = self.short_side
            && (!(self.size..=MAX_SIZE).contains(&short) || self.fit == Fit::Stretch)
        {
            let mend = format!("use {} to {MAX_SIZE} where the middle is cut out, or leave it out", self.size);
            return error("short_side", format!("{short} is no length before the crop"), &mend);
        }
        if let Some(ratio) = self.pad_ratio
            && !(1.0..=1e6).contains(&ratio)
        {
            return error("pad_ratio", format!("{ratio} is no side ratio"), "use 1 or more, or null");
        }
        if !self.mean.iter().all(|m| m.is_finite()) {
            return error("mean", "it holds a value that is no number".into(), "use three finite numbers");
        }
        if !self.std.iter().all(|s| s.is_finite() && *s > 0.0) {
            return error("std", "it holds a value that can't divide".into(), "use three positive numbers");
        }
        Ok(())
    }
}

/// The encoder's input `[3, S, S]`, channel first.
///
/// # Errors
/// [`ModelError::Image`] for an image that can't be used, [`ModelError::Config`] for a config that makes no sense.
pub fn preprocess(image: &Rgba<'_>, config: &PreprocessConfig) -> Result<Vec<f32>> {
    let pixels = preprocess_u8(image, config)?;
    let plane = config.size * config.size;
    let mut out = Vec::with_capacity(3 * plane);
    for (channel, (mean, std)) in config.mean.into_iter().zip(config.std).enumerate() {
        // One division for each of 256 values, in torchvision's order of operations.
        let scale = if config.scale_to_unit { 255.0 } else { 1.0 };
        let table: [f32; 256] = std::array::from_fn(|x| (x as f32 / scale - mean) / std);
        out.extend(pixels.iter().skip(channel).step_by(4).map(|&x| table[usize::from(x)]));
    }
    Ok(out)
}

/// The pixels before normalisation: `[S, S, 4]` bytes; the fourth channel means nothing.
///
/// # Errors
/// As [`preprocess`].
pub fn preprocess_u8(image: &Rgba<'_>, config: &PreprocessConfig) -> Result<Vec<u8>> {
    image.check()?;
    config.check()?;
    let (horizontal, vertical) = axes(image.width, image.height, config);
    let rows = Rows::new(image.data, image.width as usize, config.background);
    Ok(resize_crop(&rows, &horizontal, &vertical, config.resize, config.pad_fill))
}

/// How the two axes of a picture become those of the square.
pub(super) fn axes(width: u32, height: u32, config: &PreprocessConfig) -> (Axis, Axis) {
    let (left, top) = config.pad_ratio.map_or((0, 0), |ratio| target_pad(width, height, ratio));
    let (left, top, width, height) = (left as usize, top as usize, width as usize, height as usize);
    let (across, down) = (width + 2 * left, height + 2 * top);
    // torchvision's Resize(S) cuts the long side's length towards zero.
    let (short, wanted) = (across.min(down) as f64, config.short_side.unwrap_or(config.size));
    let resized = |side: usize| match config.fit {
        Fit::Stretch => config.size,
        Fit::Crop | Fit::CropDown if side as f64 == short => wanted,
        Fit::Crop | Fit::CropDown => long_side(wanted, side, short),
    };
    let axis = |source: usize, pad: usize, padded: usize| {
        let resized = resized(padded);
        Axis { source, pad, resized, first: crop_offset(resized - config.size, config.fit), count: config.size }
    };
    (axis(width, left, across), axis(height, top, down))
}

fn long_side(size: usize, long: usize, short: f64) -> usize {
    ((size * long) as f64 / short) as usize
}

/// Half the surplus; torchvision's `CenterCrop` has Python's `round` (a half goes to the even neighbour).
fn crop_offset(surplus: usize, fit: Fit) -> usize {
    let half = surplus / 2;
    if fit == Fit::Crop && surplus % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Case {
        width: u32,
        height: u32,
        alpha: String,
        config: PreprocessConfig,
        hash: String,
        pixels: Option<Vec<u8>>,
    }

    /// The same noise as in `tests/golden/image.py`.
    fn noise(width: u32, height: u32, alpha: &str) -> Vec<u8> {
        let mut state = width.wrapping_mul(7919).wrapping_add(height);
        let mut data = Vec::new();
        for i in 0..width * height * 4 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            data.push(match (i % 4, alpha) {
                (3, "opaque") => 255,
                (3, "some") if byte < 128 => 255,
                _ => byte,
            });
        }
        data
    }

    fn fnv(bytes: &[u8]) -> String {
        let hash =
            bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
        format!("{hash:016x}")
    }

    #[test]
    fn matches_pillow_bit_by_bit() {
        let cases: Vec<Case> = serde_json::from_str(include_str!("../../../tests/golden/image.json")).unwrap();
        assert!(cases.len() >= 20);
        for case in cases {
            let data = noise(case.width, case.height, &case.alpha);
            let image = Rgba::new(case.width, case.height, &data).unwrap();
            let rgba = preprocess_u8(&image, &case.config).unwrap();
            let rgb: Vec<u8> = rgba.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
            if let Some(expected) = &case.pixels {
                let worst = rgb.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
                assert_eq!(
                    (rgb.len(), worst),
                    (expected.len(), Some(0)),
                    "{}x{} {:?}",
                    case.width,
                    case.height,
                    case.config
                );
            }
            assert_eq!(fnv(&rgb), case.hash, "{}x{} {:?}", case.width, case.height, case.config);
        }
    }

    #[test]
    fn normalises_channel_first() {
        let data = [0, 127, 255, 255].repeat(6);
        let image = Rgba::new(3, 2, &data).unwrap();
        let lite = preprocess(&image, &PreprocessConfig::EFFICIENTNET_LITE).unwrap();
        let plane = 224 * 224;
        assert_eq!(lite.len(), 3 * plane);
        let middle = plane / 2 + 112;
        assert_eq!([lite[middle], lite[plane + middle], lite[2 * plane + middle]], [-127.0 / 128.0, 0.0, 1.0]);
        let clip = preprocess(&image, &PreprocessConfig::CLIP).unwrap();
        assert!((clip[plane + middle] - (127.0 / 255.0 - 0.457_827_5) / 0.261_302_6).abs() < 1e-6);
    }

    #[test]
    fn transparent_margins_take_their_colours() {
        let data = [9, 9, 9, 0].repeat(10);
        let config = PreprocessConfig { size: 10, background: [1, 2, 3], pad_fill: [200; 3], ..PreprocessConfig::CLIP };
        let out = preprocess_u8(&Rgba::new(10, 1, &data).unwrap(), &config).unwrap();
        assert_eq!((out[0], out[400 - 4]), (200, 200));
        let plain = PreprocessConfig { pad_ratio: None, ..config };
        let out = preprocess_u8(&Rgba::new(10, 1, &data).unwrap(), &plain).unwrap();
        assert!(out.chunks_exact(4).all(|p| p[..3] == [1, 2, 3]));
    }

    #[test]
    fn refuses_what_is_no_image() {
        for (width, height, len) in
            [(0, 5, 0), (5, 0, 0), (2, 2, 15), (2, 2, 17), (2, 2, 0), (u32::MAX, u32::MAX, 4), (65_536, 1, 65_536 * 4)]
        {
            let data = vec![0; len];
            let error = Rgba::new(width, height, &data).unwrap_err();
            assert!(matches!(error, ModelError::Image { .. }), "{error}");
            let unchecked = Rgba { width, height, data: &data };
            assert!(preprocess(&unchecked, &PreprocessConfig::CLIP).is_err());
        }
        let huge = Rgba { width: 10_000, height: 10_000, data: &[] };
        let message = preprocess(&huge, &PreprocessConfig::CLIP).unwrap_err().to_string();
        assert!(message.contains("10000×10000") && message.contains("50 megapixels"), "{message}");
    }

    #[test]
    fn refuses_senseless_configs() {
        let data = [0; 4];
        let image = Rgba::new(1, 1, &data).unwrap();
        let good = PreprocessConfig::CLIP;
        for config in [
            PreprocessConfig { size: 0, ..good },
            PreprocessConfig { size: usize::MAX, ..good },
            PreprocessConfig { pad_ratio: Some(0.5), ..good },
            PreprocessConfig { pad_ratio: Some(f32::NAN), ..good },
            PreprocessConfig { std: [0.0, 1.0, 1.0], ..good },
            PreprocessConfig { short_side: Some(223), ..good },
            PreprocessConfig { short_side: Some(usize::MAX), ..good },
            PreprocessConfig { short_side: Some(256), fit: Fit::Stretch, ..good },
            PreprocessConfig { mean: [f32::INFINITY, 1.0, 1.0], ..good },
        ] {
            assert!(matches!(preprocess(&image, &config), Err(ModelError::Config { .. })), "{config:?}");
        }
    }

    #[test]
    fn extreme_shapes_stay_small() {
        let started = std::time::Instant::now();
        let data = vec![77; 65_535 * 4];
        for (width, height) in [(65_535, 1), (1, 65_535)] {
            for pad_ratio in [None, Some(1.25)] {
                let config = PreprocessConfig { pad_ratio, ..PreprocessConfig::CLIP };
                let out = preprocess(&Rgba::new(width, height, &data).unwrap(), &config).unwrap();
                assert_eq!(out.len(), 3 * 224 * 224);
            }
        }
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }

    #[test]
    fn config_is_plain_json() {
        let text = serde_json::to_string(&PreprocessConfig::EFFICIENTNET_LITE).unwrap();
        assert!(text.contains("\"resize\":\"bicubic\""), "{text}");
        assert!(!text.contains("fit") && !text.contains("short_side"), "{text}");
        assert_eq!(serde_json::from_str::<PreprocessConfig>(&text).unwrap(), PreprocessConfig::EFFICIENTNET_LITE);
        let other = PreprocessConfig { fit: Fit::CropDown, short_side: Some(256), ..PreprocessConfig::CLIP };
        let text = serde_json::to_string(&other).unwrap();
        assert!(text.contains("\"fit\":\"crop-down\""), "{text}");
        assert_eq!(serde_json::from_str::<PreprocessConfig>(&text).unwrap(), other);
    }
}
