//! A list of words that photos are compared with: classification without training.

use super::{Teacher, cosine, largest};
use crate::error::{Result, TrainerError};
use crate::fsx;
use std::path::Path;

/// A word, and the text that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What is said.
    pub name: String,
    /// What is compared.
    pub text: String,
}

/// Reads a list: a word a line, or `word: text`. Empty lines are passed over.
///
/// # Errors
/// When the file cannot be read, has no word, or has one twice.
pub fn load(path: &Path) -> Result<Vec<Word>> {
    let content = fsx::read_text(path, fsx::SMALL)?;
    let mut words: Vec<Word> = Vec::new();
    let wrong =
        |place: String, problem: String| Err(TrainerError::data(place, problem, "give a word a line, each once"));
    for (line, text) in (1..).zip(content.lines().map(str::trim)) {
        let place = format!("{}, line {line}", path.display());
        let (name, text) = text.split_once(':').map_or((text, text), |(name, text)| (name.trim(), text.trim()));
        match (name.is_empty(), text.is_empty()) {
            (true, true) => continue,
            (false, false) if words.iter().all(|word| word.name != name) => {}
            (false, false) => return wrong(place, format!("'{name}' stood before")),
            _ => return wrong(place, "the word or its text is missing".to_owned()),
        }
        words.push(Word { name: name.to_owned(), text: text.to_owned() });
    }
    match words.is_empty() {
        true => wrong(path.display().to_string(), "has no word".to_owned()),
        false => Ok(words),
    }
}

/// Words with their places among texts.
pub struct Words {
    words: Vec<Word>,
    places: Vec<Vec<f32>>,
}

impl Words {
    /// Of a list.
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn new(words: Vec<Word>, teacher: &mut Teacher) -> Result<Self> {
        let texts: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        Ok(Self { places: teacher.texts(&texts)?, words })
    }

    /// The `count` words nearest to an image's place, with their cosines.
    pub fn nearest(&self, place: &[f32], count: usize) -> Vec<(&str, f32)> {
        let scores: Vec<f32> = self.places.iter().map(|word| cosine(place, word)).collect();
        largest(&scores, count).into_iter().map(|at| (self.words[at].name.as_str(), scores[at])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_words_with_and_without_a_text() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let list = |content: &str| {
            std::fs::write(file.path(), content).unwrap();
            load(file.path()).map_err(|e| e.to_string())
        };
        let word = |name: &str, text: &str| Word { name: name.into(), text: text.into() };
        let found = list("dress\n\n outwear: coat or jacket \n").unwrap();
        assert_eq!(found, [word("dress", "dress"), word("outwear", "coat or jacket")]);
        for (content, problem) in [
            ("", "has no word; give a word a line"),
            ("a\nb\na\n", "line 3: 'a' stood before"),
            ("a:\n", "line 1: the word or its text is missing"),
            (": a\n", "line 1: the word or its text is missing"),
        ] {
            assert!(list(content).unwrap_err().contains(problem), "{content:?}");
        }
    }
}
