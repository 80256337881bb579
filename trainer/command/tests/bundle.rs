//! `index` and `query` from outside, on a bundle of the tiny model with random weights.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/tiny.rs"]
mod tiny;

use image::{Rgba, RgbaImage};
use std::path::PathBuf;
use std::process::{Command, Output};
use thisbut_trainer::bundle_io::Bundle;
use tiny::tiny_bundle;

fn thisbut(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thisbut")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn succeeds(args: &[&str]) -> String {
    let out = thisbut(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

/// Runs, expects failure with status 1 and one line of error without a panic; returns the line.
fn refused(args: &[&str]) -> String {
    let out = thisbut(args);
    let error = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{args:?}: {error}");
    assert!(!error.contains("panicked"), "{error}");
    let line = error.trim_end().lines().last().unwrap_or_default().to_owned();
    assert!(line.starts_with("thisbut: "), "{error}");
    line
}

/// A model, photos and an indexed gallery, made once for each test.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        tiny_bundle(&shop.at("model"));
        std::fs::create_dir(shop.at("photos")).unwrap();
        for i in 0..20u8 {
            let picture = RgbaImage::from_fn(40, 30, |x, y| Rgba([i * 12, x as u8 * 6, y as u8 * i, 255]));
            picture.save(shop.at(&format!("photos/photo-{i:02}.png"))).unwrap();
        }
        std::fs::write(shop.at("photos/broken.jpg"), [0xff, 0xd8, 0xff, 0xe0, 0, 0]).unwrap();
        shop
    }
    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    fn path(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }
    fn index(&self) -> String {
        succeeds(&["index", &self.path("photos"), "--model", &self.path("model"), "--out", &self.path("shop")])
    }
}

#[test]
fn index_then_query() {
    let shop = Shop::new();
    let said = shop.index();
    assert!(said.contains("20 images indexed, 1 complaints"), "{said}");
    let bundle = Bundle::read(&shop.at("shop")).unwrap();
    assert_eq!((bundle.metadata.len(), bundle.manifest.gallery.title.as_str()), (20, "photos"));

    let (root, photo) = (shop.path("shop"), shop.path("photos/photo-03.png"));
    let ask = |more: &[&str]| {
        let args = [&["query", "--bundle", &root, "--json"], more].concat();
        serde_json::from_str::<Vec<serde_json::Value>>(&succeeds(&args)).unwrap()
    };
    assert_eq!(ask(&["--image", &photo, "-k", "3"]).len(), 3, "without a text");
    let composed = ask(&["--image", &photo, "--text", "but with a red hat"]);
    assert_eq!(composed.len(), 10);
    let scores: Vec<f64> = composed.iter().map(|a| a["score"].as_f64().unwrap()).collect();
    assert!(scores.windows(2).all(|w| w[0] >= w[1]) && scores.iter().all(|s| s.abs() <= 1.01), "{scores:?}");
    assert_eq!(composed, ask(&["--image", &photo, "--text", "But WITH a red hat!"]), "the same text once cleaned");
    let like = ask(&["--like", "photo-03.png", "--text", "but red", "-k", "50"]);
    assert_eq!(like.len(), 19);
    assert!(like.iter().all(|a| a["id"] != "photo-03.png"), "the reference is not among the answers");
    // Its thumbnail is the photo itself: asked by file, the gallery's own copy is no answer either.
    let by_file = ask(&["--image", &photo, "--text", "but red", "-k", "50"]);
    assert!(by_file.iter().all(|a| a["id"] != "photo-03.png"));
    let ranking = |answers: &[serde_json::Value]| {
        answers.iter().map(|a| (a["id"].to_string(), a["score"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!(ranking(&like), ranking(&by_file));
    assert_eq!(ask(&["--text", "red"]).len(), 10);
    let table = succeeds(&["query", "--bundle", &root, "--image", &photo, "-k", "2"]);
    let line = table.lines().next().unwrap_or_default();
    assert!(line.starts_with("   1  ") && line.contains("  Photo ") && line.ends_with(".png]"), "{table}");
}

#[test]
fn odd_texts_are_answered_or_refused() {
    let shop = Shop::new();
    shop.index();
    let (root, photo) = (shop.path("shop"), shop.path("photos/photo-03.png"));
    let query = |text: &str| thisbut(&["query", "--bundle", &root, "--image", &photo, "--text", text]);
    let long = "red hat ".repeat(1250);
    for odd in ["🧑‍🚒 🔥", "لكن بقبعة حمراء", "a\u{202e}b\u{0}c".trim_end_matches('\0'), "red\n\that", long.as_str()]
    {
        let odd = odd.replace('\0', "");
        let out = query(&odd);
        assert!(out.status.success(), "{:?}: {}", odd.chars().take(9).collect::<String>(), text(&out.stderr));
        assert_eq!(text(&out.stderr).contains("only its beginning counts"), odd.len() > 5000);
        assert_eq!(text(&out.stdout).lines().count(), 10);
    }
    for empty in ["", "   ", "...!!!"] {
        assert!(refused(&["query", "--bundle", &root, "--image", &photo, "--text", empty]).contains("has no words"));
    }
    assert!(refused(&["query", "--bundle", &root]).contains("give --image, --text, or both"));
}

#[test]
fn a_question_has_several_parts() {
    let shop = Shop::new();
    let titles: String = (0..20).map(|i| format!("photo-{i:02}.png,{} hat {i}\n", ["Red", "Blue"][i % 2])).collect();
    std::fs::write(shop.at("titles.csv"), format!("file,title\n{titles}")).unwrap();
    let (root, csv, table) = (shop.path("shop"), shop.path("titles.csv"), shop.path("answers.csv"));
    let model = shop.path("model");
    succeeds(&["index", &shop.path("photos"), "--model", &model, "--csv", &csv, "--out", &root, "--changes", "0"]);
    let ask = |more: &[&str]| {
        let args = [&["query", "--bundle", &root, "--like", "photo-03.png", "--json"], more].concat();
        serde_json::from_str::<Vec<serde_json::Value>>(&succeeds(&args)).unwrap()
    };
    let ids = |answers: &[serde_json::Value]| answers.iter().map(|a| a["id"].to_string()).collect::<Vec<_>>();
    let plain = ask(&["--text", "with a hat"]);
    assert_eq!(ids(&ask(&["--text", "with a hat", "--balance", "0.5"])), ids(&plain));
    // The picture alone: what is most like it.
    assert_eq!(ids(&ask(&["--text", "with a hat", "--balance", "0"])), ids(&ask(&[])));

    // Only these are ranked, and in the order in which they are ranked among all.
    let red = ask(&["--text", "with a hat", "--only", "red", "-k", "20"]);
    assert!(red.len() >= 9 && red.iter().all(|answer| answer["title"].as_str().unwrap().starts_with("Red")), "{red:?}");
    let all: Vec<String> = ids(&ask(&["--text", "with a hat", "-k", "20"]));
    let kept: Vec<String> = all.into_iter().filter(|id| ids(&red).contains(id)).collect();
    assert_eq!(ids(&red), kept);

    // What is not wanted lowers scores and never raises one.
    let score = |answers: &[serde_json::Value], id: &serde_json::Value| {
        answers.iter().find(|answer| answer["id"] == *id).unwrap()["score"].as_f64().unwrap()
    };
    let (wanted, without) = (ask(&["-k", "20"]), ask(&["-k", "20", "--not", "red"]));
    assert!(without.iter().all(|answer| answer["score"].as_f64().unwrap() <= score(&wanted, &answer["id"]) + 1e-6));
    assert_ne!(without, wanted);

    // Two references: neither answers, and the scores are the mean of both.
    let both = ask(&["--image", &shop.path("photos/photo-05.png"), "--text", "red", "-k", "20"]);
    let one = ask(&["--text", "red", "-k", "20"]);
    let args = [
        "query",
        "--bundle",
        &root,
        "--image",
        &shop.path("photos/photo-05.png"),
        "--text",
        "red",
        "--json",
        "-k",
        "20",
    ];
    let other: Vec<serde_json::Value> = serde_json::from_str(&succeeds(&args)).unwrap();
    assert!(!ids(&both).iter().any(|id| id.contains("photo-03") || id.contains("photo-05")), "{both:?}");
    for answer in &both {
        let mean = (score(&one, &answer["id"]) + score(&other, &answer["id"])) / 2.0;
        assert!((answer["score"].as_f64().unwrap() - mean).abs() < 1e-4, "{answer}");
    }

    succeeds(&["query", "--bundle", &root, "--text", "red", "--csv", &table, "-k", "3"]);
    let written = std::fs::read_to_string(&table).unwrap();
    assert_eq!(written.lines().next(), Some("rank,score,id,title,thumb"));
    assert_eq!(written.lines().count(), 4);
    assert!(refused(&["query", "--bundle", &root, "--text", "red", "--only", "green"]).contains("red (10)"));
    assert!(refused(&["query", "--bundle", &root, "--text", "red", "--not", "..."]).contains("has no words"));
    assert_eq!(thisbut(&["query", "--text", "red", "--balance", "2"]).status.code(), Some(2));
}

#[test]
fn bad_images_and_bundles_get_one_sentence() {
    let shop = Shop::new();
    shop.index();
    let root = shop.path("shop");
    std::fs::write(shop.at("empty.png"), b"").unwrap();
    std::fs::write(shop.at("text.png"), b"no image").unwrap();
    RgbaImage::from_pixel(1, 1, Rgba([9, 9, 9, 255])).save(shop.at("one.png")).unwrap();
    let asked = |name: &str| refused(&["query", "--bundle", &root, "--text", "red", "--image", &shop.path(name)]);
    assert!(asked("empty.png").contains("empty.png: the file has zero bytes"));
    assert!(asked("text.png").contains("text.png: this is not an image"));
    assert!(asked("photos/broken.jpg").contains("broken.jpg: "));
    assert!(asked("photos").contains("is not a file"));
    assert!(asked("nowhere.png").contains("cannot read"));
    succeeds(&["query", "--bundle", &root, "--text", "red", "--image", &shop.path("one.png")]);
    assert!(refused(&["query", "--bundle", &root, "--like", "nobody"]).contains("'nobody': is not in the gallery"));

    let query = || refused(&["query", "--bundle", &root, "--text", "red"]);
    let files: Vec<_> = Bundle::read(&shop.at("shop")).unwrap().manifest.files().cloned().collect();
    for file in files {
        let path = shop.at("shop").join(&file.path);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let line = query();
        assert!(line.contains(&file.path) && line.contains("cut short"), "{line}");
        std::fs::write(&path, whole).unwrap();
    }
    let manifest = shop.at("shop/bundle.json");
    let json = std::fs::read_to_string(&manifest).unwrap();
    // A device (or a build) that computes something else is not allowed to answer.
    let start = json.find("\"expected\"").unwrap();
    let score = json[start..].find("0.").map(|at| start + at).unwrap();
    std::fs::write(&manifest, format!("{}7{}", &json[..score], &json[score + 1..])).unwrap();
    assert!(query().contains("its self-test fails: ") && query().contains("export or index it again"), "{}", query());
    std::fs::write(&manifest, json.replace("thisbut-bundle", "other")).unwrap();
    assert!(query().contains("bundle.json"));
    assert!(refused(&["query", "--bundle", &shop.path("photos"), "--text", "red"]).contains("is not a bundle"));
    let out = shop.path("new");
    assert!(refused(&["index", &shop.path("photos"), "--bundle", &out, "--out", &out]).contains("is no bundle"));
    assert!(!shop.at("new").exists());
    let model = shop.path("model");
    assert!(refused(&["index", &shop.path("none"), "--bundle", &model, "--out", &out]).contains("is not a folder"));
    std::fs::create_dir(shop.at("void")).unwrap();
    assert!(refused(&["index", &shop.path("void"), "--bundle", &model, "--out", &out]).contains("no usable image"));
    assert!(!shop.at("new").exists(), "nothing half-written");
    if !cfg!(feature = "cuda") {
        let line = refused(&["query", "--bundle", &root, "--text", "red", "--device", "cuda"]);
        assert!(line.contains("--device cuda"), "{line}");
    }
}

#[test]
fn pictures_offer_changes_and_all_else_stays() {
    let shop = Shop::new();
    let colours = ["Red", "Blue", "Green", "White"];
    let titles: String = (0..20)
        .map(|i| format!("photo-{i:02}.png,{} hat {}\n", colours[i % 4], ["a", "b", "c", "d", "e"][i / 4]))
        .collect();
    std::fs::write(shop.at("titles.csv"), format!("file,title\n{titles}")).unwrap();
    let (photos, model, root, csv) =
        (shop.path("photos"), shop.path("model"), shop.path("shop"), shop.path("titles.csv"));
    succeeds(&[
        "index",
        &photos,
        "--model",
        &model,
        "--csv",
        &csv,
        "--out",
        &root,
        "--changes",
        "0",
        "--examples",
        "0",
    ]);
    let before = Bundle::read(&shop.at("shop")).unwrap();
    let opening = before.manifest.opening.clone().unwrap();
    assert_eq!((opening.pictures.len(), opening.examples.len()), (20, 0));
    assert!(before.metadata.iter().all(|image| image.changes.is_empty()));

    let out = thisbut(&["suggest", &root, "--understands", "hats of any colour"]);
    assert!(
        out.status.success() && text(&out.stderr).contains("20 of 20 pictures offer a change"),
        "{}",
        text(&out.stderr)
    );
    let after = Bundle::read(&shop.at("shop")).unwrap();
    let offered = |bundle: &Bundle| bundle.metadata.iter().map(|image| image.changes.clone()).collect::<Vec<_>>();
    assert!(offered(&after).iter().all(|changes| (1..=6).contains(&changes.len())), "{:?}", offered(&after));
    assert_eq!(after.manifest.understands, "hats of any colour");
    assert_eq!(
        (&after.manifest.weights, &after.manifest.gallery.chunks),
        (&before.manifest.weights, &before.manifest.gallery.chunks)
    );
    for image in &after.metadata {
        assert!(shop.at("shop/thumbs").join(&image.thumb).is_file(), "{}", image.thumb);
    }
    let files = |folder: &str| std::fs::read_dir(shop.at(folder)).unwrap().count();
    assert_eq!(files("shop/gallery"), before.manifest.gallery.chunks.len() + before.manifest.gallery.metadata.len());
    succeeds(&["query", "--bundle", &root, "--text", "red"]);

    // What was asked once is asked anew, and can be taken back.
    succeeds(&["suggest", &root, "--changes", "0"]);
    let bare = Bundle::read(&shop.at("shop")).unwrap();
    assert_eq!((offered(&bare).concat().len(), bare.manifest.understands.as_str()), (0, "hats of any colour"));
    assert!(thisbut(&["suggest", &root, "--changes", "99"]).status.code() == Some(2));
    assert!(refused(&["suggest", &photos]).contains("is not a bundle"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_nothing_behind() {
    let shop = Shop::new();
    let picture = std::fs::read(shop.at("photos/photo-00.png")).unwrap();
    for i in 0..4000 {
        std::fs::write(shop.at(&format!("photos/copy-{i}.png")), &picture).unwrap();
    }
    let unfinished = || {
        let names = std::fs::read_dir(shop.folder.path()).unwrap().map(|e| e.unwrap().file_name());
        names.filter(|n| n.to_string_lossy().starts_with(thisbut_trainer::partial::PREFIX)).count()
    };
    for signal in ["-INT", "-TERM"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thisbut"))
            .args(["index", &shop.path("photos"), "--bundle", &shop.path("model"), "--out", &shop.path("shop")])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while unfinished() == 0 {
            assert!(child.try_wait().unwrap().is_none(), "ended before it wrote anything");
            std::thread::yield_now();
        }
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(130), "{signal}");
        assert_eq!(unfinished(), 0, "{signal}");
        assert!(!shop.at("shop").exists(), "{signal}");
    }
}

#[cfg(unix)]
#[test]
fn names_and_titles_forge_no_lines() {
    let shop = Shop::new();
    let picture = RgbaImage::from_pixel(8, 8, Rgba([200, 10, 10, 255]));
    let name = "evil\u{1b}[2K\r\n   1   0.999  Forged  [forged].png";
    picture.save(shop.at("photos").join(name)).unwrap();
    std::fs::write(shop.at("photos").join("bad\u{1b}]0;x\u{7}\nthisbut: forged.jpg"), "no image").unwrap();
    let args = ["index", &shop.path("photos"), "--model", &shop.path("model"), "--out", &shop.path("shop")];
    let out = thisbut(&args);
    assert!(out.status.success());
    let said = text(&out.stderr);
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
    assert!(
        said.contains("bad\\u001b]0;x\\u0007\\u000athisbut: forged.jpg") && !said.contains("\nthisbut: forged"),
        "{said:?}"
    );
    let root = shop.path("shop");
    let table = succeeds(&["query", "--bundle", &root, "--text", "red", "-k", "50"]);
    assert_eq!(table.lines().count(), 21, "{table:?}");
    assert!(
        table.contains("[evil\\u001b[2K\\u000d\\u000a   1   0.999")
            && !table.chars().any(|c| c.is_control() && c != '\n')
    );
    // As JSON the id is what it is, and can be given back.
    let json = succeeds(&["query", "--bundle", &root, "--text", "red", "-k", "50", "--json"]);
    let answers: Vec<serde_json::Value> = serde_json::from_str(&json).unwrap();
    assert!(answers.iter().any(|answer| answer["id"] == name));
    succeeds(&["query", "--bundle", &root, "--like", name, "--text", "red"]);
    let out = thisbut(&["query", "--bundle", &root, "--like", "x\u{1b}[31m\nthisbut: all is well", "--text", "red"]);
    let said = text(&out.stderr);
    assert!(
        said.starts_with("thisbut: image 'x\\u001b[31m\n  thisbut: all is well'") && !out.status.success(),
        "{said:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_killed_run_is_swept_and_two_at_once_are_not_mixed() {
    let shop = Shop::new();
    let picture = std::fs::read(shop.at("photos/photo-00.png")).unwrap();
    for i in 0..2000 {
        std::fs::write(shop.at(&format!("photos/copy-{i}.png")), &picture).unwrap();
    }
    let (photos, model, root) = (shop.path("photos"), shop.path("model"), shop.path("shop"));
    let args = ["index", &photos, "--model", &model, "--out", &root];
    let staged = shop.at(".partial-shop.files");
    let begun = || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_thisbut"));
        let mut child =
            child.args(args).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        while !staged.join("thumbs").exists() {
            assert!(child.try_wait().unwrap().is_none(), "ended before it wrote anything");
            std::thread::yield_now();
        }
        child
    };
    let mut first = begun();
    assert!(refused(&args).contains("shop: another run is writing here"), "while the first one runs");
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(staged.exists() && !shop.at("shop").exists());
    let out = thisbut(&args);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        text(&out.stderr).contains(".partial-shop.files, which a run that was killed had left"),
        "{}",
        text(&out.stderr)
    );
    assert!(!staged.exists() && !shop.at(".partial-shop.lock").exists());
    assert_eq!(Bundle::read(&shop.at("shop")).unwrap().metadata.len(), 2020);
}
