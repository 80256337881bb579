//! The decoder's tokenizer, from a GGUF file's own tokens and merges: byte-level byte-pair encoding as GPT-2's, with
//! SmolLM's way of cutting words, and the ChatML template.

use super::gguf::Gguf;
use super::split::words;
use crate::error::{ModelError, Result};
use serde::Deserialize;
use std::collections::HashMap;

/// The token type of control tokens in GGUF.
const CONTROL: i64 = 3;

/// A tokenizer.
pub struct Bpe {
    /// Bytes of each token; control tokens have their own text.
    bytes: Vec<Vec<u8>>,
    control: Vec<bool>,
    /// Control tokens by their text, longest first.
    specials: Vec<(String, u32)>,
    /// The token of a single byte.
    singles: Vec<Option<u32>>,
    /// Rank and result of merging two tokens.
    merges: HashMap<(u32, u32), (u32, u32)>,
    digits_alone: bool,
    /// Begins a text, where the model wants that.
    begin: Option<u32>,
    end: u32,
    template: Option<String>,
}

/// The part of `tokenizer.json` that matters.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    pre_tokenizer: serde_json::Value,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Text(String),
    Pair(String, String),
}

#[derive(Deserialize)]
struct AddedToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
}

/// GPT-2's printable stand-in for each byte.
fn stand_in(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    if plain(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|b| !plain(*b)).count() as u32;
    char::from_u32(256 + before).unwrap_or('\u{fffd}')
}

fn set<T>(list: &mut [T], at: u32, value: T) {
    if let Some(slot) = list.get_mut(at as usize) {
        *slot = value;
    }
}

impl Bpe {
    /// The tokenizer of a GGUF file.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file's tokenizer is of another kind or damaged.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let model = file.text("tokenizer.ggml.model").unwrap_or("missing");
        let cut = file.text("tokenizer.ggml.pre").unwrap_or("gpt-2");
        if model != "gpt2" || !["smollm", "gpt-2"].contains(&cut) {
            let shown: String = format!("{model}, {cut}").chars().take(60).collect();
            return Err(file.wrong(format!("its tokenizer ({shown}) is neither SmolLM's nor GPT-2's")));
        }
        let lacks = |key: &str| file.wrong(format!("{key} is missing or damaged"));
        let texts = |key: &str| file.texts(key).ok_or_else(|| lacks(key));
        let (tokens, pairs) = (texts("tokenizer.ggml.tokens")?, texts("tokenizer.ggml.merges")?);
        let kinds = file.wholes("tokenizer.ggml.token_type").unwrap_or_default();
        let end = file.whole("tokenizer.ggml.eos_token_id").ok_or_else(|| lacks("tokenizer.ggml.eos_token_id"))?;
        let begin = match file.flag("tokenizer.ggml.add_bos_token") {
            Some(true) => file.whole("tokenizer.ggml.bos_token_id"),
            _ => None,
        };
        for id in [Some(end), begin].into_iter().flatten() {
            if id >= tokens.len() {
                return Err(file.wrong(format!("token {id} is beyond its {} tokens", tokens.len())));
            }
        }
        let mut bpe = Self::new(&tokens, &pairs, |id| kinds.get(id) == Some(&CONTROL), cut == "smollm")
            .map_err(|problem| file.wrong(problem))?;
        bpe.begin = begin.map(|id| id as u32);
        bpe.end = end as u32;
        bpe.template = file.text("tokenizer.chat_template").map(str::to_owned);
        Ok(bpe)
    }

    /// The tokenizer of a Hugging Face model: `tokenizer.json`, and `config.json` for the token that ends an answer.
    ///
    /// # Errors
    /// [`ModelError::Format`] when it is not a byte-level byte-pair encoding, or damaged.
    pub fn from_hugging_face(json: &str, config: &str, place: &str) -> Result<Self> {
        let wrong = |problem: String| ModelError::Format {
            place: place.to_owned(),
            problem,
            mend: "give a model with a byte-level BPE tokenizer, or its GGUF file".into(),
        };
        let file: TokenizerFile = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        let cut = file.pre_tokenizer.to_string();
        if file.model.kind != "BPE" || !cut.contains("ByteLevel") {
            return Err(wrong(format!("its tokenizer is {}, not a byte-level BPE", file.model.kind)));
        }
        let count = file
            .model
            .vocab
            .values()
            .chain(file.added_tokens.iter().map(|t| &t.id))
            .max()
            .map_or(0, |id| id.saturating_add(1));
        if count as usize > 2 * (file.model.vocab.len() + file.added_tokens.len()) {
            return Err(wrong(format!("its token numbers go up to {count}, which makes no sense")));
        }
        let mut tokens = vec![""; count as usize];
        let mut control = vec![false; count as usize];
        for (text, id) in &file.model.vocab {
            set(&mut tokens, *id, text.as_str());
        }
        for added in &file.added_tokens {
            set(&mut tokens, added.id, added.content.as_str());
            set(&mut control, added.id, added.special);
        }
        let pairs: Vec<String> = file
            .model
            .merges
            .into_iter()
            .map(|merge| match merge {
                Merge::Text(text) => text,
                Merge::Pair(a, b) => format!("{a} {b}"),
            })
            .collect();
        let pairs: Vec<&str> = pairs.iter().map(String::as_str).collect();
        let digits = cut.contains("\"individual_digits\":true");
        let mut bpe = Self::new(&tokens, &pairs, |id| control.get(id) == Some(&true), digits).map_err(wrong)?;
        let config: serde_json::Value = serde_json::from_str(config).map_err(|e| wrong(e.to_string()))?;
        let end = match &config["eos_token_id"] {
            serde_json::Value::Array(list) => list.first().and_then(serde_json::Value::as_u64),
            one => one.as_u64(),
        };
        let end = end.and_then(|id| u32::try_from(id).ok()).filter(|id| *id < count);
        bpe.end = end.ok_or_else(|| wrong("config.json has no eos_token_id among its tokens".into()))?;
        Ok(bpe)
    }

    fn new(
        tokens: &[&str],
        pairs: &[&str],
        is_control: impl Fn(usize) -> bool,
        digits_alone: bool,
    ) -> std::result::Result<Self, String> {
        let letters: HashMap<char, u8> = (0..=255).map(|b| (stand_in(b), b)).collect();
        let ids: HashMap<&str, u32> = tokens.iter().enumerate().map(|(id, text)| (*text, id as u32)).collect();
        let control: Vec<bool> = (0..tokens.len()).map(is_control).collect();
        let plain = |text: &str| text.chars().map(|c| letters.get(&c).copied()).collect::<Option<Vec<u8>>>();
        let bytes = tokens
            .iter()
            .zip(&control)
            .map(|(text, control)| plain(text).filter(|_| !control).unwrap_or_else(|| text.as_bytes().to_vec()))
            .collect();
        let mut specials: Vec<(String, u32)> =
            ids.iter().filter(|(_, id)| control[**id as usize]).map(|(text, id)| ((*text).to_owned(), *id)).collect();
        specials.retain(|(text, _)| !text.is_empty());
        specials.sort_by(|a, b| b.0.len().cmp(&a.0.len()).then(a.1.cmp(&b.1)));
        let mut merges = HashMap::with_capacity(pairs.len());
        for (rank, pair) in pairs.iter().enumerate() {
            let found = pair.split_once(' ').and_then(|(a, b)| {
                let joined = ids.get(format!("{a}{b}").as_str())?;
                Some(((*ids.get(a)?, *ids.get(b)?), (rank as u32, *joined)))
            });
            let (pair, merged) = found.ok_or_else(|| format!("merge {rank} of its tokenizer names no tokens"))?;
            merges.entry(pair).or_insert(merged);
        }
        let singles = (0..=255).map(|b| ids.get(stand_in(b).encode_utf8(&mut [0; 4]) as &str).copied()).collect();
        Ok(Self { bytes, control, specials, singles, merges, digits_alone, begin: None, end: 0, template: None })
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
        for word in words(text, self.digits_alone) {
            self.merge(word, &mut out);
        }
        out
    }

    /// The tokens of `text`, control tokens read as such.
    pub fn encode_with_control(&self, text: &str) -> Vec<u32> {
        let mut out = Vec::new();
        let mut rest = text;
        loop {
            let next =
                self.specials.iter().filter_map(|(special, id)| Some((rest.find(special.as_str())?, special, *id)));
            // The first one; among those at one place the longest, which the list has first.
            let Some((at, special, id)) = next.min_by_key(|(at, special, _)| (*at, usize::MAX - special.len())) else {
                out.extend(self.encode(rest));
                return out;
            };
            out.extend(self.encode(rest.get(..at).unwrap_or_default()));
            out.push(id);
            rest = rest.get(at + special.len()..).unwrap_or_default();
        }
    }

    fn merge(&self, word: &str, out: &mut Vec<u32>) {
        let mut ids: Vec<u32> =
            word.bytes().filter_map(|b| self.singles.get(usize::from(b)).copied().flatten()).collect();
        loop {
            let best = ids.windows(2).filter_map(|pair| self.merges.get(&(pair[0], pair[1]))).min();
            let Some(&(rank, merged)) = best else { break };
            let mut joined = Vec::with_capacity(ids.len());
            let mut at = 0;
            while let Some(&id) = ids.get(at) {
                let pair = ids.get(at + 1).and_then(|next| self.merges.get(&(id, *next)));
                let same = pair.is_some_and(|(r, _)| *r == rank);
                joined.push(if same { merged } else { id });
                at += 1 + usize::from(same);
            }
            ids = joined;
        }
        out.extend(ids);
    }

    /// The text of `ids`; control tokens are left out, bytes that are no UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        let mut bytes = Vec::new();
        for id in ids {
            if self.control.get(*id as usize) == Some(&false) {
                bytes.extend(self.bytes.get(*id as usize).into_iter().flatten());
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
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
    use super::*;
    use crate::generator::gguf::tests::Writer;

    fn small() -> Bpe {
        let mut tokens: Vec<String> = vec!["<|end|>".into(), "<|end|>>".into()];
        tokens.extend((0..=255u8).map(|b| stand_in(b).to_string()));
        tokens.extend(["lo", "low", "\u{120}low", "er"].map(str::to_owned));
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        Bpe::new(&tokens, &["l o", "lo w", "\u{120} low", "e r"], |id| id < 2, true).unwrap()
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

    #[test]
    fn other_tokenizers_are_refused() {
        let bytes = Writer::default().text("tokenizer.ggml.model", "llama").bytes();
        let file = Gguf::parse(&bytes, "x.gguf").unwrap();
        assert!(Bpe::from_gguf(&file).err().unwrap().to_string().contains("neither SmolLM's nor GPT-2's"));
    }
}
