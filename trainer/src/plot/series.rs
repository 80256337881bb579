//! From metrics lines to named series of points.

use crate::error::{Result, TrainerError};
use crate::fsx;
use serde_json::Value;
use std::path::Path;

/// Points `(x, y)` with rising x.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The key in the file; keys inside an object are joined by a dot ("val.r1").
    pub name: String,
    /// The points.
    pub points: Vec<(f64, f64)>,
}

/// A run's figures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// What x counts: "step" or "epoch".
    pub axis: String,
    /// One series a key, in order of first appearance.
    pub series: Vec<Series>,
    /// Lines that could not be used, each with file, line and reason.
    pub complaints: Vec<String>,
}

/// Reads a `metrics.jsonl`. Lines that are not JSON objects become complaints; a file without any figure is an error.
pub fn read(file: &Path) -> Result<Run> {
    let place = file.display().to_string();
    let text = fsx::read_text(file, fsx::TABLE)?;
    let mut run = Run::default();
    let mut rows = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(row)) => rows.push((number, row)),
            Ok(_) => run.complaints.push(format!("{place}, line {number}: not an object; left out")),
            Err(e) => {
                let what = if e.is_eof() { "the line breaks off" } else { "broken JSON" };
                run.complaints.push(format!("{place}, line {number}: {what} (column {}); left out", e.column()));
            }
        }
    }
    let has = |key: &str| rows.iter().any(|(_, row)| row.get(key).is_some_and(Value::is_number));
    let axis = ["step", "epoch"].into_iter().find(|key| has(key));
    if !rows.is_empty() && axis.is_none() {
        let mend = "give a run's folder, or its metrics.jsonl";
        return Err(TrainerError::data(place, "is no run's metrics: no line has a step or an epoch", mend));
    }
    run.axis = axis.unwrap_or("step").to_owned();
    for (number, row) in &rows {
        let Some(x) = row.get(&run.axis).and_then(Value::as_f64) else {
            run.complaints.push(format!("{place}, line {number}: has no {}; left out", run.axis));
            continue;
        };
        for (key, value) in row.iter().filter(|(key, _)| !matches!(key.as_str(), "step" | "epoch" | "wall_time")) {
            add(&mut run.series, key, x, value);
        }
    }
    if run.series.is_empty() {
        let first = run.complaints.first().cloned().unwrap_or_else(|| "it is empty".into());
        let mend =
            "give a run folder whose metrics.jsonl has one JSON object a line, such as {\"step\":1,\"loss\":2.5}";
        return Err(TrainerError::data(place, format!("has no figures to plot ({first})"), mend));
    }
    Ok(run)
}

/// Adds `value` under `name`; objects are entered, and everything that is no number is passed over (names, notes).
fn add(series: &mut Vec<Series>, name: &str, x: f64, value: &Value) {
    match value {
        Value::Object(inner) => {
            for (key, value) in inner {
                add(series, &format!("{name}.{key}"), x, value);
            }
        }
        Value::Number(number) => {
            let Some(y) = number.as_f64().filter(|y| y.is_finite()) else { return };
            match series.iter_mut().find(|s| s.name == name) {
                Some(found) => {
                    // A run that resumed writes the steps since its checkpoint again: the later lines count.
                    let keep = found.points.partition_point(|(at, _)| *at < x);
                    found.points.truncate(keep);
                    found.points.push((x, y));
                }
                None => series.push(Series { name: name.to_owned(), points: vec![(x, y)] }),
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<Run> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("metrics.jsonl");
        std::fs::write(&file, text).unwrap();
        read(&file)
    }

    #[test]
    fn keys_become_series_and_bad_lines_are_named() {
        let got = run(concat!(
            "{\"step\":1,\"loss\":3.5,\"note\":\"x\"}\nnonsense\n{\"step\":2,\"loss\":3.0,\"val\":{\"r1\":10}}\n",
            "[1]\n{\"loss\":1}\n\n{\"step\":3,\"lo"
        ))
        .unwrap();
        assert_eq!(got.axis, "step");
        let names: Vec<_> = got.series.iter().map(|s| (s.name.as_str(), s.points.len())).collect();
        assert_eq!(names, [("loss", 2), ("val.r1", 1)]);
        let lines: Vec<_> = got.complaints.iter().map(|c| c.split(", line ").nth(1).unwrap()).collect();
        assert!(lines[0].starts_with("2: broken") && lines[1].starts_with("4: not an object"), "{lines:?}");
        assert!(lines[2].starts_with("7: the line breaks off") && lines[3].starts_with("5: has no step"), "{lines:?}");
    }

    #[test]
    fn a_resumed_run_overwrites_the_steps_it_repeats() {
        let got =
            run("{\"step\":1,\"l\":1}\n{\"step\":2,\"l\":2}\n{\"step\":3,\"l\":3}\n{\"step\":2,\"l\":9}\n").unwrap();
        assert_eq!(got.series[0].points, [(1.0, 1.0), (2.0, 9.0)]);
    }

    #[test]
    fn a_file_without_figures_is_refused() {
        let other = run("{\"id\":1,\"rank\":3}\n").unwrap_err().to_string();
        assert!(other.contains("no run's metrics"), "{other}");
        assert!(run("").unwrap_err().to_string().contains("no figures to plot (it is empty)"));
        assert!(run("oops\n").unwrap_err().to_string().contains("line 1: broken JSON"));
        let gone = read(Path::new("/no/such/metrics.jsonl")).unwrap_err().to_string();
        assert!(gone.contains("cannot read"), "{gone}");
    }
}
