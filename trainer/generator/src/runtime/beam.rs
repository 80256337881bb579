//! Beam search as Hugging Face's `BeamSearchScorer` does it: the same candidates, the same bookkeeping, the same end.

use super::decode::{Decoder, Decoding, Running, Start, adjust};
use thisbut_model::error::Result;

/// Starts the beams that are not first apart: they begin as copies.
const FAR: f32 = -1e9;

/// One way to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    score: f32,
    beam: usize,
    token: u32,
}

/// One row's search.
struct Search {
    settings: Decoding,
    beams: usize,
    length_penalty: f32,
    /// Tokens before the answer that count for its length.
    before: usize,
    /// Finished answers with their scores, in the order found.
    finished: Vec<(f32, Vec<u32>)>,
    worst: f32,
    done: bool,
    /// Answers so far and their summed log-probabilities.
    open: Vec<(f32, Vec<u32>)>,
}

impl Search {
    fn new(settings: &Decoding, beams: usize, length_penalty: f32, before: usize) -> Self {
        let open = (0..beams).map(|beam| (if beam == 0 { 0.0 } else { FAR }, Vec::new())).collect();
        let settings = *settings;
        Self { settings, beams, length_penalty, before, finished: Vec::new(), worst: 1e9, done: false, open }
    }

    /// `sum`: the answer's log-probabilities, without what the target length added to its end's. That made ending likelier the
    /// longer an answer is; left in the score, the longest would always be the best.
    fn finish(&mut self, sum: f32, answer: Vec<u32>) {
        let sum = sum - self.settings.pull(answer.len()).abs();
        let score = sum / ((self.before + answer.len()).max(1) as f32).powf(self.length_penalty);
        if self.finished.len() < self.beams {
            self.worst = self.worst.min(score);
            self.finished.push((score, answer));
        } else if score > self.worst {
            self.finished.push((score, answer));
            let lowest = |list: &[(f32, Vec<u32>)]| {
                let places = list.iter().enumerate();
                let Some((at, (score, _))) = places.min_by(|a, b| a.1.0.total_cmp(&b.1.0)) else {
                    unreachable!("there is an answer more than beams")
                };
                (at, *score)
            };
            self.finished.remove(lowest(&self.finished).0);
            self.worst = lowest(&self.finished).1;
        }
    }

    /// Takes the best candidates, best first, of which there are at least twice as many as beams. Returns the beams that go
    /// on and their tokens.
    fn step(&mut self, candidates: &[Candidate], end: &[u32]) -> Vec<(usize, u32)> {
        let own = self.open.first().map_or(0, |(_, answer)| answer.len());
        let length = self.before + own + 1;
        let mut chosen = Vec::new();
        let mut open = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            let (_, answer) = &self.open[candidate.beam];
            if end.contains(&candidate.token) {
                // One beyond the beams would not have been kept.
                if rank < self.beams {
                    let answer = answer.clone();
                    self.finish(candidate.score - self.settings.pull(answer.len()), answer);
                }
                continue;
            }
            let mut longer = answer.clone();
            longer.push(candidate.token);
            open.push((candidate.score, longer));
            chosen.push((candidate.beam, candidate.token));
            if open.len() == self.beams {
                break;
            }
        }
        self.open = open;
        let (past, ends) = (self.settings.pull(own + 1).max(0.0), self.settings.pull(own));
        let alone = |c: &Candidate| if end.contains(&c.token) { c.score - ends } else { c.score };
        let best = candidates.iter().map(alone).fold(f32::NEG_INFINITY, f32::max) - past;
        if self.finished.len() >= self.beams {
            self.done |= self.worst >= best / (length as f32).powf(self.length_penalty);
        }
        chosen
    }

    fn answer(mut self) -> Vec<u32> {
        if !self.done {
            for (score, answer) in std::mem::take(&mut self.open) {
                self.finish(score, answer);
            }
        }
        // Of equal ones the last, as a stable sort leaves it.
        let best = self.finished.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
        let Some((_, answer)) = best else { unreachable!("a search has a beam, and each is finished or open") };
        answer
    }
}

/// Log-probabilities in place.
fn log_softmax(scores: &mut [f32]) {
    let highest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|s| (s - highest).exp()).sum();
    let shift = highest + sum.ln();
    scores.iter_mut().for_each(|s| *s -= shift);
}

/// The `count` highest of a beam's scores, highest first, ties by token.
fn best_of(scores: &[f32], beam: usize, offset: f32, count: usize) -> Vec<Candidate> {
    let mut best: Vec<Candidate> = Vec::with_capacity(count + 1);
    for (token, score) in scores.iter().enumerate() {
        let score = score + offset;
        if best.len() == count && best.last().is_some_and(|last| score <= last.score) {
            continue;
        }
        let at = best.partition_point(|c| c.score >= score);
        best.insert(at, Candidate { score, beam, token: token as u32 });
        best.truncate(count);
    }
    best
}

pub(super) fn search(
    model: &dyn Decoder,
    start: Start,
    end: &[u32],
    settings: &Decoding,
    beams: usize,
    length_penalty: f32,
) -> Result<Vec<Vec<u32>>> {
    let rows = start.real.len();
    let (mut running, first) = Running::begin(model, &start)?;
    let v = running.vocabulary.max(1);
    let before = |row: usize| start.used[row].len();
    let mut searches: Vec<Search> =
        (0..rows).map(|row| Search::new(settings, beams, length_penalty, before(row))).collect();
    // Rows that go on, and where each one's beams stand in the batch: the prompts are read once, not once a beam.
    let mut going: Vec<usize> = (0..rows).collect();
    let mut logits = first;
    let mut copies = 1;
    let count = (1 + end.len()).max(2) * beams;
    for _ in 0..settings.most {
        let (mut from, mut tokens, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (row, block)) in going.iter().zip(logits.chunks_exact_mut(v * copies)).enumerate() {
            let (search, used) = (&mut searches[*row], start.used[*row].as_slice());
            let mut candidates: Vec<Candidate> = Vec::new();
            let mut beam_of = |beam: usize, scores: &mut [f32]| {
                let (sum, answer) = &search.open[beam];
                log_softmax(scores);
                adjust(scores, used, answer, end, settings);
                candidates.extend(best_of(scores, beam, *sum, count));
            };
            for (beam, scores) in block.chunks_exact_mut(v).enumerate() {
                beam_of(beam, scores);
            }
            candidates.sort_by(|a, b| b.score.total_cmp(&a.score).then((a.beam, a.token).cmp(&(b.beam, b.token))));
            candidates.truncate(count);
            let chosen = search.step(&candidates, end);
            if search.done || chosen.len() < beams {
                continue;
            }
            left.push(*row);
            for (beam, token) in chosen {
                from.push(place * copies + beam);
                tokens.push(token);
            }
        }
        let full = searches.iter().flat_map(|s| s.open.first()).any(|(_, answer)| answer.len() >= settings.most);
        if left.is_empty() || full {
            break;
        }
        going = left;
        copies = beams;
        logits = running.next(&from, &tokens)?;
    }
    Ok(searches.into_iter().map(Search::answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_beyond_the_beams_does_not_count_and_equal_answers_go_to_the_last() {
        let mut search = Search::new(&Decoding::published(9), 2, 1.0, 0);
        let c = |score, beam, token| Candidate { score, beam, token };
        let chosen = search.step(&[c(-1.0, 0, 5), c(-2.0, 0, 9), c(-3.0, 0, 6), c(-4.0, 0, 7)], &[9]);
        assert_eq!(chosen, [(0, 5), (0, 6)]);
        assert_eq!(search.finished, [(-2.0, vec![])]);
        let chosen = search.step(&[c(-4.0, 0, 5), c(-5.0, 1, 5), c(-6.0, 0, 9)], &[9]);
        assert_eq!((chosen.len(), search.finished.len()), (2, 1));
        assert_eq!(search.answer(), [5, 5], "open ones of -4/2 and -5/2 against -2: of equals the last");
    }

    #[test]
    fn of_answers_equally_likely_a_token_the_one_of_the_target_length_wins() {
        let settings = Decoding { target: Some(3), ..Decoding::published(20) };
        let mut search = Search::new(&settings, 6, 1.0, 0);
        for length in 1..=6usize {
            search.open = vec![(-0.5 * length as f32, vec![5; length])];
            let score = -0.5 * length as f32 + settings.pull(length);
            search.step(&[Candidate { score, beam: 0, token: 9 }], &[9]);
        }
        assert_eq!(search.answer(), [5; 3]);
    }

    #[test]
    fn the_best_come_first_and_ties_go_to_the_lower_token() {
        let best = best_of(&[1.0, 3.0, 2.0, 3.0, 0.0], 1, 0.5, 3);
        assert_eq!(best.iter().map(|c| (c.score, c.token)).collect::<Vec<_>>(), [(3.5, 1), (3.5, 3), (2.5, 2)]);
    }
}
