//! The files that test servers take: CIRR's `recall` and `recall_subset`, and CIRCO's.
//!
//! CIRR (cirr.cecs.anu.edu.au): `{"version": "rc2", "metric": "recall", "<pairid>": [50 names]}` and the same with
//! "recall_subset" and 3 names, without the reference, at most 5 MB each. CIRCO (circo.micc.unifi.it):
//! `{"0": [50 image ids], …}` with every query's number from 0 on. Both take each image once a query, best first.
//! Nothing is written unless everything is within these limits.

use crate::data::{Format, Split, Table, published};
use crate::error::{Result, TrainerError};
use crate::evaluate::Answer;
use crate::fsx;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What CIRR's server accepts, in bytes.
pub const CIRR_MAX_BYTES: usize = 5_000_000;
/// Names a query in CIRR's `recall` file, and ids in CIRCO's.
pub const TOP: usize = 50;
/// Names a query in CIRR's `recall_subset` file.
pub const SUBSET_TOP: usize = 3;

/// Writes the files for a data set's server into `folder` and returns their paths.
///
/// # Errors
/// When the data set has no server, when a file would exceed its server's limits, and when it cannot be written.
pub fn write(folder: &Path, format: Format, split: Split, table: &Table, answers: &[Answer]) -> Result<Vec<PathBuf>> {
    let expected = published::queries(format, split, table);
    let word = split.name();
    let files = match format {
        Format::Cirr => vec![
            (format!("cirr-{word}-recall.json"), cirr(table, answers, "recall", expected)?),
            (format!("cirr-{word}-recall-subset.json"), cirr(table, answers, "recall_subset", expected)?),
        ],
        Format::Circo => vec![(format!("circo-{word}.json"), circo(table, answers, expected)?)],
        other => {
            let problem = format!("a {} data set has no test server", other.name());
            return Err(TrainerError::settings("--submission", problem, "leave it out; it is for CIRR and CIRCO"));
        }
    };
    fsx::create_dir(folder)?;
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = folder.join(name);
        fsx::write_atomic(&path, text.as_bytes())?;
        paths.push(path);
    }
    Ok(paths)
}

fn refuse(problem: String, mend: &str) -> TrainerError {
    TrainerError::data("the submission", problem, mend)
}

/// One file for CIRR's server; `metric` is "recall" or "recall_subset".
///
/// # Errors
/// When a list is too short, names an image twice or names the reference, when the number of queries isn't the
/// `expected` one, and when the file is too large.
pub fn cirr(table: &Table, answers: &[Answer], metric: &str, expected: Option<usize>) -> Result<String> {
    let mut out = Map::new();
    out.insert("version".into(), "rc2".into());
    out.insert("metric".into(), metric.into());
    let subset = metric == "recall_subset";
    for answer in answers {
        let (chosen, length) = if subset { (&answer.subset, SUBSET_TOP) } else { (&answer.ranking, TOP) };
        let names: Vec<&str> = chosen.iter().take(length).map(|image| table.image_name(*image)).collect();
        check_list(answer.id, &names, length)?;
        if names.contains(&answer.reference.as_str()) {
            return Err(refuse(
                format!("the answers to query {} hold its reference '{}'", answer.id, answer.reference),
                "evaluate with CIRR's protocol",
            ));
        }
        insert(&mut out, answer.id, names.into_iter().map(Value::from).collect())?;
    }
    check_count(answers.len(), expected)?;
    let text = Value::from(out).to_string();
    if text.len() > CIRR_MAX_BYTES {
        return Err(refuse(
            format!(
                "{metric} is {:.1} MB, the server takes {} MB",
                text.len() as f64 / 1e6,
                CIRR_MAX_BYTES / 1_000_000
            ),
            "submit one split at a time",
        ));
    }
    Ok(text)
}

/// The file for CIRCO's server.
///
/// # Errors
/// When a list is too short, names an image twice or an image whose name is no COCO id, when the queries are not numbered
/// from 0, and when their number isn't the `expected` one.
pub fn circo(table: &Table, answers: &[Answer], expected: Option<usize>) -> Result<String> {
    let mut out = Map::new();
    for answer in answers {
        let names: Vec<&str> = answer.ranking.iter().take(TOP).map(|image| table.image_name(*image)).collect();
        check_list(answer.id, &names, TOP)?;
        let ids: Result<Vec<Value>> = names
            .iter()
            .map(|name| {
                let number: Result<u64, _> = name.parse();
                number.map(Value::from).map_err(|_| refuse(format!("'{name}' is no COCO id"), "use CIRCO's own images"))
            })
            .collect();
        insert(&mut out, answer.id, ids?)?;
    }
    check_count(answers.len(), expected)?;
    if let Some(absent) = (0..answers.len()).find(|id| !out.contains_key(&id.to_string())) {
        let problem = format!("query {absent} has no answer; CIRCO's queries are numbered from 0 without gaps");
        return Err(refuse(problem, "answer every query of the split"));
    }
    Ok(Value::from(out).to_string())
}

fn insert(out: &mut Map<String, Value>, id: u64, list: Vec<Value>) -> Result<()> {
    match out.insert(id.to_string(), list.into()) {
        None => Ok(()),
        Some(_) => Err(refuse(format!("query {id} is answered twice"), "mend the double id in the data set")),
    }
}

fn check_list(id: u64, names: &[&str], length: usize) -> Result<()> {
    if names.len() != length {
        let problem = format!("query {id} has {} answers, the server wants {length}", names.len());
        return Err(refuse(
            problem,
            "evaluate with the data set's whole gallery (thisbut check names what is missing)",
        ));
    }
    let distinct: HashSet<&&str> = names.iter().collect();
    if distinct.len() != names.len() {
        return Err(refuse(format!("query {id} names an image twice"), "mend the double name in the data set"));
    }
    Ok(())
}

fn check_count(answers: usize, expected: Option<usize>) -> Result<()> {
    match expected {
        Some(expected) if expected != answers => Err(refuse(
            format!("{answers} queries are answered, the server wants {expected}"),
            "answer the whole split (thisbut check names what is missing), without --every, --without or --people",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::ImageEntry;

    fn table(images: usize) -> Table {
        let images = (0..images).map(|i| ImageEntry { name: i.to_string(), path: PathBuf::new() }).collect();
        Table { images, ..Table::default() }
    }

    fn answer(id: u64) -> Answer {
        Answer { id, reference: "60".into(), ranking: (0..50).collect(), subset: vec![3, 1, 2], ..Answer::default() }
    }

    #[test]
    fn cirrs_files_have_the_servers_form() {
        let folder = tempfile::tempdir().unwrap();
        let answers = [answer(7), answer(3)];
        let paths = write(&folder.path().join("new"), Format::Cirr, Split::Test, &table(61), &answers).unwrap();
        let read = |path: &Path| -> Value { serde_json::from_str(&fsx::read_text(path, fsx::TABLE).unwrap()).unwrap() };
        let [recall, subset] = paths.as_slice() else { panic!() };
        let (recall, subset) = (read(recall), read(subset));
        assert_eq!((recall["version"].as_str(), recall["metric"].as_str()), (Some("rc2"), Some("recall")));
        assert_eq!((recall["7"].as_array().map(Vec::len), recall["3"][49].as_str()), (Some(50), Some("49")));
        assert_eq!((&subset["metric"], &subset["7"]), (&"recall_subset".into(), &serde_json::json!(["3", "1", "2"])));
        assert_eq!(recall.as_object().map(Map::len), Some(4));
    }

    #[test]
    fn what_the_servers_refuse_is_refused_here() {
        let table = table(61);
        let cirr_of = |answers: &[Answer], expected| cirr(&table, answers, "recall", expected).unwrap_err().to_string();
        assert!(cirr_of(&[answer(1)], Some(4148)).contains("the server wants 4148"));
        assert!(cirr_of(&[answer(1), answer(1)], None).contains("answered twice"));
        assert!(cirr_of(&[Answer { ranking: (0..49).collect(), ..answer(1) }], None).contains("has 49 answers"));
        let double = Answer { ranking: (0..49).chain([5]).collect(), ..answer(1) };
        assert!(cirr_of(&[double], None).contains("an image twice"));
        assert!(cirr_of(&[Answer { reference: "5".into(), ..answer(1) }], None).contains("hold its reference"));
        let many: Vec<Answer> = (0..30_000).map(answer).collect();
        assert!(cirr_of(&many, None).contains("the server takes 5 MB"));
        let short = Answer { subset: vec![1, 2], ..answer(1) };
        assert!(cirr(&table, &[short], "recall_subset", None).unwrap_err().to_string().contains("wants 3"));

        let text = circo(&table, &[answer(1), answer(0)], Some(2)).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((value["0"][2].as_u64(), value["1"].as_array().map(Vec::len)), (Some(2), Some(50)));
        assert!(circo(&table, &[answer(1)], None).unwrap_err().to_string().contains("query 0 has no answer"));
        let mut named = table.clone();
        named.images[9].name = "dog".into();
        assert!(circo(&named, &[answer(0)], None).unwrap_err().to_string().contains("'dog' is no COCO id"));
        let folder = tempfile::tempdir().unwrap();
        let fashion = write(folder.path(), Format::Fashioniq, Split::Val, &table, &[]).unwrap_err().to_string();
        assert!(fashion.contains("fashioniq data set has no test server"), "{fashion}");
    }
}
