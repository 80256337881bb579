//! Downloads published checkpoints: by a name, from a Hugging Face-style hub, or from a plain address.
//!
//! A file grows as `FILE.KEY.incomplete` and gets its own name once its size and hash are right. What is unfinished stays, and
//! the next run goes on where it ends; `KEY` says which content it is a part of, so that two versions are never mixed.

mod download;
pub mod http;
mod hub;
mod known;
pub mod origin;
mod pause;
pub mod post;
mod steady;

use crate::error::{Result, TrainerError};
pub use download::{Got, SUFFIX};
use download::{Wanted, download};
use http::{Client, Trouble, http};
pub use hub::selected;
pub use known::{KNOWN, Known, Place};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long to wait, and how often to try.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection to stand.
    pub connect: Duration,
    /// For the next bytes of one that stands.
    pub stall: Duration,
    /// A connection that brings fewer than [`Patience::least`] bytes in this time is given up, as if it had broken.
    pub window: Duration,
    /// See [`Patience::window`].
    pub least: u64,
    /// Tries in a row that bring nothing new, or fewer than [`Patience::least`] bytes of a file.
    pub attempts: u32,
    /// Before the second try; twice as long before each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            window: Duration::from_secs(60),
            least: 60 << 10,
            attempts: 6,
            pause: Duration::from_secs(1),
        }
    }
}

/// Where models come from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The hub, `https://huggingface.co` unless told otherwise.
    pub endpoint: String,
    /// Sent to the hub, and to nobody else.
    pub token: Option<String>,
    /// The hub's branch, tag or commit.
    pub revision: String,
    /// Only files of these names, `*` for any part and `?` for any character; empty: what `thisbut import` and the tokenizer need.
    pub only: Vec<String>,
    /// How long to wait.
    pub patience: Patience,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            endpoint: "https://huggingface.co".to_owned(),
            token: None,
            revision: "main".to_owned(),
            only: Vec::new(),
            patience: Patience::default(),
        }
    }
}

impl Settings {
    /// The settings that `HF_ENDPOINT` and `HF_TOKEN` make.
    pub fn from_env() -> Self {
        let get = |name: &str| std::env::var(name).ok().map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
        let mut settings = Self { token: get("HF_TOKEN"), ..Self::default() };
        if let Some(endpoint) = get("HF_ENDPOINT") {
            settings.endpoint = endpoint.trim_end_matches('/').to_owned();
        }
        settings
    }
}

/// What happens on the way.
pub enum Event<'a> {
    /// A line for a person.
    Note(String),
    /// Bytes of a file that are there, of how many where the server says so.
    Progress {
        /// The file.
        path: &'a Path,
        /// Bytes on this disk.
        done: u64,
        /// Bytes in all.
        all: Option<u64>,
    },
}

/// A folder's name for `model`: its own, without the owner's slash; of an address, the folder of the file, or the host.
pub fn folder_name(model: &str) -> String {
    let Some(url) = http(model) else { return model.replace('/', "--") };
    let folder = url
        .path_segments()
        .and_then(|segments| segments.rev().nth(1).filter(|name| !name.is_empty()))
        .or(url.host_str());
    folder.unwrap_or("files").to_owned()
}

/// Brings the files of `model` (a name of [`KNOWN`], `owner/name` on the hub, or the address of one file) into `dir`, and
/// gives their paths. Files that are there and right are left alone.
///
/// # Errors
/// When the model is unknown, the server cannot be reached or refuses, content does not match its hash, or a file
/// cannot be written. The message says which file from where to put where by hand. Only `.incomplete` files are left.
pub fn fetch(model: &str, dir: &Path, settings: &Settings, tell: &mut dyn FnMut(Event)) -> Result<Vec<PathBuf>> {
    let client = Client::new(&settings.endpoint, settings.token.as_deref(), settings.patience)?;
    if let Some(known) = KNOWN.iter().find(|known| known.name == model) {
        tell(Event::Note(format!("{model}: licence of the weights, as published: {}", known.licence)));
    }
    let wanted = match place_of(model)? {
        Place::Files(urls) => urls.iter().map(|url| of_url(url, dir)).collect::<Result<Vec<_>>>()?,
        Place::Hub(repository, only) => {
            let only = if settings.only.is_empty() { only } else { settings.only.clone() };
            let mut note = |line| tell(Event::Note(line));
            let listed = hub::list(&client, &repository, &settings.revision, &mut note).map_err(|trouble| {
                let page = String::from(client.address(repository.split('/').chain(["tree", &settings.revision])));
                let mend = match trouble.status {
                    Some(401 | 403 | 404) => refused_mend(&page),
                    _ => by_hand(&format!("the .json, .txt and .safetensors files of {page} to {}", dir.display())),
                };
                TrainerError::data(page, trouble.problem, mend)
            })?;
            let chosen = selected(&listed, &only);
            if chosen.is_empty() {
                return Err(TrainerError::data(
                    format!("{}/{repository}", settings.endpoint),
                    format!("none of its {} files is one that is wanted", listed.len()),
                    "name files with --only",
                ));
            }
            chosen.into_iter().map(|file| file.wanted(&client, &repository, &settings.revision, dir)).collect()
        }
    };
    for at in 0..wanted.len() {
        if let Some(got) = download(&client, &wanted[at..], tell)? {
            tell(Event::Note(got.to_string()));
        }
    }
    origin::write(model, dir)?;
    Ok(wanted.into_iter().map(|file| file.path).collect())
}

/// What `model` names.
fn place_of(model: &str) -> Result<Place> {
    if let Some(known) = KNOWN.iter().find(|known| known.name == model) {
        return Ok(known.place());
    }
    if http(model).is_some() {
        return Ok(Place::Files(vec![model.to_owned()]));
    }
    let plain = |part: &str| {
        !part.is_empty()
            && part.len() <= 96
            && !part.starts_with('.')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match model.split_once('/') {
        Some((owner, name)) if plain(owner) && plain(name) => Ok(Place::Hub(model.to_owned(), Vec::new())),
        _ => Err(TrainerError::settings(
            format!("fetch {model}"),
            "is no model that is known here, no owner/name of a hub, and no address of a file",
            format!("choose one of {}", KNOWN.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")),
        )),
    }
}

fn of_url(url: &str, dir: &Path) -> Result<Wanted> {
    let name = http(url).and_then(|url| hub::safe_path(url.path_segments()?.next_back()?));
    match name {
        Some(name) => Ok(Wanted { url: url.to_owned(), path: dir.join(name), size: None, sha256: None, git: None }),
        None => Err(TrainerError::settings(
            url,
            "does not end in the name of a file",
            "give the address of the file itself",
        )),
    }
}

fn refused_mend(page: &str) -> String {
    format!("check the name, accept the terms on {page} if it has any, and set HF_TOKEN to a token that may read it")
}

/// What to do on a machine that cannot download; `what` says from where to where.
fn by_hand(what: &str) -> String {
    format!("on a machine with a network download {what}, then go on with `thisbut import`")
}

/// What a failure to get `wanted` says to a person. `files` are all that are still to come.
fn failure(wanted: &Wanted, files: &[Wanted], trouble: Trouble) -> TrainerError {
    let mend = match trouble.status {
        Some(401 | 403) => refused_mend(&wanted.url),
        Some(404) => "check the name and the revision".to_owned(),
        _ => {
            let missing = files.iter().filter(|file| !file.path.is_file());
            let each: Vec<String> = missing.map(|file| format!("{} to {}", file.url, file.path.display())).collect();
            format!("run the same command again to go on, or {}", by_hand(&each.join(", ")))
        }
    };
    TrainerError::data(&wanted.url, trouble.problem, mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_every_file_that_is_still_to_come() {
        let known = KNOWN.iter().find(|known| known.name == "blip2").unwrap();
        let Place::Files(urls) = known.place() else { panic!("blip2 lies on LAVIS's server") };
        let dir = Path::new("somewhere");
        let files: Vec<Wanted> = urls.iter().map(|url| of_url(url, dir).unwrap()).collect();
        let text = failure(&files[0], &files, Trouble::last("its server cannot be reached")).to_string();
        for (url, name) in urls.iter().zip(["blip2_pretrained.pth", "eva_vit_g.pth"]) {
            assert!(text.contains(&format!("{url} to {}", dir.join(name).display())), "{text}");
        }
        assert!(text.contains("its server cannot be reached; run the same command again") && !text.contains('\n'));
        assert_eq!(folder_name("owner/name"), "owner--name");
        assert_eq!(folder_name("https://host/a/b/model.pth?x=/y"), "b");
        assert_eq!(folder_name("https://host:8443/model.pth"), "host");
        assert!(of_url("https://host", dir).is_err() && of_url("https://host/a/", dir).is_err());
        assert_eq!(of_url("https://host/a.pth?download=1", dir).unwrap().path, dir.join("a.pth"));
    }
}
