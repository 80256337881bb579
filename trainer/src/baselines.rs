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
    /// A dual encoder's weighted sum of the two embeddings.
    WeightedSum,
    /// A dual encoder's spherical interpolation between the two embeddings.
    Slerp,
    /// The reference image without a text, as [`crate::teacher`] sees it.
    TeacherImageOnly,
    /// The text without an image, as the teacher reads it.
    TeacherTextOnly,
    /// The mean of the teacher's two scores.
    TeacherAveraged,
}

impl Method {
    /// All of them, composed first.
    pub const ALL: [Self; 9] = [
        Self::Composed,
        Self::ImageOnly,
        Self::TextOnly,
        Self::Averaged,
        Self::WeightedSum,
        Self::Slerp,
        Self::TeacherImageOnly,
        Self::TeacherTextOnly,
        Self::TeacherAveraged,
    ];

    /// The row's name in a report.
    pub fn label(self) -> &'static str {
        match self {
            Self::Composed => "composed",
            Self::ImageOnly => "image only",
            Self::TextOnly => "text only",
            Self::Averaged => "averaged (image + text)",
            Self::WeightedSum => "weighted sum",
            Self::Slerp => "slerp",
            Self::TeacherImageOnly => "teacher: image only",
            Self::TeacherTextOnly => "teacher: text only",
            Self::TeacherAveraged => "teacher: averaged",
        }
    }
}

/// weight · image + (1 − weight) · text of embeddings `[P]`, both L2-normalised or zero. What is compared by it ranks alike
/// however long it is.
pub fn weighted_sum(image: &[f32], text: &[f32], weight: f64) -> Vec<f32> {
    mixed(image, text, weight, 1.0 - weight)
}

/// The point between embeddings `[P]`, both L2-normalised, at `weight` of the way from the text to the image along the great
/// circle, times the sine of their angle. As the model's own, computed by another formula.
pub fn slerp(image: &[f32], text: &[f32], weight: f64) -> Vec<f32> {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    let (cosine, sine) =
        (dot(image, text), (dot(image, image) * dot(text, text) - dot(image, text).powi(2)).max(0.0).sqrt());
    let angle = sine.atan2(cosine);
    match angle.sin() > 1e-6 {
        true => mixed(image, text, (weight * angle).sin(), ((1.0 - weight) * angle).sin()),
        false => weighted_sum(image, text, weight),
    }
}

fn mixed(image: &[f32], text: &[f32], of_image: f64, of_text: f64) -> Vec<f32> {
    let mix = |(image, text): (&f32, &f32)| (f64::from(*image) * of_image + f64::from(*text) * of_text) as f32;
    image.iter().zip(text).map(mix).collect()
}

/// Collects the scores of every method over the same queries.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    protocol: Protocol,
    sums: [Accumulator; Method::ALL.len()],
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
        self.sums[method as usize].add(scores, query)
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
