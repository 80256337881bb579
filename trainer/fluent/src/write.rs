//! Writes the data set in CIRR's own layout.

use super::plan::Query;
use super::subsets::Pools;
use super::world::World;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use thisbut_catalogue::layout::{self, ImageSet, Line};
use thisbut_trainer::error::Result;
use thisbut_trainer::fsx;

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
            target_set: None,
            right: draft.targets.len(),
            caption: draft.caption.clone(),
            img_set: ImageSet {
                id: first + n as u64,
                members: six.iter().map(|c| name(*c)).collect(),
                reference_rank: rank(draft.reference),
                target_rank: rank(draft.target),
            },
            group: query.group.to_owned(),
            kind: draft.kind.clone(),
            people: Some(draft.people),
            modifier_generated: None,
        };
        out.push((line, draft.reverse.clone()));
    }
    out
}

/// A split file: name → relative path.
pub fn split(path: &Path, world: &World, allowed: impl Fn(usize) -> bool) -> Result<()> {
    let items = world.canonical().filter(|c| allowed(*c)).filter_map(|c| world.items.get(c));
    layout::split(path, items.map(|i| (i.name.as_str(), format!("./images/{}.webp", i.name))))
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
    layout::pretty(&out.join("images.json"), &meta)
}
