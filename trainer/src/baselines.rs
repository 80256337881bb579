//! The queries that a composed query must beat: the image alone, the text alone, and the average of both.
//! Many queries are solvable from one side, so every report stands these beside the composed one.

use crate::error::Result;
use crate::metrics::{Accumulator, Protocol, Query};
use crate::report::{Report, Row, Section};

/// How a query vector is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The model: reference image and text together.
    Composed,
    /// The reference image without a text.
    ImageOnly,
    /// The text without an image.
    TextOnly,
    /// Both baselines together: [`crate::evaluate`] takes the mean of their scores.
    Averaged,
}

impl Method {
    /// All of them, composed first.
    pub const ALL: [Self; 4] = [Self::Composed, Self::ImageOnly, Self::TextOnly, Self::Averaged];

    /// The row's name in a report.
    pub fn label(self) -> &'static str {
        match self {
            Self::Composed => "composed",
            Self::ImageOnly => "image only",
            Self::TextOnly => "text only",
            Self::Averaged => "averaged (image + text)",
        }
    }
}

/// Collects the scores of every method over the same queries.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    protocol: Protocol,
    sums: [Accumulator; 4],
}

impl Comparison {
    /// Nothing collected yet, by CIRR's protocol.
    pub fn new() -> Self {
        Self::default()
    }

    /// Nothing collected yet.
    pub fn with(protocol: Protocol) -> Self {
        Self { protocol, sums: std::array::from_fn(|_| Accumulator::with(protocol)) }
    }

    /// Adds one method's scores over the gallery for one query; returns the rank of its best right target.
    pub fn add(&mut self, method: Method, scores: &[f32], query: &Query) -> Result<Option<usize>> {
        let [composed, image, text, averaged] = &mut self.sums;
        match method {
            Method::Composed => composed,
            Method::ImageOnly => image,
            Method::TextOnly => text,
            Method::Averaged => averaged,
        }
        .add(scores, query)
    }

    /// The report over everything collected; methods without a query are left out.
    pub fn report(&self, title: impl Into<String>) -> Report {
        let methods = || Method::ALL.into_iter().zip(&self.sums);
        let mut sections: Vec<Section> = Vec::new();
        let mut push = |name: &str, method, recall| {
            let row = Row { method, recall };
            match sections.iter_mut().find(|s| s.name == name) {
                Some(section) => section.rows.push(row),
                None => sections.push(Section { name: name.to_owned(), rows: vec![row] }),
            }
        };
        let total = if self.protocol.averages_groups() { "mean of groups" } else { "all" };
        for (method, sums) in methods() {
            if let Some(recall) = sums.overall() {
                push(total, method, recall);
            }
        }
        for (method, sums) in methods() {
            for (name, recall) in sums.groups() {
                push(&name, method, recall);
            }
        }
        let without_target = self.sums.iter().map(Accumulator::without_target).max().unwrap_or(0);
        Report { title: title.into(), without_target, incomplete: None, about: None, sections }
    }
}
