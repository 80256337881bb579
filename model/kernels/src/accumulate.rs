//! Products of small matrices that lie apart in memory, for attention.

use super::cpu::LANES;

/// Rows of output that are summed up together: each element of the right factor is loaded once for all of them, and their
/// sums do not wait for each other. WebAssembly has fewer registers.
pub(super) const ROWS: usize = if cfg!(target_family = "wasm") { 2 } else { 4 };

/// Rows and terms of one call of [`accumulate`].
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Rows of output, `out_row` elements apart, of `width` elements.
    pub rows: usize,
    pub out_row: usize,
    pub width: usize,
    /// The left factor of row r and term k lies at `r · left_row + k · left_step`.
    pub left_row: usize,
    pub left_step: usize,
    /// Terms; the right factor's k-th row lies at `k · right_row`.
    pub count: usize,
    pub right_row: usize,
}

/// R rows and L columns of [`accumulate`], whose sums stay in registers.
#[inline(always)]
fn tile<const R: usize, const L: usize>(out: &mut [f32], left: &[f32], right: &[f32], extent: Extent) {
    let Extent { out_row, left_row, left_step, count, right_row, .. } = extent;
    let mut sums = [[0.0f32; L]; R];
    for (r, sums) in sums.iter_mut().enumerate() {
        sums.copy_from_slice(&out[r * out_row..r * out_row + L]);
    }
    if left_step == 1 {
        // Of factors that lie side by side none needs a check of its own. No closures: they would be outside the wide code.
        let mut lefts = [&left[..0]; R];
        for (r, own) in lefts.iter_mut().enumerate() {
            *own = &left[r * left_row..r * left_row + count];
        }
        for (k, right) in right.chunks(right_row).take(count).enumerate() {
            let right = &right[..L];
            for (sums, left) in sums.iter_mut().zip(&lefts) {
                let left = left[k];
                for (sum, &right) in sums.iter_mut().zip(right) {
                    *sum += left * right;
                }
            }
        }
    } else {
        for k in 0..count {
            let right = &right[k * right_row..k * right_row + L];
            for (r, sums) in sums.iter_mut().enumerate() {
                let left = left[r * left_row + k * left_step];
                for (sum, &right) in sums.iter_mut().zip(right) {
                    *sum += left * right;
                }
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        out[r * out_row..r * out_row + L].copy_from_slice(sums);
    }
}

/// `out[r][..] += Σ_k left[r][k] · right[k][..]`. The order of the terms, and so each sum, does not depend on how rows and
/// columns are cut into tiles.
#[inline(always)]
pub(super) fn accumulate(out: &mut [f32], left: &[f32], right: &[f32], extent: Extent) {
    let mut row = 0;
    while row < extent.rows {
        let together = if extent.rows - row >= ROWS { ROWS } else { 1 };
        let left = &left[row * extent.left_row..];
        let mut at = 0;
        while at < extent.width {
            let (out, right) = (&mut out[row * extent.out_row + at..], &right[at..]);
            at += match (together == ROWS, extent.width - at) {
                (true, LANES..) => {
                    tile::<ROWS, LANES>(out, left, right, extent);
                    LANES
                }
                (true, 8..) => {
                    tile::<ROWS, 8>(out, left, right, extent);
                    8
                }
                (true, _) => {
                    tile::<ROWS, 1>(out, left, right, extent);
                    1
                }
                (false, LANES..) => {
                    tile::<1, LANES>(out, left, right, extent);
                    LANES
                }
                (false, 8..) => {
                    tile::<1, 8>(out, left, right, extent);
                    8
                }
                (false, _) => {
                    tile::<1, 1>(out, left, right, extent);
                    1
                }
            };
        }
        row += together;
    }
}
