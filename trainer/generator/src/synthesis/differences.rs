//! A modification text without a model: the words in which two captions differ, in fixed phrases.
//!
//! It knows no grammar and no meaning. It is the baseline that a language model's texts are compared with, and what a
//! collection with short, regular titles can do without one.

/// Words that are no difference by themselves.
const SMALL: [&str; 12] = ["a", "an", "the", "is", "are", "of", "and", "with", "in", "on", "at", "to"];
/// Longest caption that is compared, in words.
const MOST: usize = 400;

/// The changes from caption `a` to caption `b`: "change red to blue, add hat, remove scarf". `None` when no word differs.
pub fn text(a: &str, b: &str) -> Option<String> {
    let (a, b) = (words(a), words(b));
    let mut phrases = Vec::new();
    for (gone, new) in gaps(&a, &b) {
        let phrase = match (said(gone), said(new)) {
            (None, None) => continue,
            (Some(gone), Some(new)) if gone == new => continue,
            (Some(gone), Some(new)) => format!("change {gone} to {new}"),
            (None, Some(new)) => format!("add {new}"),
            (Some(gone), None) => format!("remove {gone}"),
        };
        phrases.push(phrase);
    }
    (!phrases.is_empty()).then(|| phrases.join(", "))
}

fn words(text: &str) -> Vec<String> {
    let trimmed = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    text.split_whitespace().map(trimmed).filter(|word| !word.is_empty()).take(MOST).collect()
}

/// Words without small ones at either end; `None` when nothing is left.
fn said(words: &[String]) -> Option<String> {
    let small = |word: &String| SMALL.contains(&word.as_str());
    let from = words.iter().position(|word| !small(word))?;
    let to = words.iter().rposition(|word| !small(word))?;
    words.get(from..=to).map(|words| words.join(" "))
}

/// What stands between the words that both have, by a longest common subsequence.
fn gaps<'a>(a: &'a [String], b: &'a [String]) -> Vec<(&'a [String], &'a [String])> {
    let mut longest = vec![vec![0u16; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            longest[i][j] =
                if a[i] == b[j] { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut found, mut begun, mut at) = (Vec::new(), (0, 0), (0, 0));
    while at.0 < a.len() && at.1 < b.len() {
        let (i, j) = at;
        if a[i] == b[j] {
            found.push((&a[begun.0..i], &b[begun.1..j]));
            at = (i + 1, j + 1);
            begun = at;
        } else if longest[i + 1][j] >= longest[i][j + 1] {
            at.0 += 1;
        } else {
            at.1 += 1;
        }
    }
    found.push((&a[begun.0..], &b[begun.1..]));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differing_words_become_phrases() {
        for (a, b, expected) in [
            ("A red dress.", "a blue dress", Some("change red to blue")),
            ("a dog running on grass", "a cat sleeping on the grass", Some("change dog running to cat sleeping")),
            ("a man", "a man with a hat", Some("add hat")),
            ("a man with a hat", "a man", Some("remove hat")),
            ("two red birds on a wire", "three birds on a blue wire", Some("change two red to three, add blue")),
            ("A hat", "the Hat!", None),
            ("", "a hat", Some("add hat")),
            ("красная шляпа", "синяя шляпа", Some("change красная to синяя")),
        ] {
            assert_eq!(text(a, b).as_deref(), expected, "{a} → {b}");
        }
    }
}
