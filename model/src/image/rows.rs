//! Rows of an RGBA image over a plain background.

/// An image's rows, transparency resolved.
pub(super) struct Rows<'a> {
    data: &'a [u8],
    stride: usize,
    background: [u8; 3],
}

impl<'a> Rows<'a> {
    /// `data` is `[height, width, 4]`; `background` shows where alpha is below 255.
    pub fn new(data: &'a [u8], width: usize, background: [u8; 3]) -> Self {
        Self { data, stride: width * 4, background }
    }

    /// Row `y`; built in `scratch` only when some pixel of it isn't opaque. The fourth channel stays alpha.
    pub fn row<'s>(&'s self, y: usize, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        let row = &self.data[y * self.stride..(y + 1) * self.stride];
        // The whole row without an early exit, so that it vectorises.
        let opaque = row.chunks_exact(4).fold(255, |all, pixel| all & pixel[3]) == 255;
        if opaque {
            return row;
        }
        scratch.clear();
        scratch.extend_from_slice(row);
        for pixel in scratch.chunks_exact_mut(4) {
            let alpha = u32::from(pixel[3]);
            for (c, under) in pixel.iter_mut().zip(self.background) {
                // Straight alpha, rounded as Pillow's `paste` with a mask does.
                let blend = u32::from(*c) * alpha + u32::from(under) * (255 - alpha) + 128;
                *c = (((blend >> 8) + blend) >> 8) as u8;
            }
        }
        scratch
    }
}
