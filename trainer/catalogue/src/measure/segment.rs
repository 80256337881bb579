//! Which part of a picture is the object, and which the floor, bed or wall behind it.
//!
//! The rim of a picture is taken for background and its middle for the object. Both become mixtures of five colours; each cell
//! then joins the one that explains it better, given where it lies and what its neighbours are; and so again, as in GrabCut.

use super::lab::{self, Lab};

/// Side of the grid of cells.
pub const SIDE: usize = 64;
/// Colours of each mixture.
const COLOURS: usize = 5;
/// Rounds of mixtures and cells.
const ROUNDS: usize = 6;
/// How much a cell follows its neighbours.
const SMOOTH: f32 = 2.2;
/// A smaller part of the picture is no object.
const LEAST: f32 = 0.04;
/// How far light counts beside hue: shadows fall on objects.
const LIGHT: f32 = 0.6;

/// One colour of a mixture.
struct Component {
    share: f32,
    mean: Lab,
    variance: Lab,
}

fn mixture(colours: &[Lab]) -> Vec<Component> {
    let (_, of) = lab::groups(colours, COLOURS, 8);
    let count = of.iter().max().map_or(0, |most| most + 1);
    let own = |n: usize| colours.iter().zip(&of).filter(move |(_, group)| **group == n).map(|(c, _)| c);
    let mut out = Vec::with_capacity(count);
    for n in 0..count {
        let size = own(n).count() as f32;
        if size < 3.0 {
            continue;
        }
        let mut mean = [0f32; 3];
        own(n).for_each(|c| mean.iter_mut().zip(c).for_each(|(m, v)| *m += v / size));
        // Nine levels of noise, so that an even colour is not infinitely sure of itself.
        let mut variance = [9f32; 3];
        own(n)
            .for_each(|c| variance.iter_mut().zip(c).zip(&mean).for_each(|((s, v), m)| *s += (v - m) * (v - m) / size));
        out.push(Component { share: (size / colours.len() as f32).ln(), mean, variance });
    }
    out
}

/// How badly a mixture explains a colour.
fn cost(mixture: &[Component], colour: &Lab) -> f32 {
    let of = |part: &Component| {
        let spread = colour.iter().zip(&part.mean).zip(&part.variance);
        0.5 * spread.map(|((c, m), v)| (c - m) * (c - m) / v + v.ln()).sum::<f32>() - part.share
    };
    mixture.iter().map(of).fold(f32::INFINITY, f32::min)
}

/// How far a cell lies from the middle: 1 on the ellipse that an object usually fills.
pub fn outwards(cell: usize) -> f32 {
    let (u, v) = place(cell);
    ((u / 0.62).powi(2) + (v / 0.72).powi(2)).sqrt()
}

fn place(cell: usize) -> (f32, f32) {
    let at = |n: usize| (n as f32 + 0.5) / SIDE as f32 * 2.0 - 1.0;
    (at(cell % SIDE), at(cell / SIDE))
}

fn rim(cell: usize) -> bool {
    let (u, v) = place(cell);
    u.abs().max(v.abs()) > 0.88
}

/// The cells that show the object, of a grid of [`SIDE`] × [`SIDE`] colours.
pub fn object(cells: &[Lab]) -> Vec<bool> {
    let colours: Vec<Lab> = cells.iter().map(|[l, a, b]| [l * LIGHT, *a, *b]).collect();
    let prior: Vec<f32> = (0..cells.len())
        .map(|cell| (outwards(cell).min(2.0) - 1.0) * 2.0 + if rim(cell) { 1.5 } else { 0.0 })
        .collect();
    let mut mask: Vec<bool> = (0..cells.len()).map(|cell| outwards(cell) < 0.8).collect();
    let mut behind: Vec<bool> = (0..cells.len()).map(rim).collect();
    let chosen = |wanted: &[bool]| -> Vec<Lab> {
        colours.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(c, _)| *c).collect()
    };
    for _ in 0..ROUNDS {
        let (object, ground) = (mixture(&chosen(&mask)), mixture(&chosen(&behind)));
        let lean: Vec<f32> = colours
            .iter()
            .zip(&prior)
            .map(|(c, prior)| (cost(&object, c) - cost(&ground, c)).clamp(-8.0, 8.0) + prior)
            .collect();
        let next = smoothed(&lean);
        if (next.iter().filter(|m| **m).count() as f32) < LEAST * cells.len() as f32 {
            break;
        }
        mask = next;
        behind = (0..cells.len()).map(|cell| rim(cell) || !mask[cell]).collect();
    }
    mask
}

/// Cells of the object by what each leans to (below 0: the object) and what its neighbours are.
fn smoothed(lean: &[f32]) -> Vec<bool> {
    let mut mask: Vec<bool> = lean.iter().map(|d| *d < 0.0).collect();
    for _ in 0..6 {
        let at = |x: isize, y: isize| {
            let inside = |n: isize| n.clamp(0, SIDE as isize - 1) as usize;
            f32::from(u8::from(mask[inside(y) * SIDE + inside(x)]))
        };
        let near = |cell: usize| {
            let (x, y) = ((cell % SIDE) as isize, (cell / SIDE) as isize);
            let beside = at(x - 1, y) + at(x + 1, y) + at(x, y - 1) + at(x, y + 1);
            beside + 0.7 * (at(x - 1, y - 1) + at(x + 1, y - 1) + at(x - 1, y + 1) + at(x + 1, y + 1))
        };
        // 3.4 is half of all neighbours.
        mask = lean.iter().enumerate().map(|(cell, d)| d - SMOOTH * (near(cell) - 3.4) < 0.0).collect();
    }
    mask
}
