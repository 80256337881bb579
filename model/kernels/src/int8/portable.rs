//! A tile without a processor's own instructions: what the others must agree with to the bit.

use super::{BLOCK, Line, PANEL, Panel, QUAD, Rows, Tile};

/// Σ code · code of a block for sixteen outputs.
#[inline(always)]
fn sums(half: usize, lines: &[Line], codes: &[i8], begin: i32) -> [i32; PANEL / 2] {
    let mut sums = [begin; PANEL / 2];
    for (pair, quad) in lines.chunks_exact(2).zip(codes.chunks_exact(QUAD)) {
        for (sum, w) in sums.iter_mut().zip(pair[half].0.as_chunks::<QUAD>().0) {
            for (w, a) in w.iter().zip(quad) {
                *sum += i32::from(*w) * i32::from(*a);
            }
        }
    }
    sums
}

/// See [`super::Path::tile`].
pub(super) fn tile(panel: &Panel, rows: &Rows, first: usize, count: usize, out: &mut Tile) {
    let lines = panel.codes.len() / panel.scales.len().max(1);
    for (row, out) in out.iter_mut().enumerate().take(count) {
        *out = [0.0; PANEL];
        let from = (first + row) * rows.blocks;
        for (block, scales) in panel.scales.iter().enumerate() {
            let at = from + block;
            let codes = &rows.codes[at * BLOCK..(at + 1) * BLOCK];
            for half in 0..2 {
                let sums = sums(half, &panel.codes[block * lines..(block + 1) * lines], codes, rows.begins[at]);
                let places = out[half * PANEL / 2..].iter_mut().zip(&scales[half * PANEL / 2..]);
                for ((o, scale), sum) in places.zip(sums) {
                    // Not fused: the same bits with and without that instruction.
                    *o += sum as f32 * (scale * rows.scales[at]);
                }
            }
        }
    }
}
