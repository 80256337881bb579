//! Changes of people and hands: what a modifier asks for, and which images then are right.

use super::record::{Age, Gender, Hair, Person};
use super::world::World;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// A wish about the skin tone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToneEdit {
    /// This tone.
    To(u8),
    /// One step darker (+1) or lighter (−1).
    Step(i8),
    /// Any darker tone.
    Darker,
    /// Any lighter tone.
    Lighter,
    /// At least two steps darker.
    MuchDarker,
    /// At least two steps lighter.
    MuchLighter,
}

/// One changed attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Another role or hand sign.
    Role(String),
    /// Another age.
    Age(Age),
    /// Any higher age.
    Older,
    /// Any lower age.
    Younger,
    /// Other hair.
    Hair(Hair),
    /// Another gender.
    Gender(Gender),
    /// Any gender but this.
    NotGender(Gender),
    /// Another tone.
    Tone(ToneEdit),
}

const AGES: [Age; 4] = [Age::Baby, Age::Child, Age::Adult, Age::Old];

/// The attribute changes that lead from one record to another, each as an exact wish. Attributes that a role cannot
/// have (hair under a helmet, the tone of a zombie) don't count as changes.
pub fn difference(world: &World, from: &Person, to: &Person) -> Vec<Edit> {
    let mut edits = Vec::new();
    let role = from.role != to.role;
    if role {
        edits.push(Edit::Role(to.role.clone()));
    }
    let age = if role { to.age != Age::Adult } else { from.age != to.age };
    if age {
        edits.push(Edit::Age(to.age));
    }
    let usual_hair = if role || age { Hair::Plain } else { from.hair };
    if to.hair != usual_hair {
        edits.push(Edit::Hair(to.hair));
    }
    if from.gender != to.gender && world.genders(&to.role, to.age).len() > 1 {
        edits.push(Edit::Gender(to.gender));
    }
    if let (Some(a), Some(b)) = (from.tone, to.tone)
        && a != b
    {
        edits.push(Edit::Tone(ToneEdit::To(b)));
    }
    edits
}

/// Turns some exact wishes into relative ones or negations.
pub fn loosen(rng: &mut ChaCha8Rng, from: &Person, edits: &mut [Edit]) {
    let alone = edits.len() == 1;
    for edit in edits {
        match edit {
            Edit::Tone(ToneEdit::To(to)) => {
                let Some(a) = from.tone.filter(|a| *a > 0) else { continue };
                let b = *to;
                if b == 0 || !rng.random_bool(0.4) {
                    continue;
                }
                let up = b > a;
                let wish = match (b.abs_diff(a), rng.random_range(0..3)) {
                    (1, 0 | 1) => ToneEdit::Step(if up { 1 } else { -1 }),
                    (1, _) | (_, 0) => {
                        if up {
                            ToneEdit::Darker
                        } else {
                            ToneEdit::Lighter
                        }
                    }
                    (_, 1 | 2) if up => ToneEdit::MuchDarker,
                    _ => ToneEdit::MuchLighter,
                };
                *edit = Edit::Tone(wish);
            }
            Edit::Gender(_) if alone && !from.several && from.gender != Gender::Neutral && rng.random_bool(0.08) => {
                *edit = Edit::NotGender(from.gender);
            }
            Edit::Age(to) if alone && rng.random_bool(0.25) => {
                *edit = if *to > from.age { Edit::Older } else { Edit::Younger };
            }
            _ => {}
        }
    }
}

/// Every record that a wish allows.
pub fn wanted(world: &World, from: &Person, edits: &[Edit]) -> Vec<Person> {
    let mut role = from.role.clone();
    let (mut ages, mut hair, mut tone) = (vec![from.age], from.hair, None);
    let (mut gender, mut not) = (None, None);
    for edit in edits {
        match edit {
            Edit::Role(r) => {
                role.clone_from(r);
                (ages, hair) = (vec![Age::Adult], Hair::Plain);
            }
            Edit::Age(a) => (ages, hair) = (vec![*a], Hair::Plain),
            Edit::Older => (ages, hair) = (AGES.into_iter().filter(|a| *a > from.age).collect(), Hair::Plain),
            Edit::Younger => (ages, hair) = (AGES.into_iter().filter(|a| *a < from.age).collect(), Hair::Plain),
            Edit::Hair(h) => hair = *h,
            Edit::Gender(g) => gender = Some(*g),
            Edit::NotGender(g) => not = Some(*g),
            Edit::Tone(t) => tone = Some(*t),
        }
    }
    let Some(info) = world.roles.get(&role) else { return Vec::new() };
    let tones: Vec<Option<u8>> = match (info.toned, tone, from.tone) {
        (false, None, _) => vec![None],
        (false, Some(_), _) => Vec::new(),
        (true, None, None) => (0..=5).map(Some).collect(),
        (true, None, kept) => vec![kept],
        (true, Some(t), a) => (0..=5).filter(|b| allows(t, a, *b)).map(Some).collect(),
    };
    let mut out = Vec::new();
    for age in ages {
        let comes_in = world.genders(&role, age);
        let genders: Vec<Gender> = match (gender, not) {
            (Some(g), _) => vec![g],
            (None, Some(n)) => comes_in.iter().copied().filter(|g| *g != n).collect(),
            _ if comes_in.contains(&from.gender) => vec![from.gender],
            _ if comes_in.len() == 1 => comes_in,
            _ => Vec::new(),
        };
        for g in genders {
            for t in &tones {
                let (role, several, hand) = (role.clone(), info.several, info.hand);
                out.push(Person { role, gender: g, age, hair, tone: *t, several, hand });
            }
        }
    }
    out
}

fn allows(edit: ToneEdit, from: Option<u8>, to: u8) -> bool {
    let a = from.filter(|a| *a > 0).map(i16::from);
    let b = i16::from(to);
    match (edit, a) {
        (ToneEdit::To(t), _) => t == to,
        (_, None) => false,
        (ToneEdit::Step(s), Some(a)) => b == a + i16::from(s) && b > 0,
        (ToneEdit::Darker, Some(a)) => b > a,
        (ToneEdit::Lighter, Some(a)) => b > 0 && b < a,
        (ToneEdit::MuchDarker, Some(a)) => b >= a + 2,
        (ToneEdit::MuchLighter, Some(a)) => b > 0 && b + 2 <= a,
    }
}

/// The classes that are right for a reference and wishes: a class is right when any of its images is, seen from any
/// image of the reference's class (they look the same). The reference's own class never is.
pub fn targets(world: &World, reference: usize, edits: &[Edit]) -> BTreeSet<usize> {
    let Some(item) = world.items.get(reference) else { return BTreeSet::new() };
    let mut out = BTreeSet::new();
    for member in world.members.get(&item.class).map_or(&[][..], Vec::as_slice) {
        let Some(person) = world.items.get(*member).and_then(|i| i.person.as_ref()) else { continue };
        for person in wanted(world, person, edits) {
            out.extend(world.find(&person).iter().filter_map(|i| world.items.get(*i)).map(|i| i.class));
        }
    }
    out.remove(&item.class);
    out
}

/// A kind of change to draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Skin tone.
    Tone,
    /// Gender.
    Gender,
    /// Role.
    Role,
    /// Hair or age.
    Head,
    /// Two attributes.
    Two,
    /// Three attributes.
    Three,
}

/// A record that differs from `to` in the way that `draw` says; none when `to` has no such neighbour by this draw.
pub fn neighbour(rng: &mut ChaCha8Rng, world: &World, to: &Person, draw: Draw) -> Option<Person> {
    let mut from = to.clone();
    let dimensions: Vec<Draw> = match draw {
        Draw::Two | Draw::Three => {
            let count = if draw == Draw::Two { 2 } else { 3 };
            let mut pool = vec![Draw::Tone, Draw::Gender, Draw::Role, Draw::Role];
            if to.role == "person" && to.age == Age::Adult {
                pool.extend([Draw::Head, Draw::Head]);
            }
            let mut chosen = Vec::new();
            while chosen.len() < count {
                let d = *pool.choose(rng)?;
                if !chosen.contains(&d) {
                    chosen.push(d);
                }
            }
            chosen
        }
        one => vec![one],
    };
    for d in dimensions {
        match d {
            Draw::Tone => from.tone = Some(rng.random_range(0..=5)),
            Draw::Gender => from.gender = *world.genders(&from.role, from.age).choose(rng)?,
            Draw::Role => {
                let near = rng.random_bool(0.4);
                let home = &world.roles.get(&to.role)?.subgroup;
                let fits: Vec<&String> = world
                    .roles
                    .iter()
                    .filter(|(n, r)| r.hand == to.hand && r.several == to.several && **n != to.role)
                    .filter(|(_, r)| !near || &r.subgroup == home)
                    .map(|(n, _)| n)
                    .collect();
                from.role = (*fits.choose(rng)?).clone();
                (from.hair, from.age) = (Hair::Plain, Age::Adult);
                if world.roles.get(&from.role).is_some_and(|r| !r.toned) {
                    from.tone = None;
                } else if from.tone.is_none() {
                    from.tone = Some(0);
                }
                if from.role == "person" && rng.random_bool(0.5) {
                    from.hair = *HAIRS.choose(rng)?;
                }
            }
            Draw::Head => {
                if to.role != "person" {
                    return None;
                }
                if to.age == Age::Adult && rng.random_bool(0.65) {
                    from.hair = *HAIRS.choose(rng)?;
                } else {
                    from.age = *AGES.choose(rng)?;
                    if from.age != Age::Adult {
                        from.hair = Hair::Plain;
                    }
                    if from.age == Age::Baby {
                        from.gender = Gender::Neutral;
                    }
                }
            }
            Draw::Two | Draw::Three => return None,
        }
    }
    (from != *to).then_some(from)
}

const HAIRS: [Hair; 7] = [Hair::Plain, Hair::Red, Hair::Curly, Hair::White, Hair::Bald, Hair::Blond, Hair::Beard];

/// The name of a change's kind, for reports.
pub fn kind(from: &Person, edits: &[Edit]) -> String {
    let name = match edits {
        [Edit::Tone(_)] => "skin-tone",
        [Edit::Gender(_) | Edit::NotGender(_)] => "gender",
        [Edit::Role(_)] if from.hand => "sign",
        [Edit::Role(_)] => "role",
        [Edit::Hair(_)] => "hair",
        [Edit::Age(_) | Edit::Older | Edit::Younger] => "age",
        [_, _] => "two",
        _ => "three",
    };
    if from.hand { format!("hand-{name}") } else { name.to_owned() }
}
