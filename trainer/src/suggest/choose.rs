//! Which of the texts that were asked are worth offering: those that the model answers right, and no two alike.

use super::words::Kind;
use std::collections::HashSet;

/// A text that leads from an image to others.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// How the titles differ.
    pub kind: Kind,
    /// The modification text.
    pub text: String,
    /// The images that answer it, the nearest first.
    pub targets: Vec<u32>,
}

/// A candidate and what the model found.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What was asked.
    pub candidate: Candidate,
    /// Rank of the best right image, from 0; none where it is not among those that were looked at.
    pub rank: Option<usize>,
    /// The first image's score, and by how much it is above the second's.
    pub best: f32,
    /// See `best`.
    pub margin: f32,
}

/// Candidates of one image that go to the model.
const ASKED: usize = 12;
/// Of one kind.
const ASKED_OF_KIND: usize = 4;
/// Offered texts that end in the same word.
const SAME_END: usize = 2;
/// Rank up to which a text is offered where few are answered right.
const NEAR: usize = 3;
/// So many texts are wanted at least.
const WANTED: usize = 3;

/// Of everything that leads somewhere, nearest first, what the model is asked: some of each kind.
pub fn worth_asking(found: Vec<Candidate>) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in found {
        let of_kind = kept.iter().filter(|one| one.kind == candidate.kind).count();
        if of_kind < ASKED_OF_KIND && kept.len() < ASKED {
            kept.push(candidate);
        }
    }
    kept
}

/// The texts to offer with an image, best first, at most `count`: those whose right image comes first; where these are fewer than
/// three, also those that bring it near; where there are none, the one that comes nearest. Kinds take turns.
pub fn offered(mut asked: Vec<Asked>, count: usize) -> Vec<Asked> {
    asked.sort_by(|a, b| {
        let rank = |one: &Asked| one.rank.unwrap_or(usize::MAX);
        rank(a).cmp(&rank(b)).then(b.margin.total_cmp(&a.margin))
    });
    let right = asked.iter().filter(|one| one.rank == Some(0)).count();
    let near = asked.iter().filter(|one| one.rank.is_some_and(|rank| rank < NEAR)).count();
    asked.truncate(match () {
        () if right >= WANTED => right,
        () if near > 0 => near.min(WANTED),
        () => 1,
    });
    let mut chosen: Vec<Asked> = Vec::new();
    while chosen.len() < count {
        // The kind that has been chosen least goes next, the best of it first.
        let turn = |one: &Asked| chosen.iter().filter(|other| other.candidate.kind == one.candidate.kind).count();
        let ends = |one: &Asked| chosen.iter().filter(|other| end(other) == end(one)).count();
        let next = (0..asked.len()).filter(|at| ends(&asked[*at]) < SAME_END).min_by_key(|at| (turn(&asked[*at]), *at));
        let Some(at) = next else { break };
        chosen.push(asked.remove(at));
    }
    chosen
}

fn end(asked: &Asked) -> &str {
    let words = asked.candidate.text.trim_end_matches(" instead");
    words.rsplit(' ').next().unwrap_or_default()
}

/// A search that shows what the model does: its subjects tell it from others.
#[derive(Clone, Debug)]
pub struct Show {
    /// The image.
    pub from: u32,
    /// The text that was asked, and what was found.
    pub asked: Asked,
    /// Words of what it is about.
    pub subjects: HashSet<String>,
}

/// The searches to show, at most `count`: the clearest answers, of different kinds, about different things. Texts that are tags are
/// words of a catalogue, seldom what a person would type.
pub fn examples(mut shows: Vec<Show>, count: usize) -> Vec<Show> {
    shows.retain(|show| show.asked.rank == Some(0) && show.asked.candidate.kind != Kind::Tag);
    shows.sort_by(|a, b| b.asked.margin.total_cmp(&a.asked.margin).then(a.from.cmp(&b.from)));
    let mut chosen: Vec<Show> = Vec::new();
    while chosen.len() < count {
        let turn =
            |show: &Show| chosen.iter().filter(|one| one.asked.candidate.kind == show.asked.candidate.kind).count();
        let apart = |show: &Show| chosen.iter().all(|one| one.subjects.is_disjoint(&show.subjects));
        let next = (0..shows.len()).filter(|at| apart(&shows[*at])).min_by_key(|at| (turn(&shows[*at]), *at));
        let Some(at) = next else { break };
        chosen.push(shows.remove(at));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str, kind: Kind, rank: Option<usize>, margin: f32) -> Asked {
        Asked { candidate: Candidate { kind, text: text.to_owned(), targets: vec![1] }, rank, best: 0.5, margin }
    }

    fn texts(asked: &[Asked]) -> Vec<&str> {
        asked.iter().map(|one| one.candidate.text.as_str()).collect()
    }

    #[test]
    fn what_is_answered_right_is_offered_and_kinds_take_turns() {
        let all = vec![
            asked("with dark skin tone", Kind::Mark, Some(0), 0.3),
            asked("with light skin tone", Kind::Mark, Some(0), 0.2),
            asked("with medium skin tone", Kind::Mark, Some(0), 0.1),
            asked("a judge", Kind::Noun, Some(0), 0.05),
            asked("a pilot", Kind::Noun, Some(1), 0.4),
        ];
        assert_eq!(texts(&offered(all.clone(), 6)), ["with dark skin tone", "a judge", "with light skin tone"]);
        assert_eq!(texts(&offered(all, 2)), ["with dark skin tone", "a judge"]);
    }

    #[test]
    fn where_little_is_answered_right_the_nearest_is_offered() {
        let near = vec![
            asked("a", Kind::Whole, Some(9), 0.3),
            asked("b", Kind::Whole, Some(2), 0.2),
            asked("c", Kind::Whole, None, 0.9),
            asked("d", Kind::Whole, Some(0), 0.1),
        ];
        assert_eq!(texts(&offered(near, 6)), ["d", "b"]);
        let far = vec![asked("a", Kind::Whole, None, 0.3), asked("b", Kind::Whole, Some(9), 0.2)];
        assert_eq!(texts(&offered(far, 6)), ["b"]);
        assert!(offered(Vec::new(), 6).is_empty());
    }

    #[test]
    fn the_model_is_asked_some_of_each_kind() {
        let candidate = |kind, at: usize| Candidate { kind, text: format!("{at}"), targets: vec![] };
        let found = (0..40).map(|at| candidate(if at < 30 { Kind::Whole } else { Kind::Mark }, at)).collect();
        let kept = worth_asking(found);
        assert_eq!(
            kept.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(),
            ["0", "1", "2", "3", "30", "31", "32", "33"]
        );
    }

    #[test]
    fn examples_are_clear_and_of_different_things() {
        let show = |from, text: &str, kind, rank, margin, about: &str| Show {
            from,
            asked: asked(text, kind, rank, margin),
            subjects: about.split(' ').map(str::to_owned).collect(),
        };
        let shows = vec![
            show(0, "wrong", Kind::Mark, Some(1), 0.9, "fox"),
            show(1, "blue", Kind::Adjective, Some(0), 0.5, "heart"),
            show(2, "red", Kind::Adjective, Some(0), 0.4, "heart"),
            show(3, "green", Kind::Adjective, Some(0), 0.3, "book"),
            show(4, "a judge", Kind::Noun, Some(0), 0.1, "woman"),
        ];
        let chosen = examples(shows, 3);
        assert_eq!(chosen.iter().map(|one| one.from).collect::<Vec<_>>(), [1, 4, 3]);
    }
}
