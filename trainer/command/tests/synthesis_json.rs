//! good4cir's questions, whose answers are JSON: hostile answers are mended, asked again or counted; a killed run asks nothing twice.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/asking.rs"]
mod asking;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

use asking::{World, fails, succeeds};
use chat::Reply;
use std::time::{Duration, Instant};

const LIST: &str = r#"[{"object": "square", "descriptors": ["blue", "large"]}]"#;
const CHANGES: &str = r#"["make the large square in the middle of the picture blue", "replace the white ground behind it with a striped wall",
    "make the large square in the middle of the picture blue", "remove the square again, and leave nothing in its place"]"#;

/// Pairs from one reference, whose caption is good4cir's; the first's target is seen by the prompts.
fn world(pairs: usize) -> World {
    let world = World::new();
    let names = ["blue-square", "green-square", "black-square", "red-circle", "blue-circle", "green-circle"];
    let pair = |name: &&str| format!("{{\"reference\": \"red-square.png\", \"target\": \"{name}.png\"}}\n");
    std::fs::write(world.place("pairs.jsonl"), names.iter().take(pairs).map(pair).collect::<String>()).unwrap();
    let caption = "{\"image\": \"red-square.png\", \"caption\": \"square: red, large\"}\n";
    std::fs::write(world.place("captions.jsonl"), caption).unwrap();
    world
}

fn rewrite(world: &World, more: &[&str]) -> std::process::Command {
    let images = world.data.join("images");
    world.rewrite(&[&["--prompts", "good4cir", "--images", images.to_str().unwrap(), "--parallel", "1"], more].concat())
}

#[test]
fn hostile_answers_are_mended_asked_again_or_counted() {
    let huge: &'static str = Box::leak(format!("[{}\"x\"]", "\"a red lamp\", ".repeat(1 << 17)).into_boxed_str());
    let deep: &'static str = Box::leak("[".repeat(200_000).into_boxed_str());
    for (reply, fault) in [
        (Reply::Text("- a blue square"), "wrong-json"),
        (Reply::Text("[1, 2]"), "wrong-json"),
        (Reply::Text("{\"a\": {\"b\": {}}}"), "wrong-json"),
        (Reply::Text("[]"), "empty"),
        (Reply::Text(deep), "wrong-json"),
        (Reply::Text(huge), "too-long"),
        (Reply::Huge(10 << 20), "huge-answer"),
        (Reply::Text("I'm sorry, I can't see pictures."), "refusal"),
    ] {
        let world = world(1);
        world.chat.next(&[reply, Reply::Text(LIST), Reply::Text(CHANGES)]);
        succeeds(rewrite(&world, &[]));
        let report = world.report("t.report.json");
        assert_eq!(report["faults"], serde_json::json!({(fault): 1}));
        let asked = world.chat.requests();
        let told = asked[1].text().contains("Your last answer cannot be read: ");
        assert_eq!((asked.len(), told), (3, fault == "wrong-json"), "{fault}");
        // A repeated difference counts once, and what contradicts another is not joined with it.
        let texts: Vec<String> =
            world.rows("t.jsonl").iter().map(|row| row["modifier_generated"].as_str().unwrap().to_owned()).collect();
        assert_eq!(
            texts.len(),
            4 + usize::from(texts.iter().any(|text| text.contains("wall, and remove"))),
            "{texts:#?}"
        );
        assert!(texts.iter().all(|text| !(text.contains("blue") && text.contains("remove"))), "{texts:#?}");
    }
}

#[test]
fn what_was_mended_or_left_out_is_counted() {
    let world = world(4);
    let same = r#"[{"object": "square", "descriptors": ["red", "large"]}]"#;
    world.chat.next(&[
        // Cut off, mended; then differences.
        Reply::Text("```json\n[{\"object\": \"square\", \"descriptors\": [\"blue\", \"large\",]}, {\"object\": \"wa"),
        Reply::Text(CHANGES),
        // The same list: nothing differs.
        Reply::Text(same),
        // Too few words to be worth a pair, three times.
        Reply::Text(r#"[{"object": "square", "descriptors": ["black"]}]"#),
        Reply::Text("[\"paint it\"]"),
        Reply::Text("[\"paint it\"]"),
        Reply::Text("[\"paint it\"]"),
        // Never JSON.
        Reply::Text("no"),
        Reply::Text("no"),
        Reply::Text("no"),
    ]);
    let said = succeeds(rewrite(&world, &[]));
    assert!(said.contains("whose JSON was broken, and mended: 1"), "{said}");
    let report = world.report("t.report.json");
    assert_eq!(report["rejected"], serde_json::json!({"equal-lists": 1, "too-short": 1, "wrong-json": 1}), "{said}");
    assert_eq!((&report["mended"], &report["kept"]), (&1.into(), &1.into()));
    assert_eq!(world.rows("t.rejects.jsonl").len(), 3);
    // A second run makes the same of the journal, and asks nothing.
    let (first, asked) = (world.read("t.jsonl"), world.chat.requests().len());
    succeeds(rewrite(&world, &[]));
    assert_eq!((world.read("t.jsonl"), world.chat.requests().len()), (first, asked));
    // A layout that would lose names writes nothing over what is there.
    let caption =
        "{\"image\": \"x/y.png\", \"caption\": \"a red hat\"}\n{\"image\": \"b\", \"caption\": \"a blue hat\"}\n";
    std::fs::write(world.place("captions.jsonl"), caption).unwrap();
    std::fs::write(world.place("pairs.jsonl"), "{\"reference\": \"x/y.png\", \"target\": \"b\"}\n").unwrap();
    let mut lost = common::thisbut();
    let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
    let (pairs, captions, out) = (place("pairs.jsonl"), place("captions.jsonl"), place("l.json"));
    lost.args([
        "rewrite",
        "--pairs",
        &pairs,
        "--captions",
        &captions,
        "--out",
        &out,
        "--differences",
        "--layout",
        "cirr-r",
    ]);
    assert!(fails(lost).contains("give --layout good4cir") && !world.place("l.json").exists());
}

#[test]
fn a_killed_run_goes_on_and_asks_nothing_twice() {
    let world = world(3);
    let list = |colour: &str| -> &'static str { Box::leak(LIST.replace("blue", colour).into_boxed_str()) };
    let lists = ["blue", "green", "black"].map(|colour| Reply::Text(list(colour)));
    let changes = Reply::Text(CHANGES);
    world.chat.next(&[lists[0].clone(), changes.clone(), lists[1].clone(), Reply::Hang(Duration::from_secs(30))]);
    let mut run = rewrite(&world, &["--timeout", "60"]).spawn().unwrap();
    let began = Instant::now();
    while world.chat.requests().len() < 4 {
        assert!(began.elapsed() < Duration::from_secs(60), "{} requests", world.chat.requests().len());
        std::thread::sleep(Duration::from_millis(20));
    }
    run.kill().unwrap();
    run.wait().unwrap();
    assert!(!world.place("t.jsonl").exists());
    world.chat.next(&[changes.clone(), lists[2].clone(), changes]);
    succeeds(rewrite(&world, &["--resend"]));
    assert_eq!(world.chat.requests().len(), 7);
    // The one that was under way alone was asked twice.
    let counts: Vec<usize> = world.chat.counts().into_values().collect();
    assert_eq!((counts.iter().sum::<usize>(), counts.iter().max()), (7, Some(&2)), "{counts:?}");
    assert_eq!(world.report("t.report.json")["kept"], 3);
}
