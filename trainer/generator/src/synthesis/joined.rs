//! Texts of several parts, joined from short ones that do not contradict each other.

use std::collections::BTreeSet;
use thisbut_trainer::phrases::{self, Rule};

/// Noun phrases of a part that are looked at.
const PHRASES: Rule = Rule { most: 32, leaves_only: true };

/// What a part is about, by the nouns at the ends of its phrases.
struct About {
    /// What it changes: its first noun.
    changed: Option<String>,
    /// Every noun.
    named: BTreeSet<String>,
}

impl About {
    fn of(text: &str) -> Self {
        let nouns: Vec<String> = phrases::find(text, PHRASES).iter().filter_map(|phrase| noun(phrase)).collect();
        Self { changed: nouns.first().cloned(), named: nouns.into_iter().collect() }
    }

    /// Whether neither says anything of what the other changes. Of a part without a noun ("make it red") nobody can say.
    fn agrees(&self, other: &Self) -> bool {
        match (&self.changed, &other.changed) {
            (Some(own), Some(others)) => !other.named.contains(own) && !self.named.contains(others),
            _ => false,
        }
    }
}

/// The last word of a noun phrase, in the singular as far as an s tells it.
fn noun(phrase: &str) -> Option<String> {
    let word = phrase.split_whitespace().last()?.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let single = word.strip_suffix('s').filter(|single| single.len() > 2 && !single.ends_with(['s', 'u']));
    (!word.is_empty()).then(|| single.unwrap_or(&word).to_owned())
}

/// For each of `counts`, texts of so many parts: one begins at each part, and takes of the following ones those that contradict none
/// before. None stands there twice.
pub fn texts(parts: &[String], counts: &[usize]) -> Vec<String> {
    let about: Vec<About> = parts.iter().map(|part| About::of(part)).collect();
    let (mut out, mut known) = (Vec::new(), BTreeSet::new());
    for count in counts {
        for first in 0..parts.len() {
            let mut chosen = vec![first];
            for next in first + 1..parts.len() {
                if chosen.len() < *count && chosen.iter().all(|at| about[*at].agrees(&about[next])) {
                    chosen.push(next);
                }
            }
            if chosen.len() == *count && known.insert(chosen.clone()) {
                let chosen: Vec<&str> = chosen.iter().map(|at| bare(&parts[*at])).collect();
                out.push(sentence(&chosen));
            }
        }
    }
    out
}

/// A part without the stop at its end.
fn bare(part: &str) -> &str {
    part.trim().trim_end_matches(['.', ';', ','])
}

/// "a, and b", "a, b, and c".
fn sentence(parts: &[&str]) -> String {
    match parts.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{}, and {last}", before.join(", ")),
        _ => parts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn parts_are_joined_with_those_that_follow() {
        let three = parts(&["remove the lamp.", "add a third chair", "make the walls blue"]);
        assert_eq!(
            texts(&three, &[2, 3, 4]),
            [
                "remove the lamp, and add a third chair",
                "add a third chair, and make the walls blue",
                "remove the lamp, add a third chair, and make the walls blue"
            ]
        );
    }

    #[test]
    fn parts_that_contradict_are_not_joined() {
        for (a, b, joined) in [
            ("remove the lamp", "replace the red lamp with a vase", false),
            ("replace the cat with a dog", "remove the dog", false),
            ("add two chairs", "paint the chair white", false),
            ("add a table", "add a lamp on the table", false),
            ("add a lamp on the table", "remove the cup from the table", true),
            ("make it red", "make it blue", false),
            ("add a dog", "add a dog", false),
        ] {
            assert_eq!(!texts(&parts(&[a, b]), &[2]).is_empty(), joined, "{a} / {b}");
        }
        // What lies between is passed over.
        let passed = parts(&["remove the lamp", "add a brass lamp", "make the walls blue"]);
        assert_eq!(texts(&passed, &[2])[0], "remove the lamp, and make the walls blue");
        assert!(texts(&passed, &[3]).is_empty());
    }
}
