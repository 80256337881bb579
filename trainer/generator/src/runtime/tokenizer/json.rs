//! Tokenizers from Hugging Face's `tokenizer.json`: what of it can be served as it stands, the rest is refused.

use super::library::{Added, Cut, Library, Vocabulary};
use super::{Bpe, Words, end_of};
use crate::runtime::gguf::shown;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use thisbut_model::error::{ModelError, Result};
use tokenizers::AddedToken;
use tokenizers::pre_tokenizers::metaspace::PrependScheme;

/// What is read before the rest: other kinds write their vocabulary in other shapes.
#[derive(Deserialize)]
struct Kind {
    model: KindOfModel,
}

#[derive(Deserialize)]
struct KindOfModel {
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The part of `tokenizer.json` that matters.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
    #[serde(default)]
    added_tokens: Vec<StoredToken>,
    #[serde(default)]
    normalizer: Value,
    #[serde(default)]
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
}

#[derive(Deserialize)]
struct TokenizerModel {
    #[serde(deserialize_with = "pairs")]
    vocab: Vec<(String, u32)>,
    merges: Vec<Merge>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    dropout: Option<f64>,
    #[serde(default)]
    ignore_merges: bool,
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
struct StoredToken {
    id: u32,
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
}

/// A map's entries as they are written: a map would forget that a key is there twice.
fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, u32)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, u32)>;
        fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
            f.write_str("tokens with their numbers")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(pair) = map.next_entry()? {
                out.push(pair);
            }
            Ok(out)
        }
    }
    from.deserialize_map(Pairs)
}

impl Bpe {
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
        let Kind { model } = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        if model.kind.as_deref() != Some("BPE") {
            let kind =
                model.kind.as_deref().map_or("of no kind".into(), |kind| kind.chars().take(60).collect::<String>());
            return Err(wrong(format!("its tokenizer is {kind}, not BPE")));
        }
        let file: TokenizerFile = serde_json::from_str(json).map_err(|e| wrong(e.to_string()))?;
        let library = file.vocabulary().and_then(|vocabulary| Library::new(&vocabulary)).map_err(wrong)?;
        let begin = begins(&file.post_processor).map_err(wrong)?;
        let end = end_of(config).map_err(wrong)?.ok_or_else(|| wrong("config.json has no eos_token_id".into()))?;
        Self::new(Words::Library(Box::new(library))).with_ends(begin, end).map_err(wrong)
    }
}

impl TokenizerFile {
    fn vocabulary(&self) -> Result<Vocabulary<'_>, String> {
        let model = &self.model;
        let marks = [&model.continuing_subword_prefix, &model.end_of_word_suffix];
        if marks.into_iter().flatten().any(|mark| !mark.is_empty()) {
            return Err("its tokenizer marks the parts or the ends of words, as Llama's and GPT-2's do not".into());
        }
        if model.dropout.is_some_and(|share| share != 0.0) {
            return Err("its tokenizer leaves out merges by chance (dropout)".into());
        }
        let cut = match self.byte_level()? {
            Some(digits_alone) => Cut::Bytes { digits_alone },
            None => self.whole()?,
        };
        let merges = model.merges.iter().enumerate().map(|(rank, merge)| merge.parts(rank));
        Ok(Vocabulary {
            tokens: model.vocab.iter().map(|(text, id)| (text.as_str(), *id)).collect(),
            merges: merges.collect::<Result<_, _>>()?,
            added: self.added_tokens.iter().map(StoredToken::added).collect(),
            unknown: model.unk_token.as_deref(),
            fuse_unknown: model.fuse_unk,
            byte_fallback: model.byte_fallback,
            cut,
        })
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
        let bytes = |step: &Value| {
            step["type"] == "ByteLevel"
                && is(step, "use_regex", true, true)
                && is(step, "add_prefix_space", false, false)
        };
        let digits = |step: &Value| step["type"] == "Digits" && is(step, "individual_digits", true, false);
        match steps.as_slice() {
            [last] if bytes(last) => Ok(Some(false)),
            [first, last] if digits(first) && bytes(last) => Ok(Some(true)),
            _ => Err("its tokenizer cuts texts into words otherwise than GPT-2's and SmolLM's".into()),
        }
    }

    /// Where SentencePiece's pieces get a space, from the normalizer or from Metaspace.
    fn whole(&self) -> Result<Cut, String> {
        let model = &self.model;
        if model.unk_token.is_some() && !model.fuse_unk && !model.byte_fallback {
            return Err("its tokenizer keeps unknown characters apart (fuse_unk), as Llama's does not".into());
        }
        if model.ignore_merges {
            return Err("its tokenizer ignores merges, as Llama's does not".into());
        }
        let known = |list: Vec<Value>, of: fn(&Value) -> Option<Step>| {
            let step = |step: &Value| {
                let other = || format!("its tokenizer has a step {} that Llama's does not have", named(step));
                of(step).ok_or_else(other)
            };
            list.iter().map(step).collect::<Result<Vec<_>, String>>()
        };
        let before = known(steps(&self.normalizer, "normalizers"), Step::normalizer)?;
        let after = known(steps(&self.pre_tokenizer, "pretokenizers"), Step::pre_tokenizer)?;
        match (before.as_slice(), after.as_slice()) {
            ([Step::Replace], []) => Ok(Cut::Whole { prepended: false }),
            ([Step::Prepend, Step::Replace] | [Step::Replace, Step::Prepend], []) => Ok(Cut::Whole { prepended: true }),
            ([], [Step::Metaspace(scheme)]) => Ok(Cut::Metaspace(*scheme)),
            ([] | [Step::Prepend], []) => Err("its tokenizer does not write spaces as \u{2581}".into()),
            _ => Err("its tokenizer writes spaces as \u{2581} in several steps, as Llama's does not".into()),
        }
    }
}

/// A step that writes spaces as ▁, or puts one before a text.
#[derive(Clone, Copy)]
enum Step {
    Prepend,
    Replace,
    Metaspace(PrependScheme),
}

impl Step {
    fn normalizer(step: &Value) -> Option<Self> {
        match step["type"].as_str()? {
            "Prepend" if step["prepend"] == "\u{2581}" => Some(Self::Prepend),
            "Replace" if step["content"] == "\u{2581}" && step["pattern"]["String"] == " " => Some(Self::Replace),
            _ => None,
        }
    }

    fn pre_tokenizer(step: &Value) -> Option<Self> {
        let whole = step["type"] == "Metaspace" && step["replacement"] == "\u{2581}" && is(step, "split", false, true);
        let scheme = match (&step["prepend_scheme"], whole) {
            (Value::Null, true) => PrependScheme::Always,
            (Value::String(name), true) => match name.as_str() {
                "always" => PrependScheme::Always,
                "first" => PrependScheme::First,
                "never" => PrependScheme::Never,
                _ => return None,
            },
            _ => return None,
        };
        // What older files say besides may not contradict it.
        let agrees = scheme == PrependScheme::Never || is(step, "add_prefix_space", true, true);
        agrees.then_some(Self::Metaspace(scheme))
    }
}

impl Merge {
    fn parts(&self, rank: usize) -> Result<(&str, &str), String> {
        match self {
            Self::Pair(a, b) => Ok((a, b)),
            Self::Text(text) => super::two_tokens(text, rank),
        }
    }
}

impl StoredToken {
    fn added(&self) -> Added {
        let Self { id, content, special, single_word, lstrip, rstrip, normalized } = self;
        let token = AddedToken::from(content.as_str(), *special).single_word(*single_word);
        let token = token.lstrip(*lstrip).rstrip(*rstrip).normalized(normalized.unwrap_or(!special));
        Added { id: *id, token }
    }
}

/// Whether a step's option is `wanted`; it is `usual` where the step does not name it.
fn is(step: &Value, key: &str, wanted: bool, usual: bool) -> bool {
    match &step[key] {
        Value::Null => usual == wanted,
        value => *value == wanted,
    }
}

/// A step's kind, fit for a message.
fn named(step: &Value) -> String {
    step["type"].as_str().map_or("without a name".into(), shown)
}

/// The steps of a `Sequence`, whose list is called `parts`, or a single step.
fn steps(value: &Value, parts: &str) -> Vec<Value> {
    match value[parts].as_array() {
        Some(list) if value["type"] == "Sequence" => list.clone(),
        _ if value.is_null() => Vec::new(),
        _ => vec![value.clone()],
    }
}

/// The token that a template puts before a text.
fn begins(post_processor: &Value) -> Result<Option<u32>, String> {
    let steps = steps(post_processor, "processors");
    for step in &steps {
        match step["type"].as_str() {
            Some("ByteLevel") => {}
            Some("TemplateProcessing") => {
                let Some(name) = step["single"][0]["SpecialToken"]["id"].as_str() else { continue };
                let id = match step["special_tokens"][name]["ids"].as_array().map(Vec::as_slice) {
                    Some([id]) => id.as_u64().and_then(|id| u32::try_from(id).ok()),
                    _ => None,
                };
                let missing = || format!("its tokenizer begins texts with {}, which has no number", shown(name));
                return id.ok_or_else(missing).map(Some);
            }
            _ => return Err(format!("its tokenizer ends with a step {} that Llama's does not have", named(step))),
        }
    }
    Ok(None)
}
