//! Images that look the same: near-duplicates by a coarse grid of means.

use rayon::prelude::*;

/// Side of the comparison grid.
pub const GRID: usize = 32;
/// Window of the comparison grid whose mean difference counts.
const WINDOW: usize = 4;
/// Two images look the same when their most different 4 × 4 window of the 32 × 32 grid differs by less than this many
/// of 255 levels. Looked at by eye: every pair below 16 is the same drawing to a person (a guard and a man guard differ
/// by eyebrows under the hat); the first pair that a person tells apart is a snowman with and without snow, at 17.8.
pub const SAME: f32 = 16.0;
/// A picture over white, reduced to a square grid: `side × side × 3` means.
#[derive(Clone, Debug)]
pub struct Reduced {
    side: usize,
    /// Red, green and blue of each cell, 0 to 255.
    pub values: Vec<f32>,
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
pub fn classes(looks: &[&Reduced]) -> Vec<usize> {
    let mut pairs: Vec<(f32, usize, usize)> = (0..looks.len())
        .into_par_iter()
        .flat_map_iter(|i| {
            looks.iter().enumerate().skip(i + 1).filter_map(move |(j, b)| {
                let a = looks.get(i)?;
                // A window below SAME cannot have a mean above SAME, so this test only saves time.
                let near = a.mean_difference(b, SAME).is_finite();
                let d = if near { a.difference(b) } else { f32::INFINITY };
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
