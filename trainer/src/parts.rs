//! How a search answers whose words come in parts, beside the plain one: several texts in a row, and what is not wanted.
//!
//! Both are made of a split's own queries and of what its catalogue says of the images ([`Described::attributes`]).
//!
//! - **In a row**: of a query that changes several attributes, each change is worded by another query that makes this change
//!   alone. The texts are joined by commas, as the page joins a visitor's tokens.
//! - **Not wanted**: of a query that changes one attribute, the value that most of its first ten wrong answers have and its
//!   targets lack. Its name is what is not wanted, where titles use it. [`thisbut_model::ask`] says what that means for scores.

use crate::data::described::Described;
use crate::data::{Table, Triplet};
use crate::error::{Result, TrainerError};
use crate::export::distinct_ids;
use crate::metrics::wilson;
use crate::query::{Answer, Asker, Question, Reference};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

/// Answers that are looked at.
const FIRST: usize = 10;
/// Values of an attribute.
type Values = BTreeSet<String>;

/// What is known of images, by their names.
pub type Known = BTreeMap<String, Described>;

/// How one way of asking did.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Way {
    /// What was asked, for people.
    pub name: String,
    /// Queries.
    pub asked: usize,
    /// Of them those with a right target first.
    pub first: usize,
    /// With a right target among the first ten.
    pub among_ten: usize,
    /// Of the first ten answers of all, those that have the value that is not wanted.
    pub unwanted: Option<usize>,
}

/// The ways of asking that are compared, on the same queries.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub struct Parts {
    /// Several changes: one text, texts in a row, each text alone.
    pub in_a_row: Vec<Way>,
    /// One change and something that is not wanted: left unsaid, said to the engine, said in the text.
    pub not_wanted: Vec<Way>,
}

/// Asks `asker` at most `most` queries of `table` for each of the two comparisons.
///
/// # Errors
/// When the bundle's gallery lacks an image of the table's, when no query is fit, and as [`Asker::answer`].
pub fn measure(
    asker: &Asker,
    table: &Table,
    known: &Known,
    most: usize,
    told: &mut dyn FnMut(usize, usize),
) -> Result<Parts> {
    let exam = Exam::new(asker, table, known)?;
    let (rows, single) = (spread(exam.several(), most), spread(exam.single(), most));
    if rows.is_empty() && single.is_empty() {
        return Err(TrainerError::data(
            "the queries",
            "none changes attributes that images.json names",
            "leave --parts out, or prepare the data set with attributes",
        ));
    }
    let (all, mut done) = (rows.len() + single.len(), 0);
    let mut parts = Parts::default();
    for (triplet, texts) in rows {
        exam.in_a_row(triplet, &texts, &mut parts.in_a_row)?;
        done += 1;
        told(done, all);
    }
    for (triplet, _) in single {
        exam.not_wanted(triplet, &mut parts.not_wanted)?;
        done += 1;
        told(done, all);
    }
    Ok(parts)
}

/// At most `most` of the cases, evenly over all.
fn spread<T>(cases: Vec<T>, most: usize) -> Vec<T> {
    let step = cases.len().div_ceil(most.max(1)).max(1);
    cases.into_iter().step_by(step).collect()
}

struct Exam<'a> {
    asker: &'a Asker,
    table: &'a Table,
    /// Of each image of the table, its name in the bundle's gallery.
    ids: Vec<String>,
    /// Of each image of the table.
    known: Vec<Option<&'a Described>>,
    /// Of each name in the gallery.
    by_id: BTreeMap<String, &'a Described>,
    /// Texts that change one attribute to these values, and nothing else.
    words: BTreeMap<(String, Values), Vec<&'a str>>,
}

impl<'a> Exam<'a> {
    fn new(asker: &'a Asker, table: &'a Table, known: &'a Known) -> Result<Self> {
        let all = 0..table.images.len() as u32;
        let ids: Vec<String> = distinct_ids(table, all)?;
        let gallery: HashSet<&str> = asker.bundle().metadata.iter().map(|image| image.id.as_str()).collect();
        if let Some(id) = ids.iter().find(|id| !gallery.contains(id.as_str())) {
            let mend = "measure parts with a bundle whose gallery is this data set's";
            return Err(TrainerError::data(format!("image '{id}'"), "is not in the bundle's gallery", mend));
        }
        let described: Vec<Option<&Described>> = table.images.iter().map(|image| known.get(&image.name)).collect();
        let by_id =
            ids.iter().cloned().zip(&described).filter_map(|(id, found)| found.map(|found| (id, found))).collect();
        let mut exam = Self { asker, table, ids, known: described, by_id, words: BTreeMap::new() };
        let mut words: BTreeMap<(String, Values), Vec<&'a str>> = BTreeMap::new();
        for triplet in &table.triplets {
            if let [change] = &exam.changes(triplet)[..] {
                words.entry(change.clone()).or_default().push(&triplet.text);
            }
        }
        exam.words = words;
        Ok(exam)
    }

    /// What a query changes: the attributes whose values differ between the reference and the hard target, with the target's.
    fn changes(&self, triplet: &Triplet) -> Vec<(String, Values)> {
        let of = |image: u32| self.known.get(image as usize).copied().flatten();
        let (Some(from), Some(to)) = (of(triplet.reference), triplet.targets.first().and_then(|target| of(*target)))
        else {
            return Vec::new();
        };
        let differs = |(name, values): &(&String, &Values)| from.attributes.get(*name) != Some(values);
        let changed = to.attributes.iter().filter(differs).map(|(name, values)| (name.clone(), values.clone()));
        // An attribute that the target lacks cannot be worded.
        let lost = from.attributes.keys().any(|name| !to.attributes.contains_key(name));
        if lost { Vec::new() } else { changed.collect() }
    }

    /// Queries of several changes, each with a text for every change.
    fn several(&self) -> Vec<(&'a Triplet, Vec<&'a str>)> {
        let worded = |(at, triplet): (usize, &'a Triplet)| {
            let changes = self.changes(triplet);
            let text = |change| self.words.get(change).and_then(|texts| texts.get(at % texts.len().max(1)).copied());
            let texts: Option<Vec<&str>> = changes.iter().map(text).collect();
            texts.filter(|texts| texts.len() > 1).map(|texts| (triplet, texts))
        };
        self.table.triplets.iter().enumerate().filter_map(worded).collect()
    }

    /// Queries of one change.
    fn single(&self) -> Vec<(&'a Triplet, ())> {
        self.table
            .triplets
            .iter()
            .filter(|triplet| self.changes(triplet).len() == 1)
            .map(|triplet| (triplet, ()))
            .collect()
    }

    fn in_a_row(&self, triplet: &Triplet, texts: &[&str], ways: &mut Vec<Way>) -> Result<()> {
        let mut ask = |name: &str, text: &str| -> Result<()> {
            let found = self.ask(triplet, text, None)?;
            self.count(way(ways, name), triplet, &found, None);
            Ok(())
        };
        ask("one text", &triplet.text)?;
        ask("texts in a row", &texts.join(", "))?;
        ask("the first of them alone", texts.first().copied().unwrap_or_default())?;
        ask("the last of them alone", texts.last().copied().unwrap_or_default())
    }

    fn not_wanted(&self, triplet: &Triplet, ways: &mut Vec<Way>) -> Result<()> {
        let plain = self.ask(triplet, &triplet.text, None)?;
        let Some((attribute, value)) = self.unwanted(triplet, &plain) else { return Ok(()) };
        let unwanted = Some((attribute.as_str(), value.as_str()));
        self.count(way(ways, "the text alone"), triplet, &plain, unwanted);
        let without = self.ask(triplet, &triplet.text, Some(&value))?;
        self.count(way(ways, "what is not wanted apart (--not)"), triplet, &without, unwanted);
        let said = self.ask(triplet, &format!("{}, not {value}", triplet.text), None)?;
        self.count(way(ways, "\", not …\" in the text"), triplet, &said, unwanted);
        Ok(())
    }

    /// The value that most of the wrong answers have and no right target has, of those that the answers' titles name.
    fn unwanted(&self, triplet: &Triplet, found: &[Answer]) -> Option<(String, String)> {
        let targets: Vec<&Described> =
            triplet.targets.iter().filter_map(|target| self.known.get(*target as usize).copied().flatten()).collect();
        let mut counts: BTreeMap<(&String, &String), usize> = BTreeMap::new();
        for answer in found {
            let Some(described) = self.by_id.get(&answer.id) else { continue };
            let title = words(&answer.title);
            for (name, value) in
                described.attributes.iter().flat_map(|(name, values)| values.iter().map(move |v| (name, v)))
            {
                let is_right =
                    targets.iter().any(|target| target.attributes.get(name).is_some_and(|own| own.contains(value)));
                let named = words(value).iter().all(|word| title.contains(word));
                if !is_right && named {
                    *counts.entry((name, value)).or_default() += 1;
                }
            }
        }
        let most = counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| b.0.cmp(&a.0)))?;
        Some((most.0.0.clone(), most.0.1.clone()))
    }

    fn ask(&self, triplet: &Triplet, text: &str, without: Option<&str>) -> Result<Vec<Answer>> {
        let mut question = Question::new(Some(Reference::Gallery(&self.ids[triplet.reference as usize])), Some(text));
        question.without = without.map(str::to_owned).into_iter().collect();
        self.asker.answer(&question, FIRST)
    }

    fn count(&self, way: &mut Way, triplet: &Triplet, found: &[Answer], unwanted: Option<(&str, &str)>) {
        let right: HashSet<&str> = triplet.targets.iter().map(|target| self.ids[*target as usize].as_str()).collect();
        let is_right = |answer: &Answer| right.contains(answer.id.as_str());
        way.asked += 1;
        way.first += usize::from(found.first().is_some_and(is_right));
        way.among_ten += usize::from(found.iter().any(is_right));
        if let Some((attribute, value)) = unwanted {
            let has = |answer: &&Answer| {
                let own = self.by_id.get(&answer.id).and_then(|described| described.attributes.get(attribute));
                own.is_some_and(|values| values.contains(value))
            };
            *way.unwanted.get_or_insert(0) += found.iter().filter(has).count();
        }
    }
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// The way of this name, which is added where it is new.
fn way<'w>(ways: &'w mut Vec<Way>, name: &str) -> &'w mut Way {
    let at = ways.iter().position(|way| way.name == name).unwrap_or_else(|| {
        ways.push(Way { name: name.to_owned(), ..Way::default() });
        ways.len() - 1
    });
    &mut ways[at]
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, ways) in [("several changes", &self.in_a_row), ("something is not wanted", &self.not_wanted)] {
            if ways.is_empty() {
                continue;
            }
            writeln!(f, "{title:<34} {:>5} {:>18} {:>18} {:>12}", "n", "R@1", "R@10", "unwanted")?;
            for way in ways {
                let share = |hits| {
                    let [low, high] = wilson(hits, way.asked);
                    format!("{:.1} ({low:.1}–{high:.1})", 100.0 * hits as f64 / way.asked.max(1) as f64)
                };
                let unwanted = way.unwanted.map_or("–".to_owned(), |count| {
                    format!("{:.1}", 100.0 * count as f64 / (FIRST * way.asked).max(1) as f64)
                });
                let (first, ten) = (share(way.first), share(way.among_ten));
                writeln!(f, "{:<34} {:>5} {first:>18} {ten:>18} {unwanted:>12}", way.name, way.asked)?;
            }
        }
        Ok(())
    }
}
