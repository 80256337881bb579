//! Texts of several parts, joined from short ones that do not contradict each other.

use crate::overlap::words;
use std::collections::BTreeSet;

/// Words that name nothing: articles, and what is done.
const EMPTY: [&str; 26] = [
    "a", "an", "the", "and", "some", "one", "is", "are", "be", "add", "remove", "replace", "make", "change", "turn",
    "put", "place", "show", "have", "has", "give", "take", "move", "more", "again", "now",
];
/// Words behind which stands where it is done, or what with.
const BEHIND: [&str; 20] = [
    "with", "to", "into", "in", "on", "onto", "at", "of", "by", "from", "for", "under", "over", "near", "behind",
    "beside", "between", "instead", "against", "around",
];
/// Words that stand for what another part names.
const POINTING: [&str; 8] = ["it", "its", "they", "them", "their", "this", "that", "these"];

/// What a part is about.
struct About {
    /// The words up to the first of [`BEHIND`]: what it changes.
    changed: BTreeSet<String>,
    /// Every word.
    named: BTreeSet<String>,
    /// Whether it points at something: nobody can say at what.
    points: bool,
}

impl About {
    fn of(text: &str) -> Self {
        let mut about = Self { changed: BTreeSet::new(), named: BTreeSet::new(), points: false };
        let mut behind = false;
        for word in words(text) {
            let word = word.to_lowercase();
            about.points |= POINTING.contains(&word.as_str()) && !behind;
            behind |= BEHIND.contains(&word.as_str()) && !about.changed.is_empty();
            if [&EMPTY[..], &BEHIND[..], &POINTING[..]].concat().contains(&word.as_str()) {
                continue;
            }
            let single = word.strip_suffix('s').filter(|single| single.len() > 2 && !single.ends_with(['s', 'u']));
            let single = single.unwrap_or(&word).to_owned();
            if !behind {
                about.changed.insert(single.clone());
            }
            about.named.insert(single);
        }
        about
    }

    /// Whether neither says anything of what the other changes.
    fn agrees(&self, other: &Self) -> bool {
        let known = |one: &Self| !one.points && !one.changed.is_empty();
        known(self) && known(other) && self.changed.is_disjoint(&other.named) && other.changed.is_disjoint(&self.named)
    }
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
