//! SentencePiece's `tokenizer.model`, the tokenizer of Llama's and Vicuna's folders without a `tokenizer.json`.

use crate::runtime::Bpe;
use crate::runtime::tokenizer::{Kind, Piece, Prefix, end_of};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// `ModelProto` of sentencepiece_model.proto, the part that matters.
#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(message, repeated, tag = "1")]
    pieces: Vec<StoredPiece>,
    #[prost(message, optional, tag = "2")]
    trainer: Option<TrainerSpec>,
    #[prost(message, optional, tag = "3")]
    normalizer: Option<NormalizerSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct StoredPiece {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(float, optional, tag = "2")]
    score: Option<f32>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct TrainerSpec {
    #[prost(int32, optional, tag = "3")]
    model_type: Option<i32>,
    #[prost(bool, optional, tag = "24")]
    space_as_suffix: Option<bool>,
    #[prost(int32, optional, tag = "41")]
    begin: Option<i32>,
    #[prost(int32, optional, tag = "42")]
    end: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct NormalizerSpec {
    #[prost(bytes = "vec", optional, tag = "2")]
    characters: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    dummy_prefix: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    remove_spaces: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    escape_spaces: Option<bool>,
}

/// `model_type` of byte-pair encoding.
const BPE: i32 = 2;

impl Model {
    /// Why it cannot be used.
    fn refusal(&self) -> Option<&'static str> {
        let trainer = self.trainer.clone().unwrap_or_default();
        let normalizer = self.normalizer.clone().unwrap_or_default();
        if trainer.model_type != Some(BPE) {
            return Some("it is not a SentencePiece model of the kind BPE");
        }
        let spaces = normalizer.remove_spaces.unwrap_or(true) || !normalizer.escape_spaces.unwrap_or(true);
        let changes = normalizer.characters.is_some_and(|rules| !rules.is_empty());
        if changes || spaces || trainer.space_as_suffix.unwrap_or(false) {
            return Some("it changes the text before cutting it, as Llama's does not");
        }
        None
    }
}

/// What lies beside `tokenizer.model` in a folder.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// `config.json`.
    pub config: Value,
    /// `tokenizer_config.json`, or null.
    pub settings: Value,
    /// `added_tokens.json`, or nothing.
    pub added: BTreeMap<String, u64>,
}

/// The tokenizer of a folder with `tokenizer.model`, and with `tokenizer_config.json` and `added_tokens.json` where it has them.
///
/// # Errors
/// When a file is missing, damaged, or no tokenizer as Llama's.
pub fn read(folder: &Path, config: Value) -> Result<Bpe> {
    let beside = Beside {
        config,
        settings: optional_json(&folder.join("tokenizer_config.json"))?,
        added: optional_json(&folder.join("added_tokens.json"))?,
    };
    let path = folder.join("tokenizer.model");
    let mend = "give the files of a Llama or Vicuna model, or its GGUF file";
    let wrong = |problem: String| TrainerError::checkpoint(path.display().to_string(), problem, mend);
    parse(&fsx::read(&path, fsx::MIDDLE)?, &beside).map_err(wrong)
}

/// The tokenizer of a SentencePiece model.
///
/// The token that ends an answer is that of `config.json`, of `tokenizer_config.json`, of the model, the first that is there.
///
/// # Errors
/// A sentence that says what is wrong with the model, or with the added tokens beside it.
pub fn parse(bytes: &[u8], beside: &Beside) -> Result<Bpe, String> {
    let model = Model::decode(bytes).map_err(|e| format!("it is damaged ({e})"))?;
    if let Some(problem) = model.refusal() {
        return Err(problem.into());
    }
    let known = model.pieces.iter().enumerate().map(|(id, piece)| piece.read(id));
    let mut pieces = known.collect::<Result<Vec<_>, _>>()?;
    let mut added: Vec<(&String, u64)> = beside.added.iter().map(|(text, id)| (text, *id)).collect();
    added.sort_by_key(|(_, id)| *id);
    for (text, id) in added {
        let own = usize::try_from(id).ok().and_then(|id| pieces.get(id));
        if own.is_some_and(|piece| piece.text == text) {
            continue;
        }
        if id != pieces.len() as u64 {
            return Err(format!("added_tokens.json gives '{text}' the number {id}, {} is next", pieces.len()));
        }
        pieces.push(Piece { text, score: 0.0, kind: Kind::Control });
    }
    let trainer = model.trainer.clone().unwrap_or_default();
    // A model without such a token has −1.
    let own = |id: Option<i32>, usual: i32| u32::try_from(id.unwrap_or(usual)).ok();
    let begin = beside.named("bos_token", &pieces)?.or(own(trainer.begin, 1));
    let begin = if beside.flag("add_bos_token", true)? { begin } else { None };
    let end = end_of(&beside.config)?.or(beside.named("eos_token", &pieces)?).or(own(trainer.end, 2));
    let end = end.ok_or("no token ends an answer")?;
    let prefix = match model.normalizer.as_ref().and_then(|spec| spec.dummy_prefix) {
        Some(false) => Prefix::Never,
        // transformers' Llama tokenizer of old takes every part between control tokens for a text of its own.
        _ if beside.flag("legacy", true)? => Prefix::Always,
        _ => Prefix::First,
    };
    Bpe::from_pieces(&pieces, prefix)?.with_ends(begin, end)
}

impl StoredPiece {
    fn read(&self, id: usize) -> Result<Piece<'_>, String> {
        let kind = self.kind.map_or(Some(Kind::Normal), |number| Kind::numbered(number.into()));
        let kind = kind.ok_or_else(|| format!("piece {id} is of the unknown kind {:?}", self.kind))?;
        let text = self.text.as_deref().ok_or_else(|| format!("piece {id} has no text"))?;
        // A score that is 0, as of control tokens, may be left out.
        Ok(Piece { text, score: self.score.unwrap_or(0.0), kind })
    }
}

impl Beside {
    /// A setting of `tokenizer_config.json`.
    fn flag(&self, key: &str, usual: bool) -> Result<bool, String> {
        match &self.settings[key] {
            Value::Null => Ok(usual),
            value => value.as_bool().ok_or_else(|| format!("{key} of tokenizer_config.json is neither true nor false")),
        }
    }

    /// The number of a token that `tokenizer_config.json` names; nothing where it names none.
    fn named(&self, key: &str, pieces: &[Piece]) -> Result<Option<u32>, String> {
        let value = &self.settings[key];
        let name = value.as_str().or_else(|| value["content"].as_str());
        // Llama's first folders have empty names.
        if value.is_null() || name == Some("") {
            return Ok(None);
        }
        let id = name.and_then(|name| pieces.iter().position(|piece| piece.text == name));
        let id = id.and_then(|id| u32::try_from(id).ok());
        id.map(Some).ok_or_else(|| format!("{key} of tokenizer_config.json names none of the model's pieces"))
    }
}

fn optional_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T> {
    if !path.is_file() {
        return Ok(T::default());
    }
    let wrong = |e: serde_json::Error| {
        TrainerError::checkpoint(path.display().to_string(), e.to_string(), "download it again, or delete it")
    };
    serde_json::from_str(&fsx::read_text(path, fsx::MIDDLE)?).map_err(wrong)
}
