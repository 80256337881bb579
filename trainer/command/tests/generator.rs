//! The generator on the command line: training resumes to the same bytes, kills while generating lose and double nothing,
//! bad input is refused in one sentence.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::{run, shapes, thisbut};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

fn tiny() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tiny-llama.gguf").to_string_lossy().into_owned()
}

struct World {
    root: tempfile::TempDir,
    data: String,
    weights: String,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let [data, weights] = [data, weights].map(|p| p.to_string_lossy().into_owned());
        run(&["features", &data, "--preset", "tiny", "--weights", &weights]);
        Self { root, data, weights }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn place(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    fn train(&self, out: &str, more: &[&str]) {
        let (out, llm) = (self.place(out), tiny());
        let mut arguments =
            vec!["generator", "train", &self.data, "--preset", "tiny", "--weights", &self.weights, "--llm", &llm];
        arguments.extend([
            "--out",
            &out,
            "--steps",
            "12",
            "--batch",
            "16",
            "--warmup",
            "2",
            "--learning-rate",
            "5e-3",
            "--answer-length",
            "16",
        ]);
        arguments.extend([
            "--validate-every",
            "6",
            "--validate-queries",
            "20",
            "--samples",
            "6",
            "--checkpoint-every",
            "3",
        ]);
        arguments.extend(more);
        run(&arguments);
    }

    /// All ordered pairs of the collection's images.
    fn pairs(&self) -> String {
        let mut names: Vec<String> = std::fs::read_dir(Path::new(&self.data).join("images"))
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let mut text = String::new();
        for a in &names {
            for b in names.iter().filter(|b| *b != a) {
                text.push_str(&format!("{{\"reference\": \"{a}\", \"target\": \"{b}\", \"rule\": \"all\"}}\n"));
            }
        }
        let path = self.path("pairs.jsonl");
        std::fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }

    fn generate<'a>(&self, strings: &'a [String; 4]) -> Vec<&'a str> {
        let [pairs, generator, features, out] = strings;
        vec!["generator", "generate", "--pairs", pairs, "--generator", generator, "--features", features, "--out", out]
    }
}

#[test]
fn an_interrupted_run_ends_with_the_same_bytes_whatever_it_trains() {
    let world = World::new();
    let changed: &[&str] = &["--lora-rank", "2", "--precision", "int8"];
    let kinds: [(&str, &[&str]); 3] =
        [("paper", &["--composed-feature", "paper"]), ("code", &["--composed-feature", "code"]), ("changed", changed)];
    for (form, options) in kinds {
        let [whole, broken] = ["whole", "broken"].map(|name| format!("{form}-{name}"));
        world.train(&whole, options);
        world.train(&broken, &[options, &["--until", "5"]].concat());
        world.train(&broken, options);
        let read = |run: &str, file: &str| std::fs::read(world.path(run).join(file)).unwrap();
        assert!(read(&whole, "final.safetensors") == read(&broken, "final.safetensors"), "{form}: the weights differ");
        let lines = String::from_utf8(read(&whole, "metrics.jsonl")).unwrap();
        let losses: Vec<f64> = lines
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64())
            .collect();
        assert_eq!(losses.len(), 12);
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        assert!(mean(&losses[8..]) < mean(&losses[..4]) - 0.05, "{form}: {losses:?}");
        let validated = lines.lines().filter(|line| line.contains("perplexity")).count();
        assert_eq!(validated, 2);
        let page = String::from_utf8(read(&whole, "samples.html")).unwrap();
        assert!(page.matches("<article>").count() >= 6 && page.contains("data:image/jpeg") && page.contains("ROUGE-1"));
    }
    // A changed language model speaks in every precision.
    let features = Path::new(&world.data).join("tiny.features").to_string_lossy().into_owned();
    let llm = tiny();
    for precision in ["f32", "bf16", "int8"] {
        let out = format!("{precision}.jsonl");
        let strings =
            [world.pairs(), world.place("changed-whole/final.safetensors"), features.clone(), world.place(&out)];
        let more = ["--weights", &world.weights, "--llm", &llm, "--beams", "1", "--max-tokens", "8", "--precision"];
        run(&[world.generate(&strings), more.to_vec(), vec![precision]].concat());
        let report = std::fs::read_to_string(world.path(&format!("{precision}.report.json"))).unwrap();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert_eq!((&report["precision"], &report["pairs"]), (&precision.into(), &(24 * 23).into()));
    }
    let out = world.place("paper-whole");
    let output = thisbut()
        .args(["generator", "train", &world.data, "--preset", "tiny", "--weights", &world.weights, "--llm", &llm])
        .args(["--out", &out, "--steps", "12", "--batch", "16", "--composed-feature", "code"])
        .output()
        .unwrap();
    assert!(!output.status.success());
}

#[test]
fn titles_come_first_and_are_no_part_of_a_text() {
    let world = World::new();
    let titles: serde_json::Map<String, serde_json::Value> = std::fs::read_dir(Path::new(&world.data).join("images"))
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .map(|name| (name.clone(), serde_json::json!({"title": name.replace('-', " ")})))
        .collect();
    let described = Path::new(&world.data).join("images.json");
    std::fs::write(&described, serde_json::Value::from(titles).to_string()).unwrap();
    world.train("titles", &["--titles"]);
    let start = world.place("titles/final.safetensors");
    world.train("describing", &["--describe", "--start", &start]);
    // The page compares texts alone.
    let page = std::fs::read_to_string(world.path("describing/samples.html")).unwrap();
    assert!(page.contains("<article>") && !page.contains("from red"));
    // A generator of 12 steps never comes to a second line: no text, and the rule says so.
    let features = Path::new(&world.data).join("tiny.features").to_string_lossy().into_owned();
    let strings = [world.pairs(), world.place("describing/final.safetensors"), features, world.place("d.jsonl")];
    let llm = tiny();
    let more = ["--weights", &world.weights, "--llm", &llm, "--beams", "1", "--max-tokens", "6"];
    run(&[world.generate(&strings), more.to_vec()].concat());
    let left_out = std::fs::read_to_string(world.path("d.left-out.jsonl")).unwrap();
    assert_eq!(left_out.lines().filter(|line| line.contains("\"empty\"")).count(), 24 * 23);

    std::fs::write(&described, "{}").unwrap();
    let (out, options) = (world.place("none"), ["--preset", "tiny", "--weights", &world.weights, "--llm", &llm]);
    let base = [&["generator", "train", &world.data][..], &options, &["--describe", "--out", &out]].concat();
    let said = String::from_utf8(thisbut().args(base).output().unwrap().stderr).unwrap();
    assert!(said.contains("has no title") && !said.contains("panicked"), "{said}");
}

#[test]
fn kills_while_generating_lose_and_double_nothing() {
    let world = World::new();
    world.train("run", &[]);
    let generator = world.path("run/final.safetensors").to_string_lossy().into_owned();
    let features = Path::new(&world.data).join("tiny.features").to_string_lossy().into_owned();
    let pairs = world.pairs();
    let strings = |out: &str| [pairs.clone(), generator.clone(), features.clone(), world.place(out)];
    let (whole, broken) = (strings("whole.jsonl"), strings("broken.jsonl"));
    let llm = tiny();
    let more = [
        "--weights",
        &world.weights,
        "--llm",
        &llm,
        "--part",
        "8",
        "--batch",
        "8",
        "--beams",
        "2",
        "--max-tokens",
        "12",
    ];
    run(&[world.generate(&whole), more.to_vec()].concat());
    let parts = || std::fs::read_dir(world.path("broken.parts")).map_or(0, Iterator::count);
    let mut kills = 0;
    for turn in 0..6u32 {
        // First while it loads, then a few parts later each time, here and there within one: progress, not time, says when.
        let goal = if turn == 0 { 0 } else { parts() + 4 };
        let mut child = thisbut()
            .args([world.generate(&broken), more.to_vec()].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while parts() < goal && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(u64::from(turn * 7 % 5) * 3));
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "the run ended after {kills} kills");
    run(&[world.generate(&broken), more.to_vec()].concat());
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    assert_eq!(read("whole.jsonl"), read("broken.jsonl"));
    assert_eq!(read("whole.left-out.jsonl"), read("broken.left-out.jsonl"));
    assert_eq!(read("whole.report.json"), read("broken.report.json"));
    assert!(!world.path("broken.parts").exists());

    // Every pair once, kept or left out with its rule, in the published names.
    let (mut seen, mut left_out) = (HashSet::new(), 0);
    for line in read("whole.jsonl").lines().chain(read("whole.left-out.jsonl").lines()) {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(row["modifier_generated"].is_string() && row["modifier_reversed"].is_string());
        assert!(seen.insert((row["reference"].to_string(), row["target"].to_string())), "{line}");
        left_out += usize::from(row["rule"].is_string());
    }
    assert_eq!(seen.len(), 24 * 23);
    let report: serde_json::Value = serde_json::from_str(&read("whole.report.json")).unwrap();
    assert_eq!(report["pairs"], 24 * 23);
    assert_eq!(report["kept"], 24 * 23 - left_out);
    let counted: u64 = report["left_out"].as_object().unwrap().values().map(|v| v.as_u64().unwrap()).sum();
    assert_eq!(counted, left_out as u64);

    // The same job again, another one into its file, and another one's parts.
    let refused = |arguments: &[&str], words: &str| {
        let output = thisbut().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    };
    std::fs::create_dir(world.path("whole.parts")).unwrap();
    std::fs::write(world.path("whole.parts/part-of-mine"), "x").unwrap();
    run(&[world.generate(&whole), more.to_vec()].concat());
    assert_eq!(read("whole.parts/part-of-mine"), "x");
    std::fs::remove_dir_all(world.path("whole.parts")).unwrap();
    refused(
        &[world.generate(&whole), more.to_vec(), vec!["--seed", "2", "--sampling-temperature", "1"]].concat(),
        "there already",
    );
    std::fs::create_dir(world.path("other.parts")).unwrap();
    std::fs::write(world.path("other.parts/job"), "x").unwrap();
    refused(&[world.generate(&strings("other.jsonl")), more.to_vec()].concat(), "another generator");

    // A folder that no run has begun is nobody's to empty.
    std::fs::create_dir(world.path("mine.parts")).unwrap();
    std::fs::write(world.path("mine.parts/part-000000.jsonl"), "{}").unwrap();
    refused(&[world.generate(&strings("mine.jsonl")), more.to_vec()].concat(), "'part-000000.jsonl' in it");
    assert_eq!(read("mine.parts/part-000000.jsonl"), "{}");
    // Parts with other pairs in them, whatever their mark says.
    let parted = |job: &str| {
        std::fs::write(world.path("mine.parts/job"), job).unwrap();
        refused(&[world.generate(&strings("mine.jsonl")), more.to_vec()].concat(), "of another pair");
    };
    let swapped = r#"{"reference":"x","target":"y","modifier_generated":"a","modifier_reversed":"b"}"#;
    std::fs::write(world.path("mine.parts/part-000000.jsonl"), [swapped; 8].join("\n")).unwrap();
    parted(report["job"].as_str().unwrap());
    std::fs::remove_dir_all(world.path("mine.parts")).unwrap();

    // In 8 bits it is another job.
    let eight = [more.to_vec(), vec!["--precision", "int8"]].concat();
    refused(&[world.generate(&whole), eight.clone()].concat(), "there already");
    assert_eq!(report["precision"], "f32");
    std::fs::create_dir(world.path("eight.parts")).unwrap();
    std::fs::write(world.path("eight.parts/job"), report["job"].as_str().unwrap()).unwrap();
    let own = strings("eight.jsonl");
    refused(&[world.generate(&own), eight.clone()].concat(), "another generator");
    std::fs::remove_dir_all(world.path("eight.parts")).unwrap();
    refused(&[world.generate(&own), eight.clone(), vec!["--device", "cuda"]].concat(), "use --device cpu");
    run(&[world.generate(&own), eight].concat());
    let report: serde_json::Value = serde_json::from_str(&read("eight.report.json")).unwrap();
    assert_eq!((&report["precision"], &report["pairs"]), (&"int8".into(), &(24 * 23).into()));

    // Damaged and foreign files.
    let bytes = std::fs::read(&llm).unwrap();
    let cut = world.place("cut.gguf");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    let with = |llm: &str| {
        let mut arguments: Vec<String> = world.generate(&strings("n.jsonl")).into_iter().map(str::to_owned).collect();
        arguments.extend(["--weights", &world.weights, "--llm", llm].map(str::to_owned));
        arguments
    };
    let refused_llm = |llm: &str, words: &str| {
        let arguments = with(llm);
        refused(&arguments.iter().map(String::as_str).collect::<Vec<_>>(), words);
    };
    refused_llm(&cut, "cut short");
    let other = world.place("other.gguf");
    let at = bytes.windows(5).position(|w| w == b"llama").unwrap();
    std::fs::write(&other, [&bytes[..at], b"gemma", &bytes[at + 5..]].concat()).unwrap();
    refused_llm(&other, "'gemma', not llama");
    std::fs::write(&other, b"not a model").unwrap();
    refused_llm(&other, "not a GGUF file");
    std::fs::write(world.path("pairs.jsonl"), "{\"reference\": \"gone\", \"target\": \"red-circle\"}\n").unwrap();
    refused_llm(&llm, "no image 'gone'");
    assert!(!world.path("n.jsonl").exists() && !world.path("n.parts").exists());
}

#[cfg(unix)]
#[test]
fn a_full_disk_while_generating_loses_nothing() {
    let world = World::new();
    world.train("run", &[]);
    let first: Vec<String> =
        std::fs::read_to_string(world.pairs()).unwrap().lines().take(96).map(str::to_owned).collect();
    std::fs::write(world.path("pairs.jsonl"), first.join("\n")).unwrap();
    let features = Path::new(&world.data).join("tiny.features").to_string_lossy().into_owned();
    let [whole, full] = ["whole.jsonl", "full.jsonl"].map(|out| {
        [world.place("pairs.jsonl"), world.place("run/final.safetensors"), features.clone(), world.place(out)]
    });
    let llm = tiny();
    let more = ["--weights", &world.weights, "--llm", &llm, "--part", "8", "--beams", "1", "--max-tokens", "8"];
    run(&[world.generate(&whole), more.to_vec()].concat());
    let files = || std::fs::read_dir(world.root.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let parts = || std::fs::read_dir(world.path("full.parts")).map_or(0, Iterator::count);
    // A limit on a file's length stands in for the disk: writing fails in the middle of a file, of the first part, then, when
    // all parts are there, of what they are joined to.
    for (blocks, least) in [("1", 0), ("6", 12)] {
        let output = std::process::Command::new("sh")
            .args(["-c", "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"", blocks])
            .arg(thisbut().get_program())
            .args([world.generate(&full), more.to_vec()].concat())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && !said.contains("panicked"), "{said}");
        assert!(said.contains("check free space") && said.contains("full."), "{said}");
        assert!(parts() >= least, "{blocks}: {} parts; {said}", parts());
        assert!(
            files().all(|name| !name.contains("partial") && name != "full.jsonl"),
            "{:?}",
            files().collect::<Vec<_>>()
        );
    }
    run(&[world.generate(&full), more.to_vec()].concat());
    for name in ["jsonl", "left-out.jsonl", "report.json"] {
        let read = |which: &str| std::fs::read(world.path(&format!("{which}.{name}"))).unwrap();
        assert_eq!(read("whole"), read("full"), "{name}");
    }
    assert!(!world.path("full.parts").exists());
}

#[test]
fn generated_triplets_are_pretrained_on() {
    let world = World::new();
    let row = |reference: &str, target: &str, text: &str| {
        format!(
            "{{\"reference\": \"{reference}\", \"target\": \"{target}\", \"modifier_generated\": \"{text}\", \
             \"modifier_reversed\": \"but in a red\"}}\n"
        )
    };
    let made = world.path("made.jsonl");
    let rows: Vec<String> = ["green", "blue", "yellow", "purple", "black"]
        .iter()
        .flat_map(|c| {
            ["circle", "square"].map(|s| row(&format!("red-{s}"), &format!("{c}-{s}"), &format!("but in {c}")))
        })
        .collect();
    std::fs::write(&made, rows.concat()).unwrap();
    let (made, out) = (made.to_string_lossy().into_owned(), world.place("pretrained"));
    let base = ["pretrain", &world.data, "--preset", "tiny", "--weights", &world.weights, "--out", &out];
    let more = ["--triplets", &made, "--steps", "3", "--batch", "8", "--warmup", "1", "--group", "1"];
    run(&[base.as_slice(), &more].concat());
    let lines = std::fs::read_to_string(world.path("pretrained/metrics.jsonl")).unwrap();
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    // q2t is all there is: a loss that is not computed has no key.
    assert_eq!(first["loss"].as_f64(), first["q2t"].as_f64());
    assert!(first["q2t"].is_f64() && first.get("t2t").is_none() && first.get("p2p").is_none(), "{first}");
    let output = thisbut().args(base).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("--triplets"));
}
