//! Which generated texts are left out, by rules in a fixed order; the first that fits counts.

pub mod captions;
pub mod file;
pub mod judged;

use super::overlap::words;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// One pair's texts, in MTST's published field names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The image that a query starts from.
    pub reference: String,
    /// The image that it asks for.
    pub target: String,
    /// How to get from the reference to the target.
    pub modifier_generated: String,
    /// How to get back.
    pub modifier_reversed: String,
}

/// Why a pair is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// A text has no word.
    Empty,
    /// A text says the same one to four words three times running.
    Loop,
    /// A text names no change: it has only words such as "the", "image", "same".
    NoChange,
    /// Both directions say the same.
    SameAsReverse,
    /// The same text was given to the same reference with another target: it does not tell them apart.
    Repeated,
}

impl Rule {
    /// All of them, in the order that they are tried.
    pub const ALL: [Self; 5] = [Self::Empty, Self::Loop, Self::NoChange, Self::SameAsReverse, Self::Repeated];

    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Loop => "loop",
            Self::NoChange => "no-change",
            Self::SameAsReverse => "same-as-reverse",
            Self::Repeated => "repeated",
        }
    }
}

/// Words that name no change by themselves.
const HOLLOW: [&str; 58] = [
    "a",
    "an",
    "and",
    "are",
    "as",
    "at",
    "be",
    "but",
    "by",
    "change",
    "changes",
    "different",
    "do",
    "does",
    "first",
    "for",
    "from",
    "has",
    "have",
    "how",
    "identical",
    "image",
    "images",
    "in",
    "instead",
    "is",
    "it",
    "its",
    "keep",
    "make",
    "no",
    "not",
    "nothing",
    "now",
    "of",
    "on",
    "one",
    "other",
    "photo",
    "picture",
    "pictures",
    "same",
    "second",
    "show",
    "shows",
    "stay",
    "stays",
    "similar",
    "still",
    "than",
    "that",
    "the",
    "there",
    "this",
    "to",
    "unchanged",
    "with",
    "target",
];

/// The rules, with what they have seen and counted.
#[derive(Debug, Default)]
pub struct Filter {
    seen: HashSet<(String, String)>,
    counts: BTreeMap<&'static str, usize>,
}

impl Filter {
    /// Rules that have seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Why the row is left out, if it is.
    pub fn check(&mut self, row: &Row) -> Option<Rule> {
        let (there, back) = (words(&row.modifier_generated), words(&row.modifier_reversed));
        let either = |f: fn(&[String]) -> bool| f(&there) || f(&back);
        let rule = if row.modifier_generated.trim().is_empty() || row.modifier_reversed.trim().is_empty() {
            Some(Rule::Empty)
        } else if either(loops) {
            Some(Rule::Loop)
        } else if hollow(&there, &row.modifier_generated) || hollow(&back, &row.modifier_reversed) {
            Some(Rule::NoChange)
        } else if row.modifier_generated.trim().to_lowercase() == row.modifier_reversed.trim().to_lowercase() {
            Some(Rule::SameAsReverse)
        } else if !self.seen.insert((row.reference.clone(), row.modifier_generated.trim().to_lowercase())) {
            Some(Rule::Repeated)
        } else {
            None
        };
        if let Some(rule) = rule {
            *self.counts.entry(rule.name()).or_default() += 1;
        }
        rule
    }

    /// Rows left out, by rule.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        Rule::ALL.iter().map(|rule| (rule.name(), self.counts.get(rule.name()).copied().unwrap_or(0))).collect()
    }
}

/// Whether one to four words are said three times running.
pub(crate) fn loops(words: &[String]) -> bool {
    (1..=4).any(|n| {
        words.windows(3 * n).any(|window| {
            let (first, rest) = window.split_at(n);
            rest.chunks(n).all(|chunk| chunk == first)
        })
    })
}

/// Whether no word names a change. Texts in other scripts have no words here and are left alone.
pub(crate) fn hollow(words: &[String], text: &str) -> bool {
    let other_script = text.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    !other_script && words.iter().all(|word| HOLLOW.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_catches_its_own_and_lets_the_rest_through() {
        let row = |reference: &str, there: &str, back: &str| Row {
            reference: reference.into(),
            target: "t".into(),
            modifier_generated: there.into(),
            modifier_reversed: back.into(),
        };
        let mut filter = Filter::new();
        let cases = [
            (row("a", "make it red", "make it blue"), None),
            (row("a", "Make it red ", "make it green"), Some(Rule::Repeated)),
            (row("b", "make it red", "make it blue"), None),
            (row("a", " ", "make it blue"), Some(Rule::Empty)),
            (row("a", "make it blue", ""), Some(Rule::Empty)),
            (row("a", "a dog a dog a dog runs", "make it blue"), Some(Rule::Loop)),
            (row("a", "no no no", "x"), Some(Rule::Loop)),
            (row("a", "add two dogs and two dogs", "remove two dogs"), None),
            (row("a", "The image is the same.", "make it blue"), Some(Rule::NoChange)),
            (row("a", "...", "make it blue"), Some(Rule::NoChange)),
            (row("a", "больше", "меньше"), None),
            (row("a", "Swap colours", "swap colours"), Some(Rule::SameAsReverse)),
        ];
        for (row, expected) in cases {
            assert_eq!(filter.check(&row), expected, "{row:?}");
        }
        let counts = filter.counts();
        assert_eq!(counts.values().sum::<usize>(), 8);
        assert_eq!((counts["loop"], counts["empty"], counts["repeated"]), (2, 2, 1));
    }
}
