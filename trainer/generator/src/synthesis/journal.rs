//! What was asked, and what came back: a file that only grows, so that a run that was killed asks nothing twice.
//!
//! A line stands before a question goes out, and another when its answer is here; each is written in one piece. So what was
//! under way when a run was killed is known.

use crate::growing::Growing;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use thisbut_trainer::error::Result;

/// What tells questions apart: half of a SHA-256 in hexadecimal.
pub type Key = String;

/// Tokens that a question and its answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Of the question, images among them.
    pub prompt: u64,
    /// Of the answer.
    pub answer: u64,
}

impl Usage {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What became of one try of a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Try {
    /// It went out.
    Sent,
    /// It came back with a text.
    Text {
        /// The answer as it was given.
        text: String,
        /// Whether it ended at its limit of tokens.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        cut: bool,
        /// What it took.
        #[serde(default)]
        usage: Usage,
    },
    /// It came back without a text.
    Useless {
        /// Why, as a word for reports.
        kind: String,
        /// What was found.
        said: String,
        /// Whether another try would bring the same.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        last: bool,
        /// What it took.
        #[serde(default, skip_serializing_if = "Usage::is_none")]
        usage: Usage,
    },
    /// It was refused before it was answered: it counts as not sent.
    Back,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: Key,
    #[serde(rename = "try")]
    number: u32,
    was: Try,
}

/// A journal that is open to be written.
pub struct Journal {
    path: PathBuf,
    inner: Mutex<Inner>,
}

struct Inner {
    file: Growing,
    tries: BTreeMap<(Key, u32), Try>,
    /// For each question the tries of earlier runs.
    before: BTreeMap<Key, u32>,
    totals: Totals,
}

/// What a journal has in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Answers with a text.
    pub answers: u64,
    /// What these took, and answers without a text.
    pub usage: Usage,
}

impl Journal {
    /// Opens the journal at `path`, or begins one. An end that a kill cut off is removed.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a line of it is none of a journal: it is another file.
    pub fn open(path: &Path) -> Result<Self> {
        let (mut tries, mut totals) = (BTreeMap::new(), Totals::default());
        let file = Growing::open(path, &mut |bytes| {
            let line: Line = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
            totals.add(&line.was);
            note(&mut tries, line);
            Ok(())
        })?;
        let mut before: BTreeMap<Key, u32> = BTreeMap::new();
        for (key, number) in tries.keys() {
            // In order: the last of a question's numbers stays.
            before.insert(key.clone(), number + 1);
        }
        Ok(Self { path: path.to_path_buf(), inner: Mutex::new(Inner { file, tries, before, totals }) })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What became of try `number` of a question.
    pub fn get(&self, key: &Key, number: u32) -> Option<Try> {
        self.inner().tries.get(&(key.clone(), number)).cloned()
    }

    /// Tries of a question that earlier runs have made.
    pub fn before(&self, key: &Key) -> u32 {
        self.inner().before.get(key).copied().unwrap_or(0)
    }

    /// What it has in all.
    pub fn totals(&self) -> Totals {
        self.inner().totals
    }

    /// Adds what became of try `number` of a question. An answer is on the disk before this returns.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&self, key: &Key, number: u32, was: Try) -> Result<()> {
        let line = Line { key: key.clone(), number, was };
        let mut inner = self.inner();
        let mut bytes = serde_json::to_vec(&line).map_err(|e| inner.file.failed(e.into()))?;
        bytes.push(b'\n');
        inner.file.add(&bytes, !matches!(line.was, Try::Sent))?;
        inner.totals.add(&line.was);
        note(&mut inner.tries, line);
        Ok(())
    }

    /// A panic in another thread leaves whole lines alone: each is added by one call.
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Totals {
    fn add(&mut self, was: &Try) {
        let (Try::Text { usage, .. } | Try::Useless { usage, .. }) = was else { return };
        self.answers += u64::from(matches!(was, Try::Text { .. }));
        // A server may count what it likes.
        self.usage.prompt = self.usage.prompt.saturating_add(usage.prompt);
        self.usage.answer = self.usage.answer.saturating_add(usage.answer);
    }
}

fn note(tries: &mut BTreeMap<(Key, u32), Try>, line: Line) {
    match line.was {
        Try::Back => tries.remove(&(line.key, line.number)),
        was => tries.insert((line.key, line.number), was),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Try {
        Try::Text { text: text.into(), cut: false, usage: Usage { prompt: 3, answer: 2 } }
    }

    #[test]
    fn what_was_written_is_there_again_and_a_torn_end_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.journal.jsonl");
        let (one, two) = ("1".to_owned(), "2".to_owned());
        let journal = Journal::open(&path).unwrap();
        journal.add(&one, 0, Try::Sent).unwrap();
        let usage = Usage { prompt: u64::MAX - 4, answer: 9 };
        let useless = Try::Useless { kind: "no-text".into(), said: "{}".into(), last: false, usage };
        journal.add(&one, 0, useless).unwrap();
        journal.add(&one, 1, Try::Sent).unwrap();
        journal.add(&one, 1, text("red\n\"é\"")).unwrap();
        journal.add(&two, 0, Try::Sent).unwrap();
        journal.add(&two, 0, Try::Back).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        // Cut at every byte: what is whole counts, and the file goes on as if the rest had never been.
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let journal = Journal::open(&path).unwrap();
            let lines = whole[..end].iter().filter(|b| **b == b'\n').count();
            assert_eq!(journal.get(&one, 0).is_some(), lines >= 1, "{end}");
            assert_eq!(journal.get(&one, 1), [None, Some(Try::Sent), Some(text("red\n\"é\""))][lines.clamp(2, 4) - 2]);
            assert_eq!(journal.get(&two, 0), (lines == 5).then_some(Try::Sent));
            assert_eq!(journal.totals().answers, u64::from(lines >= 4));
            // What an answer without a text took counts too, and no number of a server's is too large.
            let took =
                [(0, 0), (u64::MAX - 4, 9), (u64::MAX - 1, 11)][usize::from(lines >= 2) + usize::from(lines >= 4)];
            let usage = journal.totals().usage;
            assert_eq!((usage.prompt, usage.answer), took, "{end}");
            assert_eq!(
                (journal.before(&one), journal.before(&two)),
                (lines.div_ceil(2).min(2) as u32, u32::from(lines == 5))
            );
            journal.add(&two, 7, text("x")).unwrap();
            assert_eq!(Journal::open(&path).unwrap().get(&two, 7), Some(text("x")), "{end}");
        }
        std::fs::write(&path, "{\"reference\": \"a\"}\n").unwrap();
        let problem = Journal::open(&path).err().unwrap().to_string();
        assert!(problem.contains("line 1") && problem.contains("no journal of this command"), "{problem}");
    }
}
