//! What happens to a finished text: capital letters, full stops, and a small share of typical typos.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Share of texts with a typo.
pub const TYPOS: f64 = 0.03;

/// Applies case, punctuation and typos.
pub fn finish(rng: &mut ChaCha8Rng, text: &str) -> String {
    let mut text = articles(text);
    if rng.random_bool(0.25) {
        let mut chars = text.chars();
        if let Some(first) = chars.next() {
            text = first.to_uppercase().chain(chars).collect();
        }
    } else if rng.random_bool(0.01) {
        text = text.to_uppercase();
    }
    if rng.random_bool(TYPOS) {
        text = typo(rng, &text);
    }
    let ended = text.ends_with(['?', '!', '.']);
    match rng.random_range(0..20) {
        0..=2 if !ended => text.push('.'),
        3 if !ended => text.push('!'),
        4 if ended => {
            text.pop();
        }
        _ => {}
    }
    text
}

/// Single spaces, and "a" or "an" as the next word wants it: frames put "a" before words that they don't know.
fn articles(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut out: Vec<&str> = Vec::with_capacity(words.len());
    for (n, word) in words.iter().enumerate() {
        let next = words.get(n + 1).copied().unwrap_or("");
        out.push(match *word {
            "a" if next == "darkest" || next == "lightest" => "the",
            "a" if crate::frames::article(next).starts_with("an ") => "an",
            other => other,
        });
    }
    out.join(" ")
}

/// Swaps, drops or doubles a letter inside a word of at least four letters.
pub fn typo(rng: &mut ChaCha8Rng, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let inside: Vec<usize> = (1..chars.len().saturating_sub(2))
        .filter(|i| (i - 1..i + 3).all(|k| chars.get(k).is_some_and(|c| c.is_ascii_alphabetic())))
        .collect();
    if inside.is_empty() {
        return text.to_owned();
    }
    let Some(&at) = inside.get(rng.random_range(0..inside.len())) else { return text.to_owned() };
    match rng.random_range(0..3) {
        0 => chars.swap(at, at + 1),
        1 => {
            chars.remove(at);
        }
        _ => {
            let c = chars[at];
            chars.insert(at, c);
        }
    }
    chars.into_iter().collect()
}
