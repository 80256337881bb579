//! A small OpenAI-compatible server on this machine: answers questions, counts them, and misbehaves as a test asks.

#[path = "server.rs"]
mod server;

use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with this text.
    Text(&'static str),
    /// Answers with this status, these header lines and this content.
    Status(u16, &'static str, &'static str),
    /// Answers with status 200, this content type and this content.
    Raw(&'static str, &'static str),
    /// Answers after a pause.
    Late(Duration),
    /// Says nothing for so long, then closes.
    Hang(Duration),
    /// Sends a byte at a time with a pause after each.
    Drip(Duration),
    /// Closes in the middle of the content.
    Cut,
    /// Sends content without an end, up to so many bytes.
    Huge(usize),
    /// Closes without an answer.
    Hangup,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path.
    pub path: String,
    /// The header `authorization`.
    pub key: Option<String>,
    /// The content.
    pub body: Value,
}

impl Request {
    /// What the user says in it, images left out.
    pub fn text(&self) -> String {
        let messages = self.body["messages"].as_array().unwrap();
        match &messages.last().unwrap()["content"] {
            Value::String(text) => text.clone(),
            parts => parts.as_array().unwrap().iter().filter_map(|part| part["text"].as_str()).collect(),
        }
    }

    /// The images' data URLs.
    pub fn images(&self) -> Vec<String> {
        let content = &self.body["messages"].as_array().unwrap().last().unwrap()["content"];
        let parts = content.as_array().into_iter().flatten();
        parts.filter_map(|part| part["image_url"]["url"].as_str()).map(str::to_owned).collect()
    }
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    always: Option<Reply>,
    requests: Vec<Request>,
}

/// The server; it runs until the test's process ends.
#[derive(Clone)]
pub struct Chat {
    state: Arc<Mutex<State>>,
    /// `http://127.0.0.1:PORT/v1`.
    pub url: String,
}

impl Chat {
    /// Starts one. A question is answered with a text that it alone gets, unless there is a reply for it.
    pub fn start() -> Self {
        let (state, url) = server::listen(serve);
        Self { state, url: url + "/v1" }
    }

    /// The next requests are answered so, one after another.
    pub fn next(&self, replies: &[Reply]) {
        self.state.lock().unwrap().replies = replies.iter().cloned().collect();
    }

    /// Every request is answered so, from here on; `None`: as it should.
    pub fn always(&self, reply: Option<Reply>) {
        self.state.lock().unwrap().always = reply;
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().unwrap().requests.clone()
    }

    /// How often each question came, by its text and images.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.requests() {
            *counts.entry(request.body["messages"].to_string()).or_default() += 1;
        }
        counts
    }
}

/// An answer that no other question gets.
pub fn answer(messages: &str) -> String {
    let digest = thisbut_trainer::fsx::sha256_hex(messages.as_bytes());
    let word: String = digest.chars().take(8).map(|c| char::from(b'a' + c.to_digit(16).unwrap() as u8)).collect();
    format!("add a {word} to it")
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (path, headers) = server::head(&mut reader)?;
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let key = headers.get("authorization").cloned();
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body)?;
    let messages = body["messages"].to_string();
    let reply = {
        let mut state = state.lock().unwrap();
        state.requests.push(Request { path, key, body });
        state.replies.pop_front().or_else(|| state.always.clone())
    };
    give(stream, reply, &answer(&messages))
}

fn give(mut out: TcpStream, reply: Option<Reply>, usual: &str) -> std::io::Result<()> {
    let content = |text: &str| {
        json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10}})
        .to_string()
    };
    let mut send = |status: u16, kind: &str, more: &str, body: &str| {
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n{more}");
        write!(out, "{head}connection: close\r\n\r\n{body}")
    };
    match reply {
        None => send(200, "application/json", "", &content(usual)),
        Some(Reply::Text(text)) => send(200, "application/json", "", &content(text)),
        Some(Reply::Status(status, more, body)) => send(status, "application/json", more, body),
        Some(Reply::Raw(kind, body)) => send(200, kind, "", body),
        Some(Reply::Late(pause)) => {
            std::thread::sleep(pause);
            send(200, "application/json", "", &content(usual))
        }
        Some(Reply::Hang(pause)) => {
            std::thread::sleep(pause);
            Ok(())
        }
        Some(Reply::Hangup) => Ok(()),
        Some(Reply::Drip(pause)) => {
            let body = content(usual);
            write!(out, "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())?;
            body.bytes().try_for_each(|byte| {
                std::thread::sleep(pause);
                out.write_all(&[byte])?;
                out.flush()
            })
        }
        Some(Reply::Cut) => {
            let body = content(usual);
            write!(out, "HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len())?;
            out.write_all(&body.as_bytes()[..body.len() / 2])
        }
        Some(Reply::Huge(bytes)) => {
            write!(out, "HTTP/1.1 200 X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n")?;
            let piece = [b'x'; 1 << 16];
            (0..bytes.div_ceil(piece.len())).try_for_each(|_| out.write_all(&piece))
        }
    }
}
