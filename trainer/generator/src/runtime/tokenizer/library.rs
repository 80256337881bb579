//! The crate `tokenizers` behind our guards: it reads `tokenizer.json` and byte-level vocabularies as their authors' own library does.
//!
//! The crate trusts its files. It panics at a merge without a result and at added tokens that overlap, gives added tokens other
//! numbers than their file, and remembers words for ever. So it never sees a file: [`Vocabulary`] is checked first, then built.

use super::sentencepiece::byte;
use crate::runtime::gguf::shown;
use std::collections::{HashMap, HashSet};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{self, Prepend, Replace};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::{AddedToken, Tokenizer};
use tokenizers::{decoders, pre_tokenizers};

/// Stands for a space in a piece.
const SPACE: char = '\u{2581}';
/// The longest added token, in bytes, and the longest that all may be together: a search tree is built of them.
const LONGEST_ADDED: usize = 1024;
const ADDED_TOGETHER: usize = 1 << 20;
/// What a byte-level vocabulary without a token for unknown bytes has for them, so that none is lost in silence. No text becomes
/// it: its characters are nobody's stand-ins, and no merge has it.
const LOST: (&str, u32) = ("\u{e000}\u{e001}", u32::MAX);

type Outcome<T> = Result<T, String>;

/// How a text becomes the characters that are merged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cut {
    /// GPT-2's words, in its stand-ins for bytes; every digit is a word where SmolLM wants it so.
    Bytes { digits_alone: bool },
    /// The whole text with ▁ for a space, one more before it where `prepended`.
    Whole { prepended: bool },
    /// The same by Metaspace, which puts ▁ only before a text that does not begin with it.
    Metaspace(PrependScheme),
}

/// A token beside the merged ones.
#[derive(Clone, Debug)]
pub(super) struct Added {
    pub id: u32,
    pub token: AddedToken,
}

/// A vocabulary as its file has it.
#[derive(Clone, Debug)]
pub(super) struct Vocabulary<'a> {
    /// Every token that merges reach, and others.
    pub tokens: Vec<(&'a str, u32)>,
    /// Pairs of tokens, the first ones first.
    pub merges: Vec<(&'a str, &'a str)>,
    pub added: Vec<Added>,
    /// Stands for what has no token.
    pub unknown: Option<&'a str>,
    pub fuse_unknown: bool,
    /// Whether a character without a token is its bytes' tokens.
    pub byte_fallback: bool,
    pub cut: Cut,
}

impl Vocabulary<'_> {
    /// Checks everything that the crate takes for granted; gives the number of tokens.
    fn check(&self) -> Outcome<usize> {
        let mut ids: HashMap<&str, u32> = HashMap::with_capacity(self.tokens.len());
        let mut texts: HashMap<u32, &str> = HashMap::with_capacity(self.tokens.len());
        for (text, id) in &self.tokens {
            if ids.insert(text, *id).is_some() {
                return Err(format!("its tokenizer has the token {} twice", shown(text)));
            }
            if let Some(other) = texts.insert(*id, text) {
                let (one, other) = (shown(text), shown(other));
                return Err(format!("its tokenizer gives {other} and {one} the same number {id}"));
            }
        }
        self.check_merges(&ids)?;
        self.check_added(&mut ids, &mut texts)?;
        self.check_unknown(&ids)?;
        let count = texts.keys().max().map_or(0, |id| *id as usize + 1);
        // What comes later has a row for every number.
        if count > 2 * texts.len() {
            return Err(format!("its token numbers go up to {count}, which makes no sense"));
        }
        Ok(count)
    }

    fn check_merges(&self, ids: &HashMap<&str, u32>) -> Outcome<()> {
        let (mut pairs, mut joined) = (HashSet::with_capacity(self.merges.len()), String::new());
        for (rank, (a, b)) in self.merges.iter().enumerate() {
            joined.clear();
            joined.extend([*a, *b]);
            let [Some(first), Some(second), Some(_)] = [*a, *b, &joined].map(|text| ids.get(text)) else {
                return Err(format!("merge {rank} of its tokenizer names no tokens"));
            };
            if !pairs.insert((*first, *second)) {
                return Err(format!("merge {rank} of its tokenizer is there twice"));
            }
        }
        Ok(())
    }

    fn check_added<'a>(&'a self, ids: &mut HashMap<&'a str, u32>, texts: &mut HashMap<u32, &'a str>) -> Outcome<()> {
        let (mut seen, mut together) = (HashSet::new(), 0);
        let strips = self.added.iter().any(|Added { token, .. }| token.lstrip || token.rstrip);
        for Added { id, token } in &self.added {
            let text = token.content.as_str();
            let wrong = |problem: &str| Err(format!("the added token {} of its tokenizer {problem}", shown(text)));
            together += text.len();
            if text.is_empty() || text.len() > LONGEST_ADDED || together > ADDED_TOGETHER {
                return wrong("is empty, or too long");
            }
            // Two would claim the same white space.
            if strips && text.trim() != text {
                return wrong("ends in white space, which others take to themselves (lstrip, rstrip)");
            }
            if !seen.insert(text) {
                return wrong("is there twice");
            }
            match (ids.insert(text, *id), texts.insert(*id, text)) {
                (None, None) if (self.byte_fallback && byte(text).is_some()) || text.chars().nth(1).is_none() => {
                    return wrong("is a single character or byte that its vocabulary lacks");
                }
                (None, None) => {}
                (Some(number), Some(other)) if number == *id && other == text => {}
                _ => return wrong(&format!("has the number {id}, which contradicts its vocabulary")),
            }
        }
        Ok(())
    }

    fn check_unknown(&self, ids: &HashMap<&str, u32>) -> Outcome<()> {
        if let Some(unknown) = self.unknown
            && !ids.contains_key(unknown)
        {
            return Err(format!(
                "its tokenizer has no token {}, which is to stand for what is unknown",
                shown(unknown)
            ));
        }
        let every_byte = || (0..=255u8).all(|byte| ids.contains_key(format!("<0x{byte:02X}>").as_str()));
        let bytes = matches!(self.cut, Cut::Bytes { .. });
        if !bytes && self.unknown.is_none() && !(self.byte_fallback && every_byte()) {
            return Err("its tokenizer has neither a piece for what is unknown nor one for every byte".into());
        }
        Ok(())
    }

    /// The crate's tokenizer, in which control tokens are found only where `control`.
    pub(super) fn tokenizer(&self, control: bool) -> Outcome<Tokenizer> {
        let mut vocabulary: Vocab = self.tokens.iter().map(|(text, id)| ((*text).to_owned(), *id)).collect();
        // The crate would number those by itself that the vocabulary lacks.
        vocabulary.extend(self.added.iter().map(|added| (added.token.content.clone(), added.id)));
        let mut unknown = self.unknown.map(str::to_owned);
        if unknown.is_none() && matches!(self.cut, Cut::Bytes { .. }) {
            let (text, id) = LOST;
            if vocabulary.insert(text.to_owned(), id).is_some() {
                return Err("its tokenizer has a token of private characters".into());
            }
            unknown = Some(text.to_owned());
        }
        let merges = self.merges.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        // Without the memory of words, which each thread keeps when the tokenizer is long gone.
        let mut model = BPE::builder().cache_capacity(0).vocab_and_merges(vocabulary, merges);
        if let Some(unknown) = unknown {
            model = model.unk_token(unknown);
        }
        let model = model.fuse_unk(self.fuse_unknown).byte_fallback(self.byte_fallback).build();
        let mut out = Tokenizer::new(model.map_err(said)?);
        self.cut.set(&mut out, self.byte_fallback)?;
        let added = self.added.iter().map(|added| &added.token).filter(|token| control || !token.special);
        out.add_tokens(added.cloned()).map_err(said)?;
        Ok(out)
    }
}

impl Cut {
    /// Sets what comes before and after the merges.
    fn set(self, out: &mut Tokenizer, byte_fallback: bool) -> Outcome<()> {
        let space = SPACE.to_string();
        match self {
            Cut::Bytes { digits_alone } => {
                let bytes = ByteLevel::new(false, false, true);
                let digits = digits_alone.then(|| Digits::new(true).into());
                let steps = digits.into_iter().chain([bytes.into()]).collect();
                out.with_pre_tokenizer(Some(pre_tokenizers::sequence::Sequence::new(steps)));
                out.with_decoder(Some(bytes));
                return Ok(());
            }
            Cut::Whole { prepended } => {
                let prepend = prepended.then(|| Prepend::new(space.clone()).into());
                let replace = Replace::new(" ", space.as_str()).map_err(said)?.into();
                let steps = prepend.into_iter().chain([replace]).collect();
                out.with_normalizer(Some(normalizers::Sequence::new(steps))).map_err(said)?;
            }
            Cut::Metaspace(scheme) => {
                out.with_pre_tokenizer(Some(Metaspace::new(SPACE, scheme, false)));
            }
        }
        let adds_space = !matches!(self, Cut::Whole { prepended: false } | Cut::Metaspace(PrependScheme::Never));
        let mut steps = vec![Replace::new(space, " ").map_err(said)?.into()];
        steps.extend(byte_fallback.then(|| decoders::byte_fallback::ByteFallback::new().into()));
        steps.push(decoders::fuse::Fuse::new().into());
        steps.extend(adds_space.then(|| decoders::strip::Strip::new(' ', 1, 0).into()));
        out.with_decoder(Some(decoders::sequence::Sequence::new(steps)));
        Ok(())
    }
}

/// The crate's tokenizers of one vocabulary.
pub(super) struct Library {
    /// Finds control tokens in a text.
    whole: Tokenizer,
    /// Takes them for text.
    plain: Tokenizer,
    control: HashSet<u32>,
    count: usize,
}

impl Library {
    /// # Errors
    /// A sentence that says why the vocabulary cannot be used.
    pub(super) fn new(vocabulary: &Vocabulary) -> Outcome<Self> {
        let count = vocabulary.check()?;
        let control = vocabulary.added.iter().filter(|added| added.token.special).map(|added| added.id).collect();
        let (whole, plain) = (vocabulary.tokenizer(true)?, vocabulary.tokenizer(false)?);
        Ok(Self { whole, plain, control, count })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// # Errors
    /// A sentence, when a character has no token.
    pub(super) fn encode(&self, text: &str, control: bool) -> Outcome<Vec<u32>> {
        let found = if control { &self.whole } else { &self.plain }.encode_fast(text, false).map_err(said)?;
        if found.get_ids().contains(&LOST.1) {
            return Err(format!("it has no token for a character of {}", shown(text)));
        }
        Ok(found.get_ids().to_vec())
    }

    /// # Errors
    /// What the crate fails with.
    pub(super) fn decode(&self, ids: &[u32]) -> Outcome<String> {
        // By number: of a control token that is normalized the crate forgets what it is.
        let said_ids: Vec<u32> =
            ids.iter().copied().filter(|id| (*id as usize) < self.count && !self.control.contains(id)).collect();
        self.whole.decode(&said_ids, false).map_err(said)
    }
}

/// What the crate said, in one line.
fn said(error: tokenizers::Error) -> String {
    shown(&error.to_string())
}
