//! `describe` and `rewrite` against a server that fails in every way: one clear sentence, nothing lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/asking.rs"]
mod asking;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "common/chat.rs"]
mod chat;
#[allow(dead_code, reason = "the other tests use more of it")]
mod common;

use asking::{World, fails, key_is_nowhere, succeeds};
use chat::Reply;
use common::thisbut;
use serde_json::Value;
use std::time::{Duration, Instant};

#[test]
fn what_passes_is_tried_again() {
    let world = World::new();
    world.pairs(12);
    let wait = "retry-after: 0\r\n";
    let failures = [
        Reply::Hang(Duration::from_secs(9)),
        Reply::Drip(Duration::from_millis(150)),
        Reply::Cut,
        Reply::Hangup,
        Reply::Status(429, wait, "{\"error\": {\"message\": \"too soon\", \"code\": \"rate_limit_exceeded\"}}"),
        Reply::Status(429, "", ""),
        Reply::Status(503, "", "<html>"),
        Reply::Status(500, "", ""),
    ];
    for failure in &failures {
        // A request of its own each: eight failures of one would end the run.
        world.chat.next(std::slice::from_ref(failure));
        let before = world.chat.requests().len();
        let _ = std::fs::remove_file(world.place("t.journal.jsonl"));
        // A machine that is busy may be as slow as a server that hangs.
        let slow = matches!(failure, Reply::Hang(_) | Reply::Drip(_));
        succeeds(world.rewrite(&["--parallel", "1", "--timeout", if slow { "2" } else { "20" }]));
        let asked = world.chat.requests().len() - before;
        assert!(asked == 13 || (slow && asked > 13), "{failure:?}: {asked}");
        assert_eq!(world.rows("t.jsonl").len(), 12, "{failure:?}");
        assert_eq!(world.report("t.report.json")["faults"], serde_json::json!({}), "{failure:?}");
    }
    // A pause that is asked for is kept, in seconds or until a date by the server's own clock.
    let until = "date: Sun, 06 Nov 1994 08:49:07 GMT\r\nretry-after: Sun, 06 Nov 1994 08:49:08 GMT\r\n";
    for wait in ["retry-after: 1\r\n", until] {
        world.chat.next(&[Reply::Status(429, wait, "")]);
        std::fs::remove_file(world.place("t.journal.jsonl")).unwrap();
        let began = Instant::now();
        succeeds(world.rewrite(&[]));
        assert!(began.elapsed() >= Duration::from_secs(1), "{wait}");
    }
    // So is a number of requests a minute.
    std::fs::remove_file(world.place("t.journal.jsonl")).unwrap();
    let began = Instant::now();
    succeeds(world.rewrite(&["--per-minute", "1200"]));
    assert!(began.elapsed() >= Duration::from_millis(11 * 50));
}

#[test]
fn useless_answers_are_counted_asked_again_and_rejected() {
    let world = World::new();
    world.pairs(12);
    let useless = [
        (Reply::Raw("text/html", "<html>Log in</html>"), "no-json"),
        (Reply::Raw("text/plain", "{\"choices\": []}"), "no-json"),
        (Reply::Raw("application/json", "{\"choices\": [{\"mess"), "broken-json"),
        (Reply::Raw("application/json", "{\"choices\": []}"), "no-choice"),
        (Reply::Raw("application/json", "{\"choices\": [{\"message\": {\"content\": null}}]}"), "no-text"),
        (Reply::Huge(6 << 20), "huge-answer"),
        (Reply::Text("I'm sorry, but I can't help with that."), "refusal"),
        (Reply::Text("  "), "empty"),
        (Reply::Text("{target}"), "nonsense"),
        (Reply::Text("dog dog dog dog"), "loop"),
        (Reply::Text("Change the image."), "no-change"),
    ];
    for (reply, kind) in &useless {
        world.chat.next(std::slice::from_ref(reply));
        let before = world.chat.requests().len();
        let _ = std::fs::remove_file(world.place("t.journal.jsonl"));
        succeeds(world.rewrite(&["--parallel", "1"]));
        assert_eq!(world.chat.requests().len() - before, 13, "{kind}");
        assert_eq!(world.report("t.report.json")["faults"], serde_json::json!({(*kind): 1}));
        assert_eq!(world.rows("t.jsonl").len(), 12, "{kind}");
    }
    // A question that never gets an answer is asked so often, and no more, in whatever number of runs.
    world.chat.next(&[Reply::Text("?!"), Reply::Text("..."), Reply::Text("<<<>>>")]);
    std::fs::remove_file(world.place("t.journal.jsonl")).unwrap();
    let before = world.chat.requests().len();
    for _ in 0..2 {
        let said = succeeds(world.rewrite(&["--parallel", "1"]));
        assert!(said.contains("rejected, nonsense: 1"), "{said}");
        assert_eq!((world.chat.requests().len() - before, world.rows("t.jsonl").len()), (14, 11));
    }
    let rejects = world.rows("t.rejects.jsonl");
    assert_eq!((rejects[0]["tries"].as_u64(), rejects[0]["said"].as_str()), (Some(3), Some("<<<>>>")));
    succeeds(world.rewrite(&["--resend"]));
    assert_eq!((world.chat.requests().len() - before, world.rows("t.jsonl").len()), (15, 12));
    // A repeated question is not the same one: it is asked at a temperature, with another seed.
    let asked: Vec<Value> = world.chat.requests()[before..before + 3].iter().map(|r| r.body.clone()).collect();
    assert!(asked[0]["temperature"] == 0.0 && asked[1]["temperature"] == 0.7 && asked[1]["seed"] != asked[2]["seed"]);
}

#[test]
fn a_server_that_will_not_ends_the_run_with_a_sentence_and_nothing_is_lost() {
    let world = World::new();
    world.pairs(12);
    let quota = "{\"error\": {\"message\": \"You exceeded your quota\", \"code\": \"insufficient_quota\"}}";
    let echo = "{\"error\": {\"message\": \"Incorrect API key: sk-not-to-be-seen-1234567890\"}}";
    for (reply, words) in [
        (
            Reply::Status(401, "", echo),
            "refuses the key (status 401: Incorrect API key: …); everything so far is kept; check the key in OPENAI_API_KEY",
        ),
        (Reply::Status(403, "", "{}"), "refuses the key (status 403)"),
        (Reply::Status(402, "", ""), "quota is used up"),
        (
            Reply::Status(429, "", quota),
            "its quota is used up (status 429: You exceeded your quota); everything so far is kept",
        ),
        (Reply::Status(404, "", "{\"error\": \"no model m\"}"), "no such address or model (status 404: no model m)"),
        (Reply::Status(429, "retry-after: 7200\r\n", ""), "asks for a pause of 7200 s"),
        (Reply::Status(503, "retry-after: Fri, 31 Dec 9999 23:59:59 GMT\r\n", ""), "asks for a pause of 2"),
        (
            Reply::Status(503, "retry-after: 99999999999999999999999\r\n", ""),
            "asks for a pause of 18446744073709551615 s",
        ),
        (Reply::Status(301, "location: /elsewhere\r\n", ""), "redirects elsewhere (status 301)"),
    ] {
        let _ = std::fs::remove_file(world.place("t.journal.jsonl"));
        let _ = std::fs::remove_file(world.place("t.jsonl"));
        let before = world.chat.requests().len();
        world.chat.next(&[Reply::Late(Duration::ZERO), Reply::Late(Duration::ZERO), reply.clone()]);
        let said = fails(world.rewrite(&["--parallel", "1"]));
        assert!(said.contains(words) && said.contains("/v1/chat/completions: "), "{said}");
        assert!(!world.place("t.jsonl").exists() && !world.place("t.lock").exists());
        assert_eq!(world.chat.requests().len() - before, 3, "{words}");
        // The two answers are kept: the rest alone is asked.
        succeeds(world.rewrite(&["--parallel", "1"]));
        assert_eq!((world.chat.requests().len() - before, world.rows("t.jsonl").len()), (13, 12), "{words}");
    }
    key_is_nowhere(world.folder.path());
    // A server that never answers well ends the run too, and what it was asked counts as not asked.
    std::fs::remove_file(world.place("t.journal.jsonl")).unwrap();
    world.chat.always(Some(Reply::Raw("text/html", "<html>Log in</html>")));
    let said = fails(world.rewrite(&[]));
    assert!(
        said.contains("12 answers in a row are of no use (no-json: text/html: <html>Log in</html>)")
            || said.contains("answers in a row"),
        "{said}"
    );
    world.chat.always(None);
    succeeds(world.rewrite(&[]));
    assert_eq!(world.rows("t.jsonl").len(), 12);
    // Servers that are not there, addresses that are none, keys that are not set.
    let mut gone = thisbut();
    let place = |name: &str| world.place(name).to_str().unwrap().to_owned();
    let (pairs, captions, out) = (place("pairs.jsonl"), place("captions.jsonl"), place("gone.jsonl"));
    gone.args(["rewrite", "--pairs", &pairs, "--captions", &captions, "--out", &out, "--model-name", "m"]);
    gone.args(["--endpoint", "http://127.0.0.1:9/v1", "--attempts", "2", "--pause", "0.01"]);
    assert!(fails(gone).contains("its server cannot be reached"));
    for (more, words) in [
        (["--endpoint", "ftp://x"], "is not an http address"),
        (["--endpoint", "http://user:secret@x/v1"], "has a password in it"),
        (["--key-from", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE: that environment variable is not set"),
        (["--fields", "[1]"], "--fields: is no JSON object"),
        (["--prompts", "none"], "there are none of that name"),
        (["--prompts", "good4cir"], "give --images"),
    ] {
        let said = fails(world.rewrite(&more));
        assert!(said.contains(words) && !said.contains("secret"), "{said}");
    }
}
