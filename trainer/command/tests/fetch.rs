//! Downloading from a hub that misbehaves: right files or one clear sentence, and nothing but resumable parts left over.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "common/hub.rs"]
mod hub;

use hub::{Fault, Hub};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use thisbut_trainer::fetch::{Event, Patience, Settings, fetch};

const WEIGHTS: &str = "/o/m/resolve/main/model.safetensors";

fn content() -> Vec<u8> {
    (0..100_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn settings(hub: &Hub) -> Settings {
    let ms = Duration::from_millis;
    let (window, least) = (ms(400), 2000);
    let patience = Patience { connect: ms(2000), stall: ms(400), window, least, attempts: 4, pause: ms(5) };
    Settings { endpoint: hub.url.clone(), patience, ..Settings::default() }
}

/// A hub with `o/m`: a configuration and weights.
fn with_model() -> (Hub, Vec<u8>) {
    let (hub, weights) = (Hub::start(), content());
    hub.repository("o/m", &[("config.json", b"{}"), ("model.safetensors", &weights), ("README.md", b"no")]);
    (hub, weights)
}

fn get(hub: &Hub, model: &str, dir: &Path) -> Result<Vec<PathBuf>, String> {
    let result = fetch(model, dir, &settings(hub), &mut |_| ()).map_err(|e| e.to_string());
    if let Err(text) = &result {
        assert!(!text.contains('\n'), "{text}");
    }
    result
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The names of unfinished files, their keys left out.
fn unfinished(dir: &Path) -> Vec<String> {
    names(dir).into_iter().filter(|n| n.ends_with(".incomplete")).collect()
}

fn ranges(hub: &Hub, path: &str) -> Vec<Option<String>> {
    hub.requests(path).iter().map(|r| r.headers.get("range").cloned()).collect()
}

#[test]
fn a_model_comes_whole_once_and_is_left_alone_then() {
    let (hub, weights) = with_model();
    let dir = tempfile::tempdir().unwrap();
    let mut told = (0, Some(0));
    let mut notes = Vec::new();
    let paths = fetch("o/m", dir.path(), &settings(&hub), &mut |event| match event {
        Event::Progress { done, all, .. } => told = (done, all),
        Event::Note(note) => notes.push(note),
    })
    .unwrap();
    assert_eq!(paths, ["config.json", "model.safetensors"].map(|n| dir.path().join(n)));
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
    assert_eq!(told, (100_000, Some(100_000)));
    assert!(notes.iter().all(|n| n.ends_with("size and hash are right")), "{notes:?}");
    assert_eq!(names(dir.path()), ["config.json", "model.safetensors"]);
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(hub.requests(WEIGHTS).len(), 1, "the second run asks for the list alone");
    // A file that was changed on this disk comes again.
    std::fs::write(dir.path().join("model.safetensors"), vec![0; weights.len()]).unwrap();
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
}

#[test]
fn broken_connections_stalls_and_busy_servers_are_tried_again() {
    let (hub, weights) = with_model();
    let dir = tempfile::tempdir().unwrap();
    let long = Duration::from_secs(20);
    hub.faults(
        WEIGHTS,
        &[
            Fault::Status(503),
            Fault::Hangup,
            Fault::Cut(30_000),
            Fault::Status(500),
            Fault::Stall(20_000, long),
            Fault::WrongPart,
            Fault::Cut(10_000),
        ],
    );
    hub.faults("/api/models/o/m/tree/main?recursive=true", &[Fault::Status(503), Fault::Cut(3)]);
    let start = Instant::now();
    get(&hub, "o/m", dir.path()).unwrap();
    assert!(start.elapsed() < long / 2, "a stall is noticed");
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
    let asked: Vec<String> = ranges(&hub, WEIGHTS).into_iter().map(Option::unwrap_or_default).collect();
    let part = |from: &str| format!("bytes={from}-");
    let expected = ["", "", "", &part("30000"), &part("30000"), &part("50000"), "", &part("10000")];
    assert_eq!(asked, expected);
    assert_eq!(names(dir.path()), ["config.json", "model.safetensors"]);

    // One that never gets better is given up, and the part stays for another day.
    let dir = tempfile::tempdir().unwrap();
    hub.faults(WEIGHTS, &[Fault::Cut(30_000), Fault::Status(503), Fault::Status(503), Fault::Status(503)]);
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("status 503") && text.contains("4 times in a row"), "{text}");
    let place = dir.path().join("model.safetensors").display().to_string();
    assert!(text.contains(&format!("download {}{WEIGHTS} to {place}", hub.url)), "{text}");
    assert_eq!(unfinished(dir.path()).len(), 1, "{:?}", names(dir.path()));
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(ranges(&hub, WEIGHTS).last().unwrap().as_deref(), Some("bytes=30000-"));
    assert_eq!(names(dir.path()), ["config.json", "model.safetensors"]);
}

#[test]
fn a_pause_that_the_server_asks_for_is_kept() {
    let (hub, weights) = with_model();
    let dir = tempfile::tempdir().unwrap();
    let until = "date: Sun, 06 Nov 1994 08:49:07 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:08 GMT\r\n";
    // A date that has passed, and words that are neither seconds nor a date, ask for no pause.
    let past = "retry-after: Sun, 06 Nov 1994 08:49:08 GMT\r\n";
    hub.faults(WEIGHTS, &[Fault::Wait("retry-after: 1\r\n"), Fault::Wait(until), Fault::Wait(past)]);
    hub.faults("/o/m/resolve/main/config.json", &[Fault::Wait("retry-after: soon\r\n")]);
    let start = Instant::now();
    let mut notes = Vec::new();
    fetch("o/m", dir.path(), &settings(&hub), &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    })
    .unwrap();
    let took = start.elapsed();
    assert!((Duration::from_secs(2)..Duration::from_secs(30)).contains(&took), "{took:?}");
    assert_eq!(notes.iter().filter(|note| note.contains("status 503") && note.contains("again in 1 s")).count(), 2);
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
}

#[test]
fn a_server_that_ignores_ranges_makes_it_start_again() {
    let (hub, weights) = with_model();
    let dir = tempfile::tempdir().unwrap();
    hub.faults(WEIGHTS, &[Fault::Cut(30_000), Fault::IgnoreRange(None)]);
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
    // One that also breaks at the same place each time is given up.
    let dir = tempfile::tempdir().unwrap();
    hub.faults(WEIGHTS, &vec![Fault::IgnoreRange(Some(30_000)); 50]);
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("byte 30000") && text.contains("times in a row"), "{text}");
    assert!(hub.requests(WEIGHTS).len() < 12);
}

#[test]
fn wrong_content_is_refused_and_gone() {
    let (hub, weights) = with_model();
    let dir = tempfile::tempdir().unwrap();
    let mut wrong = weights.clone();
    wrong[77_777] ^= 1;
    hub.file(WEIGHTS, &wrong, &[]);
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("does not match its checksum") && text.contains(WEIGHTS), "{text}");
    assert_eq!(names(dir.path()), ["config.json"]);
    // So is a small file, by git's hash, and one of another size than the list's.
    hub.file("/o/m/resolve/main/config.json", b"[]", &[]);
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    assert!(get(&hub, "o/m", dir.path()).unwrap_err().contains("checksum"));
    hub.file("/o/m/resolve/main/config.json", b"{ }", &[]);
    assert!(get(&hub, "o/m", dir.path()).unwrap_err().contains("3 bytes where its list says 2"));
    assert_eq!(names(dir.path()), [""; 0]);
    // A part that was damaged on this disk is not the server's fault: it comes again from the start.
    let (hub, weights) = with_model();
    hub.faults(WEIGHTS, &[Fault::Cut(50_000), Fault::Status(403)]);
    assert!(get(&hub, "o/m", dir.path()).unwrap_err().contains("HF_TOKEN"));
    let part = dir.path().join(&unfinished(dir.path())[0]);
    std::fs::write(&part, vec![7; 40_000]).unwrap();
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);
    assert_eq!(names(dir.path()), ["config.json", "model.safetensors"]);
}

#[test]
fn redirects_are_followed_and_the_token_stays_with_the_hub() {
    let (hub, weights) = with_model();
    let storage = Hub::start();
    storage.file("/blob", &weights, &[]);
    let dir = tempfile::tempdir().unwrap();
    hub.faults(WEIGHTS, &[Fault::Redirect(format!("{}/blob", storage.url)), Fault::Redirect("/loop".into())]);
    hub.faults("/loop", &vec![Fault::Redirect("/loop".into()); 50]);
    storage.faults("/blob", &[Fault::Cut(60_000)]);
    let with_token = Settings { token: Some("secret".into()), ..settings(&hub) };
    let text = fetch("o/m", dir.path(), &with_token, &mut |_| ()).unwrap_err().to_string();
    assert!(text.contains("redirects more than"), "{text}");
    let there = &storage.requests("/blob")[0];
    assert!(!there.headers.contains_key("authorization"), "{there:?}");
    assert_eq!(hub.requests(WEIGHTS)[0].headers["authorization"], "Bearer secret");
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);

    // The address of a file, whose hash the server states before it redirects.
    let (files, hash) = (Hub::start(), thisbut_trainer::fsx::sha256_hex(&weights));
    let dir = tempfile::tempdir().unwrap();
    let url = format!("{}/x/weights.pth?download=true", files.url);
    files.file("/x/weights.pth?download=true", b"", &[("x-linked-etag", &format!("\"{hash}\""))]);
    files.faults("/x/weights.pth?download=true", &vec![Fault::Redirect(format!("{}/blob", storage.url)); 2]);
    get(&hub, &url, dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("weights.pth")).unwrap(), weights);
    std::fs::remove_file(dir.path().join("weights.pth")).unwrap();
    storage.file("/blob", &weights[1..], &[]);
    assert!(get(&hub, &url, dir.path()).unwrap_err().contains("checksum"));
}

#[test]
fn parts_of_two_versions_are_not_mixed() {
    let (server, weights) = (Hub::start(), content());
    let dir = tempfile::tempdir().unwrap();
    let url = format!("{}/x/weights.pth", server.url);
    let busy = vec![Fault::Status(503); 3];
    server.file("/x/weights.pth", &weights, &[("etag", "\"one\"")]);
    server.faults("/x/weights.pth", &[&[Fault::Cut(40_000)][..], &busy].concat());
    get(&server, &url, dir.path()).unwrap_err();
    assert_eq!(unfinished(dir.path()), ["weights.pth.one.incomplete"]);
    let newer: Vec<u8> = weights.iter().map(|b| !b).collect();
    server.file("/x/weights.pth", &newer, &[("etag", "\"two\"")]);
    let mut notes = Vec::new();
    fetch(&url, dir.path(), &settings(&server), &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
    })
    .unwrap();
    assert_eq!(std::fs::read(dir.path().join("weights.pth")).unwrap(), newer);
    assert!(notes.last().unwrap().contains(&thisbut_trainer::fsx::sha256_hex(&newer)), "{notes:?}");
    assert_eq!(names(dir.path()), ["weights.pth"], "the part of the old version is gone");
}

#[test]
fn what_cannot_be_had_is_said_in_one_sentence() {
    let (hub, _) = with_model();
    let dir = tempfile::tempdir().unwrap();
    let refused = |model: &str, words: &[&str]| {
        let text = get(&hub, model, dir.path()).unwrap_err();
        words.iter().for_each(|word| assert!(text.contains(word), "{word}: {text}"));
        assert_eq!(names(dir.path()), [""; 0]);
    };
    refused("o/gone", &["/o/gone/tree/main", "status 404", "check the name"]);
    refused("nonsense", &["choose one of blip2, "]);
    refused("../x", &["no owner/name"]);
    refused(&format!("{}/", hub.url), &["name of a file"]);
    refused(&hub.url, &["name of a file"]);
    refused(&format!("{}/gone.pth", hub.url), &["/gone.pth", "status 404"]);
    let row = |path: &str| serde_json::json!([{"type": "file", "path": path, "size": 1, "oid": "x"}]).to_string();
    for name in ["../../etc/cron.d/x", "/etc/passwd", "a/../../b", "..\\x"] {
        hub.listing("o/evil", &row(name));
        refused("o/evil", &["leads out of its folder"]);
    }
    hub.listing("o/evil", "<html>");
    refused("o/evil", &["list of its files cannot be read"]);
    hub.listing("o/evil", "[]");
    refused("o/evil", &["--only"]);

    // Nobody there at all: which file from where, to put where.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let offline = Settings { endpoint: format!("http://{silent}"), ..settings(&hub) };
    let start = Instant::now();
    let text = fetch("blip2-itm-vit-g", dir.path(), &offline, &mut |_| ()).unwrap_err().to_string();
    let place = dir.path().display().to_string();
    for word in ["cannot be reached", "Salesforce/blip2-itm-vit-g/tree/main", ".safetensors", &place, "thisbut import"]
    {
        assert!(text.contains(word) && !text.contains('\n'), "{text}");
    }
    assert!(start.elapsed() < Duration::from_secs(2), "no waiting for a network that is not there");
}

/// Stopped in the middle, by a signal or at once, the command leaves the part alone and goes on with it the next time.
#[test]
fn a_stopped_download_leaves_its_part_and_goes_on() {
    let (hub, weights) = with_model();
    let root = tempfile::tempdir().unwrap();
    for signal in ["INT", "KILL"] {
        let dir = root.path().join(signal);
        hub.faults(WEIGHTS, &[Fault::Slow(Duration::from_millis(50))]);
        let command = || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_thisbut"));
            command.args(["fetch", "o/m", "--out"]).arg(&dir).env("HF_ENDPOINT", &hub.url).env_remove("HF_TOKEN");
            command.stdin(Stdio::null());
            command
        };
        let mut child = command().stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let begun = || unfinished(&dir).first().is_some_and(|n| dir.join(n).metadata().unwrap().len() > 8192);
        let start = Instant::now();
        while !begun() {
            assert!(start.elapsed() < Duration::from_secs(20) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(5));
        }
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status().unwrap();
        assert!(sent.success() && !child.wait().unwrap().success());
        assert_eq!(names(&dir).len(), 2, "{:?}", names(&dir));
        let held = dir.join(&unfinished(&dir)[0]).metadata().unwrap().len();
        assert!((8192..100_000).contains(&held), "{held}");
        let output = command().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read(dir.join("model.safetensors")).unwrap(), weights);
        assert_eq!(ranges(&hub, WEIGHTS).last().unwrap().as_deref(), Some(format!("bytes={held}-").as_str()));
        assert_eq!(names(&dir), ["config.json", "model.safetensors"]);
    }
}

#[test]
fn a_slow_drip_ends() {
    let (hub, weights) = with_model();
    let drip = Fault::Drip(Duration::from_millis(20));
    // The file, the list of files, and a server that closes after a few bytes each time.
    hub.faults(WEIGHTS, &vec![drip.clone(); 50]);
    let dir = tempfile::tempdir().unwrap();
    let start = Instant::now();
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("bytes in") && text.contains("4 times in a row"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(unfinished(dir.path()).len(), 1, "what came stays");
    hub.faults(WEIGHTS, &[]);
    get(&hub, "o/m", dir.path()).unwrap();
    assert_eq!(std::fs::read(dir.path().join("model.safetensors")).unwrap(), weights);

    let dir = tempfile::tempdir().unwrap();
    hub.faults(WEIGHTS, &vec![Fault::Cut(100); 1000]);
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("4 times in a row"), "{text}");

    let dir = tempfile::tempdir().unwrap();
    hub.faults("/api/models/o/m/tree/main?recursive=true", &vec![drip; 50]);
    let start = Instant::now();
    let text = get(&hub, "o/m", dir.path()).unwrap_err();
    assert!(text.contains("bytes in") && start.elapsed() < Duration::from_secs(15), "{text}");
}
