//! The internal triplet table that every data set becomes, and the complaints about rows that could not join it.

use crate::error::{Result, TrainerError};
use crate::metrics::{Protocol, Query, RightTargets};
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// One image of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageEntry {
    /// The data set's own name for it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
}

/// One query with its answers. Images are indices into [`Table::images`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triplet {
    /// The data set's own number (CIRR: `pairid`).
    pub id: u64,
    /// The image that the query starts from.
    pub reference: u32,
    /// Right answers: the hard target first, then others equally right. Empty where the data set keeps them secret.
    pub targets: Vec<u32>,
    /// The modification text as evaluation reads it.
    pub text: String,
    /// Other wordings that training may read instead, `text` among them; empty when there is only `text`.
    pub wordings: Vec<String>,
    /// Noun phrases of the text, those that say most first; empty until somebody looks for them.
    pub phrases: Vec<String>,
    /// Whether this row is a further wording of the row before it, and so no pair of its own.
    pub further_wording: bool,
    /// What reference and targets have in common (CIRCO's shared concept), for prompts.
    pub concept: Option<String>,
    /// The text that leads from the target back to the reference.
    pub reverse: Option<String>,
    /// What the hard target shows, for losses that compare queries with captions.
    pub caption: Option<String>,
    /// Members of the subset for `R_subset`, the reference among them; may be empty.
    pub subset: Vec<u32>,
    /// The part of the gallery that this query is ranked against: an index into [`Table::pools`]. `None`: all of it.
    pub pool: Option<u32>,
    /// A part of the split that is reported apart ("unseen-role").
    pub group: Option<String>,
    /// Further parts, which may overlap (CIRCO's semantic aspects).
    pub aspects: Vec<String>,
    /// What kind of change it is ("colour", "addition").
    pub kind: Option<String>,
    /// True when both images show people.
    pub people: bool,
    /// Row in the captions file, from 1.
    pub row: u32,
}

/// A split's images, triplets and gallery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Every image of the split.
    pub images: Vec<ImageEntry>,
    /// Every query, in the order of the file.
    pub triplets: Vec<Triplet>,
    /// The images that evaluation ranks: indices into `images`.
    pub gallery: Vec<u32>,
    /// Parts of the gallery that some queries have to themselves, in their data set's order: a category (FashionIQ) or
    /// a query's own candidates (GeneCIS). Indices into `images`.
    pub pools: Vec<Vec<u32>>,
    /// How the data set ranks and counts.
    pub protocol: Protocol,
    /// What was left out for want of image files.
    pub missing: Missing,
    /// Which targets the data set's evaluator counts as right.
    pub right_targets: RightTargets,
    /// Whether references are ranked; `None`: as the protocol has it.
    pub ranks_reference: Option<bool>,
}

/// What a split lost because image files are missing. Figures over what is left are not those of the whole split: a smaller
/// gallery is an easier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Missing {
    /// Images without a file.
    pub images: usize,
    /// Queries that need one of them.
    pub queries: usize,
    /// Queries that stay without their subset, as it lost a member.
    pub subsets: usize,
}

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Split {
    /// To train on.
    Train,
    /// To choose settings on.
    Val,
    /// To report.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }
}

/// How a loader treats what it meets.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Leave out (with a complaint) images whose file is missing, and the rows that need them.
    pub images_required: bool,
    /// Fail on the first complaint.
    pub strict: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { images_required: true, strict: false }
    }
}

/// Something in a data set that is wrong, where it is, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, with row or line.
    pub place: String,
    /// What is wrong, and what the loader did about it.
    pub problem: String,
}

impl Complaint {
    /// Of a line or row that cannot be used.
    pub fn left_out(path: &Path, at: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { place: format!("{}, {at}", path.display()), problem: format!("{problem}; left out") }
    }

    /// Of a file that cannot be used: what its error says, the file named once.
    pub fn of(path: &Path, error: &TrainerError) -> Self {
        let (place, text) = (path.display().to_string(), error.to_string());
        let problem = text.strip_prefix(&place).map_or(text.as_str(), |rest| rest.trim_start_matches(": ")).to_owned();
        Self { place, problem }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Turns complaints into an error, for strict runs.
pub fn refuse_complaints(complaints: &[Complaint]) -> Result<()> {
    let [first, rest @ ..] = complaints else { return Ok(()) };
    // What became of it is not what becomes of it now: a strict run leaves nothing out.
    let bare = match first.problem.rsplit_once("; ") {
        Some((bare, end)) if end.ends_with("left out") => bare,
        _ => first.problem.as_str(),
    };
    let (more, mend) = match rest.len() {
        0 => (String::new(), "mend it, or run without --strict, which leaves it out"),
        count => (format!(" (and {count} more)"), "mend them, or run without --strict, which leaves them out"),
    };
    Err(TrainerError::data(&first.place, format!("{bare}{more}"), mend))
}

impl Table {
    /// The name of image `image`, an index into [`Table::images`].
    ///
    /// # Panics
    /// When the table has no such image: its loader numbers only images that it has added.
    pub fn image_name(&self, image: u32) -> &str {
        match self.images.get(image as usize) {
            Some(entry) => &entry.name,
            None => panic!("image {image} of a table of {} images", self.images.len()),
        }
    }

    /// For each image its place in `gallery`, if it has one.
    pub fn gallery_positions(&self) -> Vec<Option<u32>> {
        let mut positions = vec![None; self.images.len()];
        for (at, image) in (0u32..).zip(&self.gallery) {
            if let Some(slot) = positions.get_mut(*image as usize) {
                *slot = Some(at);
            }
        }
        positions
    }

    /// The targets of a triplet that count as right.
    pub fn right<'a>(&self, triplet: &'a Triplet) -> &'a [u32] {
        let hard = usize::from(!triplet.targets.is_empty());
        match self.right_targets {
            RightTargets::Hard => triplet.targets.get(..hard).unwrap_or_default(),
            RightTargets::All => &triplet.targets,
        }
    }

    /// What the metrics need to know of a triplet, in gallery positions (from [`Table::gallery_positions`]).
    /// The reference is not ranked where the protocol, or [`Table::ranks_reference`] in its place, leaves it out, unless it is the
    /// first right answer: a caption's image.
    pub fn query(&self, positions: &[Option<u32>], triplet: &Triplet) -> Query {
        let at = |image: &u32| positions.get(*image as usize).copied().flatten();
        let right = self.right(triplet);
        let pool = triplet.pool.and_then(|pool| self.pools.get(pool as usize));
        let reference = Some(&triplet.reference).filter(|image| triplet.targets.first() != Some(*image));
        Query {
            exclude: match self.ranks_reference {
                Some(ranked) => reference.filter(|_| !ranked).and_then(at),
                None => self.protocol.excluded(reference.and_then(at)),
            },
            pool: pool.map(|images| images.iter().filter_map(at).collect()),
            relevant: right.len(),
            right: right.iter().filter_map(at).collect(),
            subset: triplet.subset.iter().filter(|m| **m != triplet.reference).filter_map(at).collect(),
            group: triplet.group.clone(),
            aspects: triplet.aspects.clone(),
        }
    }

    /// Rewrites each text by a prompt template, in which `{relative_caption}` stands for the text and
    /// `{shared_concept}` for what the images have in common.
    ///
    /// # Errors
    /// When the template leaves the text out, or asks for a concept that a query does not have.
    pub fn prompt(&mut self, template: &str) -> Result<()> {
        let (text, concept) = ("{relative_caption}", "{shared_concept}");
        if !template.contains(text) {
            let mend = format!("write {text} where the modification text goes");
            return Err(TrainerError::settings("--prompt", format!("'{template}' leaves the text out"), mend));
        }
        for triplet in &mut self.triplets {
            if template.contains(concept) && triplet.concept.is_none() {
                let problem = format!("query {} has no shared concept", triplet.id);
                return Err(TrainerError::settings("--prompt", problem, format!("leave {concept} out")));
            }
            let shared = triplet.concept.as_deref().unwrap_or_default();
            // In this order a caption that holds braces is not read as a template.
            let (before, after) = template.split_once(text).unwrap_or((template, ""));
            let [before, after] = [before, after].map(|part| part.replace(concept, shared));
            triplet.text = format!("{before}{}{after}", triplet.text);
        }
        Ok(())
    }

    /// Counts for people and for a paper's table.
    pub fn statistics(&self) -> Statistics {
        let mut words = HashSet::new();
        let (mut length, mut groups, mut kinds) = (0usize, BTreeMap::new(), BTreeMap::new());
        let mut pools: BTreeMap<String, usize> = BTreeMap::new();
        for triplet in &self.triplets {
            for word in triplet.text.split_whitespace() {
                let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
                length += 1;
                if !word.is_empty() {
                    words.insert(word);
                }
            }
            if let (Some(group), Some(pool)) = (&triplet.group, triplet.pool.and_then(|p| self.pools.get(p as usize))) {
                let largest = pools.entry(group.clone()).or_default();
                *largest = pool.len().max(*largest);
            }
            for (counts, name) in [(&mut groups, &triplet.group), (&mut kinds, &triplet.kind)] {
                if let Some(name) = name {
                    *counts.entry(name.clone()).or_insert(0) += 1;
                }
            }
        }
        let count = |wanted: &dyn Fn(&Triplet) -> bool| self.triplets.iter().filter(|t| wanted(t)).count();
        Statistics {
            triplets: self.triplets.len(),
            images: self.images.len(),
            gallery: self.gallery.len(),
            unique_words: words.len(),
            mean_words: length as f64 / self.triplets.len().max(1) as f64,
            several_targets: count(&|t| t.targets.len() > 1),
            without_targets: count(&|t| t.targets.is_empty()),
            with_reverse: count(&|t| t.reverse.is_some()),
            with_subset: count(&|t| !t.subset.is_empty()),
            people: count(&|t| t.people),
            groups,
            pools,
            kinds,
        }
    }
}

/// A split in numbers.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Statistics {
    /// Queries.
    pub triplets: usize,
    /// Images of the split.
    pub images: usize,
    /// Images that evaluation ranks.
    pub gallery: usize,
    /// Distinct words of the texts, lower case, without punctuation at their ends.
    pub unique_words: usize,
    /// Words a text.
    pub mean_words: f64,
    /// Queries with more than one right answer.
    pub several_targets: usize,
    /// Queries whose answer is not in the files.
    pub without_targets: usize,
    /// Queries with a reverse text.
    pub with_reverse: usize,
    /// Queries with a subset.
    pub with_subset: usize,
    /// Queries between images of people.
    pub people: usize,
    /// Queries a group.
    pub groups: BTreeMap<String, usize>,
    /// Images that a group's queries are ranked against, where that isn't the whole gallery: the largest of their pools.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, usize>,
    /// Queries a kind of change.
    pub kinds: BTreeMap<String, usize>,
}
