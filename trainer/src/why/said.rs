//! What counted, as text for a terminal.

use crate::terminal;
use std::fmt::Write;
use thisbut_model::why::{Explanation, Part, Place};

/// From none to most.
const SHADES: [char; 5] = ['·', '░', '▒', '▓', '█'];
/// Words that are listed.
const WORDS: usize = 12;

/// The words with their shares, the grid of the picture, and where each phrase looked.
pub fn said(why: &Explanation) -> String {
    let mut out = format!("why, by the model's attention\n  words    {}\n", words(&why.words));
    let _ = writeln!(out, "  picture  {}", place(why.place));
    for row in why.grid.chunks(why.cols.max(1)) {
        let _ = writeln!(out, "           {}", shaded(row, why.grid.len()));
    }
    for phrase in &why.phrases {
        let _ = writeln!(
            out,
            "  \"{}\" ({:.0} %): {}",
            terminal::line(&phrase.text),
            100.0 * phrase.share,
            place(phrase.place)
        );
    }
    out.truncate(out.trim_end().len());
    out
}

/// The words that counted most, first.
pub fn words(words: &[Part]) -> String {
    let mut words: Vec<&Part> = words.iter().collect();
    words.sort_by(|a, b| b.share.total_cmp(&a.share));
    let listed = words.iter().take(WORDS).map(|w| format!("{} {:.0} %", terminal::line(&w.text), 100.0 * w.share));
    listed.collect::<Vec<_>>().join(", ")
}

fn shaded(row: &[f32], cells: usize) -> String {
    let shade = |share: &f32| {
        let density = share * cells as f32;
        // The mean of all cells is the second shade, three times as much the last.
        let at = [0.5, 1.0, 2.0, 3.0].iter().filter(|limit| density >= **limit).count();
        [SHADES[at]; 2].iter().collect::<String>()
    };
    row.iter().map(shade).collect()
}

/// Where it was, in words.
pub fn place(place: Place) -> &'static str {
    match place {
        Place::TopLeft => "mostly the top left",
        Place::Top => "mostly the top",
        Place::TopRight => "mostly the top right",
        Place::Left => "mostly the left",
        Place::Middle => "mostly the middle",
        Place::Right => "mostly the right",
        Place::BottomLeft => "mostly the bottom left",
        Place::Bottom => "mostly the bottom",
        Place::BottomRight => "mostly the bottom right",
        Place::All => "all of it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use thisbut_model::image::Frame;

    #[test]
    fn what_counted_is_said_with_the_most_first() {
        let part = |text: &str, share: f32| Part {
            text: text.into(),
            span: 0..1,
            share,
            grid: vec![1.0, 0.0, 0.0, 0.0],
            place: Place::TopLeft,
        };
        let why = Explanation {
            rows: 2,
            cols: 2,
            frame: Frame { x: 0.0, y: 0.0, width: 1.0, height: 1.0 },
            grid: vec![0.75, 0.25, 0.0, 0.0],
            place: Place::TopLeft,
            words: vec![part("in", 0.25), part("red\n", 0.75)],
            phrases: vec![part("red", 0.75)],
        };
        let text = said(&why);
        assert_eq!(
            text,
            "why, by the model's attention\n  words    red\\u000a 75 %, in 25 %\n  picture  mostly the top left\n           ██▒▒\n           ····\n  \
             \"red\" (75 %): mostly the top left"
        );
    }
}
