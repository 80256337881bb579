//! Pictures with attributes as a data set of composed image retrieval in CIRR's layout: `thisbut prepare catalogue`.
//!
//! Read attributes from a table or from the names of folders → merge look-alikes → split by thing, hold out values and
//! combinations → draw pairs that differ in one, two or three attributes, with texts that say so → write. The same seed and
//! pictures give the same bytes.
//!
//! The parts that the builder of the built-in collection shares are here too: sentences ([`frames`], [`surface`]), CIRR's files
//! ([`layout`], [`subsets`]), [`statistics`], look-alikes ([`looks`]) and shares ([`mix`]).

pub mod bits;
pub mod draw;
pub mod frames;
pub mod grammar;
pub mod join;
pub mod layout;
pub mod looks;
pub mod measure;
pub mod mix;
pub mod numbers;
pub mod plan;
pub mod report;
pub mod shops;
pub mod source;
pub mod splits;
pub mod statistics;
pub mod subsets;
pub mod surface;
pub mod wish;
pub mod words;
pub mod world;
pub mod write;

#[cfg(test)]
mod tests;

use measure::{Guess, Measure};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
pub use report::CatalogueReport;
use source::{Picture, Source};
use splits::{Shares, Splits};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use thisbut_trainer::data::table::refuse_complaints;
use thisbut_trainer::data::{Complaint, Split, cirr};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::lock::Lock;
use thisbut_trainer::{fsx, images, partial};
use wish::Pool;
use words::Words;
use world::World;

/// What to make of a source.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder to write.
    pub out: PathBuf,
    /// A file of words beside the built-in ones.
    pub words: Option<PathBuf>,
    /// Seed of every draw.
    pub seed: u64,
    /// Training triplets; none: twenty a picture, at most 60,000.
    pub train: Option<usize>,
    /// Queries of the validation split; none: six a picture, at most 2,000.
    pub val: Option<usize>,
    /// Queries of the test split; none: as for validation.
    pub test: Option<usize>,
    /// What to hold out.
    pub shares: Shares,
    /// The user named the attributes.
    pub chosen: bool,
    /// Fail on anything that cannot be used.
    pub strict: bool,
    /// Attributes to measure where the source lacks them.
    pub measures: Vec<Measure>,
    /// A table of corrected measurements.
    pub corrections: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            out: PathBuf::new(),
            words: None,
            seed: 1,
            train: None,
            val: None,
            test: None,
            shares: Shares::default(),
            chosen: false,
            strict: false,
            measures: Vec::new(),
            corrections: None,
        }
    }
}

/// What is told on the way.
pub enum Told {
    /// A line.
    Line(String),
    /// So many pictures were looked at, of so many.
    Looked(usize, usize),
}

/// Fewer pictures make no data set.
const FEWEST: usize = 20;
/// Triplets a training picture, and the most of all.
const TRAIN: (usize, usize) = (20, 60_000);
/// Queries a picture, and the most of all.
const QUERIES: (usize, usize) = (6, 2_000);

/// Pictures that are looked at between two reports.
const AT_ONCE: usize = 64;

/// Makes the data set of a source; says what it does through `report`.
///
/// # Errors
/// [`TrainerError`] names the file or option and the mend. Files are written whole or not at all.
pub fn prepare(mut source: Source, options: &Options, report: &mut dyn FnMut(Told)) -> Result<CatalogueReport> {
    write::check_out(&options.out)?;
    let words = Words::load(options.words.as_deref())?;
    report(Told::Line(format!("looking at {} pictures", source.pictures.len())));
    let (looks, guesses) = look(&mut source, !options.measures.is_empty(), report);
    measure::check::fill(&mut source, &guesses, &options.measures, options.corrections.as_deref())?;
    if options.strict {
        refuse_complaints(&source.complaints)?;
    }
    if source.pictures.len() < FEWEST {
        let first = source.complaints.first().map_or_else(String::new, |c| format!(" ({c})"));
        let problem = format!("{} pictures with attributes are too few to train on{first}", source.pictures.len());
        return Err(TrainerError::data("the catalogue", problem, format!("give at least {FEWEST}")));
    }
    let class = looks::classes(&looks.iter().collect::<Vec<_>>());
    let at_odds = settle(&mut source, &class);
    let world = World::new(&source, &class, &words, options.chosen)?;
    let splits = Splits::draw(&mut stream(options, 1), &world, &options.shares);
    let mut result = CatalogueReport {
        left_out: source.complaints.iter().map(ToString::to_string).collect(),
        look_alikes: source.pictures.len() - world.items.len(),
        pictures: source.pictures.len(),
        at_odds,
        ..report::of(&world, &splits)
    };
    result.notes.splice(0..0, std::mem::take(&mut source.notes));
    report(Told::Line(format!("{} distinct pictures; drawing triplets", world.items.len())));
    let staged = Staged::new(&options.out)?;
    fill(staged.path(), (&world, &splits), options, &mut result)?;
    report(Told::Line("writing".to_owned()));
    write::pictures(staged.path(), &world, |item| splits.of(item).is_some())?;
    write::titles(staged.path(), &world)?;
    measurements(staged.path(), (&world, &splits), &options.measures, &guesses)?;
    layout::pretty(&staged.path().join("report.json"), &result)?;
    staged.finish()?;
    Ok(result)
}

/// One stream for each stage: a change in one stage leaves the others' draws alone.
fn stream(options: &Options, n: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    rng.set_stream(n);
    rng
}

/// Draws and writes the triplets of every split.
fn fill(out: &Path, (world, splits): (&World, &Splits), options: &Options, result: &mut CatalogueReport) -> Result<()> {
    let mut next = 1;
    for (n, split) in (0..).zip(Split::ALL) {
        let pool = Pool::new(world, |item| splits.of(item) == Some(split));
        if pool.members.is_empty() {
            write::forget(out, cirr::file_word(split))?;
            continue;
        }
        let size = size(options, split, pool.members.count());
        let seen = (split != Split::Train).then_some(splits);
        let queries = plan::fill(&mut stream(options, 2 + 2 * n), &pool, seen, size);
        if queries.is_empty() {
            return Err(none_found(split, pool.members.count()));
        }
        let made = write::lines(&mut stream(options, 3 + 2 * n), &pool, &queries, next);
        next += queries.len() as u64;
        write::split(out, &pool, cirr::file_word(split), &made)?;
        result.splits.insert(cirr::file_word(split).to_owned(), statistics::split(&made.0));
    }
    Ok(())
}

fn none_found(split: Split, pictures: usize) -> TrainerError {
    let problem = format!(
        "no pair of the {pictures} pictures of the split {} differs in attributes as a text could say",
        split.name()
    );
    TrainerError::data("the catalogue", problem, "give more pictures, or fewer attributes with --attributes")
}

fn size(options: &Options, split: Split, pictures: usize) -> usize {
    let (asked, (each, most)) = match split {
        Split::Train => (options.train, TRAIN),
        Split::Val => (options.val, QUERIES),
        Split::Test => (options.test, QUERIES),
    };
    asked.unwrap_or((pictures * each).min(most))
}

/// Decodes every picture, reduces it, and measures it if `measured`; one that cannot be decoded leaves the source with a
/// complaint.
fn look(
    source: &mut Source,
    measured: bool,
    report: &mut dyn FnMut(Told),
) -> (Vec<looks::Reduced>, BTreeMap<String, Guess>) {
    let pictures = std::mem::take(&mut source.pictures);
    let see = |picture: &Picture| -> Result<(looks::Reduced, Option<Guess>)> {
        let decoded = decoded(&picture.path)?;
        Ok((looks::reduce(&decoded, looks::GRID), measured.then(|| measure::guess(&decoded))))
    };
    let mut seen = Vec::with_capacity(pictures.len());
    for some in pictures.chunks(AT_ONCE) {
        seen.par_extend(some.par_iter().map(see));
        report(Told::Looked(seen.len(), pictures.len()));
    }
    let (mut looks, mut guesses) = (Vec::with_capacity(pictures.len()), BTreeMap::new());
    for (picture, seen) in pictures.into_iter().zip(seen) {
        match seen {
            Ok((look, guess)) => {
                looks.push(look);
                guess.into_iter().for_each(|guess| {
                    guesses.insert(picture.id.clone(), guess);
                });
                source.pictures.push(picture);
            }
            Err(e) => {
                let problem = format!("{e}; the picture is left out");
                source.complaints.push(Complaint { place: picture.id, problem });
            }
        }
    }
    (looks, guesses)
}

fn decoded(path: &Path) -> Result<image::RgbaImage> {
    let decoded = images::decode_file(path)?;
    let (width, height) = (decoded.width, decoded.height);
    image::RgbaImage::from_raw(width, height, decoded.data).ok_or_else(|| TrainerError::Image {
        place: path.display().to_string(),
        problem: format!("{width} × {height} pixels are not what it holds"),
        mend: "save it again".to_owned(),
    })
}

/// Writes what was measured, for people to check; where nothing was, what an earlier run left goes.
fn measurements(
    out: &Path,
    (world, splits): (&World, &Splits),
    measures: &[Measure],
    guesses: &BTreeMap<String, Guess>,
) -> Result<()> {
    if measures.is_empty() {
        return measure::check::forget(out);
    }
    let nothing = Guess::default();
    let shown = world.items.iter().enumerate().filter(|(n, _)| splits.of(*n).is_some());
    let rows: Vec<(&str, Vec<Option<&str>>, &Guess)> = shown
        .map(|(_, item)| {
            let said = world.said(item);
            let values = measures.iter().map(|measure| said.get(measure.name()).and_then(|v| v.first().copied()));
            (item.name.as_str(), values.collect(), guesses.get(&item.name).unwrap_or(&nothing))
        })
        .collect();
    measure::check::write(out, measures, &rows)
}

/// Look-alikes become one picture: it belongs to the split that must be kept from training most. Returns those that were at
/// odds in their attributes, of which the first's count.
fn settle(source: &mut Source, class: &[usize]) -> Vec<String> {
    let mut strictest: BTreeMap<usize, Split> = BTreeMap::new();
    for (picture, first) in source.pictures.iter().zip(class) {
        if let Some(split) = picture.split {
            strictest.entry(*first).and_modify(|known| *known = splits::stricter(*known, split)).or_insert(split);
        }
    }
    let mut at_odds = Vec::new();
    for (n, first) in class.iter().enumerate().filter(|(n, first)| n != *first) {
        let (Some(a), Some(b)) = (source.pictures.get(*first), source.pictures.get(n)) else { continue };
        if a.values != b.values {
            at_odds.push(format!("{} looks like {}, with other attributes", b.id, a.id));
        } else if a.split != b.split {
            at_odds.push(format!("{} looks like {}, in another split", b.id, a.id));
        }
    }
    for (n, picture) in source.pictures.iter_mut().enumerate() {
        picture.split = class.get(n).and_then(|first| strictest.get(first)).copied();
    }
    at_odds
}

/// Where a data set is written: under a temporary name where its folder is new, file by file where it is made again, so that
/// what lies beside (a feature cache) stays.
struct Staged {
    out: PathBuf,
    folder: Option<partial::Staging>,
    _lock: Lock,
}

impl Staged {
    fn new(out: &Path) -> Result<Self> {
        let failed = |e| TrainerError::io(out, "create", e, "check the parent folder's permissions");
        let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fsx::create_dir(parent)?;
        let hidden = |ending: &str| {
            let name = out.file_name().unwrap_or_default().to_string_lossy();
            parent.join(format!("{}{name}{ending}", partial::PREFIX))
        };
        let lock = Lock::take(&hidden(".lock"), out)?;
        let filled = std::fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some());
        let folder = match filled {
            true => None,
            false => Some(partial::Staging::new(&hidden(".files")).map_err(failed)?.0),
        };
        Ok(Self { out: out.to_path_buf(), folder, _lock: lock })
    }

    fn path(&self) -> &Path {
        self.folder.as_ref().map_or(&self.out, partial::Staging::path)
    }

    /// Gives a new folder its name.
    fn finish(self) -> Result<()> {
        let failed = |e| TrainerError::io(&self.out, "create", e, "check the parent folder's permissions");
        self.folder.as_ref().map_or(Ok(()), |folder| folder.persist(&self.out).map_err(failed))
    }
}
