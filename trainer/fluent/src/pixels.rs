//! What the pixels say: images that look the same, and which skin tone a file really shows.

use rayon::prelude::*;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// Side of the comparison grid.
pub const GRID: usize = 32;
/// Window of the comparison grid whose mean difference counts.
const WINDOW: usize = 4;
/// Two images look the same when their most different 4 × 4 window of the 32 × 32 grid differs by less than this many
/// of 255 levels. Looked at by eye: every pair below 16 is the same drawing to a person (a guard and a man guard differ
/// by eyebrows under the hat); the first pair that a person tells apart is a snowman with and without snow, at 17.8.
pub const SAME: f32 = 16.0;
/// Side of the grid for skin tones: small hands must count.
const TONE_GRID: usize = 128;

/// A picture over white, reduced to a square grid: `side × side × 3` means.
pub struct Reduced {
    side: usize,
    values: Vec<f32>,
}

/// Both reductions of one file.
pub struct Look {
    /// For look-alikes.
    pub coarse: Reduced,
    /// For skin tones.
    pub fine: Reduced,
}

/// Decodes a file and reduces it.
///
/// # Errors
/// [`TrainerError::Image`] when the file is not an image.
pub fn look(path: &Path) -> Result<Look> {
    let bytes = fsx::read(path, fsx::MIDDLE)?;
    let rgba = image::load_from_memory(&bytes).map_err(|e| TrainerError::Image {
        place: path.display().to_string(),
        problem: format!("cannot be decoded ({e})"),
        mend: "fetch the image package again".to_owned(),
    })?;
    let rgba = rgba.to_rgba8();
    Ok(Look { coarse: reduce(&rgba, GRID), fine: reduce(&rgba, TONE_GRID) })
}

/// Area means of the picture over white.
pub fn reduce(rgba: &image::RgbaImage, side: usize) -> Reduced {
    let mut sums = vec![0f32; side * side * 3];
    let mut counts = vec![0f32; side * side];
    let (width, height) = (rgba.width().max(1) as usize, rgba.height().max(1) as usize);
    for (x, y, pixel) in rgba.enumerate_pixels() {
        let cell = (y as usize * side / height) * side + x as usize * side / width;
        let [r, g, b, a] = pixel.0;
        let alpha = f32::from(a) / 255.0;
        for (channel, value) in [r, g, b].into_iter().enumerate() {
            if let Some(sum) = sums.get_mut(cell * 3 + channel) {
                *sum += f32::from(value) * alpha + 255.0 * (1.0 - alpha);
            }
        }
        if let Some(count) = counts.get_mut(cell) {
            *count += 1.0;
        }
    }
    for (sum, count) in sums.chunks_exact_mut(3).zip(&counts) {
        sum.iter_mut().for_each(|s| *s /= count.max(1.0));
    }
    Reduced { side, values: sums }
}

impl Reduced {
    /// The largest mean difference of any window, in levels.
    pub fn difference(&self, other: &Self) -> f32 {
        let n = self.side;
        // Integral image of the per-cell largest channel difference.
        let mut integral = vec![0f32; (n + 1) * (n + 1)];
        let cells = self.values.chunks_exact(3).zip(other.values.chunks_exact(3));
        for (cell, (a, b)) in cells.enumerate() {
            let d = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0f32, f32::max);
            let (x, y) = (cell % n + 1, cell / n + 1);
            integral[y * (n + 1) + x] = d + integral[(y - 1) * (n + 1) + x] + integral[y * (n + 1) + x - 1]
                - integral[(y - 1) * (n + 1) + x - 1];
        }
        let mut worst = 0f32;
        for y in WINDOW..=n {
            for x in WINDOW..=n {
                let sum = integral[y * (n + 1) + x]
                    - integral[(y - WINDOW) * (n + 1) + x]
                    - integral[y * (n + 1) + x - WINDOW]
                    + integral[(y - WINDOW) * (n + 1) + x - WINDOW];
                worst = worst.max(sum / (WINDOW * WINDOW) as f32);
            }
        }
        worst
    }

    fn mean_difference(&self, other: &Self, limit: f32) -> f32 {
        let limit = limit * self.values.len() as f32;
        let mut sum = 0f32;
        for (a, b) in self.values.chunks(96).zip(other.values.chunks(96)) {
            sum += a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum::<f32>();
            if sum > limit {
                return f32::INFINITY;
            }
        }
        sum / self.values.len() as f32
    }
}

/// Look-alike classes: for each image the index of its class's first image. Complete linkage, so that a chain of small
/// steps never joins two images that differ.
pub fn classes(looks: &[Look]) -> Vec<usize> {
    let mut pairs: Vec<(f32, usize, usize)> = (0..looks.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            looks.iter().enumerate().skip(i + 1).filter_map(move |(j, b)| {
                let a = looks.get(i)?;
                // A window below SAME cannot have a mean above SAME, so this test only saves time.
                let near = a.coarse.mean_difference(&b.coarse, SAME).is_finite();
                let d = if near { a.coarse.difference(&b.coarse) } else { f32::INFINITY };
                (d < SAME).then_some((d, i, j))
            })
        })
        .collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
    let close: std::collections::BTreeSet<(usize, usize)> = pairs.iter().map(|(_, i, j)| (*i, *j)).collect();
    let mut class: Vec<usize> = (0..looks.len()).collect();
    let members = |class: &[usize], c: usize| -> Vec<usize> {
        class.iter().enumerate().filter(|(_, k)| **k == c).map(|(i, _)| i).collect()
    };
    for (_, i, j) in pairs {
        let (a, b) = (class[i], class[j]);
        if a == b {
            continue;
        }
        let (left, right) = (members(&class, a), members(&class, b));
        if left.iter().all(|x| right.iter().all(|y| close.contains(&(*x.min(y), *x.max(y))))) {
            let first = a.min(b);
            left.into_iter().chain(right).for_each(|x| class[x] = first);
        }
    }
    class
}

/// Which tone each of five files shows, when the files show one drawing in the five tones: the order in which most
/// pixels grow strictly darker is the order of the tones. Hair does not follow it (the light tone has black hair), skin
/// does. Returns tones 1–5 in the order of `files`, or none when too few pixels tell.
pub fn tone_order(files: [&Look; 5]) -> Option<[u8; 5]> {
    const MARGIN: f32 = 6.0;
    let mut votes: std::collections::BTreeMap<[u8; 5], usize> = std::collections::BTreeMap::new();
    let luminance = |look: &Look, pixel: usize| {
        let p = look.fine.values.get(pixel * 3..pixel * 3 + 3).unwrap_or(&[]);
        p.iter().zip([0.30, 0.59, 0.11]).map(|(v, w)| v * w).sum::<f32>()
    };
    for pixel in 0..TONE_GRID * TONE_GRID {
        let mut order: Vec<(f32, usize)> = files.iter().enumerate().map(|(i, f)| (luminance(f, pixel), i)).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        if order.windows(2).all(|w| w[0].0 - w[1].0 >= MARGIN) {
            let mut tones = [0u8; 5];
            order.iter().enumerate().for_each(|(rank, (_, i))| tones[*i] = rank as u8 + 1);
            *votes.entry(tones).or_default() += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, n)| *n).filter(|(_, n)| *n >= 8).map(|(tones, _)| tones)
}
