//! Modifiers for people and hands.

use super::super::edits::{Edit, ToneEdit};
use super::super::record::{Age, Gender, Hair, Person};
use super::looks::{age, gender, hair, not_gender, tone, tone_word};
use super::roles::{self, Manner};
use super::{Deictic, Form, article, bare, framed, pick, signs, surface};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

/// A modifier for the change of a reference by edits. `target` is only asked for names that fit its gender.
pub fn modifier(rng: &mut ChaCha8Rng, from: &Person, target: &Person, edits: &[Edit]) -> String {
    let d = deictic(rng, from, edits);
    // "a baby" already says that the costume is gone.
    let aged = edits.iter().any(|e| matches!(e, Edit::Age(_)));
    let said: Vec<Edit> =
        edits.iter().filter(|e| !(aged && matches!(e, Edit::Role(r) if r == "person"))).cloned().collect();
    let edits = said.as_slice();
    let text = match edits {
        [one] => {
            let form = clause(rng, from, target, one, &d);
            framed(rng, &form, &d)
        }
        many => match fused(rng, from, target, many) {
            Some(form) if rng.random_bool(0.45) => framed(rng, &form, &d),
            _ => joined(rng, from, target, many, &d),
        },
    };
    surface::finish(rng, &text)
}

fn deictic(rng: &mut ChaCha8Rng, from: &Person, edits: &[Edit]) -> Deictic {
    if from.hand {
        return Deictic {
            object: "it",
            subject: pick(rng, &["hand", "hand", "sign", "gesture", "one"]).to_owned(),
            several: false,
        };
    }
    if from.several {
        return Deictic { object: "them", subject: pick(rng, &["couple", "pair", "two"]).to_owned(), several: true };
    }
    let object = match from.gender {
        Gender::Woman => pick(rng, &["her", "her", "it"]),
        Gender::Man => pick(rng, &["him", "him", "it"]),
        _ => pick(rng, &["them", "it"]),
    };
    let gender_kept = !edits.iter().any(|e| matches!(e, Edit::Gender(_) | Edit::NotGender(_)));
    let role_kept = !edits.iter().any(|e| matches!(e, Edit::Role(_)));
    let mut subjects = vec!["person", "one", "person", "character"];
    if gender_kept && from.age == Age::Adult {
        subjects.extend(match from.gender {
            Gender::Woman => ["woman", "lady"],
            Gender::Man => ["man", "guy"],
            _ => ["person", "figure"],
        });
    }
    if role_kept && roles::manner(&from.role) == Manner::Noun && from.role != "person" {
        subjects.extend(roles::names(&from.role).into_iter().take(2));
    }
    Deictic { object, subject: pick(rng, &subjects).to_owned(), several: false }
}

fn role(rng: &mut ChaCha8Rng, from: &Person, target: &Person, to: &str) -> Form {
    if target.hand {
        return signs::names(to).choose(rng).cloned().unwrap_or_else(|| Form::Noun(to.to_owned()));
    }
    if to == "person" {
        if target.age != Age::Adult {
            return age(rng, target, target.age);
        }
        let texts = [
            "just a plain person",
            "an ordinary person, head only",
            "only the head",
            "a plain face",
            "just the face of an everyday person",
            "a normal person with no costume",
        ];
        if let Some(old) = roles::names(&from.role).choose(rng)
            && roles::manner(&from.role) == Manner::Noun
            && rng.random_bool(0.3)
        {
            return Form::Whole(format!("not {}, just a plain person", article(old)));
        }
        if rng.random_bool(0.2) {
            let prop = pick(rng, roles::props(&from.role));
            if !prop.is_empty() {
                return Form::Whole(format!("no longer {prop}, just an ordinary person"));
            }
        }
        return Form::Noun(pick(rng, &texts).to_owned());
    }
    if rng.random_bool(0.12)
        && let Some(form) = contrasted(rng, &from.role, to)
    {
        return form;
    }
    let gender = (from.gender == target.gender && rng.random_bool(0.3)).then_some(target.gender);
    roles::forms(to, gender).choose(rng).cloned().unwrap_or_else(|| Form::Noun(article(to)))
}

/// The new role beside the old one: "a cook instead of a judge".
fn contrasted(rng: &mut ChaCha8Rng, old: &str, new: &str) -> Option<Form> {
    let (a, b) = (*roles::names(old).choose(rng)?, *roles::names(new).choose(rng)?);
    let frames: &[&str] = match (roles::manner(old), roles::manner(new)) {
        (Manner::Noun, Manner::Noun) => {
            let (a, b) = (article(a), article(b));
            let frames = ["{b} instead of {a}", "not {a} but {b}", "no longer {a}, now {b}", "{b}, not {a}"];
            return Some(Form::Whole(pick(rng, &frames).replace("{a}", &a).replace("{b}", &b)));
        }
        (Manner::Doing, Manner::Doing) => &[
            "{b} instead of {a}",
            "not {a} but {b}",
            "stop {a}, start {b}",
            "{b}, no longer {a}",
            "{b} rather than {a}",
        ],
        (Manner::Adjunct, Manner::Adjunct) => &["{b} instead of {a}", "not {a} but {b}", "{b}, no longer {a}"],
        _ => return None,
    };
    Some(Form::Whole(pick(rng, frames).replace("{a}", a).replace("{b}", b)))
}

fn clause(rng: &mut ChaCha8Rng, from: &Person, target: &Person, edit: &Edit, d: &Deictic) -> Form {
    match edit {
        Edit::Role(r) => role(rng, from, target, r),
        Edit::Age(a) => age(rng, target, *a),
        Edit::Older => {
            Form::Adjective(pick(rng, &["older", "older", "more grown up", "further on in years"]).to_owned())
        }
        Edit::Younger => Form::Adjective(pick(rng, &["younger", "younger", "not so old", "more youthful"]).to_owned()),
        Edit::Hair(h) => hair(rng, from, *h, d),
        Edit::Gender(g) => gender(rng, from, target, *g, d),
        Edit::NotGender(g) => not_gender(rng, from, *g),
        Edit::Tone(t) => tone(rng, from, *t, d),
    }
}

/// One noun phrase for all changes: "a dark-skinned woman surfing".
fn fused(rng: &mut ChaCha8Rng, from: &Person, target: &Person, edits: &[Edit]) -> Option<Form> {
    if target.hand || target.several || target.age != Age::Adult {
        return None;
    }
    let mut skin = None;
    let (mut person, mut doing, mut head, mut role_noun) = (None, String::new(), None, None);
    for edit in edits {
        match edit {
            Edit::Tone(ToneEdit::To(t)) => {
                let w = tone_word(rng, *t).trim_start_matches("the ");
                skin = Some(if *t == 0 { "yellow".to_owned() } else { format!("{w}-skinned") });
            }
            Edit::Gender(g) => person = Some(*g),
            Edit::Hair(h) => {
                head = Some(match h {
                    Hair::Red => "red hair",
                    Hair::Curly => "curly hair",
                    Hair::White => "white hair",
                    Hair::Bald => "a bald head",
                    Hair::Blond => "blond hair",
                    Hair::Beard => "a beard",
                    Hair::Plain => return None,
                });
            }
            Edit::Role(r) if r == "person" => {}
            Edit::Role(r) => {
                let name = roles::names(r).choose(rng).copied().unwrap_or(r.as_str()).to_owned();
                match roles::manner(r) {
                    Manner::Noun => role_noun = Some(name),
                    _ => doing = name,
                }
            }
            _ => return None,
        }
    }
    let _ = from;
    let adjective = person.map(|g| match g {
        Gender::Woman => pick(rng, &["woman", "female", "lady"]),
        Gender::Man => pick(rng, &["man", "male"]),
        _ => "gender-neutral",
    });
    let core = match (role_noun, adjective, person) {
        (Some(noun), Some(a), _) => format!("{a} {noun}"),
        (Some(noun), None, _) => noun,
        (None, _, Some(Gender::Woman)) => pick(rng, &["woman", "lady"]).to_owned(),
        (None, _, Some(Gender::Man)) => pick(rng, &["man", "guy"]).to_owned(),
        (None, _, Some(_)) => "gender-neutral person".to_owned(),
        (None, _, None) => "person".to_owned(),
    };
    let mut phrase = article(format!("{} {core}", skin.unwrap_or_default()).trim());
    if !doing.is_empty() {
        phrase = format!("{phrase} {doing}");
    }
    if let Some(hair) = head {
        phrase = format!("{phrase} {} {hair}", if phrase.contains(" with ") { "and" } else { "with" });
    }
    Some(Form::Noun(phrase))
}

/// One clause for each change, in any order.
fn joined(rng: &mut ChaCha8Rng, from: &Person, target: &Person, edits: &[Edit], d: &Deictic) -> String {
    let mut order: Vec<&Edit> = edits.iter().collect();
    order.shuffle(rng);
    let mut text = String::new();
    for (n, edit) in order.iter().enumerate() {
        let form = clause(rng, from, target, edit, d);
        if n == 0 {
            text = framed(rng, &form, d).trim_end_matches('?').replace(" please", "").replace("please ", "");
        } else {
            let separator =
                pick(rng, &[", ", ", ", " and ", " and ", " but ", " plus ", "; ", ", also ", " & ", ", and "]);
            text = format!("{text}{separator}{}", bare(rng, &form));
        }
    }
    text
}
