//! The batches of a run: the order of each epoch's triplets, from the seed alone.

use super::objective::Read;
use super::settings::{Settings, Wordings};
use crate::data::table::Table;
use crate::error::{Result, TrainerError};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// The batches of a run, in the order of its steps.
#[derive(Clone)]
pub struct Batches<'a> {
    settings: &'a Settings,
    table: &'a Table,
    /// Triplets that an epoch reads.
    pairs: usize,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Batches<'a> {
    /// Of `table`.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when it does not fill one batch.
    pub fn new(settings: &'a Settings, table: &'a Table) -> Result<Self> {
        let batch = settings.batch;
        let all = match settings.wordings.unwrap_or_default() {
            Wordings::Drawn => table.triplets.iter().filter(|triplet| !triplet.further_wording).count(),
            Wordings::Spread => table.triplets.len(),
        };
        if batch > all {
            return Err(too_large(settings, all));
        }
        Ok(Self { settings, table, pairs: all, epoch: None, order: Vec::new() })
    }

    /// Steps of an epoch.
    pub fn per_epoch(&self) -> usize {
        self.pairs / self.settings.batch
    }

    /// The triplets of `step`.
    pub fn of(&mut self, step: usize) -> &[u32] {
        let batch = self.settings.batch;
        let epoch = (step / self.per_epoch()) as u64;
        if self.epoch != Some(epoch) {
            self.order = epoch_order(self.table, self.settings, epoch);
            self.epoch = Some(epoch);
        }
        let at = (step % self.per_epoch()) * batch;
        &self.order[at..at + batch]
    }
}

/// The error of a batch that `all` rows do not fill.
fn too_large(settings: &Settings, all: usize) -> TrainerError {
    let (batch, option) = (settings.batch, "--batch");
    let rows = match settings.objective.family().reads() {
        Read::Triplets => "training triplets",
        Read::Captions => "training pictures with a caption",
        Read::Images => "training pictures",
    };
    let problem = format!("a batch of {batch} is more than the {all} {rows}");
    match all.checked_ilog2() {
        Some(power) => TrainerError::settings(option, problem, format!("give {option} {}, or less", 1usize << power)),
        None => TrainerError::settings(option, problem, "give a data set that has some"),
    }
}

/// The unlabelled images of each step: a stream beside the triplets, with an order of its own from the seed alone.
#[derive(Clone)]
pub struct ImageBatches {
    seed: u64,
    batch: usize,
    images: usize,
    epoch: Option<u64>,
    order: Vec<u32>,
}

impl ImageBatches {
    /// `batch` of `images` images a step.
    ///
    /// # Errors
    /// [`TrainerError::Settings`] when they do not fill one batch.
    pub fn new(seed: u64, batch: usize, images: usize) -> Result<Self> {
        if batch > images {
            let problem = format!("{batch} is more than the {images} unlabelled images");
            return Err(TrainerError::settings("--image-batch", problem, "choose a smaller one, or give more images"));
        }
        Ok(Self { seed, batch, images, epoch: None, order: Vec::new() })
    }

    /// The images of `step`, none where a step reads none. An epoch sees each image once, a rest too small for a batch apart.
    pub fn of(&mut self, step: usize) -> &[u32] {
        if self.batch == 0 {
            return &[];
        }
        let per_epoch = self.images / self.batch;
        let epoch = (step / per_epoch) as u64;
        if self.epoch != Some(epoch) {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed.wrapping_mul(0xC2B2_AE3D_27D4_EB4F) ^ epoch);
            self.order = (0..self.images as u32).collect();
            self.order.shuffle(&mut rng);
            self.epoch = Some(epoch);
        }
        let at = (step % per_epoch) * self.batch;
        &self.order[at..at + self.batch]
    }
}

/// One row of each pair, its wording drawn; pairs with one wording draw nothing.
fn drawn(table: &Table, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut rows = 0u32;
    let pairs = table.triplets.chunk_by(|_, next| next.further_wording).map(|pair| {
        let first = rows;
        rows += pair.len() as u32;
        if pair.len() > 1 { rng.random_range(first..rows) } else { first }
    });
    pairs.collect()
}

/// All triplets of one epoch in order. Consecutive batches of `batch` are its steps; a rest too small for a batch is
/// left to the next epoch's shuffle.
///
/// Of a pair's wordings one is drawn, unless [`Wordings::Spread`] gives each a row of its own.
///
/// With the settings' `group` > 1, each triplet brings up to `group − 1` others along whose target is among its image set's members,
/// then among those members' own sets, so that a batch holds negatives that look like the target.
pub fn epoch_order(table: &Table, settings: &Settings, epoch: u64) -> Vec<u32> {
    let Settings { seed, group, .. } = *settings;
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ epoch);
    let mut order: Vec<u32> = match settings.wordings.unwrap_or_default() {
        Wordings::Drawn => drawn(table, &mut rng),
        Wordings::Spread => (0..table.triplets.len() as u32).collect(),
    };
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
    let mut used = vec![false; table.triplets.len()];
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::recipes;
    use super::*;
    use crate::data::Triplet;
    use crate::data::derive::spread_wordings;

    /// Pairs 0 and on; every third has one wording only.
    fn table(pairs: u32) -> Table {
        let triplet = |i: u32| Triplet {
            id: i.into(),
            reference: i,
            targets: vec![i + 1],
            wordings: if i.is_multiple_of(3) { Vec::new() } else { ["a", "b", "c", "d"].map(str::to_owned).to_vec() },
            ..Triplet::default()
        };
        let mut table = Table { triplets: (0..pairs).map(triplet).collect(), ..Table::default() };
        spread_wordings(&mut table);
        table
    }

    #[test]
    fn two_wordings_of_a_pair_never_meet_in_an_epoch() {
        let table = table(60);
        assert_eq!(table.triplets.len(), 20 + 40 * 4);
        for group in [1, 4] {
            let settings = Settings { batch: 8, group, ..Settings::sprc() };
            let mut batches = Batches::new(&settings, &table).unwrap();
            assert_eq!(batches.per_epoch(), 60 / 8, "an epoch reads each pair once");
            let mut counts = [0usize; 4];
            for epoch in 0..200 {
                let order = epoch_order(&table, &settings, epoch);
                let mut pairs: Vec<u32> = order.iter().map(|t| table.triplets[*t as usize].reference).collect();
                pairs.sort_unstable();
                assert_eq!(pairs, (0..60).collect::<Vec<_>>());
                for row in order.iter().map(|t| &table.triplets[*t as usize]).filter(|t| t.reference % 3 > 0) {
                    counts[(row.id % 4) as usize] += 1;
                }
            }
            // 8,000 draws of four.
            assert!(counts.iter().all(|n| (1850..2150).contains(n)), "{counts:?}");
            let again = batches.clone().of(9).to_vec();
            assert_eq!(batches.of(9), again, "from the seed alone");
        }
    }

    #[test]
    fn a_batch_of_more_than_there_is_names_what_a_row_is_and_the_batch_that_fits() {
        let config = thisbut_model::RetrievalConfig::preset("tiny").unwrap();
        let said = |losses: &str, pairs: u32| {
            let recipe = format!("preset = \"tiny\"\nlosses = \"{losses}\"\nbatch = 128\n");
            let settings = recipes::parse(&recipe, "mine.toml").unwrap().settings(&config, 1000).unwrap();
            Batches::new(&settings, &table(pairs)).err().unwrap().to_string()
        };
        assert_eq!(
            said("captions", 100),
            "--batch: a batch of 128 is more than the 100 training pictures with a caption; give --batch 64, or less"
        );
        assert_eq!(
            said("ptha", 3),
            "--batch: a batch of 128 is more than the 3 training triplets; give --batch 2, or less"
        );
        assert!(said("ptha", 0).ends_with("the 0 training triplets; give a data set that has some"));
    }

    #[test]
    fn unlabelled_images_come_once_an_epoch_in_an_order_of_their_own() {
        let mut images = ImageBatches::new(7, 8, 30).unwrap();
        let epoch = |images: &mut ImageBatches, first: usize| -> Vec<u32> {
            (first..first + 3).flat_map(|step| images.of(step).to_vec()).collect()
        };
        let (one, two) = (epoch(&mut images, 0), epoch(&mut images, 3));
        for seen in [&one, &two] {
            let mut seen = seen.clone();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!((seen.len(), seen.iter().all(|image| *image < 30)), (24, true));
        }
        assert_ne!(one, two);
        assert_eq!(epoch(&mut images.clone(), 0), one, "from the seed and the step alone");
        assert_ne!(epoch(&mut ImageBatches::new(8, 8, 30).unwrap(), 0), one);
        assert!(ImageBatches::new(7, 0, 0).unwrap().of(5).is_empty());
        assert!(ImageBatches::new(7, 31, 30).err().unwrap().to_string().contains("--image-batch"));
    }

    #[test]
    fn a_run_of_version_0_1_reads_every_wording_and_others_are_untouched() {
        let spread = Settings { batch: 8, wordings: Some(Wordings::Spread), ..Settings::sprc() };
        let drawn = Settings { wordings: None, ..spread.clone() };
        let all = table(30);
        let mut order = epoch_order(&all, &spread, 3);
        order.sort_unstable();
        assert_eq!(order, (0..all.triplets.len() as u32).collect::<Vec<_>>());
        let mut alone = table(30);
        alone.triplets.retain(|triplet| !triplet.further_wording);
        assert_eq!(epoch_order(&alone, &spread, 3), epoch_order(&alone, &drawn, 3), "one wording: the same batches");
    }
}
