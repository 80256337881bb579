//! Modifiers for people and hands.

use super::super::edits::{Edit, ToneEdit};
use super::super::record::{Age, Gender, Hair, Person};
use super::roles::{self, Manner};
use super::{Deictic, Form, article, bare, framed, pick, surface};
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

/// Words for a tone.
fn tone_word(rng: &mut ChaCha8Rng, tone: u8) -> &'static str {
    match tone {
        0 => pick(rng, &["yellow", "yellow", "default yellow", "emoji yellow"]),
        1 => pick(rng, &["light", "light", "light", "pale", "very light", "the lightest"]),
        2 => pick(rng, &["medium-light", "medium-light", "medium light", "mid-light"]),
        3 => pick(rng, &["medium", "medium", "medium", "mid-tone"]),
        4 => pick(rng, &["medium-dark", "medium-dark", "medium dark", "mid-dark"]),
        _ => pick(rng, &["dark", "dark", "dark", "very dark", "the darkest"]),
    }
}

fn tone(rng: &mut ChaCha8Rng, from: &Person, edit: ToneEdit, d: &Deictic) -> Form {
    let o = d.object;
    let with = |x: &str| Form::With(x.to_owned());
    let adjective = |x: &str| Form::Adjective(x.to_owned());
    match edit {
        ToneEdit::To(0) => match rng.random_range(0..12) {
            0 => with("no skin tone"),
            1 => with("the default yellow"),
            2 => Form::Whole("remove the skin tone".to_owned()),
            3 => Form::Whole("back to the standard yellow".to_owned()),
            4 => adjective("emoji yellow"),
            5 => with("no particular skin tone"),
            6 => Form::Whole("default colour skin".to_owned()),
            7 => Form::Whole(format!("make {o} the default yellow colour")),
            8 => with("yellow skin, not a natural tone"),
            9 => adjective("plain yellow"),
            _ => with("yellow skin"),
        },
        ToneEdit::To(to) => {
            let w = tone_word(rng, to).trim_start_matches("the ");
            match rng.random_range(0..20) {
                0..=3 => with(&format!("{w} skin")),
                4 | 5 => with(&format!("{} skin tone", article(w))),
                6 => with(&format!("{} complexion", article(w))),
                7 | 8 => adjective(&format!("{w}-skinned")),
                9 => Form::Whole(format!("change the skin to {w}")),
                10 => Form::Whole(format!("skin tone {w}")),
                11 => Form::Whole(format!("the {w} skin version")),
                12 => Form::Whole(format!("set the skin colour to {w}")),
                13 => Form::Whole(format!("make the skin {w}")),
                14 => Form::Whole(format!("the skin should be {w}")),
                15 => {
                    let old = tone_word(rng, from.tone.unwrap_or(0)).trim_start_matches("the ");
                    with(&format!("{w} skin instead of {old}"))
                }
                16 => {
                    let old = tone_word(rng, from.tone.unwrap_or(0)).trim_start_matches("the ");
                    Form::Whole(format!("not {old} but {w} skin"))
                }
                17 => Form::Whole(format!("{w} skin tone")),
                18 => Form::Whole(format!("skin in {w}")),
                _ => with(&format!("{w} toned skin")),
            }
        }
        relative => {
            let (dark, small, big) = match relative {
                ToneEdit::Step(s) => (s > 0, true, false),
                ToneEdit::Darker => (true, false, false),
                ToneEdit::MuchDarker => (true, false, true),
                ToneEdit::MuchLighter => (false, false, true),
                _ => (false, false, false),
            };
            let word = if dark { "darker" } else { pick(rng, &["lighter", "lighter", "paler"]) };
            let how = if small {
                pick(rng, &["a bit", "slightly", "one shade", "a little", "one step", "just a touch", "one tone"])
            } else if big {
                pick(rng, &["much", "a lot", "far", "considerably", "way"])
            } else {
                ""
            };
            let phrase = format!("{how} {word}").trim().to_owned();
            match rng.random_range(0..9) {
                0 | 1 => with(&format!("{phrase} skin")),
                2 => Form::Whole(format!("make the skin {phrase}")),
                3 => Form::Whole(format!("the skin {phrase}")),
                4 => adjective(&format!("{phrase}-skinned")),
                5 => Form::Whole(format!("{phrase} skin tone")),
                6 => Form::Whole(format!("someone {phrase}")),
                _ => adjective(&phrase),
            }
        }
    }
}

/// A noun for people of a gender.
fn gender_noun(rng: &mut ChaCha8Rng, gender: Gender, age: Age, several: bool) -> &'static str {
    if several {
        return match gender {
            Gender::Woman => pick(rng, &["two women", "women", "two ladies", "a female couple"]),
            Gender::Man => pick(rng, &["two men", "men", "two guys", "a male couple"]),
            Gender::Mixed => {
                pick(rng, &["a woman and a man", "a man and a woman", "a mixed couple", "one man, one woman"])
            }
            Gender::Neutral => pick(rng, &["two people", "gender-neutral people", "a gender-neutral couple"]),
        };
    }
    match (age, gender) {
        (Age::Child, Gender::Woman) => pick(rng, &["a girl", "a little girl", "a young girl"]),
        (Age::Child, Gender::Man) => pick(rng, &["a boy", "a little boy", "a young boy"]),
        (Age::Child, _) => {
            pick(rng, &["a gender-neutral child", "a child, neither boy nor girl", "a child of no clear gender"])
        }
        (Age::Old, Gender::Woman) => pick(rng, &["an old woman", "a grandma", "an elderly lady", "a grandmother"]),
        (Age::Old, Gender::Man) => pick(rng, &["an old man", "a grandpa", "an elderly man", "a grandfather"]),
        (Age::Old, _) => pick(rng, &["a gender-neutral old person", "an older person, neither man nor woman"]),
        (_, Gender::Woman) => pick(rng, &["a woman", "a woman", "a woman", "a lady", "a female", "a female person"]),
        (_, Gender::Man) => pick(rng, &["a man", "a man", "a man", "a guy", "a male", "a male person", "a gentleman"]),
        _ => pick(
            rng,
            &[
                "a gender-neutral person",
                "a person of no clear gender",
                "a neutral person",
                "an androgynous person",
                "neither a man nor a woman",
                "someone gender-neutral",
            ],
        ),
    }
}

fn gender(rng: &mut ChaCha8Rng, from: &Person, target: &Person, to: Gender, d: &Deictic) -> Form {
    let age = target.age;
    let special = roles::gendered(&target.role, to);
    if target.role == from.role && !special.is_empty() && rng.random_bool(0.2) {
        let name = pick(rng, special);
        return Form::Noun(if name.starts_with(['S', 'M', 'F']) { name.to_owned() } else { article(name) });
    }
    if from.several || target.several {
        return Form::Noun(gender_noun(rng, to, age, true).to_owned());
    }
    let adjective = match to {
        Gender::Woman => pick(rng, &["female", "female", "feminine"]),
        Gender::Man => pick(rng, &["male", "male", "masculine"]),
        _ => pick(rng, &["gender-neutral", "gender neutral", "androgynous", "non-binary", "ungendered"]),
    };
    let noun = gender_noun(rng, to, age, false);
    let old = match from.gender {
        Gender::Woman => "woman",
        Gender::Man => "man",
        _ => "neutral person",
    };
    let child = age == Age::Child;
    match rng.random_range(0..12) {
        0..=3 => Form::Noun(noun.to_owned()),
        4 | 5 => Form::Adjective(adjective.to_owned()),
        6 => Form::Whole(format!("change the gender to {adjective}")),
        7 => Form::Whole(format!("{noun} instead of {}", if child { "this child".to_owned() } else { article(old) })),
        8 => Form::Whole(format!("the {adjective} version")),
        9 if to == Gender::Neutral => Form::Whole("without a particular gender".to_owned()),
        9 => {
            Form::Whole(format!("same thing but {}", if to == Gender::Woman { "she's a woman" } else { "he's a man" }))
        }
        10 if !child => Form::Whole(format!("not {} but {noun}", article(old))),
        _ => Form::Whole(format!("make {} {noun}", d.object)),
    }
}

fn not_gender(rng: &mut ChaCha8Rng, from: &Person, gender: Gender) -> Form {
    let noun = match (gender, from.age) {
        (Gender::Woman, Age::Child) => "girl",
        (_, Age::Child) => "boy",
        (Gender::Woman, _) => pick(rng, &["woman", "lady", "female"]),
        _ => pick(rng, &["man", "guy", "male"]),
    };
    let frames = [
        "not a {n}",
        "no longer a {n}",
        "anyone but a {n}",
        "the same but not a {n}",
        "shouldn't be a {n}",
        "not a {n} any more",
    ];
    Form::Whole(pick(rng, &frames).replace("{n}", noun))
}

fn hair(rng: &mut ChaCha8Rng, from: &Person, to: Hair, d: &Deictic) -> Form {
    let o = d.object;
    let with = |x: &str| Form::With(x.to_owned());
    let adjective = |x: &str| Form::Adjective(x.to_owned());
    match (to, from.hair) {
        (Hair::Plain, Hair::Beard) => Form::Whole(
            pick(
                rng,
                &[
                    "without the beard",
                    "no beard",
                    "clean-shaven",
                    "shave off the beard",
                    "remove the beard",
                    "beardless",
                    "lose the beard",
                    "not bearded",
                ],
            )
            .to_owned(),
        ),
        (Hair::Plain, old) => {
            let normal = pick(rng, &["normal", "ordinary", "the usual", "plain", "default"]);
            let old = match old {
                Hair::Red => "red",
                Hair::Curly => "curly",
                Hair::White => "white",
                Hair::Blond => "blond",
                _ => "",
            };
            match (old, rng.random_range(0..4)) {
                ("", 0) => Form::Whole(format!("not bald, with {normal} hair")),
                ("", 1) => Form::Whole(format!("no longer bald, {normal} hair")),
                ("", 2) => Form::Whole(format!("give {o} {normal} hair, no bald head")),
                ("", _) => with(&format!("{normal} hair")),
                (old, 0) => Form::Whole(format!("{normal} hair, not {old}")),
                (old, 1) => with(&format!("{normal} hair instead of {old} hair")),
                _ => with(&format!("{normal} hair")),
            }
        }
        (Hair::Red, _) => match rng.random_range(0..6) {
            0..=2 => with("red hair"),
            3 => with("ginger hair"),
            4 => Form::Noun("a redhead".to_owned()),
            _ => adjective("red-haired"),
        },
        (Hair::Curly, _) => match rng.random_range(0..5) {
            0..=2 => with("curly hair"),
            3 => with("curls"),
            _ => adjective("curly-haired"),
        },
        (Hair::White, _) => match rng.random_range(0..5) {
            0..=2 => with("white hair"),
            3 => with("silver-white hair"),
            _ => adjective("white-haired"),
        },
        (Hair::Bald, _) => match rng.random_range(0..7) {
            0..=2 => adjective("bald"),
            3 => with("no hair"),
            4 => with("a bald head"),
            5 => Form::Whole("remove the hair".to_owned()),
            _ => Form::Whole(format!(
                "shave {} head",
                if o == "her" {
                    "her"
                } else if o == "him" {
                    "his"
                } else {
                    "the"
                }
            )),
        },
        (Hair::Blond, _) => match rng.random_range(0..6) {
            0..=2 => with("blond hair"),
            3 => adjective("blond"),
            4 => with("blonde hair"),
            _ => adjective("fair-haired"),
        },
        (Hair::Beard, _) => match rng.random_range(0..7) {
            0..=2 => with("a beard"),
            3 => adjective("bearded"),
            4 => Form::Whole("add a beard".to_owned()),
            5 => with("facial hair"),
            _ => Form::Whole(format!("let {o} grow a beard")),
        },
    }
}

fn age(rng: &mut ChaCha8Rng, target: &Person, to: Age) -> Form {
    match to {
        Age::Baby => Form::Noun(pick(rng, &["a baby", "a baby", "an infant", "a tiny baby", "a newborn"]).to_owned()),
        Age::Child => match (target.gender, rng.random_range(0..4)) {
            (Gender::Woman, 0 | 1) => Form::Noun("a girl".to_owned()),
            (Gender::Man, 0 | 1) => Form::Noun("a boy".to_owned()),
            (_, 2) => {
                Form::Adjective(pick(rng, &["a child again", "school age", "much younger, child-aged"]).to_owned())
            }
            _ => Form::Noun(pick(rng, &["a child", "a kid", "a young child"]).to_owned()),
        },
        Age::Adult => {
            Form::Noun(pick(rng, &["an adult", "a grown-up", "an adult person", "a grown person"]).to_owned())
        }
        Age::Old => match rng.random_range(0..4) {
            0 => Form::Adjective(pick(rng, &["elderly", "old", "of retirement age"]).to_owned()),
            1 => Form::Noun(gender_noun(rng, target.gender, Age::Old, false).to_owned()),
            _ => Form::Noun(pick(rng, &["an old person", "a senior", "an elderly person", "a pensioner"]).to_owned()),
        },
    }
}

fn role(rng: &mut ChaCha8Rng, from: &Person, target: &Person, to: &str) -> Form {
    if target.hand {
        return roles::sign(to).choose(rng).cloned().unwrap_or_else(|| Form::Noun(to.to_owned()));
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
