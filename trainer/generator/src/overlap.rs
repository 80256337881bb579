//! How much of a person's text a generated one has: ROUGE-1 and METEOR, and counts of words.
//!
//! Both read words as the package rouge-score does without its stemmer: lower case, everything but `a`–`z` and `0`–`9` is a
//! gap. ROUGE-1 is its F-measure. METEOR is NLTK's with its defaults (α 0.9, β 3, γ 0.5), with equal words as the only
//! matches: no stemmer, no WordNet. So it is at most what NLTK gives with those.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt;

/// A text's words.
pub fn words(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// ROUGE-1's F-measure.
pub fn rouge1(original: &str, generated: &str) -> f64 {
    let (original, generated) = (words(original), words(generated));
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &original {
        *counts.entry(word).or_default() += 1;
    }
    let mut common = 0;
    for word in &generated {
        if let Some(left) = counts.get_mut(word.as_str()).filter(|left| **left > 0) {
            *left -= 1;
            common += 1;
        }
    }
    if common == 0 {
        return 0.0;
    }
    let (precision, recall) = (common as f64 / generated.len() as f64, common as f64 / original.len() as f64);
    2.0 * precision * recall / (precision + recall)
}

/// METEOR by exact match: equal words are the only matches.
pub fn meteor_exact(original: &str, generated: &str) -> f64 {
    const ALPHA: f64 = 0.9;
    const BETA: f64 = 3.0;
    const GAMMA: f64 = 0.5;
    let (original, generated) = (words(original), words(generated));
    // From the end of both, each word takes the last free equal one.
    let mut free = vec![true; original.len()];
    let mut matches = Vec::new();
    for (at, word) in generated.iter().enumerate().rev() {
        let equal =
            original.iter().enumerate().rev().find(|(place, other)| free.get(*place) == Some(&true) && *other == word);
        if let Some((place, _)) = equal {
            if let Some(slot) = free.get_mut(place) {
                *slot = false;
            }
            matches.push((at, place));
        }
    }
    if matches.is_empty() {
        return 0.0;
    }
    matches.reverse();
    let count = matches.len() as f64;
    let breaks = matches.windows(2).filter(|w| w[1].0 != w[0].0 + 1 || w[1].1 != w[0].1 + 1).count();
    let (precision, recall) = (count / generated.len() as f64, count / original.len() as f64);
    let mean = precision * recall / (ALPHA * precision + (1.0 - ALPHA) * recall);
    (1.0 - GAMMA * ((breaks + 1) as f64 / count).powf(BETA)) * mean
}

/// Means over pairs of an original and a generated text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Overlap {
    /// Pairs of texts.
    pub texts: usize,
    /// Mean ROUGE-1.
    pub rouge1: f64,
    /// Mean METEOR by exact match.
    pub meteor_exact: f64,
}

impl Overlap {
    /// Of original and generated texts, one after the other.
    pub fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut sums = Self::default();
        for (original, generated) in pairs {
            sums.texts += 1;
            sums.rouge1 += rouge1(original, generated);
            sums.meteor_exact += meteor_exact(original, generated);
        }
        let count = sums.texts.max(1) as f64;
        Self { rouge1: sums.rouge1 / count, meteor_exact: sums.meteor_exact / count, ..sums }
    }
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { texts, rouge1, meteor_exact } = self;
        write!(f, "ROUGE-1 {rouge1:.3}, METEOR (exact match) {meteor_exact:.3}, means over {texts} texts")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_published_packages() {
        let text = include_str!("../../../tests/golden/overlap.json");
        let cases: Vec<(String, String, f64, f64)> = serde_json::from_str(text).unwrap();
        assert!(cases.len() > 10);
        for (original, generated, rouge, met) in cases {
            assert!((rouge1(&original, &generated) - rouge).abs() < 1e-9, "{original:?} {generated:?}");
            assert!((meteor_exact(&original, &generated) - met).abs() < 1e-9, "{original:?} {generated:?}");
        }
    }

    #[test]
    fn a_whole_file_has_the_mean_of_its_texts() {
        let text = include_str!("../../../tests/golden/overlap.json");
        type Case = (String, String, f64, f64);
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        let found = Overlap::of(cases.iter().map(|(a, b, ..)| (a.as_str(), b.as_str())));
        let mean = |of: &dyn Fn(&Case) -> f64| cases.iter().map(of).sum::<f64>() / cases.len() as f64;
        assert_eq!(found.texts, cases.len());
        assert!((found.rouge1 - mean(&|c| c.2)).abs() < 1e-9 && (found.meteor_exact - mean(&|c| c.3)).abs() < 1e-9);
        assert!(found.to_string().contains("METEOR (exact match)"));
        assert_eq!(Overlap::of([]), Overlap::default());
    }
}
