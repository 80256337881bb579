//! Byte-level tokens as GPT-2 and SmolLM write them: every byte has a printable stand-in.

use super::{Bpe, First, Merges, Tokens};
use std::collections::HashMap;

/// GPT-2's printable stand-in for each byte.
pub(super) fn stand_in(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !plain(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or('\u{fffd}')
}

impl Bpe {
    /// From tokens in stand-ins and merges (two tokens with a space between), the first ones first.
    pub(super) fn byte_level(tokens: &Tokens, merges: &[&str], digits_alone: bool) -> Result<Self, String> {
        let letters: HashMap<char, u8> = (0..=255).map(|b| (stand_in(b), b)).collect();
        let plain = |text: &str| text.chars().map(|c| letters.get(&c).copied()).collect::<Option<Vec<u8>>>();
        let ids = tokens.ids();
        let singles = (0..=255).map(|b| ids.get(stand_in(b).encode_utf8(&mut [0; 4]) as &str).copied()).collect();
        let first = First::Words { singles, digits_alone };
        let bytes = |_: usize, text: &str| plain(text).unwrap_or_else(|| text.as_bytes().to_vec());
        Ok(Self::new(tokens, bytes, named_merges(&ids, merges)?, first))
    }
}

/// Rank and result of each merge, by its two tokens.
pub(super) fn named_merges(ids: &HashMap<&str, u32>, merges: &[&str]) -> Result<Merges, String> {
    let mut out = HashMap::with_capacity(merges.len());
    for (rank, pair) in merges.iter().enumerate() {
        let found = pair.split_once(' ').and_then(|(a, b)| {
            let joined = ids.get(format!("{a}{b}").as_str())?;
            Some(((*ids.get(a)?, *ids.get(b)?), (rank as u32, *joined)))
        });
        let (pair, merged) = found.ok_or_else(|| format!("merge {rank} of its tokenizer names no tokens"))?;
        out.entry(pair).or_insert(merged);
    }
    Ok(out)
}
