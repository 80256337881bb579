//! What the rules have found of triplets, in a file that only grows: a run that was killed judges nothing twice, and neither
//! does a run with other thresholds.
//!
//! A line has what was measured (a similarity, ranks), not whether it was enough. Its key changes with the texts and images
//! and with the model that judged, so what another model found stands beside it and is not mistaken for this one's.

use crate::growing::Growing;
use crate::round_trip::Ranks;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use thisbut_trainer::error::Result;
use thisbut_trainer::fsx;

/// Hexadecimal digits of a judge's name.
const NAME: usize = 16;
/// Hexadecimal digits of a key.
const KEY: usize = 32;

/// Who judges: a name that changes with everything that is found depends on, besides the triplet itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judge(String);

impl Judge {
    /// The judge that `about` describes in full.
    pub fn new(about: &str) -> Self {
        Self(fsx::sha256_hex(about.as_bytes()).chars().take(NAME).collect())
    }
}

/// What was found of a triplet.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Found {
    /// The cosine of SynCir's rule.
    Similarity(f32),
    /// Where a retrieval model ranks what it should find.
    Ranks(Ranks),
}

#[derive(Serialize, Deserialize)]
struct Line {
    judge: String,
    key: String,
    found: Found,
}

/// What tells a judge's triplets apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(u128);

impl Key {
    /// Of what the judge looks at.
    pub fn new(judge: &Judge, seen: &[&str]) -> Self {
        let parts = [judge.0.as_str()].into_iter().chain(seen.iter().copied());
        let about: String = parts.map(|part| format!("{} {part}\n", part.len())).collect();
        let digest = fsx::sha256_hex(about.as_bytes());
        let key = digest.get(..KEY).and_then(Self::read);
        key.unwrap_or_else(|| unreachable!("a SHA-256 is 64 hexadecimal digits"))
    }

    fn read(digits: &str) -> Option<Self> {
        u128::from_str_radix(digits, 16).ok().filter(|_| digits.len() == KEY).map(Self)
    }
}

/// The open file, and what it knew.
pub struct Judged {
    file: Growing,
    found: HashMap<Key, Found>,
    /// Lines by judge, of earlier runs.
    earlier: BTreeMap<String, usize>,
}

impl Judged {
    /// Opens the file at `path`, or begins one.
    ///
    /// # Errors
    /// When the file cannot be read or written, or a line of it is none of such a file.
    pub fn open(path: &Path) -> Result<Self> {
        let (mut found, mut earlier) = (HashMap::new(), BTreeMap::new());
        let file = Growing::open(path, &mut |bytes| {
            let line: Line = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
            let key = Key::read(&line.key).ok_or_else(|| format!("'{}' is no key", line.key))?;
            found.insert(key, line.found);
            *earlier.entry(line.judge).or_default() += 1;
            Ok(())
        })?;
        Ok(Self { file, found, earlier })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// What earlier runs found: by these judges, and by others.
    pub fn earlier(&self, judges: &[Judge]) -> (usize, usize) {
        let own: usize = judges.iter().filter_map(|judge| self.earlier.get(&judge.0)).sum();
        (own, self.earlier.values().sum::<usize>() - own)
    }

    /// What the judge finds of each item: in the file, or by `measure`, which gets the items that are not there, each once. What
    /// it found is on the disk before this returns.
    ///
    /// # Errors
    /// Those of `measure`, and when the file cannot be written.
    pub fn of<T: Copy>(
        &mut self,
        judge: &Judge,
        asked: &[(Key, T)],
        measure: &mut dyn FnMut(&[T]) -> Result<Vec<Found>>,
    ) -> Result<Vec<Found>> {
        let mut new = HashSet::new();
        let missing = asked.iter().filter(|(key, _)| !self.found.contains_key(key) && new.insert(*key));
        let (keys, items): (Vec<Key>, Vec<T>) = missing.copied().unzip();
        if !items.is_empty() {
            let found = measure(&items)?;
            self.add(judge, &keys.into_iter().zip(found).collect::<Vec<_>>())?;
        }
        let found = |(key, _): &(Key, T)| match self.found.get(key) {
            Some(found) => *found,
            None => unreachable!("what was missing was measured"),
        };
        Ok(asked.iter().map(found).collect())
    }

    fn add(&mut self, judge: &Judge, found: &[(Key, Found)]) -> Result<()> {
        let mut lines = Vec::new();
        for (Key(key), found) in found {
            let line = Line { judge: judge.0.clone(), key: format!("{key:032x}"), found: *found };
            serde_json::to_writer(&mut lines, &line).map_err(|e| self.file.failed(e.into()))?;
            lines.push(b'\n');
        }
        self.file.add(&lines, true)?;
        self.found.extend(found.iter().copied());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_there_again_for_the_same_judge_and_texts_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.journal.jsonl");
        let (one, other) = (Judge::new("weights 1"), Judge::new("weights 2"));
        let key = Key::new(&one, &["a", "bc"]);
        assert!(key != Key::new(&one, &["ab", "c"]) && key != Key::new(&other, &["a", "bc"]));
        let ranks = Found::Ranks(Ranks { forward: 3, back: Some(7) });
        // A number that its decimal digits must bring back exactly.
        let similarity = Found::Similarity(0.1 + 0.2);
        let mut judged = Judged::open(&path).unwrap();
        judged.add(&one, &[(key, similarity), (Key::new(&one, &["x"]), ranks)]).unwrap();
        judged
            .add(&other, &[(Key::new(&other, &["a", "bc"]), Found::Ranks(Ranks { forward: 1, back: None }))])
            .unwrap();
        let whole = std::fs::read(&path).unwrap();
        for end in 0..=whole.len() {
            std::fs::write(&path, &whole[..end]).unwrap();
            let lines = whole[..end].iter().filter(|byte| **byte == b'\n').count();
            let judged = Judged::open(&path).unwrap();
            assert_eq!(judged.found.get(&key), (lines > 0).then_some(&similarity), "{end}");
            assert_eq!(judged.found.get(&Key::new(&one, &["x"])), (lines > 1).then_some(&ranks), "{end}");
            assert_eq!(judged.earlier(std::slice::from_ref(&one)), (lines.min(2), lines.saturating_sub(2)), "{end}");
        }
        // What is known is not measured again, and what is asked twice is measured once.
        let mut judged = Judged::open(&path).unwrap();
        let asked = [(key, 1), (Key::new(&one, &["new"]), 2), (Key::new(&one, &["new"]), 2)];
        for left in [vec![2], Vec::new()] {
            let mut measured = Vec::new();
            let found = judged.of(&one, &asked, &mut |items| {
                measured.extend_from_slice(items);
                Ok(vec![ranks; items.len()])
            });
            assert_eq!((found.unwrap(), measured), (vec![similarity, ranks, ranks], left));
        }
        for line in ["{\"reference\": \"a\"}", "{\"judge\": \"a\", \"key\": \"1\", \"found\": {\"similarity\": 1}}"] {
            std::fs::write(&path, format!("{line}\n")).unwrap();
            let problem = Judged::open(&path).err().unwrap().to_string();
            assert!(problem.contains("line 1") && problem.contains("no journal of this command"), "{problem}");
        }
    }
}
