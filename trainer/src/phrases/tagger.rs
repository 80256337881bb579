//! Words of a short English text, each with its part of speech as far as noun phrases need it.

use super::words::{
    ADJECTIVE_ENDINGS, ADJECTIVES, ADVERBS, AUXILIARIES, CONJUNCTIONS, DETERMINERS, NOUNS, NUMBERS, PARTICIPLES,
    PLACES, PREPOSITIONS, PRONOUNS, RATHER_NOUNS, SUBJECT_VERBS, VERBS, Words,
};
use std::ops::Range;

/// A part of speech.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Determiner,
    Number,
    Adjective,
    Noun,
    /// "'s".
    Possessive,
    Verb,
    /// A form in -ing, or of the past, which may follow the noun that it says something of.
    Participle,
    Auxiliary,
    Preposition,
    /// "and", "or".
    And,
    Conjunction,
    Adverb,
    Pronoun,
    Comma,
    /// Whatever else ends a phrase.
    Mark,
}

/// A word or a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Its bytes in the text.
    pub bytes: Range<usize>,
    /// In lower case.
    pub lower: String,
    pub tag: Tag,
}

/// The words of `text` with their tags.
pub(super) fn tagged(text: &str) -> Vec<Word> {
    let mut words = cut(text);
    for at in 0..words.len() {
        let (before, rest) = words.split_at(at);
        if let [word, after @ ..] = rest {
            let tag = tag(word, before, after);
            words[at].tag = tag;
        }
    }
    words
}

/// Cuts a text into words and marks. Hyphens, apostrophes and points inside a word are a part of it, but for "'s".
fn cut(text: &str) -> Vec<Word> {
    let mut out = Vec::new();
    let mut push = |bytes: Range<usize>, tag: Tag| {
        if let Some(word) = text.get(bytes.clone()).filter(|word| !word.is_empty()) {
            out.push(Word { bytes, lower: word.to_lowercase().replace('’', "'"), tag });
        }
    };
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let is_word = |at: usize| chars.get(at).is_some_and(|(_, c)| c.is_alphanumeric());
    let byte = |at: usize| chars.get(at).map_or(text.len(), |(byte, _)| *byte);
    let mut at = 0;
    while let Some((start, c)) = chars.get(at).copied() {
        if !is_word(at) {
            at += 1;
            match c {
                ',' => push(start..byte(at), Tag::Comma),
                '&' => push(start..byte(at), Tag::And),
                c if c.is_whitespace() => {}
                _ => push(start..byte(at), Tag::Mark),
            }
            continue;
        }
        let inner = |at: usize| matches!(chars.get(at), Some((_, '-' | '\'' | '’' | '.'))) && is_word(at + 1);
        while is_word(at) || inner(at) {
            at += 1;
        }
        let whole = text.get(start..byte(at)).unwrap_or_default();
        match whole.strip_suffix("'s").or_else(|| whole.strip_suffix("’s")).filter(|stem| !stem.is_empty()) {
            Some(stem) => {
                push(start..start + stem.len(), Tag::Noun);
                push(start + stem.len()..byte(at), Tag::Possessive);
            }
            None => push(start..byte(at), Tag::Noun),
        }
    }
    out
}

fn has(list: &Words, word: &str) -> bool {
    list.contains(word)
}

/// The tag of `word` between what was tagged before it and what was not yet after it.
fn tag(word: &Word, before: &[Word], after: &[Word]) -> Tag {
    if word.tag != Tag::Noun {
        return word.tag;
    }
    let (w, previous) = (word.lower.as_str(), before.last().map(|word| word.tag));
    if let Some(tag) = in_place(w, before, after) {
        return tag;
    }
    if let Some(tag) = closed(w, previous, after) {
        return tag;
    }
    open(w, before, after)
}

/// Of a word that is a noun or an adjective by where it stands.
fn in_place(w: &str, before: &[Word], after: &[Word]) -> Option<Tag> {
    let previous = before.last()?;
    let in_phrase = matches!(previous.tag, Tag::Determiner | Tag::Number | Tag::Adjective | Tag::Possessive);
    let before_noun = after.first().is_some_and(|next| next.tag == Tag::Noun && is_nominal(&next.lower));
    if w == "up" && matches!(previous.lower.as_str(), "close" | "closer") {
        return Some(if before_noun { Tag::Adjective } else { Tag::Noun });
    }
    if !has(&PLACES, w) {
        return None;
    }
    match (in_phrase, before_noun) {
        (true, true) => Some(Tag::Adjective),
        (true, false) => Some(Tag::Noun),
        // "in front of", "on top".
        (false, false) if previous.tag == Tag::Preposition && !matches!(w, "inside" | "outside") => Some(Tag::Noun),
        _ => None,
    }
}

/// Of a word of a closed class.
fn closed(w: &str, previous: Option<Tag>, after: &[Word]) -> Option<Tag> {
    let next = after.first().filter(|word| word.tag == Tag::Noun).map(|word| word.lower.as_str());
    Some(match w {
        "and" | "or" => Tag::And,
        // "the dog that", "so that", and "that dog".
        "that" => match (previous, next) {
            (Some(Tag::Noun | Tag::Conjunction | Tag::Comma), _) | (_, None) => Tag::Pronoun,
            (_, Some(next)) if is_function(next) || is_verb(next) => Tag::Pronoun,
            _ => Tag::Determiner,
        },
        "have" | "has" | "having" | "had" => Tag::Verb,
        "her" if next.is_none_or(is_function) => Tag::Pronoun,
        "next" if next == Some("to") => Tag::Adverb,
        _ if w.chars().all(|c| c.is_ascii_digit()) || has(&NUMBERS, w) => Tag::Number,
        _ if has(&DETERMINERS, w) => Tag::Determiner,
        _ if has(&PRONOUNS, w) => Tag::Pronoun,
        _ if has(&AUXILIARIES, w) => Tag::Auxiliary,
        _ if has(&PREPOSITIONS, w) => Tag::Preposition,
        _ if has(&CONJUNCTIONS, w) => Tag::Conjunction,
        _ if has(&ADVERBS, w) => Tag::Adverb,
        _ => return None,
    })
}

/// Of a word of an open class.
fn open(w: &str, before: &[Word], after: &[Word]) -> Tag {
    let previous = before.last().map(|word| word.tag);
    let in_phrase = matches!(previous, Some(Tag::Determiner | Tag::Number | Tag::Adjective | Tag::Possessive));
    let before_noun = after.first().is_some_and(|next| next.tag == Tag::Noun && is_nominal(&next.lower));
    if has(&NOUNS, w) && !begins_clause(w, before, after) {
        return Tag::Noun;
    }
    if is_adjective(w) {
        return if is_named(before, after) { Tag::Noun } else { Tag::Adjective };
    }
    if has(&VERBS, w) && !in_phrase && begins_clause(w, before, after) {
        return Tag::Verb;
    }
    if w.ends_with("ly") && w.len() > 4 {
        return Tag::Adverb;
    }
    if is_participle(w) {
        if has(&RATHER_NOUNS, w) && (in_phrase || previous == Some(Tag::Noun)) {
            return Tag::Noun;
        }
        let modifies = before_noun && (in_phrase || previous != Some(Tag::Noun) && !w.ends_with("ing"));
        return match () {
            () if modifies => Tag::Adjective,
            () if in_phrase && w.ends_with("ing") => Tag::Noun,
            () => Tag::Participle,
        };
    }
    match is_verb(w) && !in_phrase && takes_verb(w, before, after) {
        true => Tag::Verb,
        false => Tag::Noun,
    }
}

/// Whether an adjective names something: "a square", with nothing behind it that it could describe.
fn is_named(before: &[Word], after: &[Word]) -> bool {
    let one = before.last().is_some_and(|word| matches!(word.lower.as_str(), "a" | "an"));
    let ends = |next: &Word| next.tag != Tag::Noun || is_function(&next.lower) && !has(&ADVERBS, &next.lower);
    one && after.first().is_none_or(|next| ends(next) && next.tag != Tag::Comma && next.lower != "and")
}

/// Whether a word that may be a verb is one here.
fn takes_verb(w: &str, before: &[Word], after: &[Word]) -> bool {
    let previous = before.last().map(|word| word.tag);
    match previous {
        Some(Tag::Auxiliary | Tag::Pronoun) => true,
        Some(Tag::Preposition) => {
            before.last().is_some_and(|word| word.lower == "to") && (!has(&RATHER_NOUNS, w) || follows(after))
        }
        _ if !has(&RATHER_NOUNS, w) => true,
        Some(Tag::Noun) if has(&SUBJECT_VERBS, w) => says_more(after),
        _ => begins_clause(w, before, after),
    }
}

/// Whether a word stands where a wish begins: first, or after a mark or a conjunction, with something to follow that a verb has.
fn begins_clause(w: &str, before: &[Word], after: &[Word]) -> bool {
    let first = before
        .last()
        .is_none_or(|word| matches!(word.tag, Tag::Mark | Tag::Comma | Tag::Conjunction | Tag::And | Tag::Adverb));
    let nominal = || after.first().is_some_and(|next| next.tag == Tag::Noun && is_nominal(&next.lower));
    first && is_verb(w) && (follows(after) || before.is_empty() && nominal())
}

/// Whether what a verb has after it follows: a phrase, or "to".
fn follows(after: &[Word]) -> bool {
    after.first().is_some_and(|next| {
        let next = next.lower.as_str();
        has(&DETERMINERS, next) || has(&NUMBERS, next) || has(&PRONOUNS, next) || next == "to" || is_adjective(next)
    })
}

/// As [`follows`], or a preposition other than "of", or an adverb.
fn says_more(after: &[Word]) -> bool {
    let more = |next: &str| has(&PREPOSITIONS, next) && next != "of" || has(&ADVERBS, next) || next.ends_with("ly");
    follows(after) || after.first().is_some_and(|next| more(&next.lower))
}

/// Whether a word belongs to a closed class that ends a noun phrase.
fn is_function(w: &str) -> bool {
    let lists = [&PREPOSITIONS, &PRONOUNS, &CONJUNCTIONS, &AUXILIARIES, &ADVERBS];
    lists.iter().any(|list| has(list, w)) || matches!(w, "and" | "or" | "that")
}

/// Whether a word may be a noun, or an adjective before one.
fn is_nominal(w: &str) -> bool {
    let verb_alone = is_verb(w) && !has(&RATHER_NOUNS, w) && !has(&NOUNS, w);
    w.starts_with(char::is_alphanumeric) && !(is_function(w) || has(&DETERMINERS, w) || verb_alone)
}

fn is_adjective(w: &str) -> bool {
    let stem = |ending: &str| w.strip_suffix(ending).filter(|stem| stem.len() > 1);
    let compared = |stem: &str| {
        let doubled = stem.chars().next_back().filter(|last| stem.ends_with(&format!("{last}{last}")));
        has(&ADJECTIVES, stem)
            || has(&ADJECTIVES, &format!("{stem}e"))
            || stem.strip_suffix('i').is_some_and(|stem| has(&ADJECTIVES, &format!("{stem}y")))
            || doubled.and_then(|last| stem.strip_suffix(last)).is_some_and(|stem| has(&ADJECTIVES, stem))
    };
    let ends = |ending: &&str| w.len() > ending.len() + 2 && w.ends_with(ending);
    let joined = w.rsplit_once('-').is_some_and(|(_, last)| has(&ADJECTIVES, last) || last.ends_with("ed"));
    has(&ADJECTIVES, w)
        || stem("er").is_some_and(compared)
        || stem("est").is_some_and(compared)
        || joined
        || ADJECTIVE_ENDINGS.iter().any(ends) && !has(&NOUNS, w)
}

fn is_participle(w: &str) -> bool {
    if has(&NOUNS, w) || w.ends_with("eed") {
        return false;
    }
    has(&PARTICIPLES, w) || w.len() > 4 && (w.ends_with("ing") || w.ends_with("ed"))
}

/// Whether a word is a verb's first form, or that with -s.
fn is_verb(w: &str) -> bool {
    let stem = |ending: &str| w.strip_suffix(ending);
    has(&VERBS, w)
        || stem("s").is_some_and(|stem| has(&VERBS, stem))
        || stem("es").is_some_and(|stem| has(&VERBS, stem))
        || stem("ies").is_some_and(|stem| has(&VERBS, &format!("{stem}y")))
}
