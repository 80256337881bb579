//! Attribute records: what an image shows, parsed from its label.

use serde::Serialize;

/// Gender as drawn. `Mixed` is a woman and a man together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gender {
    /// A woman, or women.
    Woman,
    /// A man, or men.
    Man,
    /// Drawn without a gender.
    Neutral,
    /// A woman and a man.
    Mixed,
}

/// Age as drawn; only plain heads vary in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Age {
    /// A baby.
    Baby,
    /// A boy, a girl or a child.
    Child,
    /// Everybody else.
    Adult,
    /// An old person.
    Old,
}

/// Hair as drawn; only plain adult heads vary in it. `Plain` is the usual hair of that skin tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Hair {
    Plain,
    Red,
    Curly,
    White,
    Bald,
    Blond,
    Beard,
}

/// A person, several people who act as one, or a hand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Person {
    /// Profession, activity, gesture or costume; "person" for a plain head.
    pub role: String,
    /// Gender.
    pub gender: Gender,
    /// Age.
    pub age: Age,
    /// Hair.
    pub hair: Hair,
    /// 0 default yellow, 1 light … 5 dark; none where the role comes in one colour only.
    pub tone: Option<u8>,
    /// Two people.
    pub several: bool,
    /// A hand or another part of the body: no gender.
    pub hand: bool,
}

/// The five tones as the labels spell them, from 1.
pub const TONES: [&str; 5] = ["light", "medium-light", "medium", "medium-dark", "dark"];

const HAND_GROUPS: [&str; 6] =
    ["fingers open", "hand signs", "finger pointing", "fingers closed", "hands", "hand props"];
const PEOPLE_GROUPS: [&str; 8] =
    ["people", "gestures", "roles & careers", "fantasy", "activities", "athletics", "resting", "family"];
const TONED_PARTS: [&str; 5] = ["flexed biceps", "leg", "foot", "ear", "nose"];

/// Parses a label; none for things (and for families, which have members instead of a role).
pub fn parse(label: &str, subgroup: &str) -> Option<Person> {
    let (head, quals) = label.split_once(": ").unwrap_or((label, ""));
    let mut tone = None;
    let mut hair = Hair::Plain;
    let mut members = Vec::new();
    for qual in quals.split(", ").filter(|q| !q.is_empty()) {
        if let Some(word) = qual.strip_suffix(" skin tone") {
            tone = TONES.iter().position(|t| *t == word).map(|i| i as u8 + 1);
            continue;
        }
        match qual {
            "red hair" => hair = Hair::Red,
            "curly hair" => hair = Hair::Curly,
            "white hair" => hair = Hair::White,
            "bald" => hair = Hair::Bald,
            "blond hair" => hair = Hair::Blond,
            "beard" => hair = Hair::Beard,
            other => members.push(other),
        }
    }
    let hand = HAND_GROUPS.contains(&subgroup)
        || (subgroup == "body parts" && TONED_PARTS.iter().any(|p| head.starts_with(p)));
    if hand {
        let gender = Gender::Neutral;
        return Some(Person { role: head.to_owned(), gender, age: Age::Adult, hair, tone, several: false, hand: true });
    }
    if !PEOPLE_GROUPS.contains(&subgroup) || head == "family" || head == "troll" {
        return None;
    }
    let mut person = head_of(head);
    if person.several && !members.is_empty() {
        person.gender = match members.as_slice() {
            ["man", "man"] => Gender::Man,
            ["woman", "woman"] => Gender::Woman,
            _ => Gender::Mixed,
        };
    }
    person.tone = tone;
    person.hair = hair;
    Some(person)
}

/// Labels that don't follow "man …" / "woman …" / "person …".
const IRREGULAR: &[(&str, &str, Gender)] = &[
    ("merperson", "merperson", Gender::Neutral),
    ("merman", "merperson", Gender::Man),
    ("mermaid", "merperson", Gender::Woman),
    ("person with crown", "royal", Gender::Neutral),
    ("prince", "royal", Gender::Man),
    ("princess", "royal", Gender::Woman),
    ("Santa Claus", "Claus", Gender::Man),
    ("Mrs. Claus", "Claus", Gender::Woman),
    ("Mx Claus", "Claus", Gender::Neutral),
    ("pregnant woman", "pregnant", Gender::Woman),
    ("pregnant man", "pregnant", Gender::Man),
    ("pregnant person", "pregnant", Gender::Neutral),
    ("breast-feeding", "breast-feeding", Gender::Woman),
    ("deaf woman", "deaf", Gender::Woman),
    ("deaf man", "deaf", Gender::Man),
    ("deaf person", "deaf", Gender::Neutral),
    ("person in suit levitating", "in suit levitating", Gender::Man),
    ("woman", "person", Gender::Woman),
    ("man", "person", Gender::Man),
    ("person", "person", Gender::Neutral),
    ("boy", "person", Gender::Man),
    ("girl", "person", Gender::Woman),
    ("child", "person", Gender::Neutral),
    ("baby", "person", Gender::Neutral),
    ("old man", "person", Gender::Man),
    ("old woman", "person", Gender::Woman),
    ("older person", "person", Gender::Neutral),
];

fn head_of(head: &str) -> Person {
    let make = |role: &str, gender, several| Person {
        role: role.to_owned(),
        gender,
        age: match head {
            "baby" => Age::Baby,
            "boy" | "girl" | "child" => Age::Child,
            "old man" | "old woman" | "older person" => Age::Old,
            _ => Age::Adult,
        },
        hair: Hair::Plain,
        tone: None,
        several,
        hand: false,
    };
    if let Some((_, role, gender)) = IRREGULAR.iter().find(|(h, _, _)| *h == head) {
        return make(role, *gender, false);
    }
    if matches!(head, "kiss" | "couple with heart") {
        return make(head, Gender::Neutral, true);
    }
    let prefixes = [
        ("woman and man ", Gender::Mixed, true),
        ("women ", Gender::Woman, true),
        ("men ", Gender::Man, true),
        ("people ", Gender::Neutral, true),
        ("woman ", Gender::Woman, false),
        ("man ", Gender::Man, false),
        ("person ", Gender::Neutral, false),
    ];
    for (prefix, gender, several) in prefixes {
        if let Some(role) = head.strip_prefix(prefix) {
            return make(role, gender, several);
        }
    }
    make(head, Gender::Neutral, false)
}

/// The independent second derivation: what the code points themselves say. Gender, tone and hair; none where the
/// sequence does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// Gender by base code point or gender sign.
    pub gender: Option<Gender>,
    /// Tone by modifier, 1–5.
    pub tone: Option<u8>,
    /// Hair by component.
    pub hair: Option<Hair>,
}

/// Reads a key's code points.
pub fn decode(key: &str) -> Decoded {
    let mut out = Decoded::default();
    let (mut women, mut men, mut neutral) = (0, 0, 0);
    for part in key.split('-') {
        match part {
            "1f3fb" | "1f3fc" | "1f3fd" | "1f3fe" | "1f3ff" => {
                out.tone = part.strip_prefix("1f3f").and_then(|d| u8::from_str_radix(d, 16).ok()).map(|d| d - 10);
            }
            "2640" | "1f469" | "1f467" | "1f475" | "1f478" | "1f936" | "1f46d" => women += 1,
            "2642" | "1f468" | "1f466" | "1f474" | "1f934" | "1f385" | "1f46c" => men += 1,
            "1f46b" => (women, men) = (1, 1),
            "1f9d1" | "1f9d2" | "1f9d3" => neutral += 1,
            "1f9b0" => out.hair = Some(Hair::Red),
            "1f9b1" => out.hair = Some(Hair::Curly),
            "1f9b2" => out.hair = Some(Hair::Bald),
            "1f9b3" => out.hair = Some(Hair::White),
            "1f471" => out.hair = Some(Hair::Blond),
            "1f9d4" => out.hair = Some(Hair::Beard),
            _ => {}
        }
    }
    out.gender = match (women, men, neutral) {
        (0, 0, 0) => None,
        (0, 0, _) => Some(Gender::Neutral),
        (_, 0, _) => Some(Gender::Woman),
        (0, _, _) => Some(Gender::Man),
        _ => Some(Gender::Mixed),
    };
    out
}
