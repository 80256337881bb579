//! The rules over a finished file of triplets: what stays, what is left out and why, and the counts.
//!
//! SynCir's rules of captions come first, the round trip last; each counts what the rules before it have left. What the models
//! find is [kept](super::judged), so a run that was killed goes on where it was.

use super::captions::{self, CaptionRules, Captioned, EQUAL, SIMILARITY, captions};
use super::judged::{Found, Judge, Judged, Key};
use crate::round_trip::{self, Asked, BATCH, Counts, NAME, Ranks, RoundTrip};
use crate::synthesis::clean::same;
use crate::texts::{self, Complaints, Text};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// The rules to apply; at least one.
pub struct Rules<'a> {
    /// SynCir's.
    pub captions: Option<CaptionRules>,
    /// A retrieval model that must find the targets.
    pub round_trip: Option<&'a RoundTrip<'a>>,
}

/// What a pass over a finished file gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filtered {
    /// Triplets that were read.
    pub triplets: usize,
    /// Triplets that stayed.
    pub kept: usize,
    /// Triplets left out, by rule.
    pub left_out: BTreeMap<String, usize>,
    /// Lines that could not be used and stand in neither file.
    pub unusable: usize,
    /// SynCir's rules, where they were applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captions: Option<captions::About>,
    /// The round trip, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<round_trip::About>,
}

/// A left-out row's line: the row, the rule, and what the rule found.
///
/// # Errors
/// When the row is not a JSON object.
pub fn left_out(line: &str, rule: &str, found: Vec<(&'static str, Value)>) -> serde_json::Result<String> {
    let mut row: Map<String, Value> = serde_json::from_str(line)?;
    row.insert("rule".into(), rule.into());
    row.extend(found.into_iter().map(|(name, value)| (name.to_owned(), value)));
    serde_json::to_string(&row)
}

/// A line with its row.
type Waiting = Vec<(String, Text)>;

/// What is known of a row that the rules have seen.
#[derive(Default)]
struct Seen {
    rule: Option<&'static str>,
    similarity: Option<f32>,
    ranks: Option<Ranks>,
}

impl Seen {
    fn found(&self) -> Vec<(&'static str, Value)> {
        let similarity = self.similarity.map(|s| ("similarity", Value::from((f64::from(s) * 1e4).round() / 1e4)));
        similarity.into_iter().chain(self.ranks.into_iter().flat_map(Ranks::fields)).collect()
    }
}

impl Rules<'_> {
    /// The row, where the rules have what they need of it.
    fn usable(&self, text: Text) -> Result<Text, String> {
        if self.captions.is_some() {
            captions(&text)?;
        }
        if let Some(trip) = self.round_trip {
            if let Some(name) = [&text.reference, &text.target].into_iter().find(|name| !trip.knows(name)) {
                return Err(format!("the feature cache or the gallery has no image '{name}'"));
            }
            if trip.rule().both && text.modifier_reversed.is_none() {
                return Err("there is no modifier_reversed, which both directions need".into());
            }
        }
        Ok(text)
    }

    /// What to give where nothing is usable.
    fn mend(&self) -> &'static str {
        match self.round_trip {
            Some(_) => "give a file of `thisbut generator generate` and the features of its images",
            None => "give a file of `thisbut rewrite`, which has the captions",
        }
    }

    fn names(&self) -> Vec<&'static str> {
        let captions = self.captions.iter().flat_map(|_| [EQUAL, SIMILARITY]);
        captions.chain(self.round_trip.map(|_| NAME)).collect()
    }
}

/// A pass over a finished file, with what earlier runs have found.
pub struct Pass<'a> {
    rules: Rules<'a>,
    out: PathBuf,
    judged: Judged,
    /// Who judges captions, and who ranks.
    judges: [Option<Judge>; 2],
    counts: Counts,
}

impl<'a> Pass<'a> {
    /// A pass that writes to `out`. What it finds is kept in `….journal.jsonl` beside it as soon as it is found.
    ///
    /// # Errors
    /// When that file cannot be read or written, or is another's, and when the feature cache lacks an image of the gallery.
    pub fn open(rules: Rules<'a>, out: &Path) -> Result<Self> {
        let judged = Judged::open(&fsx::beside(out, "journal.jsonl"))?;
        let judges =
            [rules.captions.as_ref().map(CaptionRules::judge), rules.round_trip.map(RoundTrip::judge).transpose()?];
        Ok(Self { rules, out: out.to_path_buf(), judged, judges, counts: Counts::default() })
    }

    /// How much earlier runs have found: by the models of this one, and by others.
    pub fn earlier(&self) -> (usize, usize) {
        self.judged.earlier(&self.judges.iter().flatten().cloned().collect::<Vec<_>>())
    }

    /// Where it is kept.
    pub fn journal(&self) -> &Path {
        self.judged.path()
    }

    /// What the rules say of each row; a rule sees what those before it have left.
    fn check(&mut self, rows: &Waiting) -> Result<Vec<Seen>> {
        let mut seen: Vec<Seen> = rows.iter().map(|_| Seen::default()).collect();
        self.check_captions(rows, &mut seen)?;
        self.check_ranks(rows, &mut seen)?;
        Ok(seen)
    }

    fn check_captions(&mut self, rows: &Waiting, seen: &mut [Seen]) -> Result<()> {
        let (Some(rules), Some(judge)) = (&mut self.rules.captions, &self.judges[0]) else { return Ok(()) };
        let texts: Vec<Captioned> = rows.iter().filter_map(|(_, row)| of_captions(row)).collect();
        assert_eq!(texts.len(), rows.len(), "rows without captions are not usable");
        let differ = |texts: &Captioned| !same(texts[0], texts[2]);
        let asked: Vec<(Key, Captioned)> =
            texts.iter().filter(|texts| differ(texts)).map(|texts| (Key::new(judge, texts), *texts)).collect();
        let found = self.judged.of(judge, &asked, &mut |items| {
            Ok(rules.similarities(items)?.into_iter().map(Found::Similarity).collect())
        })?;
        let mut found = found.into_iter();
        for (seen, texts) in seen.iter_mut().zip(&texts) {
            if differ(texts) {
                match found.next() {
                    Some(Found::Similarity(similarity)) => seen.similarity = Some(similarity),
                    _ => return Err(mixed(self.judged.path())),
                }
            }
            seen.rule = rules.rule(seen.similarity);
        }
        Ok(())
    }

    fn check_ranks(&mut self, rows: &Waiting, seen: &mut [Seen]) -> Result<()> {
        let (Some(trip), Some(judge)) = (self.rules.round_trip, &self.judges[1]) else { return Ok(()) };
        let stay: Vec<usize> = (0..rows.len()).filter(|at| seen[*at].rule.is_none()).collect();
        let asked: Vec<(Key, Asked)> = stay.iter().map(|at| asked(judge, trip.rule().both, &rows[*at].1)).collect();
        let found = self
            .judged
            .of(judge, &asked, &mut |items| Ok(trip.ranks(items)?.into_iter().map(Found::Ranks).collect()))?;
        for (at, found) in stay.into_iter().zip(found) {
            let Found::Ranks(ranks) = found else { return Err(mixed(self.judged.path())) };
            self.counts.add(ranks);
            seen[at].ranks = Some(ranks);
            seen[at].rule = (!trip.keeps(ranks)).then_some(NAME);
        }
        Ok(())
    }

    /// Reads the triplets of `path` and writes those that stay to the output, byte for byte, the others to `….left-out.jsonl`
    /// and the counts to `….report.json` beside it. What earlier runs have found is not judged again.
    ///
    /// # Errors
    /// When a file cannot be read or written, when no line can be used, or the device fails. What was found until then is kept.
    pub fn run(mut self, path: &Path, progress: &mut dyn FnMut(usize)) -> Result<(Filtered, Complaints)> {
        let (mut complaints, mut tally) = (Complaints::default(), Tally::new(&self.rules));
        let out = self.out.clone();
        fsx::write_atomic_from(&fsx::beside(&out, "left-out.jsonl"), |left, left_io| {
            fsx::write_atomic_from(&out, |stays, stays_io| {
                let mut waiting = Waiting::with_capacity(BATCH);
                let mut settle = |pass: &mut Self, waiting: &mut Waiting| -> Result<()> {
                    for ((line, _), seen) in waiting.iter().zip(pass.check(waiting)?) {
                        match tally.add(seen.rule) {
                            None => writeln!(stays, "{line}").map_err(stays_io)?,
                            Some(rule) => {
                                let line = left_out(line, rule, seen.found()).map_err(|e| left_io(e.into()))?;
                                writeln!(left, "{line}").map_err(left_io)?;
                            }
                        }
                    }
                    waiting.clear();
                    progress(tally.read);
                    Ok(())
                };
                texts::each(path, &mut |at, line, row| {
                    match row.and_then(|text| self.rules.usable(text)) {
                        Ok(text) => waiting.push((line.to_owned(), text)),
                        Err(problem) => {
                            complaints.push(format!("{}, {at}", path.display()), format!("{problem}; in neither file"));
                        }
                    }
                    if waiting.len() == BATCH { settle(&mut self, &mut waiting) } else { Ok(()) }
                })?;
                if !waiting.is_empty() {
                    settle(&mut self, &mut waiting)?;
                }
                complaints.refuse_all(path, tally.read, self.rules.mend())
            })
        })?;
        let filtered = self.report(tally, complaints.count)?;
        Ok((filtered, complaints))
    }

    /// Writes what the pass gave, and gives it.
    fn report(&self, tally: Tally, unusable: usize) -> Result<Filtered> {
        let filtered = Filtered {
            triplets: tally.read,
            kept: tally.kept,
            left_out: tally.left_out,
            unusable,
            captions: self.rules.captions.as_ref().map(CaptionRules::about),
            round_trip: self.rules.round_trip.map(|trip| trip.about(&self.counts)),
        };
        let place = fsx::beside(&self.out, "report.json");
        let json = serde_json::to_vec_pretty(&filtered)
            .map_err(|e| TrainerError::checkpoint(place.display().to_string(), e.to_string(), "report this"))?;
        fsx::write_atomic(&place, &json)?;
        Ok(filtered)
    }
}

/// Triplets that were read, by what became of them.
struct Tally {
    read: usize,
    kept: usize,
    left_out: BTreeMap<String, usize>,
}

impl Tally {
    fn new(rules: &Rules) -> Self {
        Self { read: 0, kept: 0, left_out: rules.names().into_iter().map(|name| (name.to_owned(), 0)).collect() }
    }

    /// Counts a triplet, and gives the rule back.
    fn add(&mut self, rule: Option<&'static str>) -> Option<&'static str> {
        self.read += 1;
        match rule {
            Some(rule) => *self.left_out.entry(rule.to_owned()).or_default() += 1,
            None => self.kept += 1,
        }
        rule
    }
}

/// The error of a journal in which one rule's finding stands where another's belongs.
fn mixed(journal: &Path) -> TrainerError {
    let mend = "delete it; its triplets are judged anew";
    TrainerError::data(journal.display().to_string(), "a rule's finding stands where another's belongs", mend)
}

fn of_captions(row: &Text) -> Option<Captioned<'_>> {
    let (from, to) = captions(row).ok()?;
    Some([from, &row.modifier_generated, to])
}

/// What a retrieval model is asked, and its key: the text back counts where it is asked too.
fn asked<'a>(judge: &Judge, both: bool, row: &'a Text) -> (Key, Asked<'a>) {
    let asked = Asked::from(row);
    let back = asked.back.filter(|_| both).unwrap_or_default();
    (Key::new(judge, &[asked.reference, asked.target, asked.text, back]), asked)
}
