//! `describe` and `rewrite`: what they ask, and what they make of the answers.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/asking.rs"]
mod asking;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

use asking::{KEY, World, key_is_nowhere, said, succeeds};
use chat::Reply;
use common::{run, thisbut};
use serde_json::Value;
use std::path::Path;

#[test]
fn every_image_is_asked_about_once_and_its_caption_kept() {
    let world = World::new();
    succeeds(world.describe(&["--price-in", "10", "--price-out", "100", "--image-side", "32"]));
    let requests = world.chat.requests();
    assert_eq!(requests.len(), 24);
    for request in &requests {
        assert_eq!((request.path.as_str(), request.body["model"].as_str()), ("/v1/chat/completions", Some("m")));
        assert_eq!(request.key.as_deref(), Some(&*format!("Bearer {KEY}")));
        assert!(request.images().len() == 1 && request.images()[0].starts_with("data:image/jpeg;base64,/9j/"));
    }
    assert!(world.chat.counts().values().all(|count| *count == 1));
    let rows = world.rows("c.jsonl");
    assert_eq!(rows.len(), 24);
    assert_eq!(rows[0]["image"], "black-circle.png");
    assert!(rows.iter().all(|row| row["caption"].as_str().unwrap().starts_with("add a ")));
    let report = world.report("c.report.json");
    assert_eq!((&report["kept"], &report["totals"]["usage"]["prompt"]), (&24.into(), &2400.into()));
    assert!((report["cost"].as_f64().unwrap() - 0.048).abs() < 1e-9, "{report}");
    // Another run asks nothing, and makes the same file; an edited prompt asks anew.
    let first = world.read("c.jsonl");
    std::fs::remove_file(world.place("c.jsonl")).unwrap();
    succeeds(world.describe(&[]));
    assert_eq!((world.chat.requests().len(), world.read("c.jsonl")), (24, first));
    key_is_nowhere(world.folder.path());
    // An image that is none costs itself alone, and no request.
    std::fs::write(world.data.join("images/zz.png"), b"no image").unwrap();
    let said = succeeds(world.describe(&[]));
    assert!(said.contains("rejected, unreadable-image: 1"), "{said}");
    assert_eq!((world.chat.requests().len(), world.rows("c.jsonl").len()), (24, 24));
    assert_eq!(world.rows("c.rejects.jsonl")[0]["image"], "zz.png");
}

#[test]
fn good4cir_and_facap_ask_as_their_papers_do() {
    let world = World::new();
    let images = world.data.join("images");
    // good4cir: a list an image, then two questions a pair, the first of them with the target.
    let list = |colour: &str| -> &'static str {
        let list = format!(
            "[{{\"object\": \"square\", \"descriptors\": [\"{colour}\", \"large\"]}}, {{\"object\": \"white ground\", \"descriptors\": []}}]"
        );
        Box::leak(list.into_boxed_str())
    };
    world.chat.always(Some(Reply::Text(list("red"))));
    succeeds(world.describe(&["--prompts", "good4cir"]));
    assert_eq!(world.rows("c.jsonl")[0]["caption"], "square: red, large\nwhite ground");
    let pair = "{\"reference\": \"red-square.png\", \"target\": \"blue-square.png\"}\n";
    std::fs::write(world.place("pairs.jsonl"), pair).unwrap();
    std::fs::rename(world.place("c.jsonl"), world.place("captions.jsonl")).unwrap();
    world.chat.always(None);
    world.chat.next(&[
        Reply::Text(list("blue")),
        Reply::Text("[\"make the large square in the middle of the picture blue\", \"replace the white ground behind it with a striped wall\"]"),
    ]);
    let before = world.chat.requests().len();
    succeeds(world.rewrite(&["--prompts", "good4cir", "--images", images.to_str().unwrap()]));
    let asked = &world.chat.requests()[before..];
    assert_eq!(asked.iter().map(|r| r.images().len()).collect::<Vec<_>>(), [1, 0]);
    assert!(asked[0].text().contains("square: red, large") && asked[1].text().contains("square: blue, large"));
    let rows = world.rows("t.jsonl");
    let texts: Vec<&str> = rows.iter().map(|row| row["modifier_generated"].as_str().unwrap()).collect();
    let single = [
        "make the large square in the middle of the picture blue",
        "replace the white ground behind it with a striped wall",
    ];
    assert_eq!(texts, [single[0], single[1], &single.join(", and ")]);
    assert!(rows.iter().all(|row| row["target_caption"] == "square: blue, large\nwhite ground"));
    // The same answers in the layout of a released data set: nothing is asked.
    succeeds(world.rewrite(&["--prompts", "good4cir", "--images", images.to_str().unwrap(), "--layout", "cirr-r"]));
    let released: Value = serde_json::from_str(&world.read("t.jsonl")).unwrap();
    assert_eq!(released[0]["query_image_url"], "red-square.png");
    assert_eq!(released[0]["difference_captions"].as_array().unwrap().len(), 3);
    assert_eq!(world.chat.requests().len(), before + 2);
    // FACap: the catalogue stands in the prompt, and stays with the caption.
    let about = world.place("about.csv");
    std::fs::write(&about, "image,category,attributes\nred-square.png,squares,\"red, plain\"\n").unwrap();
    let before = world.chat.requests().len();
    let said = succeeds(world.describe(&["--prompts", "facap", "--about", about.to_str().unwrap()]));
    assert!(said.contains("nothing is known for description"), "{said}");
    let asked = &world.chat.requests()[before..];
    assert_eq!(asked.iter().filter(|r| r.text().contains("sold as: squares")).count(), 1);
    assert!(asked.iter().all(|r| r.body["max_tokens"] == 128 && !r.text().contains("The shop says")));
    let rows = world.rows("c.jsonl");
    assert_eq!(rows.iter().find(|row| row["image"] == "red-square.png").unwrap()["category"], "squares");
}

#[test]
fn triplets_without_a_model_train_a_model() {
    let world = World::new();
    let (data, weights) = (world.data.to_str().unwrap().to_owned(), world.place("weights"));
    let titles: serde_json::Map<String, Value> = world
        .data
        .join("images")
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .map(|name| (name.clone(), serde_json::json!({"title": format!("a {}", name.replace('-', " "))})))
        .collect();
    std::fs::write(world.data.join("images.json"), Value::from(titles).to_string()).unwrap();
    let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
    let (captions, pairs, out) = (place("c.jsonl"), place("pairs.jsonl"), place("t.jsonl"));
    run(&["describe", &data, "--titles", "--out", &captions]);
    assert_eq!(world.rows("c.jsonl").len(), 24);
    assert!(world.rows("c.jsonl").iter().any(|r| r["image"] == "red-square" && r["caption"] == "a red square"));
    run(&["pairs", "--annotated", &data, "--split", "val", "--out", &pairs]);
    run(&["rewrite", "--pairs", &pairs, "--captions", &captions, "--out", &out, "--differences"]);
    let rows = world.rows("t.jsonl");
    let row = rows.iter().find(|r| r["reference"] == "red-square" && r["target"] == "green-square").unwrap();
    assert_eq!(row["modifier_generated"], "change red to green");
    assert_eq!((&row["reference_caption"], &row["target_caption"]), (&"a red square".into(), &"a green square".into()));
    run(&["features", &data, "--preset", "tiny", "--weights", weights.to_str().unwrap()]);
    for command in ["finetune", "pretrain"] {
        let run_folder = place(command);
        let base = [command, &data, "--triplets", &out, "--preset", "tiny", "--weights", weights.to_str().unwrap()];
        let more = ["--out", &run_folder, "--steps", "2", "--batch", "8", "--warmup", "1", "--p2p", "0"];
        let output = thisbut().args(base).args(more).output().unwrap();
        assert!(output.status.success(), "{command}: {}", said(&output));
    }
    // Captions and texts of a table.
    let about = place("about.csv");
    std::fs::write(&about, "image,words\nred-square,a Red thing\n").unwrap();
    run(&["describe", &data, "--about", &about, "--column", "Words", "--out", &captions]);
    assert_eq!(
        world.read("c.jsonl"),
        "{\"caption\":\"a Red thing\",\"image\":\"red-square\",\"words\":\"a Red thing\"}\n"
    );
}

#[test]
fn a_model_on_this_machine_is_asked_once_too() {
    let world = World::new();
    world.pairs(10);
    let llm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny-llama.gguf");
    let local = |more: &[&str]| {
        let mut command = thisbut();
        let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
        let (pairs, captions, out) = (place("pairs.jsonl"), place("captions.jsonl"), place("t.jsonl"));
        command.args(["rewrite", "--pairs", &pairs, "--captions", &captions, "--out", &out, "--tries", "2"]);
        command.args(["--llm", llm.to_str().unwrap(), "--prompts"]).args(more).output().unwrap()
    };
    // Random weights say nothing that is a text: every pair has both its tries, and the command says so.
    let prompts = world.place("own.toml");
    let question = |name: &str, prompt: &str| format!("{name}\nprompt = \"{prompt}\"\ntokens = 4\nwords = 9\n");
    let rewrite = question("[[rewrite]]\nname = \"change\"\nplain = true", "{reference} {target}");
    std::fs::write(&prompts, question("[describe]", "x") + &rewrite).unwrap();
    let name = prompts.to_str().unwrap();
    let first = said(&local(&[name, "--batch", "4"]));
    let journal = world.read("t.journal.jsonl");
    let report = world.report("t.report.json");
    let count = |name: &str| report[name].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>();
    assert_eq!(report["kept"].as_u64().unwrap() + count("rejected"), 10, "{first}");
    assert_eq!(journal.lines().count() as u64, report["kept"].as_u64().unwrap() + count("faults"), "{first}");
    // Another run asks nothing; another batch makes the same answers.
    local(&[name]);
    assert_eq!(world.read("t.journal.jsonl"), journal);
    std::fs::remove_file(world.place("t.journal.jsonl")).unwrap();
    local(&[name, "--batch", "1"]);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&world.read("t.journal.jsonl")), sorted(&journal));
    // It sees no images, and says so before anything is asked.
    let images = local(&["good4cir"]);
    assert!(!images.status.success() && said(&images).contains("give --images"), "{}", said(&images));
}
