//! Cosines of every image of a collection with every other: a block of rows at a time, on every core.

use crate::embed::read;
use crate::error::Result;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

/// Cosines that are held at once: 256 MB.
const HELD: usize = 1 << 26;
/// Rows of a block. A product lays out its whole right side anew, so that few rows cost as much as many.
const ROWS: std::ops::RangeInclusive<usize> = 16..=512;

/// What `visit(row, cosines)` makes of each row, in their order: `features` are n L2-normalised vectors of one width, a row
/// has n cosines.
///
/// # Errors
/// When the device does not give the cosines back.
pub fn each_row<T: Send>(features: &[&[f32]], visit: impl Fn(usize, &[f32]) -> T + Sync) -> Result<Vec<T>> {
    let (count, width) = (features.len(), features.first().map_or(0, |feature| feature.len()));
    assert!(features.iter().all(|feature| feature.len() == width), "features of one width");
    let rows = HELD.checked_div(count).map_or(1, |rows| rows.clamp(*ROWS.start(), *ROWS.end()));
    let all = Tensor::<2>::from_data(TensorData::new(features.concat(), [count, width]), &Device::flex());
    let mut found = Vec::with_capacity(count);
    for first in (0..count).step_by(rows) {
        let own = all.clone().slice([first..(first + rows).min(count), 0..width]);
        let cosines = read(own.matmul(all.clone().transpose()))?;
        found.par_extend(cosines.par_chunks_exact(count).enumerate().map(|(row, cosines)| visit(first + row, cosines)));
    }
    Ok(found)
}

/// The highest `most` of a row's cosines with their places, falling; of equal ones the first places. Only places that
/// `fits` accepts.
pub fn nearest(cosines: &[f32], most: usize, fits: impl Fn(usize, f32) -> bool) -> Vec<(f32, usize)> {
    let falling = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    let mut best: Vec<(f32, usize)> = Vec::new();
    let mut bound = f32::NEG_INFINITY;
    for (place, cosine) in cosines.iter().enumerate() {
        // Of what is as high as the bound, the places before are taken.
        if *cosine > bound && fits(place, *cosine) {
            best.push((*cosine, place));
        }
        if best.len() == 2 * most.max(1) {
            best.select_nth_unstable_by(most.saturating_sub(1), falling);
            best.truncate(most);
            bound = best.iter().fold(f32::INFINITY, |low, (cosine, _)| low.min(*cosine));
        }
    }
    best.sort_unstable_by(falling);
    best.truncate(most);
    best
}
