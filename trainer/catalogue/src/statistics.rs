//! The statistics that every builder prints of its caption files.

use crate::layout::Line;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// One row of the statistics, as in the MTST paper's Table I.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// Number of triplets.
    pub triplets: usize,
    /// Distinct images used as reference or target.
    pub unique_images: usize,
    /// Distinct words of the modifiers, lower case.
    pub unique_words: usize,
    /// Mean modifier length in characters.
    pub mean_characters: f64,
    /// Mean modifier length in words.
    pub mean_words: f64,
    /// Distinct modifiers.
    pub unique_modifiers: usize,
    /// Mean number of right targets.
    pub mean_targets: f64,
}

/// Statistics of one caption file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SplitReport {
    /// The whole file.
    pub all: Row,
    /// By group.
    pub groups: BTreeMap<String, usize>,
    /// By kind of change.
    pub kinds: BTreeMap<String, usize>,
    /// Triplets between people, where a collection tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people: Option<usize>,
    /// Of these, one- and two-attribute ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub people_one_or_two: Option<usize>,
}

/// Statistics of lines.
pub fn split(lines: &[(Line, String)]) -> SplitReport {
    let mut out = SplitReport::default();
    let (mut images, mut words, mut texts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut characters, mut count, mut targets) = (0, 0, 0);
    for (line, _) in lines {
        images.extend([line.reference.as_str(), line.target_hard.as_str()]);
        characters += line.caption.chars().count();
        texts.insert(line.caption.as_str());
        targets += line.right;
        for word in line.caption.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()) {
            count += 1;
            words.insert(word.to_lowercase());
        }
        *out.groups.entry(line.group.clone()).or_default() += 1;
        *out.kinds.entry(line.kind.clone()).or_default() += 1;
    }
    if lines.iter().any(|(line, _)| line.people.is_some()) {
        let people = || lines.iter().filter(|(line, _)| line.people == Some(true));
        out.people = Some(people().count());
        out.people_one_or_two = Some(people().filter(|(line, _)| line.kind != "three").count());
    }
    let n = lines.len().max(1) as f64;
    out.all = Row {
        triplets: lines.len(),
        unique_images: images.len(),
        unique_words: words.len(),
        mean_characters: characters as f64 / n,
        mean_words: count as f64 / n,
        unique_modifiers: texts.len(),
        mean_targets: targets as f64 / n,
    };
    out
}

/// The statistics of all splits, for people.
pub fn table(splits: &BTreeMap<String, SplitReport>) -> String {
    let mut text = String::new();
    text.push_str("split   triplets  images  words  modifiers  mean chars  mean words  mean right targets\n");
    for (name, split) in splits {
        let r = &split.all;
        text.push_str(&format!(
            "{name:<7} {:>8}  {:>6}  {:>5}  {:>9}  {:>10.1}  {:>10.2}  {:>18.2}\n",
            r.triplets,
            r.unique_images,
            r.unique_words,
            r.unique_modifiers,
            r.mean_characters,
            r.mean_words,
            r.mean_targets
        ));
    }
    for (name, split) in splits {
        let list =
            |m: &BTreeMap<String, usize>| m.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
        let people = split.people.zip(split.people_one_or_two);
        let people = people.map(|(all, few)| format!("people {all} (one or two attributes {few}); "));
        text.push_str(&format!(
            "{name}: {}groups: {}; kinds: {}\n",
            people.unwrap_or_default(),
            list(&split.groups),
            list(&split.kinds)
        ));
    }
    text
}
