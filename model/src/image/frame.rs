//! Where the image encoder's square lies on a picture: the way back from what the encoder saw to the picture's own coordinates.

use super::preprocess::{PreprocessConfig, axes, check_size};
use super::resize::Axis;
use crate::error::Result;
use serde::Serialize;

/// Where the encoder's square lies on a picture, in parts of its width and height: negative, or more than 1 long, where there are
/// margins; within it where something is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Frame {
    /// The square's left side.
    pub x: f32,
    /// Its top.
    pub y: f32,
    /// How wide it is.
    pub width: f32,
    /// How high it is.
    pub height: f32,
}

impl Frame {
    /// Of a picture of `width` × `height` pixels.
    ///
    /// # Errors
    /// [`ModelError::Image`](crate::ModelError::Image) for a size that no picture has,
    /// [`ModelError::Config`](crate::ModelError::Config) for a config that makes no sense.
    pub fn of(width: u32, height: u32, config: &PreprocessConfig) -> Result<Self> {
        check_size(width, height)?;
        config.check()?;
        let along = |axis: &Axis| {
            let (padded, source) = ((axis.source + 2 * axis.pad) as f64, axis.source as f64);
            let scale = padded / axis.resized as f64;
            let (from, long) = (axis.first as f64 * scale - axis.pad as f64, axis.count as f64 * scale);
            ((from / source) as f32, (long / source) as f32)
        };
        let (horizontal, vertical) = axes(width, height, config);
        let ((x, width), (y, height)) = (along(&horizontal), along(&vertical));
        Ok(Self { x, y, width, height })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::image::Fit;

    #[test]
    fn the_frame_lies_where_the_square_does() {
        let frame = |width, height, config: &PreprocessConfig| Frame::of(width, height, config).unwrap();
        let near = |a: Frame, b: [f32; 4]| {
            let apart = [a.x - b[0], a.y - b[1], a.width - b[2], a.height - b[3]];
            assert!(apart.iter().all(|x| x.abs() < 0.01), "{a:?} and {b:?}");
        };
        let clip = PreprocessConfig { pad_ratio: None, ..PreprocessConfig::CLIP };
        near(frame(300, 300, &clip), [0.0, 0.0, 1.0, 1.0]);
        // The middle half of the width.
        near(frame(400, 200, &clip), [0.25, 0.0, 0.5, 1.0]);
        // 200 pixels high, 120 wide: TargetPad makes it 160 wide, then the middle 160 of 200 are left.
        near(frame(120, 200, &PreprocessConfig::CLIP), [-1.0 / 6.0, 0.1, 160.0 / 120.0, 0.8]);
        near(frame(400, 200, &PreprocessConfig { fit: Fit::Stretch, ..clip }), [0.0, 0.0, 1.0, 1.0]);
        // Short side to twice S: the middle quarter of the picture is left.
        near(frame(90, 90, &PreprocessConfig { short_side: Some(448), ..clip }), [0.25, 0.25, 0.5, 0.5]);
        assert!(Frame::of(0, 5, &clip).is_err() && Frame::of(u32::MAX, 1, &clip).is_err());
    }
}
