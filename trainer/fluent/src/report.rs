//! The statistics report and the audit of the parse.

use super::record::{Hair, decode, parse};
use super::world::World;
use super::write::Line;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
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
    /// Triplets between people.
    pub people: usize,
    /// Of these, one- and two-attribute ones.
    pub people_one_or_two: usize,
}

/// The audit of the parse.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Audit {
    /// Images whose code points say something to compare with.
    pub compared: usize,
    /// Of these, images where the label's parse says something else.
    pub wrong: Vec<String>,
    /// Size of the drawn sample.
    pub sample: usize,
    /// Wrong ones in the sample.
    pub sample_wrong: usize,
    /// Images with a skin tone in their name.
    pub toned: usize,
    /// Of these, images that show another tone than their name says (mended by the pixels).
    pub tone_mended: usize,
    /// Images that show another gender than their name says (mended).
    pub gender_mended: usize,
}

/// Everything that `prepare fluent` reports.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FluentReport {
    /// Image files read.
    pub files: usize,
    /// Files without an annotation, left out.
    pub unknown: Vec<String>,
    /// Look-alike classes: the gallery's size.
    pub classes: usize,
    /// Classes that training may see.
    pub train_classes: usize,
    /// Roles that only validation shows.
    pub roles_val: Vec<String>,
    /// Roles that only the test shows.
    pub roles_test: Vec<String>,
    /// The audit.
    pub audit: Audit,
    /// "train", "val", "test1".
    pub splits: BTreeMap<String, SplitReport>,
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
        targets += line.target_soft.len();
        for word in line.caption.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty()) {
            count += 1;
            words.insert(word.to_lowercase());
        }
        *out.groups.entry(line.group.clone()).or_default() += 1;
        *out.kinds.entry(line.kind.clone()).or_default() += 1;
        out.people += usize::from(line.people);
        out.people_one_or_two += usize::from(line.people && line.kind != "three");
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

/// Compares the parse of every label with an independent reading of the code points, and draws a sample of it.
pub fn audit(rng: &mut ChaCha8Rng, world: &World) -> Audit {
    let mut out = Audit::default();
    let mut compared = Vec::new();
    for item in &world.items {
        let Some(person) = parse(&item.raw.label, &item.raw.subgroup) else { continue };
        if person.tone.is_some() {
            out.toned += 1;
            let shown = item.person.as_ref().and_then(|p| p.tone);
            out.tone_mended += usize::from(shown != item.named_tone);
        }
        out.gender_mended += usize::from(item.person.as_ref().is_some_and(|p| p.gender != person.gender));
        let decoded = decode(&item.raw.key);
        let says = decoded.gender.is_some() || decoded.tone.is_some() || decoded.hair.is_some();
        if !says {
            continue;
        }
        let gender = decoded.gender.is_none_or(|g| g == person.gender) || person.hand;
        let hair = decoded.hair.map_or(person.hair == Hair::Plain, |h| h == person.hair);
        let right = gender && hair && decoded.tone == person.tone;
        if !right {
            out.wrong.push(item.raw.label.clone());
        }
        compared.push(right);
    }
    out.compared = compared.len();
    let sample = compared.into_iter().choose_multiple(rng, 200);
    out.sample = sample.len();
    out.sample_wrong = sample.into_iter().filter(|r| !r).count();
    out
}

impl FluentReport {
    /// The printed table.
    pub fn table(&self) -> String {
        let mut text = format!(
            "{} image files, {} without annotation, {} distinct images (look-alikes merged), {} of them in training\n\
             skin tones: {} of {} named tones differ from what the pixels show; mended. Genders mended: {}\n\
             parse audit against code points: {} of {} wrong; in a sample of {}: {}\n\
             roles held out: val {}; test {}\n",
            self.files,
            self.unknown.len(),
            self.classes,
            self.train_classes,
            self.audit.tone_mended,
            self.audit.toned,
            self.audit.gender_mended,
            self.audit.wrong.len(),
            self.audit.compared,
            self.audit.sample,
            self.audit.sample_wrong,
            self.roles_val.join(", "),
            self.roles_test.join(", "),
        );
        text.push_str("split   triplets  images  words  modifiers  mean chars  mean words  mean right targets\n");
        for (name, split) in &self.splits {
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
        for (name, split) in &self.splits {
            let list =
                |m: &BTreeMap<String, usize>| m.iter().map(|(k, v)| format!("{k} {v}")).collect::<Vec<_>>().join(", ");
            text.push_str(&format!(
                "{name}: people {} (one or two attributes {}); groups: {}; kinds: {}\n",
                split.people,
                split.people_one_or_two,
                list(&split.groups),
                list(&split.kinds)
            ));
        }
        text
    }
}
