//! What a page shows before any other file of a bundle is there: pictures to start from, and searches with their answers.

use serde::{Deserialize, Serialize};

use super::files::manifest_error;
use crate::error::Result;
use crate::gallery::{Extra, MAX_CHANGES, is_change, is_thumb};

/// Most pictures to start from.
const MAX_PICTURES: usize = 96;

/// Most searches, and most answers of one.
const MAX_EXAMPLES: usize = 24;
const MAX_HITS: usize = 96;

/// Most bytes of a title.
const MAX_TITLE: usize = 1000;

/// Pictures and searches that need no model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The first pictures of the gallery in its order of variety ([`crate::gallery::varied`]).
    pub pictures: Vec<Shown>,
    /// Searches that the model answers right, best first.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// An image of the gallery, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its number.
    pub index: u32,
    /// Its name ([`crate::gallery::ImageMeta::name`]); empty in bundles from before it was kept here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// A line for people.
    pub title: String,
    /// File name of its thumbnail.
    pub thumb: String,
    /// Modification texts to offer with it, as in its metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
    /// Where it leads ([`crate::gallery::ImageMeta::url`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What the site owner's table says of it, as in its metadata.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub extra: Extra,
}

/// A search with its answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// The reference image.
    pub from: Shown,
    /// The modification text.
    pub text: String,
    /// The best images, best first; the first is the right one.
    pub hits: Vec<Match>,
}

/// An image that answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Match {
    /// The image.
    #[serde(flatten)]
    pub image: Shown,
    /// Its score, as the exporting engine gave it.
    pub score: f32,
}

impl Opening {
    pub(super) fn check(&self, images: u32) -> Result<()> {
        let refuse = |field: &str, problem: &str| Err(manifest_error(&format!("opening.{field}"), problem));
        if self.pictures.len() > MAX_PICTURES || self.examples.len() > MAX_EXAMPLES {
            return refuse("pictures, opening.examples", &format!("more than {MAX_PICTURES} or {MAX_EXAMPLES}"));
        }
        for (at, example) in self.examples.iter().enumerate() {
            let field = format!("examples[{at}]");
            if !is_change(&example.text) {
                return refuse(&field, "its text is empty or too long");
            }
            if !(1..=MAX_HITS).contains(&example.hits.len()) {
                return refuse(&field, &format!("it has {} answers, not 1 to {MAX_HITS}", example.hits.len()));
            }
            if example.hits.iter().any(|hit| !hit.score.is_finite()) {
                return refuse(&field, "a score is no number");
            }
        }
        let of_examples = self
            .examples
            .iter()
            .flat_map(|example| [&example.from].into_iter().chain(example.hits.iter().map(|hit| &hit.image)));
        for shown in self.pictures.iter().chain(of_examples) {
            if shown.changes.len() > MAX_CHANGES || !shown.changes.iter().all(|text| is_change(text)) {
                return refuse("pictures, opening.examples", "changes are too many, empty or too long");
            }
            if shown.index >= images || shown.title.len() > MAX_TITLE || !is_thumb(&shown.thumb) {
                return refuse(
                    "pictures, opening.examples",
                    &format!("image {} is none of the gallery's", shown.index),
                );
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    type Change = fn(&mut Opening);

    fn shown(index: u32) -> Shown {
        Shown {
            index,
            id: format!("{index}.png"),
            url: (index == 1).then(|| "https://x/1".into()),
            title: format!("image {index}"),
            thumb: format!("t.{index}.webp"),
            changes: vec!["in red".into()],
            extra: Extra::default(),
        }
    }

    fn opening() -> Opening {
        let hits = vec![Match { image: shown(1), score: 0.5 }];
        Opening { pictures: vec![shown(0)], examples: vec![Example { from: shown(2), text: "in red".into(), hits }] }
    }

    #[test]
    fn what_it_shows_is_the_gallerys() {
        opening().check(3).unwrap();
        Opening::default().check(0).unwrap();
        let json = serde_json::to_string(&opening()).unwrap();
        assert_eq!(serde_json::from_str::<Opening>(&json).unwrap(), opening());
        let wrong: [(&str, Change); 7] = [
            ("image 2", |o| o.examples[0].hits[0].image.index = 2),
            ("image 0", |o| o.pictures[0].thumb = "../x".into()),
            ("image 0", |o| o.pictures[0].title = "x".repeat(MAX_TITLE + 1)),
            ("text", |o| o.examples[0].text.clear()),
            ("0 answers", |o| o.examples[0].hits.clear()),
            ("score", |o| o.examples[0].hits[0].score = f32::NAN),
            ("more than", |o| o.pictures = vec![shown(0); MAX_PICTURES + 1]),
        ];
        for (problem, spoil) in wrong {
            let mut opening = opening();
            opening.examples[0].from.index = 0;
            spoil(&mut opening);
            let text = opening.check(2).unwrap_err().to_string();
            assert!(text.contains("opening") && text.contains(problem), "{text}");
        }
    }
}
