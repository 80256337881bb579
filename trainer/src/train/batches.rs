//! The batches of a run: the order of each epoch's triplets, from the seed alone.

use super::settings::Settings;
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The batches of a run, in the order of its steps.
#[derive(Clone)]
pub struct Batches<'a> {
    settings: &'a Settings,
    table: &'a Table,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Batches<'a> {
    /// Of `table`.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when it does not fill one batch.
    pub fn new(settings: &'a Settings, table: &'a Table) -> Result<Self> {
        let (batch, all) = (settings.batch, table.triplets.len());
        if batch > all {
            let problem = format!("{batch} is more than the {all} training triplets");
            return Err(TrainerError::settings("--batch", problem, "choose a smaller batch"));
        }
        Ok(Self { settings, table, epoch: None, order: Vec::new() })
    }

    /// Steps of an epoch.
    pub fn per_epoch(&self) -> usize {
        self.table.triplets.len() / self.settings.batch
    }

    /// The triplets of `step`.
    pub fn of(&mut self, step: usize) -> &[u32] {
        let Settings { seed, group, batch, .. } = *self.settings;
        let epoch = (step / self.per_epoch()) as u64;
        if self.epoch != Some(epoch) {
            self.order = epoch_order(self.table, seed, epoch, group);
            self.epoch = Some(epoch);
        }
        let at = (step % self.per_epoch()) * batch;
        &self.order[at..at + batch]
    }
}

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
