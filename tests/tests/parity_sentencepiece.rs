//! Llama's kind of tokenizer, from SentencePiece's own file, `tokenizer.json` and GGUF, against sentencepiece and transformers.
//! Golden values and where they come from: `tests/golden/sentencepiece_words.py`.

use serde_json::{Value, json};
use thisbut_generator::runtime::{Bpe, Gguf};
use thisbut_generator::sentencepiece;
use thisbut_tests::upstream::{Outcome, PIECES, golden_bytes, golden_json, ids, real_weights};

fn texts(notes: &Value) -> Vec<&str> {
    notes["texts"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn same(words: &Bpe, notes: &Value, key: &str, name: &str) -> Outcome {
    let expected = notes[key].as_array().into_iter().flatten().map(ids);
    for (text, expected) in texts(notes).into_iter().zip(expected) {
        assert_eq!(words.encode(text)?, expected, "{name}: {text:?}");
        assert_eq!(words.decode(&expected)?, text, "{name}");
    }
    Ok(())
}

#[test]
fn all_three_files_give_sentencepieces_tokens() -> Outcome {
    let (root, notes) = (tempfile::tempdir()?, golden_json("sentencepiece.json")?);
    std::fs::write(root.path().join("tokenizer.model"), golden_bytes("llama-words/tokenizer.model")?)?;
    let model = sentencepiece::read(root.path(), json!({}))?;
    let json = String::from_utf8(golden_bytes("llama-words/tokenizer.json")?)?;
    let json = Bpe::from_hugging_face(&json, &json!({"text_config": {"eos_token_id": 2}}), "tokenizer.json")?;
    let bytes = golden_bytes("llama-words/words.gguf")?;
    let gguf = Bpe::from_gguf(&Gguf::parse(&bytes, "words.gguf")?)?;
    assert_eq!(texts(&notes).len(), 12);
    for (name, words) in [("tokenizer.model", &model), ("tokenizer.json", &json), ("words.gguf", &gguf)] {
        same(words, &notes, "sentencepiece", name)?;
        // transformers reads control tokens wherever they stand.
        let expected = notes["transformers"].as_array().into_iter().flatten().map(ids);
        for (text, expected) in texts(&notes).into_iter().zip(expected) {
            assert_eq!(words.encode_with_control(text)?, expected, "{name}: {text:?}");
        }
        let begin: Vec<u32> = words.begin().into_iter().collect();
        assert_eq!((begin, words.end()), (ids(&notes["begins"]), 2), "{name}");
        let control = &notes["control"];
        let text = control["text"].as_str().unwrap_or_default();
        assert_eq!(words.encode_with_control(text)?, ids(&control["ids"]), "{name}");
    }
    Ok(())
}

#[test]
fn a_vicuna_folder_says_what_begins_and_ends() -> Outcome {
    let root = tempfile::tempdir()?;
    let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text);
    let bytes = golden_bytes("llama-words/tokenizer.model")?;
    std::fs::write(root.path().join("tokenizer.model"), &bytes)?;
    // InstructBLIP begins texts with </s> and pads with a token of its own.
    write(
        "tokenizer_config.json",
        r#"{"add_bos_token": true, "bos_token": {"content": "</s>"}, "eos_token": "</s>"}"#,
    )?;
    write("added_tokens.json", r#"{"[PAD]": 420, "<unk>": 0, "</s>": 2}"#)?;
    let plain = sentencepiece::read(root.path(), json!({"eos_token_id": 1}))?;
    assert_eq!((plain.begin(), plain.end(), plain.len()), (Some(2), 1, 421));
    assert_eq!(plain.encode_with_control("[PAD]")?, [420]);
    write("tokenizer_config.json", r#"{"add_bos_token": false}"#)?;
    let silent = sentencepiece::read(root.path(), json!({}))?;
    assert_eq!((silent.begin(), silent.end()), (None, 2));

    let refused = |words: &str| {
        let said = sentencepiece::read(root.path(), json!({})).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(said.contains(words) && said.contains("; ") && !said.contains('\n'), "{said}");
    };
    write("added_tokens.json", r#"{"[PAD]": 7}"#)?;
    refused("gives '[PAD]' the number 7, 420 is next");
    for damaged in ["{", r#"{"[PAD]": "420"}"#, "[420]"] {
        write("added_tokens.json", damaged)?;
        refused("added_tokens.json: ");
    }
    std::fs::remove_file(root.path().join("added_tokens.json"))?;
    std::fs::write(root.path().join("tokenizer.model"), &bytes[..bytes.len() - 3])?;
    refused("it is damaged");
    std::fs::write(root.path().join("tokenizer.model"), b"")?;
    refused("not a SentencePiece model of the kind BPE");
    Ok(())
}

#[test]
fn a_published_model_of_32000_pieces_gives_the_same_tokens() -> Outcome {
    let Some(path) = real_weights(&["tokenizer.model.v1"], PIECES)? else { return Ok(()) };
    let (root, notes) = (tempfile::tempdir()?, golden_json("mistral-words.json")?);
    std::fs::copy(&path, root.path().join("tokenizer.model"))?;
    let words = sentencepiece::read(root.path(), json!({}))?;
    assert_eq!((words.len(), texts(&notes).len()), (32_000, 20));
    same(&words, &notes, "tokens", "tokenizer.model.v1")
}
