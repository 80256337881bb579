//! The statistics report and the audit of the parse.

use super::record::{Hair, decode, parse};
use super::world::World;
use rand::seq::IteratorRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use thisbut_catalogue::statistics::{self, SplitReport};

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
        text.push_str(&statistics::table(&self.splits));
        text
    }
}
