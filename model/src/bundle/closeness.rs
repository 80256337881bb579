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
}

/// What was found for a search.
#[derive(Debug, Clone, Copy)]
pub struct Best {
    /// The best image's score, for a picture with words.
    pub composed: Option<f32>,
    /// The nearest image's score, for a picture that is not the gallery's own.
    pub image: Option<f32>,
}

impl Closeness {
    /// Shares of real searches, in percent, that do not reach the two scores.
    pub const PERCENT: (f32, f32) = (5.0, 1.0);

    /// Whether nothing is close: the model does not know what the picture or the words are.
    pub fn is_far(&self, best: Best) -> bool {
        best.composed.is_some_and(|score| score < self.composed) || best.image.is_some_and(|score| score < self.image)
    }

    pub(super) fn check(&self) -> Result<()> {
        match [self.composed, self.image].iter().all(|score| (-1.0..=1.0).contains(score)) {
            true => Ok(()),
            false => Err(manifest_error("closeness", "a score is not from -1 to 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_is_what_real_searches_do_not_reach() {
        let closeness = Closeness { composed: 0.5, image: 0.8 };
        let far = |composed, image| closeness.is_far(Best { composed, image });
        assert!(!far(None, None) && !far(Some(0.5), Some(0.8)));
        assert!(far(Some(0.49), None) && far(None, Some(0.79)) && far(Some(0.9), Some(0.7)));
        assert!(closeness.check().is_ok());
        assert!(Closeness { image: f32::NAN, ..closeness }.check().is_err());
        assert!(Closeness { composed: 1.5, ..closeness }.check().is_err());
    }
}
