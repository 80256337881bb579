//! Clauses about what a person looks like: skin tone, gender, hair, age.

use super::super::edits::ToneEdit;
use super::super::record::{Age, Gender, Hair, Person};
use super::{Deictic, Form, article, pick, roles};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Words for a tone.
pub(super) fn tone_word(rng: &mut ChaCha8Rng, tone: u8) -> &'static str {
    match tone {
        0 => pick(rng, &["yellow", "yellow", "default yellow", "emoji yellow"]),
        1 => pick(rng, &["light", "light", "light", "pale", "very light", "the lightest"]),
        2 => pick(rng, &["medium-light", "medium-light", "medium light", "mid-light"]),
        3 => pick(rng, &["medium", "medium", "medium", "mid-tone"]),
        4 => pick(rng, &["medium-dark", "medium-dark", "medium dark", "mid-dark"]),
        _ => pick(rng, &["dark", "dark", "dark", "very dark", "the darkest"]),
    }
}

/// A wish about the skin tone.
pub(super) fn tone(rng: &mut ChaCha8Rng, from: &Person, edit: ToneEdit, d: &Deictic) -> Form {
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

/// Another gender.
pub(super) fn gender(rng: &mut ChaCha8Rng, from: &Person, target: &Person, to: Gender, d: &Deictic) -> Form {
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

/// Any other gender.
pub(super) fn not_gender(rng: &mut ChaCha8Rng, from: &Person, gender: Gender) -> Form {
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

/// Other hair.
pub(super) fn hair(rng: &mut ChaCha8Rng, from: &Person, to: Hair, d: &Deictic) -> Form {
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

/// Another age.
pub(super) fn age(rng: &mut ChaCha8Rng, target: &Person, to: Age) -> Form {
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
