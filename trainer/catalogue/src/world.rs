//! The catalogue in memory: attributes with their values, and pictures that have them.

use crate::numbers::Numbers;
use crate::source::{Picture, Source};
use crate::words::{ColumnWords, Words};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use thisbut_trainer::data::Split;
use thisbut_trainer::error::{Result, TrainerError};

/// What the values of an attribute are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Names.
    Plain,
    /// Names or few numbers, from least to most.
    Ordered,
    /// Many numbers, of which texts ask for more or less.
    Measure,
}

/// One attribute.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it and its values are called.
    pub words: ColumnWords,
    /// What its values are to each other.
    pub role: Role,
    /// A picture may have several values.
    pub several: bool,
    /// The values; from least to most where they have an order.
    pub values: Vec<String>,
}

/// One picture, or several that look the same.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its name: its path inside the folder.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// The numbers of its values, by column.
    pub values: Vec<Vec<u32>>,
    /// A line for people.
    pub title: String,
    /// A longer text.
    pub description: Option<String>,
    /// The split that is given for it.
    pub split: Option<Split>,
    /// The thing that it shows: pictures of one thing share a number, and a split.
    pub thing: usize,
    /// Pictures that look the same and are left out.
    pub duplicates: Vec<String>,
}

/// All pictures and attributes.
pub struct World {
    /// The attributes.
    pub columns: Vec<Column>,
    /// The pictures.
    pub items: Vec<Item>,
    /// `determines[a][b]`: a picture's value of `a` tells that of `b`.
    pub determines: Vec<Vec<bool>>,
    /// What was decided on the way.
    pub notes: Vec<String>,
}

/// Columns with more distinct values than this, and than half of the pictures, name pictures rather than describe them.
const NAMES: usize = 30;
/// Texts that are longer on the average are descriptions.
const LONG: usize = 60;
/// Numbers with more distinct values are measures.
const STEPS: usize = 12;
/// Pictures beyond the first of each value that a dependence of columns must rest on.
const EVIDENCE: usize = 20;

impl World {
    /// Indexes a source. `class` has for each picture the first that looks like it; `chosen` says that the user named the
    /// attributes.
    ///
    /// # Errors
    /// When no attribute has two values.
    pub fn new(source: &Source, class: &[usize], words: &Words, chosen: bool) -> Result<Self> {
        let mut world = Self { columns: Vec::new(), items: Vec::new(), determines: Vec::new(), notes: Vec::new() };
        let mut picked = Vec::new();
        for (at, name) in source.columns.iter().enumerate() {
            let spelled = Spelled::new(source, at, words.of(name));
            match spelled.unfit(name, source.pictures.len(), chosen) {
                Some(note) => world.notes.push(note),
                None => {
                    let column = spelled.column(name);
                    picked.push((at, spelled.numbers(&column)));
                    world.columns.push(column);
                }
            }
        }
        if world.columns.is_empty() {
            let why = world.notes.first().map_or_else(|| "there is none".to_owned(), Clone::clone);
            return Err(TrainerError::data(
                "the attributes",
                format!("nothing differs between the pictures: {why}"),
                "give at least one attribute with two values, by folders or with --csv FILE",
            ));
        }
        world.items(source, class, &picked);
        world.determines = world.dependences();
        world.titles(source);
        Ok(world)
    }

    fn items(&mut self, source: &Source, class: &[usize], picked: &[(usize, BTreeMap<String, u32>)]) {
        let mut things: BTreeMap<&str, usize> = BTreeMap::new();
        let mut place: BTreeMap<usize, usize> = BTreeMap::new();
        for (n, picture) in source.pictures.iter().enumerate() {
            let first = class.get(n).copied().unwrap_or(n);
            if let Some(item) = place.get(&first).and_then(|at| self.items.get_mut(*at)) {
                item.duplicates.push(picture.id.clone());
                continue;
            }
            place.insert(first, self.items.len());
            let numbered = |(at, numbers): &(usize, BTreeMap<String, u32>)| {
                let of = picture.values.get(*at).into_iter().flatten();
                let set: BTreeSet<u32> = of.filter_map(|value| numbers.get(&key(value)).copied()).collect();
                set.into_iter().collect()
            };
            let own = self.items.len();
            let thing = match &picture.item {
                Some(item) => *things.entry(item).or_insert(own),
                None => own,
            };
            self.items.push(Item {
                name: picture.id.clone(),
                path: picture.path.clone(),
                values: picked.iter().map(numbered).collect(),
                title: picture.title.clone().unwrap_or_default(),
                description: picture.description.clone(),
                split: picture.split,
                thing,
                duplicates: Vec::new(),
            });
        }
    }

    fn titles(&mut self, source: &Source) {
        let said = source.pictures.iter().any(|picture| picture.title.is_some());
        let made: Vec<String> = self.items.iter().map(|item| crate::grammar::title(self, item)).collect();
        for (item, made) in self.items.iter_mut().zip(made) {
            if item.title.is_empty() && !made.is_empty() {
                item.title = made;
            }
        }
        if !said {
            self.notes.push("titles are made of the attributes".to_owned());
        }
    }

    /// Which column's value tells which other's, with evidence enough that it is no accident.
    fn dependences(&self) -> Vec<Vec<bool>> {
        let count = self.columns.len();
        let mut out = vec![vec![false; count]; count];
        for (a, row) in out.iter_mut().enumerate() {
            for (b, told) in row.iter_mut().enumerate() {
                *told = a != b && self.tells(a, b);
            }
        }
        // Where two columns tell each other, they say one thing; the first in order stands for both.
        let both: Vec<(usize, usize)> = (0..count)
            .flat_map(|a| (a + 1..count).map(move |b| (a, b)))
            .filter(|(a, b)| out[*a][*b] && out[*b][*a])
            .collect();
        both.into_iter().for_each(|(a, b)| out[b][a] = false);
        out
    }

    fn tells(&self, a: usize, b: usize) -> bool {
        let measure = |c: usize| self.columns.get(c).is_none_or(|column| column.role == Role::Measure);
        if measure(a) || measure(b) {
            return false;
        }
        let mut seen: BTreeMap<&[u32], (&[u32], usize)> = BTreeMap::new();
        for item in &self.items {
            let (Some(from), Some(to)) = (item.values.get(a), item.values.get(b)) else { return false };
            if from.is_empty() {
                continue;
            }
            let entry = seen.entry(from).or_insert((to, 0));
            if entry.0 != to.as_slice() {
                return false;
            }
            entry.1 += 1;
        }
        let evidence: usize = seen.values().map(|(_, n)| n - 1).sum();
        let told: BTreeSet<&[u32]> = seen.values().map(|(to, _)| *to).collect();
        evidence >= EVIDENCE && evidence * 2 >= self.items.len() && told.len() > 1
    }

    /// The spelled values of a picture.
    pub fn said(&self, item: &Item) -> BTreeMap<&str, Vec<&str>> {
        let columns = self.columns.iter().zip(&item.values).filter(|(_, values)| !values.is_empty());
        columns
            .map(|(column, values)| {
                let spelled = values.iter().filter_map(|v| column.values.get(*v as usize)).map(String::as_str);
                (column.name.as_str(), spelled.collect())
            })
            .collect()
    }
}

/// How values are told apart: by their letters in any case.
fn key(value: &str) -> String {
    value.to_lowercase()
}

/// The values of one column with their spellings.
struct Spelled {
    words: ColumnWords,
    /// Key → spelling → how often.
    spellings: BTreeMap<String, BTreeMap<String, usize>>,
    several: bool,
    filled: usize,
    letters: usize,
}

impl Spelled {
    fn new(source: &Source, at: usize, words: ColumnWords) -> Self {
        let mut out = Self { words, spellings: BTreeMap::new(), several: false, filled: 0, letters: 0 };
        for Picture { values, .. } in &source.pictures {
            let Some(values) = values.get(at) else { continue };
            out.several |= values.len() > 1;
            out.filled += usize::from(!values.is_empty());
            for value in values {
                out.letters += value.chars().count();
                *out.spellings.entry(key(value)).or_default().entry(value.clone()).or_default() += 1;
            }
        }
        out
    }

    /// Why the column is no attribute, if it is none.
    fn unfit(&self, name: &str, pictures: usize, chosen: bool) -> Option<String> {
        let distinct = self.spellings.len();
        let left_out = |why: String| Some(format!("column '{name}' {why}; it is left out"));
        if distinct == 0 {
            return left_out("is empty".to_owned());
        }
        if distinct == 1 && (!self.several || self.filled == pictures) && self.filled * 10 >= pictures * 9 {
            let value = self.spellings.keys().next().map_or("", String::as_str);
            return left_out(format!("has one value only, '{value}'"));
        }
        if chosen || self.measured().is_some() {
            return None;
        }
        let option = if name.contains(' ') { format!("'{name}'") } else { name.to_owned() };
        let mean = self.letters / self.filled.max(1);
        if mean > LONG {
            return left_out(format!("holds texts of {mean} letters, not values (--attributes {option} takes it)"));
        }
        if distinct > NAMES && distinct * 2 > self.filled {
            return left_out(format!(
                "has {distinct} different values in {} pictures (--attributes {option} takes it)",
                self.filled
            ));
        }
        None
    }

    /// How the values are written, where all are numbers.
    fn measured(&self) -> Option<Numbers> {
        if self.several || self.spellings.len() < 2 { None } else { Numbers::of(self.spellings.keys()) }
    }

    fn column(&self, name: &str) -> Column {
        let mut words = self.words.clone();
        let proper = words.proper.unwrap_or(false);
        let mut values: Vec<String> = self
            .spellings
            .values()
            .filter_map(|spellings| spellings.iter().max_by_key(|(_, n)| **n).map(|(spelling, _)| spelling))
            .map(|spelling| if proper { spelling.clone() } else { small(spelling) })
            .collect();
        let place = |value: &String| words.order.iter().position(|known| known.eq_ignore_ascii_case(value));
        let role = if let Some(written) = self.measured() {
            let number = |value: &str| written.read(value).unwrap_or(0.0);
            values.sort_by(|a, b| number(a).total_cmp(&number(b)).then(a.cmp(b)));
            if values.len() > STEPS { Role::Measure } else { Role::Ordered }
        } else if !self.several && values.len() > 1 && values.iter().all(|value| place(value).is_some()) {
            values.sort_by_key(|value| place(value));
            Role::Ordered
        } else {
            Role::Plain
        };
        // A word that is itself another value, or stands for two values that occur, would say the wrong thing.
        let keys: BTreeSet<String> = values.iter().map(|value| key(value)).collect();
        words.values = words
            .values
            .into_iter()
            .map(|(value, list)| (key(&value), list))
            .filter(|(value, _)| keys.contains(value))
            .collect();
        let mut claims: BTreeMap<String, usize> = BTreeMap::new();
        words.values.values().flatten().for_each(|word| *claims.entry(key(word)).or_default() += 1);
        for (value, list) in &mut words.values {
            list.retain(|word| {
                key(word) == *value || (!keys.contains(&key(word)) && claims.get(&key(word)) == Some(&1))
            });
        }
        Column { name: name.to_owned(), words, role, several: self.several, values }
    }

    fn numbers(&self, column: &Column) -> BTreeMap<String, u32> {
        column.values.iter().zip(0u32..).map(|(value, n)| (key(value), n)).collect()
    }
}

/// Small letters, except in words with a capital letter or digit beyond their first letter: "XL", "USB-C".
fn small(value: &str) -> String {
    let word = |word: &str| match word.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit())
        && word.chars().count() < 6
    {
        true => word.to_owned(),
        false => word.to_lowercase(),
    };
    value.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
