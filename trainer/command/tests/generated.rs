//! What generated texts are worth, on the command line: the round trip, the paper's tables, and the pages that people fill in.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

struct World {
    root: tempfile::TempDir,
    data: String,
    weights: String,
    features: String,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let features = data.join("tiny.features");
        let [data, weights, features] = [data, weights, features].map(|p| p.to_string_lossy().into_owned());
        run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
        Self { root, data, weights, features }
    }

    fn place(&self, name: &str) -> String {
        self.root.path().join(name).to_string_lossy().into_owned()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.place(name)).unwrap()
    }

    fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap()
    }

    /// A retrieval model that has learned something.
    fn retriever(&self, steps: &str) -> String {
        let out = self.place("cir");
        let base = ["finetune", &self.data, "--preset", "tiny", "--weights", &self.weights, "--out", &out];
        let more = ["--steps", steps, "--batch", "32", "--learning-rate", "4e-3", "--warmup", "5", "--dropout", "0"];
        run(&[&base[..], &more, &["--validate-every", "1000", "--checkpoint-every", "1000"]].concat());
        format!("{out}/final.safetensors")
    }

    /// The annotated pairs with texts made from the annotation.
    fn triplets(&self, name: &str, text: impl Fn(usize, &str) -> String) -> PathBuf {
        let rows: Vec<Value> = serde_json::from_str(
            &std::fs::read_to_string(Path::new(&self.data).join("captions/cap.rc2.val.json")).unwrap(),
        )
        .unwrap();
        let line = |(at, row): (usize, &Value)| {
            let text = text(at, row["caption"].as_str().unwrap());
            let back = format!("now {}", row["reference"].as_str().unwrap().replace('-', " "));
            json!({"reference": row["reference"], "target": row["target_hard"], "modifier_generated": text,
                   "modifier_reversed": back})
            .to_string()
                + "\n"
        };
        let path = PathBuf::from(self.place(name));
        std::fs::write(&path, rows.iter().enumerate().map(line).collect::<String>()).unwrap();
        path
    }
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Runs, expects failure with one clear sentence that has these words.
fn refused(arguments: &[&str], words: &str) {
    let output = thisbut().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    let line = said.trim_end().lines().last().unwrap_or_default();
    assert!(line.contains(words) && !said.contains("panicked"), "{words}: {said}");
}

/// Runs, expects that an option's value is refused before anything is read.
fn out_of_range(arguments: &[&str], option: &str) {
    let output = thisbut().args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(&format!("'{option}")) && said.contains("it is out of range"), "{said}");
}

#[test]
fn the_round_trip_ranks_as_the_evaluation_does() {
    let world = World::new();
    let checkpoint = world.retriever("60");
    let made = world.triplets("made.jsonl", |_, text| text.to_owned());
    let made = made.to_string_lossy().into_owned();
    let out = world.place("kept.jsonl");
    let base = ["generator", "filter", &made, "--checkpoint", &checkpoint, "--features", &world.features];
    let base = [&base[..], &["--weights", &world.weights]].concat();
    run(&[&base[..], &["--rank", "2", "--out", &out]].concat());

    // Every row once, kept as it is or left out with its rank; and the ranks are those of `evaluate`.
    let (kept, left) = (world.read("kept.jsonl"), rows(&world.read("kept.left-out.jsonl")));
    let all = world.read("made.jsonl");
    assert!(kept.lines().all(|line| all.lines().any(|other| other == line)));
    assert_eq!(kept.lines().count() + left.len(), all.lines().count());
    let per_query = world.place("per-query.jsonl");
    let evaluate =
        ["evaluate", &world.data, "--split", "val", "--checkpoint", &checkpoint, "--weights", &world.weights];
    run(&[&evaluate[..], &["--per-query", &per_query]].concat());
    let answers = rows(&world.read("per-query.jsonl"));
    let mut expected: BTreeMap<(String, String), u64> = BTreeMap::new();
    for a in &answers {
        let pair = (a["reference"].to_string(), a["targets"][0].to_string());
        expected.insert(pair, a["rank"].as_u64().unwrap() + 1);
    }
    let far = expected.values().filter(|rank| **rank > 2).count();
    assert!(far > 0 && far < expected.len(), "the rank tells {far} of {} apart", expected.len());
    assert_eq!(left.len(), far);
    for row in &left {
        let pair = (row["reference"].to_string(), row["target"].to_string());
        assert_eq!((row["rule"].as_str(), row["rank"].as_u64()), (Some("round-trip"), Some(expected[&pair])));
    }
    let report = world.json("kept.report.json");
    assert_eq!(report["left_out"]["round-trip"].as_u64(), Some(far as u64));
    assert_eq!(report["round_trip"]["gallery"], 24);
    for at in report["round_trip"]["kept_at"].as_array().unwrap() {
        let (rank, count) = (at["rank"].as_u64().unwrap(), at["kept"].as_u64().unwrap() as usize);
        assert_eq!(count, expected.values().filter(|found| **found <= rank).count(), "rank {rank}");
    }

    // A text of another pair leads elsewhere.
    let wrong = world.triplets("wrong.jsonl", |at, _| ["but in red", "now a stripe", "now a cross"][at % 3].to_owned());
    let wrong = wrong.to_string_lossy().into_owned();
    let other = world.place("wrong-kept.jsonl");
    let arguments = [&["generator", "filter", &wrong], &base[3..], &["--rank", "2", "--out", &other]].concat();
    run(&arguments);
    let right = kept.lines().count();
    let stay = world.read("wrong-kept.jsonl").lines().count();
    assert!(stay + 40 < right, "{stay} wrong texts stay, {right} right ones");

    // Both directions keep no more than one.
    let both = world.place("both.jsonl");
    run(&[&base[..], &["--rank", "2", "--both", "--out", &both]].concat());
    let (both, left) = (world.read("both.jsonl"), rows(&world.read("both.left-out.jsonl")));
    assert!(both.lines().count() < right && both.lines().all(|line| kept.lines().any(|other| other == line)));
    assert!(left.iter().all(|row| row["rank"].as_u64().unwrap() > 2 || row["rank_reversed"].as_u64().unwrap() > 2));

    // Lines that cannot be used are named, counted, and in neither file.
    let mixed = world.place("mixed.jsonl");
    let foreign = "{\"reference\": \"gone\", \"target\": \"red-circle\", \"modifier_generated\": \"x\"}";
    std::fs::write(
        &mixed,
        format!("{foreign}\noops\n{}", all.lines().take(9).map(|l| l.to_owned() + "\n").collect::<String>()),
    )
    .unwrap();
    let few = world.place("few.jsonl");
    let with = |file: &str, more: &[&str]| {
        let arguments = [&["generator", "filter", file], &base[3..], &["--out", &few], more].concat();
        arguments.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let output = thisbut().args(with(&mixed, &["--rank", "2", "--pairs", &made])).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("mixed.jsonl, line 1") && said.contains("'gone'"), "{said}");
    assert!(said.contains("line 2"), "{said}");
    let report = world.json("few.report.json");
    assert_eq!((report["unusable"].as_u64(), report["triplets"].as_u64()), (Some(2), Some(9)));
    assert_eq!(report["round_trip"]["gallery"], 24, "with --pairs, their images");
    std::fs::remove_file(&few).unwrap();
    let refused = |arguments: Vec<String>, words: &str| {
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), words);
        assert!(!Path::new(&few).exists());
    };
    let nothing = with(&made, &["--rank", "0"]);
    out_of_range(&nothing.iter().map(String::as_str).collect::<Vec<_>>(), "--rank");
    refused(with(&made, &["--rank", "23"]), "rank 23 over a gallery of 24");
    refused(with(&world.place("none.jsonl"), &[]), "cannot read");
    std::fs::write(&mixed, format!("{foreign}\n")).unwrap();
    refused(with(&mixed, &["--rank", "1", "--pairs", &made]), "no usable triplet");
    refused(with(&world.place("few.json"), &[]), "give another name");
}

#[test]
fn generating_with_the_round_trip_is_generating_and_filtering() {
    let world = World::new();
    let checkpoint = world.retriever("20");
    let llm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny-llama.gguf");
    let llm = llm.to_string_lossy().into_owned();
    let run_folder = world.place("generator");
    let base = ["generator", "train", &world.data, "--preset", "tiny", "--weights", &world.weights, "--llm", &llm];
    let more = ["--out", &run_folder, "--steps", "6", "--batch", "16", "--warmup", "2", "--learning-rate", "5e-3"];
    run(&[&base[..], &more, &["--answer-length", "8", "--validate-every", "100", "--samples", "2"]].concat());
    let (pairs, generator) = (world.place("pairs.jsonl"), format!("{run_folder}/final.safetensors"));
    run(&["generator", "pairs", "--annotated", &world.data, "--split", "val", "--out", &pairs]);
    let annotated =
        rows(&std::fs::read_to_string(world.triplets("annotated.jsonl", |_, text| text.to_owned())).unwrap());
    let ends = |rows: &[Value]| rows.iter().map(|r| (r["reference"].clone(), r["target"].clone())).collect::<Vec<_>>();
    assert_eq!(ends(&rows(&world.read("pairs.jsonl"))), ends(&annotated));
    let some = world.place("first-pairs.jsonl");
    run(&["generator", "pairs", "--annotated", &world.data, "--split", "val", "--first", "5", "--out", &some]);
    assert_eq!(ends(&rows(&world.read("first-pairs.jsonl"))), ends(&annotated[..5]));
    let base = ["generator", "generate", "--pairs", &pairs, "--generator", &generator, "--features", &world.features];
    let base =
        [&base[..], &["--weights", &world.weights, "--llm", &llm, "--max-tokens", "8", "--sampling-temperature", "1"]]
            .concat();
    let out = ["plain", "checked", "first", "second", "filtered"].map(|name| world.place(&format!("{name}.jsonl")));
    let [plain, checked, first, second, filtered] = &out;
    let trip = ["--round-trip", &checkpoint, "--rank", "8", "--both"];
    run(&[&base[..], &["--out", plain]].concat());
    run(&[&base[..], &trip, &["--out", checked]].concat());
    let filter = ["generator", "filter", plain, "--checkpoint", &checkpoint, "--features", &world.features];
    let more = ["--weights", &world.weights, "--rank", "8", "--both", "--pairs", &pairs, "--out", filtered];
    run(&[&filter[..], &more].concat());
    let kept = world.read("checked.jsonl");
    assert_eq!(kept, world.read("filtered.jsonl"));
    let (report, pass) = (world.json("checked.report.json"), world.json("filtered.report.json"));
    let (left, without) = (report["left_out"]["round-trip"].as_u64().unwrap(), world.json("plain.report.json"));
    assert!(left > 0 && !kept.is_empty(), "{report:#}");
    assert_eq!(Some(left), pass["left_out"]["round-trip"].as_u64());
    assert_eq!(report["round_trip"], pass["round_trip"]);
    assert_eq!(report["kept"].as_u64().unwrap() + left, without["kept"].as_u64().unwrap());
    assert!(without["round_trip"].is_null() && without["left_out"]["round-trip"].is_null());
    let named = rows(&world.read("checked.left-out.jsonl"));
    let trips = named.iter().filter(|row| row["rule"] == "round-trip");
    assert_eq!(trips.inspect(|row| assert!(row["rank_reversed"].is_u64())).count() as u64, left);

    // Shares rank the same gallery, so that together they are the whole.
    run(&[&base[..], &trip, &["--share", "1/2", "--out", first]].concat());
    run(&[&base[..], &trip, &["--share", "2/2", "--out", second]].concat());
    let together = world.read("first.jsonl") + &world.read("second.jsonl");
    assert!(kept.lines().all(|line| together.lines().any(|other| other == line)));

    // The same job again is done; another rank is another job; and a generator is no retrieval model.
    run(&[&base[..], &trip, &["--out", checked]].concat());
    let other = ["--round-trip", &checkpoint, "--rank", "3", "--out", checked];
    refused(&[&base[..], &other].concat(), "there already");
    refused(&[&base[..], &["--round-trip", &generator, "--out", &world.place("n.jsonl")]].concat(), "a generator's");
}

#[test]
fn generated_texts_stand_beside_a_persons() {
    let world = World::new();
    let checkpoint = world.retriever("200");
    let same = world.triplets("same.jsonl", |_, text| text.to_owned());
    let vague =
        world.triplets("vague.jsonl", |at, text| if at % 2 == 0 { "make it the same".into() } else { text.into() });
    let [same, vague] = [same, vague].map(|p| p.to_string_lossy().into_owned());
    let json = world.place("quality.json");
    let quality = |file: &str, more: &[&str]| {
        let base = ["generator", "quality", file, "--dataset", &world.data, "--weights", &world.weights];
        String::from_utf8(run(&[&base[..], &["--figures", &json], more].concat()).stdout).unwrap()
    };
    let text = quality(&same, &[]);
    assert!(
        text.contains("generated, the way back") && text.contains("a person's, val") && !text.contains("R@1"),
        "{text}"
    );
    let found = world.json("quality.json");
    let [made, back, person] = found["texts"]["rows"].as_array().unwrap().as_slice() else { panic!("{found:#}") };
    for field in ["texts", "images", "mean_characters", "words", "unique_words", "unique_share"] {
        assert_eq!(made[field], person[field], "{field}");
    }
    assert_eq!(
        (made["texts"].as_u64(), made["images"].as_u64(), back["texts"].as_u64()),
        (Some(192), Some(24), Some(192))
    );
    // "but in a" colours of which there are six, "now a" shapes of which there are four.
    assert_eq!(made["unique_words"].as_u64(), Some(2 + 6 + 2 + 4));
    assert!(found["retrieval"].is_null());
    assert!(text.contains("ROUGE-1 1.000, METEOR (exact match)"), "{text}");
    let overlap = &found["overlap"];
    assert_eq!((overlap["texts"].as_u64(), overlap["rouge1"].as_f64()), (Some(192), Some(1.0)));
    // One chunk of m equal words: 1 − 0.5 · (1 / m)³; "but in red" and "now a circle" have three words each.
    let exact = 1.0 - 0.5 / 27.0;
    assert!((overlap["meteor_exact"].as_f64().unwrap() - exact).abs() < 1e-9, "{overlap}");

    let text = quality(&same, &["--checkpoint", &checkpoint]);
    for row in
        ["original text ", "generated text ", "image only", "original text only", "averaged, generated text", "Rs@1"]
    {
        assert!(text.contains(row), "{row}: {text}");
    }
    let found = &world.json("quality.json")["retrieval"];
    assert_eq!(found["original"]["sections"], found["generated"]["sections"], "the same texts, the same figures");
    assert_eq!((found["better"].as_u64(), found["worse"].as_u64(), found["p"].as_f64()), (Some(0), Some(0), Some(1.0)));
    quality(&vague, &["--checkpoint", &checkpoint]);
    let found = &world.json("quality.json")["retrieval"];
    let r1 = |which: &str| found[which]["sections"][0]["rows"][0]["recall"]["r1"].as_f64().unwrap();
    assert!(r1("generated") + 10.0 < r1("original"), "{} {}", r1("generated"), r1("original"));
    assert!(found["worse"].as_u64() > found["better"].as_u64());

    // Only pairs with a text count, in both rows; and a file of other pairs is refused.
    let half = world.place("half.jsonl");
    let lines: Vec<String> = world.read("same.jsonl").lines().step_by(2).map(str::to_owned).collect();
    std::fs::write(&half, lines.join("\n")).unwrap();
    let text = quality(&half, &["--checkpoint", &checkpoint]);
    assert!(text.contains("(96 queries)") && text.contains("96 queries have no generated text"), "{text}");
    let other = "{\"reference\": \"black-circle\", \"target\": \"red-stripe\", \"modifier_generated\": \"x\"}\n";
    std::fs::write(&half, other).unwrap();
    let base = ["generator", "quality", &half, "--dataset", &world.data, "--weights", &world.weights];
    refused(&[&base[..], &["--checkpoint", &checkpoint]].concat(), "no text for a pair of the split 'val'");
    std::fs::write(&half, "{\"reference\": 3}\n").unwrap();
    refused(&base, "no usable triplet");
}

#[test]
fn pages_are_made_filled_in_and_counted() {
    let world = World::new();
    let made =
        world.triplets("made.jsonl", |at, text| if at < 10 { text.to_owned() } else { format!("machine {text}") });
    let made = made.to_string_lossy().into_owned();
    let page = |command: &str, out: &str, more: &[&str]| {
        let out = world.place(out);
        let base = ["generator", command, &made, "--dataset", &world.data, "--out", &out];
        run(&[&base[..], more].concat())
    };
    let said = page("compare", "blind.html", &["--count", "30"]);
    assert!(String::from_utf8_lossy(&said.stderr).contains("10 pairs have the same text twice"));
    page("compare", "again.html", &["--count", "30"]);
    page("compare", "other.html", &["--count", "30", "--seed", "2"]);
    assert_eq!(world.read("blind.html"), world.read("again.html"));
    assert_ne!(world.json("blind.key.json")["items"], world.json("other.key.json")["items"]);
    let html = world.read("blind.html");
    assert_eq!(html.matches("<fieldset").count(), 30);
    assert!(!html.contains("a person (val)") && !html.contains("http") && html.contains("data:image/jpeg"));
    let key = world.json("blind.key.json");
    assert_eq!(key["sources"], json!(["a person (val)", "made"]));

    // Somebody who always takes the machine's text.
    let items = key["items"].as_array().unwrap();
    let choice = |item: &Value| if item["texts"][0]["source"] == 1 { "a" } else { "b" };
    let answers: Vec<Value> = items
        .iter()
        .inspect(|item| {
            for voice in item["texts"].as_array().unwrap() {
                assert_eq!(voice["text"].as_str().unwrap().starts_with("machine"), voice["source"] == 1);
            }
        })
        .map(|item| json!({"item": item["item"], "choice": choice(item), "note": ""}))
        .collect();
    let a = answers.iter().filter(|answer| answer["choice"] == "a").count();
    assert!((5..=25).contains(&a), "either text comes first: {a} of 30");
    let results = world.place("anna.json");
    let saved = json!({"version": 1, "page": key["page"], "kind": "compare", "reader": "Anna", "answers": answers});
    std::fs::write(&results, saved.to_string()).unwrap();
    let (key_path, figures) = (world.place("blind.key.json"), world.place("score.json"));
    let scored = run(&["generator", "score", &results, "--key", &key_path, "--figures", &figures]);
    let text = String::from_utf8_lossy(&scored.stdout).into_owned();
    assert!(text.contains("made better 30") && text.contains("100.0 % of the decided (95 %: 88.6 to 100.0)"), "{text}");
    assert_eq!(world.json("score.json")["readers"][0][1]["preference"]["wins"], json!([0, 30]));

    // The other page's key, a broken file, none at all.
    refused(&["generator", "score", &results, "--key", &world.place("other.key.json")], "is of page");
    refused(&["generator", "score", &results, "--key", &results], "not a page's key");
    refused(&["generator", "score", &world.place("none.json"), "--key", &key_path], "cannot read");

    // The reader's check, of both directions.
    page("check", "check.html", &["--count", "12", "--seed", "3"]);
    page("check", "back.html", &["--count", "12", "--reversed"]);
    let key = world.json("check.key.json");
    assert!(world.json("back.key.json")["items"][0]["texts"][0]["text"].as_str().unwrap().starts_with("now "));
    let page_mark = key["page"].as_str().unwrap();
    let row = |item: usize, choice: &str| format!("{page_mark},check,Bo,{item},{choice},\n");
    let csv: String = (1..=12).map(|item| row(item, if item == 4 { "unclear" } else { "right" })).collect();
    let results = world.place("bo.csv");
    std::fs::write(&results, format!("page,kind,reader,item,choice,note\n{csv}")).unwrap();
    let scored = run(&["generator", "score", &results, "--key", &world.place("check.key.json")]);
    let text = String::from_utf8_lossy(&scored.stdout).into_owned();
    assert!(text.contains("12 judged: 1 wrong, error rate 8.3 % (95 %: 1.5 to 35.4)"), "{text}");
    std::fs::write(&results, format!("page,kind,reader,item,choice,note\n{}", row(13, "right"))).unwrap();
    refused(&["generator", "score", &results, "--key", &world.place("check.key.json")], "no pair 13");

    // Two generators; a broken picture; unknown images.
    let second = world.triplets("second.jsonl", |_, text| format!("rather {text}"));
    std::fs::write(Path::new(&world.data).join("images/red-circle.png"), b"broken").unwrap();
    let second = second.to_string_lossy().into_owned();
    let two = page("compare", "two.html", &[&second, "--count", "500"]);
    let said = String::from_utf8_lossy(&two.stderr).into_owned();
    assert!(said.contains("red-circle.png") && said.contains("there are no more"), "{said}");
    let key = world.json("two.key.json");
    assert_eq!(key["sources"], json!(["second", "made"]));
    assert!(!key["items"].to_string().contains("\"red-circle\""), "a pair without its picture is not asked about");
    std::fs::write(&made, "{\"reference\": \"x\", \"target\": \"y\", \"modifier_generated\": \"z\"}\n").unwrap();
    let out = world.place("none.html");
    for command in ["compare", "check"] {
        refused(&["generator", command, &made, "--dataset", &world.data, "--out", &out], "no picture of 'x'");
    }
    out_of_range(&["generator", "check", &made, "--dataset", &world.data, "--out", &out, "--count", "0"], "--count");
    assert!(!Path::new(&out).exists() && !Path::new(&world.place("none.key.json")).exists());
}
