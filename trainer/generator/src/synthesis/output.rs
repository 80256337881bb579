//! The files of a run: its rows, what was rejected (`….rejects.jsonl`), and the counts (`….report.json`).

use super::journal::Totals;
use super::layout::Layout;
use super::tries::Rejected;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use thisbut_trainer::error::{Result, TrainerError};
use thisbut_trainer::fsx;

/// What came of an image or a pair.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// Rows of the output.
    Rows(Vec<Map<String, Value>>),
    /// None, with what it is, the prompt, and why.
    Rejected(Map<String, Value>, String, Rejected),
}

impl Made {
    /// Rejected without a question: `reason` is a word for reports.
    pub fn without(what: Map<String, Value>, reason: &str) -> Self {
        Self::Rejected(what, String::new(), Rejected { reason: reason.to_owned(), ..Rejected::default() })
    }
}

/// The fields of a row; nothing else is a JSON object's literal.
pub fn row(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => unreachable!("{other} is no row"),
    }
}

/// What a thousand thousand tokens cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Prices {
    /// Of questions.
    pub prompt: f64,
    /// Of answers.
    pub answer: f64,
}

/// What a run made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Who answered, or what the texts were taken from.
    pub source: String,
    /// Images or pairs.
    pub items: usize,
    /// Images or pairs with rows.
    pub kept: usize,
    /// Rows that were written.
    pub rows: usize,
    /// Images or pairs without, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Answers of no use, by fault; a question may have been asked again after them.
    pub faults: BTreeMap<String, usize>,
    /// Answers whose JSON was broken, and mended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub mended: usize,
    /// Answers and tokens over all runs of the journal.
    pub totals: Totals,
    /// What these tokens cost, where prices were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Report {
    /// Sets what was answered, and what it cost.
    pub fn add_totals(&mut self, totals: Totals, prices: Option<Prices>) {
        let million = |tokens: u64| tokens as f64 / 1e6;
        self.totals = totals;
        self.cost = prices.map(|p| million(totals.usage.prompt) * p.prompt + million(totals.usage.answer) * p.answer);
    }
}

/// Writes a run's files. `report` says where it came from; the rest of it is counted here.
///
/// # Errors
/// When a file cannot be written, and when there is no row: with the reason of most.
pub fn write(out: &Path, made: &[Made], report: Report) -> Result<Report> {
    write_as(out, made, report, Layout::Rows)
}

/// As [`write()`], with the rows in one of the layouts of released data.
///
/// # Errors
/// As [`write()`], and when an image's name cannot stand in the layout.
pub fn write_as(out: &Path, made: &[Made], mut report: Report, layout: Layout) -> Result<Report> {
    report.items = made.len();
    fsx::write_atomic_from(&fsx::beside(out, "rejects.jsonl"), |file, failed| {
        for one in made {
            let Made::Rejected(what, step, rejected) = one else { continue };
            *report.rejected.entry(rejected.reason.clone()).or_default() += 1;
            let mut line = what.clone();
            line.insert("reason".into(), json!(rejected.reason));
            for (name, text) in [("prompt", step), ("said", &rejected.said)] {
                if !text.is_empty() {
                    line.insert(name.into(), json!(text));
                }
            }
            line.insert("tries".into(), json!(rejected.tries));
            writeln!(file, "{}", Value::Object(line)).map_err(failed)?;
        }
        Ok(())
    })?;
    let rows = |one: &Made| if let Made::Rows(rows) = one { rows.len() } else { 0 };
    report.rows = made.iter().map(rows).sum();
    report.kept = made.iter().filter(|one| rows(one) > 0).count();
    let path = fsx::beside(out, "report.json");
    let json = serde_json::to_vec_pretty(&report)
        .map_err(|e| TrainerError::checkpoint(path.display().to_string(), e.to_string(), "report this"))?;
    fsx::write_atomic(&path, &json)?;
    if report.rows == 0 {
        let most = report.rejected.iter().max_by_key(|(_, count)| **count);
        let most = most.map_or_else(String::new, |(reason, count)| format!(" ({count} of {}: {reason})", report.items));
        let mend = format!("see {}", fsx::beside(out, "rejects.jsonl").display());
        return Err(TrainerError::data(out.display().to_string(), format!("there is no row to write{most}"), mend));
    }
    if let Some(released) = layout.released(made)? {
        fsx::write_atomic_from(out, |file, failed| {
            serde_json::to_writer_pretty(file, &released).map_err(|e| failed(e.into()))
        })?;
        return Ok(report);
    }
    fsx::write_atomic_from(out, |file, failed| {
        for one in made {
            let Made::Rows(rows) = one else { continue };
            rows.iter().try_for_each(|row| {
                serde_json::to_writer(&mut *file, row)
                    .map_err(|e| failed(e.into()))
                    .and_then(|()| writeln!(file).map_err(failed))
            })?;
        }
        Ok(())
    })?;
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_rejects_and_counts_are_written_apart() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("x.jsonl");
        let rejected = Rejected { reason: "empty".into(), said: "?".into(), tries: 3 };
        let made = [
            Made::Rows(vec![row(json!({"image": "a"})), row(json!({"image": "b"}))]),
            Made::Rejected(row(json!({"image": "c"})), "describe".into(), rejected),
            Made::without(row(json!({"image": "d"})), "no-title"),
        ];
        let mut report = Report { source: "titles".into(), ..Report::default() };
        let usage = super::super::journal::Usage { prompt: 2_000_000, answer: 500_000 };
        report.add_totals(Totals { answers: 1, usage }, Some(Prices { prompt: 1.0, answer: 4.0 }));
        let report = write(&out, &made, report).unwrap();
        assert_eq!((report.items, report.kept, report.rows, report.cost), (3, 1, 2, Some(4.0)));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "{\"image\":\"a\"}\n{\"image\":\"b\"}\n");
        let rejects = std::fs::read_to_string(folder.path().join("x.rejects.jsonl")).unwrap();
        assert_eq!(
            rejects,
            "{\"image\":\"c\",\"prompt\":\"describe\",\"reason\":\"empty\",\"said\":\"?\",\"tries\":3}\n\
             {\"image\":\"d\",\"reason\":\"no-title\",\"tries\":0}\n"
        );
        let again: Report =
            serde_json::from_slice(&std::fs::read(folder.path().join("x.report.json")).unwrap()).unwrap();
        assert_eq!(again, report);
        let none = folder.path().join("none.jsonl");
        let problem = write(&none, &made[1..], Report::default()).unwrap_err().to_string();
        assert!(problem.contains("no row to write (1 of 2: ") && problem.contains("none.rejects.jsonl"), "{problem}");
        assert!(!none.exists() && folder.path().join("none.rejects.jsonl").is_file());
    }
}
