//! FACap's data, from two shops' files to triplets and the page that readers rate them on; and enhFashionIQ's rule.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/asking.rs"]
mod asking;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

use asking::{World, fails, said, succeeds};
use chat::Reply;
use common::{run, thisbut};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A picture of its own for each name.
fn picture(path: &Path, number: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let shade = |at: u32| (number.wrapping_mul(at) % 251) as u8;
    let image = image::RgbImage::from_fn(24, 24, |x, y| image::Rgb([shade(37), shade(91 + x / 8), shade(13 + y / 8)]));
    image.save_with_format(path, image::ImageFormat::Png).unwrap();
}

/// Fashion200k with three dresses, two of them in two views, and a lone skirt; DeepFashion-MultiModal with three shirts.
fn shops(root: &Path) {
    let (mut dresses, mut number) = (String::new(), 0);
    for (item, views) in [("11", 2), ("12", 2), ("13", 1)] {
        for view in 0..views {
            let name = format!("women/dresses/gowns/{item}/{item}_{view}.jpeg");
            number += 1;
            picture(&root.join("f200k").join(&name), number);
            dresses += &format!("{name}\t0.9\tdress of item {item}\n");
        }
    }
    picture(&root.join("f200k/women/skirts/mini/9/9_0.jpeg"), 50);
    std::fs::create_dir_all(root.join("f200k/labels")).unwrap();
    std::fs::write(root.join("f200k/labels/dress_train_detect_all.txt"), dresses).unwrap();
    std::fs::write(root.join("f200k/labels/skirt_test_detect_all.txt"), "women/skirts/mini/9/9_0.jpeg\t1\ta skirt\n")
        .unwrap();
    let mut shapes = String::new();
    for item in 1..=3 {
        let name = format!("WOMEN-Shirts-id_0000000{item}-01_1_front.jpg");
        picture(&root.join("deep/images").join(&name), 70 + item);
        shapes += &format!("{name} 3 4 0 0 0 0 0 0 0 2 2 1\n");
    }
    std::fs::create_dir_all(root.join("deep/labels/shape")).unwrap();
    std::fs::write(root.join("deep/labels/shape/shape_anno_all.txt"), shapes).unwrap();
}

/// A world with the shops in `facap`.
struct Shops {
    world: World,
    data: PathBuf,
}

impl Shops {
    fn new() -> Self {
        let world = World::new();
        let data = world.place("facap");
        shops(&data);
        Self { world, data }
    }

    fn text(&self, name: &str) -> String {
        self.world.place(name).to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = thisbut();
        command.args(args);
        command
    }

    /// A command that asks the endpoint.
    fn asking(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        let url = &self.world.chat.url;
        command.args([
            "--endpoint",
            url,
            "--model-name",
            "m",
            "--pause",
            "0.01",
            "--timeout",
            "20",
            "--prompts",
            "facap",
        ]);
        command
    }

    fn describe(&self) -> String {
        let (data, out) = (self.data.to_str().unwrap(), self.text("c.jsonl"));
        succeeds(self.asking(&["describe", data, "--format", "fashion", "--out", &out]))
    }

    fn features(&self) -> String {
        let (data, out) = (self.data.to_str().unwrap(), self.text("f.features"));
        let weights = self.text("weights");
        run(&["features", data, "--format", "fashion", "--preset", "tiny", "--weights", &weights, "--out", &out]);
        out
    }
}

fn pairs(world: &World, name: &str) -> Vec<(String, String)> {
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    world.rows(name).iter().map(|row| (text(row, "reference"), text(row, "target"))).collect()
}

#[test]
fn two_shops_become_captions_pairs_triplets_and_figures() {
    let shops = Shops::new();
    let (world, data) = (&shops.world, shops.data.to_str().unwrap());
    let checked = String::from_utf8(run(&["check", data]).stdout).unwrap();
    assert!(checked.contains("train: 8 triplets, 8 images") && checked.contains("test: 1 triplets"), "{checked}");

    // What the shops' files say stands in the question, and in the caption's row.
    shops.describe();
    let requests = world.chat.requests();
    assert_eq!(requests.len(), 9);
    let dress = requests.iter().find(|r| r.text().contains("The shop says: dress of item 13")).unwrap().text();
    assert!(dress.contains("It is sold as: dress\n") && dress.contains("Known attributes: gowns"), "{dress}");
    let shirts = requests.iter().filter(|r| r.text().contains("It is sold as: women's shirts")).count();
    assert_eq!(shirts, 3);
    assert!(requests.iter().all(|r| r.body["max_tokens"] == 128));
    assert!(requests.iter().any(|r| r.text().contains("sleeves: long, neckline: round")));
    let rows = world.rows("c.jsonl");
    let of: BTreeMap<&str, &Value> = rows.iter().map(|row| (row["image"].as_str().unwrap(), row)).collect();
    let first = of["f200k/women/dresses/gowns/11/11_0.jpeg"];
    assert_eq!((&first["source"], &first["category"]), (&json!("fashion200k"), &json!("dress")));
    assert_eq!(first["product"], "f200k/women/dresses/gowns/11");

    // One neighbour an image, of one category and source, of another product; the lone skirt is named.
    let (cache, out) = (shops.features(), shops.text("pairs.jsonl"));
    let captions = shops.text("c.jsonl");
    let mined = run(&["pairs", "--neighbours", &captions, "--features", &cache, "--out", &out]);
    let told = said(&mined);
    assert!(told.contains("1 of 9 images have no pair") && told.contains("skirt (1)"), "{told}");
    let found = pairs(world, "pairs.jsonl");
    assert_eq!(found.len(), 8);
    for (a, b) in &found {
        let field = |name: &str, field: &str| of[name][field].clone();
        assert_eq!((field(a, "category"), field(a, "source")), (field(b, "category"), field(b, "source")), "{a} {b}");
        assert_ne!(field(a, "product"), field(b, "product"), "{a} {b}");
    }
    // The folder itself says as much as the captions.
    let direct = shops.text("direct.jsonl");
    run(&["pairs", "--neighbours", data, "--features", &cache, "--out", &direct]);
    assert_eq!(pairs(world, "direct.jsonl"), found);

    // The change from two captions, with two examples; rows that training reads as they are.
    let triplets = shops.data.join("train.jsonl");
    let before = world.chat.requests().len();
    let args = ["rewrite", "--pairs", &out, "--captions", &captions, "--out", triplets.to_str().unwrap()];
    succeeds(shops.asking(&args));
    let asked = &world.chat.requests()[before..];
    assert!(asked.iter().all(|r| r.text().matches("\nRequest:").count() == 3 && r.body["max_tokens"] == 80));
    let checked = String::from_utf8(run(&["check", data, "--split", "train"]).stdout).unwrap();
    assert!(checked.contains("train: 8 triplets, 8 images"), "{checked}");
    let table = String::from_utf8(run(&["generator", "quality", triplets.to_str().unwrap()]).stdout).unwrap();
    let row = |table: &str, name: &str| -> Vec<String> {
        let line = table.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).take(2).map(str::to_owned).collect()
    };
    assert_eq!(
        (row(&table, "generated"), row(&table, "captions")),
        (vec!["8".into(), "8".into()], vec!["8".into(), "8".into()])
    );
    let table = run(&["generator", "quality", triplets.to_str().unwrap(), "--captions", &captions]);
    assert_eq!(row(&String::from_utf8(table.stdout).unwrap(), "captions"), ["9", "9"]);
}

#[test]
fn what_fails_is_named_and_nothing_is_lost() {
    let shops = Shops::new();
    let (world, data) = (&shops.world, shops.data.to_str().unwrap());
    // An answer that is cut at 128 tokens loses its last sentence; one without an end, or too long, is asked for again.
    let long: &'static str = Box::leak(format!("A {}dress.", "very long and red ".repeat(40)).into_boxed_str());
    world.chat.always(Some(Reply::Text(long)));
    let refused = fails(shops.asking(&["describe", data, "--out", &shops.text("c.jsonl"), "--tries", "1"]));
    assert!(refused.contains("there is no row to write (9 of 9: "), "{refused}");
    assert_eq!(world.rows("c.rejects.jsonl").len(), 9);
    assert!(world.rows("c.rejects.jsonl").iter().all(|row| row["said"].as_str().unwrap().len() > 100));
    world.chat.always(None);
    // What was rejected is asked again when that is wished, and one picture that is none costs itself.
    std::fs::write(shops.data.join("f200k/women/dresses/gowns/12/12_1.jpeg"), "no picture").unwrap();
    let told = succeeds(shops.asking(&["describe", data, "--out", &shops.text("c.jsonl"), "--resend"]));
    assert!(told.contains("rejected, unreadable-image: 1"), "{told}");
    assert_eq!(world.rows("c.jsonl").len(), 8);

    // Pairs of an image without a caption have no text and say so; one that the cache lacks is left out of a folder's pairs.
    let cache = shops.features();
    let out = shops.text("pairs.jsonl");
    let told = said(&run(&["pairs", "--neighbours", data, "--features", &cache, "--out", &out]));
    assert!(told.contains("12_1.jpeg': the feature cache lacks it; left out"), "{told}");
    let captions = world.read("c.jsonl");
    let fewer: String =
        captions.lines().filter(|line| !line.contains("13_0.jpeg")).map(|line| format!("{line}\n")).collect();
    std::fs::write(world.place("c.jsonl"), fewer).unwrap();
    let made = shops.text("t.jsonl");
    let told =
        succeeds(shops.asking(&["rewrite", "--pairs", &out, "--captions", &shops.text("c.jsonl"), "--out", &made]));
    assert!(told.contains("rejected, no-caption"), "{told}");
    let whole = world.rows("t.jsonl").len() + world.rows("t.rejects.jsonl").len();
    assert_eq!(whole, pairs(world, "pairs.jsonl").len());

    // Folders that are no source, labels without images, broken JSON.
    let shapes = world.data.to_str().unwrap();
    let refused = fails(shops.command(&["pairs", "--neighbours", shapes, "--features", &cache, "--out", &out]));
    assert!(refused.contains("layout 'cirr', which names no categories"), "{refused}");
    std::fs::write(shops.data.join("deep/captions.json"), "{\"a\": \"b\",").unwrap();
    let refused = fails(shops.command(&["check", data]));
    assert!(refused.contains("captions.json, line 1") && refused.contains("broken JSON"), "{refused}");
    std::fs::remove_dir_all(shops.data.join("f200k/women")).unwrap();
    std::fs::remove_dir_all(shops.data.join("deep")).unwrap();
    let refused = fails(shops.command(&["check", data]));
    assert!(refused.contains("no usable image") && refused.contains("there is no file"), "{refused}");
}

#[test]
fn others_triplets_and_captions_become_a_data_set() {
    let world = World::new();
    let (file, captions) = (world.place("theirs.json"), world.place("captions.json"));
    let row = |a: &str, b: &str| json!({"query": {"img": format!("{a}.png")}, "answer": format!("{b}.png"), "words": "other"});
    let rows = json!([row("red-square", "blue-square"), row("red-circle", "nothing"), row("red-cross", "red-cross")]);
    std::fs::write(&file, rows.to_string()).unwrap();
    std::fs::write(
        &captions,
        json!({"red-square.png": "a red square", "blue-square.png": "a blue square"}).to_string(),
    )
    .unwrap();
    let out = world.place("own");
    std::fs::create_dir(&out).unwrap();
    std::fs::rename(world.data.join("images"), out.join("images")).unwrap();
    let [file, captions, out] = [&file, &captions, &out].map(|path| path.to_str().unwrap());
    let base = ["prepare", "triplets", file, "--captions", captions, "--out", out];
    let refused = |more: &[&str]| {
        let mut command = thisbut();
        command.args(base).args(more);
        fails(command)
    };
    assert!(refused(&[]).contains("(fields: answer, query, words); say which it is: --field reference=NAME"));
    let fields = ["--field", "reference=query.img", "--field", "target=answer", "--field", "text=words"];
    let told = said(&run(&[&base[..], &fields].concat()));
    assert!(told.contains("2 triplets, 2 captions") && told.contains("the target is the reference itself"), "{told}");
    assert!(told.contains("image 'nothing.png'") && told.contains("1 triplets have both their images"), "{told}");
    assert!(told.contains("reference from query.img"), "{told}");
    assert!(world.read("own/captions.jsonl").contains("\"a blue square\""));
    let checked = String::from_utf8(run(&["check", out]).stdout).unwrap();
    assert!(checked.contains("train: 1 triplets, 3 images"), "{checked}");
}

/// FashionIQ's layout with five images of each of two categories, one of them in both.
fn fashioniq(root: &Path) {
    for folder in ["captions", "image_splits", "images"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let names = |letter: &str| (0..5).map(|at| format!("{letter}{at}")).collect::<Vec<_>>();
    for (at, name) in names("D").iter().chain(&names("S")).enumerate() {
        picture(&root.join(format!("images/{name}.png")), at as u32 + 5);
    }
    for (category, mut images) in [("dress", names("D")), ("shirt", names("S"))] {
        if category == "shirt" {
            images.push("D0".into());
        }
        for split in ["train", "val"] {
            let rows = json!([{"candidate": images[0], "target": images[1], "captions": ["is red", "has dots"]}]);
            std::fs::write(root.join(format!("captions/cap.{category}.{split}.json")), rows.to_string()).unwrap();
            std::fs::write(root.join(format!("image_splits/split.{category}.{split}.json")), json!(images).to_string())
                .unwrap();
        }
    }
}

#[test]
fn every_validation_image_of_fashioniq_gets_a_triplet_that_is_evaluated_by_category() {
    let world = World::new();
    let data = world.place("fashioniq");
    fashioniq(&data);
    let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
    let (data, weights, cache) = (data.to_str().unwrap(), place("weights"), place("f.features"));
    run(&["features", data, "--preset", "tiny", "--weights", &weights, "--out", &cache]);
    let out = place("pairs.jsonl");
    run(&["pairs", "--neighbours", data, "--split", "val", "--features", &cache, "--out", &out]);
    let found = pairs(&world, "pairs.jsonl");
    // Eleven places in the two splits' files: five dresses, and six shirts, one of which is a dress too.
    assert_eq!(found.len(), 11);
    let category = |name: &str| if name.starts_with('D') { "dress" } else { "shirt" };
    assert!(found.iter().all(|(a, b)| category(a) == category(b) || a == "D0" || b == "D0"), "{found:?}");

    let mut command = thisbut();
    let captions = place("c.jsonl");
    command.args([
        "describe",
        data,
        "--split",
        "val",
        "--out",
        &captions,
        "--endpoint",
        &world.chat.url,
        "--model-name",
        "m",
    ]);
    command.args(["--prompts", "facap"]);
    succeeds(command);
    assert_eq!(world.rows("c.jsonl").len(), 10);
    assert!(world.chat.requests().iter().any(|r| r.text().contains("It is sold as: shirt")));
    let made = place("enh.jsonl");
    run(&["rewrite", "--pairs", &out, "--captions", &captions, "--out", &made, "--differences"]);
    let run_folder = place("run");
    let base =
        ["finetune", data, "--preset", "tiny", "--weights", &weights, "--features", &cache, "--out", &run_folder];
    run(&[&base[..], &["--steps", "1", "--batch", "2", "--warmup", "0", "--p2p", "0"]].concat());
    let checkpoint = format!("{run_folder}/final.safetensors");
    let base =
        ["evaluate", data, "--split", "val", "--checkpoint", &checkpoint, "--weights", &weights, "--features", &cache];
    let figures = place("figures.json");
    let told = run(&[&base[..], &["--triplets", &made, "--figures", &figures]].concat());
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains("triplets of ") && text.contains("dress") && text.contains("shirt"), "{text}");
    assert_eq!(world.report("figures.json")["about"]["data"]["queries"], 11);
    std::fs::write(&made, "{\"reference\": \"D1\", \"target\": \"S1\", \"modifier_generated\": \"x\"}\n").unwrap();
    let mut command = thisbut();
    command.args(base).args(["--triplets", &made]);
    assert!(fails(command).contains("no category's gallery has both its images"));
}

#[test]
fn readers_rate_texts_on_three_scales() {
    let world = World::new();
    let data = world.data.to_str().unwrap().to_owned();
    let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
    world.pairs(24);
    let (captions, pairs, made) = (place("captions.jsonl"), place("pairs.jsonl"), place("t.jsonl"));
    run(&["rewrite", "--pairs", &pairs, "--captions", &captions, "--out", &made, "--differences"]);
    let page = place("rate.html");
    run(&["generator", "check", &made, "--dataset", &data, "--scales", "--count", "6", "--out", &page]);
    let html = world.read("rate.html");
    assert_eq!(html.matches("data-scale=\"saliency\"").count(), 6);
    let key = world.report("rate.key.json");
    assert_eq!((&key["kind"], &key["sources"]), (&json!("rate"), &json!(["t"])));
    let answers = |numbers: &dyn Fn(u64) -> u64| -> Value {
        let answer = |item: u64| {
            let scores = json!({"faithfulness": numbers(item), "details": 3, "saliency": 5});
            json!({"item": item, "scores": scores, "note": ""})
        };
        (1..=6).map(answer).collect()
    };
    for (reader, numbers) in
        [("anna", &(|item: u64| 1 + item % 5) as &dyn Fn(u64) -> u64), ("bo", &|item: u64| 5u64.min(2 + item % 5))]
    {
        let saved =
            json!({"version": 1, "page": key["page"], "kind": "rate", "reader": reader, "answers": answers(numbers)});
        std::fs::write(place(&format!("{reader}.json")), saved.to_string()).unwrap();
    }
    let figures = place("score.json");
    let (anna, bo, key) = (place("anna.json"), place("bo.json"), place("rate.key.json"));
    let told = run(&["generator", "score", &anna, &bo, "--key", &key, "--figures", &figures]);
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains("Krippendorff's α, ordinal") && text.contains("3.00 ± 0.00 (12)"), "{text}");
    let found = &world.report("score.json")["rated"];
    assert_eq!((&found["verdicts"][0]["verdicts"], &found["agreement"][0]["things"]), (&json!(12), &json!(6)));
    assert!(found["agreement"][0]["alpha"].as_f64().unwrap() > 0.5 && found["agreement"][1]["alpha"].is_null());
    // The data set's own texts, as the paper rates FashionIQ's.
    run(&["generator", "check", "--dataset", &data, "--scales", "--count", "3", "--out", &place("own.html")]);
    assert_eq!(world.report("own.key.json")["sources"], json!(["a person (val)"]));
}
