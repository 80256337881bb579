//! TargetPad of CLIP4Cir and SPRC (`data_utils.py`): an image that is too long gets margins on its long sides.

/// Margins in pixels as (left and right, top and bottom) of a `width` × `height` image. When one side is `ratio`
/// times the other or more, the short side grows to `long / ratio`; else nothing is added.
pub fn target_pad(width: u32, height: u32, ratio: f32) -> (u32, u32) {
    let (w, h, ratio) = (f64::from(width), f64::from(height), f64::from(ratio));
    if w.max(h) / w.min(h) < ratio {
        return (0, 0);
    }
    let grown = w.max(h) / ratio;
    // Upstream cuts towards zero, so the padded side may be one pixel short.
    let margin = |side: f64| (((grown - side) / 2.0).trunc().max(0.0)) as u32;
    (margin(w), margin(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand from upstream's formula.
    #[test]
    fn follows_upstream() {
        for (size, expected) in [
            ((100, 100), (0, 0)),
            ((124, 100), (0, 0)),
            ((125, 100), (0, 0)),
            ((200, 100), (0, 30)),
            ((100, 203), (31, 0)),
            ((1, 50_000), (19_999, 0)),
        ] {
            assert_eq!(target_pad(size.0, size.1, 1.25), expected, "{size:?}");
        }
    }
}
