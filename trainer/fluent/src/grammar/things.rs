//! Modifiers for things: animals, food, objects, faces, symbols.

use super::{Deictic, Form, article, framed, pick, surface};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// What a subgroup's members are called, for "another fruit".
pub const CATEGORIES: &[(&str, &str)] = &[
    ("smiling", "face"),
    ("affectionate", "face"),
    ("with tongue", "face"),
    ("with hands", "face"),
    ("neutral / skeptical", "face"),
    ("sleepy", "face"),
    ("unwell", "face"),
    ("with hats", "face"),
    ("with glasses", "face"),
    ("concerned", "face"),
    ("negative", "face"),
    ("costumed & creatures", "creature"),
    ("cat faces", "cat face"),
    ("monkey faces", "monkey"),
    ("hearts", "heart"),
    ("mammals", "animal"),
    ("birds", "bird"),
    ("amphibians", "animal"),
    ("reptiles", "reptile"),
    ("marine life", "sea animal"),
    ("bugs", "bug"),
    ("flowers", "flower"),
    ("other plants", "plant"),
    ("fruit", "fruit"),
    ("vegetables", "vegetable"),
    ("cooked / prepared", "dish"),
    ("asian", "Asian dish"),
    ("sweets & candy", "sweet"),
    ("drink", "drink"),
    ("buildings", "building"),
    ("religious buildings", "place of worship"),
    ("ground transportation", "vehicle"),
    ("water transportation", "boat"),
    ("air transportation", "aircraft"),
    ("weather", "weather"),
    ("sports", "sport"),
    ("games & hobbies", "game"),
    ("clothing", "piece of clothing"),
    ("musical instruments", "instrument"),
    ("tools", "tool"),
    ("books & paper", "book"),
    ("money", "kind of money"),
    ("zodiac signs", "star sign"),
    ("country flags", "flag"),
    ("household items", "household item"),
    ("office supplies", "office item"),
    ("arrows", "arrow"),
    ("warning symbols", "sign"),
    ("transport signs", "sign"),
];

/// The category of a subgroup.
pub fn category(subgroup: &str) -> Option<&'static str> {
    CATEGORIES.iter().find(|(s, _)| *s == subgroup).map(|(_, c)| *c)
}

/// A thing's name with an article where it takes one.
pub fn noun(label: &str) -> String {
    if let Some(country) = label.strip_prefix("flag: ") {
        return format!("the flag of {country}");
    }
    if let Some(number) = label.strip_prefix("keycap: ") {
        return match number {
            "#" => "the hash key".to_owned(),
            "*" => "the star key".to_owned(),
            n => format!("the number {n}"),
        };
    }
    let first = label.split(' ').next().unwrap_or(label);
    let last = label.split(" with ").next().unwrap_or(label);
    let capital = label.chars().next().is_some_and(char::is_uppercase);
    let plural = last.ends_with('s') && !last.ends_with("ss") && !last.ends_with("us") && !last.ends_with("is");
    let mass = [
        "rice", "corn", "bread", "bacon", "meat", "garlic", "butter", "salt", "money", "soap", "yarn", "thread", "fog",
        "fire", "ice", "popcorn", "sushi", "sake", "coral", "ginger", "broccoli",
    ];
    let ordinal = first.ends_with("st") && first.starts_with('1') || first.ends_with("nd") && first.starts_with('2');
    let numeral = label.contains("o'clock") || label.contains("-thirty");
    if plural || mass.iter().any(|m| last.ends_with(m)) || numeral {
        label.to_owned()
    } else if (capital && !label.contains(' ') && label.len() > 2) || ordinal || label.ends_with("hand") {
        if capital { format!("the {label} sign") } else { format!("the {label}") }
    } else {
        article(label)
    }
}

/// A modifier that names the target.
pub fn swap(rng: &mut ChaCha8Rng, from: &str, to: &str, subgroup: Option<&str>) -> String {
    let x = noun(to);
    let from = from.trim_start_matches("flag: ").trim_start_matches("keycap: ");
    let plain = to.trim_start_matches("flag: ").trim_start_matches("keycap: ");
    let text = match rng.random_range(0..16) {
        0 => format!("swap the {from} for {x}"),
        1 => format!("{x}, not the {from}"),
        2 => format!("replace the {from} with {x}"),
        3 => format!("turn the {from} into {x}"),
        4 => format!("no {from}, {x} instead"),
        5 => format!("{plain} instead of {from}"),
        6 | 7 => match subgroup.and_then(category) {
            Some(c) => match rng.random_range(0..4) {
                0 => format!("a different {c}: {plain}"),
                1 => format!("another {c}, {x}"),
                2 => format!("same kind of thing, but {x}"),
                _ => format!("another {c}: {x} please"),
            },
            None => format!("{plain} instead"),
        },
        8 => plain.to_owned(),
        _ => {
            let d = Deictic {
                object: "it",
                subject: pick(rng, &["picture", "thing", "one", "image"]).to_owned(),
                several: false,
            };
            framed(rng, &Form::Noun(x), &d)
        }
    };
    surface::finish(rng, &text.replace("the the ", "the "))
}

/// A modifier that only gives a search word of the target.
pub fn hint(rng: &mut ChaCha8Rng, tag: &str, category: &str) -> String {
    let c = article(category);
    let text = match rng.random_range(0..7) {
        0 => format!("another {category}, think {tag}"),
        1 => format!("{c} for {tag}"),
        2 => format!("a different {category}: {tag}"),
        3 => format!("{c} that goes with {tag}"),
        4 => format!("still {c}, but {tag}"),
        5 => format!("the {category} you would use for {tag}"),
        _ => format!("a {tag} {category}"),
    };
    surface::finish(rng, &text)
}

/// A modifier from a relation's own ways to say it, of which there is at least one.
pub fn said(rng: &mut ChaCha8Rng, forms: &[Form]) -> String {
    let d = Deictic {
        object: "it",
        subject: pick(rng, &["picture", "thing", "one", "image", "one"]).to_owned(),
        several: false,
    };
    let Some(form) = forms.choose(rng) else { panic!("a relation between things without a way to say it") };
    let text = framed(rng, form, &d);
    surface::finish(rng, &text)
}
