//! Queries as lines of CIRR's layout, and the pictures beside them.

use crate::bits::Bits;
use crate::layout::{self, ImageSet, Line};
use crate::plan::Query;
use crate::subsets;
use crate::wish::Pool;
use crate::world::World;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::{fsx, images};

/// A row lists so many right targets itself; more are a set that rows share.
const LISTED: usize = 20;
/// So many pictures compete for a place among the six.
const COMPARED: usize = 400;

/// Lines with their reverse texts.
pub type Lines = Vec<(Line, String)>;

/// Sets of right targets by name, each a list of pictures' names.
#[derive(Default)]
pub struct Sets<'a> {
    names: BTreeMap<Vec<usize>, String>,
    /// Name → pictures.
    pub members: BTreeMap<String, Vec<&'a str>>,
}

fn name(world: &World, item: usize) -> &str {
    match world.items.get(item) {
        Some(item) => &item.name,
        None => panic!("picture {item} of a catalogue of {}", world.items.len()),
    }
}

impl<'a> Sets<'a> {
    fn named(&mut self, world: &'a World, right: &Bits) -> String {
        let items: Vec<usize> = right.iter().collect();
        if let Some(name) = self.names.get(&items) {
            return name.clone();
        }
        let made = format!("s{}", self.names.len() + 1);
        self.members.insert(made.clone(), items.iter().map(|item| name(world, *item)).collect());
        self.names.insert(items, made.clone());
        made
    }
}

/// Turns queries into lines; ids start at `first`.
pub fn lines<'a>(rng: &mut ChaCha8Rng, pool: &Pool<'a>, queries: &[Query], first: u64) -> (Lines, Sets<'a>) {
    let (world, mut sets) = (pool.world, Sets::default());
    let members: Vec<usize> = pool.members.iter().collect();
    let mut out = Vec::with_capacity(queries.len());
    for (id, query) in (first..).zip(queries) {
        let draft = &query.draft;
        let six = six(rng, pool, &members, query);
        let rank = |item: usize| match six.iter().position(|c| *c == item) {
            Some(rank) => rank,
            None => panic!("picture {item} of query {id} is not among its six"),
        };
        let right = draft.right.count();
        let many = right > LISTED;
        let listed = draft.right.iter().filter(|item| !many || *item == draft.target);
        let line = Line {
            pairid: id,
            reference: name(world, draft.reference).to_owned(),
            target_hard: name(world, draft.target).to_owned(),
            target_soft: listed.map(|item| (name(world, item).to_owned(), 1.0)).collect(),
            target_set: many.then(|| sets.named(world, &draft.right)),
            right,
            caption: draft.caption.clone(),
            img_set: ImageSet {
                id,
                members: six.iter().map(|item| name(world, *item).to_owned()).collect(),
                reference_rank: rank(draft.reference),
                target_rank: rank(draft.target),
            },
            group: query.group.to_owned(),
            kind: draft.kind.clone(),
            people: None,
            modifier_generated: None,
        };
        out.push((line, draft.reverse.clone()));
    }
    (out, sets)
}

/// Six pictures: the four beside reference and target share most attributes with them, and are no right targets.
fn six(rng: &mut ChaCha8Rng, pool: &Pool, members: &[usize], query: &Query) -> Vec<usize> {
    let (from, to) = (query.draft.reference, query.draft.target);
    let start = if members.len() > COMPARED { rng.random_range(0..members.len()) } else { 0 };
    // A stretch of evenly spaced places stands for all.
    let step = members.len().div_ceil(COMPARED).max(1);
    let looked = (0..members.len()).step_by(step).map(|at| members[(start + at) % members.len()]);
    let free = looked.filter(|item| *item != from && *item != to && !query.draft.right.has(*item));
    let scored =
        free.map(|item| (alike(pool, item, from) + alike(pool, item, to) + rng.random_range(0.0..0.9), item)).collect();
    subsets::six(rng, scored, from, to)
}

/// How many attributes two pictures share.
fn alike(pool: &Pool, a: usize, b: usize) -> f32 {
    let columns = 0..pool.world.columns.len();
    let shared = columns.filter(|c| !pool.values(a, *c).is_empty() && pool.values(a, *c) == pool.values(b, *c));
    shared.count() as f32
}

/// What `images.json` says of one picture.
#[derive(Serialize)]
struct Meta<'a> {
    title: &'a str,
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    attributes: BTreeMap<&'a str, Vec<&'a str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    duplicates: Vec<&'a str>,
}

/// Copies the pictures and writes `images.json`: name → title, tags, description, attributes, look-alikes.
///
/// # Errors
/// When a file cannot be read or written.
pub fn pictures(out: &Path, world: &World, wanted: impl Fn(usize) -> bool) -> Result<()> {
    let mut meta = BTreeMap::new();
    for (_, item) in world.items.iter().enumerate().filter(|(n, _)| wanted(*n)) {
        let target = out.join("images").join(&item.name);
        let bytes = images::read_file(&item.path)?;
        // An unchanged file needs no second write.
        if !target.is_file() || fsx::read(&target, images::MAX_FILE_BYTES)? != bytes {
            fsx::write_atomic(&target, &bytes)?;
        }
        let attributes = world.said(item);
        let tags = attributes.values().flatten().copied().collect();
        let duplicates = item.duplicates.iter().map(String::as_str).collect();
        let description = item.description.as_deref();
        meta.insert(item.name.as_str(), Meta { title: &item.title, tags, description, attributes, duplicates });
    }
    layout::pretty(&out.join("images.json"), &meta)
}

/// The table of titles in the data set's folder.
pub const TITLES: &str = "titles.csv";

/// Writes the titles and tags of every picture, look-alikes and pictures of no split too, as `thisbut index --csv` reads them.
///
/// # Errors
/// When the file cannot be written.
pub fn titles(out: &Path, world: &World) -> Result<()> {
    let mut table = "file,title,tags\n".to_owned();
    for item in &world.items {
        let said = world.said(item);
        let tags: Vec<&str> = said.values().flatten().copied().collect();
        for name in [&item.name].into_iter().chain(&item.duplicates) {
            let fields = [name.as_str(), &item.title, &tags.join("|")].map(field);
            table.push_str(&fields.join(","));
            table.push('\n');
        }
    }
    fsx::write_atomic(&out.join(TITLES), table.as_bytes())
}

/// A text as a field of a table, in quotes where it needs them.
pub fn field(text: &str) -> String {
    let bare = !text.contains([',', '"', '\n', '\r']);
    if bare { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

/// Writes the captions, sets and images of a split.
///
/// # Errors
/// When a file cannot be written.
pub fn split(out: &Path, pool: &Pool, word: &str, (lines, sets): &(Lines, Sets)) -> Result<()> {
    let captions = out.join("captions");
    layout::captions(&captions.join(format!("cap.rc2.{word}.json")), lines)?;
    layout::pretty(&captions.join(format!("targets.rc2.{word}.json")), &sets.members)?;
    if word == "train" {
        layout::reversed(&captions.join("cap.rc2.train_rev.jsonl"), lines)?;
    }
    let names = pool.members.iter().map(|item| name(pool.world, item));
    let images = names.map(|name| (name, format!("./images/{name}")));
    layout::split(&out.join("image_splits").join(format!("split.rc2.{word}.json")), images)
}

/// Removes the files of a split that an earlier run had and this one has not.
///
/// # Errors
/// When one will not go.
pub fn forget(out: &Path, word: &str) -> Result<()> {
    let captions = ["cap", "targets"].map(|kind| out.join("captions").join(format!("{kind}.rc2.{word}.json")));
    let images = out.join("image_splits").join(format!("split.rc2.{word}.json"));
    captions.iter().chain([&images]).try_for_each(|path| remove(path))
}

/// Removes a file of an earlier run, where it is there.
///
/// # Errors
/// When it will not go.
pub fn remove(path: &Path) -> Result<()> {
    match path.is_file() {
        true => std::fs::remove_file(path).map_err(|e| TrainerError::io(path, "remove", e, "check its permissions")),
        false => Ok(()),
    }
}

/// Refuses a folder that has other things in it than an earlier catalogue.
///
/// # Errors
/// When it does.
pub fn check_out(out: &Path) -> Result<()> {
    let place = out.display().to_string();
    let refuse =
        |problem: &str| Err(TrainerError::settings("--out", format!("{place} {problem}"), "give another folder"));
    if out.exists() && !out.is_dir() {
        return refuse("is not a folder");
    }
    let report = out.join("report.json");
    let made = fsx::read_text(&report, fsx::SMALL).is_ok_and(|text| text.contains(crate::report::MADE_BY));
    let empty = std::fs::read_dir(out).map_or(true, |mut entries| entries.next().is_none());
    if empty || made { Ok(()) } else { refuse("holds other things than a catalogue that this command made") }
}
