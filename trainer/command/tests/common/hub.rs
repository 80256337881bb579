//! A small hub on this machine: serves files over HTTP, and misbehaves as a test asks.

#[path = "server.rs"]
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one request for a file.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers as it should.
    None,
    /// Sends this many bytes of the body, then closes.
    Cut(usize),
    /// Sends this many bytes of the body, then nothing more, for so long.
    Stall(usize, Duration),
    /// Sends the body in pieces of 4 KiB with a pause after each.
    Slow(Duration),
    /// Sends the body a byte at a time with a pause after each.
    Drip(Duration),
    /// Answers with this status and no content.
    Status(u16),
    /// Answers 503 with these header lines and no content.
    Wait(&'static str),
    /// Sends the whole file with status 200 whatever was asked for, and cuts it after this many bytes.
    IgnoreRange(Option<usize>),
    /// Redirects to this place.
    Redirect(String),
    /// Answers 206 from another byte than was asked for.
    WrongPart,
    /// Closes without an answer.
    Hangup,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The path with its query.
    pub path: String,
    /// Headers, lower-case names.
    pub headers: BTreeMap<String, String>,
}

/// A file's content and the headers that it is sent with.
type File = (Vec<u8>, Vec<(String, String)>);

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    requests: Vec<Request>,
}

/// The server; it runs until the test's process ends.
#[derive(Clone)]
pub struct Hub {
    state: Arc<Mutex<State>>,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

impl Hub {
    /// Starts one with nothing to serve.
    pub fn start() -> Self {
        let (state, url) = server::listen(serve);
        Self { state, url }
    }

    /// Serves `content` at `path` with further headers.
    pub fn file(&self, path: &str, content: &[u8], headers: &[(&str, &str)]) {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        self.state.lock().unwrap().files.insert(path.to_owned(), (content.to_vec(), headers));
    }

    /// The next requests for `path` fail so, one after another; then all is well.
    pub fn faults(&self, path: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.insert(path.to_owned(), faults.iter().cloned().collect());
    }

    /// A repository in the hub's layout. Files above a kilobyte are large ones with a SHA-256, as on the real one.
    pub fn repository(&self, name: &str, files: &[(&str, &[u8])]) {
        use sha1::Digest;
        let rows: Vec<serde_json::Value> = files
            .iter()
            .map(|(path, content)| {
                let git = sha1::Sha1::digest([format!("blob {}\0", content.len()).as_bytes(), content].concat());
                let git: String = git.iter().map(|b| format!("{b:02x}")).collect();
                let mut row = serde_json::json!({"type": "file", "path": path, "size": content.len(), "oid": git});
                if content.len() > 1024 {
                    row["lfs"] =
                        serde_json::json!({"oid": thisbut_trainer::fsx::sha256_hex(content), "size": content.len()});
                }
                self.file(&format!("/{name}/resolve/main/{path}"), content, &[]);
                row
            })
            .collect();
        self.listing(name, &serde_json::Value::from(rows).to_string());
    }

    /// The hub's answer to the question for a repository's files.
    pub fn listing(&self, name: &str, json: &str) {
        self.file(&format!("/api/models/{name}/tree/main?recursive=true"), json.as_bytes(), &[]);
    }

    /// Every request for `path` so far.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.state.lock().unwrap().requests.iter().filter(|r| r.path == path).cloned().collect()
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (path, headers) = server::head(&mut reader)?;
    let (file, fault) = {
        let mut state = state.lock().unwrap();
        state.requests.push(Request { path: path.clone(), headers: headers.clone() });
        let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front).unwrap_or(Fault::None);
        (state.files.get(&path).cloned(), fault)
    };
    answer(stream, &headers, file, fault)
}

fn answer(
    mut out: TcpStream,
    headers: &BTreeMap<String, String>,
    file: Option<File>,
    fault: Fault,
) -> std::io::Result<()> {
    let plain = |out: &mut TcpStream, status: u16, more: &str| {
        write!(out, "HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n{more}\r\n")
    };
    let (content, more) = match (&fault, file) {
        (Fault::Hangup, _) => return Ok(()),
        (Fault::Status(status), _) => return plain(&mut out, *status, ""),
        (Fault::Wait(more), _) => return plain(&mut out, 503, more),
        (Fault::Redirect(to), file) => {
            let linked = file.into_iter().flat_map(|(_, headers)| headers);
            let linked: String = linked.map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            return plain(&mut out, 302, &format!("location: {to}\r\n{linked}"));
        }
        (_, None) => return plain(&mut out, 404, ""),
        (_, Some(file)) => file,
    };
    let range = headers.get("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let range = range.filter(|_| !matches!(fault, Fault::IgnoreRange(_)));
    if range.is_some_and(|start| start >= content.len()) {
        return plain(&mut out, 416, "");
    }
    let start = range.unwrap_or(0);
    let body = content.get(start..).unwrap_or_default();
    let mut head = match range {
        None => "HTTP/1.1 200 OK\r\n".to_owned(),
        Some(_) => {
            let said = if matches!(fault, Fault::WrongPart) { start - 1 } else { start };
            let (last, all) = (content.len() - 1, content.len());
            format!("HTTP/1.1 206 Partial Content\r\ncontent-range: bytes {said}-{last}/{all}\r\n")
        }
    };
    for (name, value) in more {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(out, "{head}content-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    match fault {
        Fault::Cut(bytes) | Fault::IgnoreRange(Some(bytes)) => out.write_all(body.get(..bytes).unwrap_or(body)),
        Fault::Stall(bytes, pause) => {
            out.write_all(body.get(..bytes).unwrap_or(body))?;
            out.flush()?;
            std::thread::sleep(pause);
            Ok(())
        }
        Fault::Drip(pause) => body.iter().try_for_each(|byte| {
            std::thread::sleep(pause);
            out.write_all(&[*byte])?;
            out.flush()
        }),
        Fault::Slow(pause) => body.chunks(4096).try_for_each(|piece| {
            std::thread::sleep(pause);
            out.write_all(piece)
        }),
        _ => out.write_all(body),
    }
}
