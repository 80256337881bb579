//! NLVR2, from whose photographs CIRR was made: its published files, and pairs of its images.
//!
//! A row is an example with `identifier` (`split-set-pair-sentence`), `query`, `synset` and, in the training split,
//! `directory`. Its images are `split-set-pair-img{0,1}.png`. The images of one set (up to eight) were found by one search,
//! `query`; `synset` is what was searched for.

use super::rules::{SET, generator};
use crate::data::Complaint;
use crate::data::json_rows::{self, Row};
use crate::error::{Result, TrainerError};
use rand::seq::SliceRandom;
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Sets of six, in each of which 15 unordered pairs, that give the 707,745 pairs of MTST's paper.
pub const PUBLISHED_SETS: usize = 47_183;
/// Rounds in which no set was new before a search for more is given up.
const FRUITLESS: usize = 20;

#[derive(Deserialize)]
struct Example {
    identifier: String,
    synset: Option<String>,
    directory: Option<Directory>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Directory {
    Number(u32),
    Name(String),
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its file, as CIRR's split files have it: `./train/34/train-11041-2-img0.png`.
    pub path: String,
    /// The set that it was shown in: split and number.
    pub set: (String, u32),
    /// What was searched for.
    pub synset: Option<String>,
}

/// Images by name.
pub type Images = BTreeMap<String, Image>;

/// Reads a published file (`train.json`, `dev.json`, …: JSON lines, whatever its ending says). Rows that cannot be used are left
/// out and named.
///
/// # Errors
/// When the file cannot be read, or nothing in it is usable.
pub fn read(path: &Path) -> Result<(Images, Vec<Complaint>)> {
    let rows: Vec<Row<Example>> = json_rows::either(path)?;
    let (mut images, mut complaints) = (Images::new(), Vec::new());
    for (at, row) in rows {
        match row.and_then(of_example) {
            Ok(pair) => pair.into_iter().for_each(|(name, image)| {
                images.entry(name).or_insert(image);
            }),
            Err(problem) => complaints.push(Complaint::left_out(path, at, problem)),
        }
    }
    if images.is_empty() {
        let first = complaints.first().map_or_else(|| "it has no rows".to_owned(), ToString::to_string);
        let mend = "give one of NLVR2's files, such as nlvr2/data/train.json";
        return Err(TrainerError::data(path.display().to_string(), format!("no usable example ({first})"), mend));
    }
    Ok((images, complaints))
}

/// The two images of an example.
fn of_example(row: Example) -> std::result::Result<[(String, Image); 2], String> {
    let wrong = || format!("identifier '{}' is not split-set-pair-sentence", row.identifier);
    let [split, set, pair, sentence] = *row.identifier.split('-').collect::<Vec<_>>() else { return Err(wrong()) };
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let (set, pair, _) = (number(set)?, number(pair)?, number(sentence)?);
    if split.is_empty() || !split.chars().all(|c| c.is_ascii_alphanumeric()) {
        return Err(wrong());
    }
    let folder = match &row.directory {
        None => String::new(),
        Some(Directory::Number(number)) => format!("{number}/"),
        Some(Directory::Name(name)) if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric()) => {
            format!("{name}/")
        }
        Some(Directory::Name(name)) => return Err(format!("directory '{name}' is no folder's name")),
    };
    Ok([0, 1].map(|side| {
        let name = format!("{split}-{set}-{pair}-img{side}");
        let path = format!("./{split}/{folder}{name}.png");
        (name, Image { path, set: (split.to_owned(), set), synset: row.synset.clone() })
    }))
}

/// NLVR2's own sets: images that one search found, up to eight.
pub fn own_sets(images: &Images) -> Vec<Vec<String>> {
    let mut sets: BTreeMap<&(String, u32), Vec<String>> = BTreeMap::new();
    for (name, image) in images {
        sets.entry(&image.set).or_default().push(name.clone());
    }
    sets.into_values().filter(|set| set.len() > 1).collect()
}

/// Images by what was searched for; those of examples without a synset are left out.
pub fn synsets(images: &Images) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, image) in images {
        if let Some(synset) = &image.synset {
            found.entry(synset.clone()).or_default().push(name.clone());
        }
    }
    found
}

/// `wanted` sets of six of one category each, in which images recur and no two images meet twice. Every category is shuffled
/// and cut into sixes, round after round, so that a category has sets as it has images.
///
/// # Errors
/// When the categories do not have as many.
pub fn recurring_sets(
    categories: &BTreeMap<String, Vec<String>>,
    wanted: usize,
    seed: u64,
) -> Result<Vec<Vec<String>>> {
    let mut met: HashSet<(&str, &str)> = HashSet::new();
    let (mut sets, mut round, mut fruitless) = (Vec::new(), 0, 0);
    while sets.len() < wanted && fruitless < FRUITLESS {
        let mut fresh: Vec<Vec<String>> = Vec::new();
        for (category, images) in categories {
            let mut order: Vec<&str> = images.iter().map(String::as_str).collect();
            order.shuffle(&mut generator(seed, &format!("{round} {category}")));
            for set in order.chunks_exact(SET) {
                let pairs: Vec<(&str, &str)> = unordered(set).into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
                if pairs.iter().all(|pair| !met.contains(pair)) {
                    met.extend(pairs);
                    fresh.push(set.iter().map(|name| (*name).to_owned()).collect());
                }
            }
        }
        fruitless = if fresh.is_empty() { fruitless + 1 } else { 0 };
        // The last round is not needed whole: it gives sets of every category.
        fresh.shuffle(&mut generator(seed, &round.to_string()));
        fresh.truncate(wanted - sets.len());
        sets.extend(fresh);
        round += 1;
    }
    if sets.len() < wanted {
        let problem = format!("{wanted} sets of six cannot be made of these images: {} were found", sets.len());
        return Err(TrainerError::settings("--sets", problem, "ask for fewer, or give more of NLVR2's files"));
    }
    Ok(sets)
}

/// Every unordered pair of a set, in the order of its members: 15 of six.
pub fn unordered<T: Clone>(members: &[T]) -> Vec<(T, T)> {
    let pairs = members
        .iter()
        .enumerate()
        .flat_map(|(at, a)| members.iter().skip(at + 1).map(move |b| (a.clone(), b.clone())).collect::<Vec<_>>());
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Pairs;
    use super::super::rules::all_ordered;
    use super::*;

    #[test]
    fn examples_become_images_and_faults_are_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rows = [
            r#"{"identifier": "train-11041-2-1", "synset": "beer bottle", "query": "beer bottles38", "directory": 34}"#,
            r#"{"identifier": "train-11041-0-0", "synset": "beer bottle", "query": "beer bottles38", "directory": "34"}"#,
            r#"{"identifier": "dev-7-3-0", "synset": "gorilla", "query": "gorillas2", "sentence": "x"}"#,
            r#"{"identifier": "dev-7-3"}"#,
            r#"{"identifier": "../x-7-3-1"}"#,
            r#"{"identifier": "dev-8-0-0", "directory": "../.."}"#,
            r#"{"sentence": "no identifier"}"#,
        ];
        std::fs::write(file.path(), rows.join("\n")).unwrap();
        let (images, complaints) = read(file.path()).unwrap();
        assert_eq!(images.len(), 6);
        assert_eq!(images["train-11041-2-img0"].path, "./train/34/train-11041-2-img0.png");
        assert_eq!(images["dev-7-3-img1"].path, "./dev/dev-7-3-img1.png");
        assert_eq!(own_sets(&images).iter().map(Vec::len).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(synsets(&images)["beer bottle"].len(), 4);
        let text: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        let words = ["line 4: identifier 'dev-7-3'", "line 5", "line 6: directory", "line 7: missing field"];
        assert_eq!(text.len(), words.len());
        assert!(text.iter().zip(words).all(|(text, words)| text.contains(words)), "{text:#?}");
        std::fs::write(file.path(), rows[3]).unwrap();
        assert!(read(file.path()).unwrap_err().to_string().contains("no usable example"));
    }

    /// Images as NLVR2's training split has them: 103,170 of 124 synsets.
    fn categories() -> BTreeMap<String, Vec<String>> {
        let of = |c: usize| (0..if c < 2 { 833 } else { 832 }).map(|i| format!("{c}-{i}")).collect();
        (0..124).map(|c| (format!("synset {c}"), of(c))).collect()
    }

    #[test]
    fn recurring_sets_reach_the_papers_pairs_without_a_repeat() {
        let categories = categories();
        assert_eq!(categories.values().map(Vec::len).sum::<usize>(), 103_170);
        let sets = recurring_sets(&categories, PUBLISHED_SETS, 1).unwrap();
        let mut pairs = Pairs::new();
        for set in &sets {
            assert!(set.len() == 6 && set.iter().all(|name| name.split('-').next() == set[0].split('-').next()));
            pairs.add("nlvr2", unordered(set));
        }
        let count = pairs.counts()["nlvr2"];
        assert_eq!((count.groups, count.named, count.new), (47_183, 707_745, 707_745));
        let twins = pairs.pairs().iter().map(|p| (p.target.as_str(), p.reference.as_str())).collect::<HashSet<_>>();
        assert!(pairs.pairs().iter().all(|p| !twins.contains(&(p.reference.as_str(), p.target.as_str()))));
        // Each image stands in two or three sets; those of sets that the later rounds leave out in fewer.
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        sets.iter().flatten().for_each(|name| *times.entry(name).or_default() += 1);
        let most = times.values().max();
        assert!(most <= Some(&4) && times.len() > 103_000, "{most:?} {}", times.len());
        assert_eq!(sets[..50], recurring_sets(&categories, 50, 1).unwrap()[..]);
    }

    #[test]
    fn more_sets_than_there_can_be_are_refused() {
        let few: BTreeMap<_, _> = [("dogs".to_owned(), (0..13).map(|i| i.to_string()).collect())].into();
        assert!(recurring_sets(&few, 2, 1).is_ok());
        let problem = recurring_sets(&few, 100, 1).unwrap_err().to_string();
        assert!(problem.contains("100 sets of six cannot be made"), "{problem}");
    }

    /// With NLVR2's published files at hand.
    #[test]
    fn published_files_give_their_own_sets_pairs() {
        let Some(folder) = crate::skipped::published("nlvr2") else { return };
        for (file, images, sets, pairs) in
            [("dev", 8_102, 1_054, 54_974), ("test1", 8_082, 1_052, 54_850), ("test2", 8_148, 1_056, 55_420)]
        {
            let (found, complaints) = read(&folder.join(format!("{file}.json"))).unwrap();
            let own = own_sets(&found);
            let named: usize = own.iter().map(|set| all_ordered(set).len()).sum();
            assert_eq!((found.len(), own.len(), named, complaints.len()), (images, sets, pairs, 0), "{file}");
            assert_eq!(synsets(&found).len(), 124);
        }
    }
}
