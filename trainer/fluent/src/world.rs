//! The collection in memory: items with their records, look-alike classes, and look-up by attributes.

use super::pixels::Look;
use super::record::{Age, Gender, Person, TONES, parse};
use super::source::Raw;
use std::collections::{BTreeMap, BTreeSet};

/// One image.
#[derive(Clone, Debug)]
pub struct Item {
    /// Unique readable name, also the file's stem.
    pub name: String,
    /// Readable title, with the skin tone that the pixels show.
    pub title: String,
    /// As published.
    pub raw: Raw,
    /// Attributes of a person or hand, with the skin tone that the pixels show.
    pub person: Option<Person>,
    /// The tone that the file name claims, where it has one.
    pub named_tone: Option<u8>,
    /// Index of the look-alike class's first image.
    pub class: usize,
}

/// What a role comes in.
#[derive(Clone, Debug, Default)]
pub struct Role {
    /// A hand.
    pub hand: bool,
    /// Two people.
    pub several: bool,
    /// Has skin tones.
    pub toned: bool,
    /// Its subgroup.
    pub subgroup: String,
    /// Number of images.
    pub images: usize,
}

/// All items and their indices.
pub struct World {
    /// Every image that has an annotation.
    pub items: Vec<Item>,
    /// Class → members, first image first.
    pub members: BTreeMap<usize, Vec<usize>>,
    /// Role name → what it comes in.
    pub roles: BTreeMap<String, Role>,
    genders: BTreeMap<(String, Age), BTreeSet<Gender>>,
    index: BTreeMap<Person, Vec<usize>>,
}

impl World {
    /// Parses the labels, mends the tones by the pixels, and indexes. `looks` and `class` stand beside `raws`.
    pub fn new(raws: Vec<Raw>, looks: &[Look], class: &[usize]) -> Self {
        let mut people: Vec<Option<Person>> = raws.iter().map(|r| parse(&r.label, &r.subgroup)).collect();
        let named: Vec<Option<u8>> = people.iter().map(|p| p.as_ref().and_then(|p| p.tone)).collect();
        mend_tones(&raws, looks, &mut people);
        let mut labels: Vec<String> = raws.iter().map(|r| r.label.clone()).collect();
        mend_genders(&mut people, &mut labels);
        let mut roles: BTreeMap<String, Role> = BTreeMap::new();
        for (person, raw) in people.iter().zip(&raws) {
            if let Some(p) = person {
                let role = roles.entry(p.role.clone()).or_default();
                role.hand = p.hand;
                role.several |= p.several;
                role.toned |= p.tone.is_some();
                role.subgroup.clone_from(&raw.subgroup);
                role.images += 1;
            }
        }
        let mut genders: BTreeMap<(String, Age), BTreeSet<Gender>> = BTreeMap::new();
        let mut index: BTreeMap<Person, Vec<usize>> = BTreeMap::new();
        for (i, person) in people.iter_mut().enumerate() {
            let Some(p) = person else { continue };
            if roles.get(&p.role).is_some_and(|r| r.toned) && p.tone.is_none() {
                p.tone = Some(0);
            }
            genders.entry((p.role.clone(), p.age)).or_default().insert(p.gender);
            index.entry(p.clone()).or_default().push(i);
        }
        let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        class.iter().enumerate().for_each(|(i, c)| members.entry(*c).or_default().push(i));
        let mut used = BTreeSet::new();
        let mut items = Vec::with_capacity(raws.len());
        let rows = raws.into_iter().zip(labels).zip(people).zip(named).zip(class);
        for ((((raw, label), person), named_tone), class) in rows {
            let shown = person.as_ref().and_then(|p| p.tone);
            let title = match (named_tone, shown) {
                (Some(a), Some(b)) if a != b => label.replace(
                    &format!("{} skin tone", TONES.get(a as usize - 1).unwrap_or(&"")),
                    &format!("{} skin tone", TONES.get(b as usize - 1).unwrap_or(&"")),
                ),
                _ => label,
            };
            let slug = slug(&title);
            let mut name = slug.clone();
            let mut n = 2;
            while !used.insert(name.clone()) {
                name = format!("{slug}-{n}");
                n += 1;
            }
            items.push(Item { name, title, raw, person, named_tone, class: *class });
        }
        Self { items, members, roles, genders, index }
    }

    /// The images with exactly these attributes.
    pub fn find(&self, person: &Person) -> &[usize] {
        self.index.get(person).map_or(&[], Vec::as_slice)
    }

    /// Genders that a role comes in at an age.
    pub fn genders(&self, role: &str, age: Age) -> Vec<Gender> {
        self.genders.get(&(role.to_owned(), age)).map(|g| g.iter().copied().collect()).unwrap_or_default()
    }

    /// Whether two classes show the same role.
    pub fn same_role(&self, a: usize, b: usize) -> bool {
        let role = |c: usize| self.items.get(c).and_then(|i| i.person.as_ref()).map(|p| p.role.as_str());
        role(a).is_some() && role(a) == role(b)
    }

    /// The first images of all classes, in order.
    pub fn canonical(&self) -> impl Iterator<Item = usize> + '_ {
        self.members.keys().copied()
    }
}

/// Files that are copies of another tone's file, so that no order of tones shows in them: key → the tone shown.
const COPIES: [(&str, u8); 1] = [("1fac4-1f3ff", 4)];

/// Roles whose files for women and men stand under each other's names (seen by eye, and by the clothes: women wear
/// purple, men blue).
const SWAPPED: [&str; 1] = ["deaf"];

fn mend_genders(people: &mut [Option<Person>], labels: &mut [String]) {
    for (person, label) in people.iter_mut().zip(labels) {
        let Some(p) = person.as_mut().filter(|p| SWAPPED.contains(&p.role.as_str())) else { continue };
        let (gender, title) = match p.gender {
            Gender::Woman => (Gender::Man, label.replacen("woman", "man", 1)),
            Gender::Man => (Gender::Woman, label.replacen("man", "woman", 1)),
            other => (other, label.clone()),
        };
        (p.gender, *label) = (gender, title);
    }
}

/// Files whose names differ only in the tone show one drawing; the pixels tell which tone each one is.
fn mend_tones(raws: &[Raw], looks: &[Look], people: &mut [Option<Person>]) {
    let mut families: BTreeMap<String, BTreeMap<u8, usize>> = BTreeMap::new();
    for (i, raw) in raws.iter().enumerate() {
        if let Some(tone) = people.get(i).and_then(Option::as_ref).and_then(|p| p.tone) {
            let base: Vec<&str> = raw.key.split('-').filter(|p| !p.starts_with("1f3f") || *p == "1f3f3").collect();
            families.entry(base.join("-")).or_default().insert(tone, i);
        }
    }
    for family in families.values() {
        let files: Vec<usize> = (1..=5).filter_map(|t| family.get(&t).copied()).collect();
        let seen: Vec<&Look> = files.iter().filter_map(|i| looks.get(*i)).collect();
        let Ok(five) = <[&Look; 5]>::try_from(seen) else { continue };
        // Where two files hold the same picture the order cannot be read; the package's usual slip (2 and 3 swapped)
        // is then the best guess.
        let order = super::pixels::tone_order(five).unwrap_or([1, 3, 2, 4, 5]);
        for (i, tone) in files.iter().zip(order) {
            let copy = raws.get(*i).and_then(|r| COPIES.iter().find(|(key, _)| *key == r.key)).map(|(_, t)| *t);
            if let Some(Some(p)) = people.get_mut(*i) {
                p.tone = copy.or(Some(tone));
            }
        }
    }
}

/// Lower-case words joined by `-`.
pub fn slug(title: &str) -> String {
    let folded: String = unaccented(title).to_lowercase();
    let words = folded.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty());
    let out = words.collect::<Vec<_>>().join("-");
    match title {
        "keycap: #" => "keycap-hash".to_owned(),
        "keycap: *" => "keycap-star".to_owned(),
        _ if out.is_empty() => "image".to_owned(),
        _ => out,
    }
}

fn unaccented(text: &str) -> String {
    let map = [("áàâãåÅ", 'a'), ("éèê", 'e'), ("íî", 'i'), ("óôõö", 'o'), ("úü", 'u'), ("ñ", 'n'), ("ç", 'c')];
    let plain = |c: char| map.iter().find(|(set, _)| set.contains(c)).map_or(c, |(_, p)| *p);
    text.replace('\'', "").chars().map(plain).collect()
}
