//! Where the noun phrases of a run's texts stand among their tokens.

use crate::data::table::Table;
use std::ops::Range;
use thisbut_model::text::{TextReader, Tokens};

/// A phrase that its text's tokens hold.
pub(super) struct Phrase {
    /// The phrase by itself.
    pub alone: Tokens,
    /// Its places among the text's tokens.
    pub place: Range<usize>,
}

impl Phrase {
    /// Its places among the tokens of the phrase by itself: those between the marks.
    pub fn own(&self) -> Range<usize> {
        1..self.alone.count() - 1
    }
}

/// Those of every triplet of a table.
pub(super) struct Phrases(Vec<Vec<Phrase>>);

impl Phrases {
    /// The first `most` phrases of each triplet that its text holds. One that the text does not hold whole, because there was
    /// no room for it, is left out, as the published code does.
    pub fn new(table: &Table, reader: &TextReader, most: usize) -> Self {
        let of = |text: &str, phrases: &[String]| {
            let phrases = phrases.get(..most).unwrap_or(phrases);
            let places = reader.places(text, phrases).into_iter().zip(phrases);
            let located = places.filter_map(|(place, phrase)| {
                let alone = reader.tokens(phrase);
                place.filter(|_| !alone.is_empty()).map(|place| Phrase { alone, place })
            });
            located.collect()
        };
        Self(table.triplets.iter().map(|triplet| of(&triplet.text, &triplet.phrases)).collect())
    }

    /// Those of a triplet.
    pub fn of(&self, triplet: u32) -> &[Phrase] {
        self.0.get(triplet as usize).map_or(&[], Vec::as_slice)
    }

    /// How many some triplets have together.
    pub fn count(&self, triplets: &[u32]) -> usize {
        triplets.iter().map(|triplet| self.of(*triplet).len()).sum()
    }
}
