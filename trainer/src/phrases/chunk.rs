//! Noun phrases of tagged words: those without another inside (leaves), and those that hold several (branches).

use super::tagger::{Tag, Word};
use super::words::ATTACHING;
use std::ops::Range;

/// What stands after "the" without a noun.
const ALONE: [&str; 8] = ["bottom", "first", "last", "left", "right", "same", "second", "top"];

/// The leaves, as ranges of words, in their order.
pub(super) fn leaves(words: &[Word]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let end = run(words, at);
        if end == at {
            at += 1;
            continue;
        }
        let head = (at..end).rev().find(|place| words[*place].tag == Tag::Noun);
        let head = head.or_else(|| (at..end).rev().find(|place| stands_alone(words, at, *place)));
        if let Some(head) = head {
            found.push(at..head + 1);
        }
        at = end;
    }
    found
}

/// Whether the word at `place` of the run from `start` is one like "left" in "on the left".
fn stands_alone(words: &[Word], start: usize, place: usize) -> bool {
    let determined = words.get(start).is_some_and(|word| word.tag == Tag::Determiner);
    determined && words.get(place).is_some_and(|word| ALONE.contains(&word.lower.as_str()))
}

/// Where the words end that may make one leaf from `start` on.
fn run(words: &[Word], start: usize) -> usize {
    let tag = |at: usize| words.get(at).map(|word| word.tag);
    let mut at = start;
    let mut last = None;
    loop {
        let fits = match (tag(at), last) {
            (Some(Tag::Determiner), None) => true,
            // "all the dogs", "no two".
            (Some(Tag::Determiner), Some(Tag::Determiner)) => {
                words.get(at - 1).is_some_and(|word| matches!(word.lower.as_str(), "all" | "both" | "such"))
            }
            (Some(Tag::Number), None | Some(Tag::Determiner | Tag::Adjective | Tag::Adverb)) => true,
            (Some(Tag::Adjective), last) => !matches!(last, Some(Tag::Noun)),
            (Some(Tag::Noun), _) => true,
            (Some(Tag::Possessive), Some(Tag::Noun)) => tag(at + 1).is_some_and(opens),
            (Some(Tag::Adverb), last) => {
                let modified = matches!(tag(at + 1), Some(Tag::Adjective | Tag::Number));
                modified && !matches!(last, Some(Tag::Noun))
            }
            // "black and white dog", "large, brown dog".
            (Some(Tag::And | Tag::Comma), Some(Tag::Adjective)) => {
                tag(at + 1) == Some(Tag::Adjective) && reaches_noun(words, at + 1)
            }
            _ => false,
        };
        if !fits {
            return at;
        }
        last = tag(at);
        at += 1;
    }
}

/// Whether adjectives from `at` on end in a noun.
fn reaches_noun(words: &[Word], at: usize) -> bool {
    let rest = words.get(at..).unwrap_or_default();
    let inner = |word: &&Word| !matches!(word.tag, Tag::Adjective);
    rest.iter().find(inner).is_some_and(|word| word.tag == Tag::Noun)
}

fn opens(tag: Tag) -> bool {
    matches!(tag, Tag::Number | Tag::Adjective | Tag::Noun)
}

/// The branches: leaves that "of", "with", "sitting on" or "and" join, and what each but the last has behind it.
pub(super) fn branches(words: &[Word], leaves: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut chain = 0;
    for at in 0..leaves.len() {
        let joined = leaves.get(at + 1).is_some_and(|next| joins(words.get(leaves[at].end..next.start)));
        if joined {
            continue;
        }
        found.extend((chain..at).map(|first| leaves[first].start..leaves[at].end));
        chain = at + 1;
    }
    found
}

/// Whether the words between two leaves make one phrase of both.
fn joins(between: Option<&[Word]>) -> bool {
    let Some(between) = between else { return false };
    let attaches = |word: &Word| word.tag == Tag::Preposition && ATTACHING.contains(word.lower.as_str());
    match between {
        [word] if word.tag == Tag::And => true,
        [word] => word.tag == Tag::Participle || attaches(word) && word.lower != "to",
        // "sitting on", "next to", "sitting next to".
        [first, .., last] => {
            let led = matches!(first.tag, Tag::Participle | Tag::Adverb | Tag::Preposition);
            led && attaches(last)
                && between.iter().all(|word| matches!(word.tag, Tag::Participle | Tag::Adverb | Tag::Preposition))
        }
        [] => false,
    }
}
