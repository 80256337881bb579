//! Tokenizers from GGUF files, and what other files say of a tokenizer.

use super::library::{Added, Cut, Library, Vocabulary};
use super::sentencepiece::{Kind, Piece, Prefix};
use super::{Bpe, Words, two_tokens};
use crate::runtime::gguf::Gguf;
use serde_json::Value;
use thisbut_model::error::Result;
use tokenizers::AddedToken;

const MODEL: &str = "tokenizer.ggml.model";
const CUT: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";
const SCORES: &str = "tokenizer.ggml.scores";

impl Bpe {
    /// The tokenizer of a GGUF file.
    ///
    /// # Errors
    /// [`ModelError::Format`](thisbut_model::error::ModelError::Format) when the file's tokenizer is of another kind or damaged.
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let model = optional(file, MODEL, Gguf::text)?;
        let cut = optional(file, CUT, Gguf::text)?;
        let begins = optional(file, "tokenizer.ggml.add_bos_token", Gguf::flag)?;
        // Files from before there was a name for it have GPT-2's.
        let (words, begins) = match (model, cut.unwrap_or("gpt-2")) {
            (Some("gpt2"), cut @ ("smollm" | "gpt-2")) => {
                (Words::Library(Box::new(byte_level(file, cut == "smollm")?)), begins.unwrap_or(false))
            }
            (Some("llama"), _) => (scores(file)?, begins.unwrap_or(true)),
            (model, cut) => {
                let shown: String = format!("{}, {cut}", model.unwrap_or("missing")).chars().take(60).collect();
                return Err(file.wrong(format!("its tokenizer ({shown}) is not Llama's, SmolLM's or GPT-2's")));
            }
        };
        let number = |key: &str| file.whole(key).and_then(|id| u32::try_from(id).ok()).ok_or_else(|| lacks(file, key));
        let end = number("tokenizer.ggml.eos_token_id")?;
        let begin = begins.then(|| number("tokenizer.ggml.bos_token_id")).transpose()?;
        let bpe = Self::new(words).with_ends(begin, end).map_err(|problem| file.wrong(problem))?;
        Ok(bpe.with_template(optional(file, "tokenizer.chat_template", Gguf::text)?.map(str::to_owned)))
    }
}

/// A byte-level vocabulary.
fn byte_level(file: &Gguf, digits_alone: bool) -> Result<Library> {
    let texts = file.texts(TOKENS).ok_or_else(|| lacks(file, TOKENS))?;
    let kinds = kinds(file, texts.len())?.unwrap_or_else(|| vec![Kind::Normal; texts.len()]);
    let merges = file.texts(MERGES).ok_or_else(|| lacks(file, MERGES))?;
    let merges = merges.iter().enumerate().map(|(rank, text)| two_tokens(text, rank));
    let added = (0..).zip(&texts).zip(kinds).filter_map(|((id, text), kind)| match kind {
        Kind::Control | Kind::Kept if !text.is_empty() => {
            Some(Added { id, token: AddedToken::from(*text, kind == Kind::Control) })
        }
        _ => None,
    });
    let vocabulary = Vocabulary {
        added: added.collect(),
        merges: merges.collect::<Result<_, _>>().map_err(|problem| file.wrong(problem))?,
        tokens: texts.into_iter().zip(0..).collect(),
        unknown: None,
        fuse_unknown: false,
        byte_fallback: false,
        cut: Cut::Bytes { digits_alone },
    };
    Library::new(&vocabulary).map_err(|problem| file.wrong(problem))
}

/// SentencePiece's pieces and scores.
fn scores(file: &Gguf) -> Result<Words> {
    let texts = file.texts(TOKENS).ok_or_else(|| lacks(file, TOKENS))?;
    // Bytes and control tokens are told by nothing else.
    let kinds = kinds(file, texts.len())?.ok_or_else(|| lacks(file, TYPES))?;
    let scores = file.floats(SCORES).filter(|scores| scores.len() == texts.len()).ok_or_else(|| lacks(file, SCORES))?;
    let all = texts.iter().zip(scores).zip(kinds);
    let pieces: Vec<Piece> = all.map(|((text, score), kind)| Piece { text, score: score as f32, kind }).collect();
    let prefix = match optional(file, "tokenizer.ggml.add_space_prefix", Gguf::flag)? {
        Some(false) => Prefix::Never,
        Some(true) | None => Prefix::Always,
    };
    Words::scores(&pieces, prefix).map_err(|problem| file.wrong(problem))
}

/// What each of `count` tokens is, where the file says so.
fn kinds(file: &Gguf, count: usize) -> Result<Option<Vec<Kind>>> {
    let Some(numbers) = optional(file, TYPES, Gguf::wholes)? else { return Ok(None) };
    if numbers.len() != count {
        return Err(file.wrong(format!("{TYPES} has {} entries for {count} tokens", numbers.len())));
    }
    let kind = |(id, number): (usize, i64)| {
        Kind::numbered(number).ok_or_else(|| file.wrong(format!("{TYPES} gives token {id} the unknown kind {number}")))
    };
    numbers.into_iter().enumerate().map(kind).collect::<Result<_>>().map(Some)
}

/// A value that a file may lack, but may not have as something else.
fn optional<'a, T>(file: &Gguf<'a>, key: &str, read: impl Fn(&Gguf<'a>, &str) -> Option<T>) -> Result<Option<T>> {
    let found = read(file, key);
    if found.is_none() && file.value(key).is_some() { Err(lacks(file, key)) } else { Ok(found) }
}

fn lacks(file: &Gguf, key: &str) -> thisbut_model::error::ModelError {
    file.wrong(format!("{key} is missing or damaged"))
}

/// The token that ends an answer, from a `config.json`; of the language model's part where it has one.
///
/// # Errors
/// A sentence, when the file names one that is no token's number.
pub fn end_of(config: &Value) -> Result<Option<u32>, String> {
    let named = [&config["eos_token_id"], &config["text_config"]["eos_token_id"]];
    let Some(value) = named.into_iter().find(|value| !value.is_null()) else { return Ok(None) };
    let first = value.as_array().map_or(Some(value), |list| list.first());
    let id = first.and_then(Value::as_u64).and_then(|id| u32::try_from(id).ok());
    id.map(Some).ok_or_else(|| "eos_token_id of config.json is no token's number".into())
}
