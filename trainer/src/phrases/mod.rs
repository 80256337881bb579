//! Noun phrases of modification texts, by rules over a small tagger: what ConText-CIR's concept consistency compares.
//!
//! A branch holds other phrases ("a red dog with longer sleeves"), a leaf none ("a red dog", "longer sleeves"). The paper takes at
//! most ten, branches first; its code takes spaCy's, which are leaves.

mod chunk;
pub mod file;
mod tagger;
mod words;

use std::collections::HashSet;

/// Longest text that is looked at, in bytes; more than any text that fits a text tower.
const MAX_TEXT: usize = 4_000;

/// Which phrases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Most phrases of a text.
    pub most: usize,
    /// Whether those that hold others are left out (the paper's ablation).
    pub leaves_only: bool,
}

/// The noun phrases of `text`, letter by letter as they stand there: those of more words first, and in the text's order where
/// they have as many; none twice. A pronoun is none.
pub fn find(text: &str, rule: Rule) -> Vec<String> {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= MAX_TEXT).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or(text);
    let words = tagger::tagged(text);
    let mut phrases = chunk::leaves(&words);
    if !rule.leaves_only {
        phrases.extend(chunk::branches(&words, &phrases));
        phrases.sort_by_key(|phrase| (std::cmp::Reverse(phrase.len()), phrase.start));
    }
    let mut known = HashSet::new();
    let written = phrases.into_iter().filter_map(|phrase| {
        let (first, last) = (words.get(phrase.start)?, words.get(phrase.end.checked_sub(1)?)?);
        text.get(first.bytes.start..last.bytes.end).map(str::to_owned)
    });
    written.filter(|phrase| known.insert(phrase.to_lowercase())).take(rule.most).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        find(text, Rule { most: 10, leaves_only: false })
    }

    fn leaves(text: &str) -> Vec<String> {
        find(text, Rule { most: 10, leaves_only: true })
    }

    #[test]
    fn branches_come_before_the_leaves_that_they_hold() {
        let text = "Show the blue photo of a dog sitting next to a red couch and remove the cat";
        let branches = ["the blue photo of a dog sitting next to a red couch", "a dog sitting next to a red couch"];
        let own = ["the blue photo", "a red couch", "a dog", "the cat"];
        assert_eq!(all(text), [&branches[..], &own[..]].concat());
        assert_eq!(leaves(text), ["the blue photo", "a dog", "a red couch", "the cat"]);
        assert_eq!(find(text, Rule { most: 3, leaves_only: false }), all(text)[..3]);
    }

    #[test]
    fn leaves_are_what_stands_around_a_noun() {
        for (text, expected) in [
            ("has longer sleeves and is more floral", &["longer sleeves"][..]),
            ("a black and white dog, facing left", &["a black and white dog"]),
            ("make the water green", &["the water"]),
            ("The dog's tail is on the left", &["The dog's tail", "the left"]),
            ("two people stand in front of it", &["two people", "front"]),
            ("Put lemon slices on a plate", &["lemon slices", "a plate"]),
            ("it is the same", &["the same"]),
            ("The TARGET and the target", &["The TARGET"]),
            ("Größere Ärmel", &["Größere Ärmel"]),
            ("longer", &[]),
            ("don't", &[]),
            ("", &[]),
            (" \u{1f600} , ,,, -- ’", &[]),
        ] {
            assert_eq!(leaves(text), expected, "{text:?}");
        }
    }

    #[test]
    fn every_phrase_is_a_part_of_its_text_and_long_texts_are_quick() {
        let started = std::time::Instant::now();
        for text in ["a dog of ", "red and ", "the 's ", "é-ü.x ", "the ", "big, big, "] {
            let text = text.repeat(50_000);
            for phrase in find(&text, Rule { most: 1_000, leaves_only: false }) {
                assert!(text.contains(&phrase) && !phrase.trim().is_empty());
            }
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }
}
