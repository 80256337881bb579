//! From embeddings to tokens: greedy, sampled and beam search, with length control. Every choice is made on the host from
//! the logits, so that it is the same on every device that gives the same logits.

use super::beam;
use super::llama::Cache;
use burn::tensor::{Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};
use thisbut_model::error::{ModelError, Result};

/// A language model, whatever its numbers are.
pub trait Decoder: Sync {
    /// Embeddings `[B, n, W]` of tokens, every row of one length.
    fn embed(&self, rows: &[Vec<u32>]) -> Tensor<3>;

    /// Hidden states `[B, n, W]` after the last norm, for embeddings x `[B, n, W]` of the next n positions.
    ///
    /// `real` says for each row which of the n positions are not padding; padding may stand on either side. Positions are
    /// counted over real ones alone. With a cache, its positions come before these, and these are added to it.
    fn forward(&self, x: Tensor<3>, real: &[Vec<bool>], cache: Option<&mut Cache>) -> Tensor<3>;

    /// Logits `[R, V]` of hidden states `[R, W]`.
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2>;
}

/// Scores that are compared at once.
const LANES: usize = 16;
/// Scores whose highest is found before it is looked where it stands.
const BLOCK: usize = 1024;

/// What a token more or less than the target length weighs.
const PULL: f32 = 0.5;

/// How the next token is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The likeliest.
    Greedy,
    /// Drawn, from the smallest set of tokens that holds `top_p` of the probability at `temperature`.
    Sample {
        /// Divides the logits.
        temperature: f32,
        /// Share of the probability that may be drawn from, in (0, 1].
        top_p: f32,
        /// Seed; a row's draws depend on it, on the row's own number and on nothing else.
        seed: u64,
    },
    /// The likeliest of `beams` hypotheses, by log-probability over `length ^ length_penalty` (Hugging Face's search).
    Beam {
        /// Hypotheses kept.
        beams: usize,
        /// Exponent of the length.
        length_penalty: f32,
    },
}

/// How answers are made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    /// How the next token is chosen.
    pub strategy: Strategy,
    /// Divides a positive score, multiplies a negative one, of tokens that were used; 1 does nothing (published: 1.5).
    pub repetition_penalty: f32,
    /// Tokens that an answer has at least, its end not counted.
    pub least: usize,
    /// Tokens that an answer has at most.
    pub most: usize,
    /// Tokens that an answer should have: ending is made less likely before, likelier after, by half a logit a token; beam search
    /// then takes as much from a hypothesis' score for each token that it is off.
    pub target: Option<usize>,
}

impl Decoding {
    /// The published settings of MTST: five beams, repetition penalty 1.5.
    pub fn published(most: usize) -> Self {
        let strategy = Strategy::Beam { beams: 5, length_penalty: 1.0 };
        Self { strategy, repetition_penalty: 1.5, least: 1, most, target: None }
    }

    /// What is added to the logit of ending after `length` tokens.
    pub(super) fn pull(&self, length: usize) -> f32 {
        self.target.map_or(0.0, |target| PULL * (length as f32 - target as f32))
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`ModelError::Config`] that names the field.
    pub fn check(&self) -> Result<()> {
        let wrong = |field: &str, problem: String| {
            Err(ModelError::Config { place: field.to_owned(), problem, mend: "choose another value".into() })
        };
        if self.most == 0 || self.most > 1 << 16 || self.least > self.most {
            return wrong("token limits", format!("at least {} and at most {} make no sense", self.least, self.most));
        }
        if !(self.repetition_penalty > 0.0 && self.repetition_penalty.is_finite()) {
            return wrong("repetition penalty", format!("{} is not a positive number", self.repetition_penalty));
        }
        match self.strategy {
            Strategy::Beam { beams, .. } if !(1..=64).contains(&beams) => {
                wrong("beams", format!("{beams} is not between 1 and 64"))
            }
            Strategy::Beam { length_penalty, .. } if !length_penalty.is_finite() => {
                wrong("length penalty", format!("{length_penalty} is not a number"))
            }
            Strategy::Sample { temperature, top_p, .. }
                if !(temperature > 0.0 && temperature.is_finite() && top_p > 0.0 && top_p <= 1.0) =>
            {
                wrong("temperature and top-p", format!("{temperature} and {top_p} are not in (0, ∞) and (0, 1]"))
            }
            _ => Ok(()),
        }
    }
}

/// What answers begin from.
pub struct Start {
    /// Embeddings `[B, n, W]` of the prompts.
    pub embeddings: Tensor<3>,
    /// Which positions are not padding, on either side; every row has a real one.
    pub real: Vec<Vec<bool>>,
    /// Tokens that count for the repetition penalty and the length besides the answer's own (Hugging Face's `input_ids`).
    pub used: Vec<Vec<u32>>,
    /// Each row's own number, for its draws.
    pub numbers: Vec<u64>,
}

impl Start {
    /// Prompts of one length without padding.
    pub fn new(embeddings: Tensor<3>) -> Self {
        let [b, n, _] = embeddings.dims();
        Self { embeddings, real: vec![vec![true; n]; b], used: vec![Vec::new(); b], numbers: (0..b as u64).collect() }
    }
}

/// The answers' tokens, without the one of `end` that ended them.
///
/// # Errors
/// [`ModelError::Config`] for settings that make no sense, [`ModelError::Device`] when the device does not give the logits
/// back.
pub fn generate(model: &dyn Decoder, start: Start, end: &[u32], settings: &Decoding) -> Result<Vec<Vec<u32>>> {
    settings.check()?;
    let rows = start.embeddings.dims()[0];
    let lists = [start.real.len(), start.used.len(), start.numbers.len()];
    assert_eq!(lists, [rows; 3], "padding, used tokens and numbers are there once a row");
    let answers = || match settings.strategy {
        Strategy::Beam { beams, length_penalty } => beam::search(model, start, end, settings, beams, length_penalty),
        _ => one_by_one(model, start, end, settings),
    };
    // A token is hundreds of short parallel steps, each of which would wake the pool from outside.
    rayon::scope(|_| answers())
}

/// A batch that is being answered: the model's cache and the last logits.
pub(super) struct Running<'a> {
    model: &'a dyn Decoder,
    cache: Cache,
    /// V.
    pub vocabulary: usize,
}

impl<'a> Running<'a> {
    /// Reads the prompts. Returns the logits `[B · V]` after each one's last real position.
    pub fn begin(model: &'a dyn Decoder, start: &Start) -> Result<(Self, Vec<f32>)> {
        let mut cache = Cache::new();
        let [b, n, w] = start.embeddings.dims();
        let hidden = model.forward(start.embeddings.clone(), &start.real, Some(&mut cache));
        let last = |row: &Vec<bool>| match row.iter().rposition(|r| *r) {
            Some(at) => at,
            None => unreachable!("every prompt has a position that is not padding"),
        };
        let rows: Vec<i32> = start.real.iter().enumerate().map(|(i, row)| (i * n + last(row)) as i32).collect();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [b]), &hidden.device());
        let logits = model.logits(hidden.reshape([b * n, w]).select(0, rows));
        let vocabulary = logits.dims()[1];
        Ok((Self { model, cache, vocabulary }, read(logits)?))
    }

    /// Goes on with rows `from` (by their place in the batch so far), each with one more token.
    pub fn next(&mut self, from: &[usize], tokens: &[u32]) -> Result<Vec<f32>> {
        if !from.iter().copied().eq(0..self.cache_rows()) {
            self.cache = std::mem::take(&mut self.cache).select(from);
        }
        let rows: Vec<Vec<u32>> = tokens.iter().map(|t| vec![*t]).collect();
        let x = self.model.embed(&rows);
        let real = vec![vec![true]; rows.len()];
        let hidden = self.model.forward(x, &real, Some(&mut self.cache));
        let [b, _, w] = hidden.dims();
        read(self.model.logits(hidden.reshape([b, w])))
    }

    fn cache_rows(&self) -> usize {
        self.cache.rows()
    }
}

#[allow(clippy::disallowed_methods, reason = "texts are generated natively, where reading back may block")]
fn read(logits: Tensor<2>) -> Result<Vec<f32>> {
    let wrong = |problem: String| ModelError::Device {
        place: "the language model".into(),
        problem,
        mend: "try another device or precision".into(),
    };
    let logits = logits.into_data().convert::<f32>().try_into_vec::<f32>();
    let logits = logits.map_err(|e| wrong(format!("its logits cannot be read back ({e:?})")))?;
    // No token is the likeliest of these.
    if logits.iter().any(|logit| logit.is_nan()) {
        return Err(wrong("its logits are not numbers".into()));
    }
    Ok(logits)
}

/// Applies repetition penalty and length control to the scores of one row's next token.
pub(super) fn adjust(scores: &mut [f32], used: &[u32], answer: &[u32], end: &[u32], settings: &Decoding) {
    if settings.repetition_penalty != 1.0 {
        let mut seen: Vec<u32> = used.iter().chain(answer).copied().collect();
        seen.sort_unstable();
        seen.dedup();
        for token in seen {
            if let Some(score) = scores.get_mut(token as usize) {
                *score *= if *score < 0.0 { settings.repetition_penalty } else { 1.0 / settings.repetition_penalty };
            }
        }
    }
    for token in end {
        let Some(score) = scores.get_mut(*token as usize) else { continue };
        if answer.len() < settings.least {
            *score = f32::NEG_INFINITY;
        } else {
            *score += settings.pull(answer.len());
        }
    }
}

/// Greedy or sampled answers. Rows that are done leave the batch.
fn one_by_one(model: &dyn Decoder, start: Start, end: &[u32], settings: &Decoding) -> Result<Vec<Vec<u32>>> {
    let (mut running, mut logits) = Running::begin(model, &start)?;
    let mut answers: Vec<Vec<u32>> = vec![Vec::new(); start.real.len()];
    // Rows of the batch, by their place in the answers.
    let mut rows: Vec<usize> = (0..answers.len()).collect();
    loop {
        let (mut from, mut tokens, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (row, scores)) in rows.iter().zip(logits.chunks_exact_mut(running.vocabulary.max(1))).enumerate() {
            let answer = &mut answers[*row];
            adjust(scores, &start.used[*row], answer, end, settings);
            let token = match settings.strategy {
                Strategy::Sample { temperature, top_p, seed } => {
                    draw(scores, temperature, top_p, uniform(seed, start.numbers[*row], answer.len() as u64))
                }
                _ => likeliest(scores),
            };
            if end.contains(&token) {
                continue;
            }
            answer.push(token);
            if answer.len() < settings.most {
                from.push(at);
                tokens.push(token);
                left.push(*row);
            }
        }
        if left.is_empty() {
            return Ok(answers);
        }
        rows = left;
        logits = running.next(&from, &tokens)?;
    }
}

/// The first of the highest.
fn likeliest(scores: &[f32]) -> u32 {
    let higher = |a: f32, b: f32| if b > a { b } else { a };
    let highest = |block: &[f32]| {
        let (whole, rest) = block.as_chunks::<LANES>();
        let mut lanes = [f32::NEG_INFINITY; LANES];
        for chunk in whole {
            lanes.iter_mut().zip(chunk).for_each(|(lane, score)| *lane = higher(*lane, *score));
        }
        lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| higher(a, *b))
    };
    let (mut best, mut from) = (f32::NEG_INFINITY, 0);
    for (at, block) in scores.chunks(BLOCK).enumerate() {
        let own = highest(block);
        if own > best {
            (best, from) = (own, at * BLOCK);
        }
    }
    let place = scores.iter().skip(from).position(|score| *score == best);
    (from + place.unwrap_or(0)) as u32
}

/// A token drawn with the uniform number `u`.
fn draw(scores: &[f32], temperature: f32, top_p: f32, u: f64) -> u32 {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut weights: Vec<(f64, u32)> = scores
        .iter()
        .enumerate()
        .map(|(at, score)| (f64::from((score - highest) / temperature).exp(), at as u32))
        // What is e^-30 below the best never matters.
        .filter(|(weight, _)| *weight > 1e-13)
        .collect();
    weights.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let total: f64 = weights.iter().map(|(w, _)| w).sum();
    let (mut sum, mut kept) = (0.0, 0);
    while let Some((weight, _)) = weights.get(kept).filter(|_| sum < f64::from(top_p) * total) {
        sum += weight;
        kept += 1;
    }
    weights.truncate(kept.max(1));
    let mut left = u * weights.iter().map(|(w, _)| w).sum::<f64>();
    for (weight, token) in &weights {
        left -= weight;
        if left < 0.0 {
            return *token;
        }
    }
    weights.last().map_or(0, |(_, token)| *token)
}

/// A number in [0, 1) for one draw of one row: a hash (splitmix64) of all three.
fn uniform(seed: u64, row: u64, step: u64) -> f64 {
    let mut state = seed;
    for part in [row, step] {
        state = state.wrapping_add(part).wrapping_add(0x9E37_79B9_7F4A_7C15);
        state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        state ^= state >> 31;
    }
    (state >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_keep_to_the_nucleus_and_follow_the_probabilities() {
        let scores = [3.0f32.ln(), 6.0f32.ln(), 0.0, f32::NEG_INFINITY];
        let mut counts = [0usize; 4];
        for row in 0..10_000 {
            counts[draw(&scores, 1.0, 1.0, uniform(7, row, 3)) as usize] += 1;
        }
        assert_eq!(counts[3], 0);
        assert!(counts[0].abs_diff(3000) < 150 && counts[1].abs_diff(6000) < 150, "{counts:?}");
        // Six tenths are one token; a little more needs the next.
        assert!((0..100).all(|i| draw(&scores, 1.0, 0.59, i as f64 / 100.0) == 1));
        assert!((0..100).any(|i| draw(&scores, 1.0, 0.61, i as f64 / 100.0) == 0));
        assert!((0..100).all(|i| draw(&scores, 0.01, 1.0, i as f64 / 100.0) == 1));
    }

    #[test]
    fn the_likeliest_is_the_first_of_the_highest() {
        let mut scores = vec![-1.0f32; 3 * BLOCK + 7];
        for (highest, at) in [(0.0, 3 * BLOCK + 6), (0.5, BLOCK + 1), (1.0, 2 * BLOCK), (1.0, 5), (f32::INFINITY, 9)] {
            scores[at] = highest;
            assert_eq!(likeliest(&scores), at as u32);
        }
        scores[4] = f32::NAN;
        assert_eq!(likeliest(&scores), 9);
        assert_eq!((likeliest(&[]), likeliest(&[f32::NAN; 3]), likeliest(&[f32::NEG_INFINITY; 40])), (0, 0, 0));
    }

    #[test]
    fn penalty_and_limits_touch_the_right_scores() {
        let mut settings = Decoding { least: 2, ..Decoding::published(9) };
        let mut scores = [2.0, -2.0, 1.0, 1.0];
        adjust(&mut scores, &[1], &[0, 0], &[3], &settings);
        assert_eq!(scores, [2.0 / 1.5, -3.0, 1.0, 1.0]);
        adjust(&mut scores, &[], &[2], &[3], &settings);
        assert_eq!(scores[3], f32::NEG_INFINITY);
        settings.target = Some(4);
        let mut scores = [0.0; 4];
        adjust(&mut scores, &[], &[9, 9], &[3], &settings);
        assert_eq!(scores, [0.0, 0.0, 0.0, -1.0]);
        settings.least = 10;
        assert!(settings.check().is_err());
    }
}
