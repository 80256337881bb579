//! How text is cut into words before byte pairs are merged: SmolLM's rule, which is GPT-2's after every digit stands alone.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

/// Endings that GPT-2 cuts off after an apostrophe.
const ENDINGS: [&str; 7] = ["s", "t", "m", "d", "re", "ve", "ll"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Space,
    Letter,
    Number,
    Other,
}

fn class(c: char) -> Class {
    if c.is_whitespace() {
        return Class::Space;
    }
    match c.general_category_group() {
        GeneralCategoryGroup::Letter => Class::Letter,
        GeneralCategoryGroup::Number => Class::Number,
        _ => Class::Other,
    }
}

/// The words of `text`, which put together are `text` again.
pub(super) fn words(text: &str, digits_alone: bool) -> Vec<&str> {
    if !digits_alone {
        return gpt2(text);
    }
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((at, digit)) = rest.char_indices().find(|(_, c)| c.is_numeric()) {
        out.extend(gpt2(&rest[..at]));
        out.push(&rest[at..at + digit.len_utf8()]);
        rest = &rest[at + digit.len_utf8()..];
    }
    out.extend(gpt2(rest));
    out
}

/// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
fn gpt2(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = word(rest, first).clamp(first.len_utf8(), rest.len());
        let (one, after) = rest.split_at(length);
        out.push(one);
        rest = after;
    }
    out
}

/// Bytes of the first word.
fn word(rest: &str, first: char) -> usize {
    if let Some(after) = rest.strip_prefix('\'')
        && let Some(ending) = ENDINGS.iter().find(|ending| after.starts_with(**ending))
    {
        return 1 + ending.len();
    }
    let space = usize::from(first == ' ');
    let body = rest.get(space..).unwrap_or_default();
    if let Some(kind) = body.chars().next().map(class).filter(|kind| *kind != Class::Space) {
        return space + body.char_indices().find(|(_, c)| class(*c) != kind).map_or(body.len(), |(at, _)| at);
    }
    // A run of white space gives its last character to a word that follows, if it has more than one.
    let run = rest.char_indices().find(|(_, c)| !c.is_whitespace()).map_or(rest.len(), |(at, _)| at);
    let last = rest.get(..run).and_then(|run| run.chars().next_back()).map_or(0, char::len_utf8);
    if run == rest.len() || run == last { run } else { run - last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_as_by_the_published_expression() {
        let cases: [(&str, &[&str]); 7] = [
            ("it's we're I'll", &["it", "'s", " we", "'re", " I", "'ll"]),
            ("a  b\n\nc ", &["a", " ", " b", "\n", "\n", "c", " "]),
            ("in 2024!", &["in", " ", "2", "0", "2", "4", "!"]),
            (" ... x", &[" ...", " x"]),
            ("'S don't", &["'", "S", " don", "'t"]),
            ("हिन्दी", &["ह", "ि", "न", "्", "द", "ी"]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(words(text, true), expected, "{text}");
        }
        assert_eq!(words("in 2024!", false), ["in", " 2024", "!"]);
    }
}
