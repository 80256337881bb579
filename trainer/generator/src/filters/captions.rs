//! SynCir's rules in language space: the captions differ, and reference and text together say what the target's caption says.

use super::judged::Judge;
use serde::{Deserialize, Serialize};
use thisbut_trainer::data::synthetic::Text;
use thisbut_trainer::error::Result;
use thisbut_trainer::sentences::{Sentences, sum_similarity};

/// The rule's name: both captions say the same.
pub const EQUAL: &str = "equal-captions";
/// The rule's name: sim(sem(reference caption) + sem(text), sem(target caption)) is below the threshold.
pub const SIMILARITY: &str = "similarity";

/// The thresholds that a report says the share of, in hundredths.
const AT: [u32; 11] = [50, 55, 60, 65, 70, 75, 80, 85, 90, 95, 99];

/// The rules with their sentence encoder.
pub struct CaptionRules {
    sentences: Sentences,
    /// The lowest similarity that stays (SynCir: 0.7).
    threshold: f32,
    kept_at: [usize; AT.len()],
}

/// How many triplets stay at a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAt {
    /// The threshold.
    pub similarity: f32,
    /// Triplets that would stay, equal captions left out.
    pub kept: usize,
}

/// What a report says of the rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The lowest similarity that stayed.
    pub threshold: f32,
    /// SHA-256 of the sentence encoder's weights.
    pub encoder: String,
    /// Triplets that would stay at other thresholds: what to choose it from.
    pub kept_at: Vec<KeptAt>,
}

/// What the rules look at: reference caption, text, target caption.
pub type Captioned<'a> = [&'a str; 3];

/// A row's captions.
///
/// # Errors
/// A sentence, when it lacks one.
pub fn captions(text: &Text) -> Result<(&str, &str), String> {
    let has = |caption: &'_ Option<String>| caption.as_deref().is_some_and(|caption| !caption.trim().is_empty());
    match (&text.reference_caption, &text.target_caption) {
        (Some(from), Some(to)) if has(&text.reference_caption) && has(&text.target_caption) => {
            Ok((from.as_str(), to.as_str()))
        }
        (from, _) => {
            let name = if has(from) { "target_caption" } else { "reference_caption" };
            Err(format!("there is no {name}, which the rules of captions need"))
        }
    }
}

impl CaptionRules {
    /// The rules with a threshold.
    pub fn new(sentences: Sentences, threshold: f32) -> Self {
        Self { sentences, threshold, kept_at: [0; AT.len()] }
    }

    /// What a report says.
    pub fn about(&self) -> About {
        let kept_at = AT.into_iter().zip(self.kept_at).map(|(at, kept)| KeptAt { similarity: at as f32 / 100.0, kept });
        About { threshold: self.threshold, encoder: self.sentences.fingerprint.clone(), kept_at: kept_at.collect() }
    }

    /// Who judges similarities.
    pub fn judge(&self) -> Judge {
        Judge::new(&format!("{SIMILARITY} {} {}", self.sentences.fingerprint, self.sentences.vocabulary))
    }

    /// The similarity of each row: cos(sem(reference caption) + sem(text), sem(target caption)).
    ///
    /// # Errors
    /// When the device does not give its values back.
    pub fn similarities(&mut self, rows: &[Captioned]) -> Result<Vec<f32>> {
        let vectors = self.sentences.encode(&rows.concat())?;
        let similarity = |vectors: &[Vec<f32>]| match vectors {
            [reference, text, target] => sum_similarity(reference, text, target),
            _ => unreachable!("three vectors a row"),
        };
        Ok(vectors.chunks(3).map(similarity).collect())
    }

    /// The rule that leaves a row out, by its similarity; none is given where the captions are equal. Counts it.
    pub fn rule(&mut self, similarity: Option<f32>) -> Option<&'static str> {
        let Some(similarity) = similarity else { return Some(EQUAL) };
        for (kept, _) in self.kept_at.iter_mut().zip(AT).filter(|(_, at)| similarity >= *at as f32 / 100.0) {
            *kept += 1;
        }
        (similarity < self.threshold).then_some(SIMILARITY)
    }
}
