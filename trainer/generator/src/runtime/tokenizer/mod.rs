//! The decoder's tokenizer: byte-pair encoding, byte by byte as GPT-2's and SmolLM's or with SentencePiece's pieces as Llama's
//! and Vicuna's, and the ChatML template.

mod byte_level;
mod files;
mod sentencepiece;
mod split;

pub use files::end_of;
pub use sentencepiece::{Kind, Piece, Prefix};

use sentencepiece::Letters;
use split::words;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use thisbut_model::error::{ModelError, Result};

/// Rank and result of merging two tokens.
type Merges = HashMap<(u32, u32), (u32, u32)>;

/// A tokenizer.
pub struct Bpe {
    /// Bytes of each token; control tokens have their own text.
    bytes: Vec<Vec<u8>>,
    control: Vec<bool>,
    /// Control tokens by their text, longest first.
    specials: Vec<(String, u32)>,
    merges: Merges,
    first: First,
    /// Begins a text, where the model wants that.
    begin: Option<u32>,
    end: u32,
    template: Option<String>,
}

/// What a text consists of before anything is merged.
enum First {
    /// Bytes, word by word.
    Words { singles: Vec<Option<u32>>, digits_alone: bool },
    /// Characters of the whole text.
    Whole(Letters),
}

/// Tokens as their file writes them.
struct Tokens<'a> {
    texts: Vec<&'a str>,
    control: Vec<bool>,
}

impl Tokens<'_> {
    fn ids(&self) -> HashMap<&str, u32> {
        self.texts.iter().enumerate().map(|(id, text)| (*text, id as u32)).collect()
    }
}

impl Bpe {
    /// `bytes` of a token that is no control token, by its number and its text.
    fn new(tokens: &Tokens, bytes: impl Fn(usize, &str) -> Vec<u8>, merges: Merges, first: First) -> Self {
        let all = tokens.texts.iter().zip(&tokens.control).enumerate();
        let bytes = all
            .map(|(id, (text, control))| if *control { text.as_bytes().to_vec() } else { bytes(id, text) })
            .collect();
        let control = tokens.control.clone();
        let is_control = |id: u32| control.get(id as usize) == Some(&true);
        let ids = tokens.ids();
        let specials = ids.iter().filter(|(text, id)| is_control(**id) && !text.is_empty());
        let mut specials: Vec<(String, u32)> = specials.map(|(text, id)| ((*text).to_owned(), *id)).collect();
        specials.sort_by_key(|(text, id)| (Reverse(text.len()), *id));
        Self { bytes, control, specials, merges, first, begin: None, end: 0, template: None }
    }

    /// Sets the tokens that begin a text, where the model wants one, and end an answer.
    ///
    /// # Errors
    /// A sentence that names the one that does not exist.
    pub fn with_ends(mut self, begin: Option<u32>, end: u32) -> Result<Self, String> {
        let count = self.len();
        for id in [Some(end), begin].into_iter().flatten() {
            if id as usize >= count {
                return Err(format!("token {id} is beyond its {count} tokens"));
            }
        }
        (self.begin, self.end) = (begin, end);
        Ok(self)
    }

    /// Sets the chat template.
    #[must_use]
    pub fn with_template(self, template: Option<String>) -> Self {
        Self { template, ..self }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The token that ends an answer.
    pub fn end(&self) -> u32 {
        self.end
    }

    /// The token that begins a text, where the model wants one.
    pub fn begin(&self) -> Option<u32> {
        self.begin
    }

    /// The tokens of `text`, in which nothing is a control token.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        self.encode_part(text, true, &mut out);
        out
    }

    fn encode_part(&self, text: &str, begins: bool, out: &mut Vec<u32>) {
        match &self.first {
            First::Words { singles, digits_alone } => {
                for word in words(text, *digits_alone) {
                    let ids = word.bytes().filter_map(|b| singles.get(usize::from(b)).copied().flatten());
                    self.merge(&ids.collect::<Vec<_>>(), out);
                }
            }
            First::Whole(letters) => self.merge(&letters.first(text, begins), out),
        }
    }

    /// The tokens of `text`, control tokens read as such.
    pub fn encode_with_control(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        let mut rest = text;
        loop {
            let begins = out.is_empty();
            let next =
                self.specials.iter().filter_map(|(special, id)| Some((rest.find(special.as_str())?, special, *id)));
            // The first one; among those at one place the longest, which the list has first.
            let Some((at, special, id)) = next.min_by_key(|(at, special, _)| (*at, usize::MAX - special.len())) else {
                self.encode_part(rest, begins, &mut out);
                return out;
            };
            self.encode_part(rest.get(..at).unwrap_or_default(), begins, &mut out);
            out.push(id);
            rest = rest.get(at + special.len()..).unwrap_or_default();
        }
    }

    /// Merges neighbours, the lowest rank first and among those the leftmost, until none can be.
    fn merge(&self, first: &[u32], out: &mut Vec<u32>) {
        // A token that was merged into its left neighbour has none.
        let mut ids: Vec<Option<u32>> = first.iter().copied().map(Some).collect();
        let mut next: Vec<usize> = (1..=ids.len()).collect();
        let mut before: Vec<Option<usize>> = (0..ids.len()).map(|at| at.checked_sub(1)).collect();
        let possible = |ids: &[Option<u32>], left: usize, right: usize| {
            let pair = (ids.get(left).copied().flatten()?, ids.get(right).copied().flatten()?);
            let (rank, merged) = self.merges.get(&pair)?;
            Some(Reverse((*rank, left, right, pair, *merged)))
        };
        let mut queue: BinaryHeap<_> = (1..ids.len()).filter_map(|at| possible(&ids, at - 1, at)).collect();
        while let Some(Reverse((_, left, right, pair, merged))) = queue.pop() {
            if next[left] != right || (ids[left], ids[right]) != (Some(pair.0), Some(pair.1)) {
                continue;
            }
            (ids[left], ids[right]) = (Some(merged), None);
            next[left] = next[right];
            if let Some(at) = before.get_mut(next[left]) {
                *at = Some(left);
            }
            queue.extend(possible(&ids, left, next[left]));
            queue.extend(before[left].and_then(|at| possible(&ids, at, left)));
        }
        out.extend(ids.into_iter().flatten());
    }

    /// The text of `ids`; control tokens are left out, bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            if self.control.get(*id as usize) == Some(&false) {
                bytes.extend(self.bytes.get(*id as usize).into_iter().flatten());
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let prefixed = matches!(&self.first, First::Whole(letters) if letters.adds_space());
        text.strip_prefix(if prefixed { " " } else { "" }).unwrap_or(&text).to_owned()
    }

    /// A conversation in the model's own template: roles (`system`, `user`, `assistant`) and what they say. With `answer`
    /// it ends where the assistant speaks. A conversation that does not begin with the system gets the template's own line.
    ///
    /// # Errors
    /// [`ModelError::Config`] when the model has no ChatML template.
    pub fn chat(&self, messages: &[(&str, &str)], answer: bool) -> Result<String> {
        const START: &str = "<|im_start|>";
        const END: &str = "<|im_end|>";
        let template = self.template.as_deref().filter(|t| t.contains(START) && t.contains(END));
        let template = template.ok_or_else(|| ModelError::Config {
            place: "the language model's chat template".into(),
            problem: "there is none, or it is not ChatML".into(),
            mend: "use the plain prompt".into(),
        })?;
        let mut out = String::new();
        if messages.first().is_none_or(|(role, _)| *role != "system")
            && let Some((_, after)) = template.split_once("<|im_start|>system\n")
            && let Some((line, _)) = after.split_once(END)
        {
            out.push_str(&format!("{START}system\n{line}{END}\n"));
        }
        for (role, text) in messages {
            out.push_str(&format!("{START}{role}\n{text}{END}\n"));
        }
        if answer {
            out.push_str(&format!("{START}assistant\n"));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::byte_level::stand_in;
    use super::*;

    fn small() -> Bpe {
        let mut tokens: Vec<String> = vec!["<|end|>".into(), "<|end|>>".into()];
        tokens.extend((0..=255u8).map(|b| stand_in(b).to_string()));
        tokens.extend(["lo", "low", "\u{120}low", "er"].map(str::to_owned));
        let texts: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let control = (0..texts.len()).map(|id| id < 2).collect();
        Bpe::byte_level(&Tokens { texts, control }, &["l o", "lo w", "\u{120} low", "e r"], true).unwrap()
    }

    #[test]
    fn merges_go_by_rank_and_text_comes_back() {
        let bpe = small();
        let low = 2 + 256;
        assert_eq!(bpe.encode("low lower"), [low + 1, low + 2, low + 3]);
        for text in ["low lower", "é 🎉\n\t'll", "<|end|>", ""] {
            assert_eq!(bpe.decode(&bpe.encode(text)), text);
        }
        assert!(!bpe.encode("<|end|>").contains(&0));
        assert_eq!(bpe.encode_with_control("low<|end|>>er<|end|>"), [low + 1, 1, low + 3, 0]);
        assert_eq!(bpe.decode(&[low, 0, 9999, low]), "lolo");
    }
}
