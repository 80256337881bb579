//! The order of an epoch's triplets, from the seed alone.

use crate::data::table::Table;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// All triplets of one epoch in order. Consecutive batches of `batch` are its steps; a rest too small for a batch is
/// left to the next epoch's shuffle.
///
/// With `group` > 1, each triplet brings up to `group − 1` others along whose target is among its image set's members,
/// then among those members' own sets, so that a batch holds negatives that look like the target.
pub fn epoch_order(table: &Table, seed: u64, epoch: u64, group: usize) -> Vec<u32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ epoch);
    let mut order: Vec<u32> = (0..table.triplets.len() as u32).collect();
    order.shuffle(&mut rng);
    if group <= 1 {
        return order;
    }
    let mut by_target: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for &t in &order {
        if let Some(&target) = table.triplets[t as usize].targets.first() {
            by_target.entry(target).or_default().push(t);
        }
    }
    let mut used = vec![false; order.len()];
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for &seed_triplet in &order {
        if std::mem::replace(&mut used[seed_triplet as usize], true) {
            continue;
        }
        let mut members = vec![seed_triplet];
        // Breadth first through the image sets: the target's own set, then the sets of the members found.
        let mut next = 0;
        while let Some(&from) = members.get(next).filter(|_| members.len() < group) {
            for image in &table.triplets[from as usize].subset {
                if members.len() >= group {
                    break;
                }
                let Some(waiting) = by_target.get_mut(image) else { continue };
                while let Some(candidate) = waiting.pop() {
                    if !std::mem::replace(&mut used[candidate as usize], true) {
                        members.push(candidate);
                        break;
                    }
                }
            }
            next += 1;
        }
        groups.push(members);
    }
    groups.shuffle(&mut rng);
    groups.into_iter().flatten().collect()
}
