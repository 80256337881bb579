//! "Why this": which part of a reference and which words counted in its query, from the model's own attention.
//!
//! A family says what its attention is ([`Method::attention`](crate::method::Method::attention)); here it becomes something to look
//! at. Image tokens become a grid on the picture, without the class token, which has no place in it. Text tokens become words,
//! without the marks. What is left is scaled to the sum 1. A word's own grid is the column of its tokens, their sum, scaled likewise:
//! where the model looked when it read the word.
//!
//! It says what the model looked at, not what it would have answered without.

use crate::error::{ModelError, Result};
use crate::image::Frame;
use crate::retrieval::{EncodedImages, Looked, Retrieval};
use serde::Serialize;
use std::ops::Range;

/// Most phrases that are looked for.
pub const MOST_PHRASES: usize = 32;
/// How much denser than the whole picture the densest ninth has to be, to be named.
const DENSER: f32 = 1.25;

/// A part of the picture, one of nine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each variant says what it is")]
pub enum Place {
    TopLeft,
    Top,
    TopRight,
    Left,
    Middle,
    Right,
    BottomLeft,
    Bottom,
    BottomRight,
    /// No part much more than the others.
    All,
}

/// The nine parts, row by row.
const NINTHS: [Place; 9] = [
    Place::TopLeft,
    Place::Top,
    Place::TopRight,
    Place::Left,
    Place::Middle,
    Place::Right,
    Place::BottomLeft,
    Place::Bottom,
    Place::BottomRight,
];

/// A word or a phrase of the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// As the model reads it; a phrase as it was given.
    pub text: String,
    /// Its characters in the text as the model reads it: cleaned, in small letters.
    pub span: Range<u32>,
    /// Its part of the attention that all words got.
    pub share: f32,
    /// `[rows · cols]`, row by row, sum 1: where the model looked when it read it.
    pub grid: Vec<f32>,
    /// Where that is.
    pub place: Place,
}

/// What counted in a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// Rows of the grid.
    pub rows: usize,
    /// Its columns.
    pub cols: usize,
    /// Where the grid lies on the picture.
    pub frame: Frame,
    /// `[rows · cols]`, row by row, sum 1: each part's share of the query's attention to the picture.
    pub grid: Vec<f32>,
    /// Where most of it is.
    pub place: Place,
    /// The words in their order; their shares' sum is 1.
    pub words: Vec<Part>,
    /// The phrases that were asked for, those that the text has.
    pub phrases: Vec<Part>,
}

impl Retrieval {
    /// Which part of a picture of `size` pixels, and which words of a text, counted in their query. `phrases` are parts of the text
    /// to be looked at as one; those that are nowhere in it are left out, and those after [`MOST_PHRASES`].
    ///
    /// # Errors
    /// [`ModelError::Query`] for a text without words; as [`Retrieval::attention`], and [`ModelError::Image`] for a size that no
    /// picture has.
    pub async fn explain<P: AsRef<str>>(
        &self,
        image: &EncodedImages,
        (width, height): (u32, u32),
        (text, phrases): (&str, &[P]),
    ) -> Result<Explanation> {
        let tokens = self.texts().tokens(text);
        let words = self.texts().words(text);
        if words.is_empty() {
            return Err(ModelError::Query {
                problem: "there are no words whose attention could be told".into(),
                mend: "say what should be different".into(),
            });
        }
        let frame = Frame::of(width, height, &self.config().preprocess)?;
        let looked = self.attention(image, &tokens).await?;
        let seen = Seen::new(&looked, self.class_tokens(), frame)?;
        let all: f32 = words.iter().map(|word| seen.text(&word.tokens)).sum();
        let part = |text: String, span: Range<u32>, tokens: &Range<usize>| {
            let (share, grid) = (seen.text(tokens) / all, seen.map(tokens)?);
            Ok(Part { text, span, share, place: seen.place(&grid), grid })
        };
        let phrases = phrases.get(..MOST_PHRASES).unwrap_or(phrases);
        let located = self.texts().places(text, phrases).into_iter().zip(phrases).filter_map(|(tokens, phrase)| {
            let tokens = tokens?;
            let (first, last) = (
                words.iter().find(|w| w.tokens.end > tokens.start)?,
                words.iter().rfind(|w| w.tokens.start < tokens.end)?,
            );
            Some(part(phrase.as_ref().to_owned(), first.span.start..last.span.end, &tokens))
        });
        let phrases = located.collect::<Result<_>>()?;
        let words = words.into_iter().map(|word| part(word.text, word.span, &word.tokens)).collect::<Result<_>>()?;
        let (grid, side) =
            (scaled(seen.looked.image.get(seen.class_tokens..).unwrap_or_default().to_vec())?, seen.side);
        Ok(Explanation { rows: side, cols: side, frame, place: seen.place(&grid), grid, words, phrases })
    }

    fn class_tokens(&self) -> usize {
        self.config().image_encoder.class_tokens()
    }
}

/// A query's attention, ready to be cut.
struct Seen<'a> {
    looked: &'a Looked,
    class_tokens: usize,
    side: usize,
    frame: Frame,
}

impl<'a> Seen<'a> {
    fn new(looked: &'a Looked, class_tokens: usize, frame: Frame) -> Result<Self> {
        let side = looked.image.len().saturating_sub(class_tokens).isqrt();
        let finite = looked.image.iter().chain(&looked.text).chain(&looked.pairs).all(|share| share.is_finite());
        match finite && side * side + class_tokens == looked.image.len() {
            true => Ok(Self { looked, class_tokens, side, frame }),
            false => Err(broken("it is not finite, or of no square grid")),
        }
    }

    /// The share of some tokens of the text.
    fn text(&self, tokens: &Range<usize>) -> f32 {
        self.looked.text.get(tokens.clone()).map_or(0.0, |shares| shares.iter().sum())
    }

    /// The grid of some tokens of the text.
    fn map(&self, tokens: &Range<usize>) -> Result<Vec<f32>> {
        let row = |row: &[f32]| row.get(tokens.clone()).map_or(0.0, |weights| weights.iter().sum());
        scaled(self.looked.pairs.chunks(self.looked.text.len().max(1)).skip(self.class_tokens).map(row).collect())
    }

    fn place(&self, grid: &[f32]) -> Place {
        place(grid, self.side, self.frame)
    }
}

fn broken(problem: &str) -> ModelError {
    ModelError::Device { place: "attention".into(), problem: problem.into(), mend: "try again, or use the CPU".into() }
}

/// Scaled to the sum 1.
fn scaled(mut shares: Vec<f32>) -> Result<Vec<f32>> {
    let sum: f32 = shares.iter().sum();
    if !(sum.is_finite() && sum > 0.0) {
        return Err(broken("it has no positive sum"));
    }
    shares.iter_mut().for_each(|share| *share /= sum);
    Ok(shares)
}

/// The densest ninth of the picture, where it is clearly denser than the whole.
fn place(grid: &[f32], side: usize, frame: Frame) -> Place {
    // Parts of a picture's length that a cell and a third of it share, for each of both.
    let overlap = |from: f32, long: f32| -> Vec<[f32; 3]> {
        let cell = |at: usize| {
            let (a, b) = (from + long * at as f32 / side as f32, from + long * (at + 1) as f32 / side as f32);
            [0.0_f32, 1.0, 2.0].map(|third| (b.min((third + 1.0) / 3.0) - a.max(third / 3.0)).max(0.0) / (b - a))
        };
        (0..side).map(cell).collect()
    };
    let (across, down) = (overlap(frame.x, frame.width), overlap(frame.y, frame.height));
    let mut ninths = [0.0_f32; 9];
    for (row, shares) in down.iter().zip(grid.chunks(side.max(1))) {
        for (column, share) in across.iter().zip(shares) {
            for (at, ninth) in ninths.iter_mut().enumerate() {
                *ninth += share * row[at / 3] * column[at % 3];
            }
        }
    }
    let all: f32 = ninths.iter().sum();
    let (at, most) =
        ninths.iter().enumerate().fold((0, 0.0), |best, (at, share)| if *share > best.1 { (at, *share) } else { best });
    if most * 9.0 > all * DENSER { NINTHS[at] } else { Place::All }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::config::RetrievalConfig;
    use crate::method::AnyMethod;
    use crate::text::TextReader;
    use burn::tensor::{Device, Distribution, Tensor};
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nred\ndog\n##gy\n,\nwith\nsleeves\nlong\n##er";

    /// On a CPU every future is ready at once.
    fn ready<T>(future: impl Future<Output = T>) -> T {
        match Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a CPU that waits"),
        }
    }

    fn model(preset: &str) -> Retrieval {
        let (config, device) = (RetrievalConfig::preset(preset).unwrap(), Device::flex());
        device.seed(11);
        let method = AnyMethod::new(&config, &device).unwrap();
        let reader = TextReader::new(&config, WORDS).unwrap();
        Retrieval::new(config, None, method, reader, &device)
    }

    fn image(model: &Retrieval) -> EncodedImages {
        let shape = [1, model.config().image_tokens(), model.config().image_width()];
        model.encoded(Tensor::random(shape, Distribution::Normal(0.0, 2.0), model.device()))
    }

    fn explain(model: &Retrieval, text: &str, phrases: &[&str]) -> Result<Explanation> {
        ready(model.explain(&image(model), (400, 300), (text, phrases)))
    }

    #[test]
    fn shares_are_shares_in_every_family_that_attends_and_the_others_say_so() {
        for preset in ["tiny", "tiny-context", "tiny-fashion", "tiny-dual"] {
            let model = model(preset);
            let found = explain(&model, "A red doggy, with longer sleeves", &["longer sleeves", "a cat", "Red"]);
            if !model.config().method.family().attends() {
                let error = found.unwrap_err();
                assert!(matches!(error, ModelError::NoAttention { .. }), "{error}");
                assert!(error.to_string().contains("pseudo-word"), "{error}");
                continue;
            }
            let found = found.unwrap();
            let one = |shares: &[f32]| assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-4, "{preset}: {shares:?}");
            one(&found.grid);
            one(&found.words.iter().map(|word| word.share).collect::<Vec<_>>());
            let cells = model.config().image_tokens() - model.class_tokens();
            assert_eq!((found.rows * found.cols, found.grid.len()), (cells, cells));
            found.words.iter().chain(&found.phrases).for_each(|part| one(&part.grid));
            let words: Vec<&str> = found.words.iter().map(|word| word.text.as_str()).collect();
            assert_eq!(words, ["a", "red", "doggy,", "with", "longer", "sleeves"]);
            let phrases: Vec<&str> = found.phrases.iter().map(|phrase| phrase.text.as_str()).collect();
            assert_eq!(phrases, ["longer sleeves", "Red"], "a phrase that the text has not is left out");
            let both = found.words[4].share + found.words[5].share;
            assert!((found.phrases[0].share - both).abs() < 1e-5, "a phrase has its words' shares");
            assert_eq!(found.phrases[0].span, found.words[4].span.start..found.words[5].span.end);
            assert_eq!(found.frame, Frame::of(400, 300, &model.config().preprocess).unwrap());
            assert!(matches!(explain(&model, " . ", &[]), Err(ModelError::Query { .. })));
        }
    }

    #[test]
    fn a_place_is_told_in_the_pictures_own_coordinates() {
        let whole = Frame { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
        let only = |at: usize| (0..36).map(|cell| f32::from(u8::from(cell == at))).collect::<Vec<f32>>();
        assert_eq!(place(&only(0), 6, whole), Place::TopLeft);
        assert_eq!(place(&only(35), 6, whole), Place::BottomRight);
        assert_eq!(place(&only(14), 6, whole), Place::Middle);
        assert_eq!(place(&[1.0 / 36.0; 36], 6, whole), Place::All);
        // The square is the middle third of a wide picture.
        assert_eq!(place(&only(0), 6, Frame { x: 1.0 / 3.0, y: 0.0, width: 1.0 / 3.0, height: 1.0 }), Place::Top);
        // All of it on a margin: nowhere on the picture.
        assert_eq!(place(&only(0), 6, Frame { x: -1.0, y: 0.0, width: 3.0, height: 1.0 }), Place::All);
    }
}
