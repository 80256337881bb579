//! Which answers are close at all: scores that real searches of the bundle's own gallery reach.

use serde::{Deserialize, Serialize};

use super::files::manifest_error;
use crate::error::Result;

/// Scores below which nothing is close.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Closeness {
    /// Of the best image for a picture with words: 95 of 100 texts that lead from a picture to a neighbour reach it.
    pub composed: f32,
    /// Of the image nearest to a picture: 99 of 100 of the gallery's own reach it, themselves left out.
    pub image: f32,
    /// By how much the best image for words alone is above the mean of all ([`crate::engine::Engine::lift`]): 95 of 100 titles of the
    /// gallery's own images reach it. None where it was not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<f32>,
}

/// What was found for a search.
#[derive(Debug, Clone, Copy, Default)]
pub struct Best {
    /// The best image's score, for a picture with words.
    pub composed: Option<f32>,
    /// The nearest image's score, for a picture that is not the gallery's own.
    pub image: Option<f32>,
    /// By how much the best image's score is above the mean of all, for words alone.
    pub words: Option<f32>,
}

impl Closeness {
    /// Shares of real searches, in percent, that do not reach `composed`, `image` and `words`.
    pub const PERCENT: (f32, f32, f32) = (5.0, 1.0, 5.0);

    /// Whether nothing is close: the model does not know what the picture or the words are.
    pub fn is_far(&self, best: Best) -> bool {
        let below = |score: Option<f32>, least: f32| score.is_some_and(|score| score < least);
        below(best.composed, self.composed)
            || below(best.image, self.image)
            || self.words.is_some_and(|least| below(best.words, least))
    }

    pub(super) fn check(&self) -> Result<()> {
        let scores = [self.composed, self.image].iter().all(|score| (-1.0..=1.0).contains(score));
        match scores && self.words.is_none_or(|above| (0.0..=2.0).contains(&above)) {
            true => Ok(()),
            false => Err(manifest_error("closeness", "a score is not from -1 to 1, or words are not from 0 to 2")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_is_what_real_searches_do_not_reach() {
        let closeness = Closeness { composed: 0.5, image: 0.8, words: None };
        let far = |composed, image| closeness.is_far(Best { composed, image, words: None });
        assert!(!far(None, None) && !far(Some(0.5), Some(0.8)));
        assert!(far(Some(0.49), None) && far(None, Some(0.79)) && far(Some(0.9), Some(0.7)));
        assert!(closeness.check().is_ok());
        let words = |words| closeness.is_far(Best { words: Some(words), ..Best::default() });
        assert!(!words(-1.0), "a bundle from before it was measured says nothing");
        let closeness = Closeness { words: Some(0.4), ..closeness };
        let words = |words| closeness.is_far(Best { words: Some(words), ..Best::default() });
        assert!(words(0.39) && !words(0.4) && !closeness.is_far(Best::default()));
        assert!(Closeness { words: Some(2.1), ..closeness }.check().is_err());
        assert!(Closeness { image: f32::NAN, ..closeness }.check().is_err());
        assert!(Closeness { composed: 1.5, ..closeness }.check().is_err());
    }
}
