//! A picture with what counted in it laid over, as PNG.

use crate::error::{Result, TrainerError};
use crate::images::inline::on_white;
use image::RgbImage;
use std::io::Cursor;
use std::path::Path;
use thisbut_model::image::Frame;

/// Times the mean of all cells that is the full colour, where no cell has more.
const FULL: f32 = 2.5;
/// Of the mean, what still counts as nothing.
const NOTHING: f32 = 0.5;
/// Little, and much.
const COLOURS: [[f32; 3]; 2] = [[255.0, 190.0, 60.0], [206.0, 32.0, 28.0]];
/// How much of the picture the full colour hides.
const OPAQUE: f32 = 0.62;

/// Shares of a picture's parts: a grid with its place on the picture.
#[derive(Clone, Copy, Debug)]
pub struct Heat<'a> {
    /// Row by row, sum 1.
    pub grid: &'a [f32],
    /// Cells in a row.
    pub cols: usize,
    /// Where the grid lies.
    pub frame: Frame,
}

impl Heat<'_> {
    /// From 0 to 1 at a point of the picture, whose sides are 1 long. Colours run from cell to cell.
    fn at(&self, x: f32, y: f32) -> f32 {
        let rows = self.grid.len() / self.cols.max(1);
        let (across, down) = (
            (x - self.frame.x) / self.frame.width * self.cols as f32 - 0.5,
            (y - self.frame.y) / self.frame.height * rows as f32 - 0.5,
        );
        if across < -0.5 || down < -0.5 || across > self.cols as f32 - 0.5 || down > rows as f32 - 0.5 {
            return 0.0;
        }
        let cell = |row: f32, col: f32| {
            let (row, col) = (row.clamp(0.0, rows as f32 - 1.0), col.clamp(0.0, self.cols as f32 - 1.0));
            self.grid.get(row as usize * self.cols + col as usize).copied().unwrap_or(0.0) * self.grid.len() as f32
        };
        let (left, top) = (across.floor(), down.floor());
        let (dx, dy) = (across - left, down - top);
        let row = |row: f32| cell(row, left) * (1.0 - dx) + cell(row, left + 1.0) * dx;
        let density = row(top) * (1.0 - dy) + row(top + 1.0) * dy;
        let most = self.grid.iter().fold(0.0_f32, |most, share| most.max(*share)) * self.grid.len() as f32;
        ((density - NOTHING) / (most.max(FULL) - NOTHING)).clamp(0.0, 1.0)
    }
}

/// The picture of `path` on white, its longest side at most `side` pixels, with `heat` over it, as PNG. What counted is coloured,
/// the rest turns to grey.
///
/// # Errors
/// When the file is no image that can be read.
pub fn png(path: &Path, side: u32, heat: &Heat) -> Result<Vec<u8>> {
    let mut picture = on_white(path, side)?;
    lay_over(&mut picture, heat);
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).map_err(|e| TrainerError::Image {
        place: path.display().to_string(),
        problem: e.to_string(),
        mend: "leave the picture out".to_owned(),
    })?;
    Ok(bytes.into_inner())
}

fn lay_over(picture: &mut RgbImage, heat: &Heat) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let h = heat.at((x as f32 + 0.5) / width, (y as f32 + 0.5) / height);
        let [r, g, b] = pixel.0.map(f32::from);
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        // Softer at its beginning, so that a cell's border is none.
        let cover = OPAQUE * h * (2.0 - h);
        for (channel, value) in pixel.0.iter_mut().enumerate() {
            let own = f32::from(*value);
            let base = own + (0.35 * own + 0.65 * (0.6 * grey + 102.0) - own) * (1.0 - h);
            let colour = COLOURS[0][channel] + (COLOURS[1][channel] - COLOURS[0][channel]) * h;
            *value = (base + (colour - base) * cover).round().clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counted_is_coloured_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blue.png");
        RgbImage::from_pixel(60, 40, image::Rgb([40, 60, 200])).save(&path).unwrap();
        // The grid lies on the left two thirds; its top left cell has everything.
        let frame = Frame { x: 0.0, y: 0.0, width: 2.0 / 3.0, height: 1.0 };
        let heat = Heat { grid: &[1.0, 0.0, 0.0, 0.0], cols: 2, frame };
        let picture = image::load_from_memory(&png(&path, 30, &heat).unwrap()).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (30, 20));
        let red = |x, y| i32::from(picture.get_pixel(x, y).0[0]) - i32::from(picture.get_pixel(x, y).0[2]);
        assert!(red(4, 4) > 30, "the hot corner is red: {}", red(4, 4));
        assert!(red(15, 15) < 0 && red(26, 4) < 0, "the rest is no warmer than it was");
        assert_eq!(picture.get_pixel(26, 4), picture.get_pixel(27, 15), "beyond the grid nothing counts");
        assert!(png(&folder.path().join("no.png"), 30, &heat).is_err());
    }
}
