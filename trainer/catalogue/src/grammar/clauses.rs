//! One change in words.

use super::{Change, noun};
use crate::frames::{Form, article, pick};
use crate::wish::Edit;
use crate::world::{Column, World};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Share of values that are said by another word, where there is one.
const OTHER_WORD: f64 = 0.4;

fn spelled(column: &Column, value: u32) -> &str {
    column.values.get(value as usize).map_or("", String::as_str)
}

/// A word for a value.
pub(super) fn word(rng: &mut ChaCha8Rng, world: &World, column: usize, value: u32) -> String {
    let Some(column) = world.columns.get(column) else { return String::new() };
    let own = spelled(column, value);
    let others = column.words.values.get(&own.to_lowercase()).filter(|others| !others.is_empty());
    match others.and_then(|others| others.choose(rng)) {
        Some(other) if rng.random_bool(OTHER_WORD) => other.clone(),
        _ => own.to_owned(),
    }
}

fn called<'a>(rng: &mut ChaCha8Rng, column: &'a Column) -> &'a str {
    column.words.called.choose(rng).map_or(column.name.as_str(), String::as_str)
}

/// A value as a piece of text. Clauses that name the change are drawn only where `whole` lets them.
pub(super) fn value_form(rng: &mut ChaCha8Rng, world: &World, column: usize, value: u32, whole: bool) -> Option<Form> {
    let said = word(rng, world, column, value);
    let column = world.columns.get(column)?;
    let words = &column.words;
    let c = called(rng, column).to_owned();
    let put = |frame: &String| frame.replace("{v}", &said).replace("{c}", &c);
    let mut forms: Vec<Form> = Vec::new();
    forms.extend(words.noun.iter().map(|frame| Form::Noun(noun(&put(frame)))));
    forms.extend(words.adjective.iter().map(|frame| Form::Adjective(put(frame))));
    forms.extend(words.with.iter().map(|frame| Form::With(put(frame))));
    forms.extend(words.adjunct.iter().map(|frame| Form::Adjunct(put(frame))));
    if whole {
        forms.extend(words.whole.iter().map(|frame| Form::Whole(put(frame))));
    }
    forms.choose(rng).cloned()
}

/// A value as a thing had or named, without a frame around it.
fn plain(rng: &mut ChaCha8Rng, world: &World, column: usize, value: u32) -> String {
    match value_form(rng, world, column, value, false) {
        Some(
            Form::Noun(x) | Form::With(x) | Form::Adjective(x) | Form::Adjunct(x) | Form::Whole(x) | Form::Doing(x),
        ) => x,
        None => word(rng, world, column, value),
    }
}

/// One change as a piece of text.
pub(super) fn clause(rng: &mut ChaCha8Rng, change: &Change, edit: &Edit) -> Form {
    let world = change.pool.world;
    let whole = |text: String| Form::Whole(text);
    match *edit {
        Edit::To(c, v) => value_form(rng, world, c, v, true).unwrap_or_else(|| whole(plain(rng, world, c, v))),
        Edit::Not(c, v) => negated(rng, world, c, v),
        Edit::Add(c, v) => {
            let value = value_form(rng, world, c, v, false);
            added(rng, value)
        }
        Edit::Remove(c, v) => {
            let value = value_form(rng, world, c, v, false);
            removed(rng, value)
        }
        Edit::Swap(c, a, b) => {
            let (old, new) = (plain(rng, world, c, a), plain(rng, world, c, b));
            let frames = [
                "{b} instead of {a}",
                "replace the {a} with {b}",
                "swap the {a} for {b}",
                "{b}, not {a}",
                "no {a} but {b}",
            ];
            whole(pick(rng, &frames).replace("{a}", &old).replace("{b}", &new))
        }
        Edit::More(c) | Edit::Less(c) => compared(rng, world, c, matches!(edit, Edit::More(_))),
    }
}

/// One value more.
fn added(rng: &mut ChaCha8Rng, value: Option<Form>) -> Form {
    let (frames, x): (&[&str], String) = match value {
        Some(Form::Adjective(x)) => (&["also {x}", "{x} too", "{x} as well", "it should be {x} too"], x),
        Some(Form::Adjunct(x)) => (&["also {x}", "{x} too"], x),
        Some(Form::Noun(x) | Form::With(x) | Form::Whole(x) | Form::Doing(x)) => {
            (&["add {x}", "plus {x}", "with {x} too", "also with {x}", "put {x} on it"], x)
        }
        None => return Form::Whole(String::new()),
    };
    match rng.random_range(0..3) {
        0 if frames.len() > 4 => Form::With(x),
        0 => Form::Adjective(x),
        _ => Form::Whole(pick(rng, frames).replace("{x}", &x)),
    }
}

/// One value less.
fn removed(rng: &mut ChaCha8Rng, value: Option<Form>) -> Form {
    let (frames, x): (&[&str], String) = match value {
        Some(Form::Adjective(x) | Form::Adjunct(x)) => (&["not {x}", "no longer {x}", "one that is not {x}"], x),
        Some(Form::Noun(x) | Form::With(x) | Form::Whole(x) | Form::Doing(x)) => (
            &[
                "without {x}",
                "without {x}",
                "no {x}",
                "remove the {x}",
                "lose the {x}",
                "take the {x} away",
                "leave out the {x}",
            ],
            x,
        ),
        None => return Form::Whole(String::new()),
    };
    // "remove the a belt" is the price of one list of frames.
    let bare = x.trim_start_matches("a ").trim_start_matches("an ");
    Form::Whole(pick(rng, frames).replace("the {x}", &format!("the {bare}")).replace("{x}", &x))
}

fn negated(rng: &mut ChaCha8Rng, world: &World, column: usize, value: u32) -> Form {
    let x = plain(rng, world, column, value);
    let c = world.columns.get(column).map_or("", |column| called(rng, column));
    match rng.random_range(0..8) {
        0 => Form::With(article(&format!("different {c}"))),
        1 => Form::Whole(format!("any {c} but {x}")),
        2 => Form::Whole(format!("in another {c}")),
        3 => Form::Whole(format!("change the {c}")),
        4 => Form::Whole(format!("anything but {x}")),
        5 => Form::Whole(format!("just not {x}")),
        _ => Form::Whole(format!("not {x}")),
    }
}

fn compared(rng: &mut ChaCha8Rng, world: &World, column: usize, more: bool) -> Form {
    let words = world.columns.get(column).map(|column| &column.words);
    let list = words.map(|words| if more { &words.more } else { &words.less });
    let Some(text) = list.and_then(|list| list.choose(rng)).cloned() else {
        panic!("attribute {column} has no words for more or less: `Words::of` gives each some");
    };
    let clause = ["with ", "in ", "at ", "a "].iter().any(|start| text.starts_with(start));
    if clause { Form::Adjunct(text) } else { Form::Adjective(text) }
}

/// One change with what it replaces: "a skirt instead of a dress".
pub(super) fn contrast(rng: &mut ChaCha8Rng, change: &Change, edit: &Edit) -> Option<String> {
    let Edit::To(c, v) = *edit else { return None };
    let world = change.pool.world;
    let [own] = change.pool.values(change.from, c) else { return None };
    let column = world.columns.get(c)?;
    let (new, old) = (plain(rng, world, c, v), word(rng, world, c, *own));
    let (bare_new, called) = (word(rng, world, c, v), called(rng, column));
    let named = !column.words.noun.is_empty();
    let frames: &[&str] = match named {
        true => &[
            "{n} instead of {a}",
            "{n}, not {a}",
            "not {a} but {n}",
            "replace the {o} with {n}",
            "swap the {o} for {n}",
            "turn the {o} into {n}",
            "no {o}, {n} instead",
            "{n} rather than {a}",
            "change from {a} to {n}",
        ],
        false => &[
            "{n} instead of {o}",
            "{n}, not {o}",
            "not {o} but {n}",
            "change the {c} from {o} to {b}",
            "{n} rather than {o}",
            "{b} in place of {o}",
            "the {c} should be {b}, not {o}",
            "switch {o} to {b}",
        ],
    };
    let a = if named { noun(&old) } else { old.clone() };
    let text = pick(rng, frames).replace("{n}", &new).replace("{b}", &bare_new).replace("{a}", &a);
    Some(text.replace("{o}", &old).replace("{c}", called))
}
