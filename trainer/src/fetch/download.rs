//! One file: asked for from where its unfinished part ends, checked, and only then given its name.

use super::http::{Answer, Client, Tries, Trouble};
use super::steady::Steady;
use super::{Event, failure, hub};
use crate::error::{Result, TrainerError};
use crate::fsx;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use thisbut_model::ModelError;

/// How the name of an unfinished file ends.
pub const SUFFIX: &str = ".incomplete";
/// Bytes read at once.
const PIECE: usize = 1 << 18;
/// Bytes between two reports of progress.
const REPORT: u64 = 1 << 20;
/// The key of a file of which the server says nothing.
const UNKNOWN: &str = "unknown";

/// A file to get.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its address.
    pub url: String,
    /// Its place on this disk.
    pub path: PathBuf,
    /// Bytes, where they are known beforehand.
    pub size: Option<u64>,
    /// Hex SHA-256, where it is known beforehand.
    pub sha256: Option<String>,
    /// Hex git object id, where it is known beforehand.
    pub git: Option<String>,
}

impl Wanted {
    /// The file's name without its folder.
    fn name(&self) -> Cow<'_, str> {
        match self.path.file_name() {
            Some(name) => name.to_string_lossy(),
            // Names come through `safe_path`, which refuses those that end in no file.
            None => panic!("{} is the place of no file", self.path.display()),
        }
    }
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    /// It was there and right.
    Already(PathBuf),
    /// It was there, and nobody states what it should hold.
    AlreadyUnchecked(PathBuf),
    /// It came, with the content that the server states.
    Checked(PathBuf),
    /// It came; the server states no hash. Its own SHA-256, to compare by hand.
    Unchecked(PathBuf, String),
}

impl std::fmt::Display for Got {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Already(path) => write!(f, "{} is already there", path.display()),
            Self::AlreadyUnchecked(path) => {
                write!(f, "{} is already there, unchecked: its server states no hash", path.display())
            }
            Self::Checked(path) => write!(f, "{}: size and hash are right", path.display()),
            Self::Unchecked(path, hash) => {
                write!(f, "{}: its server states no hash; SHA-256 {hash}", path.display())
            }
        }
    }
}

/// The hashes of what was read so far.
struct Hashes {
    sha256: Sha256,
    /// Git's hash starts with the size, so there is none while that is unknown.
    git: Option<Sha1>,
    bytes: u64,
}

impl Hashes {
    fn new(size: Option<u64>) -> Self {
        let git = size.map(|size| {
            let mut hash = Sha1::new();
            hash.update(format!("blob {size}\0"));
            hash
        });
        Self { sha256: Sha256::new(), git, bytes: 0 }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
        self.bytes += bytes.len() as u64;
    }

    /// The content's hash, of the kind that is expected, and the expected one where there is any.
    fn finish<'a>(self, sha256: Option<&'a str>, git: Option<&'a str>) -> (String, Option<&'a str>) {
        match (sha256, git, self.git) {
            (None, Some(expected), Some(hash)) => (fsx::hex(&hash.finalize()), Some(expected)),
            (expected, ..) => (fsx::hex(&self.sha256.finalize()), expected),
        }
    }
}

fn io(path: &Path, action: &'static str) -> impl Fn(std::io::Error) -> TrainerError {
    let path = path.to_path_buf();
    move |e| TrainerError::io(&path, action, e, "check free space and the folder's permissions")
}

/// The unfinished part of a file on disk.
struct Part {
    path: PathBuf,
    file: File,
    key: String,
    hashes: Hashes,
}

impl Part {
    fn path_of(wanted: &Wanted, key: &str) -> PathBuf {
        let name = wanted.name();
        wanted.path.with_file_name(format!("{name}.{key}{SUFFIX}"))
    }

    /// Unfinished parts of the file that lie beside it, with their keys.
    fn all(wanted: &Wanted) -> Vec<(String, PathBuf)> {
        let name = wanted.name();
        let folder = wanted.path.parent().unwrap_or(Path::new("."));
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut found: Vec<(String, PathBuf)> = entries
            .filter_map(|entry| {
                let found = entry.file_name().to_string_lossy().into_owned();
                let key = found.strip_prefix(&*name)?.strip_prefix('.')?.strip_suffix(SUFFIX)?;
                (!key.is_empty() && !key.contains('.')).then(|| (key.to_owned(), entry.path()))
            })
            .collect();
        found.sort();
        found
    }

    /// Opens or creates the part of content `key`, and reads what is there into the hashes.
    fn open(wanted: &Wanted, key: &str) -> Result<Self> {
        let path = Self::path_of(wanted, key);
        let mut file = fsx::own(&path)?;
        file.try_lock().map_err(|e| match e {
            std::fs::TryLockError::WouldBlock => TrainerError::data(
                path.display().to_string(),
                "another process is downloading it",
                "wait for it, or end it",
            ),
            std::fs::TryLockError::Error(e) => io(&path, "lock")(e),
        })?;
        let mut hashes = Hashes::new(wanted.size);
        let mut buffer = vec![0; PIECE];
        loop {
            match file.read(&mut buffer).map_err(io(&path, "read"))? {
                0 => break,
                count => hashes.update(&buffer[..count]),
            }
        }
        Ok(Self { path, file, key: key.to_owned(), hashes })
    }

    /// Forgets what is there.
    fn restart(&mut self, wanted: &Wanted) -> Result<()> {
        self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0))).map_err(io(&self.path, "write"))?;
        self.hashes = Hashes::new(wanted.size);
        Ok(())
    }
}

/// Gets the first of `files`, from where an earlier try ended. The others are to come after it: a failure names them too.
///
/// # Errors
/// When the server cannot be reached or refuses, the content is not what it should be, or the file cannot be written.
pub fn download(client: &Client, files: &[Wanted], tell: &mut dyn FnMut(Event)) -> Result<Option<Got>> {
    let Some(wanted) = files.first() else { return Ok(None) };
    if let Some(got) = already(wanted)? {
        return Ok(Some(got));
    }
    fsx::create_dir(wanted.path.parent().unwrap_or(Path::new(".")))?;
    let mut tries = Tries::new(client.patience);
    // The content that the listing states; without one, whatever part is there, until the server says what it is of.
    let stated = wanted.sha256.as_deref().or(wanted.git.as_deref()).map(|hash| hash.get(..16).unwrap_or(hash));
    let begun = match stated {
        Some(key) => Some(key.to_owned()).filter(|key| Part::path_of(wanted, key).is_file()),
        None => Part::all(wanted).into_iter().next().map(|(key, _)| key),
    };
    let mut part = begun.map(|key| Part::open(wanted, &key)).transpose()?;
    let mut resumed = part.as_ref().is_some_and(|part| part.hashes.bytes > 0);
    let mut farthest = part.as_ref().map_or(0, |part| part.hashes.bytes);
    loop {
        match attempt(client, wanted, stated, &mut part, tell)? {
            Ok(sha256) => {
                let Some(done) = part.take() else { continue };
                match finish(wanted, done, sha256.as_deref())? {
                    Ok(got) => return Ok(Some(got)),
                    // A part of something else may have stood at the start: once more from nothing.
                    Err(_) if resumed => resumed = false,
                    Err(Wrong { expected, found }) => {
                        return Err(ModelError::Checksum {
                            place: wanted.url.clone(),
                            expected,
                            found,
                            mend: "it was removed; try again later, or from another mirror (HF_ENDPOINT)".into(),
                        }
                        .into());
                    }
                }
            }
            Err(trouble) => {
                let now = part.as_ref().map_or(0, |part| part.hashes.bytes);
                let mut note = |line| tell(Event::Note(line));
                // A server that drips a few bytes a try would go on for weeks.
                let progress = now >= farthest.saturating_add(client.patience.least.max(1));
                let again = tries.after(&wanted.url, trouble, progress, &mut note);
                again.map_err(|trouble| failure(wanted, files, trouble))?;
                resumed |= now > 0;
                if progress {
                    farthest = now;
                }
            }
        }
    }
}

/// What there is to say of a file that has its name already; `None` when it must be fetched.
fn already(wanted: &Wanted) -> Result<Option<Got>> {
    let Ok(about) = std::fs::metadata(&wanted.path) else { return Ok(None) };
    if wanted.size.is_some_and(|size| size != about.len()) {
        return Ok(None);
    }
    let (mut file, _) = fsx::open(&wanted.path, fsx::ANY)?;
    if wanted.sha256.is_none() && wanted.git.is_none() {
        return Ok(Some(Got::AlreadyUnchecked(wanted.path.clone())));
    }
    let (mut hashes, mut buffer) = (Hashes::new(wanted.size), vec![0; PIECE]);
    loop {
        match file.read(&mut buffer).map_err(io(&wanted.path, "read"))? {
            0 => break,
            count => hashes.update(&buffer[..count]),
        }
    }
    let (found, expected) = hashes.finish(wanted.sha256.as_deref(), wanted.git.as_deref());
    Ok((expected == Some(&found)).then(|| Got::Already(wanted.path.clone())))
}

/// What the server says of the content.
struct Stated {
    sha256: Option<String>,
    key: String,
    /// First byte of the answer's body.
    start: u64,
    size: Option<u64>,
}

fn stated(answer: &Answer, wanted: &Wanted, key: Option<&str>) -> Result<Stated, Trouble> {
    let tag = answer.linked.as_deref().or_else(|| answer.header("etag"));
    let tag = tag.map(|tag| tag.trim_start_matches("W/").trim_matches('"').to_ascii_lowercase());
    let sha256 = wanted.sha256.clone().or_else(|| tag.clone().filter(|tag| hub::is_hex(tag, 64)));
    let short = |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).take(16).collect() };
    let from_tag = tag.as_deref().map(short).filter(|key| !key.is_empty());
    let key = key.map(str::to_owned).or(from_tag).unwrap_or_else(|| UNKNOWN.to_owned());
    let length = answer.header("content-length").and_then(|v| v.trim().parse::<u64>().ok());
    let (start, size) = if answer.response.status() == 206 {
        let range = answer.header("content-range").and_then(content_range);
        range.ok_or_else(|| Trouble::passing("its server sends a part without saying which"))?
    } else {
        (0, length)
    };
    if let (Some(expected), Some(found)) = (wanted.size, size)
        && expected != found
    {
        return Err(Trouble::last(format!("its server has {found} bytes where its list says {expected}")));
    }
    Ok(Stated { sha256, key, start, size: size.or(wanted.size) })
}

/// First byte and size of `bytes 7-99/100`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, size) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, size.trim().parse().ok()))
}

/// One request. The inner result is the content's SHA-256 where it is known, once every byte is there, or why not.
#[allow(clippy::type_complexity)] // an error that ends everything, and trouble that may pass
fn attempt(
    client: &Client,
    wanted: &Wanted,
    key: Option<&str>,
    part: &mut Option<Part>,
    tell: &mut dyn FnMut(Event),
) -> Result<Result<Option<String>, Trouble>> {
    let have = part.as_ref().map_or(0, |part| part.hashes.bytes);
    if have > 0 && wanted.size == Some(have) {
        return Ok(Ok(wanted.sha256.clone()));
    }
    let answer = match client.get(&wanted.url, have) {
        Ok(answer) => answer,
        Err(trouble) => {
            // More is there than the server has: it is of something else.
            if let Some(part) = part.as_mut().filter(|_| trouble.status == Some(416)) {
                part.restart(wanted)?;
                return Ok(Err(Trouble::passing(trouble.problem)));
            }
            return Ok(Err(trouble));
        }
    };
    let about = match stated(&answer, wanted, key) {
        Ok(about) => about,
        Err(trouble) => return Ok(Err(trouble)),
    };
    if part.as_ref().is_none_or(|part| part.key != about.key) {
        *part = Some(Part::open(wanted, &about.key)?);
    }
    let Some(part) = part.as_mut() else { return Ok(Err(Trouble::passing("nothing was opened"))) };
    if part.hashes.bytes != about.start {
        // A server that ignores the range sends the whole again; any other place is of no use.
        part.restart(wanted)?;
        if about.start > 0 {
            return Ok(Err(Trouble::passing("its server sends another part than was asked for")));
        }
    }
    let mut body = Steady::new(answer.response.into_body().into_reader(), client.patience);
    let mut buffer = vec![0; PIECE];
    let mut reported = part.hashes.bytes;
    tell(Event::Progress { path: &wanted.path, done: reported, all: about.size });
    loop {
        let count = match body.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => {
                let done = part.hashes.bytes;
                return Ok(Err(Trouble::passing(format!("the connection broke at byte {done} ({e})"))));
            }
        };
        let bytes = &buffer[..count];
        if about.size.is_some_and(|size| part.hashes.bytes + count as u64 > size) {
            part.restart(wanted)?;
            return Ok(Err(Trouble::passing("its server sends more bytes than it said")));
        }
        part.file.write_all(bytes).map_err(io(&part.path, "write"))?;
        part.hashes.update(bytes);
        if part.hashes.bytes - reported >= REPORT {
            reported = part.hashes.bytes;
            tell(Event::Progress { path: &wanted.path, done: reported, all: about.size });
        }
    }
    let done = part.hashes.bytes;
    tell(Event::Progress { path: &wanted.path, done, all: about.size });
    match about.size {
        Some(size) if done < size => {
            Ok(Err(Trouble::passing(format!("the connection ended at byte {done} of {size}"))))
        }
        _ => Ok(Ok(about.sha256)),
    }
}

/// The hashes of content that is not the stated one.
struct Wrong {
    expected: String,
    found: String,
}

/// Checks the whole content and gives it its name; the inner error is of wrong content, which is gone then.
fn finish(wanted: &Wanted, part: Part, sha256: Option<&str>) -> Result<Result<Got, Wrong>> {
    let Part { path, file, hashes, .. } = part;
    let (found, expected) = hashes.finish(sha256, wanted.git.as_deref());
    if let Some(expected) = expected.filter(|expected| *expected != found) {
        std::fs::remove_file(&path).map_err(io(&path, "remove"))?;
        return Ok(Err(Wrong { expected: expected.to_owned(), found }));
    }
    file.sync_all().map_err(io(&path, "write"))?;
    std::fs::rename(&path, &wanted.path).map_err(io(&wanted.path, "write"))?;
    drop(file);
    for (_, stale) in Part::all(wanted) {
        // A part of an earlier version; one that stays only takes space.
        let _ = std::fs::remove_file(stale);
    }
    Ok(Ok(match expected {
        Some(_) => Got::Checked(wanted.path.clone()),
        None => Got::Unchecked(wanted.path.clone(), found),
    }))
}
