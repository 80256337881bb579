//! The concept family from a data set to a bundle: cross-attention on a dual encoder's text tower, with phrases found or given; the
//! towers of a published checkpoint; and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/clip.rs"]
mod clip;
mod common;

use clip::golden;
use common::{run, shapes, thisbut};
use std::path::Path;
use thisbut_trainer::train::checkpoint;

/// The data set of shapes, whose texts name a shape ("now a circle") or a colour alone.
struct World {
    root: tempfile::TempDir,
    data: String,
    weights: String,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (data, weights) = shapes(root.path());
        let [data, weights] = [data, weights].map(|path| path.to_string_lossy().into_owned());
        run(&["features", &data, "--preset", "tiny-context", "--weights", &weights]);
        Self { root, data, weights }
    }

    fn place(&self, name: &str) -> String {
        self.root.path().join(name).to_string_lossy().into_owned()
    }

    fn last(&self, run: &str) -> String {
        Path::new(&self.place(run)).join("final.safetensors").to_string_lossy().into_owned()
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let base = ["finetune", &self.data, "--weights", &self.weights, "--out", &self.place(out), "--batch", "16"];
        let preset = if more.contains(&"--preset") { &[][..] } else { &["--preset", "tiny-context"] };
        [&base[..], preset, more].concat().into_iter().map(str::to_owned).collect()
    }

    /// Trains; what is said on the way.
    fn train(&self, out: &str, more: &[&str]) -> String {
        let arguments = self.arguments(out, more);
        let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        String::from_utf8(output.stderr).unwrap()
    }

    fn refused(&self, out: &str, more: &[&str]) -> String {
        let output = thisbut().args(self.arguments(out, more)).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    }

    fn evaluate(&self, more: &[&str]) -> String {
        let asked = ["evaluate", &self.data, "--weights", &self.weights];
        String::from_utf8(run(&[&asked[..], more].concat()).stdout).unwrap()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.place(name), text).unwrap();
        self.place(name)
    }
}

/// The first figure of a report's row of that name.
fn figure(report: &str, name: &str) -> f64 {
    let line = report.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{report}"));
    let figures = line.trim_start().trim_start_matches(name);
    figures.split_whitespace().find_map(|word| word.parse().ok()).unwrap_or_else(|| panic!("{report}"))
}

#[test]
fn a_run_trains_resumes_exactly_and_becomes_a_bundle_that_answers_alike() {
    let world = World::new();
    let more =
        ["--steps", "60", "--warmup", "5", "--learning-rate", "3e-3", "--schedule", "cosine-restarts", "--cycle", "20"];
    let said = world.train("whole", &more);
    assert!(said.contains("noun phrases: ") && said.contains("texts have none"), "{said}");
    world.train("broken", &[&more[..], &["--until", "23"]].concat());
    world.train("broken", &more);
    let bytes = |run: &str| std::fs::read(world.last(run)).unwrap();
    assert!(bytes("whole") == bytes("broken"), "the weights differ");
    let metrics = std::fs::read_to_string(format!("{}/metrics.jsonl", world.place("whole"))).unwrap();
    let step: serde_json::Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert!(step["q2t"].as_f64().is_some() && step["cc"].as_f64().is_some(), "{step}");
    let trained = checkpoint::load(Path::new(&world.last("whole"))).unwrap().model;
    assert!((f64::from(trained["logit_scale"].1[0]) + 0.07_f64.ln()).abs() < 1e-6, "τ stays");

    // Other phrases are another run.
    let given = world.write("phrases.jsonl", "{\"text\": \"now a circle\", \"phrases\": [\"a circle\"]}\n");
    let said = world.refused("whole", &[&more[..], &["--phrases", &given]].concat());
    assert!(said.contains("the noun phrases are others"), "{said}");

    let report = world.evaluate(&["--checkpoint", &world.last("whole")]);
    let found = figure(&report, "composed");
    assert!(found > 3.0 * 100.0 / 24.0, "better than chance\n{report}");
    assert!(report.contains("averaged") && !report.contains("slerp"), "a fused target is of no dual encoder\n{report}");
    for (store, most) in [("q8", 8.0), ("q4", 25.0)] {
        let bundle = world.place(store);
        run(&[
            "export",
            &world.last("whole"),
            "--dataset",
            &world.data,
            "--weights",
            &world.weights,
            "--store",
            store,
            "--out",
            &bundle,
        ]);
        let shipped = world.evaluate(&["--bundle", &bundle]);
        let apart = (figure(&shipped, "composed") - found).abs();
        assert!(apart < most, "{store}: {shipped}{report}");
    }

    // A folder of pictures through the bundle, asked with a picture and a text, a text alone, a picture alone.
    let (pictures, shown) = (format!("{}/images", world.data), world.place("shown"));
    run(&["index", &pictures, "--model", &world.place("q8"), "--out", &shown]);
    let image = format!("{pictures}/red-square.png");
    for asked in [&["--image", &image, "--text", "now a circle"][..], &["--text", "in blue"], &["--image", &image]] {
        let answer = run(&[&["query", "--bundle", &shown, "--json", "--top", "3"], asked].concat());
        let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
        assert!(answer.to_string().contains("score"), "{answer}");
    }
    what_counted(&world, &shown, &image);
}

/// What counted in a query, as JSON, as text and as a picture; in a report; and how much of it falls on what changed.
fn what_counted(world: &World, shown: &str, image: &str) {
    let asked = ["query", "--bundle", shown, "--image", image, "--text", "now a circle", "--why"];
    let heat = world.place("heat.png");
    let told = run(&[&asked[..], &["--json", "--heat", &heat]].concat());
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    let (why, first) = (&told["why"], &told["answers"][0]);
    assert!(first["score"].is_number(), "{told}");
    let sum = |shares: &serde_json::Value| {
        shares.as_array().unwrap().iter().map(|share| share.as_f64().unwrap()).sum::<f64>()
    };
    // 32 pixels in patches of 8.
    assert_eq!((&why["rows"], &why["cols"]), (&4.into(), &4.into()));
    assert!((sum(&why["grid"]) - 1.0).abs() < 1e-4, "{why}");
    let words: Vec<&str> = why["words"].as_array().unwrap().iter().map(|w| w["text"].as_str().unwrap()).collect();
    assert_eq!(words, ["now", "a", "circle"]);
    let phrases = why["phrases"].as_array().unwrap();
    assert_eq!((phrases.len(), &phrases[0]["text"]), (1, &"a circle".into()), "{why}");
    assert!((sum(&phrases[0]["grid"]) - 1.0).abs() < 1e-4);
    assert_eq!(image::open(&heat).unwrap().into_rgb8().dimensions(), (48, 48));
    let said = String::from_utf8(run(&asked).stdout).unwrap();
    assert!(said.contains("why, by the model's attention") && said.contains("\"a circle\" ("), "{said}");
    let alone = thisbut().args(["query", "--bundle", shown, "--text", "a circle", "--why"]).output().unwrap();
    assert!(String::from_utf8(alone.stderr).unwrap().contains("give both --text and --image"));

    let (queries, page) = (world.place("queries.jsonl"), world.place("report.html"));
    world.evaluate(&["--bundle", &world.place("q8"), "--per-query", &queries]);
    let report = ["report", &queries, "--dataset", &world.data, "--out", &page, "--count", "2"];
    run(&report);
    assert!(!std::fs::read_to_string(&page).unwrap().contains("what counted"), "nothing where nobody asks");
    run(&[&report[..], &["--bundle", &world.place("q8")]].concat());
    let html = std::fs::read_to_string(&page).unwrap();
    assert_eq!(html.matches("what counted, by attention: ").count(), 4, "two best and two worst");
    assert!(html.contains("the whole query") && html.contains("data:image/png;base64,"));

    let figures = world.place("grounding.json");
    let said = world.evaluate(&["--checkpoint", &world.last("whole"), "--grounding", "--figures", &figures]);
    assert!(said.contains("random weights") && said.contains("Without a preference"), "{said}");
    let found: serde_json::Value = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    let (triplets, of) = (found["trained"]["triplets"].as_u64().unwrap(), found["trained"]["of"].as_u64().unwrap());
    // A shape that becomes another is the same picture in part; a colour that becomes another changes all that is drawn.
    assert!(0 < triplets && triplets < of, "{found}");
    assert_eq!(found["trained"]["control"], found["random"]["control"], "of the pictures alone");
    let share = found["trained"]["query"]["mean"].as_f64().unwrap();
    assert!((0.0..=found["trained"]["control"]["best"]["mean"].as_f64().unwrap()).contains(&share), "{found}");
    world.evaluate(&["--checkpoint", &world.last("whole"), "--grounding", "--figures", &figures]);
    let again: serde_json::Value = serde_json::from_slice(&std::fs::read(&figures).unwrap()).unwrap();
    assert_eq!(found["random"], again["random"], "the same random weights again");
}

#[test]
fn the_codes_form_trains_with_either_tower_frozen_and_stands_beside_the_baselines() {
    let world = World::new();
    let form = ["--fusion", "transformer", "--pooling", "attention", "--target-form", "pooled", "--steps", "6"];
    let losses = ["--reference-negatives", "all", "--both-ways", "--consistency", "absolute", "--phrase-mean"];
    world.train("code", &[&form[..], &losses].concat());
    let report = world.evaluate(&["--checkpoint", &world.last("code")]);
    assert!(report.contains("weighted sum") && report.contains("slerp"), "{report}");
    let frozen = |text: f64, image: f64| {
        let groups = [("text.", text), ("image_encoder.", image)].into_iter().filter(|(name, rate)| {
            // The image encoder stays where no group names it.
            *name == "text." || *rate > 0.0
        });
        let groups: String =
            groups.map(|(name, rate)| format!("[[groups]]\nmatch = \"{name}\"\nrate = {rate:.1}\n")).collect();
        let recipe = world.write("towers.toml", &format!("preset = \"tiny-context\"\ntrain-words = true\n{groups}"));
        let run = format!("frozen-{text}-{image}");
        world.train(
            &run,
            &["--preset", "tiny-context", "--recipe", &recipe, "--features", "on-the-fly", "--steps", "3"],
        );
        checkpoint::load(Path::new(&world.last(&run))).unwrap().model
    };
    let (image, text) = (frozen(0.0, 1.0), frozen(1.0, 0.0));
    assert!(image.keys().any(|name| name.starts_with("image_encoder.")));
    assert!(!text.keys().any(|name| name.starts_with("image_encoder.")));
    assert!(image["text.position"].1 != text["text.position"].1);
}

#[test]
fn a_concept_model_starts_from_a_dual_encoders_text_tower() {
    let world = World::new();
    let titles: serde_json::Map<_, _> = std::fs::read_dir(format!("{}/images", world.data))
        .unwrap()
        .flatten()
        .map(|entry| {
            let name = entry.path().file_stem().unwrap().to_str().unwrap().to_owned();
            (name.clone(), serde_json::json!({ "title": format!("a {}", name.replace('-', " ")) }))
        })
        .collect();
    std::fs::write(format!("{}/images.json", world.data), serde_json::to_vec(&titles).unwrap()).unwrap();
    run(&["features", &world.data, "--preset", "tiny-dual", "--weights", &world.weights]);
    world.train("dual", &["--preset", "tiny-dual", "--losses", "contrast", "--steps", "8"]);
    let dual = world.last("dual");
    let frozen = world.write("frozen.toml", "[[groups]]\nmatch = \"text.\"\nrate = 0.0\n");
    world.train("grown", &["--start", &dual, "--recipe", &frozen, "--steps", "2"]);
    let [before, after] =
        [dual.clone(), world.last("grown")].map(|path| checkpoint::load(Path::new(&path)).unwrap().model);
    assert!(before["text.layers.0.attention.query.weight"] == after["text.layers.0.attention.query.weight"]);
    assert!(!after.contains_key("text.projection.weight") && !after.contains_key("image_head.norm.gamma"));
    // Another width of the tower is named.
    let (_, json) = thisbut_model::RetrievalConfig::PRESETS.iter().find(|(name, _)| *name == "tiny-context").unwrap();
    let narrow =
        world.write("narrow.json", &json.replace("\"width\": 32", "\"width\": 16").replace("tiny-context", "narrow"));
    let said = world.refused("x", &["--preset", &narrow, "--start", &dual, "--features", "on-the-fly"]);
    assert!(said.contains("method.text_tower.width") && said.contains("--preset"), "{said}");
}

#[test]
fn the_towers_of_a_published_checkpoint_are_imported() {
    let world = World::new();
    let dual: serde_json::Value = serde_json::from_str(clip::CONFIG).unwrap();
    for target in ["fused", "pooled"] {
        let mut config = dual.clone();
        config["image_encoder"].as_object_mut().unwrap().remove("pooled");
        config["method"]["kind"] = "concept".into();
        config["method"]["target"] = target.into();
        config["method"]["fusion"] = serde_json::json!({ "blocks": 2, "heads": 2 });
        config["name"] = format!("small-{target}").into();
        let preset = world.write(&format!("{target}.json"), &config.to_string());
        let (start, checkpoint) = (world.place(&format!("{target}.safetensors")), golden("huggingface"));
        let checkpoint = checkpoint.to_string_lossy();
        let output = run(&["import", &checkpoint, "--preset", &preset, "--weights", &world.weights, "--out", &start]);
        let told = String::from_utf8_lossy(&output.stderr);
        let described = told.lines().find_map(|line| line.split_once("give other commands --preset "));
        let preset = described.map_or(preset, |(_, path)| path.trim().to_owned());
        let model = self::checkpoint::load(Path::new(&start)).unwrap().model;
        assert_eq!(model.contains_key("image_projection.weight"), target == "pooled");
        assert_eq!(model.contains_key("text.projection.weight"), target == "pooled");
        // Each block passes the tokens on at first.
        assert!(model["fusion.0.attention.output.weight"].1.iter().all(|value| *value == 0.0));
        assert!(model["fusion.0.attention.query.weight"].1.iter().any(|value| *value != 0.0));
        let out = format!("run-{target}");
        let more = ["--preset", &preset, "--start", &start, "--features", "on-the-fly", "--steps", "2"];
        // A text of its nine bytes holds no phrase.
        let more = [&more[..], &["--temperature", "0.07", "--consistency-weight", "0"]].concat();
        world.train(&out, &more);
        let trained = self::checkpoint::load(Path::new(&world.last(&out))).unwrap().model;
        assert!((trained["logit_scale"].1[0] - 2.659_26).abs() < 1e-4);
        let said = world.refused("x", &["--preset", &preset, "--features", "on-the-fly"]);
        assert!(
            said.contains("--start") && said.contains(&format!("thisbut import --preset small-{target}")),
            "{said}"
        );
    }
}

#[test]
fn what_concept_consistency_cannot_use_is_said() {
    let world = World::new();
    let steps = ["--steps", "2"];
    let refused = |more: &[&str]| world.refused("x", &[&steps[..], more].concat());
    let file = |name: &str, text: &str| world.write(name, text);
    // A phrase that is longer than what the text tower reads stands in no text's tokens.
    let long = format!("but in red {}", "now a circle ".repeat(12));
    let caption = std::fs::read_to_string(format!("{}/captions/cap.rc2.train.json", world.data)).unwrap();
    let captions = format!("{}/captions/cap.rc2.train.json", world.data);
    std::fs::write(&captions, caption.replace("but in red", &long)).unwrap();
    let whole = file("long.jsonl", &serde_json::json!({ "text": long, "phrases": [long.trim()] }).to_string());
    let said = refused(&["--phrases", &whole]);
    assert!(
        said.contains("none stands whole among the 16 tokens") && said.contains("--consistency-weight 0"),
        "{said}"
    );
    std::fs::write(&captions, &caption).unwrap();

    let pieces = file("pieces.jsonl", r#"{"text": "now a circle", "phrases": ["a</w>", "cir", "cle##"]}"#);
    assert!(refused(&["--phrases", &pieces]).contains("2 of 3 phrases are not in their texts"));
    let others = file("others.jsonl", r#"{"text": "a text of another data set", "phrases": ["a text"]}"#);
    assert!(refused(&["--phrases", &others]).contains("names none of the training texts"));
    let broken = file("broken.jsonl", "[{\"text\": ");
    assert!(refused(&["--phrases", &broken]).contains("line 1"));
    assert!(refused(&["--phrases", &world.place("nowhere")]).contains("nowhere"));

    // Captions without any phrase.
    std::fs::write(&captions, caption.replace("now a ", "but in ")).unwrap();
    let silent = file("silent.jsonl", r#"{"text": "but in red", "phrases": []}"#);
    let said = refused(&["--phrases", &silent]);
    assert!(said.contains("none of 192 training texts has a noun phrase"), "{said}");
    world.train("without", &[&steps[..], &["--consistency-weight", "0"]].concat());
    std::fs::write(&captions, &caption).unwrap();

    let said = refused(&["--consistency-weight", "0", "--phrases", &silent]);
    assert!(said.contains("read no noun phrases"), "{said}");
    assert!(refused(&["--losses", "hybrid"]).contains("the method is concept"));
    assert!(refused(&["--slack", "2"]).contains("--slack"));
    assert!(refused(&["--pseudo-words", "2"]).contains("its method is concept"));
    let said = refused(&["--start", &world.place("nowhere")]);
    assert!(said.contains("nowhere"), "{said}");
}

#[test]
fn several_data_sets_are_one_run_and_an_empty_one_is_refused() {
    let world = World::new();
    let steps = ["--steps", "4"];
    let copied = |name: &str| {
        let folder = world.root.path().join(name);
        for part in ["images", "captions", "image_splits"] {
            std::fs::create_dir_all(folder.join(part)).unwrap();
            for file in std::fs::read_dir(format!("{}/{part}", world.data)).unwrap().flatten() {
                std::fs::copy(file.path(), folder.join(part).join(file.file_name())).unwrap();
            }
        }
        folder.to_string_lossy().into_owned()
    };
    let (shop, half) = (copied("shop"), format!("{}=0.5", copied("half")));
    let mix = [&steps[..], &["--beside", &shop, "--beside", &half]].concat();
    // Its images' cache is its own.
    let said = world.refused("mixed", &mix);
    assert!(said.contains("shop") && said.contains("tiny-context.features"), "{said}");
    for name in ["shop", "half"] {
        run(&["features", &world.place(name), "--preset", "tiny-context", "--weights", &world.weights]);
    }
    let said = world.train("mixed", &mix);
    assert!(said.contains("shop: 192 triplets of 192") && said.contains("half: 96 triplets of 192"), "{said}");
    assert!(said.contains("of 480 texts have none"), "{said}");
    // Encoded on the fly they are the same images, and the same run but for rounding.
    world.train("live", &[&mix[..], &["--features", "on-the-fly"]].concat());
    let [kept, live] = ["mixed", "live"].map(|run| checkpoint::load(Path::new(&world.last(run))).unwrap().model);
    for (name, (_, values)) in &kept {
        let apart = values.iter().zip(&live[name].1).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-2, "{name}: {apart}");
    }
    let dry = world.arguments("mixed", &[&mix[..], &["--dry-run"]].concat());
    run(&dry.iter().map(String::as_str).collect::<Vec<_>>());
    // Another mix is another run.
    let said = world.refused("mixed", &[&steps[..], &["--beside", &shop]].concat());
    assert!(said.contains("the training triplets are others"), "{said}");

    std::fs::write(format!("{shop}/captions/cap.rc2.train.json"), "[]").unwrap();
    let said = world.refused("x", &mix);
    assert!(said.contains("shop") && said.lines().count() < 6, "{said}");
    std::fs::create_dir(world.place("nothing")).unwrap();
    let said = world.refused("x", &[&steps[..], &["--beside", &world.place("nothing")]].concat());
    assert!(said.contains("nothing") && said.contains("layout"), "{said}");
    let said = world.refused("x", &[&steps[..], &["--beside", &format!("{}=0", world.data)]].concat());
    assert!(said.contains("--beside") && said.contains("above 0"), "{said}");
}

#[test]
fn phrases_are_shown_and_written_and_read() {
    let world = World::new();
    let shown = run(&["phrases", "--text", "a red dog with longer sleeves", "--text", "longer"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    let wanted =
        "a red dog with longer sleeves\n  a red dog with longer sleeves\n  a red dog\n  longer sleeves\nlonger\n";
    assert_eq!(text, wanted);
    assert!(String::from_utf8(shown.stderr).unwrap().contains("2 texts, 1 without a noun phrase"));
    let leaves = run(&["phrases", "--text", "a red dog with longer sleeves", "--leaf-phrases", "--most-phrases", "1"]);
    assert_eq!(String::from_utf8(leaves.stdout).unwrap(), "a red dog with longer sleeves\n  a red dog\n");
    let out = world.place("phrases.jsonl");
    run(&["phrases", &world.data, "--split", "train", "--out", &out]);
    let said = world.train("given", &["--steps", "2", "--phrases", &out]);
    assert!(said.contains("noun phrases: ") && !said.contains("does not name"), "{said}");
    // The same phrases, whoever found them, are the same run.
    world.train("given", &["--steps", "2"]);
    let output = thisbut().args(["phrases"]).output().unwrap();
    assert!(!output.status.success());
}
