//! CLIP's list of merges, from whichever file a checkpoint comes with: `merges.txt` (with `vocab.json`), `tokenizer.json`, or
//! OpenAI's `bpe_simple_vocab_16e6.txt`, gzipped or not.

use crate::error::{Result, TrainerError};
use crate::fsx;
use flate2::read::GzDecoder;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use thisbut_model::text::BytePairs;

/// The names under which a list of merges lies beside a checkpoint, the first found is read.
const NAMES: [&str; 4] = ["merges.txt", "bpe_simple_vocab_16e6.txt", "bpe_simple_vocab_16e6.txt.gz", "tokenizer.json"];
/// Longest of these files; OpenAI's has 3.2 MB.
const MAX_BYTES: u64 = 32 << 20;
/// The name of the list in the folder of base weights.
pub const FILE: &str = "merges.txt";
/// First line of the list.
const HEAD: &str = "#version: 0.2";

/// The list of merges beside checkpoint files: in a folder that was given, or in the one that a file lies in.
pub fn beside(paths: &[PathBuf]) -> Option<PathBuf> {
    let folders = paths.iter().filter_map(|path| if path.is_dir() { Some(path.as_path()) } else { path.parent() });
    folders.flat_map(|folder| NAMES.map(|name| folder.join(name))).find(|path| path.is_file())
}

/// The list of `path` for `vocabulary` words, as `merges.txt` has it. Where a `vocab.json` lies beside it, or in `tokenizer.json`, its
/// numbers have to be those that the list makes.
///
/// # Errors
/// When the file cannot be read, is no list of merges, has too few, or numbers its words otherwise.
pub fn read(path: &Path, vocabulary: usize) -> Result<String> {
    let (merges, numbers) = match path.extension().and_then(|end| end.to_str()) {
        Some("json") => tokenizer(path)?,
        Some("gz") => (unzipped(path)?, None),
        _ => {
            let numbers = path.with_file_name("vocab.json");
            (fsx::read_text(path, MAX_BYTES)?, numbers.is_file().then(|| numbered(&numbers)).transpose()?)
        }
    };
    let wrong = |e: thisbut_model::ModelError| broken(path, &e.to_string());
    let words = BytePairs::from_merges(&merges, vocabulary).map_err(wrong)?;
    let list: Vec<&str> = words.list(&merges).collect();
    if let Some(numbers) = numbers {
        check(path, &words, &list, &numbers)?;
    }
    Ok(format!("{HEAD}\n{}\n", list.join("\n")))
}

/// Writes the list into the folder of base weights, unless it is there. Another one is not replaced: models may rely on it.
///
/// # Errors
/// When another list is there, or the file cannot be written.
pub fn keep(merges: &str, weights_dir: &Path) -> Result<PathBuf> {
    let path = weights_dir.join(FILE);
    if path.is_file() {
        return match fsx::read_text(&path, MAX_BYTES)? == merges {
            true => Ok(path),
            false => Err(TrainerError::data(
                path.display().to_string(),
                "another list of merges is there than this checkpoint's",
                "give --weights another folder",
            )),
        };
    }
    fsx::create_dir(weights_dir)?;
    fsx::write_atomic(&path, merges.as_bytes())?;
    Ok(path)
}

/// Merges and numbered words of a `tokenizer.json`.
fn tokenizer(path: &Path) -> Result<(String, Option<HashMap<String, u32>>)> {
    #[derive(serde::Deserialize)]
    struct File {
        model: Model,
    }
    #[derive(serde::Deserialize)]
    struct Model {
        vocab: HashMap<String, u32>,
        merges: Vec<Pair>,
    }
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Pair {
        Joined(String),
        Apart([String; 2]),
    }
    let file: File = serde_json::from_slice(&fsx::read(path, MAX_BYTES)?)
        .map_err(|e| broken(path, &format!("it holds no byte pairs ({e})")))?;
    let line = |pair: Pair| match pair {
        Pair::Joined(line) => line,
        Pair::Apart([left, right]) => format!("{left} {right}"),
    };
    let lines: Vec<String> = file.model.merges.into_iter().map(line).collect();
    Ok((format!("{HEAD}\n{}\n", lines.join("\n")), Some(file.model.vocab)))
}

fn numbered(path: &Path) -> Result<HashMap<String, u32>> {
    serde_json::from_slice(&fsx::read(path, MAX_BYTES)?)
        .map_err(|e| broken(path, &format!("it is no table of words and numbers ({e})")))
}

fn unzipped(path: &Path) -> Result<String> {
    let mut text = String::new();
    let bytes = fsx::read(path, MAX_BYTES)?;
    GzDecoder::new(&bytes[..])
        .take(MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(|e| broken(path, &format!("it cannot be unpacked ({e})")))?;
    Ok(text)
}

/// Checks that `numbers` has the numbers that the list makes, its two marks last.
fn check(path: &Path, words: &BytePairs, list: &[&str], numbers: &HashMap<String, u32>) -> Result<()> {
    let marks = [("<|startoftext|>", words.begin_id()), ("<|endoftext|>", words.end_id())];
    let first = words.begin_id() as usize - list.len();
    let made = (first as u32..).zip(list).map(|(id, line)| (line.replacen(' ', "", 1), id));
    let wanted = made.chain(marks.map(|(mark, id)| (mark.to_owned(), id)));
    for (word, id) in wanted {
        if numbers.get(&word) != Some(&id) {
            let found = numbers.get(&word).map_or_else(|| "no number".to_owned(), |other| format!("number {other}"));
            let problem = format!("its table of words gives {word:?} {found}, the list of merges {id}");
            return Err(broken(path, &problem));
        }
    }
    Ok(())
}

fn broken(path: &Path, problem: &str) -> TrainerError {
    TrainerError::data(
        path.display().to_string(),
        problem,
        "take merges.txt from the model's own repository, or OpenAI's bpe_simple_vocab_16e6.txt",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Two merges, and the numbers that they make.
    fn files(folder: &Path) -> serde_json::Value {
        let words = BytePairs::from_merges("r e\nre d</w>\n", 516).unwrap();
        let numbers = serde_json::json!({
            "re": 512, "red</w>": 513, "<|startoftext|>": words.begin_id(), "<|endoftext|>": words.end_id()
        });
        std::fs::write(folder.join("merges.txt"), "#version: 0.2\nr e\nre d</w>\n").unwrap();
        std::fs::write(folder.join("vocab.json"), numbers.to_string()).unwrap();
        numbers
    }

    #[test]
    fn every_file_gives_the_same_list() {
        let folder = tempfile::tempdir().unwrap();
        let numbers = files(folder.path());
        let list = "#version: 0.2\nr e\nre d</w>\n";
        assert_eq!(read(&folder.path().join("merges.txt"), 516).unwrap(), list);
        let joined = serde_json::json!({"model": {"vocab": numbers, "merges": ["r e", "re d</w>"]}});
        let apart = serde_json::json!({"model": {"vocab": numbers, "merges": [["r", "e"], ["re", "d</w>"]]}});
        for json in [joined, apart] {
            let path = folder.path().join("tokenizer.json");
            std::fs::write(&path, json.to_string()).unwrap();
            assert_eq!(read(&path, 516).unwrap(), list);
        }
        // OpenAI's has a long tail that no model uses.
        let long = "\"bpe_simple_vocab_16e6.txt#version: 0.2\nr e\nre d</w>\nz z\n";
        let path = folder.path().join("bpe_simple_vocab_16e6.txt.gz");
        let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        gz.write_all(long.as_bytes()).unwrap();
        gz.finish().unwrap();
        assert_eq!(read(&path, 516).unwrap(), list);
        assert_eq!(beside(&[folder.path().to_path_buf()]), Some(folder.path().join("merges.txt")));
        assert_eq!(beside(&[folder.path().join("model.pt")]), Some(folder.path().join("merges.txt")));
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut numbers = files(folder.path());
        let path = folder.path().join("merges.txt");
        let message = read(&path, 49_408).unwrap_err().to_string();
        assert!(message.contains("merges.txt") && message.contains("2 merges"), "{message}");
        numbers["re"] = 7.into();
        std::fs::write(folder.path().join("vocab.json"), numbers.to_string()).unwrap();
        let message = read(&path, 516).unwrap_err().to_string();
        assert!(message.contains("\"re\" number 7") && message.contains("512"), "{message}");
        for (name, bytes) in [("tokenizer.json", "{}"), ("bpe_simple_vocab_16e6.txt.gz", "no gzip")] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let message = read(&folder.path().join(name), 516).unwrap_err().to_string();
            assert!(message.contains(name) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_list_that_is_there_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = keep("one\n", folder.path()).unwrap();
        assert_eq!(keep("one\n", folder.path()).unwrap(), path);
        assert!(keep("two\n", folder.path()).unwrap_err().to_string().contains("another list"));
        assert_eq!(std::fs::read_to_string(path).unwrap(), "one\n");
    }
}
