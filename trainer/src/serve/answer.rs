//! One answer: the file of a path, with type, validators, ranges and caching.

use super::site::{POLICY, Site};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{File, Metadata};
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Files of more bytes are sent as they are.
const LARGEST_PACKED: u64 = 32 << 20;
/// Files of fewer bytes are too: packed they would not be smaller.
const SMALLEST_PACKED: u64 = 512;
/// Longest path of a request.
const LONGEST: usize = 4096;
/// Hexadecimal digits from which on a part of a name is a hash.
const HASH: usize = 12;

const FOREVER: &str = "public, max-age=31536000, immutable";
const ASK: &str = "no-cache";

/// Types by the endings of names; those that are packed on the way.
const TYPES: [(&str, &str, bool); 19] = [
    ("html", "text/html; charset=utf-8", true),
    ("js", "text/javascript; charset=utf-8", true),
    ("mjs", "text/javascript; charset=utf-8", true),
    ("css", "text/css; charset=utf-8", true),
    ("json", "application/json", true),
    ("webmanifest", "application/manifest+json", true),
    ("wasm", "application/wasm", true),
    ("svg", "image/svg+xml", true),
    ("txt", "text/plain; charset=utf-8", true),
    ("md", "text/plain; charset=utf-8", true),
    ("xml", "application/xml", true),
    ("png", "image/png", false),
    ("jpg", "image/jpeg", false),
    ("jpeg", "image/jpeg", false),
    ("webp", "image/webp", false),
    ("gif", "image/gif", false),
    ("avif", "image/avif", false),
    ("ico", "image/x-icon", false),
    ("woff2", "font/woff2", false),
];

/// What a request asks.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `GET`, `HEAD`, or what is refused.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// The field `Range`.
    pub range: Option<String>,
    /// The field `If-None-Match`.
    pub known: Option<String>,
    /// Whether gzip is understood.
    pub gzip: bool,
}

/// What is sent.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Names and values.
    pub headers: Vec<(&'static str, String)>,
    /// The body; the server leaves it out where `HEAD` asks.
    pub body: Body,
}

/// An answer's body.
#[derive(Debug)]
pub enum Body {
    /// In memory.
    Bytes(Vec<u8>),
    /// So many bytes of a file from where it stands.
    File {
        /// The file.
        file: File,
        /// Bytes.
        length: u64,
    },
}

impl Answer {
    fn text(status: u16, text: &str) -> Self {
        let headers =
            vec![("Content-Type", "text/plain; charset=utf-8".to_owned()), ("Cache-Control", "no-store".to_owned())];
        Self { status, headers: common(headers), body: Body::Bytes(text.as_bytes().to_vec()) }
    }

    /// A header's value.
    #[cfg(test)]
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

fn common(mut headers: Vec<(&'static str, String)>) -> Vec<(&'static str, String)> {
    headers.push(("X-Content-Type-Options", "nosniff".to_owned()));
    headers
}

/// The answer to a request.
pub fn answer(site: &Site, asked: &Asked) -> Answer {
    if !matches!(asked.method.as_str(), "GET" | "HEAD") {
        let mut refused = Answer::text(405, "only GET and HEAD are answered\n");
        refused.headers.push(("Allow", "GET, HEAD".to_owned()));
        return refused;
    }
    let target = asked.target.split(['?', '#']).next().unwrap_or_default();
    let Some(path) = decoded(target).filter(|path| path.len() <= LONGEST) else {
        return Answer::text(400, "the path cannot be read\n");
    };
    let Some(path) = path.strip_prefix('/') else { return Answer::text(400, "the path has to begin with /\n") };
    if let Some(page) = site.page().filter(|_| path.is_empty()) {
        return preview(page);
    }
    let none = || Answer::text(404, "not here\n");
    let Some(found) = site.find(path) else { return none() };
    if !found.is_dir() {
        // A file's path has no slash behind it.
        return if path.ends_with('/') { none() } else { file(&found, asked).unwrap_or_else(none) };
    }
    if !path.is_empty() && !path.ends_with('/') {
        // Relative addresses of the folder's page count from the slash on.
        let mut moved = Answer::text(301, "the folder's path ends in /\n");
        moved.headers.push(("Location", format!("{target}/")));
        return moved;
    }
    let index = format!("{path}index.html");
    site.find(&index).filter(|file| file.is_file()).and_then(|found| file(&found, asked)).unwrap_or_else(none)
}

fn preview(page: &str) -> Answer {
    let headers = vec![
        ("Content-Type", "text/html; charset=utf-8".to_owned()),
        ("Cache-Control", ASK.to_owned()),
        ("Content-Security-Policy", POLICY.to_owned()),
    ];
    Answer { status: 200, headers: common(headers), body: Body::Bytes(page.as_bytes().to_vec()) }
}

/// A path without its percent signs; none where it is not UTF-8 then.
fn decoded(path: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::with_capacity(path.len()), path.bytes());
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        let (high, low) = (digit(rest.next())?, digit(rest.next())?);
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).ok()
}

/// Whether a name has the hash of the file's content in it: then the file never changes.
fn is_hashed(name: &str) -> bool {
    let parts: Vec<&str> = name.split(['.', '-']).collect();
    let hash =
        |part: &&str| part.len() >= HASH && part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    // The first part is a name, the last an ending.
    parts.len() > 2 && parts[1..parts.len() - 1].iter().any(hash)
}

fn file(path: &Path, asked: &Asked) -> Option<Answer> {
    let mut file = File::open(path).ok()?;
    let about = file.metadata().ok().filter(Metadata::is_file)?;
    let name = path.file_name()?.to_string_lossy().into_owned();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let (kind, packs) = TYPES
        .iter()
        .find(|(known, ..)| *known == ending)
        .map_or(("application/octet-stream", false), |(_, kind, packs)| (*kind, *packs));
    let tag = tag(&about);
    let headers = common(vec![
        ("Content-Type", kind.to_owned()),
        ("Cache-Control", if is_hashed(&name) { FOREVER } else { ASK }.to_owned()),
        ("ETag", tag.clone()),
        ("Vary", "Accept-Encoding".to_owned()),
        ("Accept-Ranges", "bytes".to_owned()),
    ]);
    let with = |status, more: Vec<(&'static str, String)>, body| {
        Some(Answer { status, headers: headers.iter().cloned().chain(more).collect(), body })
    };
    if asked.known.as_ref().is_some_and(|known| known.split(',').any(|one| one.trim() == tag)) {
        return with(304, Vec::new(), Body::Bytes(Vec::new()));
    }
    let size = about.len();
    match asked.range.as_deref().and_then(|range| part(range, size)) {
        Some(Ok(Range { start, end })) => {
            file.seek(SeekFrom::Start(start)).ok()?;
            let says = format!("bytes {start}-{}/{size}", end - 1);
            with(206, vec![("Content-Range", says)], Body::File { file, length: end - start })
        }
        Some(Err(())) => with(416, vec![("Content-Range", format!("bytes */{size}"))], Body::Bytes(Vec::new())),
        None if packs && asked.gzip && (SMALLEST_PACKED..=LARGEST_PACKED).contains(&size) => {
            let packed = packed(file, size)?;
            with(200, vec![("Content-Encoding", "gzip".to_owned())], Body::Bytes(packed))
        }
        None => with(200, Vec::new(), Body::File { file, length: size }),
    }
}

/// Changes whenever the file does.
fn tag(about: &Metadata) -> String {
    let changed = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    format!("\"{:x}-{:x}\"", about.len(), changed.map_or(0, |time| time.as_nanos()))
}

/// The bytes that a `Range` asks for: none where it is not one that is understood (then the whole file is sent), an error where
/// the file has none of them.
fn part(range: &str, size: u64) -> Option<Result<Range<u64>, ()>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let found = match (from, to) {
        ("", "") => return None,
        ("", last) => size.saturating_sub(last.parse().ok()?)..size,
        (from, "") => from.parse().ok()?..size,
        (from, to) => from.parse().ok()?..to.parse::<u64>().ok()?.saturating_add(1).min(size),
    };
    Some(if found.is_empty() { Err(()) } else { Ok(found) })
}

fn packed(file: File, size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).ok()?;
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(&bytes).ok()?;
    out.finish().ok()
}

#[cfg(test)]
mod tests;
