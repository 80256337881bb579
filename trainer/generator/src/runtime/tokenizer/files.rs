//! Tokenizers from GGUF files and from Hugging Face's `tokenizer.json`.

use super::sentencepiece::{Kind, Piece, Prefix, Prefixed, byte};
use super::{Bpe, Tokens};
use crate::runtime::gguf::Gguf;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use thisbut_model::error::{ModelError, Result};

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
    #[serde(default)]
    vocab: HashMap<String, u32>,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    merges: Vec<Merge>,
    unk_token: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
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
        let count = tokens.as_ref().map_or(0, Vec::len);
        let types = "tokenizer.ggml.token_type";
        let numbers = file.wholes(types);
        let known = numbers.as_ref().is_some_and(|kinds| kinds.len() == count);
        // Llama's bytes and control tokens are told by nothing else.
        if !known && (model == "llama" || numbers.is_some()) {
            return Err(lacks(types));
        }
        let kinds: Vec<Kind> = match numbers {
            Some(numbers) => numbers.into_iter().map(|n| Kind::numbered(n).unwrap_or(Kind::Normal)).collect(),
            None => vec![Kind::Normal; count],
        };
        let begins = file.flag("tokenizer.ggml.add_bos_token");
        let (bpe, begins) = match (model, cut) {
            ("gpt2", "smollm" | "gpt-2") => {
                let merges = file.texts("tokenizer.ggml.merges").ok_or_else(|| lacks("tokenizer.ggml.merges"))?;
                let texts = tokens?;
                let control = kinds.iter().map(|kind| *kind == Kind::Control).collect();
                let bpe = Self::byte_level(&Tokens { texts, control }, &merges, cut == "smollm");
                (bpe, begins.unwrap_or(false))
            }
            ("llama", _) => {
                let (tokens, key) = (tokens?, "tokenizer.ggml.scores");
                let scores =
                    file.floats(key).filter(|scores| scores.len() == tokens.len()).ok_or_else(|| lacks(key))?;
                let all = tokens.iter().zip(scores).zip(&kinds);
                let pieces: Vec<Piece> =
                    all.map(|((text, score), kind)| Piece { text, score: score as f32, kind: *kind }).collect();
                let prefix = file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
                let bpe = Self::from_pieces(&pieces, if prefix { Prefix::Always } else { Prefix::Never });
                (bpe, begins.unwrap_or(true))
            }
            _ => {
                let shown: String = format!("{model}, {cut}").chars().take(60).collect();
                return Err(file.wrong(format!("its tokenizer ({shown}) is not Llama's, SmolLM's or GPT-2's")));
            }
        };
        let number = |key: &str| file.whole(key).map(|id| id as u32).ok_or_else(|| lacks(key));
        let end = number("tokenizer.ggml.eos_token_id")?;
        let begin = begins.then(|| number("tokenizer.ggml.bos_token_id")).transpose()?;
        let bpe = bpe.and_then(|bpe| bpe.with_ends(begin, end)).map_err(|problem| file.wrong(problem))?;
        Ok(bpe.with_template(file.text("tokenizer.chat_template").map(str::to_owned)))
    }

    /// The tokenizer of a Hugging Face model: `tokenizer.json`, and `config.json` for the token that ends an answer.
    ///
    /// # Errors
    /// [`ModelError::Format`] when it is neither byte-level BPE nor SentencePiece's as Llama has it, or damaged.
    pub fn from_hugging_face(json: &str, config: &Value, place: &str) -> Result<Self> {
        let wrong = |problem: String| ModelError::Format {
            place: place.to_owned(),
            problem,
            mend: "give a model with a byte-level BPE or Llama's tokenizer, or its GGUF file".into(),
        };
        let value: Value = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        // Before the rest is looked at: other kinds write their vocabulary in other shapes.
        let kind = value["model"]["type"].as_str().unwrap_or_default();
        if kind != "BPE" {
            return Err(wrong(format!("its tokenizer is {kind}, not BPE")));
        }
        let file: TokenizerFile = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
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
        let bpe = if let Some(digits_alone) = file.byte_level().map_err(wrong)? {
            let texts = named.iter().map(|(text, _)| text.as_str()).collect();
            let control = named.iter().map(|(_, kind)| *kind == Kind::Control).collect();
            Self::byte_level(&Tokens { texts, control }, &merges, digits_alone)
        } else {
            let prefixed = file.prefixed().map_err(wrong)?;
            let pieces: Vec<Piece> = named.iter().map(|(text, kind)| Piece { text, score: 0.0, kind: *kind }).collect();
            Self::from_merges(&pieces, &merges, prefixed)
        };
        let begin = begins(&file.post_processor);
        let end = end_of(config).ok_or_else(|| wrong("config.json has no eos_token_id".into()))?;
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
            let is_byte = self.model.byte_fallback && byte(text).is_some();
            set(*id, text, if is_byte { Kind::Byte } else { Kind::Normal });
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

    /// Whether a byte-level tokenizer keeps digits apart; nothing where it is none.
    fn byte_level(&self) -> Result<Option<bool>, String> {
        let steps = steps(&self.pre_tokenizer, "pretokenizers");
        if !steps.iter().any(|step| step["type"] == "ByteLevel") {
            return Ok(None);
        }
        if !self.normalizer.is_null() || self.model.ignore_merges {
            return Err("its tokenizer changes texts first or ignores merges, as GPT-2's and SmolLM's do not".into());
        }
        let (last, before) = steps.split_last().map_or((&Value::Null, &[][..]), |(last, before)| (last, before));
        let plain = last["type"] == "ByteLevel" && last["use_regex"] != false && last["add_prefix_space"] != true;
        let digits = |step: &Value| step["type"] == "Digits" && step["individual_digits"] == true;
        match before {
            [] if plain => Ok(Some(false)),
            [one] if plain && digits(one) => Ok(Some(true)),
            _ => Err("its tokenizer cuts texts into words otherwise than GPT-2's and SmolLM's".into()),
        }
    }

    /// Where SentencePiece's pieces get a space, from the normalizer or from Metaspace.
    fn prefixed(&self) -> Result<Prefixed, String> {
        if self.model.unk_token.is_some() && !self.model.fuse_unk && !self.model.byte_fallback {
            return Err("its tokenizer keeps unknown characters apart (fuse_unk), as Llama's does not".into());
        }
        let (mut prefixed, mut written) = (Prefixed::from(Prefix::Never), false);
        for step in steps(&self.normalizer, "normalizers").iter().chain(&steps(&self.pre_tokenizer, "pretokenizers")) {
            let is = |key: &str, value: &str| step[key].as_str() == Some(value);
            match step["type"].as_str().unwrap_or_default() {
                "Prepend" if is("prepend", "\u{2581}") => prefixed = Prefix::Always.into(),
                "Replace" if is("content", "\u{2581}") && step["pattern"]["String"].as_str() == Some(" ") => {
                    written = true
                }
                "Metaspace" if is("replacement", "\u{2581}") && step["split"].as_bool() == Some(false) => {
                    let prefix = match step["prepend_scheme"].as_str() {
                        Some("first") => Prefix::First,
                        Some("never") => Prefix::Never,
                        _ => Prefix::Always,
                    };
                    (prefixed, written) = (Prefixed { prefix, once: true }, true);
                }
                other => return Err(format!("its tokenizer has a step '{other}' that Llama's does not have")),
            }
        }
        if written { Ok(prefixed) } else { Err("its tokenizer does not write spaces as \u{2581}".into()) }
    }
}

/// The steps of a `Sequence`, whose list is called `parts`, or a single step.
fn steps(value: &Value, parts: &str) -> Vec<Value> {
    match value[parts].as_array() {
        Some(list) => list.clone(),
        None if value.is_null() => Vec::new(),
        None => vec![value.clone()],
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
pub fn end_of(config: &Value) -> Option<u32> {
    let number = |value: &Value| match value {
        Value::Array(list) => list.first().and_then(Value::as_u64),
        one => one.as_u64(),
    };
    let id = number(&config["eos_token_id"]).or_else(|| number(&config["text_config"]["eos_token_id"]));
    id.and_then(|id| u32::try_from(id).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::gguf::tests::Writer;
    use serde_json::json;

    /// A tokenizer of three pieces with these steps before the merges.
    fn file(normalizer: &str, pre_tokenizer: &str) -> String {
        format!(
            r#"{{"model": {{"type": "BPE", "vocab": {{"a": 0, "</s>": 1, "\u2581": 2, "\u2581a": 3, "<unk>": 4}}, "fuse_unk": true,
                "merges": ["\u2581 a"], "unk_token": "<unk>"}}, "normalizer": {normalizer}, "pre_tokenizer": {pre_tokenizer},
                "added_tokens": [{{"id": 1, "content": "</s>", "special": true}}]}}"#
        )
    }

    fn read(json: &str) -> Result<Bpe> {
        Bpe::from_hugging_face(json, &json!({"eos_token_id": [1, 2]}), "t.json")
    }

    #[test]
    fn spaces_are_put_where_the_steps_put_them() {
        let replace = r#"{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}"#;
        let prepend = r#"{"type": "Prepend", "prepend": "\u2581"}"#;
        let both = format!(r#"{{"type": "Sequence", "normalizers": [{prepend}, {replace}]}}"#);
        let metaspace = |scheme: &str| {
            format!(r#"{{"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "{scheme}", "split": false}}"#)
        };
        // What tokenizers 0.22 gives.
        for (json, expected) in [
            (file(&both, "null"), [vec![3], vec![2, 3], vec![3, 1, 3]]),
            (file(replace, "null"), [vec![0], vec![3], vec![0, 1, 0]]),
            (file("null", &metaspace("always")), [vec![3], vec![3], vec![3, 1, 3]]),
            (file("null", &metaspace("first")), [vec![3], vec![3], vec![3, 1, 0]]),
            (file("null", &metaspace("never")), [vec![0], vec![3], vec![0, 1, 0]]),
        ] {
            let bpe = read(&json).unwrap();
            assert_eq!(["a", " a", "a</s>a"].map(|text| bpe.encode_with_control(text)), expected, "{json}");
        }
    }

    #[test]
    fn other_tokenizers_are_refused() {
        let bytes = Writer::default().text("tokenizer.ggml.model", "bert").bytes();
        let gguf = Gguf::parse(&bytes, "x.gguf").unwrap();
        assert!(Bpe::from_gguf(&gguf).err().unwrap().to_string().contains("not Llama's, SmolLM's or GPT-2's"));
        let refused = |json: &str| read(json).err().unwrap().to_string();
        assert!(refused(&file(r#"{"type": "Lowercase"}"#, "null")).contains("a step 'Lowercase'"));
        assert!(refused(&file("null", "null")).contains("does not write spaces"));
        assert!(refused(r#"{"model": {"type": "Unigram", "vocab": [["a", -1.0]]}}"#).contains("is Unigram, not BPE"));
        let digits = r#"{"type": "Digits", "individual_digits": true}"#;
        let sequence = |steps: &str| format!(r#"{{"type": "Sequence", "pretokenizers": [{steps}]}}"#);
        let cut = |steps: &str| read(&file("null", &sequence(steps)));
        assert!(cut(&format!(r#"{digits}, {{"type": "ByteLevel", "add_prefix_space": false}}"#)).is_ok());
        for steps in [
            // Llama 3's.
            r#"{"type": "Split", "pattern": {"Regex": "x"}}, {"type": "ByteLevel", "use_regex": false}"#,
            r#"{"type": "ByteLevel", "use_regex": false}"#,
            r#"{"type": "ByteLevel", "add_prefix_space": true}"#,
            r#"{"type": "Digits", "individual_digits": false}, {"type": "ByteLevel"}"#,
        ] {
            assert!(cut(steps).err().unwrap().to_string().contains("cuts texts into words otherwise"), "{steps}");
        }
        let changed = file(r#"{"type": "NFC"}"#, r#"{"type": "ByteLevel"}"#);
        assert!(refused(&changed).contains("changes texts first"));
        let replace = r#"{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}"#;
        assert!(refused(&file(replace, "null").replace("\"fuse_unk\": true", "\"x\": 1")).contains("fuse_unk"));
        let beyond =
            Bpe::from_hugging_face(&file(replace, "null"), &json!({"eos_token_id": 7}), "t.json").err().unwrap();
        assert!(beyond.to_string().contains("token 7 is beyond its 5 tokens"), "{beyond}");
    }
}
