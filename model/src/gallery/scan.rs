//! Exact search over every image at hand, and a deterministic top-k.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::format::Chunk;
use crate::error::{ModelError, Result};
use thisbut_kernels::scan::Query;

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The image's number in the gallery.
    pub index: u32,
    /// Cosine of the query and the image's best target token, −1..1 but for rounding.
    pub score: f32,
}

impl Hit {
    /// Better first: by score, then by lower index. Total, so that equal galleries always rank equally.
    pub fn rank(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then(self.index.cmp(&other.index))
    }
}

/// Chunks of one gallery, each with the number of its first image. Chunks may arrive in any order, and what has
/// arrived can be searched. A clone shares the chunks.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    chunks: Vec<(u32, Arc<Chunk>)>,
}

impl Gallery {
    /// A gallery without images.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the chunk whose first image has the number `first`.
    ///
    /// # Errors
    /// [`ModelError::Format`] when its tokens have another shape than the other chunks', or its numbers overlap theirs.
    pub fn insert(&mut self, first: u32, chunk: Chunk) -> Result<()> {
        let shape = (chunk.tokens(), chunk.width());
        if let Some(known) = self.shape()
            && known != shape
        {
            let problem =
                format!("images have {} tokens of width {}, the others {} of {}", shape.0, shape.1, known.0, known.1);
            return Err(error(first, problem));
        }
        if chunk.count() == 0 {
            return Ok(());
        }
        let end = |first: u32, chunk: &Chunk| u64::from(first) + chunk.count() as u64;
        if end(first, &chunk) > u64::from(u32::MAX) {
            return Err(error(first, "its image numbers are too large".into()));
        }
        let at = self.chunks.partition_point(|(start, _)| *start < first);
        let before = at.checked_sub(1).and_then(|i| self.chunks.get(i)).map_or(0, |(start, other)| end(*start, other));
        let after = self.chunks.get(at).map_or(u64::MAX, |(start, _)| u64::from(*start));
        if u64::from(first) < before || end(first, &chunk) > after {
            return Err(error(first, "its image numbers overlap another chunk's".into()));
        }
        self.chunks.insert(at, (first, Arc::new(chunk)));
        Ok(())
    }

    /// Lets go of the chunks from image `first` on.
    pub fn truncate(&mut self, first: u32) {
        self.chunks.retain(|(start, _)| *start < first);
    }

    /// Adds a chunk behind the last one.
    ///
    /// # Errors
    /// As [`Gallery::insert`].
    pub fn push(&mut self, chunk: Chunk) -> Result<()> {
        let first = self.chunks.last().map_or(0, |(first, last)| first.saturating_add(last.count() as u32));
        self.insert(first, chunk)
    }

    /// Images at hand.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(|(_, chunk)| chunk.count()).sum()
    }

    /// True when no image is at hand.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// (N, P), or `None` while there is no chunk.
    pub fn shape(&self) -> Option<(usize, usize)> {
        self.chunks.first().map(|(_, chunk)| (chunk.tokens(), chunk.width()))
    }

    /// `[N, P]` target tokens of image `index`, or `None` when it isn't at hand.
    pub fn image(&self, index: u32) -> Option<Vec<f32>> {
        let at = self.chunks.partition_point(|(first, _)| *first <= index).checked_sub(1)?;
        let (first, chunk) = self.chunks.get(at)?;
        chunk.image((index - first) as usize)
    }

    /// The `k` best images for query rows `[R, P]`, best first, without those in `exclude`. Score: the mean over the
    /// rows of the largest cosine over an image's N tokens; rows are L2-normalised. The gallery's 8 bits move a score by at most
    /// Σ|query| · (token's largest magnitude) / 254, a few thousandths at P = 128. Equal scores rank by index.
    ///
    /// # Errors
    /// [`ModelError::Query`] when `query` isn't rows of width P.
    pub fn search(&self, query: &[f32], k: usize, exclude: &[u32]) -> Result<Vec<Hit>> {
        let k = k.min(self.len());
        let mut exclude = exclude.to_vec();
        exclude.sort_unstable();
        // The worst of the best k on top.
        let mut best: BinaryHeap<Worst> = BinaryHeap::with_capacity(k + 1);
        self.scan(query, |hit| {
            let enters = best.len() < k || best.peek().is_some_and(|worst| hit.rank(&worst.0) == Ordering::Less);
            if enters && exclude.binary_search(&hit.index).is_err() {
                best.push(Worst(hit));
                if best.len() > k {
                    best.pop();
                }
            }
        })?;
        Ok(best.into_sorted_vec().into_iter().map(|worst| worst.0).collect())
    }

    /// The score of every image at hand, in order of their numbers; for evaluation.
    ///
    /// # Errors
    /// As [`Gallery::search`].
    pub fn scores(&self, query: &[f32]) -> Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(self.len());
        self.scan(query, |hit| scores.push(hit.score))?;
        Ok(scores)
    }

    /// As [`Gallery::scores`], each with the number of its image.
    ///
    /// # Errors
    /// As [`Gallery::search`].
    pub fn hits(&self, query: &[f32]) -> Result<Vec<Hit>> {
        let mut hits = Vec::with_capacity(self.len());
        self.scan(query, |hit| hits.push(hit))?;
        Ok(hits)
    }

    /// The images whose score for query rows `[R, P]` is at least `least`, in order of their numbers.
    ///
    /// # Errors
    /// As [`Gallery::search`].
    pub fn search_above(&self, query: &[f32], least: f32) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        self.scan(query, |hit| {
            if hit.score >= least {
                found.push(hit.index);
            }
        })?;
        Ok(found)
    }

    fn scan(&self, query: &[f32], each: impl FnMut(Hit)) -> Result<()> {
        let Some((_, width)) = self.shape() else { return Ok(()) };
        if query.is_empty() || !query.len().is_multiple_of(width) {
            return Err(ModelError::Query {
                problem: format!("the query is {} wide, the gallery's tokens are {width}", query.len()),
                mend: "use the gallery with the model that made it".into(),
            });
        }
        let rows = query.len() / width;
        if rows == 1 {
            self.scan_row(query, each);
            return Ok(());
        }
        let mut sums: Vec<Hit> = Vec::new();
        for (number, row) in query.chunks_exact(width).enumerate() {
            let mut at = 0;
            self.scan_row(row, |hit| {
                let score = hit.score / rows as f32;
                match sums.get_mut(at) {
                    Some(sum) if number > 0 => sum.score += score,
                    _ => sums.push(Hit { score, ..hit }),
                }
                at += 1;
            });
        }
        sums.into_iter().for_each(each);
        Ok(())
    }

    fn scan_row(&self, row: &[f32], mut each: impl FnMut(Hit)) {
        let query = Query::new(row);
        for (first, chunk) in &self.chunks {
            query.scan(chunk.scales(), chunk.codes(), chunk.tokens(), |i, score| {
                each(Hit { index: first + i as u32, score });
            });
        }
    }
}

/// A hit that is greater the worse it ranks, for the heap.
#[derive(PartialEq)]
struct Worst(Hit);

impl Eq for Worst {}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.rank(&other.0)
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn error(first: u32, problem: String) -> ModelError {
    ModelError::Format {
        place: format!("the gallery chunk from image {first} on"),
        problem,
        mend: "index the gallery again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::encode_chunk;

    fn unit(seed: u64, width: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let v: Vec<f32> = (0..width).map(|_| next() + next() + next()).collect();
        let norm = v.iter().map(|x| x * x).sum::<f32>().sqrt();
        v.into_iter().map(|x| x / norm).collect()
    }

    /// 300 images of 4 tokens of width 128 in three chunks, and their f32 tokens.
    fn gallery() -> (Gallery, Vec<f32>) {
        let tokens: Vec<f32> = (0..300 * 4).flat_map(|i| unit(i, 128)).collect();
        let mut gallery = Gallery::new();
        for part in tokens.chunks(120 * 4 * 128) {
            gallery.push(Chunk::parse(&encode_chunk(part, 4, 128).unwrap()).unwrap()).unwrap();
        }
        (gallery, tokens)
    }

    #[test]
    fn scores_are_max_cosines() {
        let (gallery, tokens) = gallery();
        assert_eq!((gallery.len(), gallery.shape()), (300, Some((4, 128))));
        let mut worst = 0.0_f32;
        for seed in 5000..5020 {
            let query = unit(seed, 128);
            let scores = gallery.scores(&query).unwrap();
            for (image, score) in tokens.chunks_exact(4 * 128).zip(scores) {
                let cosine = |t: &[f32]| t.iter().zip(&query).map(|(a, b)| a * b).sum::<f32>();
                let exact = image.chunks_exact(128).map(cosine).fold(f32::NEG_INFINITY, f32::max);
                worst = worst.max((exact - score).abs());
            }
        }
        assert!(worst < 0.002, "{worst}");
    }

    #[test]
    fn search_agrees_with_sorting() {
        let (gallery, _) = gallery();
        let query = unit(9999, 128);
        let scores = gallery.scores(&query).unwrap();
        let mut all: Vec<Hit> = (0..).zip(scores).map(|(index, score)| Hit { index, score }).collect();
        all.sort_by(Hit::rank);
        for k in [0, 1, 7, 299, 300, 301, usize::MAX] {
            assert_eq!(gallery.search(&query, k, &[]).unwrap(), all[..k.min(300)], "{k}");
        }
        let exclude = [all[0].index, all[2].index, 7_000_000];
        all.retain(|hit| !exclude.contains(&hit.index));
        assert_eq!(gallery.search(&query, 5, &exclude).unwrap(), all[..5]);
        assert_eq!(gallery.search(&query, 300, &exclude).unwrap(), all);
    }

    #[test]
    fn ties_break_by_index() {
        let token = unit(3, 16);
        let mut gallery = Gallery::new();
        for _ in 0..3 {
            gallery.push(Chunk::parse(&encode_chunk(&token.repeat(5), 1, 16).unwrap()).unwrap()).unwrap();
        }
        let indices = |hits: Vec<Hit>| hits.into_iter().map(|h| h.index).collect::<Vec<_>>();
        assert_eq!(indices(gallery.search(&token, 4, &[1]).unwrap()), [0, 2, 3, 4]);
        assert_eq!(indices(gallery.search(&[f32::NAN; 16], 3, &[]).unwrap()), [0, 1, 2]);
    }

    #[test]
    fn chunks_in_any_order_rank_the_same() {
        let (gallery, tokens) = gallery();
        let mut shuffled = Gallery::new();
        for first in [240, 0, 120_usize] {
            let part = &tokens[first * 512..(first * 512 + 120 * 512).min(tokens.len())];
            shuffled.insert(first as u32, Chunk::parse(&encode_chunk(part, 4, 128).unwrap()).unwrap()).unwrap();
        }
        let query = unit(77, 128);
        assert_eq!(shuffled.search(&query, 300, &[]).unwrap(), gallery.search(&query, 300, &[]).unwrap());
        assert_eq!(shuffled.image(299), gallery.image(299));
        assert_eq!((gallery.image(0).map(|t| t.len()), gallery.image(300)), (Some(512), None));
    }

    #[test]
    fn refuses_what_does_not_belong() {
        let (mut gallery, _) = gallery();
        let chunk = |n: usize, p: usize| Chunk::parse(&encode_chunk(&vec![0.5; n * p * 2], n, p).unwrap()).unwrap();
        assert!(gallery.push(chunk(3, 128)).is_err());
        assert!(gallery.push(chunk(4, 64)).is_err());
        for first in [0, 1, 119, 299, u32::MAX] {
            assert!(gallery.insert(first, chunk(4, 128)).is_err(), "{first}");
        }
        let empty = || Chunk::parse(&encode_chunk(&[], 4, 128).unwrap()).unwrap();
        assert!(gallery.push(empty()).is_ok() && gallery.push(empty()).is_ok());
        assert!(gallery.insert(300, chunk(4, 128)).is_ok());
        gallery.truncate(300);
        assert_eq!((gallery.len(), gallery.image(300)), (300, None));
        assert!(matches!(gallery.search(&[0.0; 64], 1, &[]), Err(ModelError::Query { .. })));
        assert!(Gallery::new().search(&[0.0; 64], 1, &[]).unwrap().is_empty());
    }
}
