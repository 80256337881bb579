//! `thisbut prepare fluent`: the 3D Fluent emoji with emojibase annotations as a CIR data set in CIRR's layout.
//!
//! Read → parse labels into records → look at the pixels (look-alikes, true skin tones) → hold out roles and
//! combinations → draw triplets with a grammar → write. The same seed gives the same bytes.

pub mod draw;
pub mod edits;
pub mod grammar;
pub mod pixels;
pub mod plan;
pub mod record;
pub mod relations;
pub mod report;
pub mod source;
pub mod splits;
pub mod states;
pub mod subsets;
pub mod world;
pub mod write;

#[cfg(test)]
mod tests;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
pub use report::FluentReport;
use std::path::PathBuf;
use thisbut_catalogue::{layout, statistics};
use thisbut_trainer::error::{Result, TrainerError};

/// What `prepare fluent` is asked to do.
#[derive(Clone, Debug)]
pub struct FluentOptions {
    /// Folder to write.
    pub out: PathBuf,
    /// A folder that already has both packages; none fetches them.
    pub from: Option<PathBuf>,
    /// Where npm installs.
    pub cache: PathBuf,
    /// Seed of every draw.
    pub seed: u64,
    /// Training triplets to draw.
    pub train_triplets: usize,
    /// Validation queries to draw.
    pub val_queries: usize,
    /// Test queries to draw.
    pub test_queries: usize,
}

impl Default for FluentOptions {
    fn default() -> Self {
        Self {
            out: PathBuf::from("data/fluent"),
            from: None,
            cache: PathBuf::from("data/cache/npm"),
            seed: 1,
            train_triplets: 90_000,
            val_queries: 2_520,
            test_queries: 4_200,
        }
    }
}

/// Makes the data set; says what it does through `report`.
///
/// # Errors
/// [`TrainerError`] names the file, program or option and the mend. Files are written whole or not at all.
pub fn prepare(options: &FluentOptions, report: &mut dyn FnMut(String)) -> Result<FluentReport> {
    if options.train_triplets == 0 || options.val_queries < 7 || options.test_queries < 7 {
        return Err(TrainerError::settings(
            "--train, --val, --test",
            "there must be at least 1 training triplet and 7 queries a split",
            "give larger numbers",
        ));
    }
    let modules = source::locate(options.from.as_deref(), &options.cache, report)?;
    let (raws, unknown) = source::load(&modules)?;
    report(format!("read {} annotated images; looking at their pixels", raws.len()));
    let looks: Vec<pixels::Look> = raws.par_iter().map(|r| pixels::look(&r.path)).collect::<Result<_>>()?;
    let class = pixels::classes(&looks);
    let world = world::World::new(raws, &looks, &class);
    drop(looks);
    report(format!("{} distinct images; drawing triplets", world.members.len()));

    // One stream for each stage: a change in one stage leaves the others' draws alone.
    let stream = |n: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        rng.set_stream(n);
        rng
    };
    let splits = splits::Splits::draw(&mut stream(1), &world);
    let sizes = (options.train_triplets, options.val_queries, options.test_queries);
    let plan = plan::plan(&mut stream(2), &world, &splits, sizes, report);
    let trained = |c: usize| splits.zone(c) == splits::Zone::Train;
    let (free, everything) = (subsets::Pools::new(&world, trained), subsets::Pools::new(&world, |_| true));
    let train = write::lines(&mut stream(3), &world, &plan.train, &free, 1);
    let first_val = train.len() as u64 + 1;
    let val = write::lines(&mut stream(4), &world, &plan.val, &everything, first_val);
    let test = write::lines(&mut stream(5), &world, &plan.test, &everything, first_val + val.len() as u64);

    report("writing".to_owned());
    let out = &options.out;
    write::images(out, &world)?;
    let captions = out.join("captions");
    let split_files = out.join("image_splits");
    let mut result = FluentReport {
        files: world.items.len() + unknown.len(),
        unknown,
        classes: world.members.len(),
        train_classes: world.canonical().filter(|c| trained(*c)).count(),
        roles_val: splits.roles_val.iter().cloned().collect(),
        roles_test: splits.roles_test.iter().cloned().collect(),
        audit: report::audit(&mut stream(6), &world),
        ..FluentReport::default()
    };
    for (name, lines) in [("train", &train), ("val", &val), ("test1", &test)] {
        layout::captions(&captions.join(format!("cap.rc2.{name}.json")), lines)?;
        write::split(&split_files.join(format!("split.rc2.{name}.json")), &world, |c| name != "train" || trained(c))?;
        result.splits.insert(name.to_owned(), statistics::split(lines));
    }
    layout::reversed(&captions.join("cap.rc2.train_rev.jsonl"), &train)?;
    layout::pretty(&out.join("report.json"), &result)?;
    Ok(result)
}
