//! Whether an object is plain, striped or otherwise patterned.

use super::lab::Lab;

/// The names that are told apart.
pub const NAMES: [&str; 3] = ["plain", "striped", "patterned"];

/// A grid of colours, of which some show the object.
pub struct Surface<'a> {
    /// Cells in a row, and rows.
    pub side: usize,
    /// The colours.
    pub colours: &'a [Lab],
    /// Cells that lie well inside the object.
    pub inside: &'a [bool],
}

/// Differences of neighbours above this are edges of a pattern, not folds.
const EDGE: f32 = 9.0;
/// Shares of the inner cells that are edges: below the first an object is plain, above the second it is patterned.
const PLAIN: f32 = 0.1;
const BUSY: f32 = 0.28;
/// How much edges agree in their direction where they are stripes: 1 is all of them.
const AGREED: f32 = 0.62;

/// The pattern; none where it cannot be told.
pub fn of(surface: &Surface) -> Option<&'static str> {
    let side = surface.side;
    let (mut cells, mut edges, mut sum) = (0usize, 0usize, [0f32; 3]);
    for y in 1..side.saturating_sub(1) {
        for x in 1..side - 1 {
            let at = y * side + x;
            let around = [at, at - 1, at + 1, at - side, at + side];
            if !around.iter().all(|cell| surface.inside[*cell]) {
                continue;
            }
            cells += 1;
            let (gx, gy) = gradient(surface.colours, at, side);
            if gx.hypot(gy) > EDGE {
                edges += 1;
                let strength = gx.hypot(gy);
                sum[0] += gx * gx / strength;
                sum[1] += gy * gy / strength;
                sum[2] += gx * gy / strength;
            }
        }
    }
    if cells < 80 {
        return None;
    }
    let share = edges as f32 / cells as f32;
    if share < PLAIN {
        return Some("plain");
    }
    if share < BUSY {
        return None;
    }
    // The structure tensor's eigenvalues: stripes have one direction only.
    let (trace, apart) = (sum[0] + sum[1], (sum[0] - sum[1]).hypot(2.0 * sum[2]));
    Some(if apart > AGREED * trace { "striped" } else { "patterned" })
}

/// How the colours change across a cell: half the difference of its neighbours, of the channel that changes most.
fn gradient(colours: &[Lab], at: usize, side: usize) -> (f32, f32) {
    let change = |a: usize, b: usize, c: usize| (colours[b][c] - colours[a][c]) / 2.0;
    let along = (0..3).map(|c| (change(at - 1, at + 1, c), change(at - side, at + side, c)));
    along.max_by(|a, b| a.0.hypot(a.1).total_cmp(&b.0.hypot(b.1))).unwrap_or((0.0, 0.0))
}
