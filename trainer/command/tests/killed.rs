//! Runs of `rewrite` and `filter` that are killed: they go on where they were, and nothing is lost, asked or judged twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/asking.rs"]
mod asking;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

#[path = "common/minilm.rs"]
mod minilm;

use asking::{World, fails, succeeds};
use chat::Reply;
use common::thisbut;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_killed_run_goes_on_and_sends_nothing_twice() {
    let world = World::new();
    world.pairs(60);
    world.chat.always(Some(Reply::Late(Duration::from_millis(15))));
    let mut kills = 0;
    for wanted in [1, 5, 17, 30, 44] {
        let mut child = world.rewrite(&["--parallel", "3"]).spawn().unwrap();
        while world.chat.requests().len() < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!world.place("t.jsonl").exists());
    }
    assert!(kills >= 4, "{kills}");
    let said = succeeds(world.rewrite(&["--parallel", "3"]));
    // Of each question one request ever went out; what was under way at a kill is named, not sent again.
    let counts = world.chat.counts();
    assert!(counts.values().all(|count| *count == 1), "{counts:?}");
    let (rows, rejects) = (world.rows("t.jsonl"), world.rows("t.rejects.jsonl"));
    assert!(rejects.len() <= 3 * kills && rejects.iter().all(|row| row["reason"] == "under-way"), "{rejects:?}");
    assert_eq!(rows.len() + rejects.len(), 60);
    assert!(rejects.is_empty() || said.contains("--resend asks for it again"), "{said}");
    // Each answer is the one of its question.
    for row in &rows {
        let asked = world.chat.requests();
        let says = |r: &chat::Request, name: &str| r.text().contains(&format!(": {}\n", row[name].as_str().unwrap()));
        let request = asked.iter().find(|r| says(r, "reference_caption") && says(r, "target_caption")).unwrap();
        assert_eq!(row["modifier_generated"], chat::answer(&request.body["messages"].to_string()));
    }
    let before = world.chat.requests().len();
    succeeds(world.rewrite(&["--parallel", "3", "--resend"]));
    assert_eq!(world.chat.requests().len() - before, rejects.len());
    assert_eq!((world.rows("t.jsonl").len(), world.read("t.rejects.jsonl")), (60, String::new()));
}

#[test]
fn two_runs_at_once_and_outputs_over_inputs_are_refused() {
    let world = World::new();
    world.pairs(40);
    world.chat.always(Some(Reply::Late(Duration::from_millis(100))));
    let mut child = world.rewrite(&["--parallel", "1"]).spawn().unwrap();
    while world.chat.requests().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(fails(world.rewrite(&[])).contains("another run is writing here"));
    child.kill().unwrap();
    child.wait().unwrap();
    let mut command = thisbut();
    let captions = world.place("captions.jsonl");
    let captions = captions.to_str().unwrap();
    let pairs = world.place("pairs.jsonl");
    command.args([
        "rewrite",
        "--pairs",
        pairs.to_str().unwrap(),
        "--captions",
        captions,
        "--out",
        captions,
        "--differences",
    ]);
    assert!(fails(command).contains("would replace what is read"));
}

/// Triplets of captions and texts that no other triplet has, but for one that comes twice and one whose captions are equal.
fn triplets(count: usize) -> String {
    let words = ["red", "green", "blue", "yellow", "purple", "black", "square", "circle", "cross", "stripe"];
    let text = |number: usize| {
        let digits = [number % 10, number / 10 % 10, number / 100 % 10, number / 1000];
        digits.map(|digit| words[digit]).join(" ")
    };
    let row = |at: usize| {
        let (from, to) = (text(3 * at), if at == 7 { text(3 * at) } else { text(3 * at + 1) });
        json!({"reference": format!("r{at}"), "target": format!("t{at}"), "modifier_generated": text(3 * at + 2),
            "reference_caption": from, "target_caption": to})
    };
    (0..count).chain([0]).map(|at| format!("{}\n", row(at))).collect()
}

/// `thisbut filter` of the world's triplets.
fn filter(world: &World, out: &str, similarity: f64) -> Command {
    let mut command = thisbut();
    let place = |name: &str| world.place(name);
    command
        .arg("filter")
        .arg(place("triplets.jsonl"))
        .arg("--weights")
        .arg(place("weights"))
        .arg("--out")
        .arg(place(out));
    command.args(["--similarity", &similarity.to_string()]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn lines(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.iter().filter(|byte| **byte == b'\n').count())
}

/// Left-out rows without their similarity, and the similarities.
fn left_out(world: &World, name: &str) -> (Vec<Value>, Vec<Option<f64>>) {
    let take = |mut row: Value| {
        let similarity = row.as_object_mut().unwrap().remove("similarity").and_then(|value| value.as_f64());
        (row, similarity)
    };
    world.rows(name).into_iter().map(take).unzip()
}

#[test]
fn a_killed_filter_goes_on_and_judges_nothing_twice() {
    const COUNT: usize = 256;
    let world = World::new();
    minilm::random(&world.place("weights"), 1);
    std::fs::write(world.place("triplets.jsonl"), triplets(COUNT)).unwrap();
    // What a run that nobody ends makes of them, at a threshold that tells them apart.
    succeeds(filter(&world, "whole.jsonl", 0.5));
    let report = world.report("whole.report.json");
    assert_eq!((&report["triplets"], &report["left_out"]["equal-captions"]), (&(COUNT + 1).into(), &1.into()));
    let kept_at = report["captions"]["kept_at"].as_array().unwrap();
    let apart = kept_at.iter().find(|at| at["kept"].as_u64().is_some_and(|kept| kept > 20 && kept < COUNT as u64 - 20));
    let apart = apart.unwrap_or_else(|| panic!("{report}"));
    let threshold = apart["similarity"].as_f64().unwrap();
    let said = succeeds(filter(&world, "whole.jsonl", threshold));
    // The repeated triplet was judged once, that of equal captions by no model; another threshold judges nothing.
    let measured = COUNT - 1;
    assert_eq!(lines(&world.place("whole.journal.jsonl")), measured);
    assert!(said.contains(&format!("{measured} judgements of earlier runs are used again")), "{said}");
    assert_eq!(world.report("whole.report.json")["kept"], apart["kept"]);

    let journal = world.place("t.journal.jsonl");
    let mut kills = 0;
    for wanted in [1, 65, 180] {
        let mut child = filter(&world, "t.jsonl", threshold).spawn().unwrap();
        while lines(&journal) < wanted && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        kills += usize::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!world.place("t.jsonl").exists() && !world.place("t.left-out.jsonl").exists());
    }
    assert!(kills >= 2, "{kills}");
    let kept = lines(&journal);
    let said = succeeds(filter(&world, "t.jsonl", threshold));
    assert!(said.contains(&format!("{kept} judgements of earlier runs are used again")), "{said}");
    let keys: BTreeSet<String> = world.rows("t.journal.jsonl").iter().map(|row| row["key"].to_string()).collect();
    assert_eq!((keys.len(), lines(&journal)), (measured, measured));
    assert_eq!(world.read("t.jsonl"), world.read("whole.jsonl"));
    assert_eq!(world.report("t.report.json"), world.report("whole.report.json"));
    let [(rows, similarities), (others, expected)] =
        ["t", "whole"].map(|n| left_out(&world, &format!("{n}.left-out.jsonl")));
    assert_eq!(rows, others);
    for (similarity, expected) in similarities.iter().zip(expected) {
        assert!(similarity.zip(expected).map_or(*similarity == expected, |(a, b)| (a - b).abs() < 2e-4));
    }

    // Another model judges anew, and what the first one found counts again when it comes back.
    minilm::random(&world.place("weights"), 2);
    let said = succeeds(filter(&world, "t.jsonl", threshold));
    assert!(said.contains("found by another model") && said.contains("every triplet is judged anew"), "{said}");
    assert_eq!(lines(&journal), 2 * measured);
    minilm::random(&world.place("weights"), 1);
    succeeds(filter(&world, "t.jsonl", threshold));
    assert_eq!((lines(&journal), world.read("t.jsonl")), (2 * measured, world.read("whole.jsonl")));
    // A file of others in the journal's place is left alone.
    std::fs::write(&journal, "{\"reference\": \"a\"}\n").unwrap();
    let said = fails(filter(&world, "t.jsonl", threshold));
    assert!(said.contains("t.journal.jsonl, line 1") && said.contains("no journal of this command"), "{said}");
    assert_eq!(lines(&journal), 1);
}
