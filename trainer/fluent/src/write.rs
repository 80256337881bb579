//! Writes the data set in CIRR's own layout.

use super::plan::Query;
use super::subsets::Pools;
use super::world::World;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// CIRR's subset fields.
#[derive(Clone, Debug, Serialize)]
pub struct ImageSet {
    /// Number of the set.
    pub id: u64,
    /// Six names.
    pub members: Vec<String>,
    /// Index of the reference.
    pub reference_rank: usize,
    /// Index of the target.
    pub target_rank: usize,
}

/// One line of a caption file: CIRR's fields, then this collection's own.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Number of the pair.
    pub pairid: u64,
    /// Reference name.
    pub reference: String,
    /// The target.
    pub target_hard: String,
    /// Every right target with 1.0.
    pub target_soft: BTreeMap<String, f32>,
    /// The modifier.
    pub caption: String,
    /// Six similar images.
    pub img_set: ImageSet,
    /// "train", "seen", "unseen-combination", "unseen-role".
    pub group: String,
    /// Kind of change.
    pub kind: String,
    /// Whether both images show people.
    pub people: bool,
    /// The reverse modifier, in MTST's fine-tune form only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modifier_generated: Option<String>,
}

/// Turns queries into lines; ids start at `first`. The reverse modifiers stand beside.
///
/// # Panics
/// When a query is of another world, or its six images lack the reference or the target.
pub fn lines(rng: &mut ChaCha8Rng, world: &World, queries: &[Query], pools: &Pools, first: u64) -> Vec<(Line, String)> {
    let name = |class: usize| match world.items.get(class) {
        Some(item) => item.name.clone(),
        None => panic!("image {class} of a world of {}", world.items.len()),
    };
    let mut out = Vec::with_capacity(queries.len());
    for (n, query) in queries.iter().enumerate() {
        let draft = &query.draft;
        let six = pools.six(rng, world, draft);
        let rank = |class: usize| match six.iter().position(|c| *c == class) {
            Some(rank) => rank,
            None => panic!("image {class} of query {} is not among its six", first + n as u64),
        };
        let line = Line {
            pairid: first + n as u64,
            reference: name(draft.reference),
            target_hard: name(draft.target),
            target_soft: draft.targets.iter().map(|t| (name(*t), 1.0)).collect(),
            caption: draft.caption.clone(),
            img_set: ImageSet {
                id: first + n as u64,
                members: six.iter().map(|c| name(*c)).collect(),
                reference_rank: rank(draft.reference),
                target_rank: rank(draft.target),
            },
            group: query.group.to_owned(),
            kind: draft.kind.clone(),
            people: draft.people,
            modifier_generated: None,
        };
        out.push((line, draft.reverse.clone()));
    }
    out
}

fn json<T: Serialize>(value: &T, path: &Path) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this as a defect"))
}

/// A caption file: a JSON array, one triplet a line.
pub fn captions(path: &Path, lines: &[(Line, String)]) -> Result<()> {
    let rows = lines.iter().map(|(l, _)| json(l, path)).collect::<Result<Vec<_>>>()?;
    fsx::write_atomic_with(path, |file| {
        file.write_all(b"[")?;
        for (n, row) in rows.iter().enumerate() {
            file.write_all(if n == 0 { b"\n" } else { b",\n" })?;
            file.write_all(row.as_bytes())?;
        }
        file.write_all(b"\n]\n")
    })
}

/// MTST's fine-tune form: one JSON object a line, with the reverse modifier.
pub fn reversed(path: &Path, lines: &[(Line, String)]) -> Result<()> {
    let rows = lines
        .iter()
        .map(|(l, reverse)| json(&Line { modifier_generated: Some(reverse.clone()), ..l.clone() }, path))
        .collect::<Result<Vec<_>>>()?;
    fsx::write_atomic_with(path, |file| rows.iter().try_for_each(|row| writeln!(file, "{row}")))
}

/// A split file: name → relative path.
pub fn split(path: &Path, world: &World, allowed: impl Fn(usize) -> bool) -> Result<()> {
    let names: BTreeMap<&str, String> = world
        .canonical()
        .filter(|c| allowed(*c))
        .filter_map(|c| world.items.get(c))
        .map(|i| (i.name.as_str(), format!("./images/{}.webp", i.name)))
        .collect();
    pretty(path, &names)
}

/// Indented JSON.
pub fn pretty<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| TrainerError::data(path.display().to_string(), e.to_string(), "report this as a defect"))?;
    fsx::write_atomic(path, text.as_bytes())
}

/// What `images.json` says of one image.
#[derive(Serialize)]
struct Meta<'a> {
    title: &'a str,
    tags: &'a [String],
    group: &'a str,
    subgroup: &'a str,
    hexcode: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<&'a super::record::Person>,
    duplicates: Vec<&'a str>,
}

/// Copies the first image of each class and writes `images.json`: name → title, tags, groups, attributes, look-alikes.
pub fn images(out: &Path, world: &World) -> Result<()> {
    let mut meta = BTreeMap::new();
    for (class, members) in &world.members {
        let Some(item) = world.items.get(*class) else { continue };
        let target = out.join("images").join(format!("{}.webp", item.name));
        let bytes = fsx::read(&item.raw.path, fsx::MIDDLE)?;
        // An unchanged file needs no second write; a first run writes all of them.
        if fsx::read(&target, fsx::MIDDLE).ok().as_deref() != Some(bytes.as_slice()) {
            fsx::write_atomic(&target, &bytes)?;
        }
        let duplicates =
            members.iter().filter(|m| *m != class).filter_map(|m| world.items.get(*m)).map(|i| i.title.as_str());
        meta.insert(
            item.name.as_str(),
            Meta {
                title: &item.title,
                tags: &item.raw.tags,
                group: &item.raw.group,
                subgroup: &item.raw.subgroup,
                hexcode: &item.raw.key,
                attributes: item.person.as_ref(),
                duplicates: duplicates.collect(),
            },
        );
    }
    pretty(&out.join("images.json"), &meta)
}
