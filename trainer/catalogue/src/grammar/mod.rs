//! Modification texts and titles: general sentences that name attributes and values.

mod clauses;
mod nouns;

use crate::frames::{Deictic, Form, bare, framed, pick};
use crate::surface;
use crate::wish::{Edit, Pool};
use crate::world::{Item, World};
use clauses::{clause, contrast};
pub use nouns::noun;
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// What a text is about.
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The pictures that stay comparable.
    pub pool: &'a Pool<'a>,
    /// The reference.
    pub from: usize,
    /// The target.
    pub to: usize,
    /// What changes.
    pub edits: &'a [Edit],
}

/// Shares of the ways to say a change.
const CONTRAST: f64 = 0.3;
const FUSED: f64 = 0.35;
const KEEP: f64 = 0.2;

/// A modification text for a change.
pub fn modifier(rng: &mut ChaCha8Rng, change: &Change) -> String {
    let d = deictic(rng, change);
    let fused = if rng.random_bool(FUSED) { fused(rng, change) } else { None };
    let text = match (change.edits, fused) {
        ([], _) => pick(rng, &SAME).to_owned(),
        (_, Some(form)) => framed(rng, &form, &d),
        ([one], None) => {
            let contrasted = if rng.random_bool(CONTRAST) { contrast(rng, change, one) } else { None };
            match contrasted {
                Some(text) => text,
                None => {
                    let form = clause(rng, change, one);
                    framed(rng, &form, &d)
                }
            }
        }
        (many, None) => joined(rng, change, many, &d),
    };
    let text = if !change.edits.is_empty() && rng.random_bool(KEEP) { keeping(rng, change, text) } else { text };
    surface::finish(rng, &text)
}

/// Texts for another picture of the same.
const SAME: [&str; 16] = [
    "the same",
    "the same again",
    "more like this",
    "another one like this",
    "one just like this",
    "another picture of the same",
    "another photo of this",
    "the same kind again",
    "something just like it",
    "no change, just another picture",
    "same again please",
    "another of these",
    "show me more of the same",
    "nothing different, only another one",
    "keep everything as it is",
    "similar to this in every way",
];

/// How the reference is called: by its noun where that stays, else by a general word.
fn deictic(rng: &mut ChaCha8Rng, change: &Change) -> Deictic {
    let general = pick(rng, &["one", "one", "item", "thing", "piece", "picture", "product"]).to_owned();
    let subject = match kept_noun(change) {
        Some((column, value)) if rng.random_bool(0.6) => clauses::word(rng, change.pool.world, column, value),
        _ => general,
    };
    let subject = subject
        .rsplit_once(" of ")
        .filter(|_| subject.starts_with("pair"))
        .map_or(subject.clone(), |(_, s)| s.to_owned());
    Deictic { object: "it", subject, several: false }
}

/// The noun of the reference that the target has too.
fn kept_noun(change: &Change) -> Option<(usize, u32)> {
    let world = change.pool.world;
    let (column, value) = finest_noun(world, world.items.get(change.from)?)?;
    (change.pool.values(change.to, column) == [value]).then_some((column, value))
}

/// The column whose value names a picture most closely, with the value.
fn finest_noun(world: &World, item: &Item) -> Option<(usize, u32)> {
    let nouns = world.columns.iter().enumerate().filter(|(_, column)| !column.words.noun.is_empty());
    let filled = nouns.filter_map(|(c, column)| match item.values.get(c)?.as_slice() {
        [value] => Some((column.values.len(), c, *value)),
        _ => None,
    });
    // The first of equals, as its place says that it matters more.
    filled.min_by_key(|(values, c, _)| (usize::MAX - values, *c)).map(|(_, c, v)| (c, v))
}

/// The whole wish as one noun phrase: "a red cotton skirt with long sleeves".
fn fused(rng: &mut ChaCha8Rng, change: &Change) -> Option<Form> {
    let world = change.pool.world;
    let is_noun = |edit: &&Edit| world.columns.get(edit.column()).is_some_and(|column| !column.words.noun.is_empty());
    let (column, value) = match change.edits.iter().filter(is_noun).collect::<Vec<_>>().as_slice() {
        [] => kept_noun(change)?,
        [Edit::To(column, value)] => (*column, *value),
        _ => return None,
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    for edit in change.edits.iter().filter(|edit| edit.column() != column) {
        let Edit::To(c, v) = edit else { return None };
        match clauses::value_form(rng, world, *c, *v, false)? {
            Form::Adjective(x) => before.push(x),
            Form::With(x) => after.push(format!("with {x}")),
            Form::Adjunct(x) => after.push(x),
            _ => return None,
        }
    }
    before.shuffle(rng);
    let phrase = [before, vec![clauses::word(rng, world, column, value)]].concat().join(" ");
    Some(Form::Noun([vec![noun(&phrase)], after].concat().join(" ")))
}

/// Several changes, one after another.
fn joined(rng: &mut ChaCha8Rng, change: &Change, edits: &[Edit], d: &Deictic) -> String {
    let mut forms: Vec<Form> = edits.iter().map(|edit| clause(rng, change, edit)).collect();
    forms.shuffle(rng);
    let mut text = String::new();
    for (n, form) in forms.iter().enumerate() {
        match n {
            0 => text = framed(rng, form, d).trim_end_matches(['?', '.']).trim_end_matches(" please").to_owned(),
            _ => {
                text.push_str(pick(rng, &[" and ", " and ", ", ", ", also ", " but "]));
                text.push_str(&bare(rng, form));
            }
        }
    }
    text
}

/// Adds what stays, where reference and target share it.
fn keeping(rng: &mut ChaCha8Rng, change: &Change, text: String) -> String {
    let Pool { world, .. } = change.pool;
    let shared = |c: &usize| {
        let of = change.pool.values(change.from, *c);
        !of.is_empty() && of == change.pool.values(change.to, *c)
    };
    let kept: Vec<usize> = change.pool.kept(change.edits).into_iter().filter(shared).collect();
    let Some(column) = kept.choose(rng).and_then(|c| world.columns.get(*c)) else { return text };
    let called = column.words.called.choose(rng).map_or(column.name.as_str(), String::as_str);
    let text = text.trim_end_matches(['?', '.']).to_owned();
    match rng.random_range(0..8) {
        0 => format!("same {called}, {text}"),
        1 => format!("same {called}, but {text}"),
        2 => format!("{text}, same {called}"),
        3 => format!("{text}, keep the {called}"),
        4 => format!("keep the {called}, {text}"),
        5 => format!("{text} but leave the {called} as it is"),
        6 => format!("{text}, the {called} stays"),
        _ => format!("{text}, with the same {called}"),
    }
    .replace("but but ", "but ")
}

/// A caption of a picture, made of its attributes; the same picture always gets the same.
pub fn title(world: &World, item: &Item) -> String {
    let named = finest_noun(world, item);
    let spelled = |c: usize, v: u32| world.columns.get(c).and_then(|column| column.values.get(v as usize));
    let centre = named.and_then(|(c, v)| spelled(c, v)).cloned();
    let (mut before, mut with, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for (c, column) in world.columns.iter().enumerate() {
        let untitled = !column.words.noun.is_empty() || column.role == crate::world::Role::Measure;
        // What a product tells is worth its words only where they stand before it: "a green Granny Smith apple".
        let told = named.is_some_and(|(own, _)| world.determines[own][c]) && column.words.adjective.is_empty();
        if named.is_some_and(|(own, _)| own == c) || untitled || told {
            continue;
        }
        for value in item.values.get(c).into_iter().flatten().filter_map(|v| spelled(c, *v)) {
            if centre.as_ref().is_some_and(|centre| says(centre, value)) {
                continue;
            }
            let said = |frames: &[String]| {
                frames.first().map(|frame| frame.replace("{v}", value).replace("{c}", &column.name))
            };
            match (said(&column.words.adjective), said(&column.words.with), said(&column.words.adjunct)) {
                (Some(x), ..) => before.push(x),
                (None, Some(x), _) => with.push(x),
                (None, None, Some(x)) => after.push(x),
                _ => after.push(format!("{}: {value}", column.name)),
            }
        }
    }
    if !with.is_empty() {
        after.insert(0, format!("with {}", with.join(" and ")));
    }
    let centre = centre.or_else(|| (!before.is_empty() || !after.is_empty()).then(|| "picture".to_owned()));
    let Some(centre) = centre else { return String::new() };
    let phrase = [before, vec![centre]].concat().join(" ");
    [vec![noun(&phrase)], after].concat().join(" ")
}

/// Whether a noun phrase has all the longer words of a value already.
fn says(phrase: &str, value: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        text.to_lowercase().split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect()
    };
    let known = words(phrase);
    words(value)
        .iter()
        .filter(|word| word.chars().count() > 3 || value.chars().count() < 4)
        .all(|word| known.contains(word))
}
