//! A site owner's year from outside: a table with prices, photos that come, go and change their names, copies, and a look at the
//! result as a host would show it. The model is tiny and random.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/tiny.rs"]
mod tiny;

use image::{Rgba, RgbaImage};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use thisbut_trainer::bundle_io::Bundle;
use tiny::tiny_bundle;

fn thisbut(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_thisbut")).args(args).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A folder of photos, a model, and what becomes of them.
struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap() };
        tiny_bundle(&shop.at("model"));
        (0..12).for_each(|i| shop.photo(&format!("{i:02}.png"), i));
        shop
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).to_str().unwrap().to_owned()
    }

    fn photo(&self, name: &str, seed: u8) {
        let path = self.at("photos").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let pixel =
            |x: u32, y: u32| Rgba([seed.wrapping_mul(57), (x * 6) as u8 ^ seed, (y as u8).wrapping_mul(seed), 255]);
        RgbaImage::from_fn(40, 30, pixel).save(path).unwrap();
    }

    /// Indexes; gives standard output and standard error.
    fn index(&self, more: &[&str]) -> (String, String) {
        let (photos, model, out) = (self.path("photos"), self.path("model"), self.path("shop"));
        let all = [&["index", &photos, "--model", &model, "--out", &out, "--duplicates", "keep"], more].concat();
        let ended = thisbut(&all);
        assert!(ended.status.success(), "{more:?}: {}", text(&ended.stderr));
        (text(&ended.stdout), text(&ended.stderr))
    }

    fn ids(&self) -> BTreeSet<String> {
        Bundle::read(&self.at("shop")).unwrap().metadata.into_iter().map(|image| image.id).collect()
    }

    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let all = walk(self.at("shop"));
        all.into_iter().map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
    }

    fn query(&self, more: &[&str]) -> Output {
        let ended = thisbut(&[&["query", "--bundle", &self.path("shop")], more].concat());
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        ended
    }
}

/// The files in a folder and in folders inside it.
fn walk(folder: PathBuf) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(path) } else { vec![path] }).collect()
}

#[test]
fn a_query_gives_its_vectors_and_takes_the_tables_id() {
    let shop = Shop::new();
    std::fs::write(shop.at("table.csv"), "file;id\n00.png;0815\n").unwrap();
    shop.index(&["--csv", &shop.path("table.csv")]);
    let ask = |more: &[&str]| -> Value {
        serde_json::from_slice(&shop.query(&[&["-k", "3", "--json"], more].concat()).stdout).unwrap()
    };
    let plain = ask(&["--like", "0815", "--text", "red"]);
    assert_eq!(plain, ask(&["--like", "00.png", "--text", "red"]));
    let all = ask(&["--like", "0815", "--text", "red", "--vector"]);
    assert_eq!(all["answers"], plain);
    let query = &all["query"];
    let values: Vec<f64> = query["values"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
    let dimension = query["dimension"].as_u64().unwrap() as usize;
    assert_eq!((query["count"].as_u64(), values.len()), (Some(1), dimension));
    let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
    assert!((length - 1.0).abs() < 1e-4, "{length}");
    assert_eq!(query["space"].as_str().unwrap().len(), 16);
    let alone = ask(&["--like", "0815", "--vector"]);
    let count = alone["query"]["count"].as_u64().unwrap() as usize;
    assert!(count >= 1 && alone["query"]["values"].as_array().unwrap().len() == count * dimension);
    assert_eq!(alone["query"]["space"], query["space"]);
}

#[test]
fn what_a_table_says_comes_with_every_answer() {
    let shop = Shop::new();
    let table =
        "file;title;Price;id;link\n00.png;Red hat;49 €;0815;https://shop.example/0815?a=1&b=2\n01.png;;;0816;\n";
    std::fs::write(shop.at("table.csv"), table).unwrap();
    let (_, said) = shop.index(&["--csv", &shop.path("table.csv")]);
    assert!(said.contains("published with each image, from the table: Price, id, link"), "{said}");
    let answer = shop.query(&["--like", "03.png", "-k", "12", "--json"]).stdout;
    let answers: Vec<Value> = serde_json::from_slice(&answer).unwrap();
    let of = |id: &str| answers.iter().find(|answer| answer["id"] == id).unwrap();
    let extra = r#"{"Price": "49 €", "id": "0815", "link": "https://shop.example/0815?a=1&b=2"}"#;
    assert_eq!(of("00.png")["extra"], serde_json::from_str::<Value>(extra).unwrap());
    assert_eq!(of("01.png")["extra"], serde_json::json!({"id": "0816"}));
    assert!(of("02.png").get("extra").is_none(), "{}", of("02.png"));
    let places = ["\"Price\"", "\"id\": \"0815\"", "\"link\""].map(|name| text(&answer).find(name).unwrap());
    assert!(places.is_sorted(), "the table's order");

    shop.query(&["--like", "03.png", "-k", "12", "--csv", &shop.path("answers.csv")]);
    let rows = std::fs::read_to_string(shop.at("answers.csv")).unwrap();
    assert!(rows.starts_with("rank,score,id,title,thumb,") && rows.lines().count() == 12, "{rows}");
    let row = rows.lines().find(|line| line.contains(",00.png,")).unwrap();
    assert!(row.contains("49 €") && row.contains("0815"), "{row}");
    // The first view has them too.
    let manifest = std::fs::read_to_string(shop.at("shop/bundle.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let shown = manifest["opening"]["pictures"].as_array().unwrap();
    let named = shown.iter().find(|picture| picture["id"] == "0815").unwrap();
    assert_eq!(named["url"], "https://shop.example/0815?a=1&b=2");
    assert!(shown.iter().any(|picture| picture["id"] == "02.png" && picture.get("url").is_none()), "{shown:?}");
    assert!(shown.iter().any(|picture| picture["extra"]["Price"] == "49 €"), "{shown:?}");
}

#[test]
fn indexing_again_says_what_to_upload() {
    let shop = Shop::new();
    let (list, said) = shop.index(&["--upload-list"]);
    assert!(list.lines().all(|line| line.starts_with("new\t")) && list.ends_with("new\tbundle.json\n"), "{list}");
    assert!(said.contains("12 images indexed"), "{said}");
    let record = shop.at(".shop.index.json");
    assert!(record.is_file() && !list.contains("index.json"));
    let before = shop.files();
    let (list, said) = shop.index(&["--upload-list"]);
    assert_eq!((list.as_str(), shop.files()), ("\n", before.clone()), "{said}");
    assert!(said.contains("0 photos encoded, 12 taken over") && said.contains("nothing has changed"), "{said}");

    shop.photo("new.png", 99);
    std::fs::remove_file(shop.at("photos/00.png")).unwrap();
    std::fs::rename(shop.at("photos/05.png"), shop.at("photos/blue hat.png")).unwrap();
    let to = shop.path("list.txt");
    let (done, said) = shop.index(&[&format!("--upload-list={to}")]);
    assert!(done.contains("12 images indexed") && said.contains("1 photos encoded, 11 taken over"), "{done}{said}");
    assert!(said.contains("05.png is now blue hat.png") && !said.contains("nothing has changed"), "{said}");
    let list = std::fs::read_to_string(shop.at("list.txt")).unwrap();
    let (root, after) = (format!("{}/", shop.path("shop")), shop.files());
    let lines = |word: &str| -> BTreeSet<String> {
        list.lines().filter_map(|line| line.strip_prefix(word)).map(|path| format!("{root}{path}")).collect()
    };
    let new: BTreeSet<String> = after.keys().filter(|path| !before.contains_key(*path)).cloned().collect();
    let gone: BTreeSet<String> = before.keys().filter(|path| !after.contains_key(*path)).cloned().collect();
    assert_eq!((lines("new\t"), lines("deleted\t")), (new, gone));
    assert_eq!(lines("changed\t"), BTreeSet::from([format!("{root}bundle.json")]));
    assert!(!list.contains("weights") && !list.contains("vocab"), "{list}");
    assert!(shop.ids().contains("blue hat.png") && !shop.ids().contains("05.png"));
    // The bundle answers, and passes its self-test.
    shop.query(&["--like", "blue hat.png", "--text", "but red"]);
}

#[test]
fn everything_is_indexed_anew_where_it_has_to_be() {
    let shop = Shop::new();
    shop.index(&[]);
    let (_, said) = shop.index(&["--fresh"]);
    assert!(!said.contains("taken over"), "{said}");
    let record = shop.at(".shop.index.json");
    let whole = std::fs::read_to_string(&record).unwrap();
    for (content, words) in [
        (Some("{\"format\": ".to_owned()), "is no record of an index"),
        (Some(whole.replace("\"version\":1", "\"version\":7")), "another format or version"),
        (Some(whole.replace("\"row\":0", "\"row\":4000000000")), "is another one than in .shop.index.json"),
        (Some(whole.replace("\"model\":\"", "\"model\":\"x")), "another model, other settings or another version"),
        (None, "there is no .shop.index.json beside the bundle"),
    ] {
        match content {
            Some(content) => std::fs::write(&record, content).unwrap(),
            None => std::fs::remove_file(&record).unwrap(),
        }
        let (done, said) = shop.index(&[]);
        assert!(said.contains("everything was indexed anew: ") && said.contains(words), "{words}: {said}");
        assert!(done.contains("12 images indexed") && !said.contains("taken over"), "{said}");
        assert!(shop.index(&[]).1.contains("0 photos encoded, 12 taken over"));
    }
    // Other offers are made, though no photo has changed.
    let (_, said) = shop.index(&["--changes", "2"]);
    assert!(said.contains("0 photos encoded") && !said.contains("nothing has changed"), "{said}");
}

#[test]
fn copies_are_named_or_left_out() {
    let shop = Shop::new();
    std::fs::copy(shop.at("photos/03.png"), shop.at("photos/copy of 03.png")).unwrap();
    let same = |mode: &str| shop.index(&["--duplicates", mode, "--duplicate-similarity", "1"]).1;
    let said = same("report");
    assert!(said.contains("copy of 03.png is the same file as 03.png"), "{said}");
    assert!(said.contains("near-duplicates of") && said.contains("--duplicates remove leaves them out"), "{said}");
    assert_eq!(shop.ids().len(), 13);
    let said = same("remove");
    assert!(said.contains("are left out of the gallery; the files stay"), "{said}");
    assert!(!shop.ids().contains("copy of 03.png") && shop.ids().contains("03.png"));
    assert!(shop.at("photos/copy of 03.png").is_file());
    assert!(!same("keep").contains("is the same file"));
    assert_eq!(shop.ids().len(), 13);
    let refused = thisbut(&["index", "p", "--out", "o", "--duplicate-similarity", "0"]);
    assert_eq!(refused.status.code(), Some(2));
}

/// A running `thisbut serve`, ended when dropped.
struct Served {
    child: Child,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thisbut"));
        command.arg("serve").args(args).args(["--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split('/').next());
        Self { address: address.unwrap_or_else(|| panic!("{line}")).to_owned(), child }
    }

    /// Status, headers by lower-case names, and body.
    fn ask(&self, request: &str) -> (u16, BTreeMap<String, String>, Vec<u8>) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "{request}\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n").unwrap();
        let head = text(&answer[..end]);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        (status, fields, answer[end + 4..].to_vec())
    }
}

#[test]
fn a_bundle_is_served_as_a_good_host_would() {
    let shop = Shop::new();
    shop.index(&[]);
    let (bundle, page) = (shop.path("shop"), shop.path("dist"));
    let refused = thisbut(&["serve", &bundle, "--page", &page, "--port", "0"]);
    let said = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said.contains("the page's files are not there (missing: this-but.js,")
            && said.contains(
                "scripts/build-web && scripts/stage-site dist; from another folder name it: --page CHECKOUT/dist"
            ),
        "{said}"
    );
    for file in ["this-but.js", "worker.js", "element/element.js", "loader/load.js", "runtime/cpu_bg.wasm"] {
        std::fs::create_dir_all(shop.at("dist").join(file).parent().unwrap()).unwrap();
        std::fs::write(shop.at("dist").join(file), "content").unwrap();
    }
    let served = Served::start(&[&bundle, "--page", &page]);
    let (status, fields, body) = served.ask("GET / HTTP/1.1");
    assert_eq!((status, fields["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(text(&body).contains("<this-but bundle=\"bundle/\">") && fields.contains_key("content-security-policy"));
    let (status, fields, body) = served.ask("GET /runtime/cpu_bg.wasm HTTP/1.1");
    assert_eq!((status, fields["content-type"].as_str(), body.as_slice()), (200, "application/wasm", &b"content"[..]));
    let (_, fields, body) = served.ask("GET /bundle/bundle.json HTTP/1.1");
    assert_eq!((fields["content-type"].as_str(), fields["cache-control"].as_str()), ("application/json", "no-cache"));
    assert_eq!(fields["content-length"], body.len().to_string());
    assert_eq!(body, std::fs::read(shop.at("shop/bundle.json")).unwrap());
    let weights = Bundle::read(&shop.at("shop")).unwrap().manifest.weights[0].file.clone();
    let (_, fields, body) = served.ask(&format!("GET /bundle/{} HTTP/1.1", weights.path));
    assert_eq!(fields["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!((fields["content-length"].clone(), body.len() as u64), (weights.bytes.to_string(), weights.bytes));
    let (status, fields, rest) = served.ask(&format!("GET /bundle/{} HTTP/1.1\r\nRange: bytes=100-", weights.path));
    assert_eq!((status, &rest[..]), (206, &body[100..]));
    assert_eq!(fields["content-range"], format!("bytes 100-{}/{}", weights.bytes - 1, weights.bytes));
    let (status, fields, body) = served.ask("HEAD /bundle/bundle.json HTTP/1.1");
    assert!(status == 200 && body.is_empty() && fields["content-length"] != "0");

    std::fs::write(shop.at("secret.txt"), "secret").unwrap();
    for path in [
        "/../secret.txt",
        "/bundle/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/bundle/..%2f..%2fsecret.txt",
        "/.shop.index.json",
    ] {
        let (status, _, body) = served.ask(&format!("GET {path} HTTP/1.1"));
        assert!(status == 404 && !text(&body).contains("secret"), "{path}: {status}");
    }
    assert_eq!(served.ask("POST / HTTP/1.1\r\nContent-Length: 0").0, 405);
    let port = served.address.rsplit(':').next().unwrap();
    let taken = thisbut(&["serve", &bundle, "--page", &page, "--port", port]);
    assert!(text(&taken.stderr).contains("the port is taken; give another one with --port"), "{}", text(&taken.stderr));
}

#[test]
fn a_site_is_served_as_it_is() {
    let shop = Shop::new();
    shop.index(&[]);
    let page = "<script type=\"module\" src=\"this-but.js\"></script><this-but bundle=\"shop/\"></this-but>";
    std::fs::create_dir(shop.at("site")).unwrap();
    std::fs::write(shop.at("site/index.html"), page).unwrap();
    std::fs::rename(shop.at("shop"), shop.at("site/shop")).unwrap();
    let served = Served::start(&[&shop.path("site")]);
    let (status, fields, body) = served.ask("GET / HTTP/1.1");
    assert_eq!((status, text(&body).as_str(), fields.get("content-security-policy")), (200, page, None));
    assert_eq!(served.ask("GET /shop/bundle.json HTTP/1.1").0, 200);
    assert_eq!(served.ask("GET /shop HTTP/1.1").1["location"], "/shop/");
    let neither = thisbut(&["serve", &shop.path("photos")]);
    assert!(text(&neither.stderr).contains("is neither a bundle nor a site"), "{}", text(&neither.stderr));
}
