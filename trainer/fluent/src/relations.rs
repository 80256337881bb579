//! Relations between things that say more than "another one": colours, clock times, moon phases, numbers, families.

use super::grammar::{Form, article};
use super::states;
use super::world::World;
use std::collections::{BTreeMap, BTreeSet};

/// A directed relation between two classes, with ways to say it.
#[derive(Clone, Debug)]
pub struct Edge {
    /// Reference class.
    pub from: usize,
    /// The target class that the forms lead to.
    pub to: usize,
    /// Kind, for reports.
    pub kind: &'static str,
    /// Ways to say it.
    pub forms: Vec<Form>,
}

struct Builder<'a> {
    world: &'a World,
    labels: BTreeMap<&'a str, usize>,
    edges: Vec<Edge>,
}

/// All relations of the collection, in a fixed order.
pub fn relations(world: &World) -> Vec<Edge> {
    let labels: BTreeMap<&str, usize> = world.items.iter().rev().map(|i| (i.raw.label.as_str(), i.class)).collect();
    let mut b = Builder { world, labels, edges: Vec::new() };
    b.colours();
    b.clocks();
    b.cycle(
        &MOONS,
        "moon",
        &["the next phase", "one phase further", "a bit later in the month"],
        &["the previous phase", "one phase back", "a bit earlier in the month"],
    );
    b.numbers();
    b.arrows();
    b.states();
    b.families();
    b.edges
}

const COLOURS: [&str; 12] =
    ["red", "orange", "yellow", "green", "blue", "light blue", "purple", "brown", "black", "white", "grey", "pink"];
const MOONS: [&str; 8] = [
    "new moon",
    "waxing crescent moon",
    "first quarter moon",
    "waxing gibbous moon",
    "full moon",
    "waning gibbous moon",
    "last quarter moon",
    "waning crescent moon",
];
const HOURS: [&str; 12] =
    ["twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"];
const ARROWS: [&str; 8] = ["up", "up-right", "right", "down-right", "down", "down-left", "left", "up-left"];

fn whole(texts: &[&str]) -> Vec<Form> {
    texts.iter().map(|t| Form::Whole((*t).to_owned())).collect()
}

impl Builder<'_> {
    fn class(&self, label: &str) -> Option<usize> {
        self.labels.get(label).copied()
    }

    fn edge(&mut self, from: usize, to: usize, kind: &'static str, forms: Vec<Form>) {
        if from != to && !forms.is_empty() {
            self.edges.push(Edge { from, to, kind, forms });
        }
    }

    fn colours(&mut self) {
        let mut kinds: BTreeMap<String, Vec<(&str, usize)>> = BTreeMap::new();
        for item in &self.world.items {
            // "light blue" before "blue": the longest colour word that fits.
            let found = COLOURS.iter().filter(|c| item.raw.label.starts_with(&format!("{c} "))).max_by_key(|c| c.len());
            if let Some(colour) = found {
                let noun = item.raw.label[colour.len() + 1..].to_owned();
                kinds.entry(noun).or_default().push((colour, item.class));
            }
        }
        for size in ["large", "small"] {
            let diamonds = ["orange", "blue"].map(|c| (c, self.class(&format!("{size} {c} diamond"))));
            let found = diamonds.into_iter().filter_map(|(c, k)| Some((c, k?))).collect();
            kinds.insert(format!("{size} diamond"), found);
        }
        for (noun, members) in kinds {
            let short = noun.split(' ').next_back().unwrap_or(&noun).to_owned();
            for (old, a) in &members {
                for (new, b) in &members {
                    let mut forms = vec![
                        Form::Adjective((*new).to_owned()),
                        Form::Adjective((*new).to_owned()),
                        Form::Noun(format!("{} one", article(new))),
                        Form::Noun(format!("{} {short}", article(new))),
                    ];
                    forms.extend(
                        [
                            format!("change the colour to {new}"),
                            format!("in {new}"),
                            format!("in {new} instead of {old}"),
                            format!("{new} rather than {old}"),
                            format!("not {old} but {new}"),
                            format!("paint it {new}"),
                            format!("the same {short} in {new}"),
                            format!("recolour it {new}"),
                            format!("{new} colour"),
                        ]
                        .map(Form::Whole),
                    );
                    self.edge(*a, *b, "colour", forms);
                }
            }
        }
    }

    fn clocks(&mut self) {
        let time = |t: usize| {
            let hour = HOURS.get(t / 2 % 12).copied().unwrap_or("twelve");
            if t.is_multiple_of(2) { format!("{hour} o'clock") } else { format!("{hour}-thirty") }
        };
        for a in 0..24 {
            for b in 0..24 {
                let (Some(from), Some(to)) = (self.class(&time(a)), self.class(&time(b))) else { continue };
                let name = time(b);
                let mut forms: Vec<Form> = [
                    format!("at {name}"),
                    format!("show {name}"),
                    format!("set the clock to {name}"),
                    format!("{name} instead of {}", time(a)),
                    format!("it should be {name}"),
                    name.clone(),
                    format!("change the time to {name}"),
                ]
                .map(Form::Whole)
                .to_vec();
                let later: &[&str] = match (b + 24 - a) % 24 {
                    1 => &["half an hour later", "thirty minutes later", "move the clock half an hour on"],
                    2 => &["one hour later", "an hour later", "move the clock one hour forward"],
                    4 => &["two hours later", "two hours on"],
                    12 => &["six hours later", "six hours earlier", "six hours apart"],
                    20 => &["two hours earlier", "two hours back"],
                    22 => &["one hour earlier", "an hour earlier", "turn the clock back one hour"],
                    23 => &["half an hour earlier", "thirty minutes earlier"],
                    _ => &[],
                };
                forms.extend(whole(later));
                forms.extend(whole(later));
                self.edge(from, to, "clock", forms);
            }
        }
    }

    fn cycle(&mut self, labels: &[&str], kind: &'static str, next: &[&str], previous: &[&str]) {
        let n = labels.len();
        for (i, a) in labels.iter().enumerate() {
            for (j, b) in labels.iter().enumerate() {
                let (Some(from), Some(to)) = (self.class(a), self.class(b)) else { continue };
                let mut forms = vec![Form::Noun(format!("a {b}")), Form::Noun(format!("the {b}"))];
                forms.push(Form::Whole(format!("{b} instead of {a}")));
                if (i + 1) % n == j {
                    forms.extend(whole(next));
                } else if (j + 1) % n == i {
                    forms.extend(whole(previous));
                }
                self.edge(from, to, kind, forms);
            }
        }
    }

    fn numbers(&mut self) {
        for a in 0..=10i32 {
            for b in 0..=10i32 {
                let (Some(from), Some(to)) = (self.class(&format!("keycap: {a}")), self.class(&format!("keycap: {b}")))
                else {
                    continue;
                };
                let mut forms: Vec<Form> = [
                    format!("the number {b}"),
                    format!("{b} instead of {a}"),
                    format!("change the number to {b}"),
                    format!("key {b}"),
                    format!("make it a {b}"),
                ]
                .map(Form::Whole)
                .to_vec();
                match b - a {
                    1 => forms.extend(whole(&["one more", "the next number", "plus one", "one higher"])),
                    -1 => forms.extend(whole(&["one less", "the number before", "minus one", "one lower"])),
                    2 => forms.extend(whole(&["two more", "plus two"])),
                    -2 => forms.extend(whole(&["two less", "minus two"])),
                    _ => {}
                }
                self.edge(from, to, "number", forms);
            }
        }
    }

    fn arrows(&mut self) {
        for (i, a) in ARROWS.iter().enumerate() {
            for (j, b) in ARROWS.iter().enumerate() {
                let (Some(from), Some(to)) = (self.class(&format!("{a} arrow")), self.class(&format!("{b} arrow")))
                else {
                    continue;
                };
                let way = b.replace("up-", "up and to the ").replace("down-", "down and to the ");
                let mut forms: Vec<Form> = [
                    format!("pointing {way}"),
                    format!("make it point {way}"),
                    format!("{way} instead of {a}"),
                    format!("turn it so that it points {way}"),
                    format!("an arrow going {way}"),
                ]
                .map(Form::Whole)
                .to_vec();
                match (j + 8 - i) % 8 {
                    2 => forms.extend(whole(&["rotated 90 degrees clockwise", "a quarter turn to the right"])),
                    4 => forms.extend(whole(&[
                        "the opposite direction",
                        "pointing the other way",
                        "flip the direction",
                        "turned around",
                    ])),
                    6 => forms.extend(whole(&["rotated 90 degrees counterclockwise", "a quarter turn to the left"])),
                    _ => {}
                }
                self.edge(from, to, "direction", forms);
            }
        }
    }

    fn states(&mut self) {
        for (a, b, forward, back) in states::all() {
            let (Some(from), Some(to)) = (self.class(a), self.class(b)) else { continue };
            self.edge(from, to, "state", whole(forward));
            self.edge(to, from, "state", whole(back));
        }
        for (a, b) in states::FACE_AND_BODY {
            let (Some(face), Some(body)) = (self.class(a), self.class(b)) else { continue };
            self.edge(
                body,
                face,
                "face",
                whole(&[
                    "only the face",
                    "just its face",
                    "zoom in on the face",
                    "same animal, but only the head",
                    "the face of it",
                    "its head only, no body",
                    "crop to the face",
                    "without the body",
                ]),
            );
            self.edge(
                face,
                body,
                "face",
                whole(&[
                    "the whole body",
                    "the whole animal",
                    "same animal with its body",
                    "show all of it, not just the face",
                    "full body",
                    "add the body",
                    "not only the head",
                    "zoom out to the whole animal",
                ]),
            );
        }
        for (cat, face) in states::CAT_AND_FACE {
            let (Some(cat), Some(face)) = (self.class(cat), self.class(face)) else { continue };
            self.edge(
                face,
                cat,
                "cat-face",
                whole(&[
                    "as a cat",
                    "a cat with the same expression",
                    "same mood but a cat",
                    "the cat version",
                    "make it a cat",
                    "turn the face into a cat's",
                    "but with cat ears",
                ]),
            );
            self.edge(
                cat,
                face,
                "cat-face",
                whole(&[
                    "not a cat, a round yellow face",
                    "the same expression without the cat",
                    "a normal face, no cat",
                    "as an ordinary smiley",
                    "no cat ears, just the yellow face",
                    "the human emoji version",
                    "not a cat",
                ]),
            );
        }
    }

    fn families(&mut self) {
        let mut families: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for item in &self.world.items {
            if let Some(list) = item.raw.label.strip_prefix("family: ") {
                let mut members: Vec<&str> = list.split(", ").collect();
                members.sort_unstable();
                families.insert(members, item.class);
            }
        }
        let mut edges = Vec::new();
        for (members, class) in &families {
            for who in ["man", "woman", "boy", "girl"] {
                let grown = if matches!(who, "man" | "woman") { [who, "parent"] } else { [who, "child"] };
                let mut more = members.clone();
                more.push(who);
                more.sort_unstable();
                if let Some(to) = families.get(&more) {
                    let add = [
                        format!("add a {who}"),
                        format!("with one more {who}"),
                        format!("plus a {who}"),
                        format!("put a {who} in as well"),
                        format!("and a {who} too"),
                        format!("another {}: a {who}", grown[1]),
                    ];
                    let drop = [
                        format!("remove a {who}"),
                        format!("one {who} less"),
                        format!("one {who} fewer"),
                        format!("take one {who} out"),
                        format!("without one {who}"),
                        format!("leave out a {who}"),
                    ];
                    edges.push((*class, *to, add.map(Form::Whole).to_vec()));
                    edges.push((*to, *class, drop.map(Form::Whole).to_vec()));
                }
                for other in ["man", "woman", "boy", "girl"] {
                    let mut swapped = members.clone();
                    let Some(at) = swapped.iter().position(|m| *m == who) else { continue };
                    swapped[at] = other;
                    swapped.sort_unstable();
                    if let Some(to) = families.get(&swapped).filter(|_| who != other) {
                        let say = [
                            format!("a {other} instead of a {who}"),
                            format!("replace a {who} with a {other}"),
                            format!("swap one {who} for a {other}"),
                            format!("change a {who} to a {other}"),
                            format!("one {who} becomes a {other}"),
                        ];
                        edges.push((*class, *to, say.map(Form::Whole).to_vec()));
                    }
                }
            }
        }
        let mut seen = BTreeSet::new();
        for (from, to, forms) in edges {
            if seen.insert((from, to)) {
                self.edge(from, to, "family", forms);
            }
        }
    }
}
