//! The round trip: a retrieval model must find the target from (reference, generated text).
//!
//! The gallery is every image of the pairs, the reference removed, in the order of the evaluators ([`thisbut_trainer::metrics::rank`]).
//! A triplet stays when its target is among the first K; with `both`, also the reference from (target, reverse text). The
//! target tokens of the gallery stay on the device, `images · N · P` f32; queries go through in batches.

use super::filters::Row;
use super::filters::judged::Judge;
use super::texts;
use burn::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use thisbut_model::method::similarity;
use thisbut_model::text::Tokens;
use thisbut_trainer::embed;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::features::Features;
use thisbut_trainer::fsx;
use thisbut_trainer::metrics::{Protocol, Query, rank};
use thisbut_trainer::retriever::Retriever;

/// The rule's name in reports.
pub const NAME: &str = "round-trip";
/// Images embedded together, and queries.
pub const BATCH: usize = 64;
/// Images whose scores are computed together: with N = 32 and a batch of 64 queries that takes 34 MB.
const CHUNK: usize = 4096;
/// The ranks that a report says the share of.
const RANKS: [usize; 11] = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

/// What a triplet must fulfil.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The last rank that is good enough, from 1.
    pub rank: usize,
    /// Whether the reverse text must find the reference too.
    pub both: bool,
}

/// Where the model ranks what it should find, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranks {
    /// The target, from (reference, generated text).
    pub forward: u32,
    /// The reference, from (target, reverse text), where it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back: Option<u32>,
}

impl Ranks {
    /// The fields of a left-out row that say them.
    pub fn fields(self) -> Vec<(&'static str, Value)> {
        let back = self.back.map(|back| ("rank_reversed", back.into()));
        [("rank", self.forward.into())].into_iter().chain(back).collect()
    }

    /// The worse of both.
    fn worst(self) -> usize {
        self.back.map_or(self.forward, |back| back.max(self.forward)) as usize
    }
}

/// A triplet's words and images.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The reference's name.
    pub reference: &'a str,
    /// The target's name.
    pub target: &'a str,
    /// The text from the one to the other.
    pub text: &'a str,
    /// The text back, where there is one.
    pub back: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// Where the way back begins, its text, and where it leads.
    fn turned(&self) -> Result<(&'a str, &'a str, &'a str)> {
        let missing = || {
            let problem = format!("the triplet with {} has no text back, which both directions need", self.target);
            TrainerError::data(self.reference, problem, "leave it out")
        };
        Ok((self.target, self.back.ok_or_else(missing)?, self.reference))
    }
}

impl<'a> From<&'a texts::Text> for Asked<'a> {
    fn from(row: &'a texts::Text) -> Self {
        let back = row.modifier_reversed.as_deref();
        Self { reference: &row.reference, target: &row.target, text: &row.modifier_generated, back }
    }
}

impl<'a> From<&'a Row> for Asked<'a> {
    fn from(row: &'a Row) -> Self {
        let back = Some(row.modifier_reversed.as_str());
        Self { reference: &row.reference, target: &row.target, text: &row.modifier_generated, back }
    }
}

/// How many triplets stay at a rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptAt {
    /// The rank.
    pub rank: usize,
    /// Triplets that would stay.
    pub kept: usize,
}

/// What a round trip's report says of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// SHA-256 of the retrieval model's checkpoint.
    pub checkpoint: String,
    /// The last rank that was good enough.
    pub rank: usize,
    /// Whether the reverse text had to find the reference too.
    pub both: bool,
    /// Images that were ranked, the reference among them.
    pub gallery: usize,
    /// Triplets that would stay at other ranks, by the same rule: what to choose the rank from.
    pub kept_at: Vec<KeptAt>,
}

/// Triplets by their rank, for [`About::kept_at`].
#[derive(Clone, Debug, Default)]
pub struct Counts([usize; RANKS.len()]);

impl Counts {
    /// Counts one.
    pub fn add(&mut self, ranks: Ranks) {
        for (count, _) in self.0.iter_mut().zip(RANKS).filter(|(_, rank)| ranks.worst() <= *rank) {
            *count += 1;
        }
    }
}

/// A model and the gallery that it searches.
pub struct RoundTrip<'a> {
    retriever: &'a Retriever,
    features: &'a Features,
    rule: Rule,
    positions: HashMap<String, u32>,
    /// Target tokens `[images, N, P]` of the gallery's parts.
    gallery: Vec<Tensor<3>>,
}

impl<'a> RoundTrip<'a> {
    /// Embeds the gallery. Images that the cache lacks are left out of it.
    ///
    /// # Errors
    /// When the rank is 0 or not below the gallery's size, or the device fails.
    pub fn new(
        retriever: &'a Retriever,
        features: &'a Features,
        images: BTreeSet<String>,
        rule: Rule,
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Self> {
        let known: Vec<(String, usize)> =
            images.into_iter().filter_map(|name| features.row(&name).ok().map(|row| (name, row))).collect();
        // The reference is never ranked, so a rank of the whole gallery keeps everything.
        if rule.rank == 0 || rule.rank + 1 >= known.len() {
            let problem =
                format!("rank {} over a gallery of {} images keeps nothing or everything", rule.rank, known.len());
            let mend = "give a rank from 1 to the gallery's size less 2, and the triplets' own features";
            return Err(TrainerError::settings("the round trip", problem, mend));
        }
        let mut gallery = Vec::new();
        for (number, chunk) in known.chunks(CHUNK).enumerate() {
            let mut parts = Vec::new();
            for (done, batch) in chunk.chunks(BATCH).enumerate() {
                let rows: Vec<usize> = batch.iter().map(|(_, row)| *row).collect();
                let retrieval = &retriever.retrieval;
                parts.push(retrieval.target(&retrieval.encoded(features.tokens(&rows, retrieval.device())))?);
                progress(number * CHUNK + done * BATCH + rows.len(), known.len());
            }
            gallery.push(Tensor::cat(parts, 0));
        }
        let positions = (0..).zip(known).map(|(at, (name, _))| (name, at)).collect();
        Ok(Self { retriever, features, rule, positions, gallery })
    }

    /// Whether an image can be asked for.
    pub fn knows(&self, image: &str) -> bool {
        self.positions.contains_key(image)
    }

    /// The rule.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// Whether a triplet stays.
    pub fn keeps(&self, ranks: Ranks) -> bool {
        ranks.worst() <= self.rule.rank
    }

    /// What a report says.
    pub fn about(&self, counts: &Counts) -> About {
        let gallery = self.positions.len();
        let kept_at = RANKS.into_iter().zip(counts.0).filter(|(rank, _)| rank + 1 < gallery);
        About {
            checkpoint: self.retriever.fingerprint.clone(),
            rank: self.rule.rank,
            both: self.rule.both,
            gallery,
            kept_at: kept_at.map(|(rank, kept)| KeptAt { rank, kept }).collect(),
        }
    }

    /// What changes with everything that the outcome depends on, besides the texts.
    pub fn fingerprint(&self) -> String {
        let mut about = format!("{}\n{:?}\n", self.retriever.fingerprint, self.rule);
        let mut names: Vec<&String> = self.positions.keys().collect();
        names.sort_unstable();
        names.iter().for_each(|name| about.push_str(&format!("{name}\n")));
        fsx::sha256_hex(about.as_bytes())
    }

    /// Who ranks: the model, the gallery's images as the model sees them, and whether both directions are asked. The last rank
    /// that passes has no part in it.
    ///
    /// # Errors
    /// When the cache lacks an image of the gallery.
    pub fn judge(&self) -> Result<Judge> {
        let mut names: Vec<&str> = self.positions.keys().map(String::as_str).collect();
        names.sort_unstable();
        let images = self.features.digest(names.into_iter())?;
        Ok(Judge::new(&format!("{NAME} {} {images} {}", self.retriever.fingerprint, self.rule.both)))
    }

    /// The ranks of each triplet.
    ///
    /// # Errors
    /// When the gallery lacks an image, when a triplet has one image twice or lacks the text back that the rule needs, or the device
    /// fails.
    pub fn ranks(&self, asked: &[Asked]) -> Result<Vec<Ranks>> {
        let back =
            if self.rule.both { Some(asked.iter().map(Asked::turned).collect::<Result<Vec<_>>>()?) } else { None };
        let forward = self.found(&asked.iter().map(|a| (a.reference, a.text, a.target)).collect::<Vec<_>>())?;
        let Some(back) = back else {
            return Ok(forward.into_iter().map(|forward| Ranks { forward, back: None }).collect());
        };
        let both = forward.into_iter().zip(self.found(&back)?);
        Ok(both.map(|(forward, back)| Ranks { forward, back: Some(back) }).collect())
    }

    /// The rank of each query's image, from 1.
    fn found(&self, queries: &[(&str, &str, &str)]) -> Result<Vec<u32>> {
        let mut out = Vec::with_capacity(queries.len());
        for batch in queries.chunks(BATCH) {
            let (mut rows, mut texts, mut places) = (Vec::new(), Vec::new(), Vec::new());
            for (start, text, wanted) in batch {
                rows.push(self.features.row(start)?);
                texts.push(self.retriever.retrieval.texts().tokens(text));
                places.push((self.position(start)?, self.position(wanted)?));
            }
            let scores = embed::read(self.scores(&rows, &texts)?)?;
            let all = self.positions.len().max(1);
            let ranks: Option<Vec<u32>> = scores
                .par_chunks(all)
                .zip(&places)
                .map(|(scores, (start, wanted))| {
                    let query = Query { exclude: Protocol::Cirr.excluded(Some(*start)), ..Query::default() };
                    rank::of_target(scores, &query, *wanted).map(|rank| rank as u32 + 1)
                })
                .collect();
            let twice = || TrainerError::data("the triplets", "one image is both ends of a triplet", "leave it out");
            out.extend(ranks.ok_or_else(twice)?);
        }
        Ok(out)
    }

    fn position(&self, image: &str) -> Result<u32> {
        self.positions.get(image).copied().ok_or_else(|| {
            TrainerError::data(image, "the gallery lacks this image", "give the feature cache of the pairs' data set")
        })
    }

    /// Scores `[queries, gallery]`.
    fn scores(&self, rows: &[usize], texts: &[Tokens]) -> Result<Tensor<2>> {
        let retrieval = &self.retriever.retrieval;
        let images = retrieval.encoded(self.features.tokens(rows, retrieval.device()));
        let query = retrieval.query(Some(&images), &texts.iter().collect::<Vec<_>>())?;
        let parts = self.gallery.iter().map(|targets| similarity(query.clone(), targets.clone())).collect();
        Ok(Tensor::cat(parts, 1))
    }
}
