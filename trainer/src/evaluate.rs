//! Evaluation by the data set's own protocol, of a checkpoint or of a bundle through the engine that visitors use.

use crate::baselines::{Comparison, Method};
use crate::data::table::{Table, Triplet};
use crate::embed::{self, Tokenized};
use crate::error::Result;
use crate::features::ImageTokens;
use crate::metrics::{Query, rank};
use crate::report::Report;
use burn::tensor::{Device, Tensor, TensorData};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use thisbut_model::CirConfig;
use thisbut_model::cir::Cir;
use thisbut_model::gallery::Gallery;
use thisbut_model::nn::{ImageKeys, Noise};
use thisbut_model::text::WordPiece;

/// Queries embedded together.
const BATCH: usize = 64;

/// A model and what it needs to answer.
pub struct Subject<'a> {
    /// The trained part.
    pub model: &'a Cir,
    /// Its architecture.
    pub config: &'a CirConfig,
    /// The tokenizer.
    pub words: &'a WordPiece,
    /// Where it computes.
    pub device: &'a Device,
    /// Image tokens `[images, T, C]` of some of the table's images, by index.
    pub tokens: &'a dyn Fn(&[u32]) -> Result<Tensor<3>>,
}

/// What queries are scored against.
pub enum Scorer {
    /// f32 target tokens `[M · N · P]`, N and P: training's own precision.
    Exact(Vec<f32>, usize, usize),
    /// The gallery as it is shipped: int8 tokens, the browser's scan.
    Shipped(Gallery),
}

impl Scorer {
    /// Scores of a query vector `[P]` over the gallery.
    fn scores(&self, query: &[f32]) -> Result<Vec<f32>> {
        match self {
            Self::Shipped(gallery) => Ok(gallery.scores(query)?),
            Self::Exact(tokens, n, p) => Ok(tokens
                .chunks_exact(n * p)
                .map(|image| {
                    image
                        .chunks_exact(*p)
                        .map(|token| token.iter().zip(query).map(|(a, b)| a * b).sum::<f32>())
                        .fold(f32::NEG_INFINITY, f32::max)
                })
                .collect()),
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
        let chosen: Vec<usize> = images.iter().filter_map(|i| rows.get(*i as usize).copied()).collect();
        features.tokens(&chosen, device)
    }
}

/// Target tokens `[M · N · P]` of the gallery.
///
/// # Errors
/// When the device does not give them back.
pub fn target_tokens(subject: &Subject, images: &[u32], progress: &mut dyn FnMut(usize, usize)) -> Result<Vec<f32>> {
    let mut out = Vec::new();
    for (done, chunk) in images.chunks(BATCH).enumerate() {
        let keys = subject.model.image_keys((subject.tokens)(chunk)?);
        out.extend(embed::read(subject.model.target(&keys, chunk.len(), &Noise::off()))?);
        progress((done + 1) * BATCH, images.len());
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
    /// Right targets.
    pub targets: Vec<String>,
    /// Group that it is reported under.
    pub group: Option<String>,
    /// Kind of change, where the data set names one.
    pub kind: Option<String>,
    /// Zero-based rank of the best right target; `None` when the gallery has none.
    pub rank: Option<usize>,
    /// The best images and their scores, without the reference where the protocol removes it.
    pub top: Vec<(String, f32)>,
    /// The 50 best images, as indices into the table; not in per-query files.
    #[serde(skip)]
    pub ranking: Vec<u32>,
    /// The best members of the query's subset, likewise.
    #[serde(skip)]
    pub subset: Vec<u32>,
}

impl Answer {
    fn new(table: &Table, triplet: &Triplet, scores: &[f32], query: &Query, rank: Option<usize>) -> Self {
        let name = |image: u32| table.image_name(image).to_owned();
        let images = |positions: Vec<u32>| -> Vec<u32> {
            positions.iter().filter_map(|at| table.gallery.get(*at as usize).copied()).collect()
        };
        let best = rank::best(scores, query, KEPT);
        let score = |at: &u32| scores.get(*at as usize).copied().unwrap_or(f32::NEG_INFINITY);
        let top: Vec<f32> = best.iter().take(TOP).map(score).collect();
        let ranking = images(best);
        Self {
            id: triplet.id,
            reference: name(triplet.reference),
            text: triplet.text.clone(),
            targets: triplet.targets.iter().map(|t| name(*t)).collect(),
            group: triplet.group.clone(),
            kind: triplet.kind.clone(),
            rank,
            top: ranking.iter().map(|image| name(*image)).zip(top).collect(),
            ranking,
            subset: images(rank::best_of_subset(scores, query, KEPT)),
        }
    }
}

/// The composed query of every triplet beside image only, text only and their average.
///
/// Image only: the mean, over the reference's own target tokens, of their scores. Averaged: the mean of the image's and the
/// text's scores. The ranking follows the table's protocol.
///
/// # Errors
/// When an image or the device fails.
pub fn evaluate(
    subject: &Subject,
    table: &Table,
    scorer: &Scorer,
    title: &str,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<(Report, Vec<Answer>)> {
    let texts = Tokenized::new(subject.words, table, subject.config.text_length);
    let positions = table.gallery_positions();
    let noise = Noise::off();
    let mut comparison = Comparison::with(table.protocol);
    let mut answers = Vec::with_capacity(table.triplets.len());
    // The same reference serves many queries; its own scores are computed once.
    let mut image_scores: HashMap<u32, Vec<f32>> = HashMap::new();
    let all: Vec<u32> = (0..table.triplets.len() as u32).collect();
    for (done, batch) in all.chunks(BATCH).enumerate() {
        let references: Vec<u32> = batch.iter().map(|t| table.triplets[*t as usize].reference).collect();
        let keys: ImageKeys = subject.model.image_keys((subject.tokens)(&references)?);
        let text = texts.batch(batch, subject.config, subject.device);
        let composed = subject.model.compose(subject.model.fuse(&keys, &text, &noise), &text, &noise);
        let text_only = subject.model.text_only(&text, &noise);
        let targets = subject.model.target(&keys, batch.len(), &noise);
        let [_, n, p] = targets.dims();
        let (composed, text_only, targets) = (embed::read(composed)?, embed::read(text_only)?, embed::read(targets)?);
        for (i, triplet) in batch.iter().enumerate() {
            let triplet = &table.triplets[*triplet as usize];
            let query = table.query(&positions, triplet, false);
            let scores = scorer.scores(&composed[i * p..(i + 1) * p])?;
            let rank = comparison.add(Method::Composed, &scores, &query)?;
            answers.push(Answer::new(table, triplet, &scores, &query, rank));
            let by_text = scorer.scores(&text_only[i * p..(i + 1) * p])?;
            let by_image = match image_scores.entry(triplet.reference) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let mut sum = vec![0.0f32; by_text.len()];
                    for token in targets[i * n * p..(i + 1) * n * p].chunks_exact(p) {
                        for (s, v) in sum.iter_mut().zip(scorer.scores(token)?) {
                            *s += v / n as f32;
                        }
                    }
                    place.insert(sum)
                }
            };
            comparison.add(Method::ImageOnly, by_image, &query)?;
            comparison.add(Method::TextOnly, &by_text, &query)?;
            let both: Vec<f32> = by_image.iter().zip(&by_text).map(|(a, b)| 0.5 * (a + b)).collect();
            comparison.add(Method::Averaged, &both, &query)?;
        }
        progress((done + 1) * BATCH, all.len());
    }
    Ok((comparison.report(title), answers))
}

/// Tokens of preprocessed pictures kept in memory, for bundles whose quantized encoder has no cache.
pub struct Encoded {
    tokens: Vec<f32>,
    shape: [usize; 2],
}

impl Encoded {
    /// Encodes the pictures of `table` with `engine`'s own encoder.
    ///
    /// # Errors
    /// When an image cannot be used or the device fails.
    pub fn new(
        engine: &thisbut_model::engine::Engine,
        table: &Table,
        device: &Device,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let config = engine.config();
        let mut tokens = Vec::with_capacity(table.images.len() * config.image_tokens() * config.image_width());
        for (done, images) in table.images.chunks(8).enumerate() {
            let mut pixels = Vec::new();
            for image in images {
                pixels.extend(crate::features::prepare(&image.path, &config.preprocess)?);
            }
            tokens.extend(crate::features::encode(engine.encoder()?, pixels, images.len(), config, device)?);
            progress(done * 8 + images.len(), table.images.len());
        }
        Ok(Self { tokens, shape: [config.image_tokens(), config.image_width()] })
    }

    /// Tokens of some images.
    pub fn tokens(&self, images: &[u32], device: &Device) -> Tensor<3> {
        let [t, c] = self.shape;
        let values: Vec<f32> =
            images.iter().flat_map(|i| &self.tokens[*i as usize * t * c..(*i as usize + 1) * t * c]).copied().collect();
        Tensor::from_data(TensorData::new(values, [images.len(), t, c]), device)
    }
}
