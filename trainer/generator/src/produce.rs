//! Texts for a list of pairs, in parts that are each written whole: a killed run goes on with the part that it was at.

pub use super::asked::Asked;
use super::filters::{Filter, Row, file};
use super::round_trip::{self, Counts, Ranks, RoundTrip};
use super::speaker::Speaker;
use crate::runtime::Decoding;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use thisbut_model::number::NumberFormat;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::features::ImageTokens;
use thisbut_trainer::fsx;
use thisbut_trainer::partial;

/// What is to be done.
pub struct Job<'a> {
    /// The pairs.
    pub pairs: &'a [Asked],
    /// Their images' tokens.
    pub features: &'a dyn ImageTokens,
    /// How texts are made.
    pub decoding: Decoding,
    /// What the speaker's language model computes in, for the report.
    pub precision: NumberFormat,
    /// Pairs that are answered together; each has two texts.
    pub batch: usize,
    /// Pairs a part.
    pub part: usize,
    /// The file to write.
    pub out: &'a Path,
    /// A retrieval model that must find the targets, the last rule.
    pub round_trip: Option<&'a RoundTrip<'a>>,
    /// Changes with everything that the texts depend on.
    pub fingerprint: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job's fingerprint.
    pub job: String,
    /// What the language model computed in.
    #[serde(default)]
    pub precision: NumberFormat,
    /// Pairs that were asked for.
    pub pairs: usize,
    /// Pairs whose texts are in the file.
    pub kept: usize,
    /// Pairs left out, by rule.
    pub left_out: BTreeMap<String, usize>,
    /// Words a text, of those kept.
    pub mean_words: f64,
    /// Characters a text, of those kept (MTST's Table I counts these).
    pub mean_characters: f64,
    /// Different words of the texts kept.
    pub unique_words: usize,
    /// The round trip, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip: Option<round_trip::About>,
}

/// Where the work stands.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Pairs done.
    pub done: usize,
    /// Pairs in all.
    pub all: usize,
    /// Texts a second since this stage began.
    pub texts_per_second: f64,
    /// Whether the texts are there and are now checked by the round trip.
    pub round_trip: bool,
}

/// What the finished file depends on: the texts' fingerprint, and the round trip's.
fn whole_fingerprint(job: &Job) -> String {
    match job.round_trip {
        Some(trip) => fsx::sha256_hex(format!("{}\n{}", job.fingerprint, trip.fingerprint()).as_bytes()),
        None => job.fingerprint.clone(),
    }
}

fn parts_folder(out: &Path) -> PathBuf {
    fsx::beside(out, "parts")
}

/// Names the job in the folder of its parts.
const MARK: &str = "job";
const PART: &str = "part-";

fn part_path(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{PART}{number:06}.jsonl"))
}

/// Makes every text that is not there yet, then writes the file, the pairs left out (`….left-out.jsonl`) and the report
/// (`….report.json`) beside it, and removes the parts. A job that is done already is left as it is.
///
/// # Errors
/// When a file cannot be written, when the file exists already and is another job's, or when the parts beside it are another job's. Whatever part
/// was finished stays.
pub fn produce(job: &Job, speaker: &Speaker, device: &Device, tell: &mut dyn FnMut(Progress)) -> Result<Report> {
    job.decoding.check()?;
    let folder = parts_folder(job.out);
    if let Some(report) = finished(job) {
        return remove(&folder).map(|()| report);
    }
    let mark = folder.join(MARK);
    match fsx::read_text(&mark, fsx::SMALL) {
        Ok(found) if found == job.fingerprint => {}
        Ok(_) => {
            let problem = "these parts belong to another generator, other pairs or other settings";
            let mend = "run the command that began them, or delete the folder";
            return Err(TrainerError::checkpoint(folder.display().to_string(), problem, mend));
        }
        Err(_) => {
            if job.out.exists() {
                let mend = "choose another --out, or delete it";
                return Err(TrainerError::settings(job.out.display().to_string(), "the file is there already", mend));
            }
            if let Some(other) = names(&folder)?.into_iter().find(|name| !name.starts_with(partial::PREFIX)) {
                let problem = format!("has '{other}' in it, which no run of this has begun");
                let mend = "choose another --out, or move it away";
                return Err(TrainerError::settings(folder.display().to_string(), problem, mend));
            }
            fsx::write_atomic(&mark, job.fingerprint.as_bytes())?;
        }
    }
    let chunks: Vec<&[Asked]> = job.pairs.chunks(job.part.max(1)).collect();
    let (began, mut made, mut done) = (Instant::now(), 0usize, 0usize);
    for (number, chunk) in chunks.iter().enumerate() {
        let path = part_path(&folder, number);
        if !path.is_file() {
            let mut text = Vec::new();
            let rows = texts(job, speaker, chunk, device, &mut |texts, share| {
                made += texts;
                let texts_per_second = made as f64 / began.elapsed().as_secs_f64().max(1e-9);
                let done = done + (chunk.len() as f64 * share) as usize;
                tell(Progress { done, all: job.pairs.len(), texts_per_second, round_trip: false });
            })?;
            for row in rows {
                serde_json::to_writer(&mut text, &row)
                    .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
                text.push(b'\n');
            }
            fsx::write_atomic(&path, &text)?;
        }
        done += chunk.len();
    }
    let report = assemble(job, &folder, chunks.len(), tell)?;
    remove(&folder)?;
    Ok(report)
}

/// The report of this very job, when it is done.
fn finished(job: &Job) -> Option<Report> {
    let text = fsx::read(&fsx::beside(job.out, "report.json"), fsx::MIDDLE).ok().filter(|_| job.out.is_file())?;
    serde_json::from_slice::<Report>(&text).ok().filter(|report| report.job == whole_fingerprint(job))
}

/// What lies in a folder; nothing where there is none.
fn names(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| TrainerError::io(folder, "read", e, "check the folder and its permissions");
    match std::fs::read_dir(folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries
            .and_then(|entries| entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect())
            .map_err(failed),
    }
}

/// Removes a job's own files, its mark last: until then a killed run knows its parts. What others put there stays, and a folder
/// without a mark is another's.
fn remove(folder: &Path) -> Result<()> {
    let failed = |e| TrainerError::io(folder, "remove", e, "delete the folder by hand");
    let names = names(folder)?;
    let own = |name: &&String| name.starts_with(PART) || name.starts_with(partial::PREFIX);
    if names.iter().any(|name| name == MARK) {
        for name in names.iter().filter(own).map(String::as_str).chain([MARK]) {
            std::fs::remove_file(folder.join(name)).map_err(failed)?;
        }
    }
    match std::fs::remove_dir(folder) {
        Err(e) if !matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::DirectoryNotEmpty) => {
            Err(failed(e))
        }
        _ => Ok(()),
    }
}

/// What a text's draws depend on besides the seed: its images, in their order.
fn number(reference: &str, target: &str) -> u64 {
    let digest = fsx::sha256_hex(format!("{reference}\t{target}").as_bytes());
    match digest.get(..16).map(|digits| u64::from_str_radix(digits, 16)) {
        Some(Ok(number)) => number,
        _ => unreachable!("a SHA-256 is 64 hexadecimal digits, this one '{digest}'"),
    }
}

/// Both directions of a part's pairs. A pair and its swapped twin, as sets of images have them, share their texts. `tell` gets the
/// texts of each batch and the share of the part that is done.
fn texts(
    job: &Job,
    speaker: &Speaker,
    part: &[Asked],
    device: &Device,
    tell: &mut dyn FnMut(usize, f64),
) -> Result<Vec<Row>> {
    let mut places: HashMap<(&String, &String), usize> = HashMap::new();
    let (mut ways, mut numbers) = (Vec::new(), Vec::new());
    for Asked { reference, target } in part {
        for (from, to) in [(reference, target), (target, reference)] {
            let next = ways.len();
            if *places.entry((from, to)).or_insert(next) == next {
                ways.push((job.features.row(from)?, job.features.row(to)?));
                numbers.push(number(from, to));
            }
        }
    }
    let batch = 2 * job.batch.max(1);
    let mut said = Vec::with_capacity(ways.len());
    for (ways, numbers) in ways.chunks(batch).zip(numbers.chunks(batch)) {
        said.extend(speaker.say(ways, numbers.to_vec(), job.features, &job.decoding, device)?);
        tell(ways.len(), said.len() as f64 / places.len() as f64);
    }
    assert_eq!(said.len(), places.len(), "every way between two images has one text");
    let text = |way: (&String, &String)| said[places[&way]].clone();
    let rows = part.iter().map(|Asked { reference, target }| Row {
        reference: reference.clone(),
        target: target.clone(),
        modifier_generated: text((reference, target)),
        modifier_reversed: text((target, reference)),
    });
    Ok(rows.collect())
}

/// Takes a line, its row, the rule that leaves it out, and where the round trip found it.
type Take<'a> = dyn FnMut(&str, &Row, Option<&str>, Option<Ranks>) -> Result<()> + 'a;

/// Goes through every row of the parts in order, with the reason why it is left out, if it is. `ranks` has what the round
/// trip found, a place a row; it is empty where there was none.
fn each(job: &Job, folder: &Path, parts: usize, ranks: &[Option<Ranks>], take: &mut Take) -> Result<Filter> {
    let mut filter = Filter::new();
    let mut count = 0;
    for number in 0..parts {
        let path = part_path(folder, number);
        let failed = |e| TrainerError::io(&path, "read", e, "delete the folder and start again");
        let file = fsx::open(&path, fsx::TABLE)?.0;
        for line in std::io::BufReader::new(file).lines() {
            let line = line.map_err(failed)?;
            let row: Row = serde_json::from_str(&line).map_err(|e| failed(e.into()))?;
            let asked = job.pairs.get(count);
            if asked.is_none_or(|asked| asked.reference != row.reference || asked.target != row.target) {
                let problem = format!("row {} is of another pair than was asked for", count + 1);
                return Err(TrainerError::checkpoint(
                    path.display().to_string(),
                    problem,
                    "delete the folder and start again",
                ));
            }
            let found = ranks.get(count).copied().flatten();
            let far = found.zip(job.round_trip).is_some_and(|(ranks, trip)| !trip.keeps(ranks));
            let rule = filter.check(&row).map(|r| r.name()).or(far.then_some(round_trip::NAME));
            take(&line, &row, rule, found)?;
            count += 1;
        }
    }
    if count != job.pairs.len() {
        let problem = format!("the parts have {count} pairs, {} were asked for", job.pairs.len());
        return Err(TrainerError::checkpoint(folder.display().to_string(), problem, "delete the folder"));
    }
    Ok(filter)
}

/// Where the round trip finds each row that no other rule leaves out; nothing without one.
fn ranked(
    job: &Job,
    folder: &Path,
    parts: usize,
    tell: &mut dyn FnMut(Progress),
) -> Result<(Vec<Option<Ranks>>, Counts)> {
    let (mut ranks, mut counts) = (Vec::new(), Counts::default());
    let Some(trip) = job.round_trip else { return Ok((ranks, counts)) };
    let began = Instant::now();
    ranks.resize(job.pairs.len(), None);
    let (mut at, mut made) = (0, 0);
    let mut waiting: Vec<(usize, Row)> = Vec::new();
    let mut settle = |waiting: &mut Vec<(usize, Row)>, done: usize| -> Result<()> {
        let asked: Vec<round_trip::Asked> = waiting.iter().map(|(_, row)| row.into()).collect();
        for ((at, _), found) in waiting.iter().zip(trip.ranks(&asked)?) {
            counts.add(found);
            ranks[*at] = Some(found);
        }
        made += waiting.len() * if trip.rule().both { 2 } else { 1 };
        waiting.clear();
        let texts_per_second = made as f64 / began.elapsed().as_secs_f64().max(1e-9);
        tell(Progress { done, all: job.pairs.len(), texts_per_second, round_trip: true });
        Ok(())
    };
    each(job, folder, parts, &[], &mut |_, row, rule, _| {
        if rule.is_none() {
            waiting.push((at, row.clone()));
        }
        at += 1;
        if waiting.len() >= round_trip::BATCH { settle(&mut waiting, at) } else { Ok(()) }
    })?;
    settle(&mut waiting, at)?;
    Ok((ranks, counts))
}

fn assemble(job: &Job, folder: &Path, parts: usize, tell: &mut dyn FnMut(Progress)) -> Result<Report> {
    let (ranks, counts) = ranked(job, folder, parts, tell)?;
    let (mut kept, mut characters, mut count, mut unique) = (0usize, 0usize, 0usize, BTreeSet::new());
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    fsx::write_atomic_from(&fsx::beside(job.out, "left-out.jsonl"), |out, failed| {
        if job.round_trip.is_some() {
            left_out.insert(round_trip::NAME.to_owned(), 0);
        }
        let filter = each(job, folder, parts, &ranks, &mut |line, _, rule, found| {
            let Some(rule) = rule else { return Ok(()) };
            if rule == round_trip::NAME {
                *left_out.entry(rule.to_owned()).or_default() += 1;
            }
            let ranks = found.map_or_else(Vec::new, Ranks::fields);
            let line = file::left_out(line, rule, ranks).map_err(|e| failed(e.into()))?;
            writeln!(out, "{line}").map_err(failed)
        })?;
        left_out.extend(filter.counts().into_iter().map(|(rule, count)| (rule.to_owned(), count)));
        Ok(())
    })?;
    fsx::write_atomic_from(job.out, |out, failed| {
        each(job, folder, parts, &ranks, &mut |line, row, rule, _| {
            if rule.is_some() {
                return Ok(());
            }
            kept += 1;
            for text in [&row.modifier_generated, &row.modifier_reversed] {
                characters += text.chars().count();
                for word in super::quality::words(text) {
                    count += 1;
                    unique.insert(word);
                }
            }
            writeln!(out, "{line}").map_err(failed)
        })?;
        Ok(())
    })?;
    let texts = (2 * kept).max(1) as f64;
    let report = Report {
        job: whole_fingerprint(job),
        precision: job.precision,
        pairs: job.pairs.len(),
        kept,
        left_out,
        mean_words: count as f64 / texts,
        mean_characters: characters as f64 / texts,
        unique_words: unique.len(),
        round_trip: job.round_trip.map(|trip| trip.about(&counts)),
    };
    let path = fsx::beside(job.out, "report.json");
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
    fsx::write_atomic(&path, &json)?;
    Ok(report)
}
