//! Attributes that a table lacks, measured from the pictures: the main colours of the object, not of the floor that it lies on,
//! and its pattern.

pub mod check;
pub mod colour;
pub mod lab;
pub mod pattern;
pub mod segment;

use lab::Lab;
use segment::SIDE;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// The main colour.
    Colour,
    /// The pattern.
    Pattern,
}

impl Measure {
    /// The attribute's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Colour => "colour",
            Self::Pattern => "pattern",
        }
    }

    /// The values that it can have.
    pub fn values(self) -> Vec<&'static str> {
        match self {
            Self::Colour => colour::NAMES.into_iter().chain([colour::MANY]).collect(),
            Self::Pattern => pattern::NAMES.to_vec(),
        }
    }
}

/// What was measured of one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Guess {
    /// Colours with their shares of the object, the largest first.
    pub colours: Vec<(f32, &'static str)>,
    /// The main colour, where it can be told.
    pub colour: Option<&'static str>,
    /// The pattern, where it can be told.
    pub pattern: Option<&'static str>,
    /// The object's share of the picture.
    pub object: f32,
}

impl Guess {
    /// The guessed value of an attribute.
    pub fn value(&self, measure: Measure) -> Option<&'static str> {
        match measure {
            Measure::Colour => self.colour,
            Measure::Pattern => self.pattern,
        }
    }
}

/// Fine cells a side of a coarse one: stripes must not melt into grey.
const FINE: usize = 2;

/// Measures one picture.
pub fn guess(picture: &image::RgbaImage) -> Guess {
    let least = (SIDE * FINE) as u32;
    if picture.width() < least || picture.height() < least {
        let (width, height) = (picture.width().max(least), picture.height().max(least));
        let nearest = image::imageops::FilterType::Nearest;
        return guess(&image::imageops::resize(picture, width, height, nearest));
    }
    let coarse: Vec<Lab> = cells(picture, SIDE);
    let mask = segment::object(&coarse);
    let side = SIDE * FINE;
    let fine = cells(picture, side);
    let parent = |cell: usize| cell / side / FINE * SIDE + cell % side / FINE;
    let inner = inner(&mask);
    let chosen = |wanted: &[bool]| -> Vec<usize> { (0..fine.len()).filter(|cell| wanted[parent(*cell)]).collect() };
    let mut object = chosen(&inner);
    if object.len() < 200 {
        object = chosen(&mask);
    }
    let colours: Vec<Lab> = object.iter().map(|cell| fine[*cell]).collect();
    let weights: Vec<f32> = object.iter().map(|cell| (-segment::outwards(parent(*cell)).powi(2)).exp()).collect();
    let shares = colour::shares(&colours, &weights);
    let inside: Vec<bool> = (0..fine.len()).map(|cell| inner[parent(cell)]).collect();
    Guess {
        colour: colour::main(&shares),
        pattern: pattern::of(&pattern::Surface { side, colours: &fine, inside: &inside }),
        object: mask.iter().filter(|m| **m).count() as f32 / mask.len() as f32,
        colours: shares,
    }
}

/// Cells whose neighbours are the object's too: what lies at its edge is mixed with the background.
fn inner(mask: &[bool]) -> Vec<bool> {
    let at = |x: usize, y: usize| mask[y * SIDE + x];
    let kept = |cell: usize| {
        let (x, y) = (cell % SIDE, cell / SIDE);
        let edge = x == 0 || y == 0 || x + 1 == SIDE || y + 1 == SIDE;
        mask[cell] && (edge || (at(x - 1, y) && at(x + 1, y) && at(x, y - 1) && at(x, y + 1)))
    };
    (0..mask.len()).map(kept).collect()
}

/// A picture over white as `side` × `side` mean colours.
fn cells(picture: &image::RgbaImage, side: usize) -> Vec<Lab> {
    let reduced = crate::looks::reduce(picture, side);
    reduced.values.chunks_exact(3).map(|c| lab::of_rgb([c[0] as u8, c[1] as u8, c[2] as u8])).collect()
}
