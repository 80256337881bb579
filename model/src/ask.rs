//! A search in all its parts, and the score that an image gets from them.
//!
//! Let r be the references, T the text, c_r(x) the score of image x for reference r with T, i_r(x) for r alone, t(x) for T alone.
//!
//! - Balance b, 0 (the picture alone) to 1 (the words alone); ½ is the model as it is. For one reference:
//!   p_r(x) = 2b · c_r(x) + (1 − 2b) · i_r(x) where b ≤ ½, and (2 − 2b) · c_r(x) + (2b − 1) · t(x) above.
//! - Several references: p(x) is the mean of p_r(x). Without a reference, or without a text, there is one part alone, and b says
//!   nothing.
//! - What is not wanted, N_1, N_2, …: n_k(x) is p(x) with T and N_k together. An image that N_k would bring nearer is pushed away
//!   by as much: score(x) = p(x) − Σ_k max(0, n_k(x) − p(x)).
//! - Among: only these images are ranked.
//!
//! A search with one reference at most, the balance ½ and nothing unwanted is [`Engine::compose_from`] and [`Engine::search`].

use std::collections::HashSet;

use crate::bundle::Best;
use crate::engine::{Engine, Reference};
use crate::error::{ModelError, Result};
use crate::gallery::Hit;

/// The balance at which the model answers as it was trained.
pub const EVEN: f32 = 0.5;

/// Most references, and most texts that are not wanted.
pub const MOST: usize = 4;

/// What is looked for.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The pictures that it starts from.
    pub references: &'a [&'a Reference],
    /// What should be different.
    pub text: &'a str,
    /// What is not wanted.
    pub without: &'a [String],
    /// Between picture (0) and words (1).
    pub balance: f32,
    /// The images that are ranked; all of them where there is none.
    pub among: Option<&'a HashSet<u32>>,
}

impl Ask<'_> {
    fn check(&self) -> Result<()> {
        let refuse = |problem: String| Err(ModelError::Query { problem, mend: "ask with fewer parts".into() });
        if self.references.len() > MOST || self.without.len() > MOST {
            let (references, without) = (self.references.len(), self.without.len());
            return refuse(format!("{references} references and {without} unwanted texts are more than {MOST}"));
        }
        match (0.0..=1.0).contains(&self.balance) {
            true => Ok(()),
            false => refuse(format!("the balance {} is not from 0 to 1", self.balance)),
        }
    }
}

impl Engine {
    /// The `k` best images of a search, without `exclude`.
    ///
    /// # Errors
    /// [`ModelError::Query`] where there is neither picture nor words, and for parts that are out of range; as
    /// [`Engine::compose`].
    pub async fn ask(&self, ask: &Ask<'_>, k: usize, exclude: &[u32]) -> Result<Vec<Hit>> {
        ask.check()?;
        if self.is_plain(ask) {
            let query = self.compose_from(ask.references.first().copied(), ask.text).await?;
            return self.search(&query, k, exclude);
        }
        let wanted = self.wanted(ask, ask.text).await?;
        let mut hits = wanted.clone();
        for unwanted in ask.without {
            let text =
                [ask.text, unwanted].into_iter().filter(|text| !self.is_silent(text)).collect::<Vec<_>>().join(", ");
            for (hit, (near, plain)) in hits.iter_mut().zip(self.wanted(ask, &text).await?.iter().zip(&wanted)) {
                hit.score -= (near.score - plain.score).max(0.0);
            }
        }
        let left_out: HashSet<u32> = exclude.iter().copied().collect();
        hits.retain(|hit| !left_out.contains(&hit.index) && ask.among.is_none_or(|some| some.contains(&hit.index)));
        hits.sort_unstable_by(Hit::rank);
        hits.truncate(k);
        Ok(hits)
    }

    /// The query's vectors, P values of length 1 each: one where there are words, and for a picture alone as many as it has target
    /// tokens. An image's score is the mean over them of the largest product with one of the image's target tokens. None where several
    /// references, a balance or something unwanted put a score together from several queries.
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub async fn vectors(&self, ask: &Ask<'_>) -> Result<Option<Vec<f32>>> {
        ask.check()?;
        match self.is_plain(&Ask { among: None, ..*ask }) {
            true => self.compose_from(ask.references.first().copied(), ask.text).await.map(Some),
            false => Ok(None),
        }
    }

    /// Whether a search is one query: one reference at most, nothing unwanted, no balance, the whole gallery.
    pub fn is_plain(&self, ask: &Ask<'_>) -> bool {
        ask.references.len() < 2 && ask.without.is_empty() && ask.among.is_none() && self.is_even(ask)
    }

    /// What a search has found at best, as [`crate::bundle::Closeness`] judges it: that knows plain searches of one picture, one picture
    /// with words, and words alone. `chosen`: the picture is the gallery's own, and known. `found`: the answer, and the query's vectors.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub fn best(&self, ask: &Ask<'_>, chosen: bool, found: (&[Hit], Option<&[f32]>)) -> Result<Best> {
        let (hits, vectors) = found;
        let said = !self.is_silent(ask.text) && self.is_plain(ask);
        Ok(match (ask.references, vectors) {
            ([], Some(vectors)) if said => Best { words: self.lift(vectors)?, ..Best::default() },
            ([reference], _) => Best {
                composed: hits.first().filter(|_| said).map(|hit| hit.score),
                image: reference.nearest().filter(|_| !chosen),
                words: None,
            },
            _ => Best::default(),
        })
    }

    /// By how much the best image's score is above the mean of all; none for an empty gallery. Texts differ in how near they are to
    /// every image alike, and that says nothing of whether one of them is meant.
    ///
    /// # Errors
    /// As [`Engine::search`].
    pub fn lift(&self, vectors: &[f32]) -> Result<Option<f32>> {
        let hits = self.gallery().hits(vectors)?;
        let best = hits.iter().map(|hit| hit.score).max_by(f32::total_cmp);
        let sum: f64 = hits.iter().map(|hit| f64::from(hit.score)).sum();
        Ok(best.map(|best| best - (sum / hits.len() as f64) as f32))
    }

    /// Whether the balance says nothing: it is even, or there is one part alone.
    fn is_even(&self, ask: &Ask<'_>) -> bool {
        ask.balance == EVEN || ask.references.is_empty() || self.is_silent(ask.text)
    }

    fn is_silent(&self, text: &str) -> bool {
        self.retrieval().texts().tokens(text).is_empty()
    }

    /// p(x) of every image at hand, in order of their numbers.
    async fn wanted(&self, ask: &Ask<'_>, text: &str) -> Result<Vec<Hit>> {
        let balance = if self.is_silent(text) { EVEN } else { ask.balance };
        let mut sum: Vec<Hit> = Vec::new();
        for reference in ask.references {
            let both = (1.0 - (2.0 * balance - 1.0).abs()).max(0.0);
            add(&mut sum, self.scored(Some(reference), text).await?, both / ask.references.len() as f32);
            if balance < EVEN {
                add(&mut sum, self.scored(Some(reference), "").await?, (1.0 - both) / ask.references.len() as f32);
            }
        }
        if ask.references.is_empty() {
            return self.scored(None, text).await;
        }
        if balance > EVEN {
            add(&mut sum, self.scored(None, text).await?, 2.0 * balance - 1.0);
        }
        Ok(sum)
    }

    async fn scored(&self, reference: Option<&Reference>, text: &str) -> Result<Vec<Hit>> {
        self.gallery().hits(&self.compose_from(reference, text).await?)
    }
}

/// Adds scores of the same images, each times `weight`.
fn add(sum: &mut Vec<Hit>, more: Vec<Hit>, weight: f32) {
    if sum.is_empty() {
        sum.extend(more.into_iter().map(|hit| Hit { score: hit.score * weight, ..hit }));
        return;
    }
    for (hit, more) in sum.iter_mut().zip(more) {
        hit.score += more.score * weight;
    }
}
