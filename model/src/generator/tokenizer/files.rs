//! Tokenizers from GGUF files and from Hugging Face's `tokenizer.json`.

use super::sentencepiece::{Kind, Piece, Prefix};
use super::{Bpe, Tokens};
use crate::error::{ModelError, Result};
use crate::generator::gguf::Gguf;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;

/// The part of `tokenizer.json` that matters.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
    #[serde(default)]
    added_tokens: Vec<AddedToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    vocab: HashMap<String, u32>,
    #[serde(default)]
    merges: Vec<Merge>,
    unk_token: Option<String>,
    #[serde(default)]
    byte_fallback: bool,
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

/// A token's text and what it is.
type Named = (String, Kind);

impl Bpe {
    /// The tokenizer of a GGUF file.
    ///
    /// # Errors
    /// [`ModelError::Format`] when the file's tokenizer is of another kind or damaged.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let lacks = |key: &str| file.wrong(format!("{key} is missing or damaged"));
        let model = file.text("tokenizer.ggml.model").unwrap_or("missing");
        let cut = file.text("tokenizer.ggml.pre").unwrap_or("gpt-2");
        let tokens = file.texts("tokenizer.ggml.tokens").ok_or_else(|| lacks("tokenizer.ggml.tokens"));
        let kinds: Vec<Kind> = file
            .wholes("tokenizer.ggml.token_type")
            .unwrap_or_default()
            .into_iter()
            .map(|kind| Kind::numbered(kind).unwrap_or(Kind::Normal))
            .collect();
        let kind = |id: usize| kinds.get(id).copied().unwrap_or(Kind::Normal);
        let begins = file.flag("tokenizer.ggml.add_bos_token");
        let (bpe, begins) = match (model, cut) {
            ("gpt2", "smollm" | "gpt-2") => {
                let merges = file.texts("tokenizer.ggml.merges").ok_or_else(|| lacks("tokenizer.ggml.merges"))?;
                let texts = tokens?;
                let control = (0..texts.len()).map(|id| kind(id) == Kind::Control).collect();
                let bpe = Self::byte_level(&Tokens { texts, control }, &merges, cut == "smollm");
                (bpe, begins.unwrap_or(false))
            }
            ("llama", _) => {
                let (tokens, key) = (tokens?, "tokenizer.ggml.scores");
                let scores =
                    file.floats(key).filter(|scores| scores.len() == tokens.len()).ok_or_else(|| lacks(key))?;
                let all = tokens.iter().zip(scores).enumerate();
                let pieces: Vec<Piece> =
                    all.map(|(id, (text, score))| Piece { text, score: score as f32, kind: kind(id) }).collect();
                let prefix = file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
                let bpe = Self::from_pieces(&pieces, if prefix { Prefix::Always } else { Prefix::Never });
                (bpe, begins.unwrap_or(true))
            }
            _ => {
                let shown: String = format!("{model}, {cut}").chars().take(60).collect();
                return Err(file.wrong(format!("its tokenizer ({shown}) is not Llama's, SmolLM's or GPT-2's")));
            }
        };
        let number = |key: &str| file.whole(key).map(|id| id as u32);
        let end = number("tokenizer.ggml.eos_token_id").ok_or_else(|| lacks("tokenizer.ggml.eos_token_id"))?;
        let begin = number("tokenizer.ggml.bos_token_id").filter(|_| begins);
        let bpe = bpe.and_then(|bpe| bpe.with_ends(begin, end)).map_err(|problem| file.wrong(problem))?;
        Ok(Self { template: file.text("tokenizer.chat_template").map(str::to_owned), ..bpe })
    }

    /// The tokenizer of a Hugging Face model: `tokenizer.json`, and `config.json` for the token that ends an answer.
    ///
    /// # Errors
    /// [`ModelError::Format`] when it is neither byte-level BPE nor SentencePiece's as Llama has it, or damaged.
    pub fn from_hugging_face(json: &str, config: &str, place: &str) -> Result<Self> {
        let wrong = |problem: String| ModelError::Format {
            place: place.to_owned(),
            problem,
            mend: "give a model with a byte-level BPE or Llama's tokenizer, or its GGUF file".into(),
        };
        let file: TokenizerFile = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        if file.model.kind != "BPE" {
            return Err(wrong(format!("its tokenizer is {}, not BPE", file.model.kind)));
        }
        let named = file.tokens().map_err(wrong)?;
        let merges: Vec<String> = file
            .model
            .merges
            .iter()
            .map(|merge| match merge {
                Merge::Text(text) => text.clone(),
                Merge::Pair(a, b) => format!("{a} {b}"),
            })
            .collect();
        let merges: Vec<&str> = merges.iter().map(String::as_str).collect();
        let cut = file.pre_tokenizer.to_string();
        let bpe = if cut.contains("ByteLevel") {
            let texts = named.iter().map(|(text, _)| text.as_str()).collect();
            let control = named.iter().map(|(_, kind)| *kind == Kind::Control).collect();
            Self::byte_level(&Tokens { texts, control }, &merges, cut.contains("\"individual_digits\":true"))
        } else {
            let prefix = file.prefix().map_err(wrong)?;
            let pieces: Vec<Piece> = named.iter().map(|(text, kind)| Piece { text, score: 0.0, kind: *kind }).collect();
            Self::from_merges(&pieces, &merges, prefix)
        };
        let begin = begins(&file.post_processor);
        let end = end_of(config).map_err(wrong)?;
        let end = end.ok_or_else(|| wrong("config.json has no eos_token_id".into()))?;
        bpe.and_then(|bpe| bpe.with_ends(begin, end)).map_err(wrong)
    }
}

impl TokenizerFile {
    /// Every token by its number.
    fn tokens(&self) -> Result<Vec<Named>, String> {
        let numbers = self.model.vocab.values().chain(self.added_tokens.iter().map(|token| &token.id));
        let count = numbers.max().map_or(0, |id| id.saturating_add(1));
        if count as usize > 2 * (self.model.vocab.len() + self.added_tokens.len()) {
            return Err(format!("its token numbers go up to {count}, which makes no sense"));
        }
        let mut out: Vec<Named> = vec![(String::new(), Kind::Unused); count as usize];
        let mut set = |id: u32, text: &str, kind: Kind| {
            if let Some(slot) = out.get_mut(id as usize) {
                *slot = (text.to_owned(), kind);
            }
        };
        for (text, id) in &self.model.vocab {
            let byte = self.model.byte_fallback && text.len() == 6 && text.starts_with("<0x") && text.ends_with('>');
            set(*id, text, if byte { Kind::Byte } else { Kind::Normal });
        }
        for added in &self.added_tokens {
            set(added.id, &added.content, if added.special { Kind::Control } else { Kind::Kept });
        }
        if let Some(unknown) = &self.model.unk_token
            && let Some(id) = self.model.vocab.get(unknown)
        {
            set(*id, unknown, Kind::Unknown);
        }
        Ok(out)
    }

    /// Whether SentencePiece's pieces begin with a space, from the normalizer or from Metaspace.
    fn prefix(&self) -> Result<Prefix, String> {
        let list = |value: &Value, parts: &str| match value[parts].as_array() {
            Some(list) => list.clone(),
            None if value.is_null() => Vec::new(),
            None => vec![value.clone()],
        };
        let mut prefix = Prefix::Never;
        for step in list(&self.normalizer, "normalizers").iter().chain(&list(&self.pre_tokenizer, "pretokenizers")) {
            let is = |key: &str, value: &str| step[key].as_str() == Some(value);
            prefix = match step["type"].as_str().unwrap_or_default() {
                "Prepend" if is("prepend", "\u{2581}") => Prefix::Always,
                "Replace" if is("content", "\u{2581}") && step["pattern"]["String"].as_str() == Some(" ") => continue,
                "Metaspace" if step["split"].as_bool() == Some(false) => match step["prepend_scheme"].as_str() {
                    Some("first") => Prefix::First,
                    Some("never") => Prefix::Never,
                    _ => Prefix::Always,
                },
                other => return Err(format!("its tokenizer has a step '{other}' that Llama's does not have")),
            };
        }
        Ok(prefix)
    }
}

/// The token that a template puts before a text.
fn begins(post_processor: &Value) -> Option<u32> {
    if let Some(parts) = post_processor["processors"].as_array() {
        return parts.iter().find_map(begins);
    }
    let name = post_processor["single"].as_array()?.first()?["SpecialToken"]["id"].as_str()?;
    post_processor["special_tokens"][name]["ids"].as_array()?.first()?.as_u64()?.try_into().ok()
}

/// The token that ends an answer, from a `config.json`; of the language model's part where it has one.
///
/// # Errors
/// A sentence, when it is no JSON.
pub fn end_of(config: &str) -> Result<Option<u32>, String> {
    let config: Value = serde_json::from_str(config).map_err(|e| e.to_string())?;
    let number = |value: &Value| match value {
        Value::Array(list) => list.first().and_then(Value::as_u64),
        one => one.as_u64(),
    };
    let id = number(&config["eos_token_id"]).or_else(|| number(&config["text_config"]["eos_token_id"]));
    Ok(id.and_then(|id| u32::try_from(id).ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generator::gguf::tests::Writer;

    #[test]
    fn other_tokenizers_are_refused() {
        let bytes = Writer::default().text("tokenizer.ggml.model", "bert").bytes();
        let file = Gguf::parse(&bytes, "x.gguf").unwrap();
        assert!(Bpe::from_gguf(&file).err().unwrap().to_string().contains("not Llama's, SmolLM's or GPT-2's"));
        let json = |normalizer: &str| {
            format!(
                r#"{{"model": {{"type": "BPE", "vocab": {{"a": 0, "</s>": 1}}, "merges": []}}, "normalizer": {normalizer},
                    "added_tokens": [{{"id": 1, "content": "</s>", "special": true}}]}}"#
            )
        };
        let read = |json: &str| Bpe::from_hugging_face(json, r#"{"eos_token_id": [1, 2]}"#, "t.json");
        assert_eq!(read(&json("null")).unwrap().end(), 1);
        let refused = |json: &str| read(json).err().unwrap().to_string();
        assert!(refused(&json(r#"{"type": "Lowercase"}"#)).contains("a step 'Lowercase'"));
        assert!(refused(r#"{"model": {"type": "Unigram"}}"#).contains("is Unigram, not BPE"));
        let beyond = Bpe::from_hugging_face(&json("null"), r#"{"eos_token_id": 7}"#, "t.json").err().unwrap();
        assert!(beyond.to_string().contains("token 7 is beyond its 2 tokens"), "{beyond}");
    }
}
