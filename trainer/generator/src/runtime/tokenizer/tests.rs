//! Tokenizers from small files, and which files are refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::library::{Added, Cut, Vocabulary};
use super::*;
use crate::runtime::gguf::Gguf;
use crate::runtime::gguf::tests::Writer;
use serde_json::json;
use tokenizers::{AddedToken, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer};

/// GPT-2's printable stand-in for each byte.
fn stand_in(byte: u8) -> char {
    let plain = |b: u8| matches!(b, 33..=126 | 161..=172 | 174..=255);
    let before = (0..byte).filter(|b| !plain(*b)).count() as u32;
    if plain(byte) { char::from(byte) } else { char::from_u32(256 + before).unwrap() }
}

/// Two control tokens, every byte and four words.
fn texts() -> Vec<String> {
    let mut out: Vec<String> = vec!["<|end|>".into(), "<|end|>>".into()];
    out.extend((0..=255u8).map(|b| stand_in(b).to_string()));
    out.extend(["lo", "low", "\u{120}low", "er"].map(str::to_owned));
    out
}

fn vocabulary(texts: &[String]) -> Vocabulary<'_> {
    let added = |id: u32| Added { id, token: AddedToken::from(texts[id as usize].as_str(), true) };
    Vocabulary {
        tokens: texts.iter().map(String::as_str).zip(0..).collect(),
        merges: vec![("l", "o"), ("lo", "w"), ("\u{120}", "low"), ("e", "r")],
        added: vec![added(0), added(1)],
        unknown: None,
        fuse_unknown: false,
        byte_fallback: false,
        cut: Cut::Bytes { digits_alone: true },
    }
}

#[test]
fn merges_go_by_rank_and_text_comes_back() {
    let bpe = Bpe::new(Words::Library(Box::new(Library::new(&vocabulary(&texts())).unwrap())));
    let low = 2 + 256;
    assert_eq!(bpe.encode("low lower").unwrap(), [low + 1, low + 2, low + 3]);
    for text in ["low lower", "é 🎉\n\t'll", "<|end|>", ""] {
        assert_eq!(bpe.decode(&bpe.encode(text).unwrap()).unwrap(), text);
    }
    assert!(!bpe.encode("<|end|>").unwrap().contains(&0));
    assert_eq!(bpe.encode_with_control("low<|end|>>er<|end|>").unwrap(), [low + 1, 1, low + 3, 0]);
    assert_eq!(bpe.decode(&[low, 0, 9999, u32::MAX, low]).unwrap(), "lolo");
}

#[test]
fn words_are_cut_as_by_the_published_expression() {
    let cases: [(&str, &[&str]); 7] = [
        ("it's we're I'll", &["it", "'s", " we", "'re", " I", "'ll"]),
        ("a  b\n\nc ", &["a", " ", " b", "\n", "\n", "c", " "]),
        ("in 2024!", &["in", " ", "2", "0", "2", "4", "!"]),
        (" ... x", &[" ...", " x"]),
        ("'S don't", &["'", "S", " don", "'t"]),
        ("हिन्दी", &["ह", "ि", "न", "्", "द", "ी"]),
        ("", &[]),
    ];
    let texts = texts();
    let words = |text: &str, digits_alone: bool| {
        let vocabulary = Vocabulary { cut: Cut::Bytes { digits_alone }, ..vocabulary(&texts) };
        let tokenizer = vocabulary.tokenizer(false).unwrap();
        let mut out = PreTokenizedString::from(text);
        tokenizer.get_pre_tokenizer().unwrap().pre_tokenize(&mut out).unwrap();
        let places = out.get_splits(OffsetReferential::Original, OffsetType::Byte);
        let words = places.into_iter().map(|(_, (from, to), _)| text[from..to].to_owned());
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>()
    };
    for (text, expected) in cases {
        assert_eq!(words(text, true), expected, "{text}");
    }
    assert_eq!(words("in 2024!", false), ["in", " 2024", "!"]);
}

#[test]
fn what_would_mislead_the_crate_is_refused() {
    let texts = texts();
    let (whole, count) = (vocabulary(&texts), texts.len() as u32);
    let refused = |change: &dyn Fn(&mut Vocabulary), words: &str| {
        let mut vocabulary = whole.clone();
        change(&mut vocabulary);
        let said = Library::new(&vocabulary).err().unwrap_or_default();
        assert!(said.contains(words) && !said.contains('\n'), "{words}: {said}");
    };
    let added = |id: u32, text: &str| Added { id, token: AddedToken::from(text, false) };
    refused(&|v| v.tokens.push(("low", count)), "has the token 'low' twice");
    refused(&|v| v.tokens.push(("lower", 3)), "and 'lower' the same number 3");
    refused(&|v| v.tokens.push(("lower", 9999)), "go up to 10000, which makes no sense");
    refused(&|v| v.tokens.push(("\u{e000}\u{e001}", count)), "private characters");
    // Longer than the longest token: the crate would panic.
    refused(&|v| v.merges.push(("<|end|>>", "<|end|>>")), "merge 4 of its tokenizer names no tokens");
    refused(&|v| v.merges.push(("l", "o")), "merge 4 of its tokenizer is there twice");
    refused(&|v| v.added.push(added(7, "low")), "'low' of its tokenizer has the number 7");
    refused(&|v| v.added.push(added(7, "<new>")), "'<new>' of its tokenizer has the number 7");
    refused(&|v| v.added.push(added(0, "<|end|>")), "'<|end|>' of its tokenizer is there twice");
    refused(&|v| v.added.push(added(count, "中")), "is a single character");
    refused(&|v| v.added.push(added(count, "")), "is empty");
    refused(&|v| v.added.push(added(count, &"a".repeat(1025))), "too long");
    // What one takes to itself begins the next: the crate would panic.
    let greedy = |v: &mut Vocabulary| {
        v.added[0].token.rstrip = true;
        let token = AddedToken::from("  ", false).lstrip(true);
        v.added.push(Added { id: count, token });
    };
    refused(&greedy, "ends in white space");
    refused(&|v| v.unknown = Some("<unk>"), "no token '<unk>', which is to stand");
    refused(&|v| v.cut = Cut::Whole { prepended: true }, "neither a piece for what is unknown");
    assert_eq!(Library::new(&whole).unwrap().len(), count as usize);
}

#[test]
fn a_character_without_a_token_is_an_error_and_an_added_token_is_none() {
    let json = json!({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}, "pre_tokenizer": {"type": "ByteLevel"},
        "added_tokens": [{"id": 3, "content": "</s>", "special": true}, {"id": 2, "content": "<x>"}]});
    let bpe = read(&json.to_string()).unwrap();
    assert_eq!(bpe.encode_with_control("ab</s>a").unwrap(), [0, 1, 3, 0]);
    assert_eq!(bpe.encode("a<x>b").unwrap(), [0, 2, 1]);
    for text in ["abc", "a</s>"] {
        let said = bpe.encode(text).unwrap_err().to_string();
        assert!(said.contains(&format!("no token for a character of '{text}'")), "{said}");
    }
}

#[test]
fn control_tokens_are_left_out_even_where_they_are_normalized() {
    let replace = r#"{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}"#;
    let both =
        format!(r#"{{"type": "Sequence", "normalizers": [{{"type": "Prepend", "prepend": "\u2581"}}, {replace}]}}"#);
    let bpe =
        read(&file(&both, "null").replace(r#""special": true"#, r#""special": true, "normalized": true"#)).unwrap();
    assert_eq!(bpe.encode_with_control("</s>").unwrap(), [1]);
    assert_eq!(bpe.decode(&[1, 3, 1]).unwrap(), "a");
}

#[test]
fn what_cannot_be_served_as_it_is_meant_is_refused() {
    let replace = r#"{"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}"#;
    let whole = file(replace, "null");
    assert!(read(&whole).is_ok());
    let refused = |from: &str, to: &str, words: &str| {
        assert!(whole.contains(from), "{from}");
        let said = read(&whole.replacen(from, to, 1)).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(words) && !said.contains('\n'), "{to}: {said}");
    };
    let merges = r#""merges": "#;
    for (option, words) in [
        (r#""continuing_subword_prefix": "@@""#, "marks the parts or the ends"),
        (r#""end_of_word_suffix": "</w>""#, "marks the parts or the ends"),
        (r#""dropout": 0.1"#, "by chance (dropout)"),
        (r#""ignore_merges": true"#, "ignores merges"),
    ] {
        refused(merges, &format!("{option}, {merges}"), words);
    }
    let fine = format!(r#""continuing_subword_prefix": "", "end_of_word_suffix": null, "dropout": null, {merges}"#);
    assert!(read(&whole.replace(merges, &fine)).is_ok());
    refused(r#""a": 0"#, r#""a": 0, "a": 5"#, "has the token 'a' twice");
    refused(r#""a": 0"#, r#""a": 2"#, "the same number 2");
    refused(r#""a": 0"#, r#""a": -1"#, "invalid value");
    refused(r#""unk_token": "<unk>""#, r#""unk_token": "<none>""#, "no token '<none>'");
    refused(r#"["\u2581 a"]"#, r#"["\u2581a"]"#, "merge 0 of its tokenizer is not two tokens");
    refused(r#"["\u2581 a"]"#, r#"[["\u2581", "b"]]"#, "merge 0 of its tokenizer names no tokens");
    refused(r#"{"id": 1, "#, r#"{"id": 5, "#, "has the number 5, which contradicts");
    let last = r#""special": true}]"#;
    let ends = |post: &str| format!(r#"{last}, "post_processor": {post}"#);
    refused(last, &ends(r#"{"type": "BertProcessing"}"#), "'BertProcessing' that Llama's does not have");
    let template =
        r#"{"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}], "special_tokens": {}}"#;
    refused(last, &ends(template), "begins texts with '<s>', which has no number");
    let config = json!({"eos_token_id": -1});
    let said = Bpe::from_hugging_face(&whole, &config, "t.json").err().unwrap().to_string();
    assert!(said.contains("eos_token_id of config.json is no token's number"), "{said}");
}

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
        assert_eq!(["a", " a", "a</s>a"].map(|text| bpe.encode_with_control(text).unwrap()), expected, "{json}");
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
    let beyond = Bpe::from_hugging_face(&file(replace, "null"), &json!({"eos_token_id": 7}), "t.json").err().unwrap();
    assert!(beyond.to_string().contains("token 7 is beyond its 5 tokens"), "{beyond}");
}
