//! The order of a query's candidates, as the published evaluators make it: by falling score, equal scores in the order
//! of the gallery, or of the query's own pool where it has one. Every score is a finite number: [`super::Accumulator::add`] refuses
//! others.

use super::Query;
use std::cmp::Ordering;

/// A candidate: its place among equals, and its gallery position.
type Candidate = (u32, u32);

fn score(scores: &[f32], at: u32) -> f32 {
    scores.get(at as usize).copied().unwrap_or(f32::NEG_INFINITY)
}

fn order(scores: &[f32], a: &Candidate, b: &Candidate) -> Ordering {
    // `total_cmp` would put -0 after 0.
    let falling = score(scores, b.1).partial_cmp(&score(scores, a.1)).unwrap_or(Ordering::Equal);
    falling.then(a.0.cmp(&b.0))
}

/// Every candidate of a query, without the excluded reference.
fn candidates(scores: &[f32], query: &Query) -> Vec<Candidate> {
    let kept = |c: &Candidate| Some(c.1) != query.exclude;
    match &query.pool {
        Some(pool) => (0..).zip(pool.iter().copied()).filter(kept).collect(),
        None => (0..scores.len() as u32).map(|at| (at, at)).filter(kept).collect(),
    }
}

/// Members of the query's subset, without the excluded reference.
fn members(query: &Query) -> Vec<Candidate> {
    query.subset.iter().filter(|at| Some(**at) != query.exclude).map(|at| (*at, *at)).collect()
}

/// Zero-based ranks of the right targets that are among the candidates, ascending; equal targets count once.
fn ranks(scores: &[f32], candidates: &[Candidate], right: &[u32]) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::with_capacity(right.len());
    for (i, target) in right.iter().enumerate() {
        let Some(own) = candidates.iter().find(|c| c.1 == *target) else { continue };
        if !right.iter().take(i).any(|before| before == target) {
            found.push(candidates.iter().filter(|c| order(scores, c, own) == Ordering::Less).count());
        }
    }
    found.sort_unstable();
    found
}

/// Ranks of the right targets over the query's candidates.
pub(super) fn over_all(scores: &[f32], query: &Query) -> Vec<usize> {
    ranks(scores, &candidates(scores, query), &query.right)
}

/// Zero-based rank of one target, a gallery position, over the query's candidates; `None` when it is not among them.
pub fn of_target(scores: &[f32], query: &Query, target: u32) -> Option<usize> {
    ranks(scores, &candidates(scores, query), &[target]).first().copied()
}

/// Rank of the best right target over the query's subset.
pub(super) fn over_subset(scores: &[f32], query: &Query) -> Option<usize> {
    ranks(scores, &members(query), &query.right).first().copied()
}

fn top(scores: &[f32], mut candidates: Vec<Candidate>, k: usize) -> Vec<u32> {
    if candidates.len() > k && k > 0 {
        candidates.select_nth_unstable_by(k - 1, |a, b| order(scores, a, b));
    }
    candidates.truncate(k);
    candidates.sort_unstable_by(|a, b| order(scores, a, b));
    candidates.into_iter().map(|(_, at)| at).collect()
}

/// The `k` best gallery positions for a query, best first.
pub fn best(scores: &[f32], query: &Query, k: usize) -> Vec<u32> {
    top(scores, candidates(scores, query), k)
}

/// The `k` best members of the query's subset, as gallery positions, best first.
pub fn best_of_subset(scores: &[f32], query: &Query, k: usize) -> Vec<u32> {
    top(scores, members(query), k)
}
