//! Evaluation by the data set's own protocol, of a checkpoint or of a bundle through the engine that visitors use.

use crate::baselines::{self, Comparison, Method};
use crate::data::table::{Table, Triplet};
use crate::embed;
use crate::error::{Result, TrainerError};
use crate::features::ImageTokens;
use crate::metrics::{Query, rank};
use crate::report::Report;
use burn::tensor::{Device, Tensor, TensorData};
use pollster::block_on;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use thisbut_model::Retrieval;
use thisbut_model::gallery::Gallery;
use thisbut_model::text::Tokens;

/// Queries embedded together.
const BATCH: usize = 64;
/// The image's weight in a dual encoder's baselines where nobody chose one.
pub const HALF: f64 = 0.5;

/// A model and what it needs to answer.
pub struct Subject<'a> {
    /// What errors name: the checkpoint and its step, or the bundle.
    pub name: String,
    /// The model.
    pub retrieval: &'a Retrieval,
    /// Image tokens `[images, T, C]` of some of the table's images, by index.
    pub tokens: &'a dyn Fn(&[u32]) -> Result<Tensor<3>>,
}

/// What queries are scored against.
pub enum Scorer {
    /// f32 target tokens `[M · N · P]`, N and P: training's own precision.
    Exact(Vec<f32>, usize, usize),
    /// int8 tokens by the browser's scan, one image after the other.
    Codes(Gallery),
    /// A bundle's own gallery by the browser's scan, and the number in it of each image of the table's gallery.
    Shipped(Gallery, Vec<u32>),
}

impl Scorer {
    /// Scores of query rows `[R, P]` over the table's gallery: the mean over the rows.
    fn scores(&self, query: &[f32]) -> Result<Vec<f32>> {
        match self {
            Self::Codes(gallery) => Ok(gallery.scores(query)?),
            Self::Shipped(gallery, numbers) => {
                let scores = gallery.scores(query)?;
                let lacking = |number: &u32| {
                    TrainerError::data("the bundle's gallery", format!("has no image {number}"), "export it again")
                };
                numbers.iter().map(|n| scores.get(*n as usize).copied().ok_or_else(|| lacking(n))).collect()
            }
            Self::Exact(tokens, n, p) => {
                let rows = query.len() / p;
                let row = |row: &[f32], image: &[f32]| {
                    let dot = |token: &[f32]| token.iter().zip(row).map(|(a, b)| a * b).sum::<f32>();
                    image.chunks_exact(*p).map(dot).fold(f32::NEG_INFINITY, f32::max)
                };
                let score = |image: &[f32]| query.chunks_exact(*p).map(|q| row(q, image) / rows as f32).sum();
                Ok(tokens.chunks_exact(n * p).map(score).collect())
            }
        }
    }
}

/// A checkpoint's subject reads tokens from the feature cache.
pub fn cached_tokens<'a>(
    features: &'a dyn ImageTokens,
    rows: &'a [usize],
    device: &'a Device,
) -> impl Fn(&[u32]) -> Result<Tensor<3>> {
    move |images: &[u32]| {
        let chosen: Vec<usize> = images.iter().map(|image| rows[*image as usize]).collect();
        features.tokens(&chosen, device)
    }
}

/// Target tokens `[M · N · P]` of the gallery, whose images are `images` of `table`.
///
/// # Errors
/// When the device does not give them back, and when one is not finite.
pub fn target_tokens(subject: &Subject, table: &Table, progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<f32>> {
    let mut out = Vec::new();
    for (done, chunk) in table.gallery.chunks(BATCH).enumerate() {
        let encoded = subject.retrieval.encoded((subject.tokens)(chunk)?);
        let rows = block_on(subject.retrieval.target_rows(&encoded))?;
        let row = |i: usize| format!("the target of image '{}'", chunk.get(i).map_or("", |at| table.image_name(*at)));
        embed::check_finite(&rows, rows.len() / chunk.len(), &subject.name, row)?;
        out.extend(rows);
        progress((done + 1) * BATCH, table.gallery.len());
    }
    Ok(out)
}

/// How many of a query's top images [`Answer`] names, and how many it keeps for submissions.
const TOP: usize = 10;
const KEPT: usize = 50;

/// One composed query's outcome, for per-query files.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Answer {
    /// The triplet's id in its file.
    pub id: u64,
    /// Reference image.
    pub reference: String,
    /// Modifier.
    pub text: String,
    /// The targets that count as right.
    pub targets: Vec<String>,
    /// Group that it is reported under.
    pub group: Option<String>,
    /// Kind of change, where the data set names one.
    pub kind: Option<String>,
    /// Zero-based rank of the best right target; `None` when the gallery has none.
    pub rank: Option<usize>,
    /// The best images and their scores, without the reference where the protocol removes it.
    pub top: Vec<(String, f32)>,
    /// The best images for the reference without the text.
    #[serde(default)]
    pub top_by_image: Vec<String>,
    /// The best images for the text without the reference.
    #[serde(default)]
    pub top_by_text: Vec<String>,
    /// The 50 best images, as indices into the table; not in per-query files.
    #[serde(skip)]
    pub ranking: Vec<u32>,
    /// The best members of the query's subset, likewise.
    #[serde(skip)]
    pub subset: Vec<u32>,
    /// The ten best images for the reference without the text, likewise.
    #[serde(skip)]
    pub by_image: Vec<u32>,
    /// The ten best images for the text without the reference, likewise.
    #[serde(skip)]
    pub by_text: Vec<u32>,
}

impl Answer {
    fn new(table: &Table, triplet: &Triplet, scores: &[f32], query: &Query, rank: Option<usize>) -> Self {
        let name = |image: u32| table.image_name(image).to_owned();
        let images = |positions: Vec<u32>| images(table, positions);
        let best = rank::best(scores, query, KEPT);
        let score = |at: &u32| scores[*at as usize];
        let top: Vec<f32> = best.iter().take(TOP).map(score).collect();
        let ranking = images(best);
        Self {
            id: triplet.id,
            reference: name(triplet.reference),
            text: triplet.text.clone(),
            targets: table.right(triplet).iter().map(|t| name(*t)).collect(),
            group: triplet.group.clone(),
            kind: triplet.kind.clone(),
            rank,
            top: ranking.iter().map(|image| name(*image)).zip(top).collect(),
            ranking,
            subset: images(rank::best_of_subset(scores, query, KEPT)),
            ..Self::default()
        }
    }
}

/// Gallery positions as indices into the table.
fn images(table: &Table, positions: Vec<u32>) -> Vec<u32> {
    positions.iter().map(|at| table.gallery[*at as usize]).collect()
}

/// The composed query of every triplet beside image only, text only and both together: their average, or for a dual encoder,
/// whose embeddings of images and texts lie in one space, the compositions that need no training.
///
/// Image only: the mean, over the reference's own target tokens, of their scores. Averaged: the mean of the image's and the
/// text's scores. Weighted sum and spherical interpolation: `weight` is the image's; half of each is as averaged. The ranking
/// follows the table's protocol.
///
/// # Errors
/// When an image or the device fails, and when a query or a target is not finite.
pub fn evaluate(
    subject: &Subject,
    table: &Table,
    scorer: &Scorer,
    (title, weight): (&str, f64),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Report, Vec<Answer>)> {
    let positions = table.gallery_positions();
    let dual = subject.retrieval.config().method.family().is_dual_encoder();
    let mut comparison = Comparison::with(table.protocol);
    let mut answers = Vec::with_capacity(table.triplets.len());
    // The same reference serves many queries; its own scores are computed once.
    let mut image_scores: HashMap<u32, Vec<f32>> = HashMap::new();
    for (done, batch) in table.triplets.chunks(BATCH).enumerate() {
        let asked = Asked::new(subject, batch)?;
        for (i, triplet) in batch.iter().enumerate() {
            let query = table.query(&positions, triplet);
            let scores = scorer.scores(&asked.composed[i])?;
            let by_text = scorer.scores(&asked.by_text[i])?;
            let by_image = match image_scores.entry(triplet.reference) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(scorer.scores(&asked.by_image[i])?),
            };
            let rank = comparison.add(Method::Composed, &scores, &query)?;
            comparison.add(Method::ImageOnly, by_image, &query)?;
            comparison.add(Method::TextOnly, &by_text, &query)?;
            if dual {
                let (image, text) = (&asked.by_image[i], &asked.by_text[i]);
                let sum = scorer.scores(&baselines::weighted_sum(image, text, weight))?;
                comparison.add(Method::WeightedSum, &sum, &query)?;
                let slerp = scorer.scores(&baselines::slerp(image, text, weight))?;
                comparison.add(Method::Slerp, &slerp, &query)?;
            } else {
                let both: Vec<f32> = by_image.iter().zip(&by_text).map(|(a, b)| 0.5 * (a + b)).collect();
                comparison.add(Method::Averaged, &both, &query)?;
            }
            let by_image = images(table, rank::best(by_image, &query, TOP));
            let by_text = images(table, rank::best(&by_text, &query, TOP));
            let names = |of: &[u32]| of.iter().map(|image| table.image_name(*image).to_owned()).collect();
            answers.push(Answer {
                top_by_image: names(&by_image),
                top_by_text: names(&by_text),
                by_image,
                by_text,
                ..Answer::new(table, triplet, &scores, &query, rank)
            });
        }
        progress((done + 1) * BATCH, table.triplets.len());
    }
    let mut report = comparison.report(title);
    report.mark_incomplete(table);
    Ok((report, answers))
}

/// The query rows of a batch, made as the engine makes them.
struct Asked {
    composed: Vec<Vec<f32>>,
    by_image: Vec<Vec<f32>>,
    by_text: Vec<Vec<f32>>,
}

impl Asked {
    fn new(subject: &Subject, batch: &[Triplet]) -> Result<Self> {
        let retrieval = subject.retrieval;
        let references: Vec<u32> = batch.iter().map(|triplet| triplet.reference).collect();
        let images = retrieval.encoded((subject.tokens)(&references)?);
        let texts: Vec<Tokens> = batch.iter().map(|triplet| retrieval.texts().tokens(&triplet.text)).collect();
        let texts: Vec<&Tokens> = texts.iter().collect();
        let silence = retrieval.texts().tokens("");
        let by_image = block_on(retrieval.query_rows(Some(&images), &vec![&silence; batch.len()]))?;
        let composed = block_on(retrieval.query_rows(Some(&images), &texts))?;
        // A text without words asks for nothing alone: every image has the score 0.
        let by_text = match texts.iter().any(|tokens| tokens.is_empty()) {
            true => texts.iter().map(|tokens| text_row(retrieval, tokens)).collect::<Result<_>>()?,
            false => block_on(retrieval.query_rows(None, &texts))?,
        };
        for (kind, rows) in [("query", &composed), ("reference alone", &by_image), ("text alone", &by_text)] {
            for (row, triplet) in rows.iter().zip(batch) {
                let named = |_| format!("the {kind} of triplet {} ('{}')", triplet.id, triplet.text);
                embed::check_finite(row, row.len(), &subject.name, named)?;
            }
        }
        Ok(Self { composed, by_image, by_text })
    }
}

/// The row of a text alone, zeros for one without words.
fn text_row(retrieval: &Retrieval, tokens: &Tokens) -> Result<Vec<f32>> {
    if tokens.is_empty() {
        return Ok(vec![0.0; retrieval.config().projection]);
    }
    Ok(block_on(retrieval.query_rows(None, &[tokens]))?.swap_remove(0))
}

/// Tokens of preprocessed pictures kept in memory, for bundles whose quantized encoder has no cache.
pub struct Encoded {
    tokens: Vec<f32>,
    shape: [usize; 2],
    /// Where an image of the table has its tokens.
    places: BTreeMap<u32, usize>,
}

impl Encoded {
    /// Encodes the pictures that the queries of `table` start from, and with `gallery` those that it ranks, with the model's
    /// own encoder.
    ///
    /// # Errors
    /// When an image cannot be used or the device fails.
    pub fn new(
        retrieval: &Retrieval,
        table: &Table,
        gallery: bool,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let config = retrieval.config();
        let ranked = if gallery { &table.gallery[..] } else { &[] };
        let references = table.triplets.iter().map(|triplet| triplet.reference);
        let needed: BTreeSet<u32> = references.chain(ranked.iter().copied()).collect();
        let needed: Vec<u32> = needed.into_iter().collect();
        let mut tokens = Vec::with_capacity(needed.len() * config.image_tokens() * config.image_width());
        for (done, images) in needed.chunks(8).enumerate() {
            let mut pixels = Vec::new();
            for image in images {
                pixels.extend(crate::features::prepare(&table.images[*image as usize].path, &config.preprocess)?);
            }
            tokens.extend(crate::features::encode(
                retrieval.encoder()?,
                pixels,
                images.len(),
                config,
                retrieval.device(),
            )?);
            progress(done * 8 + images.len(), needed.len());
        }
        let places = needed.into_iter().zip(0..).collect();
        Ok(Self { tokens, shape: [config.image_tokens(), config.image_width()], places })
    }

    /// Tokens of some images.
    ///
    /// # Panics
    /// When one of them was not encoded.
    pub fn tokens(&self, images: &[u32], device: &Device) -> Tensor<3> {
        let [t, c] = self.shape;
        let values: Vec<f32> = images
            .iter()
            .map(|image| self.places[image])
            .flat_map(|at| &self.tokens[at * t * c..(at + 1) * t * c])
            .copied()
            .collect();
        Tensor::from_data(TensorData::new(values, [images.len(), t, c]), device)
    }
}
