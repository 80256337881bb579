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

/// The normalised sum of two vectors `[P]`, each normalised first so that neither outweighs the other.
pub fn averaged(image: &[f32], text: &[f32]) -> Vec<f32> {
    let (a, b) = (unit(image), unit(text));
    unit(&a.iter().zip(&b).map(|(x, y)| x + y).collect::<Vec<_>>())
}

/// One unit vector `[P]` for an image: the normalised mean of its target tokens `[N, P]`.
pub fn pooled(tokens: &[f32], width: usize) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for token in tokens.chunks_exact(width.max(1)) {
        for (s, x) in sum.iter_mut().zip(token) {
            *s += x;
        }
    }
    unit(&sum)
}

fn unit(v: &[f32]) -> Vec<f32> {
    let norm = v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(1e-12);
    v.iter().map(|x| (f64::from(*x) / norm) as f32).collect()
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
        Report { title: title.into(), without_target, sections }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averaging_weighs_both_sides_alike() {
        let got = averaged(&[10.0, 0.0], &[0.0, 0.1]);
        assert!((got[0] - got[1]).abs() < 1e-6 && (got[0] - 0.5f32.sqrt()).abs() < 1e-6, "{got:?}");
        assert_eq!(pooled(&[1.0, 0.0, 3.0, 0.0], 2), [1.0, 0.0]);
        assert!(averaged(&[0.0, 0.0], &[0.0, 0.0]).iter().all(|x| x.is_finite()));
    }
}
