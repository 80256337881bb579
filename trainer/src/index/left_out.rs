//! Near-duplicates as a run treats them: named, or left out of the gallery and remembered.

use super::Near;
use super::near::{self, Group};
use super::state::{Became, Seen};
use super::work::{Item, Work};
use crate::bundle_io::Writer;
use crate::error::Result;
use std::collections::{HashMap, HashSet};

/// Near-duplicates, and what the record says of those that are left out.
#[derive(Default)]
pub struct Duplicates {
    /// The groups.
    pub groups: Vec<Group>,
    /// Photos that are left out.
    pub left_out: Vec<Seen>,
}

/// Looks for near-duplicates, and takes them out where that is asked for.
pub fn duplicates(
    near: Near,
    work: &mut Work,
    writer: &mut Writer,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Duplicates> {
    let (Near::Report(threshold) | Near::Remove(threshold)) = near else { return Ok(Duplicates::default()) };
    let all = work.items.len();
    let groups = near::groups(&work.items, threshold, &mut |at| progress(at, all))?;
    progress(all, all);
    let mut left_out = std::mem::take(&mut work.left_out);
    if let Near::Remove(_) = near {
        left_out.extend(take_out(&groups, work, writer));
    }
    Ok(Duplicates { groups, left_out })
}

/// Takes the duplicates of `groups` out of the gallery, with their files where nothing else uses them.
fn take_out(groups: &[Group], work: &mut Work, writer: &mut Writer) -> Vec<Seen> {
    let of = |group: &Group| {
        let became = |similarity| Became::DuplicateOf { path: group.kept.clone(), similarity };
        group.others.iter().map(|other| (other.id.clone(), became(other.similarity))).collect::<Vec<_>>()
    };
    let mut gone: HashMap<String, Became> = groups.iter().flat_map(of).collect();
    let (out, stay): (Vec<Item>, Vec<Item>) =
        std::mem::take(&mut work.items).into_iter().partition(|item| gone.contains_key(&item.meta.id));
    work.items = stay;
    let files = |item: &Item| {
        let reference = item.meta.reference.as_ref().map(|file| file.path.clone());
        [Some(format!("thumbs/{}", item.meta.thumb)), reference].into_iter().flatten()
    };
    let used: HashSet<String> = work.items.iter().flat_map(files).collect();
    let mut left_out = Vec::new();
    for item in out {
        files(&item).filter(|path| !used.contains(path)).for_each(|path| writer.forget(&path));
        let Some(became) = gone.remove(&item.meta.id) else { continue };
        left_out.push(Seen { path: item.meta.id, stamp: item.stamp, sha256: item.sha256, became });
    }
    left_out
}
